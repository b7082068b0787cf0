/* A server that is away: one blow is one failure, it is probed with growing gaps, no item loses a try, and
 * when it is back everything goes on at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/parts.h"
#include "world.h"

#define ITEMS 200
#define OUTAGE_MS (3 * MINUTE)
#define PROBES_MAX 16

static const struct item *row(const struct world *world, uint32_t i)
{
    return engine_run_item(world->engine, world->runs[0].id, i);
}

static unsigned sent(const struct world *world)
{
    unsigned n = 0;
    for (int i = 0; i < REQUEST_COUNT; i++)
        n += world->asked[i];
    return n;
}

/* When something left during an outage that begins now: probes. Returns how many. */
static unsigned go_away(struct world *world, uint64_t ret_ms[PROBES_MAX])
{
    struct em *em = &world->ems[0];
    em->down_until_ms = world->now_ms + OUTAGE_MS;
    scene_until(world, world->now_ms + 700); /* what is under way is lost; the first probe may leave */
    unsigned n = 0, before = sent(world);
    while (world->now_ms < em->down_until_ms &&
           !world->failure[0]) { /* only probes leave: wire.c sees to it */
        scene_step(world);
        if (sent(world) != before && n < PROBES_MAX)
            ret_ms[n++] = world->now_ms;
        before = sent(world);
    }
    return n;
}

static struct world *started(unsigned skip_ms)
{
    struct world *world = scene_quiet(ITEMS);
    world->ems[0].settings.in_flight_initial = 16;
    world->ems[0].settings.in_flight_max = 16;
    world->ems[0].settings.tasks_max = ITEMS;
    scene_begin(world);
    scene_until(world, world->now_ms + skip_ms);
    return world;
}

static void ends_well(struct world *world)
{
    assert_true(scene_run(world));
    assert_string_equal(world->failure, "");
    for (uint32_t i = 0; i < ITEMS; i++) {
        assert_int_equal(world->runs[0].rows[i].state, ITEM_SUCCEEDED);
        assert_int_equal(world->runs[0].rows[i].attempts, 1);
    }
    scene_free(world);
}

/* After the answer to the next probe, so long until a request of that kind leaves. */
static uint64_t goes_on_after_ms(struct world *world, enum sim_request kind)
{
    unsigned before = world->asked[kind];
    while (engine_server_status(world->engine, "em0").since_ms && !world->failure[0])
        scene_step(world);
    uint64_t back = world->now_ms;
    while (world->asked[kind] == before && !world->failure[0])
        scene_step(world);
    return world->now_ms - back;
}

/* 16 clone requests are lost at one blow: the first probe still comes after half a second, the next ones with
 * growing gaps; then clones leave at once. */
static void test_while_cloning(void **state)
{
    (void)state;
    uint64_t probes[PROBES_MAX];
    struct world *world = started(4000);
    while (engine_server_status(world->engine, "em0").in_flight < 12)
        scene_step(world);
    unsigned n = go_away(world, probes);
    assert_in_range(n, 6, 10);
    for (unsigned i = 2; i < n; i++)
        assert_true(probes[i] - probes[i - 1] > probes[i - 1] - probes[i - 2] ||
                    probes[i] - probes[i - 1] >= 30000);
    assert_true(probes[1] - probes[0] < 3000);
    assert_int_equal(row(world, ITEMS - 1)->state, ITEM_QUEUED);
    assert_true(goes_on_after_ms(world, REQUEST_CLONE) < 50);
    uint64_t back = world->now_ms;
    unsigned clones = world->clones;
    scene_until(world, back + 3000);
    assert_true(world->clones > clones + 10); /* nothing waits for its own retry */
    ends_well(world);
}

/* Names are being read: nothing of it is tried meanwhile, so no wait of its own has grown. */
static void test_while_reading_names(void **state)
{
    (void)state;
    uint64_t probes[PROBES_MAX];
    struct world *world = started(1);
    while (!world->asked[REQUEST_NAMES])
        scene_step(world);
    go_away(world, probes);
    assert_int_equal(world->clones, 0);
    assert_true(goes_on_after_ms(world, REQUEST_NAMES) < 50);
    ends_well(world);
}

/* A request that hangs for a minute does not keep the probe from leaving. */
static void test_while_one_hangs(void **state)
{
    (void)state;
    struct world *world = scene_quiet(ITEMS);
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_TASKS, .spoil = spoil_by_name("request-lost"), .count = 1};
    world->scripts[1] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("unsent"), .skip = 20, .count = 1};
    world->ems[0].settings.tasks_max = ITEMS;
    scene_begin(world);
    while (!world->scripts[1].answered || !engine_server_status(world->engine, "em0").since_ms)
        scene_step(world);
    assert_int_equal(world->scripts[0].answered, 0);
    assert_int_equal(world->ems[0].polls_in_flight, 1);
    uint64_t from = world->now_ms;
    assert_true(goes_on_after_ms(world, REQUEST_CLONE) < 50);
    assert_true(world->now_ms - from < 3000);
    ends_well(world);
}

/* Only tasks are awaited: they are looked at as soon as the server is back. */
static void test_while_tasks_run(void **state)
{
    (void)state;
    uint64_t probes[PROBES_MAX];
    struct world *world = scene_quiet(6);
    world->ems[0].settings.poll_max_ms = 10 * MINUTE;
    world->ems[0].settings.poll_interval_ms = 1000;
    world->ems[0].clone_max_ms = 100 * MINUTE;
    scene_begin(world);
    while (world->clones < 6)
        scene_step(world);
    go_away(world, probes);
    assert_true(goes_on_after_ms(world, REQUEST_TASKS) <= 1100);
    assert_string_equal(world->failure, "");
    scene_free(world);
}

