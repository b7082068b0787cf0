/* Runs of the same state directory that were interrupted: what became of their
 * clones decides about the names that they hold, so they are looked for. */
#pragma once

struct engine;
struct run_load;
struct store_sqlite;

/* Hands to the engine, to be settled by looking only, each open run that holds one of load->held without an
 * outcome. One that cannot be read is passed over with a warning: its names then stay in doubt. */
void once_look_at_older(const struct run_load *load, struct store_sqlite *store, struct engine *engine);
