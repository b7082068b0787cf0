/* Scenarios of doubt: how it is settled, and that it always is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/parts.h"
#include "world.h"

#define EVER 100000

/* One item whose clone request is spoiled; more scripts may be set before scene_begin. */
static struct world *doubtful(const char *spoil)
{
    struct world *world = scene_quiet(1);
    world->scripts[0] = (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name(spoil), .count = 1};
    return world;
}

static void also(struct world *world, enum sim_request kind, const char *spoil, unsigned count)
{
    world->scripts[1] = (struct sim_script){.kind = (int)kind, .spoil = spoil_by_name(spoil), .count = count};
}

static const struct item *first(const struct world *world)
{
    return &world->runs[0].rows[0];
}

static bool until_doubt(struct world *world)
{
    for (int i = 0; i < EVER && !world->failure[0]; i++) {
        if (world->runs[0].stored[0] && first(world)->state == ITEM_IN_DOUBT)
            return true;
        scene_step(world);
    }
    return false;
}

/* Begins, lets it end, and asks for the outcome. `ret_ms` gets how long the doubt lasted. */
static void ends_as(struct world *world, enum item_state state, enum item_error error, uint64_t *ret_ms)
{
    assert_true(until_doubt(world));
    uint64_t since = world->now_ms;
    for (int i = 0; i < EVER * 10 && first(world)->state == ITEM_IN_DOUBT && !world->failure[0]; i++)
        scene_step(world);
    *ret_ms = world->now_ms - since;
    bool well = scene_run(world);
    assert_string_equal(world->failure, "");
    assert_true(well);
    assert_int_equal(first(world)->state, state);
    assert_int_equal(first(world)->error, error);
}

static void test_found(void **state)
{
    (void)state;
    uint64_t ms;
    struct world *world = doubtful("reply-lost");
    scene_begin(world);
    ends_as(world, ITEM_SUCCEEDED, ITEM_OK, &ms);
    assert_true(first(world)->recovered);
    assert_true(first(world)->verified);
    assert_int_equal(world->sends, 1);
    assert_true(ms < 2 * MINUTE);
    scene_free(world);
}

/* Nothing came of it: proven after `settle`, with a collection at once and one in the second half. */
static void test_absent(void **state)
{
    (void)state;
    uint64_t ms, settle;
    struct world *world = doubtful("request-lost");
    settle = world->ems[0].settings.settle_ms;
    scene_begin(world);
    ends_as(world, ITEM_SUCCEEDED, ITEM_OK, &ms);
    assert_false(first(world)->recovered);
    assert_int_equal(first(world)->attempts, 2);
    assert_int_equal(world->sends, 2);
    assert_int_equal(world->asked[REQUEST_COLLECT], 2);
    assert_true(ms >= settle && ms < settle + MINUTE);
    scene_free(world);
}

/* One query each by name, while requests may be in flight for them; every third look is a sweep. */
static void test_asked_by_name(void **state)
{
    (void)state;
    struct world *world = doubtful("request-lost");
    world->ems[0].settings.in_flight_initial = 6; /* half of it is left after the lost request */
    scene_begin(world);
    assert_true(until_doubt(world));
    scene_until(world, world->now_ms + 800);
    assert_true(world->asked[REQUEST_NAMED] >= 1);
    assert_int_equal(world->asked[REQUEST_SWEEP], 0);
    scene_until(world, world->now_ms + 5 * MINUTE);
    unsigned named = world->asked[REQUEST_NAMED], sweeps = world->asked[REQUEST_SWEEP];
    assert_true(named > sweeps && sweeps >= 2);
    scene_free(world);
}

/* How a quote in a filter is meant is not known: such names are swept for. */
static void test_quoted_name(void **state)
{
    (void)state;
    struct world *world = scene_quiet(8); /* the last one's name has quotes */
    world->ems[0].settings.in_flight_initial = world->ems[0].settings.in_flight_max = 1;
    world->scripts[0] = (struct sim_script){
        .kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .skip = 7, .count = 1};
    scene_begin(world);
    scene_until(world, 10 * MINUTE);
    assert_int_equal(world->runs[0].rows[7].state, ITEM_IN_DOUBT);
    assert_int_equal(world->asked[REQUEST_NAMED], 0);
    assert_true(world->asked[REQUEST_SWEEP] > 2);
    scene_free(world);
}

