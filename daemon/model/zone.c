#include "model/zone.h"

#include <errno.h>

#include "base/arena.h"

static const struct zone_period utc_period = {INT64_MIN, 0, "UTC"};
const struct zone zone_utc = {"UTC", &utc_period, 1};

int zone_copy(const struct zone *zone, struct arena *arena, struct zone *ret)
{
    struct zone_period *periods = arena_take(arena, zone->n * sizeof(*periods));
    const char *name = arena_str(arena, zone->name);
    if (!periods || !name)
        return -ENOMEM;
    for (size_t i = 0; i < zone->n; i++) {
        periods[i] = zone->periods[i];
        periods[i].name = arena_intern(arena, zone->periods[i].name);
        if (!periods[i].name)
            return -ENOMEM;
    }
    *ret = (struct zone){name, periods, zone->n};
    return 0;
}

static const struct zone_period *period_at(const struct zone *zone, int64_t wall_ms)
{
    size_t low = 0, high = zone->n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (zone->periods[middle].from_ms <= wall_ms)
            low = middle;
        else
            high = middle;
    }
    return &zone->periods[low];
}

static int64_t offset_ms(const struct zone_period *period)
{
    return (int64_t)period->offset_s * 1000;
}

int64_t zone_local(const struct zone *zone, int64_t wall_ms)
{
    return wall_ms + offset_ms(period_at(zone, wall_ms));
}

int64_t zone_instant(const struct zone *zone, int64_t local_ms)
{
    const struct zone_period *period = zone->periods, *last = period + zone->n - 1;
    while (period < last && local_ms - offset_ms(period) >= period[1].from_ms)
        period++; /* the period was over before its clock showed that time */
    int64_t wall_ms = local_ms - offset_ms(period);
    return wall_ms < period->from_ms ? period->from_ms : wall_ms;
}

int64_t zone_local_passed(const struct zone *zone, int64_t wall_ms)
{
    const struct zone_period *period = period_at(zone, wall_ms);
    int64_t local_ms = wall_ms + offset_ms(period);
    if (period == zone->periods)
        return local_ms;
    int64_t before_ms = period->from_ms + offset_ms(period - 1) - 1;
    return local_ms < before_ms ? before_ms : local_ms;
}

void zone_tm(const struct zone *zone, int64_t wall_ms, struct tm *ret)
{
    const struct zone_period *period = period_at(zone, wall_ms);
    int64_t local_ms = wall_ms + offset_ms(period);
    time_t seconds = (time_t)(local_ms / 1000 - (local_ms % 1000 < 0));
    if (!gmtime_r(&seconds, ret))
        *ret = (struct tm){.tm_mday = 1};
    ret->tm_gmtoff = period->offset_s;
    ret->tm_zone = period->name;
}
