/* Scenarios of sessions, which end and are changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/parts.h"
#include "world.h"

#define EVER 100000

/* A new session, however often the old one's end is told. */
static void test_session_lost(void **state)
{
    (void)state;
    struct world *world = scene_quiet(6);
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("401"), .skip = 3, .count = 1};
    scene_begin(world);
    assert_true(scene_run(world));
    assert_int_equal(world->lost_sessions, 1);
    assert_int_equal(world->asked[REQUEST_LOGON], 2);
    scene_free(world);
}

/* Tasks that were accepted in the very turn in which the session's end is told are gone with it, though
 * another session gives their ids again: none of these is waited for. */
static void test_session_lost_with_what_it_accepted(void **state)
{
    (void)state;
    for (unsigned skip = 5; skip < 45; skip++) {
        struct world *world = scene_quiet(60);
        struct em *em = &world->ems[0];
        em->settings.in_flight_initial = em->settings.in_flight_max = 20;
        em->settings.tasks_max = 60;
        em->numbers_per_session = true;
        em->clone_max_ms = 5000;
        world->runs[0].task_timeout_ms = 6 * 60 * MINUTE;
        world->scripts[0] = (struct sim_script){
            .kind = REQUEST_CLONE, .spoil = spoil_by_name("401"), .skip = skip, .count = 1};
        scene_begin(world);
        assert_true(scene_run(world));
        assert_true(world->now_ms < 5 * 60 * MINUTE);
        assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 60);
        scene_free(world);
    }
}

static void quick(struct world *world, unsigned in_flight)
{
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = in_flight;
    em->settings.tasks_max = 100;
    em->settings.poll_interval_ms = 100;
    em->settings.poll_max_ms = 1000;
    em->clone_max_ms = 210;
    world->tasks_kept = 4;
}

/* Many quick clones: their tasks go with their session, not one by one, and nothing is sent twice. */
static void test_session_changed(void **state)
{
    (void)state;
    struct world *world = scene_quiet(900);
    quick(world, 2);
    scene_begin(world);
    assert_true(scene_run(world));
    assert_int_equal(world->sends, 900);
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 900);
    assert_int_equal(world->lost_sessions, 0);
    assert_int_equal(world->doubts, 0);
    assert_in_range(world->changed_sessions, 5, 60);
    assert_true(world->asked[REQUEST_TIDY] < 30);
    scene_free(world);
}

/* An answer about a task that comes when another session has begun, whose tasks have the same ids, says
 * nothing of these. */
static void test_answer_of_an_old_session(void **state)
{
    (void)state;
    struct world *world = scene_quiet(12);
    struct em *em = &world->ems[0];
    em->numbers_per_session = true;
    em->settings.in_flight_initial = em->settings.in_flight_max = 6;
    em->settings.tasks_max = 2;
    em->clone_max_ms = 300;
    em->omit_permille = 1000; /* so that each task is asked for by itself */
    world->chaos_until_ms = 20000;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_TASK, .spoil = spoil_by_name("slow-answer"), .count = 99};
    scene_begin(world);
    for (int i = 0; i < EVER && world->asked[REQUEST_TASK] < 4; i++)
        scene_step(world);
    scene_until(world, world->now_ms + 500);
    em->clone_min_ms = 190000;
    em->clone_max_ms = 200000;
    em_lose_session(em);
    assert_true(scene_run(world)); /* the world fails when another's job is taken for an item's */
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 12);
    scene_free(world);
}

/* A session that is lost so long after that list of tasks was asked for. */
static void list_of_a_lost_session(unsigned lists, uint64_t after_ms)
{
    struct world *world = scene_quiet(30);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = 10;
    em->numbers_per_session = true;
    em->settings.poll_interval_ms = 100;
    em->clone_max_ms = 2000;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("reply-lost"), .count = 5};
    scene_begin(world);
    const struct server *server = world->engine->servers;
    while (world->asked[REQUEST_TASKS] < lists && scene_count(world, ITEM_SUCCEEDED) < 30)
        scene_step(world);
    uint64_t until_ms = world->now_ms + after_ms;
    while (world->now_ms < until_ms && scene_step(world)) {
    }
    em_lose_session(em);
    while (scene_count(world, ITEM_SUCCEEDED) < 30 && !world->failure[0]) {
        scene_step(world);
        bool open = server->session.state == SESSION_OPEN;
        assert_true(open || (!server->n_task_owners && !server->orphans && !server->listed_ms));
    }
    assert_true(scene_run(world));
    scene_free(world);
}

/* A list of tasks that comes when its session has been lost, and the next one is still being opened, tells
 * nothing: ids may be given again, and what it shows of nobody's tasks would be taken for some of these. */
