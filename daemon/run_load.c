#include "run_load.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "io/plan_files.h"
#include "model/plan.h"
#include "model/settings.h"

int run_load_init(struct run_load *load)
{
    *load = (struct run_load){.arena = arena_new()};
    return load->arena ? 0 : -ENOMEM;
}

void run_load_done(struct run_load *load)
{
    store_run_done(&load->run);
    plan_free(load->plan);
    arena_free(load->arena);
    free(load->items);
    free(load->held);
    free(load->holders);
    *load = (struct run_load){0};
}

int run_load_row(struct run_load *load, struct store_sqlite *store, const char *run_id)
{
    return store_sqlite_load_run(store, run_id, &load->run);
}

static int on_item(const struct item *item, void *data)
{
    struct run_load *load = data;
    if (load->n_items == load->size_items) {
        size_t size = load->size_items ? load->size_items * 2 : 64;
        struct item *items = reallocarray(load->items, size, sizeof(*items));
        if (!items)
            return -ENOMEM;
        load->items = items;
        load->size_items = size;
    }
    load->items[load->n_items++] = *item;
    return 0;
}

int run_load_items(struct run_load *load, struct store_sqlite *store)
{
    return store_sqlite_load_items(store, load->run.id, load->arena, on_item, load);
}

int run_load_some_items(struct run_load *load, struct store_sqlite *store, unsigned limit, bool *ret_more)
{
    size_t before = load->n_items;
    uint32_t from = before ? load->items[before - 1].index + 1 : 0;
    int r = store_sqlite_load_page(store, load->run.id, from, limit, load->arena, on_item, load);
    *ret_more = r == 0 && load->n_items - before == limit;
    return r;
}

static int grow_held(struct run_load *load)
{
    size_t size = load->size_held ? load->size_held * 2 : 64;
    struct engine_held *held = reallocarray(load->held, size, sizeof(*held));
    if (!held)
        return -ENOMEM;
    load->held = held;
    const char **holders = reallocarray(load->holders, size, sizeof(*holders));
    if (!holders)
        return -ENOMEM;
    load->holders = holders;
    load->size_held = size;
    return 0;
}

static int on_held(const char *run_id, const struct item *item, void *data)
{
    struct run_load *load = data;
    if (!item->server_id || !item->name)
        return 0;
    if (load->n_held == load->size_held && grow_held(load) < 0)
        return -ENOMEM;
    struct engine_held held = {arena_intern(load->arena, item->server_id),
                               arena_str(load->arena, item->name),
                               arena_str(load->arena, item->job_uid),
                               item->state != ITEM_SUCCEEDED,
                               item_state_final(item->state) ? item->finished_ms : 0,
                               NULL,
                               0};
    const char *holder = arena_intern(load->arena, run_id);
    if (!held.server_id || !held.name || !holder)
        return -ENOMEM;
    if (item->state == ITEM_FAILED && item->error == ITEM_E_TASK_TIMEOUT) {
        held.late_run = holder;
        held.late_index = item->index;
    }
    load->holders[load->n_held] = holder;
    load->held[load->n_held++] = held;
    return 0;
}

int run_load_held(struct run_load *load, struct store_sqlite *store, int64_t since_ms)
{
    return store_sqlite_held_names(store, load->run.server, load->run.id, since_ms, on_held, load);
}

/* ---- the plan ---- */

static int take_files(struct store_run *run, struct plan_files *ret)
{
    *ret = (struct plan_files){
        .path = strdup(run->file), .plan_bytes = SIZE_MAX / 2, .sealed = true, .checked = true};
    if (!ret->path)
        return -ENOMEM;
    ret->bytes = run->bytes;
    run->bytes = BUF_INIT(0);
    int r = 0;
    for (size_t i = 0; i < run->n_csv && r == 0; i++)
        r = plan_files_keep_csv(ret, run->csv[i].path, &run->csv[i].bytes);
    return r;
}

int run_load_plan(struct run_load *load, struct diag *diag)
{
    struct store_run *run = &load->run;
    struct server_settings server = {.name = run->server};
    struct settings settings = {
        .servers = &server, .n_servers = 1, .plan_bytes = SIZE_MAX / 2, .plan_items = UINT_MAX};
    struct plan_files files;
    int64_t moment_ms = run->due_ms ? run->due_ms : run->accepted_ms;
    int r = take_files(run, &files);
    if (r == 0)
        r = plan_files_decode(&files, &settings, run->origin == RUN_FROM_SCHEDULE, moment_ms, &load->plan,
                              diag);
    plan_files_done(&files);
    return r;
}

/* ---- the engine ---- */

static void drop_known(struct run_load *load, const struct engine *engine)
{
    size_t n = 0;
    for (size_t i = 0; i < load->n_held; i++)
        if (!engine_run_item(engine, load->holders[i], 0))
            load->held[n++] = load->held[i];
    load->n_held = n;
}

int run_load_add(struct run_load *load, struct engine *engine, enum engine_run_mode mode, bool resumed,
                 struct instant now)
{
    drop_known(load, engine);
    struct engine_run_options options = {.id = load->run.id,
                                         .plan = TAKE_PTR(load->plan),
                                         .mode = mode,
                                         .resumed = resumed,
                                         .started_ms = load->run.started_ms,
                                         .state = load->run.state,
                                         .wish = load->run.wish,
                                         .stored = load->items,
                                         .n_stored = load->n_items,
                                         .held = load->held,
                                         .n_held = load->n_held};
    return engine_add_run(engine, &options, now);
}
