/* The system's time zones as values, against what is known of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "io/zones.h"
#include "model/zone.h"

static struct arena *arena;

static struct zone zone(const char *name)
{
    struct zone ret;
    assert_int_equal(zones_find(name, arena, &ret), 0);
    return ret;
}

static int64_t ms(int year, int month, int day, int hour, int minute, int second)
{
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    return (int64_t)timegm(&tm) * 1000;
}

static void changes_come_at_their_second(void **state)
{
    struct zone prague = zone("Europe/Prague"), york = zone("America/New_York");
    int64_t spring = ms(2026, 3, 29, 1, 0, 0), autumn = ms(2026, 11, 1, 6, 0, 0);
    (void)state;
    assert_string_equal(prague.name, "Europe/Prague");
    assert_int_equal(zone_local(&prague, spring - 1) - (spring - 1), 3600000);
    assert_int_equal(zone_local(&prague, spring) - spring, 7200000);
    assert_int_equal(zone_local(&york, autumn - 1) - (autumn - 1), -4 * 3600000);
    assert_int_equal(zone_local(&york, autumn) - autumn, -5 * 3600000);
    assert_int_equal(zone_local(&prague, ms(2037, 7, 1, 0, 0, 0)), ms(2037, 7, 1, 2, 0, 0));
}

static void a_zone_without_changes_has_one_period(void **state)
{
    struct zone kolkata = zone("Asia/Kolkata");
    (void)state;
    assert_int_equal(kolkata.n, 1);
    assert_int_equal(kolkata.periods[0].offset_s, 19800);
    assert_int_equal(zone("UTC").n, 1);
}

/* Morocco changes four times a year, Samoa skipped a day. */
static void odd_zones_are_whole(void **state)
{
    struct zone morocco = zone("Africa/Casablanca"), samoa = zone("Pacific/Apia");
    size_t in_2026 = 0;
    (void)state;
    for (size_t i = 0; i < morocco.n; i++)
        in_2026 += morocco.periods[i].from_ms >= ms(2026, 1, 1, 0, 0, 0) &&
                   morocco.periods[i].from_ms < ms(2027, 1, 1, 0, 0, 0);
    assert_int_equal(in_2026, 2);
    int64_t skip = ms(2011, 12, 30, 10, 0, 0);
    assert_int_equal(zone_local(&samoa, skip) - zone_local(&samoa, skip - 1), 86400001);
}

static void what_is_no_zone_is_refused(void **state)
{
    static const char *const wrong[] = {
        "", "/etc/passwd", "../zoneinfo/UTC", "+01:00", "Europe Prague", "Europe/Prague,M3", "tzdata.zi"};
    static const char *const missing[] = {"Europe/Praha", "CET-1CEST", "Europe", "europe/prague"};
    struct zone ret;
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        if (zones_find(wrong[i], arena, &ret) != -EINVAL)
            fail_msg("\"%s\" is taken for a name", wrong[i]);
    for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++)
        if (zones_find(missing[i], arena, &ret) != -ENOENT)
            fail_msg("\"%s\" is found", missing[i]);
    assert_string_equal(zones_near("Europe/Praha", arena), "Europe/Prague");
    assert_string_equal(zones_near("america/new york", arena), "America/New_York");
    assert_null(zones_near("Nowhere/Special", arena));
}

static void the_systems_own_zone_is_that_of_tz(void **state)
{
    (void)state;
    const char *before = getenv("TZ");
    setenv("TZ", ":America/New_York", 1);
    assert_string_equal(zone(NULL).name, "America/New_York");
    setenv("TZ", "XYZ-01:02:03", 1);
    struct zone own = zone(NULL);
    assert_int_equal(own.periods[0].offset_s, 3723);
    assert_string_equal(own.periods[0].name, "XYZ");
    if (before)
        setenv("TZ", before, 1);
    else
        unsetenv("TZ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_come_at_their_second),
        cmocka_unit_test(a_zone_without_changes_has_one_period),
        cmocka_unit_test(odd_zones_are_whole),
        cmocka_unit_test(what_is_no_zone_is_refused),
        cmocka_unit_test(the_systems_own_zone_is_that_of_tz),
    };
    arena = arena_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(arena);
    return failed;
}