static void test_many_are_swept_for(void **state)
{
    (void)state;
    struct world *world = scene_quiet(12);
    world->ems[0].settings.in_flight_initial = world->ems[0].settings.tasks_max = 12;
    world->ems[0].settings.in_flight_max = 12;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .count = 12};
    scene_begin(world);
    scene_until(world, 2 * MINUTE); /* while the first of them were few, they were asked for by name */
    unsigned named = world->asked[REQUEST_NAMED];
    scene_until(world, 12 * MINUTE);
    assert_int_equal(world->asked[REQUEST_NAMED], named);
    assert_true(world->asked[REQUEST_SWEEP] > 3);
    scene_free(world);
}

/* A job with the name and no mark, or another one, is a conflict for a person. */
static void test_conflict(void **state)
{
    (void)state;
    uint64_t ms;
    struct world *world = doubtful("request-lost");
    scene_begin(world);
    assert_true(until_doubt(world));
    struct sim_job *job = em_add_job(&world->ems[0], "Clone A 0", "Backup", 0);
    snprintf(job->description, sizeof(job->description), "[jobclone:01KB0000000000000000000OLD/0]");
    ends_as(world, ITEM_FAILED, ITEM_E_NAME_CONFLICT, &ms);
    assert_int_equal(world->sends, 1);
    scene_free(world);
}

/* Without mark, and where no job has one, nobody can tell whose it is: this server may drop them. */
static void test_no_mark_anywhere(void **state)
{
    (void)state;
    uint64_t ms;
    struct world *world = doubtful("request-lost");
    world->ems[0].meddled = 1;
    scene_begin(world);
    assert_true(until_doubt(world));
    em_add_job(&world->ems[0], "Clone A 0", "Backup", 0);
    ends_as(world, ITEM_UNKNOWN, ITEM_E_UNSETTLED, &ms);
    assert_int_equal(world->sends, 1);
    scene_free(world);
}

/* The same name on another backup server is nobody's business. */
static void test_same_name_elsewhere(void **state)
{
    (void)state;
    uint64_t ms;
    struct world *world = doubtful("request-lost");
    scene_begin(world);
    assert_true(until_doubt(world));
    em_add_job(&world->ems[0], "Clone A 0", "Backup", 1);
    ends_as(world, ITEM_SUCCEEDED, ITEM_OK, &ms);
    assert_int_equal(world->sends, 2);
    scene_free(world);
}

static void add_marked(struct world *world, const char *name)
{
    struct sim_job *job = em_add_job(&world->ems[0], name, "Backup", 0);
    item_mark(job->description, world->runs[0].id, 0);
}

/* Several jobs with the mark (a person has copied one): the name asked for decides, */
static void test_copied_mark(void **state)
{
    (void)state;
    uint64_t ms;
    struct world *world = doubtful("reply-lost");
    world->ems[0].clone_max_ms = 201;
    scene_begin(world);
    assert_true(until_doubt(world));
    scene_until(world, world->now_ms + 201);
    em_collect(&world->ems[0], 0);
    world->ems[0].jobs[world->ems[0].n_jobs - 1].visible_ms = world->now_ms;
    add_marked(world, "a copy");
    add_marked(world, "another copy");
    ends_as(world, ITEM_SUCCEEDED, ITEM_OK, &ms);
    scene_free(world);
}

/* and without it nobody can tell. */
static void test_only_copies(void **state)
{
    (void)state;
    uint64_t ms;
    struct world *world = doubtful("request-lost");
    world->ems[0].meddled = 1;
    scene_begin(world);
    assert_true(until_doubt(world));
    add_marked(world, "a copy");
    add_marked(world, "another copy");
    ends_as(world, ITEM_UNKNOWN, ITEM_E_UNSETTLED, &ms);
    assert_int_equal(world->sends, 1);
    scene_free(world);
}

/* ---- no doubt lasts for ever ---- */

static void hopeless(struct world *world, const char *why, uint64_t at_least_ms, uint64_t at_most_ms)
{
    uint64_t ms;
    scene_begin(world);
    ends_as(world, ITEM_UNKNOWN, ITEM_E_UNSETTLED, &ms);
    assert_non_null(strstr(first(world)->message, why));
    assert_int_equal(world->sends, 1);
    assert_true(ms >= at_least_ms && ms <= at_most_ms);
    scene_free(world);
}

