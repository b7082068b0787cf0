/* Polling in proportion: how late an end is seen, and what that costs in requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "world.h"

#define ITEMS 1000
#define WIRE_MS 310 /* a poll's way there and back, in the mean */

/* Tasks of about `task_ms`, 200 of them at once. */
static struct world *working(uint64_t task_ms)
{
    struct world *world = scene_quiet(ITEMS);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = 50;
    em->settings.tasks_max = 200 / SIM_BACKUP_SERVERS;
    em->settings.poll_interval_ms = 100;
    em->clone_max_ms = task_ms + 201;
    em->clone_min_ms = task_ms;
    scene_begin(world);
    return world;
}

/* How late ends are seen, in the mean and at most. */
static void lateness(const struct world *world, uint64_t *ret_mean, uint64_t *ret_most)
{
    const struct sim_run *run = &world->runs[0];
    uint64_t sum = 0;
    *ret_most = 0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        const struct sim_job *job;
        char mark[ITEM_MARK_MAX];
        item_mark(mark, run->id, i);
        assert_int_equal(em_clones(run->em, mark, &job), 1);
        int64_t seen_ms = run->rows[i].finished_ms - world_instant(world).wall_ms + (int64_t)world->now_ms;
        uint64_t late = (uint64_t)seen_ms - job->done_ms;
        sum += late;
        *ret_most = late > *ret_most ? late : *ret_most;
    }
    *ret_mean = sum / ITEMS;
}

static double per_clone(const struct world *world)
{
    double all = 0;
    for (int kind = 0; kind < REQUEST_COUNT; kind++)
        all += world->asked[kind];
    return all / ITEMS;
}

/* Runs to the end; how late ends were seen. */
static void work(uint64_t task_ms, double requests_max, uint64_t *ret_mean, uint64_t *ret_most)
{
    struct world *world = working(task_ms);
    assert_true(scene_run(world));
    lateness(world, ret_mean, ret_most);
    print_message("%.2f requests per clone, seen %llu ms late, at most %llu\n", per_clone(world),
                  (unsigned long long)*ret_mean, (unsigned long long)*ret_most);
    assert_true(per_clone(world) <= requests_max);
    scene_free(world);
}

static void tasks_of_a_minute(void **state)
{
    uint64_t mean, most;
    (void)state;
    work(60000, 2.3, &mean, &most);
    assert_true(mean <= 3600 + WIRE_MS); /* half of a tenth, of what is known of the time */
    assert_true(most <= 6200 + WIRE_MS); /* tasks take up to 60.2 s */
}

static void tasks_of_a_second(void **state)
{
    uint64_t mean, most;
    (void)state;
    work(1000, 2.2, &mean, &most);
    assert_true(mean <= 110 + WIRE_MS);
}

/* Nobody knows how long tasks take until the first has ended; but how long they have been unfinished. */
static void first_tasks_that_are_long(void **state)
{
    (void)state;
    struct world *world = scene_quiet(200);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = 50;
    em->settings.tasks_max = 200;
    em->settings.poll_interval_ms = 100;
    em->settings.poll_max_ms = 10 * MINUTE;
    em->clone_min_ms = 20 * MINUTE;
    em->clone_max_ms = 20 * MINUTE + 1;
    scene_begin(world);
    assert_true(scene_run(world));
    print_message("%u lists in 20 minutes\n", world->asked[REQUEST_TASKS]);
    assert_in_range(world->asked[REQUEST_TASKS], 20, 120); /* each a tenth later than the one before */
    uint64_t most = 0;
    for (uint32_t i = 0; i < 200; i++) {
        int64_t took_ms = world->runs[0].rows[i].finished_ms - world->runs[0].rows[i].started_ms;
        most = (uint64_t)took_ms > most ? (uint64_t)took_ms : most;
    }
    assert_true(most <= 22 * MINUTE + 2 * WIRE_MS + 5000);
    scene_free(world);
}

/* What was short by now tells nothing about tasks that have been unfinished for long. */
static void long_tasks_after_short_ones(void **state)
{
    (void)state;
    struct world *world = working(200);
    struct em *em = &world->ems[0];
    em->settings.poll_max_ms = 10 * MINUTE;
    while (world->clones < ITEMS - 150 && !world->failure[0])
        scene_step(world);
    em->clone_min_ms = 20 * MINUTE;
    em->clone_max_ms = 20 * MINUTE + 1;
    unsigned before = world->asked[REQUEST_TASKS];
    assert_true(scene_run(world));
    unsigned lists = world->asked[REQUEST_TASKS] - before;
    print_message("%u lists in %llu s\n", lists, (unsigned long long)world->now_ms / 1000);
    assert_in_range(lists, 40, 300); /* for those of one backup server, then for the last ones of the other */
    scene_free(world);
}

/* When the last clone has been asked for, a list lacks those that are on their way: the one that has them all
 * is not held up by others. */
static void no_lists_beside_the_last_clones(void **state)
{
    struct world *world = working(20);
    struct em *em = &world->ems[0];
    (void)state;
    em->wire_ms = 60;
    em->settings.tasks_max = ITEMS;
    em->settings.poll_interval_ms = 20;
    while (world->asked[REQUEST_CLONE] < ITEMS && !world->failure[0])
        scene_step(world);
    unsigned before = world->asked[REQUEST_TASKS];
    assert_true(scene_run(world));
    unsigned lists = world->asked[REQUEST_TASKS] - before;
    print_message("%u lists after the last clone request\n", lists);
    assert_in_range(lists, 1, 2); /* the second for tasks that ended while the first was on its way */
    scene_free(world);
}

/* Tens of thousands may have ended when the list is read: so many are taken, and the next list has the rest.
 */
static void ends_of_a_list_are_bounded(void **state)
{
    struct world *world = scene_quiet(ITEMS);
    struct em *em = &world->ems[0];
    (void)state;
    world->items_at_once = 10;
    em->settings.in_flight_initial = em->settings.in_flight_max = 50;
    em->settings.tasks_max = ITEMS;
    em->settings.poll_interval_ms = em->settings.poll_max_ms; /* all end between two lists */
    em->clone_min_ms = 30000;
    em->clone_max_ms = 30001;
    scene_begin(world);
    assert_true(scene_run(world));
    print_message("%u lists for %d ends\n", world->asked[REQUEST_TASKS], ITEMS);
    assert_in_range(world->asked[REQUEST_TASKS], ITEMS / 80,
                    ITEMS / 80 + 6); /* some while nothing has ended */
    scene_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_of_a_minute),
        cmocka_unit_test(tasks_of_a_second),
        cmocka_unit_test(first_tasks_that_are_long),
        cmocka_unit_test(long_tasks_after_short_ones),
        cmocka_unit_test(no_lists_beside_the_last_clones),
        cmocka_unit_test(ends_of_a_list_are_bounded),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
