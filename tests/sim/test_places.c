/* Who gets a place among the requests in flight: nobody waits for ever, and there are never more than
 * allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "world.h"

static size_t count_final(const struct sim_run *run)
{
    size_t n = 0;
    for (size_t i = 0; i < run->n_items; i++)
        n += run->stored[i] && item_state_final(run->rows[i].state);
    return n;
}

static struct sim_run *add_small(struct world *world)
{
    struct sim_run *run = scene_add_rival(world, ON_CONFLICT_FAIL);
    run->n_items = 5;
    run->names = run->id[25];
    daemon_add_run(world, run);
    return run;
}

/* A run whose clones take all places, one after another, does not keep a small one from reading its names. */
static void small_beside_large(unsigned in_flight)
{
    struct world *world = scene_quiet(1200);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = in_flight;
    em->settings.tasks_max = 1200;
    em->clone_max_ms = 300;
    scene_begin(world);
    scene_until(world, 10000);
    size_t before = count_final(&world->runs[0]);
    struct sim_run *small = add_small(world);
    for (int i = 0; i < 1000000 && !world->failure[0] && count_final(small) < 5; i++)
        scene_step(world);
    assert_string_equal(world->failure, "");
    print_message("%zu clones of the large run, until 5 of the small one\n",
                  count_final(&world->runs[0]) - before);
    assert_true(count_final(&world->runs[0]) - before < 150);
    assert_true(scene_run(world));
    scene_free(world);
}

static void test_small_beside_large(void **state)
{
    (void)state;
    small_beside_large(1);
    small_beside_large(2);
    small_beside_large(8);
}

/* Clones that come back from doubt while their names are read anew, and that is refused: they have failed,
 * and take no place of others. */
static void names_refused_after_doubt(unsigned tries)
{
    struct world *world = scene_quiet(12);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = 6;
    em->settings.tasks_max = 20;
    em->settings.settle_ms = 4 * MINUTE;
    em->settings.unreachable_ms = 60 * MINUTE;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .count = 12};
    scene_begin(world);
    scene_until(world, 2 * MINUTE);
    assert_int_equal(engine_pause_run(world->engine, world->runs[0].id), 0);
    scene_until(world, 3 * MINUTE);
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_NAMES, .spoil = spoil_by_name("500-before"), .count = tries};
    world->scripts[1] = (struct sim_script){.kind = REQUEST_NAMES, .spoil = spoil_by_name("403"), .count = 1};
    assert_int_equal(engine_resume_run(world->engine, world->runs[0].id), 0);
    scene_until(world, 15 * MINUTE);
    assert_int_equal(world->scripts[1].answered, 1);
    add_small(world);
    assert_true(scene_run(world));
    scene_free(world);
}

static void test_names_refused_after_doubt(void **state)
{
    (void)state;
    for (unsigned tries = 8; tries < 14; tries++)
        names_refused_after_doubt(tries);
}

/* The marks of the first clones are read back when there is a place for it. */
static void test_no_more_than_allowed(void **state)
{
    (void)state;
    struct world *world = scene_quiet(40);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = 1;
    em->clone_max_ms = 300;
    scene_begin(world);
    while (!world->runs[0].ended && !world->failure[0] && scene_step(world))
        assert_true(engine_server_status(world->engine, em->name).in_flight <= 1);
    assert_true(scene_run(world));
    assert_int_equal(world->asked[REQUEST_JOB], 4 + 4); /* the sources, and one of each kind */
    scene_free(world);
}

/* Where tasks are not listed they are asked for in turn: some that take long do not hide the others' ends. */
static void test_single_looks_take_turns(void **state)
{
    (void)state;
    struct world *world = scene_quiet(40);
    struct em *em = &world->ems[0];
    em->quirk = QUIRK_NO_LIST;
    em->settings.tasks_max = 20;
    em->clone_max_ms = 25 * MINUTE;
    em->clone_min_ms = em->clone_max_ms - 1;
    scene_begin(world);
    while (world->clones < 12)
        scene_step(world);
    em->clone_min_ms = 0;
    em->clone_max_ms = 1000;
    scene_until(world, 3 * MINUTE);
    assert_int_equal(count_final(&world->runs[0]), 40 - 12);
    assert_true(scene_run(world));
    scene_free(world);
}

/* Nothing is asked for before Retry-After is over, a session neither. */
static void test_logon_rests(void **state)
{
    (void)state;
    struct world *world = scene_quiet(4);
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_LOGON, .spoil = spoil_by_name("429-wait"), .count = 1};
    scene_begin(world);
    while (world->asked[REQUEST_LOGON] < 2)
        scene_step(world);
    assert_true(world->now_ms >= world->scripts[0].answered_ms + 7000);
    assert_true(scene_run(world));
    scene_free(world);
}

/* The longest time between two clone requests while there is one place and the first clones are in doubt. */
static uint64_t longest_wait_ms(struct world *world)
{
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = 1;
    em->settings.tasks_max = 100;
    em->settings.poll_interval_ms = em->settings.poll_max_ms = 100;
    em->wire_ms = 50;
    em->clone_min_ms = 30000;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("500-before"), .count = 10};
    scene_begin(world);
    while (world->asked[REQUEST_CLONE] < 11 && !world->failure[0])
        scene_step(world);
    uint64_t last_ms = world->now_ms, longest = 0;
    for (unsigned before = 11; before < 60 && !world->failure[0];) {
        scene_step(world);
        if (world->asked[REQUEST_CLONE] == before)
            continue;
        before = world->asked[REQUEST_CLONE];
        longest = world->now_ms - last_ms > longest ? world->now_ms - last_ms : longest;
        last_ms = world->now_ms;
    }
    print_message("%u pages of jobs, at most %llu ms between two clone requests\n",
                  world->asked[REQUEST_SWEEP], (unsigned long long)longest);
    assert_true(scene_run(world));
    scene_free(world);
    return longest;
}

/* A look for clones in doubt that has a hundred pages takes turns with clone requests. */
static void test_pages_take_turns(void **state)
{
    (void)state;
    struct world *world = scene_quiet(100);
    world->ems[0].page_size = 10;
    while (world->ems[0].n_jobs < 1000)
        em_add_job(&world->ems[0], "filler", "Backup", 0);
    assert_true(longest_wait_ms(world) < 1000);
}

/* Nor is a place kept for a look that turns out not to be due: between two clone requests there is one other
 * request at most, whose way there and back takes 104 ms like theirs. */
static void test_no_place_is_idle(void **state)
{
    (void)state;
    assert_true(longest_wait_ms(scene_quiet(100)) <= 208);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_beside_large),   cmocka_unit_test(test_names_refused_after_doubt),
        cmocka_unit_test(test_no_more_than_allowed), cmocka_unit_test(test_single_looks_take_turns),
        cmocka_unit_test(test_logon_rests),          cmocka_unit_test(test_pages_take_turns),
        cmocka_unit_test(test_no_place_is_idle),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