#define SETTLE (20 * MINUTE)
#define PATIENCE (30 * MINUTE) /* timeouts.task, the longer one */

static void test_collections_refused(void **state)
{
    (void)state;
    struct world *world = doubtful("request-lost");
    also(world, REQUEST_COLLECT, "403", EVER);
    hopeless(world, "refuses to collect", SETTLE, SETTLE + MINUTE);
}

static void test_collections_fail(void **state)
{
    (void)state;
    struct world *world = doubtful("request-lost");
    also(world, REQUEST_COLLECT, "500-before", EVER);
    world->ems[0].meddled = 1;
    hopeless(world, "no collection is accepted", SETTLE + PATIENCE, SETTLE + PATIENCE + 2 * MINUTE);
}

static void test_tasks_not_listed(void **state)
{
    (void)state;
    struct world *world = doubtful("request-lost");
    world->ems[0].quirk = QUIRK_NO_LIST;
    hopeless(world, "does not list its tasks", SETTLE, SETTLE + 2 * MINUTE);
}

static void test_lists_fail(void **state)
{
    (void)state;
    struct world *world = doubtful("request-lost");
    also(world, REQUEST_TASKS, "500-before", EVER);
    world->ems[0].meddled = 1;
    hopeless(world, "list of tasks cannot be read", SETTLE + PATIENCE, SETTLE + PATIENCE + 2 * MINUTE);
}

/* The list of jobs cannot be read, or is not answered, which all else is: no doubt, and no run that is over,
 * waits for it without end, and it is asked for with growing gaps. */
static void test_jobs_not_listed(void **state)
{
    static const char *const spoils[] = {"garbled",      "500-after",  "403", "html",       "reply-lost",
                                         "request-lost", "503-before", "429", "503-minutes"};
    (void)state;
    for (size_t i = 0; i < sizeof(spoils) / sizeof(*spoils); i++) {
        uint64_t ms;
        bool rests = strcmp(spoils[i], "503-minutes") == 0; /* ten of these, then the time begins */
        struct world *world = doubtful("request-lost");
        also(world, REQUEST_SWEEP, spoils[i], EVER);
        scene_begin(world);
        ends_as(world, ITEM_UNKNOWN, ITEM_E_UNSETTLED, &ms);
        assert_non_null(strstr(first(world)->message, "the list of jobs cannot be read"));
        assert_in_range(ms, 50 * MINUTE, 60 * MINUTE); /* settle, and timeouts.task once more */
        assert_in_range(world->asked[REQUEST_SWEEP], rests ? 12 : 20, 80);
        scene_free(world);
        world = scene_quiet(3);
        also(world, REQUEST_SWEEP, spoils[i], EVER);
        scene_begin(world);
        scene_run(world); /* which says that nothing was seen in the list */
        assert_in_range(world->now_ms, 5 * MINUTE, (rests ? 40 : 8) * MINUTE); /* timeouts.unreachable */
        assert_true(world->runs[0].ended);
        assert_int_equal(world->runs[0].rows[0].state, ITEM_SUCCEEDED);
        assert_false(world->runs[0].rows[0].verified);
        assert_in_range(world->asked[REQUEST_SWEEP], 6, 20);
        scene_free(world);
    }
}

/* A list that contradicts itself, or shows other pages than are asked for, proves nothing and is read again
 * with growing gaps, too. */
static void test_jobs_contradict(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        uint64_t ms;
        struct world *world = doubtful("request-lost");
        struct em *em = &world->ems[0];
        em->page_size = 4;
        scene_begin(world);
        assert_true(until_doubt(world));
        *(way ? &em->last_page_denied : &em->first_page_only) = true;
        em->meddled = 1;
        ends_as(world, ITEM_UNKNOWN, ITEM_E_UNSETTLED, &ms);
        assert_in_range(world->asked[REQUEST_SWEEP], 20, 400);
        scene_free(world);
    }
}

/* The look that is to prove absence is told that the first page is all there is. Others were there before:
 * that alone proves nothing, nor when the look is the second one, since the first was not answered, nor where
 * the second reading is told of fewer pages than the first one. */
