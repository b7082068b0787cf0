/* Local times and windows on ordinary days, on the days of both changes, and in a zone without any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "model/window.h"

#define HOUR INT64_C(3600000)

/* 2026: spring 2026-03-29 01:00 UTC, autumn 2026-10-25 01:00 UTC */
static const struct zone_period prague_periods[] = {
    {INT64_MIN, 3600, "CET"}, {INT64_C(1774746000000), 7200, "CEST"}, {INT64_C(1792890000000), 3600, "CET"}};
/* 2026: spring 2026-03-08 07:00 UTC, autumn 2026-11-01 06:00 UTC */
static const struct zone_period york_periods[] = {{INT64_MIN, -18000, "EST"},
                                                  {INT64_C(1772953200000), -14400, "EDT"},
                                                  {INT64_C(1793512800000), -18000, "EST"}};
static const struct zone_period kolkata_periods[] = {{INT64_MIN, 19800, "IST"}};
/* Skipped the whole of 2011-12-30. */
static const struct zone_period samoa_periods[] = {{INT64_MIN, -36000, "-10"},
                                                   {INT64_C(1325239200000), 50400, "+14"}};

static const struct zone prague = {"Europe/Prague", prague_periods, 3};
static const struct zone york = {"America/New_York", york_periods, 3};
static const struct zone kolkata = {"Asia/Kolkata", kolkata_periods, 1};
static const struct zone samoa = {"Pacific/Apia", samoa_periods, 2};

/* "2026-03-29 02:30:00" as if it were UTC. */
static int64_t at(const char *text)
{
    struct tm tm = {0};
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    return (int64_t)timegm(&tm) * 1000;
}

static const char *show(int64_t wall_ms)
{
    static char text[4][32];
    static unsigned n;
    struct tm tm;
    char *ret = text[n++ % 4];
    zone_tm(&zone_utc, wall_ms, &tm);
    strftime(ret, sizeof(text[0]), "%F %T", &tm);
    return ret;
}

