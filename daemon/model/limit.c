#include "model/limit.h"

#define LIMIT_FLOOR 200        /* waiting alone never brings it below two requests */
#define LATENCY_SPARE_US 20000 /* longer by less than this is noise, not waiting */
#define SMOOTH 32              /* answers */
#define STAGE_MIN 16           /* answers that are judged together in the beginning */
#define QUEUE_MIN 8            /* answers of a first round that may show a queue; */
#define QUEUE_MAX 16           /* of more, merely connecting takes different times */
#define TROUBLE_MS 10000
#define CAREFUL 50
#define CRUMBS 1000   /* to a hundredth: with care a step is far less than one */
#define CARE_MS 30000 /* after the last trouble; then it may have been one that is over */
#define LEARN_PART 8  /* of the difference to the present, per round */

void limit_init(struct limit *limit, unsigned initial, unsigned max)
{
    *limit = (struct limit){.max = max, .hundredths = initial * 100};
}

unsigned limit_now(const struct limit *limit)
{
    return limit->hundredths / 100;
}

static void limit_set(struct limit *limit, unsigned hundredths)
{
    limit->hundredths = hundredths > limit->max * 100 ? limit->max * 100 : hundredths;
}

/* Smoothed over a round of answers, and over enough of them that chance alone makes no difference. The first
 * ones are averaged: a single quick answer is not what the server can do at best. */
static void limit_learn(struct limit *limit, uint64_t us)
{
    uint64_t weight = limit_now(limit);
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

/* ---- the beginning ---- */

static void start_stage(struct limit *limit, unsigned hundredths)
{
    unsigned before = limit_now(limit);
    limit_set(limit, hundredths);
    limit->start.stale = before > limit_now(limit) ? before : limit_now(limit);
    limit->start.answers = 0;
    limit->start.sum_us = 0;
}

/* The requests of the very first round left at the same moment. Where the later ones of their answers took
 * ever longer they stood in a queue, and the first ones tell how many the server takes at once. */
static bool start_queued(struct limit *limit)
{
    const struct limit_start *start = &limit->start;
    const uint64_t *quarter = start->quarters_us;
    unsigned n = start->answers;
    bool queue = n >= QUEUE_MIN && n <= QUEUE_MAX && quarter[3] * 4 > quarter[0] * 7 + n * LATENCY_SPARE_US;
    for (int i = 1; i < 4; i++)
        queue = queue && quarter[i] * 10 >= quarter[i - 1] * 9;
    if (!queue)
        return false;
    unsigned less = (unsigned)(limit->hundredths * quarter[0] / quarter[3]);
    start_stage(limit, less < LIMIT_FLOOR ? LIMIT_FLOOR : less);
    limit->seen = 0; /* what it can do at best is learned anew */
    limit->latency_us = limit->best_us = 0;
    return true;
}

/* Enough answers have come under the present limit: twice as many, unless they were later than before. */
static void start_judge(struct limit *limit)
{
    struct limit_start *start = &limit->start;
    uint64_t mean_us = start->sum_us / start->answers;
    start->over = start->base_us && mean_us > start->base_us + start->base_us * 2 / 5 + LATENCY_SPARE_US / 4;
    if (start->over) {
        limit->best_us = start->base_us;
        limit->latency_us = mean_us;
        limit->seen = SMOOTH;
        return;
    }
    start->over = limit->hundredths == limit->max * 100;
    start->base_us = mean_us;
    start_stage(limit, limit->hundredths * 2);
}

static void start_good(struct limit *limit, uint64_t us, bool used)
{
    struct limit_start *start = &limit->start;
    unsigned now = limit_now(limit);
    if (!start->begun)
        start->quarters_us[start->answers * 4 / now % 4] += us;
    start->sum_us += us;
    start->answers++;
    if (!start->begun && start->answers == now) {
        start->begun = true;
        if (start_queued(limit))
            return;
    }
    if (used && start->answers >= now && start->answers >= STAGE_MIN)
        start_judge(limit);
}

/* ---- later ---- */

/* As many answers as requests may be in flight have come. */
static void limit_round(struct limit *limit)
{
    limit->answers = 0;
    if (!limit_waits(limit))
        return;
    limit->start.over = true;
    if (limit->hundredths <= LIMIT_FLOOR) { /* so few do not wait for each other: it is slower by itself */
        limit->best_us += (limit->latency_us - limit->best_us) / LEARN_PART;
        return;
    }
    limit->hundredths -= limit->hundredths / 10;
    if (limit->hundredths < LIMIT_FLOOR)
        limit->hundredths = LIMIT_FLOOR;
}

/* About one per round. On the way back from an error at first one per answer; near where it was refused, with
 * fifty times the care. */
static unsigned limit_step(struct limit *limit)
{
    unsigned step = 10000 * CRUMBS / limit->hundredths;
    if (limit->refused && limit->hundredths < limit->refused / 2)
        step = 100 * CRUMBS;
    else if (limit->refused && limit->hundredths >= limit->refused - limit->refused / 4)
        step /= CAREFUL;
    limit->crumbs += step;
    unsigned whole = limit->crumbs / CRUMBS;
    limit->crumbs %= CRUMBS;
    return whole;
}

void limit_good(struct limit *limit, uint64_t sent_ms, uint64_t now_ms, unsigned in_flight)
{
    uint64_t us = (now_ms - sent_ms) * 1000 + 500;
    bool used = in_flight * 2 >= limit_now(limit); /* else it says nothing about more */
    if (limit->start.stale && !limit->start.over) {
        limit->start.stale--;
        return;
    }
    limit_learn(limit, us);
    if (!limit->start.over)
        start_good(limit, us, used);
    else if (used && !limit_waits(limit))
        limit_set(limit, limit->hundredths + limit_step(limit));
    if (limit->refused && limit->hundredths > limit->refused)
        limit->refused = limit->hundredths; /* it bears more by now; care goes on */
    if (now_ms - limit->halved_ms > CARE_MS)
        limit->refused = 0;
    if (++limit->answers >= limit_now(limit))
        limit_round(limit);
}

void limit_bad(struct limit *limit, uint64_t sent_ms, uint64_t now_ms)
{
    if (limit->halved_ms && sent_ms <= limit->halved_ms)
        return;
    bool grown = limit->hundredths > limit->halved_to;
    if (grown || now_ms - limit->halved_ms > TROUBLE_MS) /* else the same trouble goes on */
        limit->refused = limit->hundredths;
    limit->halved_ms = now_ms;
    limit->start.over = true;
    limit->answers = 0;
    limit->hundredths = limit->hundredths / 2 < 100 ? 100 : limit->hundredths / 2;
    limit->halved_to = limit->hundredths;
}
