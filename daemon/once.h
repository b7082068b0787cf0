/* One plan in the foreground (--once): shows progress, stops on signals, writes
 * result and report. Loop, store, server and engine are the host's. */
#pragma once

struct settings;

struct once_options {
    const char *plan_path;
    const char *result_path;     /* or NULL */
    const char *state_directory; /* --state, or NULL: by settings and $STATE_DIRECTORY */
};

/* Carries out one plan. Returns the exit code (product contract 5). `settings` is borrowed. */
int once_run(const struct settings *settings, const struct once_options *options);
