/* How many unfinished tasks a backup server may have at once: as many as give
 * most ends per second. It begins with what the settings allow, and stays there
 * while tasks take as long among many as among few: then they run side by side,
 * and fewer would only be slower. Where they take more than twice as long they
 * wait for each other, or get into each other's way. Then fewer are tried, as
 * long as ends per second do not fall; the smallest number that gives nearly as
 * many is kept, and from time to time somewhat more and somewhat fewer are tried
 * again. What cannot be judged, since the bound was not reached, changes nothing.
 *
 *     OPEN: at most what the settings allow
 *       | tasks take longer among many
 *       v
 *     LESS: fewer are tried --- clearly fewer ends a second ---> back, to HOLD or OPEN
 *       | as many ends a second: fewer still
 *     HOLD: the number found --- after some while ---> MORE or LESS
 *     MORE: more are tried --- clearly more ends a second: more still; else back to HOLD
 *
 * Tasks that are accepted one after another make up a cohort: their mean duration
 * tells of the number of tasks that they met, whichever of them ends first. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CROWD_COHORTS 64

enum crowd_state { CROWD_OPEN, CROWD_LESS, CROWD_HOLD, CROWD_MORE };

struct crowd {
    unsigned max, bound;
    enum crowd_state state;
    bool begun; /* the first cohort has been accepted: until then there are few */
    struct crowd_cohort {
        uint64_t from_ms, took_ms, least_ms; /* sums of durations, and of what they were at least */
        uint64_t met; /* sum of the tasks that were unfinished when each was accepted */
        unsigned accepted, ended;
        bool judged;
    } cohorts[CROWD_COHORTS]; /* round and round, by the time of acceptance */
    unsigned first, n;
    uint64_t accepted_ms; /* the last acceptance */
    uint64_t recent_ms;   /* mean duration of the last cohort that has ended */
    uint64_t best_ms;     /* the shortest one, and how many tasks that cohort met; 0: none yet */
    uint64_t best_met;
    bool suspect; /* the last cohort took longer among more tasks */
    struct crowd_stage {
        uint64_t from_ms, to_ms; /* it begins with an end that does not count; its last end */
        unsigned ends, moments;  /* ends, and at how many moments they were seen */
        unsigned most, least;    /* unfinished tasks at these moments */
    } stage;                     /* ends that are judged together */
    unsigned skip;               /* ends to come that do not count: of tasks accepted under another bound */
    uint64_t rate;               /* of the last stage, in ends per million seconds */
    uint64_t rate_before;        /* what a trial is compared with */
    unsigned bound_before;
    unsigned held,
        hold; /* stages under the bound that is held, and after how many something is tried again */
    bool less_next;
};

void crowd_init(struct crowd *crowd, unsigned max);

/* Another maximum from the settings. */
void crowd_set_max(struct crowd *crowd, unsigned max);

/* The present bound, from 1 to max. */
unsigned crowd_now(const struct crowd *crowd);

/* May there be one more than these? `at_once`: so many clones may be asked for at once. Where half of all
 * that may be there could be accepted in one moment, only few of the very first ones are: how long tasks take
 * among many says nothing when none has been seen among few. */
bool crowd_takes(const struct crowd *crowd, unsigned unfinished, unsigned at_once);

/* Tasks that an earlier process left are there: the next ones are not among few. */
void crowd_found(struct crowd *crowd);

/* A task was accepted; `unfinished` there are with it. */
void crowd_accepted(struct crowd *crowd, uint64_t now_ms, unsigned unfinished);

/* The end of a task has been seen that was accepted at `accepted_ms`; `unfinished_ms` is the last moment at
 * which it had surely not ended (0: none is known), `unfinished` are left with it. */
void crowd_ended(struct crowd *crowd, uint64_t accepted_ms, uint64_t unfinished_ms, uint64_t now_ms,
                 unsigned unfinished);
