/* Scenarios of windows: what waits, what goes on, and what is looked at anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "world.h"

#define ITEMS 24

/* A quiet world whose run has a window that opens, and closes again, so many minutes after its beginning. */
static struct world *windowed(size_t n_items, int opens_min, int closes_min)
{
    struct world *world = scene_quiet(n_items);
    int64_t minute = world_instant(world).wall_ms / (int64_t)MINUTE + 1440;
    world->runs[0].window = (struct window){.given = true,
                                            .from_min = (unsigned)((minute + opens_min) % 1440),
                                            .to_min = (unsigned)((minute + closes_min) % 1440),
                                            .zone = zone_utc};
    world->peace_ms = 3 * 24 * 60 * MINUTE;
    world->ems[0].settings.tasks_max = 1;
    scene_begin(world);
    return world;
}

static void ends_well(struct world *world)
{
    bool well = scene_run(world);
    assert_string_equal(world->failure, "");
    assert_true(well);
}

static unsigned count(const struct world *world, enum item_state state)
{
    const struct sim_run *run = &world->runs[0];
    unsigned n = 0;
    for (size_t i = 0; i < run->n_items; i++)
        n += run->stored[i] && run->rows[i].state == state;
    return n;
}

static void nothing_is_asked_before_it_opens(void **state)
{
    (void)state;
    struct world *world = windowed(3, 30, 90);
    scene_until(world, 29 * MINUTE);
    assert_int_equal(world->requests, 0);
    struct run_status status = engine_run_status(world->engine, world->runs[0].id);
    assert_int_equal(status.opens_ms, (world_instant(world).wall_ms / (int64_t)MINUTE + 1) * (int64_t)MINUTE);
    ends_well(world);
    assert_int_equal(world->sends, 3);
    assert_true(world->now_ms < 40 * MINUTE);
    scene_free(world);
}

/* By then somebody has made a job of a name that an item waits for. */
static void names_are_read_anew_when_it_opens_again(void **state)
{
    (void)state;
    struct world *world = windowed(ITEMS, -10, 1);
    scene_until(world, 3 * MINUTE);
    unsigned sent = world->sends, asked = world->asked[REQUEST_NAMES];
    assert_in_range(sent, 1, ITEMS - 1);
    em_add_job(&world->ems[0], "Clone A 22", "Backup", 22 % SIM_BACKUP_SERVERS);
    scene_until(world, 10 * 60 * MINUTE);
    assert_int_equal(world->sends, sent);
    assert_int_equal(world->asked[REQUEST_NAMES], asked);
    assert_int_equal(count(world, ITEM_SUCCEEDED), sent);
    ends_well(world);
    assert_true(world->asked[REQUEST_NAMES] > asked);
    assert_int_equal(world->runs[0].rows[22].state, ITEM_FAILED);
    assert_int_equal(world->runs[0].rows[22].error, ITEM_E_NAME_CONFLICT);
    assert_int_equal(count(world, ITEM_SUCCEEDED), ITEMS - 1);
    scene_free(world);
}

/* What is in doubt is settled while it is closed, but sent again only when it is open. */
static void doubt_does_not_wait_for_it(void **state)
{
    (void)state;
    struct world *world = scene_quiet(1);
    int64_t minute = world_instant(world).wall_ms / (int64_t)MINUTE;
    world->runs[0].window = (struct window){.given = true,
                                            .from_min = (unsigned)(minute % 1440),
                                            .to_min = (unsigned)((minute + 2) % 1440),
                                            .zone = zone_utc};
    world->peace_ms = 3 * 24 * 60 * MINUTE;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .count = 1};
    scene_begin(world);
    scene_until(world, 60 * MINUTE);
    assert_int_equal(count(world, ITEM_QUEUED), 1); /* its absence was proven */
    assert_int_equal(world->sends, 1);
    ends_well(world);
    assert_int_equal(world->sends, 2);
    scene_free(world);
}

/* The last clone is stored and waits for the answer to the one before: it does not leave with that answer. */
static void what_is_stored_waits_too(void **state)
{
    (void)state;
    struct world *world = scene_quiet(2);
    int64_t minute = world_instant(world).wall_ms / (int64_t)MINUTE;
    world->runs[0].window = (struct window){.given = true,
                                            .from_min = (unsigned)(minute % 1440),
                                            .to_min = (unsigned)((minute + 1) % 1440),
                                            .zone = zone_utc};
    world->peace_ms = 3 * 24 * 60 * MINUTE;
    world->ems[0].settings.in_flight_initial = world->ems[0].settings.in_flight_max = 1;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("slow-answer"), .count = 1};
    scene_begin(world);
    ends_well(world); /* the world fails when a request leaves while it is closed */
    assert_true(world->now_ms > 23 * 60 * MINUTE);
    scene_free(world);
}

/* A run that is only looked at asks for no names when its window opens again, and nothing spins. */
static void one_that_is_looked_at_reads_no_names(void **state)
{
    (void)state;
    struct world *world = windowed(4, -10, 1);
    while (!world->asked[REQUEST_CLONE])
        scene_step(world);
    world->runs[0].looked_at = true;
    daemon_crash(world);
    world->ems[0].down_until_ms = 24 * 60 * MINUTE;
    scene_until(world, 24 * 60 * MINUTE + 5000);
    uint64_t turns = world->turns;
    scene_until(world, 24 * 60 * MINUTE + 65000);
    assert_true(world->turns - turns < 2000);
    scene_free(world);
}

static void a_clock_that_is_set_is_noticed_within_a_minute(void **state)
{
    (void)state;
    struct world *world = windowed(2, 120, 240);
    scene_until(world, 5 * MINUTE);
    assert_int_equal(world->requests, 0);
    world->skew_ms = 125 * (int64_t)MINUTE;
    scene_until(world, 6 * MINUTE + 10000);
    assert_true(world->requests > 0);
    ends_well(world);
    scene_free(world);
}

static void a_cancelled_run_does_not_wait(void **state)
{
    (void)state;
    struct world *world = windowed(2, 120, 240);
    scene_until(world, 5 * MINUTE);
    assert_int_equal(engine_cancel_run(world->engine, world->runs[0].id, false), 0);
    ends_well(world);
    assert_true(world->now_ms < 10 * MINUTE);
    assert_int_equal(count(world, ITEM_CANCELLED), 2);
    assert_int_equal(world->sends, 0);
    scene_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_asked_before_it_opens),
        cmocka_unit_test(names_are_read_anew_when_it_opens_again),
        cmocka_unit_test(doubt_does_not_wait_for_it),
        cmocka_unit_test(what_is_stored_waits_too),
        cmocka_unit_test(one_that_is_looked_at_reads_no_names),
        cmocka_unit_test(a_clock_that_is_set_is_noticed_within_a_minute),
        cmocka_unit_test(a_cancelled_run_does_not_wait),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
