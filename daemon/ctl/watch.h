/* Follows runs by the daemon's event stream, through restarts of the daemon. */
#pragma once

#include "ctl/commands.h"

/* Until the run of that id has ended, or for ever when it is NULL; a signal ends the watching. Shows on `fd`
 * (1 or 2); with `events` it prints the events as JSON lines there instead. Returns the exit code: that of
 * the run, or CTL_INTERRUPTED after a signal (CTL_OK when all runs were watched). */
int watch_run(const struct ctl *ctl, const char *run, int fd, bool events);