static void local_times_become_moments(void **state)
{
    static const struct {
        const struct zone *zone;
        const char *local, *wall;
    } cases[] = {
        {&prague, "2026-01-15 02:30:00", "2026-01-15 01:30:00"},
        {&prague, "2026-07-15 02:30:00", "2026-07-15 00:30:00"},
        {&prague, "2026-03-29 01:59:59", "2026-03-29 00:59:59"},
        {&prague, "2026-03-29 02:00:00", "2026-03-29 01:00:00"}, /* the gap: its end */
        {&prague, "2026-03-29 02:30:00", "2026-03-29 01:00:00"},
        {&prague, "2026-03-29 03:00:00", "2026-03-29 01:00:00"},
        {&prague, "2026-03-29 03:00:01", "2026-03-29 01:00:01"},
        {&prague, "2026-10-25 01:59:59", "2026-10-24 23:59:59"},
        {&prague, "2026-10-25 02:00:00", "2026-10-25 00:00:00"}, /* twice: the first */
        {&prague, "2026-10-25 02:59:59", "2026-10-25 00:59:59"},
        {&prague, "2026-10-25 03:00:00", "2026-10-25 02:00:00"},
        {&york, "2026-03-08 02:30:00", "2026-03-08 07:00:00"},
        {&york, "2026-11-01 01:30:00", "2026-11-01 05:30:00"},
        {&york, "2026-11-01 02:00:00", "2026-11-01 07:00:00"},
        {&kolkata, "2026-03-29 02:30:00", "2026-03-28 21:00:00"},
        {&samoa, "2011-12-30 12:00:00", "2011-12-30 10:00:00"},
        {&zone_utc, "2026-03-29 02:30:00", "2026-03-29 02:30:00"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *wall = show(zone_instant(cases[i].zone, at(cases[i].local)));
        if (strcmp(wall, cases[i].wall) != 0)
            fail_msg("%s in %s is %s, not %s", cases[i].local, cases[i].zone->name, wall, cases[i].wall);
    }
}

/* Every second around the changes: what has passed lies not after now, and what comes next does. */
static void what_has_passed_is_exact(void **state)
{
    static const struct {
        const struct zone *zone;
        const char *around;
    } cases[] = {{&prague, "2026-03-29 01:00:00"},  {&prague, "2026-10-25 01:00:00"},
                 {&york, "2026-03-08 07:00:00"},    {&york, "2026-11-01 06:00:00"},
                 {&kolkata, "2026-03-29 01:00:00"}, {&samoa, "2011-12-30 10:00:00"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (int64_t s = -3 * 3600; s < 3 * 3600; s++) {
            int64_t now = at(cases[i].around) + s * 1000;
            int64_t local = zone_local_passed(cases[i].zone, now);
            if (zone_instant(cases[i].zone, local) > now || zone_instant(cases[i].zone, local + 1) <= now)
                fail_msg("%s at %s: %s has passed", cases[i].zone->name, show(now), show(local));
        }
    }
}

static void zone_tm_tells_the_clock(void **state)
{
    struct tm tm;
    char text[64];
    (void)state;
    zone_tm(&prague, at("2026-10-25 01:30:00"), &tm);
    strftime(text, sizeof(text), "%F %T %Z %z", &tm);
    assert_string_equal(text, "2026-10-25 02:30:00 CET +0100");
}

/* The window's edges as an operator sees them: when it is `now` (UTC), is it open, and until when (UTC)? */
static const struct {
    const struct zone *zone;
    unsigned from, to; /* hhmm */
    const char *now;
    bool open;
    const char *until;
} windows[] = {
    {&kolkata, 900, 1700, "2026-05-01 03:29:59", false, "2026-05-01 03:30:00"},
    {&kolkata, 900, 1700, "2026-05-01 03:30:00", true, "2026-05-01 11:30:00"},
    {&kolkata, 900, 1700, "2026-05-01 11:30:00", false, "2026-05-02 03:30:00"},
    /* over midnight */
    {&prague, 2200, 600, "2026-07-15 19:59:59", false, "2026-07-15 20:00:00"},
    {&prague, 2200, 600, "2026-07-15 20:00:00", true, "2026-07-16 04:00:00"},
    {&prague, 2200, 600, "2026-07-16 03:59:59", true, "2026-07-16 04:00:00"},
    {&prague, 2200, 600, "2026-07-16 04:00:00", false, "2026-07-16 20:00:00"},
    {&prague, 2200, 0, "2026-07-15 21:59:59", true, "2026-07-15 22:00:00"},
    {&prague, 2200, 2400, "2026-07-15 21:59:59", true, "2026-07-15 22:00:00"},
    /* the night is an hour shorter, or longer */
    {&prague, 2200, 600, "2026-03-28 23:00:00", true, "2026-03-29 04:00:00"},
    {&prague, 2200, 600, "2026-10-24 23:00:00", true, "2026-10-25 05:00:00"},
    {&york, 2200, 600, "2026-03-08 05:00:00", true, "2026-03-08 10:00:00"},
    {&york, 2200, 600, "2026-11-01 05:00:00", true, "2026-11-01 11:00:00"},
    {&kolkata, 2200, 600, "2026-03-28 20:00:00", true, "2026-03-29 00:30:00"},
    /* it opens, or closes, at a time that does not exist */
    {&prague, 230, 600, "2026-03-29 00:59:59", false, "2026-03-29 01:00:00"},
    {&prague, 2200, 230, "2026-03-29 00:59:59", true, "2026-03-29 01:00:00"},
    {&york, 230, 600, "2026-03-08 06:59:59", false, "2026-03-08 07:00:00"},
    /* and lies in the gap altogether: not on that day */
    {&prague, 210, 250, "2026-03-29 00:59:59", false, "2026-03-30 00:10:00"},
    /* it opens, or closes, at a time that exists twice: the first */
    {&prague, 230, 600, "2026-10-25 00:29:59", false, "2026-10-25 00:30:00"},
    {&prague, 230, 600, "2026-10-25 01:15:00", true, "2026-10-25 05:00:00"},
    {&prague, 2200, 230, "2026-10-25 00:29:59", true, "2026-10-25 00:30:00"},
    {&prague, 2200, 230, "2026-10-25 01:15:00", false, "2026-10-25 21:00:00"},
    {&york, 2200, 130, "2026-11-01 05:29:59", true, "2026-11-01 05:30:00"},
    {&york, 2200, 130, "2026-11-01 06:15:00", false, "2026-11-02 03:00:00"},
    /* a day that was skipped */
    {&samoa, 900, 1700, "2011-12-30 03:00:00", false, "2011-12-30 19:00:00"},
    /* before 1970 */
    {&zone_utc, 900, 1700, "1969-12-30 08:00:00", false, "1969-12-30 09:00:00"},
};

static void windows_open_and_close(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
        struct window window = {true, windows[i].from / 100 * 60 + windows[i].from % 100,
                                windows[i].to / 100 * 60 + windows[i].to % 100, *windows[i].zone};
        struct window_state got = window_at(&window, at(windows[i].now));
        if (got.open != windows[i].open || strcmp(show(got.until_ms), windows[i].until) != 0)
            fail_msg("case %zu: %s in %s: %s until %s", i, windows[i].now, windows[i].zone->name,
                     got.open ? "open" : "closed", show(got.until_ms));
    }
}

static void some_windows_never_change(void **state)
{
    struct window none = {0}, all_day = {true, 0, 1440, prague};
    (void)state;
    assert_true(window_at(&none, at("2026-03-29 01:00:00")).open);
    for (int64_t hour = 0; hour < 24 * 400; hour++) {
        struct window_state got = window_at(&all_day, at("2026-01-01 00:00:00") + hour * HOUR);
        if (!got.open || got.until_ms != INT64_MAX)
            fail_msg("the whole day ends at %s", show(got.until_ms));
    }
}

/* Whatever the moment: nothing changes before `until`, and something does then. */
static void until_is_the_next_change(void **state)
{
    static const unsigned times[][2] = {{1320, 360}, {120, 180}, {150, 150 + 30}, {180, 120}, {60, 150}};
    static const struct zone *const zones[] = {&prague, &york, &kolkata};
    (void)state;
    for (size_t z = 0; z < 3; z++) {
        for (size_t w = 0; w < sizeof(times) / sizeof(*times); w++) {
            struct window window = {true, times[w][0], times[w][1], *zones[z]};
            int64_t now = at("2026-01-01 00:00:00"), end = at("2027-01-01 00:00:00");
            while (now < end) {
                struct window_state got = window_at(&window, now);
                struct window_state before = window_at(&window, got.until_ms - 1);
                struct window_state after = window_at(&window, got.until_ms);
                if (got.until_ms <= now || before.open != got.open || before.until_ms != got.until_ms ||
                    after.open == got.open)
                    fail_msg("%s %zu at %s", zones[z]->name, w, show(now));
                now = got.until_ms;
            }
        }
    }
}

static void the_windows_clock_is_that_of_its_zone(void **state)
{
    struct window window = {true, 1320, 360, prague};
    char text[WINDOW_TEXT_MAX];
    (void)state;
    window_clock(&window, at("2026-07-15 20:00:00"), text);
    assert_string_equal(text, "22:00 CEST");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_times_become_moments),
        cmocka_unit_test(what_has_passed_is_exact),
        cmocka_unit_test(zone_tm_tells_the_clock),
        cmocka_unit_test(windows_open_and_close),
        cmocka_unit_test(some_windows_never_change),
        cmocka_unit_test(until_is_the_next_change),
        cmocka_unit_test(the_windows_clock_is_that_of_its_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
