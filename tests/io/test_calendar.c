/* Schedules in virtual time: the real systemd-analyze and the system's zones, but a clock of our own. And
 * programs instead of systemd-analyze that hang, flood and talk nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "io/calendar.h"
#include "io/zones.h"
#include "model/schedule.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)

static struct arena *arena;

/* "2026-03-29 02:30" in UTC. */
static int64_t at(const char *text)
{
    struct tm tm = {0};
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
    return (int64_t)timegm(&tm) * 1000;
}

static struct schedule_calendar calendar(const char *expression, const char *zone)
{
    struct schedule_calendar ret = {.text = expression, .expression = expression};
    assert_int_equal(zones_find(zone, arena, &ret.zone), 0);
    return ret;
}

/* ---- a plan's life ---- */

struct life {
    struct schedule schedule;
    int64_t decided_ms, now_ms;
    struct buf fired; /* "due in local time @ when in local time\n" */
    unsigned n_fired, n_missed;
};

static void life_add(struct life *life, int64_t wall_ms, const char *format)
{
    char text[64];
    struct tm tm;
    zone_tm(&life->schedule.calendars[0].zone, wall_ms, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    assert_int_not_equal(strftime(text, sizeof(text), format, &tm), 0);
#pragma GCC diagnostic pop
    assert_int_equal(buf_add_str(&life->fired, text), 0);
}

static struct schedule_step life_look(struct life *life)
{
    _cleanup_(buf_done) struct buf problem = BUF_INIT(4096);
    struct schedule_dues dues;
    int64_t base_ms = schedule_base(life->decided_ms, life->now_ms);
    int r = calendar_dues(&life->schedule, base_ms, life->now_ms, &dues, &problem);
    if (r < 0)
        fail_msg("%s", buf_str(&problem));
    struct schedule_step step = schedule_step(&life->schedule, "plan", &dues, life->now_ms);
    if (step.missed_ms) {
        life->n_missed++;
        life->decided_ms = step.missed_ms;
    }
    return step;
}

/* The clock goes on until `end_ms`; what is due is noted. */
static void life_live(struct life *life, int64_t end_ms)
{
    for (;;) {
        struct schedule_step step = life_look(life);
        if (step.at_ms >= end_ms)
            break;
        if (life->now_ms < step.at_ms)
            life->now_ms = step.at_ms;
        assert_true(step.due_ms > life->decided_ms);
        life->decided_ms = step.due_ms;
        life->n_fired++;
        life_add(life, step.due_ms, "%a %d %H:%M %Z");
        if (life->now_ms - step.due_ms >= MINUTE)
            life_add(life, life->now_ms, " @ %a %d %H:%M");
        assert_int_equal(buf_add_str(&life->fired, "\n"), 0);
    }
    life->now_ms = end_ms;
}

static struct life life_of(const struct schedule_calendar *calendars, size_t n, const char *from)
{
    return (struct life){.schedule = {.given = true, .calendars = calendars, .n = n},
                         .now_ms = at(from),
                         .fired = BUF_INIT(65536)};
}

static void check_days(const char *expression, const char *zone, const char *from, const char *to,
                       const char *expected)
{
    struct schedule_calendar one = calendar(expression, zone);
    struct life life = life_of(&one, 1, from);
    life_live(&life, at(to));
    assert_string_equal(buf_str(&life.fired), expected);
    buf_done(&life.fired);
}

static void a_time_that_does_not_exist_comes_after_the_gap(void **state)
{
    (void)state;
    check_days("02:30", "Europe/Prague", "2026-03-28 00:00", "2026-03-31 00:00",
               "Sat 28 02:30 CET\nSun 29 03:00 CEST\nMon 30 02:30 CEST\n");
    check_days("02:30", "America/New_York", "2026-03-07 06:00", "2026-03-10 00:00",
               "Sat 07 02:30 EST\nSun 08 03:00 EDT\nMon 09 02:30 EDT\n");
    check_days("02:30", "Asia/Kolkata", "2026-03-28 00:00", "2026-03-30 00:00",
               "Sun 29 02:30 IST\nMon 30 02:30 IST\n");
}

static void a_time_that_exists_twice_comes_once(void **state)
{
    (void)state;
    check_days("02:30", "Europe/Prague", "2026-10-24 00:00", "2026-10-27 00:00",
               "Sat 24 02:30 CEST\nSun 25 02:30 CEST\nMon 26 02:30 CET\n");
    check_days("01:30", "America/New_York", "2026-10-31 05:00", "2026-11-03 00:00",
               "Sat 31 01:30 EDT\nSun 01 01:30 EDT\nMon 02 01:30 EST\n");
    check_days("Sun *-10-* 02:30", "Asia/Kolkata", "2026-10-24 00:00", "2026-11-01 00:00",
               "Sun 25 02:30 IST\n");
}

/* The daemon starts while the hour goes by for the second time. */
static void nothing_is_due_in_the_second_of_two_equal_hours(void **state)
{
    (void)state;
    check_days("*:0/10", "Europe/Prague", "2026-10-25 01:05", "2026-10-25 02:15",
               "Sun 25 03:00 CET\nSun 25 03:10 CET\n");
}

static unsigned count_day(const char *zone, const char *from, const char *to)
{
    struct schedule_calendar quarters = calendar("*:0/15", zone);
    struct life life = life_of(&quarters, 1, from);
    life.now_ms -= 1000; /* midnight counts */
    life_live(&life, at(to) - 1000);
    buf_done(&life.fired);
    return life.n_fired;
}

static void a_day_of_quarters(void **state)
{
    (void)state;
    assert_int_equal(count_day("Europe/Prague", "2026-06-09 22:00", "2026-06-10 22:00"), 96);
    assert_int_equal(count_day("Europe/Prague", "2026-03-28 23:00", "2026-03-29 22:00"), 92);
    assert_int_equal(count_day("Europe/Prague", "2026-10-24 22:00", "2026-10-25 23:00"), 96);
    assert_int_equal(count_day("America/New_York", "2026-03-08 05:00", "2026-03-09 04:00"), 92);
    assert_int_equal(count_day("America/New_York", "2026-11-01 04:00", "2026-11-02 05:00"), 96);
    assert_int_equal(count_day("Asia/Kolkata", "2026-03-28 18:30", "2026-03-29 18:30"), 96);
}

static void several_expressions_are_one_schedule(void **state)
{
    struct schedule_calendar both[] = {calendar("Mon..Fri 02:00", "Europe/Prague"), calendar("12:00", "UTC"),
                                       calendar("Tue 02:00", "Europe/Prague")};
    struct life life = life_of(both, 3, "2026-06-07 23:00"); /* a Monday in Prague */
    (void)state;
    life_live(&life, at("2026-06-09 23:00"));
    assert_string_equal(buf_str(&life.fired),
                        "Mon 08 02:00 CEST\nMon 08 14:00 CEST\nTue 09 02:00 CEST\nTue 09 14:00 CEST\n");
    buf_done(&life.fired);
}

static void downtime_is_caught_up_once_or_passed_over(void **state)
{
    struct schedule_calendar daily = calendar("02:00", "Europe/Prague");
    (void)state;
    for (int catch_up = 0; catch_up < 2; catch_up++) {
        struct life life = life_of(&daily, 1, "2026-06-01 12:00");
        life.schedule.catch_up = catch_up;
        life_live(&life, at("2026-06-02 12:00"));
        life.now_ms = at("2026-06-25 12:00"); /* it was down */
        life_live(&life, at("2026-06-26 12:00"));
        assert_string_equal(buf_str(&life.fired),
                            catch_up
                                ? "Tue 02 02:00 CEST\nThu 25 02:00 CEST @ Thu 25 14:00\nFri 26 02:00 CEST\n"
                                : "Tue 02 02:00 CEST\nFri 26 02:00 CEST\n");
        assert_int_equal(life.n_missed, !catch_up);
        buf_done(&life.fired);
    }
}

static void the_last_of_a_month_of_minutes_is_found(void **state)
{
    struct schedule_calendar minutes = calendar("*:*:30", "UTC");
    _cleanup_(buf_done) struct buf problem = BUF_INIT(4096);
    struct schedule schedule = {.given = true, .calendars = &minutes, .n = 1};
    struct schedule_dues dues;
    (void)state;
    assert_int_equal(
        calendar_dues(&schedule, at("2026-05-01 00:00"), at("2026-06-01 00:00"), &dues, &problem), 0);
    assert_int_equal(dues.last_ms, at("2026-06-01 00:00") - 30000);
    assert_int_equal(dues.next_ms, at("2026-06-01 00:00") + 30000);
}

static void a_clock_set_back_repeats_nothing(void **state)
{
    struct schedule_calendar hourly = calendar("hourly", "UTC");
    struct life life = life_of(&hourly, 1, "2026-06-01 00:30");
    (void)state;
    life_live(&life, at("2026-06-01 03:30"));
    life.now_ms = at("2026-06-01 01:10");
    life_live(&life, at("2026-06-01 04:30"));
    assert_string_equal(buf_str(&life.fired),
                        "Mon 01 01:00 UTC\nMon 01 02:00 UTC\nMon 01 03:00 UTC\nMon 01 04:00 UTC\n");
    buf_done(&life.fired);
}

static void jitter_puts_off(void **state)
{
    struct schedule_calendar daily = calendar("02:00", "UTC");
    struct life life = life_of(&daily, 1, "2026-06-01 00:00");
    (void)state;
    life.schedule.jitter_ms = (uint64_t)HOUR;
    for (int i = 0; i < 20; i++) {
        struct schedule_step step = life_look(&life);
        assert_in_range(step.at_ms - step.due_ms, 0, HOUR);
        life.now_ms = step.at_ms;
        life.decided_ms = step.due_ms;
    }
    assert_int_equal(life.decided_ms, at("2026-06-20 02:00"));
    buf_done(&life.fired);
}

static void what_is_over_is_never_due(void **state)
{
    (void)state;
    check_days("2020-01-01 00:00", "UTC", "2026-06-01 00:00", "2030-06-01 00:00", "");
    check_days("*-02-30", "UTC", "2026-06-01 00:00", "2030-06-01 00:00", "");
}

/* ---- expressions ---- */

static void good_expressions_are_taken(void **state)
{
    static const char *const good[] = {"daily",       "Mon..Fri 02:00", "Mon,Wed *-*-1..7 04:00:00",
                                       "*-*~1 23:59", "*:0/15",         "2030-01-01",
                                       "weekly"};
    _cleanup_(buf_done) struct buf problem = BUF_INIT(4096);
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (calendar_check(good[i], &problem) != 0)
            fail_msg("%s: %s", good[i], buf_str(&problem));
}

static void bad_expressions_are_refused(void **state)
{
    static const char *const bad[] = {"",   "sometimes", "25:00",        "Mon, Tue 02:00", "*:0/15:00.5",
                                      "-1", "--help",    "02:00\n03:00", "$(id)",          "02:00; id"};
    char lengthy[400];
    _cleanup_(buf_done) struct buf problem = BUF_INIT(4096);
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (calendar_check(bad[i], &problem) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
    memset(lengthy, '1', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = '\0';
    assert_int_equal(calendar_check(lengthy, &problem), -EINVAL);
    assert_non_null(strstr(buf_str(&problem), "256"));
}

/* ---- programs that are not systemd-analyze ---- */

static int check_with(const char *script, struct buf *problem)
{
    char path[] = "/tmp/jobclone-calendar-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script, strlen(script)), (ssize_t)strlen(script));
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    calendar_set_program(path);
    int r = calendar_check("daily", problem);
    calendar_set_program(NULL);
    unlink(path);
    return r;
}

static void its_environment_is_bare(void **state)
{
    _cleanup_(buf_done) struct buf problem = BUF_INIT(4096);
    (void)state;
    setenv("SECRET", "x", 1);
    assert_int_equal(check_with("#!/bin/sh\n[ \"$TZ\" = UTC ] && [ -z \"$SECRET\" ] && [ \"$*\" = \"calendar "
                                "--iterations=1 --base-time=@0 -- daily\" ] &&\n"
                                "echo 'Next elapse: Mon 2026-03-30 02:00:00 UTC'\n",
                                &problem),
                     0);
    unsetenv("SECRET");
}

static void strange_answers_are_not_understood(void **state)
{
    static const char *const answers[] = {"exit 0",
                                          "echo hello",
                                          "exit 7",
                                          "kill -9 $$",
                                          "echo 'Next elapse: soon'",
                                          "echo 'Next elapse: Mon 2026-03-30 02:00:00 CEST'",
                                          "echo 'Next elapse: Mon 2026-03-30 02:00:00 UTC x'",
                                          "echo 'Next elapse: never'; echo 'Next elapse: never'",
                                          "echo 'Next elapse: never'; echo 'More: 1'"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        _cleanup_(buf_done) struct buf problem = BUF_INIT(4096), script = BUF_INIT(4096);
        buf_printf(&script, "#!/bin/sh\n%s\n", answers[i]);
        int r = check_with(buf_str(&script), &problem);
        if (r != -EPROTO)
            fail_msg("%s gives %d", answers[i], r);
    }
}

static void a_flood_and_silence_have_an_end(void **state)
{
    _cleanup_(buf_done) struct buf problem = BUF_INIT(4096);
    (void)state;
    assert_int_equal(check_with("#!/bin/sh\nexec cat /dev/zero\n", &problem), -ENOBUFS);
    assert_int_equal(check_with("#!/bin/sh\nexec sleep 100\n", &problem), -ETIMEDOUT);
    assert_non_null(strstr(buf_str(&problem), "5 s"));
    assert_int_equal(check_with("#!/bin/sh\nexec >&- 2>&-\nexec sleep 100\n", &problem), -EPROTO);
}

static void a_missing_program_is_said(void **state)
{
    _cleanup_(buf_done) struct buf problem = BUF_INIT(4096);
    (void)state;
    calendar_set_program("/nonexistent/systemd-analyze");
    assert_int_equal(calendar_check("daily", &problem), -ENOENT);
    calendar_set_program(NULL);
    assert_non_null(strstr(buf_str(&problem), "install systemd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_that_does_not_exist_comes_after_the_gap),
        cmocka_unit_test(a_time_that_exists_twice_comes_once),
        cmocka_unit_test(nothing_is_due_in_the_second_of_two_equal_hours),
        cmocka_unit_test(a_day_of_quarters),
        cmocka_unit_test(several_expressions_are_one_schedule),
        cmocka_unit_test(downtime_is_caught_up_once_or_passed_over),
        cmocka_unit_test(the_last_of_a_month_of_minutes_is_found),
        cmocka_unit_test(a_clock_set_back_repeats_nothing),
        cmocka_unit_test(jitter_puts_off),
        cmocka_unit_test(what_is_over_is_never_due),
        cmocka_unit_test(good_expressions_are_taken),
        cmocka_unit_test(bad_expressions_are_refused),
        cmocka_unit_test(its_environment_is_bare),
        cmocka_unit_test(strange_answers_are_not_understood),
        cmocka_unit_test(a_flood_and_silence_have_an_end),
        cmocka_unit_test(a_missing_program_is_said),
    };
    arena = arena_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(arena);
    return failed;
}
