#include "model/limit.h"

#include <stdbool.h>

#define LIMIT_ROUND_MS 1000
#define LIMIT_FLOOR 200        /* waiting alone never brings it below two requests */
#define LATENCY_SPARE_US 20000 /* longer by less than this is noise, not waiting */
#define SMOOTH 32              /* answers */
#define TROUBLE_MS 10000
#define CAREFUL 50
#define LEARN_PART 8 /* of the difference to the present, per round */

void limit_init(struct limit *limit, unsigned initial, unsigned max)
{
    *limit = (struct limit){.max = max, .hundredths = initial * 100};
}

unsigned limit_now(const struct limit *limit)
{
    return limit->hundredths / 100;
}

/* Smoothed over a round of answers, and over enough of them that chance alone makes no difference. The first
 * ones are averaged: a single quick answer is not what the server can do at best. */
static void limit_learn(struct limit *limit, uint64_t latency_ms)
{
    uint64_t us = latency_ms * 1000 + 500, weight = limit_now(limit);
    if (limit->seen < SMOOTH)
        weight = ++limit->seen;
    else if (weight < SMOOTH)
        weight = SMOOTH;
    if (us > limit->latency_us)
        limit->latency_us += (us - limit->latency_us) / weight;
    else
        limit->latency_us -= (limit->latency_us - us) / weight;
    if (limit->seen == SMOOTH && (!limit->best_us || limit->latency_us < limit->best_us))
        limit->best_us = limit->latency_us;
}

static bool limit_waits(const struct limit *limit)
{
    return limit->best_us && limit->latency_us > 2 * limit->best_us + LATENCY_SPARE_US;
}

/* As many answers as requests may be in flight have come. */
static void limit_round(struct limit *limit)
{
    limit->answers = 0;
    if (!limit_waits(limit))
        return;
    if (limit->hundredths <= LIMIT_FLOOR) { /* so few do not wait for each other: it is slower by itself */
        limit->best_us += (limit->latency_us - limit->best_us) / LEARN_PART;
        return;
    }
    limit->hundredths -= limit->hundredths / 10;
    if (limit->hundredths < LIMIT_FLOOR)
        limit->hundredths = LIMIT_FLOOR;
}

/* About one per round; where it was refused before, with fifty times the care. */
static unsigned limit_step(const struct limit *limit)
{
    unsigned step = 10000 / limit->hundredths;
    if (limit->refused && limit->hundredths + 100 >= limit->refused)
        step /= CAREFUL;
    return step ? step : 1;
}

void limit_good(struct limit *limit, uint64_t latency_ms, unsigned in_flight)
{
    limit_learn(limit, latency_ms);
    bool used = in_flight * 2 >= limit_now(limit); /* else it says nothing about more */
    if (used && !limit_waits(limit))
        limit->hundredths += limit_step(limit);
    if (limit->hundredths > limit->max * 100)
        limit->hundredths = limit->max * 100;
    if (limit->refused && limit->hundredths > limit->refused)
        limit->refused = limit->hundredths; /* it bears more by now; care goes on */
    if (++limit->answers >= limit_now(limit))
        limit_round(limit);
}

void limit_bad(struct limit *limit, uint64_t now_ms)
{
    if (limit->halved_ms && now_ms - limit->halved_ms < LIMIT_ROUND_MS)
        return;
    if (!limit->halved_ms || now_ms - limit->halved_ms > TROUBLE_MS) /* else the same trouble goes on */
        limit->refused = limit->hundredths;
    limit->halved_ms = now_ms;
    limit->answers = 0;
    limit->hundredths = limit->hundredths / 2 < 100 ? 100 : limit->hundredths / 2;
}
