/* What follows from due times: late, missed, caught up, put off, and never twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "model/schedule.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define NOW INT64_C(1790000000000)

static struct schedule_step step(struct schedule schedule, int64_t last_ms, int64_t next_ms)
{
    struct schedule_dues dues = {last_ms, next_ms};
    return schedule_step(&schedule, "nightly", &dues, NOW);
}

static void what_was_decided_is_where_it_goes_on(void **state)
{
    (void)state;
    assert_int_equal(schedule_base(0, NOW), NOW); /* a new plan: nothing was missed */
    assert_int_equal(schedule_base(NOW - 30 * DAY, NOW), NOW - 30 * DAY);
    assert_int_equal(schedule_base(NOW + HOUR, NOW), NOW + HOUR); /* the clock was set back: not again */
    assert_int_equal(schedule_base(NOW + 3000 * DAY, NOW), NOW);  /* it was far ahead, once */
}

static void a_due_time_to_come_is_waited_for(void **state)
{
    (void)state;
    struct schedule_step got = step((struct schedule){0}, 0, NOW + HOUR);
    assert_int_equal(got.due_ms, NOW + HOUR);
    assert_int_equal(got.at_ms, NOW + HOUR);
    assert_int_equal(got.missed_ms, 0);
    got = step((struct schedule){0}, 0, SCHEDULE_NEVER);
    assert_int_equal(got.due_ms, SCHEDULE_NEVER);
    assert_int_equal(got.at_ms, SCHEDULE_NEVER);
}

static void a_minute_late_is_in_time(void **state)
{
    (void)state;
    struct schedule_step got = step((struct schedule){0}, NOW - MINUTE, NOW + HOUR);
    assert_int_equal(got.due_ms, NOW - MINUTE);
    got = step((struct schedule){0}, NOW - MINUTE - 1, NOW + HOUR);
    assert_int_equal(got.due_ms, NOW + HOUR);
    assert_int_equal(got.missed_ms, NOW - MINUTE - 1);
}

static void catch_up_takes_what_was_missed(void **state)
{
    (void)state;
    struct schedule_step got = step((struct schedule){.catch_up = true}, NOW - 9 * DAY, NOW + HOUR);
    assert_int_equal(got.due_ms, NOW - 9 * DAY);
    assert_int_equal(got.missed_ms, 0);
}

static void a_machine_that_slept_has_missed_it(void **state)
{
    struct schedule schedule = {0}, caught = {.catch_up = true};
    (void)state;
    struct schedule_step waits = step(schedule, 0, NOW + HOUR);
    assert_true(schedule_in_time(&schedule, &waits, NOW + HOUR + 1));
    assert_false(schedule_in_time(&schedule, &waits, NOW + 3 * HOUR));
    assert_true(schedule_in_time(&caught, &waits, NOW + 3 * HOUR));
}

static void jitter_is_fixed_for_a_due_time(void **state)
{
    struct schedule schedule = {.jitter_ms = 5 * MINUTE};
    int64_t least = INT64_MAX, most = 0;
    (void)state;
    for (int i = 0; i < 500; i++) {
        int64_t due = NOW + i * DAY;
        struct schedule_dues dues = {0, due};
        int64_t at = schedule_step(&schedule, "nightly", &dues, NOW).at_ms - due;
        int64_t again = schedule_step(&schedule, "nightly", &dues, NOW - 1).at_ms - due;
        assert_int_equal(at, again);
        least = at < least ? at : least;
        most = at > most ? at : most;
    }
    assert_in_range(least, 0, MINUTE);
    assert_in_range(most, 4 * MINUTE, 5 * MINUTE);
    struct schedule_dues dues = {0, NOW};
    assert_int_not_equal(schedule_step(&schedule, "nightly", &dues, NOW).at_ms,
                         schedule_step(&schedule, "weekly", &dues, NOW).at_ms);
}

/* While it is put off it is not late. */
static void a_due_time_within_its_jitter_is_in_time(void **state)
{
    struct schedule schedule = {.jitter_ms = (uint64_t)DAY};
    (void)state;
    for (int i = 1; i < 50; i++) {
        struct schedule_step got = step(schedule, NOW - i * MINUTE, NOW + 2 * DAY);
        assert_true(got.missed_ms ? got.due_ms == NOW + 2 * DAY : got.at_ms >= NOW - MINUTE);
    }
}

static void one_run_at_a_time(void **state)
{
    (void)state;
    assert_int_equal(schedule_judge(SCHEDULE_OVERLAP_SKIP, 0), SCHEDULE_START);
    assert_int_equal(schedule_judge(SCHEDULE_OVERLAP_SKIP, 1), SCHEDULE_SKIP);
    assert_int_equal(schedule_judge(SCHEDULE_OVERLAP_QUEUE, 0), SCHEDULE_START);
    assert_int_equal(schedule_judge(SCHEDULE_OVERLAP_QUEUE, 1), SCHEDULE_WAIT);
    assert_int_equal(schedule_judge(SCHEDULE_OVERLAP_QUEUE, 2), SCHEDULE_SKIP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_decided_is_where_it_goes_on),
        cmocka_unit_test(a_due_time_to_come_is_waited_for),
        cmocka_unit_test(a_minute_late_is_in_time),
        cmocka_unit_test(catch_up_takes_what_was_missed),
        cmocka_unit_test(a_machine_that_slept_has_missed_it),
        cmocka_unit_test(jitter_is_fixed_for_a_due_time),
        cmocka_unit_test(a_due_time_within_its_jitter_is_in_time),
        cmocka_unit_test(one_run_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
