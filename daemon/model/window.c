#include "model/window.h"

#define DAY_MS INT64_C(86400000)
#define DAYS_BEFORE \
    2 /* a window that opened the day before yesterday may be open in a zone that skipped a day */
#define DAYS_AFTER 3 /* likewise, and one that does not open at all that day */

struct hours {
    int64_t open_ms, close_ms; /* wall time */
};

static struct hours hours_of(const struct window *window, int64_t day)
{
    int64_t midnight = day * DAY_MS;
    int64_t over = window->to_min > window->from_min ? 0 : DAY_MS;
    return (struct hours){zone_instant(&window->zone, midnight + (int64_t)window->from_min * 60000),
                          zone_instant(&window->zone, midnight + over + (int64_t)window->to_min * 60000)};
}

static int64_t day_at(const struct window *window, int64_t wall_ms)
{
    int64_t local_ms = zone_local(&window->zone, wall_ms);
    return local_ms / DAY_MS - (local_ms % DAY_MS < 0);
}

struct window_state window_at(const struct window *window, int64_t wall_ms)
{
    struct window_state state = {.open = !window->given, .until_ms = INT64_MAX};
    if (!window->given)
        return state;
    int64_t today = day_at(window, wall_ms);
    for (int64_t day = today - DAYS_BEFORE; day <= today + DAYS_AFTER; day++) {
        struct hours hours = hours_of(window, day);
        int64_t from = state.open ? state.until_ms : wall_ms;
        if (hours.open_ms <= from && from < hours.close_ms) {
            state.open = true; /* or it goes on: a day's end may be the next one's beginning */
            state.until_ms = hours.close_ms;
        } else if (!state.open && hours.open_ms > wall_ms && hours.open_ms < hours.close_ms) {
            state.until_ms = hours.open_ms;
            break;
        }
    }
    /* From 00:00 to 24:00: it never closes. */
    if (state.open && state.until_ms - wall_ms > 2 * DAY_MS)
        state.until_ms = INT64_MAX;
    return state;
}

void window_clock(const struct window *window, int64_t wall_ms, char ret[WINDOW_TEXT_MAX])
{
    struct tm tm;
    zone_tm(&window->zone, wall_ms, &tm);
    if (strftime(ret, WINDOW_TEXT_MAX, "%H:%M %Z", &tm) == 0)
        ret[0] = '\0';
}
