/* Small seeded generator (splitmix64): chance as an argument, so that a
 * simulation can repeat it. Not for secrets. */
#pragma once

#include <stdint.h>

struct rng {
    uint64_t state;
};

/* Next 64 random bits. */
uint64_t rng_next(struct rng *rng);

/* Uniform in [0, bound); 0 when bound is 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* True with the given chance in thousandths. */
int rng_chance(struct rng *rng, unsigned per_mille);