/* `status` knows since when, and when it is tried again. */
static void test_status(void **state)
{
    (void)state;
    struct world *world = started(4000);
    assert_int_equal(engine_server_status(world->engine, "em0").since_ms, 0);
    uint64_t from = world->now_ms;
    world->ems[0].down_until_ms = from + OUTAGE_MS;
    scene_until(world, from + MINUTE);
    struct server_status status = engine_server_status(world->engine, "em0");
    assert_int_equal(status.trouble, SERVER_UNREACHABLE);
    assert_in_range(status.since_ms, from, from + 1000);
    assert_in_range(status.probe_ms, from + MINUTE - 1000, from + 2 * MINUTE);
    ends_well(world);
}

/* Look-ups of this kind are spoiled for ever, while signs of life are answered well. */
static void fails_for_want_of(enum sim_request kind, const char *spoil)
{
    struct world *world = scene_quiet(3);
    world->scripts[0] =
        (struct sim_script){.kind = (int)kind, .spoil = spoil_by_name(spoil), .count = UINT32_MAX};
    scene_begin(world);
    assert_true(scene_run(world));
    assert_string_equal(world->failure, "");
    assert_in_range(world->now_ms, 5 * MINUTE, 9 * MINUTE); /* timeouts.unreachable and a bit */
    for (uint32_t i = 0; i < 3; i++) {
        const struct item *item = &world->runs[0].rows[i];
        assert_int_equal(item->state, ITEM_FAILED);
        assert_int_equal(item->error, ITEM_E_LOOKUP);
        assert_int_equal(item->attempts, 0);
    }
    print_message("%s\n", world->runs[0].rows[0].message);
    scene_free(world);
}

static void test_names_that_cannot_be_read(void **state)
{
    (void)state;
    fails_for_want_of(REQUEST_NAMES, "garbled");
    fails_for_want_of(REQUEST_NAMES, "html");
    fails_for_want_of(REQUEST_NAMES, "500-after");
    fails_for_want_of(REQUEST_JOB, "garbled");
}

/* A list that takes longer than `timeouts.request`, or that a proxy cuts off or answers with 503, as nothing
 * else is. */
static void test_names_that_are_not_answered(void **state)
{
    static const char *const spoils[] = {"reply-timed-out", "request-lost", "reply-lost", "503-before"};
    (void)state;
    for (size_t i = 0; i < sizeof(spoils) / sizeof(*spoils); i++) {
        fails_for_want_of(REQUEST_NAMES, spoils[i]);
        fails_for_want_of(REQUEST_JOB, spoils[i]);
    }
}

/* What asks to be left alone (429) is; and an outage uses up nothing, though it began with names, and others
 * of them were lost before. */
static void test_names_that_come_later(void **state)
{
    (void)state;
    for (int outage = 0; outage < 2; outage++) {
        struct world *world = scene_quiet(3);
        world->scripts[0] = (struct sim_script){.kind = REQUEST_NAMES,
                                                .spoil = spoil_by_name(outage ? "reply-timed-out" : "429"),
                                                .count = UINT32_MAX};
        scene_begin(world);
        scene_until(world, 4 * MINUTE);
        if (outage)
            world->ems[0].down_until_ms = 40 * MINUTE;
        scene_until(world, outage ? 43 * MINUTE : 60 * MINUTE);
        world->scripts[0].count = 0;
        assert_true(scene_run(world));
        for (uint32_t i = 0; i < 3; i++)
            assert_int_equal(world->runs[0].rows[i].state, ITEM_SUCCEEDED);
        scene_free(world);
    }
}

/* Garbage for four minutes, and after a good answer for four minutes again: nothing is given up. */
static void test_garbage_that_passes(void **state)
{
    (void)state;
    struct world *world = scene_quiet(3);
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_NAMES, .spoil = spoil_by_name("garbled"), .count = UINT32_MAX};
    world->scripts[1] =
        (struct sim_script){.kind = REQUEST_JOB, .spoil = spoil_by_name("garbled"), .count = UINT32_MAX};
    scene_begin(world);
    scene_until(world, world->now_ms + 4 * MINUTE);
    world->scripts[0].count = 0;
    scene_until(world, world->now_ms + 4 * MINUTE);
    world->scripts[1].count = 0;
    assert_true(scene_run(world));
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(world->runs[0].rows[i].state, ITEM_SUCCEEDED);
    scene_free(world);
}

/* The list of jobs cannot be read just before and just after an outage: what lies between is no part of the
 * time for which a run that is over waits for it. */
static void test_while_closing(void **state)
{
    (void)state;
    struct world *world = scene_quiet(3);
    struct em *em = &world->ems[0];
    struct sim_script *script = &world->scripts[0];
    *script = (struct sim_script){.kind = REQUEST_SWEEP, .spoil = spoil_by_name("500-before"), .count = 1000};
    scene_begin(world);
    while (world->engine->runs->phase != PHASE_CLOSING)
        scene_step(world);
    unsigned before = script->answered;
    while (script->answered == before)
        scene_step(world);
    em->down_until_ms = world->now_ms + 10 * MINUTE;
    script->count = 1;
    assert_true(scene_run(world)); /* the world fails where a clone was never seen in the list */
    assert_string_equal(world->failure, "");
    assert_int_equal(script->count, 0);
    assert_true(world->now_ms < em->down_until_ms + MINUTE);
    scene_free(world);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_while_cloning),
        cmocka_unit_test(test_while_reading_names),
        cmocka_unit_test(test_while_one_hangs),
        cmocka_unit_test(test_while_tasks_run),
        cmocka_unit_test(test_while_closing),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_names_that_cannot_be_read),
        cmocka_unit_test(test_names_that_are_not_answered),
        cmocka_unit_test(test_names_that_come_later),
        cmocka_unit_test(test_garbage_that_passes),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
