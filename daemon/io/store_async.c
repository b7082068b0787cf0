#include "io/store_async.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "io/store_internal.h"
#include "io/store_rows.h"
#include "model/item.h"

/* One call under way: what was asked, what was found, whom to tell. */
struct call {
    struct store_sqlite *store;
    const struct store_run *run; /* add: the caller's */
    char *text, *text2;          /* a plan's name, a run's id or a part of one; the name to be filed under */
    enum run_state state;
    enum run_wish wish;
    int64_t number; /* due time, or what is older than this is forgotten */
    uint32_t from;
    unsigned limit;
    bool more;
    struct store_run *runs;
    size_t n_runs;
    struct arena *arena;
    struct item *items;
    size_t n_items;
    store_on_done *on_done;
    store_on_runs *on_runs;
    store_on_items *on_items;
    void *data;
};

static void call_free(struct call *call)
{
    for (size_t i = 0; i < call->n_runs; i++)
        store_run_done(&call->runs[i]);
    free(call->runs);
    free(call->items);
    arena_free(call->arena);
    free(call->text);
    free(call->text2);
    free(call);
}

static void tell_done(int error, void *data)
{
    struct call *call = data;
    store_on_done *on_done = call->on_done;
    void *user = call->data;
    call_free(call);
    on_done(error, user);
}

static void tell_runs(int error, void *data)
{
    struct call *call = data;
    call->on_runs(error, call->runs, error < 0 ? 0 : call->n_runs, call->data);
    call_free(call);
}

static void tell_items(int error, void *data)
{
    struct call *call = data;
    call->on_items(error, call->items, error < 0 ? 0 : call->n_items, call->data);
    call_free(call);
}

/* Queues a call; the template is copied, its texts are taken. */
static int call_begin(struct store_sqlite *store, const struct call *template, bool write,
                      int (*work)(struct store_sqlite *store, void *data),
                      void (*on_done)(int error, void *data))
{
    struct call *call = malloc(sizeof(*call));
    struct store_job *job = malloc(sizeof(*job));
    if (call == NULL || job == NULL) {
        free(call);
        free(job);
        free(template->text);
        free(template->text2);
        return -ENOMEM;
    }
    *call = *template;
    call->store = store;
    *job = (struct store_job){.write = write, .heap = true, .work = work, .on_done = on_done, .data = call};
    store_jobs_add(store, job);
    return 0;
}

/* ---- writing ---- */

static int work_add_run(struct store_sqlite *store, void *data)
{
    return store_insert_run(store, ((struct call *)data)->run);
}

int store_async_add_run(struct store_sqlite *store, const struct store_run *run, store_on_done *on_done,
                        void *data)
{
    struct call call = {.run = run, .on_done = on_done, .data = data};
    return call_begin(store, &call, true, work_add_run, tell_done);
}

static int work_set_wish(struct store_sqlite *store, void *data)
{
    const struct call *call = data;
    return store_write_run(store, call->text, call->state, call->wish, 0, 0);
}

int store_async_set_wish(struct store_sqlite *store, const char *run_id, enum run_state state,
                         enum run_wish wish, store_on_done *on_done, void *data)
{
    struct call call = {
        .text = strdup(run_id), .state = state, .wish = wish, .on_done = on_done, .data = data};
    return call.text == NULL ? -ENOMEM : call_begin(store, &call, true, work_set_wish, tell_done);
}

static int work_set_filed(struct store_sqlite *store, void *data)
{
    const struct call *call = data;
    return store_update_filed(store, call->text, call->text2);
}

int store_async_set_filed(struct store_sqlite *store, const char *run_id, const char *filed,
                          store_on_done *on_done, void *data)
{
    struct call call = {.text = strdup(run_id), .text2 = strdup(filed), .on_done = on_done, .data = data};
    if (call.text == NULL || call.text2 == NULL) {
        free(call.text);
        free(call.text2);
        return -ENOMEM;
    }
    return call_begin(store, &call, true, work_set_filed, tell_done);
}

static int work_skip_due(struct store_sqlite *store, void *data)
{
    const struct call *call = data;
    return store_insert_due(store, call->text, call->number, NULL);
}

int store_async_skip_due(struct store_sqlite *store, const char *plan, int64_t due_ms, store_on_done *on_done,
                         void *data)
{
    struct call call = {.text = strdup(plan), .number = due_ms, .on_done = on_done, .data = data};
    return call.text == NULL ? -ENOMEM : call_begin(store, &call, true, work_skip_due, tell_done);
}

/* ---- forgetting ---- */

static int work_prune(struct store_sqlite *store, void *data)
{
    struct call *call = data;
    return store_prune_some(store, call->number, &call->more);
}

