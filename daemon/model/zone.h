/* The rules of one time zone as a value: which offset holds when. Two kinds of
 * times meet here. A wall time is Unix time in milliseconds, as in struct
 * instant. A local time is what a clock on the wall of that zone shows, counted
 * in milliseconds as if it were UTC: 1970-01-01 00:00 local is 0. io/zones makes
 * zones from the system's files. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* From `from_ms` on, until the next period begins. */
struct zone_period {
    int64_t from_ms;  /* wall time; INT64_MIN for the first */
    int32_t offset_s; /* local minus UTC */
    const char *name; /* as in "CEST" */
};

struct zone {
    const char *name; /* as in "Europe/Prague" */
    const struct zone_period *periods;
    size_t n; /* at least 1 */
};

extern const struct zone zone_utc;

struct arena;

/* A copy with everything it refers to in that arena. 0 or -ENOMEM. */
int zone_copy(const struct zone *zone, struct arena *arena, struct zone *ret);

/* What the clock shows at that moment. */
int64_t zone_local(const struct zone *zone, int64_t wall_ms);

/* The moment of a local time. One that does not exist (spring) is the first moment
 * after the gap; of one that exists twice (autumn) it is the first. */
int64_t zone_instant(const struct zone *zone, int64_t local_ms);

/* The latest local time whose moment, as zone_instant has it, is not after `wall_ms`. While an hour
 * passes for the second time that is its end: all of its times have been. */
int64_t zone_local_passed(const struct zone *zone, int64_t wall_ms);

/* For strftime, with offset and name of the zone; tm_zone is borrowed from it. Zeroes when the year
 * does not fit. */
void zone_tm(const struct zone *zone, int64_t wall_ms, struct tm *ret);
