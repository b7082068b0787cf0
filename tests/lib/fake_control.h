/* A service that is none: runs that go on by a timer, behind a real control
 * socket. For the tests of io/control and, as a program of its own, of jobclonectl. */
#pragma once

#include <stddef.h>
#include <uv.h>

#include "io/control.h"

#define FAKE_RUNS_MAX 4096
#define FAKE_FAILS_EVERY 25 /* item 24, 49, ... of a run fail */

struct fake_run {
    char id[CONTROL_ID_LEN + 1];
    char plan[64], file[64];
    const char *state, *phase;
    size_t items, done, failed;
    bool stop_tasks;
    int64_t accepted_ms, finished_ms;
};

struct fake_options {
    const char *path;
    unsigned connections_max, timeout_s;
    size_t plan_bytes, answer_bytes;
    size_t per_tick;   /* items that end every 50 ms */
    uint64_t delay_ms; /* before a command is answered */
    bool hold;         /* commands are answered only by fake_release */
};

struct fake {
    uv_loop_t *loop;
    struct fake_options options;
    struct control *control;
    uv_timer_t timer;
    struct fake_run runs[FAKE_RUNS_MAX];
    size_t n_runs;
    unsigned held;
    struct control_request *requests[64]; /* held ones */
    size_t asked;                         /* calls of ops so far */
    size_t watched;
};

/* Starts it on the loop. 0, or a negative errno with a sentence in `ret_error`. */
int fake_start(struct fake *fake, uv_loop_t *loop, const struct fake_options *options, struct buf *ret_error);

/* Ends it; the loop must run until it is empty. */
void fake_stop(struct fake *fake);

/* Adds a run of so many items. NULL when there are too many. */
struct fake_run *fake_add(struct fake *fake, const char *plan, const char *file, size_t items);

/* Answers the commands that were held. */
void fake_release(struct fake *fake);
