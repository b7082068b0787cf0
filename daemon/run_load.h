/* A run as the store has it, made ready for the engine or for a result: its row
 * with the plan's bytes, its stored items, the names that other runs hold, and
 * the plan, decoded again with the moment of its acceptance. Reading may be done
 * by any one thread at a time; handing over belongs to the loop's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/instant.h"
#include "engine/engine.h"
#include "io/store_sqlite.h"

struct arena;
struct diag;
struct plan;

struct run_load {
    struct arena *arena; /* strings of items and held names */
    struct store_run run;
    struct item *items; /* by index; those that left QUEUED */
    size_t n_items, size_items;
    struct engine_held *held;
    const char **holders; /* the run that holds held[i] */
    size_t n_held, size_held;
    struct plan *plan;
};

/* Empty; -ENOMEM. run_load_done in both cases. */
int run_load_init(struct run_load *load);
void run_load_done(struct run_load *load);

/* Reads the row with its bytes into load->run: 0, -ENOENT, another negative errno. */
int run_load_row(struct run_load *load, struct store_sqlite *store, const char *run_id);

/* Reads the items of load->run. */
int run_load_items(struct run_load *load, struct store_sqlite *store);

/* Reads the next ones, at most `limit`; *ret_more when there may be others. */
int run_load_some_items(struct run_load *load, struct store_sqlite *store, unsigned limit, bool *ret_more);

/* Reads the names that other runs hold on its server: unfinished, or made after since_ms (wall). */
int run_load_held(struct run_load *load, struct store_sqlite *store, int64_t since_ms);

/* Decodes the plan from the bytes of load->run, which are given up. It was good when it was
 * accepted, so limits and server names are not looked at again. Returns as plan_yaml_decode. */
int run_load_plan(struct run_load *load, struct diag *diag);

/* Hands the run to the engine; the plan is taken, also on failure. Held names of runs that the engine has
 * itself are left out. Returns as engine_add_run. */
int run_load_add(struct run_load *load, struct engine *engine, enum engine_run_mode mode, bool resumed,
                 struct instant now);
