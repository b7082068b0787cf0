/* The table of faults (engine/fault.c), walked through a real engine: every way
 * the wire spoils an answer, for every kind of request. What then happens to
 * item, session, server and tries is what the table says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/fault.h"
#include "world.h"

/* How each kind of request is brought about. */
static const struct request {
    enum exchange_kind kind;
    enum sim_request request;
    unsigned skip;      /* that many of its kind go before it */
    bool doubt, singly; /* the first clone's answer is lost; the server lists no tasks */
    bool idle;          /* the session must be kept alive */
} requests[] = {
    {EXCHANGE_LOGON, REQUEST_LOGON, 0, false, false, false},
    {EXCHANGE_KEEPALIVE, REQUEST_KEEPALIVE, 0, false, false, true},
    {EXCHANGE_LOGOFF, REQUEST_LOGOFF, 0, false, false, false},
    {EXCHANGE_SUBMIT, REQUEST_CLONE, 0, false, false, false},
    {EXCHANGE_TASKS, REQUEST_TASKS, 0, false, false, false},
    {EXCHANGE_TASK, REQUEST_TASK, 0, false, true, false},
    {EXCHANGE_TIDY, REQUEST_TIDY, 0, false, false, false},
    {EXCHANGE_NAMES, REQUEST_NAMES, 0, false, false, false},
    {EXCHANGE_SOURCE, REQUEST_JOB, 0, false, false, false},
    {EXCHANGE_SWEEP, REQUEST_SWEEP, 0, false, false, false},
    {EXCHANGE_NAMED, REQUEST_NAMED, 0, true, false, false},
    {EXCHANGE_LOOK, REQUEST_JOB, 4, false, false, false},
    {EXCHANGE_COLLECT, REQUEST_COLLECT, 0, true, false, false},
};

static const char *const wire[] = {
    "unsent",     "tls",        "request-lost", "reply-lost", "reply-timed-out",
    "cut-off",    "redirect",   "400",          "401",        "403",
    "404",        "405",        "408",          "411",        "413",
    "429",        "429-wait",   "500-before",   "500-after",  "501",
    "502-after",  "503-before", "503-wait",     "503-after",  "html",
    "other-type", "garbled",
};

/* Requests of which any well-formed answer will do. */
static bool undemanding(enum exchange_kind kind)
{
    return kind == EXCHANGE_KEEPALIVE || kind == EXCHANGE_LOGOFF || kind == EXCHANGE_TIDY;
}

static struct world *walk_world(const struct request *request, const char *spoil, unsigned times)
{
    /* With one item, no work would be left when these come. */
    bool late = request->kind == EXCHANGE_TIDY || request->kind == EXCHANGE_LOOK;
    struct world *world = scene_quiet(late ? 5 : 1);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = 2;
    if (request->idle)
        em->settings.keepalive_ms = 500;
    if (request->singly)
        em->quirk = QUIRK_NO_LIST;
    if (request->doubt)
        world->scripts[1] =
            (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .count = 1};
    world->scripts[0] = (struct sim_script){
        .kind = (int)request->request, .spoil = spoil_by_name(spoil), .skip = request->skip, .count = times};
    scene_begin(world);
    return world;
}

static bool until_answered(struct world *world, unsigned times)
{
    for (int i = 0; i < 100000 && !world->failure[0]; i++) {
        if (world->scripts[0].answered >= times && !world->wake && !world->commits_in_flight)
            return true;
        if (!scene_step(world))
            return false;
    }
    return false;
}

static void check_item(const struct world *world, const struct fault_decision *d, enum item_state before,
                       unsigned tries)
{
    static const enum item_state next[] = {[FAULT_ITEM_BACK] = ITEM_QUEUED,
                                           [FAULT_ITEM_LATER] = ITEM_QUEUED,
                                           [FAULT_ITEM_FAIL] = ITEM_FAILED,
                                           [FAULT_ITEM_DOUBT] = ITEM_IN_DOUBT};
    const struct sim_seen *seen = world->n_seen ? &world->seen[0] : NULL;
    if (d->session == FAULT_SESSION_LOST && before == ITEM_RUNNING) { /* its task is gone with the session */
        assert_int_equal(seen ? seen->to : before, ITEM_IN_DOUBT);
        return;
    }
    if (d->item == FAULT_ITEM_NONE || d->item == FAULT_ITEM_ANSWER) {
        assert_null(seen);
        return;
    }
    assert_non_null(seen);
    assert_int_equal(seen->from, before);
    assert_int_equal(seen->to, next[d->item]);
    assert_int_equal(seen->attempts, before == ITEM_SUBMITTING && !d->attempt ? 0 : tries);
}

static void check_server(const struct world *world, const struct fault_decision *d, unsigned times,
                         bool doubt)
{
    struct server_status status = engine_server_status(world->engine, world->ems[0].name);
    enum server_trouble trouble = SERVER_FINE;
    if (d->server == FAULT_SERVER_AWAY)
        trouble = SERVER_UNREACHABLE;
    else if (d->server == FAULT_SERVER_TLS)
        trouble = SERVER_TLS;
    else if (d->server == FAULT_SERVER_WRONG)
        trouble = times > 1 ? SERVER_WRONG : SERVER_UNREACHABLE;
    if (d->session == FAULT_SESSION_REFUSED && times > 1)
        trouble = SERVER_CREDENTIALS;
    assert_int_equal(status.trouble, trouble);
    if (d->pace < 0)
        assert_int_equal(status.limit, 1);
    else if (!doubt)
        assert_true(status.limit >= 2);
}

