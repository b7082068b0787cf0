/* The hours in which a plan may send clone requests. Pure.
 *
 * A window opens on every local day at `from` and closes at `to`, of the next day if that is not
 * later. Both are moments by the rule of zone_instant: in spring what lies in the gap comes at its end (a
 * window that lies in it altogether does not open that day), in autumn the first of two equal times counts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/zone.h"

struct window {
    bool given;                /* else always open */
    unsigned from_min, to_min; /* minutes since local midnight; `to` may be 1440 */
    struct zone zone;
};

struct window_state {
    bool open;
    int64_t until_ms; /* wall time of the next change; INT64_MAX: it stays so */
};

struct window_state window_at(const struct window *window, int64_t wall_ms);

#define WINDOW_TEXT_MAX 32

/* The clock of the window's zone at that moment, for people: "22:00 CEST". */
void window_clock(const struct window *window, int64_t wall_ms, char ret[WINDOW_TEXT_MAX]);