static void one_page_is_not_all(const char *before, unsigned first_pages, unsigned then_pages)
{
    struct world *world = doubtful("request-lost");
    struct em *em = &world->ems[0];
    em->page_size = 4;
    scene_begin(world);
    assert_true(until_doubt(world));
    const struct sweep *sweep = &world->engine->servers->sweep;
    struct sim_job *job = em_add_job(em, "Clone A 0", "Backup", 0);
    snprintf(job->description, sizeof(job->description), "[jobclone:%s/0]", world->runs[0].id);
    job->made_by_clone = true;
    bool second = false, told = false;
    while (first(world)->state == ITEM_IN_DOUBT && !world->failure[0]) {
        bool proves = sweep->active && sweep->kind == SWEEP_PROVE;
        if (proves && before && world->scripts[1].kind < 0)
            also(world, REQUEST_SWEEP, before, 1);
        job->deleted = !proves; /* it comes to light only then */
        second |= proves && sweep->pass == 2;
        told |= second && !proves; /* then the truth is */
        bool lies = proves && !told && !world->scripts[1].count;
        em->most_pages = !lies ? 0 : second ? then_pages : first_pages;
        scene_step(world);
    }
    assert_string_equal(world->failure, "");
    assert_int_equal(first(world)->state, ITEM_SUCCEEDED);
    assert_int_equal(world->sends, 1);
    scene_free(world);
}

static void test_one_page_is_not_all(void **state)
{
    (void)state;
    one_page_is_not_all(NULL, 1, 0);
    one_page_is_not_all("500-before", 1, 0);
    one_page_is_not_all("reply-lost", 1, 0);
    one_page_is_not_all(NULL, 2, 1);
}

static void test_task_of_nobody_hangs(void **state)
{
    (void)state;
    struct world *world = doubtful("reply-lost");
    world->ems[0].hang_permille = 1000;
    world->chaos_until_ms = 2 * MINUTE;
    hopeless(world, "does not end", SETTLE + PATIENCE, SETTLE + PATIENCE + 2 * MINUTE);
}

/* ---- what holds absence back ---- */

/* A clone that takes longer than `settle`: as long as its task is seen, nothing is sent again. */
static void test_slow_task_of_nobody(void **state)
{
    (void)state;
    uint64_t ms;
    struct world *world = doubtful("reply-lost");
    world->ems[0].clone_max_ms = 40 * MINUTE;
    world->ems[0].settings.settle_ms = 2 * MINUTE;
    world->runs[0].task_timeout_ms = 60 * MINUTE;
    scene_begin(world);
    ends_as(world, ITEM_SUCCEEDED, ITEM_OK, &ms);
    assert_true(ms > 5 * MINUTE);
    assert_int_equal(world->sends, 1);
    assert_true(first(world)->recovered);
    scene_free(world);
}

/* A question for one task that is answered with 500 makes doubt; the task is nobody's then, and
 * still seen: its failure is not taken for that of the next one. */
static void test_task_outlives_doubt(void **state)
{
    (void)state;
    struct world *world = scene_quiet(1);
    world->ems[0].clone_max_ms = 50 * MINUTE;
    world->ems[0].settings.settle_ms = 2 * MINUTE;
    world->runs[0].task_timeout_ms = 60 * MINUTE;
    world->scripts[0] = (struct sim_script){
        .kind = REQUEST_TASKS, .spoil = spoil_by_name("405"), .count = 1}; /* then it is asked singly */
    world->scripts[1] =
        (struct sim_script){.kind = REQUEST_TASK, .spoil = spoil_by_name("500-before"), .count = 1};
    scene_begin(world);
    assert_true(scene_run(world));
    assert_int_equal(world->sends, 1);
    assert_int_equal(first(world)->state, ITEM_SUCCEEDED);
    assert_true(first(world)->recovered);
    scene_free(world);
}

/* ---- names that several runs want ---- */

/* Of two runs that wait for a third one's name only one gets it, although the older of them was
 * paused while the younger one asked who holds it. */
