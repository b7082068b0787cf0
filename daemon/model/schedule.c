#include "model/schedule.h"

#include <errno.h>

#include "base/arena.h"
#include "base/rng.h"

#define LATE_MS INT64_C(60000)
#define WRONG_MS INT64_C(86400000) /* nobody sets a good clock back this far */

static int copy_calendar(const struct schedule_calendar *from, struct arena *arena,
                         struct schedule_calendar *ret)
{
    *ret = (struct schedule_calendar){.text = arena_str(arena, from->text),
                                      .expression = arena_str(arena, from->expression)};
    return ret->text && ret->expression ? zone_copy(&from->zone, arena, &ret->zone) : -ENOMEM;
}

int schedule_copy(const struct schedule *schedule, struct arena *arena, struct schedule *ret)
{
    struct schedule copy = *schedule;
    struct schedule_calendar *calendars = arena_take(arena, (copy.n ? copy.n : 1) * sizeof(*calendars));
    int r = calendars ? 0 : -ENOMEM;
    for (size_t i = 0; i < copy.n && r == 0; i++)
        r = copy_calendar(&schedule->calendars[i], arena, &calendars[i]);
    if (r < 0)
        return r;
    copy.calendars = calendars;
    *ret = copy;
    return 0;
}

int64_t schedule_base(int64_t decided_ms, int64_t now_ms)
{
    bool wrong = decided_ms <= 0 || decided_ms - now_ms > WRONG_MS;
    return wrong ? now_ms : decided_ms;
}

/* The same for every look at this due time, and another for each plan. */
static int64_t jitter_of(const struct schedule *schedule, const char *plan, int64_t due_ms)
{
    struct rng rng = {UINT64_C(0xcbf29ce484222325) ^ (uint64_t)due_ms};
    if (!schedule->jitter_ms)
        return 0;
    for (; *plan; plan++)
        rng.state = (rng.state ^ (unsigned char)*plan) * UINT64_C(0x100000001b3);
    return (int64_t)rng_below(&rng, schedule->jitter_ms + 1);
}

bool schedule_in_time(const struct schedule *schedule, const struct schedule_step *step, int64_t now_ms)
{
    return schedule->catch_up || now_ms - step->at_ms <= LATE_MS;
}

struct schedule_step schedule_step(const struct schedule *schedule, const char *plan,
                                   const struct schedule_dues *dues, int64_t now_ms)
{
    struct schedule_step step = {.due_ms = SCHEDULE_NEVER, .at_ms = SCHEDULE_NEVER};
    if (dues->last_ms) {
        step.due_ms = dues->last_ms;
        step.at_ms = step.due_ms + jitter_of(schedule, plan, step.due_ms);
        if (schedule_in_time(schedule, &step, now_ms))
            return step;
        step.missed_ms = dues->last_ms;
    }
    step.due_ms = dues->next_ms;
    step.at_ms = SCHEDULE_NEVER;
    if (step.due_ms != SCHEDULE_NEVER)
        step.at_ms = step.due_ms + jitter_of(schedule, plan, step.due_ms);
    return step;
}

enum schedule_verdict schedule_judge(enum schedule_overlap overlap, size_t open_runs)
{
    if (open_runs == 0)
        return SCHEDULE_START;
    return overlap == SCHEDULE_OVERLAP_QUEUE && open_runs == 1 ? SCHEDULE_WAIT : SCHEDULE_SKIP;
}
