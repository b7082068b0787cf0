/* The program around the engine: one plan in the foreground (--once). Builds
 * the graph of loop, store, HTTP ports and engine, turns the loop, shows
 * progress, stops on signals, writes result and report. */
#pragma once

struct settings;

struct app_options {
    const char *plan_path;
    const char *result_path;     /* or NULL */
    const char *state_directory; /* --state, or NULL: by settings and $STATE_DIRECTORY */
};

/* Carries out one plan. Returns the exit code (product contract 5). `settings` is borrowed. */
int app_once(const struct settings *settings, const struct app_options *options);