static void test_two_wait_for_a_name(void **state)
{
    (void)state;
    struct world *world = doubtful("request-lost");
    world->runs[0].attempts = 1; /* it fails, and lets go */
    struct sim_run *older = scene_add_rival(world, ON_CONFLICT_FAIL);
    struct sim_run *younger = scene_add_rival(world, ON_CONFLICT_FAIL);
    scene_begin(world);
    assert_int_equal(engine_pause_run(world->engine, older->id), 0);
    scene_until(world, 5 * MINUTE);
    assert_int_equal(engine_resume_run(world->engine, older->id), 0);
    world->wake = true;
    assert_true(scene_run(world)); /* the world fails when two clones get one name */
    assert_int_equal(first(world)->state, ITEM_FAILED);
    assert_int_equal(older->rows[0].state, ITEM_SUCCEEDED);
    assert_int_equal(younger->rows[0].state, ITEM_FAILED);
    assert_int_equal(younger->rows[0].error, ITEM_E_NAME_CONFLICT);
    scene_free(world);
}

/* An item whose absence is proven while its run reads the names anew keeps the name that it had
 * got: the one it was asked for was not looked for again. */
static void test_name_is_kept_through_doubt(void **state)
{
    (void)state;
    struct world *world = scene_quiet(2);
    struct sim_run *rival = scene_add_rival(world, ON_CONFLICT_RENAME);
    world->ems[0].settings.in_flight_initial = world->ems[0].settings.in_flight_max = 1;
    world->scripts[0] = (struct sim_script){
        .kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .skip = 2, .count = 1};
    scene_begin(world);
    for (int i = 0; i < EVER && rival->rows[0].state != ITEM_IN_DOUBT && !world->failure[0]; i++)
        scene_step(world);
    uint64_t since = world->now_ms;
    assert_string_equal(rival->rows[0].name, "Clone A 0 (2)");
    assert_int_equal(engine_pause_run(world->engine, rival->id), 0); /* the other item has not left */
    world->wake = true;
    scene_until(world, since + 19 * MINUTE);
    also(world, REQUEST_NAMES, "request-lost", 4); /* a minute each */
    assert_int_equal(engine_resume_run(world->engine, rival->id), 0);
    world->wake = true;
    assert_true(scene_run(world));
    assert_int_equal(rival->rows[0].state, ITEM_SUCCEEDED);
    assert_int_equal(rival->rows[0].attempts, 2);
    assert_string_equal(rival->rows[0].name, "Clone A 0 (2)");
    scene_free(world);
}

/* ---- crashes ---- */

/* The daemon dies before or behind each commit of a run that also loses an answer. */
static void test_crash_at_every_commit(void **state)
{
    (void)state;
    unsigned commits = 1;
    for (unsigned at = 0; at <= commits; at++) {
        for (int late = 0; late < 2; late++) {
            struct world *world = scene_quiet(6);
            world->scripts[0] = (struct sim_script){
                .kind = REQUEST_CLONE, .spoil = spoil_by_name("reply-lost"), .skip = 2, .count = 1};
            world->crash_commit = at;
            world->crash_late = late;
            scene_begin(world);
            bool well = scene_run(world);
            if (!well)
                print_message("crash %s commit %u: %s\n", late ? "behind" : "before", at, world->failure);
            assert_true(well);
            assert_int_equal(world->crashes, at > 0);
            for (int i = 0; i < 6; i++)
                assert_int_equal(world->runs[0].rows[i].state, ITEM_SUCCEEDED);
            commits = at ? commits : world->commits;
            scene_free(world);
        }
    }
    assert_true(commits >= 6);
    print_message("%u commits\n", commits);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_asked_by_name),
        cmocka_unit_test(test_quoted_name),
        cmocka_unit_test(test_many_are_swept_for),
        cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_no_mark_anywhere),
        cmocka_unit_test(test_same_name_elsewhere),
        cmocka_unit_test(test_copied_mark),
        cmocka_unit_test(test_only_copies),
        cmocka_unit_test(test_collections_refused),
        cmocka_unit_test(test_collections_fail),
        cmocka_unit_test(test_tasks_not_listed),
        cmocka_unit_test(test_lists_fail),
        cmocka_unit_test(test_jobs_not_listed),
        cmocka_unit_test(test_jobs_contradict),
        cmocka_unit_test(test_one_page_is_not_all),
        cmocka_unit_test(test_task_of_nobody_hangs),
        cmocka_unit_test(test_slow_task_of_nobody),
        cmocka_unit_test(test_task_outlives_doubt),
        cmocka_unit_test(test_two_wait_for_a_name),
        cmocka_unit_test(test_name_is_kept_through_doubt),
        cmocka_unit_test(test_crash_at_every_commit),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
