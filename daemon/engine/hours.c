/* A run's window: clone requests leave while it is open, everything else goes on. It is looked at
 * when it is to change, every minute, and when the clock was set (design note 16). */
#include <stdlib.h>

#include "engine/parts.h"

#define LOOK_MS 60000
#define CLOCK_SET_MS 1000 /* a smaller jump is slewing, or the turn's own rounding */

static int64_t clock_of(struct instant now)
{
    return now.wall_ms - (int64_t)now.mono_ms;
}

void hours_look(struct run *run)
{
    struct instant now = run->engine->now;
    bool clock_set = llabs(clock_of(now) - run->hours.clock_ms) > CLOCK_SET_MS;
    if (now.mono_ms < run->hours.look_ms && !clock_set)
        return;
    bool was_open = run->hours.state.open;
    run->hours.state = window_at(&run->plan->window, now.wall_ms);
    if (run->mode == ENGINE_PREVIEW)
        run->hours.state = (struct window_state){.open = true, .until_ms = INT64_MAX}; /* it reads only */
    if (run->hours.state.open && !was_open && run->hours.been_open && run->mode == ENGINE_RUN &&
        run->phase <= PHASE_CLONING)
        run->resolve_again = true; /* the server may have changed meanwhile (design note 3) */
    run->hours.been_open |= run->hours.state.open;
    run->hours.clock_ms = clock_of(now);
    run->hours.look_ms = INSTANT_NEVER;
    if (!run->plan->window.given)
        return;
    int64_t wait = run->hours.state.until_ms - now.wall_ms;
    run->hours.look_ms = now.mono_ms + (wait < LOOK_MS ? (uint64_t)wait : LOOK_MS);
}

/* Does the run wait for its window with something to send? */
bool hours_waits(const struct run *run)
{
    return !run->hours.state.open && run->state == RUN_RUNNING && run->phase <= PHASE_CLONING &&
           run->count[ITEM_QUEUED] > 0;
}

/* Also while nothing is left in the queue: clones that are stored ahead leave without a turn. */
uint64_t hours_due(const struct run *run)
{
    size_t to_send = run->count[ITEM_QUEUED] + run->count[ITEM_SUBMITTING];
    return run->phase <= PHASE_CLONING && to_send ? run->hours.look_ms : INSTANT_NEVER;
}
