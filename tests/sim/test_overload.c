/* Servers that can be overloaded: the engine makes nearly as many clones as with the best fixed limit of
 * requests in flight and of unfinished tasks, and is hardly ever refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "world.h"

#define ITEMS 1200

/* Work: clones, and finished tasks tidied up; once there are 500 of these they take turns. */
struct outcome {
    unsigned work, requests, refused, limit;
};

static struct world *loaded(unsigned places, uint64_t service_ms, unsigned initial, unsigned max)
{
    struct world *world = scene_quiet(ITEMS);
    struct em *em = &world->ems[0];
    em->places = places;
    em->service_ms = service_ms;
    em->wire_ms = 2;
    em->clone_max_ms = 300;
    em->settings.in_flight_initial = initial;
    em->settings.in_flight_max = max;
    em->settings.tasks_max = ITEMS;
    return world;
}

/* What happens within so many seconds, after so many. */
static struct outcome measure(struct world *world, unsigned skip_s, unsigned for_s)
{
    const struct em *em = &world->ems[0];
    scene_begin(world);
    scene_until(world, world->now_ms + skip_s * 1000);
    struct outcome o = {world->clones + world->asked[REQUEST_TIDY], world->requests, em->refused_by_load, 0};
    scene_until(world, world->now_ms + for_s * 1000);
    o = (struct outcome){world->clones + world->asked[REQUEST_TIDY] - o.work, world->requests - o.requests,
                         em->refused_by_load - o.refused,
                         engine_server_status(world->engine, em->name).limit};
    assert_string_equal(world->failure, "");
    assert_true(world->clones < ITEMS);
    scene_free(world);
    return o;
}

static void hold(unsigned places, uint64_t service_ms, unsigned skip_s, unsigned for_s)
{
    struct outcome o = measure(loaded(places, service_ms, 8, 200), skip_s, for_s);
    unsigned best = 0, best_limit = 0;
    for (unsigned fixed = places; fixed <= places * 3; fixed += (places + 3) / 4) {
        struct outcome other = measure(loaded(places, service_ms, fixed, fixed), skip_s, for_s);
        if (other.work > best) {
            best = other.work;
            best_limit = fixed;
        }
    }
    print_message("%u places: work of %u in %u s under a limit of %u, %u of %u requests refused; "
                  "at best %u, under %u\n",
                  places, o.work, for_s, o.limit, o.refused, o.requests, best, best_limit);
    assert_true(o.work * 10 >= best * 9);
    assert_true(o.refused * 100 < o.requests);
}

static void test_2_places(void **state)
{
    (void)state;
    hold(2, 100, 5, 30);
}

static void test_8_places(void **state)
{
    (void)state;
    hold(8, 100, 5, 9);
}

static void test_40_places(void **state)
{
    (void)state;
    hold(40, 400, 6, 6);
}

/* 20 seconds of trouble at 20 places, and then the way back: half a minute with care, then one more a round.
 */
static void test_recovers(void **state)
{
    (void)state;
    struct world *world = loaded(20, 400, 8, 200);
    struct em *em = &world->ems[0];
    scene_begin(world);
    scene_until(world, world->now_ms + 4000);
    em->places = 1;
    scene_until(world, world->now_ms + 20000);
    unsigned low = engine_server_status(world->engine, em->name).limit;
    em->places = 20;
    scene_until(world, world->now_ms + 45000);
    unsigned high = engine_server_status(world->engine, em->name).limit;
    print_message("limit %u in trouble, %u afterwards; %u clones\n", low, high, world->clones);
    assert_in_range(low, 1, 8);
    assert_in_range(high, 18, 80);
    assert_string_equal(world->failure, "");
    scene_free(world);
}

/* ---- tasks ---- */

static struct world *tasked(unsigned task_places, unsigned tasks_max, unsigned in_flight)
{
    struct world *world = scene_quiet(ITEMS);
    struct em *em = &world->ems[0];
    em->wire_ms = 20;
    em->task_places = task_places;
    em->clone_max_ms = task_places ? 1800 : 1000; /* from 200 ms on */
    em->settings.in_flight_initial = em->settings.in_flight_max = in_flight;
    em->settings.tasks_max = tasks_max;
    em->settings.poll_interval_ms = 100;
    scene_begin(world);
    return world;
}

static unsigned bound_of(const struct world *world)
{
    struct backup_server_status status;
    assert_true(engine_backup_server_status(world->engine, world->ems[0].name, 0, &status));
    return status.bound;
}

/* How long 200 clones take after the first 900. */
static uint64_t last_clones_ms(struct world *world, unsigned *ret_bound)
{
    while (world->clones < 900 && !world->failure[0])
        scene_step(world);
    uint64_t from = world->now_ms;
    while (world->clones < 1100 && !world->failure[0])
        scene_step(world);
    *ret_bound = bound_of(world);
    uint64_t took = world->now_ms - from;
    assert_string_equal(world->failure, "");
    scene_free(world);
    return took;
}

/* Each backup server clones 5 at once, and more than 10 slow each other. */
static void test_tasks_in_a_crowd(void **state)
{
    (void)state;
    unsigned bound, same;
    uint64_t best = last_clones_ms(tasked(5, 10, 20), &same),
             found = last_clones_ms(tasked(5, 60, 20), &bound);
    print_message("200 clones in %u ms under a bound of %u; at best %u ms\n", (unsigned)found, bound,
                  (unsigned)best);
    assert_true(found * 9 <= best * 10);
    assert_in_range(bound, 4, 15);
}

/* The same where all that may be there could be accepted in one moment. */
static void test_tasks_in_one_moment(void **state)
{
    (void)state;
    unsigned bound;
    uint64_t found = last_clones_ms(tasked(5, 60, 200), &bound);
    print_message("200 clones in %u ms under a bound of %u\n", (unsigned)found, bound);
    assert_in_range(bound, 3, 15);
}

/* All at once where they run side by side: what is allowed is used. */
static void test_tasks_side_by_side(void **state)
{
    (void)state;
    struct world *world = tasked(0, ITEMS, 20);
    unsigned low = UINT32_MAX;
    for (int i = 0; i < 2000000 && world->clones < ITEMS && !world->failure[0]; i++) {
        struct backup_server_status status;
        scene_step(world);
        if (engine_backup_server_status(world->engine, world->ems[0].name, 0, &status))
            low = status.bound < low ? status.bound : low;
    }
    assert_true(scene_run(world));
    assert_int_equal(low, ITEMS);
    scene_free(world);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_places),           cmocka_unit_test(test_8_places),
        cmocka_unit_test(test_40_places),          cmocka_unit_test(test_recovers),
        cmocka_unit_test(test_tasks_in_a_crowd),   cmocka_unit_test(test_tasks_in_one_moment),
        cmocka_unit_test(test_tasks_side_by_side),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
