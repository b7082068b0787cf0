/* Scenarios of timeouts.run: it counts from the start of the run, whatever becomes of the daemon meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "world.h"

#define ITEMS 32
#define CLONE_MS (4 * MINUTE)
#define TIME_MS (30 * MINUTE)

/* A quiet world in which a run has time for about half of its clones, one after the other. */
static struct world *short_of_time(void)
{
    struct world *world = scene_quiet(ITEMS);
    world->runs[0].run_timeout_ms = TIME_MS;
    world->ems[0].clone_min_ms = CLONE_MS;
    world->ems[0].clone_max_ms = CLONE_MS + 1;
    world->ems[0].settings.tasks_max = 1;
    world->ems[0].settings.in_flight_initial = world->ems[0].settings.in_flight_max = 1;
    world->keeps_permille = 1000; /* tasks that run are no doubt: it is about time here */
    scene_begin(world);
    return world;
}

static unsigned count(const struct world *world, enum item_state state, enum item_error error)
{
    const struct sim_run *run = &world->runs[0];
    unsigned n = 0;
    for (size_t i = 0; i < run->n_items; i++)
        n += run->stored[i] && run->rows[i].state == state && run->rows[i].error == error;
    return n;
}

static void ends_well(struct world *world)
{
    bool well = scene_run(world);
    assert_string_equal(world->failure, "");
    assert_true(well);
}

/* The end comes when it would have come without them. */
static void restarts_give_no_time(void **state)
{
    (void)state;
    struct world *world = short_of_time();
    for (unsigned i = 1; i <= 4; i++) {
        scene_until(world, world->now_ms + 7 * MINUTE);
        daemon_crash(world);
    }
    unsigned sent = world->sends;
    assert_in_range(sent, 2, ITEMS - 2);
    ends_well(world);
    assert_in_range(world->sends, sent, sent + 2); /* one of each backup server, before the end */
    assert_int_equal(count(world, ITEM_SUCCEEDED, ITEM_OK), world->sends);
    assert_int_equal(count(world, ITEM_FAILED, ITEM_E_RUN_TIMEOUT), ITEMS - world->sends);
    assert_true(world->now_ms < TIME_MS + 3 * CLONE_MS);
    scene_free(world);
}

/* The daemon was away when the time was over: nothing is sent any more, and what was under way has its end.
 */
static void it_may_be_over_when_the_daemon_is_back(void **state)
{
    (void)state;
    struct world *world = short_of_time();
    scene_until(world, world->now_ms + 7 * MINUTE);
    unsigned sent = world->sends;
    world->now_ms += 2 * TIME_MS; /* nobody notices */
    daemon_crash(world);
    ends_well(world);
    assert_int_equal(world->sends, sent);
    assert_int_equal(count(world, ITEM_SUCCEEDED, ITEM_OK), sent);
    assert_int_equal(count(world, ITEM_FAILED, ITEM_E_RUN_TIMEOUT), ITEMS - sent);
    scene_free(world);
}

/* A retry has the whole time, and a restart after it does not count from the first start. */
static void a_retry_begins_it_anew_and_durably(void **state)
{
    (void)state;
    struct world *world = short_of_time();
    ends_well(world);
    int64_t first = world->runs[0].started_ms;
    unsigned late = count(world, ITEM_FAILED, ITEM_E_RUN_TIMEOUT);
    assert_in_range(late, 2, ITEMS - 2);
    scene_until(world, world->now_ms + 1000); /* its end is stored */
    assert_int_equal(engine_retry_run(world->engine, world->runs[0].id), 0);
    scene_until(world, world->now_ms + MINUTE);
    assert_true(world->runs[0].started_ms >= first + (int64_t)TIME_MS);
    daemon_crash(world);
    scene_until(world, world->now_ms + MINUTE);
    assert_int_equal(count(world, ITEM_FAILED, ITEM_E_RUN_TIMEOUT), 0);
    ends_well(world);
    assert_true(count(world, ITEM_FAILED, ITEM_E_RUN_TIMEOUT) < late);
    scene_free(world);
}

/* What was spent cannot be told then: nothing was. */
static void a_clock_that_was_set_back_spends_nothing(void **state)
{
    (void)state;
    struct world *world = short_of_time();
    scene_until(world, world->now_ms + 20 * MINUTE);
    unsigned sent = world->sends;
    world->skew_ms = -24 * 60 * (int64_t)MINUTE;
    daemon_crash(world);
    scene_until(world, world->now_ms + 20 * MINUTE);
    assert_int_equal(count(world, ITEM_FAILED, ITEM_E_RUN_TIMEOUT), 0);
    assert_true(world->sends > sent + 2);
    daemon_crash(world); /* and from that on it counts */
    ends_well(world);
    assert_true(world->now_ms < 20 * MINUTE + TIME_MS + 3 * CLONE_MS);
    assert_true(count(world, ITEM_FAILED, ITEM_E_RUN_TIMEOUT) > 0);
    scene_free(world);
}

static void what_was_cancelled_stays_so(void **state)
{
    (void)state;
    struct world *world = short_of_time();
    world->items_at_once = 1;
    daemon_crash(world);
    scene_until(world, world->now_ms + 7 * MINUTE);
    assert_int_equal(engine_cancel_run(world->engine, world->runs[0].id, false), 0);
    while (world->runs[0].wish != RUN_WISH_CANCEL)
        scene_step(world);
    world->now_ms += 2 * TIME_MS;
    daemon_crash(world);
    ends_well(world);
    assert_true(count(world, ITEM_CANCELLED, ITEM_E_CANCELLED) > 0);
    assert_int_equal(count(world, ITEM_FAILED, ITEM_E_RUN_TIMEOUT), 0);
    scene_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restarts_give_no_time),
        cmocka_unit_test(it_may_be_over_when_the_daemon_is_back),
        cmocka_unit_test(a_retry_begins_it_anew_and_durably),
        cmocka_unit_test(a_clock_that_was_set_back_spends_nothing),
        cmocka_unit_test(what_was_cancelled_stays_so),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
