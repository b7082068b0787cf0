/* How many clone requests may be in flight at once: additive increase while the
 * server keeps up, halved when it does not (wire reference 8.7). Pure. */
#pragma once

#include <stdint.h>

struct limit {
    unsigned max;
    unsigned hundredths; /* the limit in hundredths of a request */
    uint64_t halved_ms;  /* when it was halved last */
};

void limit_init(struct limit *limit, unsigned initial, unsigned max);

/* The present limit, from 1 to max. */
unsigned limit_now(const struct limit *limit);

/* An answer came: grows by about one per round of answers. */
void limit_good(struct limit *limit);

/* 429, 500, 503 or a time-out: halves, once per second at most, since all of a
 * round's failures tell the same. */
void limit_bad(struct limit *limit, uint64_t now_ms);