static void test_list_of_a_lost_session(void **state)
{
    (void)state;
    for (uint64_t after_ms = 50; after_ms <= 150; after_ms += 50)
        for (unsigned lists = 1; lists < 10; lists++)
            list_of_a_lost_session(lists, after_ms);
}

/* One task that takes half an hour: the session is not changed meanwhile, and the clones go on. */
static void test_one_that_takes_long(void **state)
{
    (void)state;
    struct world *world = scene_quiet(900);
    struct em *em = &world->ems[0];
    quick(world, 2);
    scene_begin(world);
    while (world->clones < 20)
        scene_step(world);
    struct sim_task *task = &em->tasks[em->n_tasks - 1];
    assert_true(task->job >= 0);
    task->end_ms = em->jobs[task->job].done_ms = world->now_ms + 25 * MINUTE;
    scene_until(world, world->now_ms + 4 * MINUTE);
    assert_int_equal(world->clones, 900);
    assert_true(scene_run(world));
    assert_int_equal(world->sends, 900);
    scene_free(world);
}

/* Clones that wait for tasks to end, not for a place among the requests: the list is read for each few of
 * them, and does not grow with the run. */
static void test_list_stays_short(void **state)
{
    (void)state;
    struct world *world = scene_quiet(1200);
    quick(world, 20);
    world->tasks_kept = 0; /* as costs tell */
    world->ems[0].settings.tasks_max = 20;
    scene_begin(world);
    assert_true(scene_run(world));
    assert_int_equal(world->sends, 1200);
    assert_int_equal(world->changed_sessions, 0);
    assert_true(world->asked[REQUEST_TIDY] > 300);
    scene_free(world);
}

/* Doubt needs the session in which it arose: its list of tasks may show whose a clone is. */
static void test_session_stays_with_doubt(void **state)
{
    (void)state;
    struct world *world = scene_quiet(900);
    quick(world, 2);
    world->scripts[0] = (struct sim_script){
        .kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .skip = 30, .count = 1};
    scene_begin(world);
    for (int i = 0; i < EVER * 10 && !scene_count(world, ITEM_IN_DOUBT); i++)
        scene_step(world);
    unsigned changed = world->changed_sessions;
    scene_until(world, world->now_ms + MINUTE);
    assert_int_equal(scene_count(world, ITEM_IN_DOUBT), 1);
    assert_int_equal(world->changed_sessions, changed);
    assert_true(scene_run(world));
    assert_int_equal(world->sends, 901);
    scene_free(world);
}

/* A request that never left is told a minute later, while its run is paused and nothing else is to be done:
 * the session is given back when that is stored, not before. */
static void test_given_back_when_stored(void **state)
{
    (void)state;
    struct world *world = scene_quiet(1);
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .count = 1};
    scene_begin(world);
    while (!world->sends && !world->failure[0])
        scene_step(world);
    world->ems[0].down_until_ms = world->now_ms + 10000;
    assert_int_equal(engine_pause_run(world->engine, world->runs[0].id), 0);
    scene_until(world, world->now_ms + 2 * MINUTE);
    assert_string_equal(world->failure, "");
    assert_int_equal(scene_count(world, ITEM_QUEUED), 1);
    assert_int_equal(world->asked[REQUEST_LOGOFF], 1);
    assert_int_equal(engine_resume_run(world->engine, world->runs[0].id), 0);
    assert_true(scene_run(world));
    scene_free(world);
}

/* A daemon lives for years: of tasks nothing is kept beyond their session and their run. */
static void test_ids_go_with_their_session(void **state)
{
    (void)state;
    struct world *world = scene_quiet(60);
    scene_begin(world);
    while (world->clones < 5)
        scene_step(world);
    const struct server *server = world->engine->servers;
    size_t before = arena_size(server->arena), few = arena_size(server->task_ids);
    assert_true(scene_run(world));
    assert_int_equal(arena_size(server->arena), before);
    engine_remove_run(world->engine, world->runs[0].id);
    scene_until(world, world->now_ms + 60 * MINUTE);
    assert_int_equal(server->n_task_owners, 0);
    assert_true(arena_size(server->task_ids) <= few);
    scene_free(world);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_lost),
        cmocka_unit_test(test_session_lost_with_what_it_accepted),
        cmocka_unit_test(test_ids_go_with_their_session),
        cmocka_unit_test(test_given_back_when_stored),
        cmocka_unit_test(test_session_changed),
        cmocka_unit_test(test_answer_of_an_old_session),
        cmocka_unit_test(test_list_of_a_lost_session),
        cmocka_unit_test(test_one_that_takes_long),
        cmocka_unit_test(test_list_stays_short),
        cmocka_unit_test(test_session_stays_with_doubt),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
