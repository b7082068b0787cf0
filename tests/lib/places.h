/* A server under load: so many places at which work is done, a queue before
 * them, and beyond that nothing more is taken. Shared by emsim, the simulation
 * and the tests of what finds the right load. Time is an argument; work comes in
 * the order of time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PLACES_MAX 256

struct places {
    uint64_t free_ms[PLACES_MAX]; /* when each is free again */
    unsigned held;                /* works that have come and have not left */
};

/* Takes the place that is free first, of the first `n` (1 to PLACES_MAX), for `work_ms`. False, and nothing
 * is taken, when `most` works are there already. */
bool places_take(struct places *places, unsigned n, unsigned most, uint64_t now_ms, uint64_t work_ms,
                 uint64_t *ret_end_ms);

/* The work that was taken is done, and its answer sent. */
void places_leave(struct places *places);

/* How long work takes that comes to so many others: beyond `crowd` they get into each other's way, each
 * takes longer in proportion, and together they get less done. */
uint64_t places_crowded(const struct places *places, unsigned crowd, uint64_t work_ms);
