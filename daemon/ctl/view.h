/* Runs as they go on: on a terminal a region of bars at the bottom that is
 * redrawn in place, with failures and ends scrolling away above it; elsewhere plain
 * lines. One write for each picture, so that nothing flickers. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define VIEW_SAMPLES 32

/* How many were done when. */
struct view_sample {
    uint64_t ms;
    json_int_t done;
};

struct view_run {
    char id[32];
    json_t *run; /* as told last */
    struct view_sample samples[VIEW_SAMPLES];
    size_t n_samples;
    bool unsaid;      /* plain lines: it has changed since the last one */
    uint64_t line_ms; /* plain: the next line not before */
};

struct view {
    int fd;
    bool terminal, color, utf8, dirty;
    struct view_run *runs; /* those that have not ended */
    size_t n_runs;
    struct buf above; /* lines that go above the region */
    struct buf note;  /* one line below the bars, "" for none */
    struct buf out;
    size_t drawn;                    /* lines of the region on the terminal */
    unsigned short drawn_widths[64]; /* their columns */
    uint64_t drawn_ms;
};

/* `fd`: 1 or 2. */
void view_init(struct view *view, int fd);

/* A run as it is now (borrowed). True when it has ended: it is said, and no longer shown. */
bool view_run(struct view *view, json_t *run, uint64_t now_ms);

/* While nothing new is told: rates fall, and what was told too early for a plain line of its own gets it. */
void view_tick(struct view *view, uint64_t now_ms);

/* A run that the daemon no longer has. */
void view_forget(struct view *view, const char *id);

/* Rates begin anew: what was done meanwhile is not known in time. */
void view_restart(struct view *view);

/* An item that has just ended badly. */
void view_failure(struct view *view, json_t *failure);

/* A line for the reader to keep; on a terminal `note` stays below the bars until it changes. */
void view_say(struct view *view, const char *text);
void view_note(struct view *view, const char *note);

/* Draws what has changed, or is a second old. */
void view_draw(struct view *view, uint64_t now_ms);

/* The region stays as it is and the cursor goes below it. */
void view_done(struct view *view);
