/* How many requests may be in flight at once: as many as the server answers
 * without making them wait (wire reference 8.7). In the beginning twice as many
 * whenever answers come as soon as they did with half as many;
 * then one more per round of good answers; a tenth fewer per round while answers
 * take more than twice as long as they did at best, since what is sent beyond
 * that only waits at the server; half on an error, after which it comes near that
 * limit again with care only for half a minute. A server that is slow with two requests at once has
 * become slower by itself: then that is its best. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct limit {
    unsigned max;
    unsigned hundredths; /* the limit in hundredths of a request */
    unsigned crumbs;     /* steps that are not a hundredth yet */
    uint64_t halved_ms;  /* when it was halved last */
    unsigned halved_to;  /* and to what, in hundredths */
    unsigned refused;    /* the limit at that time; 0: never */
    struct limit_start {
        bool over, begun;        /* begun: the first round has come */
        unsigned stale;          /* answers to come whose requests left under an earlier limit */
        unsigned answers;        /* under the present one */
        uint64_t sum_us;         /* how long these took */
        uint64_t quarters_us[4]; /* the same of the first round, by its quarters */
        uint64_t base_us; /* how long answers took, on average, under the limit before this one; 0: none */
    } start;
    /* how long answers take, in microseconds: smoothed over a round, and at best; 0: not known */
    uint64_t latency_us, best_us;
    unsigned answers; /* in this round */
    unsigned seen;    /* of the first ones */
};

void limit_init(struct limit *limit, unsigned initial, unsigned max);

/* The present limit, from 1 to max. */
unsigned limit_now(const struct limit *limit);

/* A good answer came to a request that was sent at `sent_ms`, while so many were in flight. A limit that is
 * not used does not grow. */
void limit_good(struct limit *limit, uint64_t sent_ms, uint64_t now_ms, unsigned in_flight);

/* 429, 500, 503 or a time-out of a request that was sent at `sent_ms`: halves, unless it was sent before the
 * limit was halved last, since all of a round's failures tell the same. */
void limit_bad(struct limit *limit, uint64_t sent_ms, uint64_t now_ms);
