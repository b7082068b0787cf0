/* Progress on standard error: a bar on a terminal, plain lines elsewhere. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct run_status;

struct progress {
    bool terminal, color;
    bool shown; /* a bar is on the screen */
    bool waits; /* for its window, as shown last */
    uint64_t started_ms, shown_ms;
    uint64_t line_ms; /* when the next plain line is due */
    unsigned long shown_done;
};

void progress_init(struct progress *progress, uint64_t now_ms);

/* Shows the state if it is time to. `trouble` is a remark on the server, or "". */
void progress_show(struct progress *progress, const struct run_status *status, const char *trouble,
                   uint64_t now_ms);

/* Takes the bar away, so that a line can be printed. */
void progress_clear(struct progress *progress);
