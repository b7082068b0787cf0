/* When a scheduled plan is due. Pure: io/calendar asks systemd for the due times, here
 * is what follows from them.
 *
 * Each due time of a plan is decided once: it is carried out, or passed over. What has been
 * decided last is stored, so that neither a restart nor a clock that is set back makes a due
 * time come twice. All times are wall times. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/zone.h"

struct arena;

#define SCHEDULE_NEVER INT64_MAX

/* What happens when it is due while a run of the plan is under way. */
enum schedule_overlap { SCHEDULE_OVERLAP_SKIP, SCHEDULE_OVERLAP_QUEUE };

struct schedule_calendar {
    const char *text;       /* as the plan has it */
    const char *expression; /* systemd.time(7), without the zone at its end */
    struct zone zone;
};

struct schedule {
    bool given;
    const struct schedule_calendar *calendars; /* due when any of them is */
    size_t n;
    bool catch_up;
    uint64_t jitter_ms; /* each due time is put off by up to this */
    enum schedule_overlap overlap;
};

/* A copy with everything it refers to in that arena. 0 or -ENOMEM. */
int schedule_copy(const struct schedule *schedule, struct arena *arena, struct schedule *ret);

/* From which moment on due times are to be looked for. `decided_ms`: the last due time that was
 * decided, 0 for a plan that is new. It is trusted unless the clock must have been wrong then. */
int64_t schedule_base(int64_t decided_ms, int64_t now_ms);

/* What the calendar says. */
struct schedule_dues {
    int64_t last_ms; /* latest due time after the base that is not after now; 0: none */
    int64_t next_ms; /* first one after the base and after now; or SCHEDULE_NEVER */
};

struct schedule_step {
    int64_t due_ms; /* to be carried out next; or SCHEDULE_NEVER */
    int64_t at_ms;  /* at this moment (due time and jitter), or at once when it is past; or SCHEDULE_NEVER */
    int64_t missed_ms; /* a due time that is passed over, since the moment for it was missed; 0: none */
};

/* The next step of a plan's schedule. Up to a minute late is in time; later, `catch_up` decides. Of several
 * that were missed the last counts. */
struct schedule_step schedule_step(const struct schedule *schedule, const char *plan,
                                   const struct schedule_dues *dues, int64_t now_ms);

/* Is that step's due time still to be carried out at `now_ms`, or was its moment missed (the machine slept)?
 */
bool schedule_in_time(const struct schedule *schedule, const struct schedule_step *step, int64_t now_ms);

enum schedule_verdict { SCHEDULE_START, SCHEDULE_WAIT, SCHEDULE_SKIP };

/* It is due: what becomes of it while so many runs of the plan are open? */
enum schedule_verdict schedule_judge(enum schedule_overlap overlap, size_t open_runs);
