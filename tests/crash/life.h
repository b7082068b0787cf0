/* A life of the store for the crash tests: runs are added, their items go from
 * state to state in batches as in production, runs end and are forgotten, the
 * store is closed and opened again. The same script can be played under any
 * trouble of the disk, and what is then stored be held against what was
 * acknowledged. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct life;

/* A script of some runs, all from the seed, to be played in the folder. NULL when out of memory. */
struct life *life_new(uint64_t seed, unsigned runs, const char *folder);
struct life *life_free(struct life *life);

size_t life_steps(const struct life *life);

/* Begins at the first step with an empty disk. */
void life_begin(struct life *life);

/* Plays on from the first step that was not acknowledged until all are. A step that
 * fails is tried again at most `retries` times, as the engine does; `on_step` may be
 * NULL. 0, or the negative errno of the step that failed for good. */
int life_play(struct life *life, unsigned retries);

/* How many steps have been acknowledged, how many times one has failed, and with what last. */
size_t life_acknowledged(const struct life *life);
unsigned life_failures(const struct life *life);
int life_last_failure(const struct life *life);

/* Closes the store, if it is open. */
void life_close(struct life *life);

/* Opens the store anew and compares: what it holds must be exactly what was
 * acknowledged, or that and the step after it, whole (*ret_next). Closes it. False
 * with a reason otherwise. */
bool life_check(struct life *life, bool *ret_next, struct buf *ret_reason);
