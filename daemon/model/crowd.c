#include "model/crowd.h"

#define COHORT_MIN 16
#define COHORT_PART 8 /* of the unfinished tasks: so many cohorts are under way at once */
#define SPARE_MS 50
#define STAGE_ENDS 48
#define STAGE_MOMENTS 6
/* of the ends per second before: fewer end a trial of fewer tasks, the first one and later ones; more go on
 * with a trial of more */
#define FIRST_PERCENT 80
#define LESS_PERCENT 95
#define MORE_PERCENT 108
#define HOLD_MIN 8
#define HOLD_MAX 64

void crowd_init(struct crowd *crowd, unsigned max)
{
    *crowd = (struct crowd){.max = max, .bound = max, .hold = HOLD_MIN};
}

void crowd_set_max(struct crowd *crowd, unsigned max)
{
    if (crowd->state == CROWD_OPEN || crowd->bound > max)
        crowd->bound = max;
    crowd->max = max;
}

unsigned crowd_now(const struct crowd *crowd)
{
    return crowd->bound;
}

bool crowd_takes(const struct crowd *crowd, unsigned unfinished, unsigned at_once)
{
    bool few = crowd->begun || at_once < crowd->bound / 2 || unfinished < COHORT_MIN;
    return unfinished < crowd->bound && few;
}

void crowd_found(struct crowd *crowd)
{
    crowd->begun = true;
}

/* ---- trials ---- */

/* Another bound: what was accepted under the one before says nothing about it. */
static void crowd_go(struct crowd *crowd, enum crowd_state state, unsigned bound, unsigned unfinished)
{
    crowd->state = state;
    crowd->bound = bound < 1 ? 1 : bound > crowd->max ? crowd->max : bound;
    crowd->held = 0;
    crowd->skip = unfinished;
    if (crowd->state == CROWD_MORE && crowd->bound == crowd->bound_before)
        crowd->state = CROWD_HOLD;
}

/* Side by side after all: tasks take as long as they take now. */
static void crowd_open(struct crowd *crowd, unsigned unfinished)
{
    crowd->best_ms = crowd->recent_ms;
    crowd->best_met = crowd->max;
    crowd->suspect = false;
    crowd->hold = HOLD_MIN;
    crowd_go(crowd, CROWD_OPEN, crowd->max, unfinished);
}

/* The first trial: twice as many as would do if each took as long as at best. */
static void judge_open(struct crowd *crowd, unsigned unfinished)
{
    const struct crowd_stage *stage = &crowd->stage;
    if (!crowd->suspect || stage->least * 2 < stage->most) /* else it may have been idle for lack of tasks */
        return;
    uint64_t enough = 2 * crowd->rate * crowd->best_ms / 1000000000 + 2;
    crowd->rate_before = crowd->rate;
    crowd->bound_before = crowd->bound;
    if (enough < unfinished)
        crowd_go(crowd, CROWD_LESS, (unsigned)enough, unfinished);
}

static void judge_less(struct crowd *crowd, unsigned unfinished)
{
    unsigned bound = crowd->bound;
    bool first = crowd->bound_before == crowd->max;
    if (crowd->rate * 100 < crowd->rate_before * (first ? FIRST_PERCENT : LESS_PERCENT)) {
        if (first)
            crowd_open(crowd, unfinished);
        else
            crowd_go(crowd, CROWD_HOLD, crowd->bound_before, unfinished);
        return;
    }
    if (crowd->rate > crowd->rate_before)
        crowd->rate_before = crowd->rate;
    crowd->bound_before = bound;
    crowd_go(crowd, bound > 1 ? CROWD_LESS : CROWD_HOLD, bound * 7 / 10, unfinished);
}

static void judge_more(struct crowd *crowd, unsigned unfinished)
{
    if (crowd->rate * 100 < crowd->rate_before * MORE_PERCENT) {
        crowd_go(crowd, CROWD_HOLD, crowd->bound_before, unfinished);
    } else if (crowd->bound == crowd->max) {
        crowd_open(crowd, unfinished);
    } else {
        crowd->hold = HOLD_MIN;
        crowd->rate_before = crowd->rate;
        crowd->bound_before = crowd->bound;
        crowd_go(crowd, CROWD_MORE, crowd->bound + crowd->bound / 4 + 1, unfinished);
    }
}

static void judge_hold(struct crowd *crowd, unsigned unfinished)
{
    if (++crowd->held < crowd->hold)
        return;
    crowd->hold = crowd->hold * 2 > HOLD_MAX ? HOLD_MAX : crowd->hold * 2;
    crowd->rate_before = crowd->rate;
    crowd->bound_before = crowd->bound;
    crowd->less_next = !crowd->less_next;
    if (!crowd->less_next && crowd->bound > 1)
        crowd_go(crowd, CROWD_LESS, crowd->bound * 8 / 10, unfinished);
    else
        crowd_go(crowd, CROWD_MORE, crowd->bound + crowd->bound / 4 + 1, unfinished);
}