static void check_session(struct world *world, const struct fault_decision *d, unsigned times)
{
    unsigned logons = world->scripts[0].logons;
    uint64_t at = world->now_ms;
    scene_until(world, at + 3 * MINUTE);
    unsigned more = world->asked[REQUEST_LOGON] - logons;
    switch (d->session) {
    case FAULT_SESSION_NONE:
    case FAULT_SESSION_OPEN:
        assert_int_equal(more, 0);
        break;
    case FAULT_SESSION_LOST:
    case FAULT_SESSION_FAILED:
        assert_int_equal(more, 1);
        break;
    case FAULT_SESSION_REFUSED:
        assert_int_equal(more, times > 1 ? 0 : 1);
        break;
    }
}

/* Nothing but logons and signs of life leaves while the server rests; to one that is away only the sign of
 * life that keeps a session. */
static void check_rest(const struct world *world, const struct fault_decision *d, bool idle)
{
    const struct sim_script *script = &world->scripts[0];
    uint64_t rest = script->retry_after_ms > 0 ? (uint64_t)script->retry_after_ms : 1000;
    if (d->rest && world->next_work_ms)
        assert_true(world->next_work_ms >= script->answered_ms + rest);
    if (d->rest && d->server == FAULT_SERVER_AWAY && world->next_ms && !idle)
        assert_true(world->next_ms >= script->answered_ms + rest);
}

static void walk(const struct request *request, const char *spoil, unsigned times)
{
    struct world *world = walk_world(request, spoil, times);
    assert_true(until_answered(world, times));
    const struct sim_script *script = &world->scripts[0];
    enum fault fault = fault_of_reply(request->kind, script->outcome, script->status, script->fits);
    const struct fault_decision *d = fault_decide(request->kind, fault);
    if (fault == FAULT_NONE)
        assert_true(undemanding(request->kind));
    check_item(world, d, script->before,
               request->kind == EXCHANGE_NAMES || request->kind == EXCHANGE_SOURCE ? 0 : 1);
    check_server(world, d, times, request->doubt);
    check_session(world, d, times);
    check_rest(world, d, request->idle);
    assert_string_equal(world->failure, "");
    scene_free(world);
}

static void test_walk(void **state)
{
    (void)state;
    size_t cells = 0;
    for (size_t r = 0; r < sizeof(requests) / sizeof(*requests); r++) {
        for (size_t w = 0; w < sizeof(wire) / sizeof(*wire); w++) {
            print_message("request %d, %s\n", (int)requests[r].kind, wire[w]);
            walk(&requests[r], wire[w], 1);
            cells++;
        }
    }
    print_message("%zu cells\n", cells);
}

/* Two in a row settle what one leaves open. */
static void test_twice(void **state)
{
    (void)state;
    walk(&requests[0], "401", 2);
    walk(&requests[0], "404", 2);
    walk(&requests[0], "html", 2);
}

/* Of two clone requests one is refused for 15 s, the other without a word of when to come again, which means
 * a second: whichever comes last. */
static void test_the_longest_rest_holds(void **state)
{
    (void)state;
    for (unsigned skip = 0; skip < 2; skip++) {
        struct world *world = scene_quiet(2);
        world->ems[0].settings.in_flight_initial = 2;
        world->scripts[0] = (struct sim_script){
            .kind = REQUEST_CLONE, .spoil = spoil_by_name("503-wait"), .skip = skip, .count = 1};
        world->scripts[1] = (struct sim_script){
            .kind = REQUEST_CLONE, .spoil = spoil_by_name("503-before"), .skip = !skip, .count = 1};
        scene_begin(world);
        while (!world->scripts[0].answered || !world->scripts[1].answered)
            assert_true(scene_step(world));
        while (!world->next_ms)
            assert_true(scene_step(world));
        assert_true(world->next_ms >= world->scripts[0].answered_ms + 15000);
        assert_true(engine_server_status(world->engine, "em0").rests_ms >=
                    world->scripts[0].answered_ms + 15000);
        assert_true(scene_run(world));
        scene_free(world);
    }
}

/* A rest that is longer than doubt may last is no part of that time. */
static void test_absent_after_a_rest(void **state)
{
    (void)state;
    struct world *world = scene_quiet(1);
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .count = 1};
    world->scripts[1] =
        (struct sim_script){.kind = REQUEST_COLLECT, .spoil = spoil_by_name("429-hour"), .count = 1};
    scene_begin(world);
    assert_true(scene_run(world)); /* the world fails where it ends as unknown without a reason */
    assert_string_equal(world->failure, "");
    assert_int_equal(world->runs[0].rows[0].state, ITEM_SUCCEEDED);
    assert_int_equal(world->runs[0].rows[0].attempts, 2);
    assert_in_range(world->now_ms, 60 * MINUTE, 80 * MINUTE);
    scene_free(world);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_walk), cmocka_unit_test(test_twice),
                                       cmocka_unit_test(test_the_longest_rest_holds),
                                       cmocka_unit_test(test_absent_after_a_rest)};
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