/* The next piece goes behind whatever was queued meanwhile. */
static void tell_pruned(int error, void *data)
{
    struct call *call = data;
    if (error == 0 && call->more) {
        error = call_begin(call->store, call, true, work_prune, tell_pruned);
        if (error == 0) {
            call_free(call);
            return;
        }
    }
    tell_done(error, call);
}

int store_async_prune(struct store_sqlite *store, int64_t before_ms, store_on_done *on_done, void *data)
{
    struct call call = {.number = before_ms, .on_done = on_done, .data = data};
    return call_begin(store, &call, true, work_prune, tell_pruned);
}

/* ---- reading ---- */

static int keep_run(struct store_run *run, void *data)
{
    struct call *call = data;
    struct store_run *runs = reallocarray(call->runs, call->n_runs + 1, sizeof(*runs));
    if (runs == NULL)
        return -ENOMEM;
    call->runs = runs;
    runs[call->n_runs++] = *run;
    *run = (struct store_run){0};
    return 0;
}

static int work_open_runs(struct store_sqlite *store, void *data)
{
    return store_sqlite_open_runs(store, keep_run, data);
}

int store_async_open_runs(struct store_sqlite *store, store_on_runs *on_runs, void *data)
{
    struct call call = {.on_runs = on_runs, .data = data};
    return call_begin(store, &call, false, work_open_runs, tell_runs);
}

static int work_last_scheduled(struct store_sqlite *store, void *data)
{
    return store_sqlite_last_scheduled(store, keep_run, data);
}

int store_async_last_scheduled(struct store_sqlite *store, store_on_runs *on_runs, void *data)
{
    struct call call = {.on_runs = on_runs, .data = data};
    return call_begin(store, &call, false, work_last_scheduled, tell_runs);
}

static int work_list_runs(struct store_sqlite *store, void *data)
{
    return store_sqlite_list_runs(store, ((struct call *)data)->limit, keep_run, data);
}

int store_async_list_runs(struct store_sqlite *store, unsigned limit, store_on_runs *on_runs, void *data)
{
    struct call call = {.limit = limit, .on_runs = on_runs, .data = data};
    return call_begin(store, &call, false, work_list_runs, tell_runs);
}

static int work_find_runs(struct store_sqlite *store, void *data)
{
    const struct call *call = data;
    return store_sqlite_find_runs(store, call->text, call->limit, keep_run, data);
}

int store_async_find_runs(struct store_sqlite *store, const char *part, unsigned limit,
                          store_on_runs *on_runs, void *data)
{
    struct call call = {.text = strdup(part), .limit = limit, .on_runs = on_runs, .data = data};
    return call.text == NULL ? -ENOMEM : call_begin(store, &call, false, work_find_runs, tell_runs);
}

static int work_load_run(struct store_sqlite *store, void *data)
{
    struct call *call = data;
    struct store_run run = {0};
    int r = store_sqlite_load_run(store, call->text, &run);
    if (r == 0)
        r = keep_run(&run, call);
    store_run_done(&run);
    return r;
}

int store_async_load_run(struct store_sqlite *store, const char *run_id, store_on_runs *on_runs, void *data)
{
    struct call call = {.text = strdup(run_id), .on_runs = on_runs, .data = data};
    return call.text == NULL ? -ENOMEM : call_begin(store, &call, false, work_load_run, tell_runs);
}

static int keep_item(const struct item *item, void *data)
{
    struct call *call = data;
    call->items[call->n_items++] = *item;
    return 0;
}

static int work_load_items(struct store_sqlite *store, void *data)
{
    struct call *call = data;
    call->arena = arena_new();
    call->items = calloc(call->limit > 0 ? call->limit : 1, sizeof(*call->items));
    if (call->arena == NULL || call->items == NULL)
        return -ENOMEM;
    return store_sqlite_load_page(store, call->text, call->from, call->limit, call->arena, keep_item, call);
}

int store_async_load_items(struct store_sqlite *store, const char *run_id, uint32_t from, unsigned limit,
                           store_on_items *on_items, void *data)
{
    struct call call = {
        .text = strdup(run_id), .from = from, .limit = limit, .on_items = on_items, .data = data};
    return call.text == NULL ? -ENOMEM : call_begin(store, &call, false, work_load_items, tell_items);
}

int store_async_read(struct store_sqlite *store, int (*work)(struct store_sqlite *store, void *data),
                     store_on_done *on_done, void *data)
{
    struct store_job *job = malloc(sizeof(*job));
    if (job == NULL)
        return -ENOMEM;
    *job = (struct store_job){.heap = true, .work = work, .on_done = on_done, .data = data};
    store_jobs_add(store, job);
    return 0;
}
