/* The daemon: takes plans, carries out several runs at once, answers operators,
 * lives under systemd. Its store, servers and engine are the host's.
 *
 * Happy path: settings and state are loaded, open runs go on, plans come in from
 * the spool, the control socket and plans.d; each is stored, waits for one of
 * limits.runs places, is handed to the engine, and when it is over its result is
 * filed and its end stored. SIGHUP reloads the settings, SIGTERM drains: nothing
 * new is started, what runs is awaited for a while, runs stay open. */
#pragma once

struct settings;

/* Runs until SIGTERM or SIGINT. `settings` is taken. Returns the exit code (product contract 5). */
int service_main(const char *config_path, struct settings *settings);
