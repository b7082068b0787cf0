/* Which moment a queue of tasks has moved last, as seen from a task in it: a
 * queue is not a hang (product contract 3, `timeouts.task`). A task waits from
 * its own acceptance, or from the last end of a task accepted no later than it.
 * Moments of acceptance are told apart by the second. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct progress {
    struct progress_step {
        uint64_t accepted_s, ended_ms;
    } * steps; /* both grow from one to the next */
    size_t n, size;
};

void progress_done(struct progress *progress);

/* A task that was accepted at `accepted_ms` has ended (both monotonic). */
void progress_ended(struct progress *progress, uint64_t accepted_ms, uint64_t now_ms);

/* When a task that was accepted no later than `accepted_ms` ended last; 0: none did. */
uint64_t progress_last(const struct progress *progress, uint64_t accepted_ms);