static void crowd_judge(struct crowd *crowd, unsigned unfinished)
{
    const struct crowd_stage *stage = &crowd->stage;
    bool used = stage->most >= crowd->bound - crowd->bound / 8 && stage->least * 2 >= crowd->bound;
    crowd->rate = stage->ends * 1000000000ULL / (stage->to_ms - stage->from_ms);
    if (!used && crowd->state != CROWD_OPEN)
        return;
    switch (crowd->state) {
    case CROWD_OPEN:
        judge_open(crowd, unfinished);
        break;
    case CROWD_LESS:
        judge_less(crowd, unfinished);
        break;
    case CROWD_HOLD:
        judge_hold(crowd, unfinished);
        break;
    case CROWD_MORE:
        judge_more(crowd, unfinished);
        break;
    }
}

/* ---- stages ---- */

static void stage_begin(struct crowd *crowd, uint64_t now_ms)
{
    crowd->stage = (struct crowd_stage){.from_ms = now_ms, .to_ms = now_ms, .least = UINT32_MAX};
}

/* Many that run at once end in waves. */
static unsigned stage_ends(const struct crowd *crowd)
{
    unsigned half = crowd->stage.most / 2;
    return half > STAGE_ENDS ? half : STAGE_ENDS;
}

static void stage_end(struct crowd *crowd, uint64_t now_ms, unsigned unfinished)
{
    struct crowd_stage *stage = &crowd->stage;
    bool moment = now_ms > stage->to_ms;
    if (moment && stage->ends >= stage_ends(crowd) && stage->moments >= STAGE_MOMENTS) {
        uint64_t to_ms = stage->to_ms;
        crowd_judge(crowd, unfinished);
        stage_begin(crowd, to_ms);
    }
    if (crowd->skip || unfinished > crowd->bound) { /* the first end under the present bound begins a stage */
        crowd->skip -= crowd->skip > 0;
        stage_begin(crowd, now_ms);
        return;
    }
    if (!stage->from_ms || now_ms == stage->from_ms) {
        stage_begin(crowd, now_ms);
        return;
    }
    stage->ends++;
    stage->to_ms = now_ms;
    if (!moment)
        return;
    stage->moments++;
    stage->most = unfinished > stage->most ? unfinished : stage->most;
    stage->least = unfinished < stage->least ? unfinished : stage->least;
}

/* ---- cohorts ---- */

static struct crowd_cohort *cohort_at(struct crowd *crowd, unsigned i)
{
    return &crowd->cohorts[(crowd->first + i) % CROWD_COHORTS];
}

void crowd_accepted(struct crowd *crowd, uint64_t now_ms, unsigned unfinished)
{
    struct crowd_cohort *last = crowd->n ? cohort_at(crowd, crowd->n - 1) : NULL;
    bool full = last && last->accepted >= COHORT_MIN && last->accepted >= unfinished / COHORT_PART;
    if (!last || (full && now_ms > crowd->accepted_ms)) { /* cohorts are told apart by their moments */
        if (crowd->n == CROWD_COHORTS) {
            crowd->first = (crowd->first + 1) % CROWD_COHORTS;
            crowd->n--;
        }
        last = cohort_at(crowd, crowd->n++);
        *last = (struct crowd_cohort){.from_ms = now_ms};
    }
    crowd->accepted_ms = now_ms;
    last->accepted++;
    last->met += unfinished;
    crowd->begun |= last->accepted >= COHORT_MIN;
}

static void cohort_judge(struct crowd *crowd, struct crowd_cohort *cohort)
{
    uint64_t met = cohort->met / cohort->accepted, least_ms = cohort->least_ms / cohort->ended;
    cohort->judged = true;
    crowd->recent_ms = cohort->took_ms / cohort->ended;
    if (!crowd->best_ms || crowd->recent_ms < crowd->best_ms) {
        crowd->best_ms = crowd->recent_ms;
        crowd->best_met = met;
    }
    crowd->suspect = met * 2 > crowd->best_met * 3 && least_ms > 2 * crowd->best_ms + SPARE_MS;
}

/* All but an eighth of them have ended: some may never do. */
static void cohort_end(struct crowd *crowd, uint64_t accepted_ms, uint64_t unfinished_ms, uint64_t now_ms)
{
    unsigned i = crowd->n;
    while (i && cohort_at(crowd, i - 1)->from_ms > accepted_ms)
        i--;
    if (!i)
        return; /* of a cohort that is forgotten */
    struct crowd_cohort *cohort = cohort_at(crowd, i - 1);
    cohort->ended++;
    cohort->took_ms += now_ms - accepted_ms;
    cohort->least_ms += unfinished_ms > accepted_ms ? unfinished_ms - accepted_ms : 0;
    if (i < crowd->n && !cohort->judged && cohort->ended * 8 >= cohort->accepted * 7)
        cohort_judge(crowd, cohort);
}

void crowd_ended(struct crowd *crowd, uint64_t accepted_ms, uint64_t unfinished_ms, uint64_t now_ms,
                 unsigned unfinished)
{
    stage_end(crowd, now_ms, unfinished);
    cohort_end(crowd, accepted_ms, unfinished_ms, now_ms);
}
