/* The registry of open runs: from acceptance until their end is stored. The
 * engine knows only those that have a place; the others are a row each here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/engine.h"
#include "io/loop.h"
#include "io/store_async.h"
#include "model/settings.h"
#include "model/window.h"
#include "service_parts.h"

#define AGAIN_MS 30000 /* what failed through no fault of the plan is tried again */

/* ---- lists ---- */

static void list_add(struct run_list *list, struct service_run *run)
{
    struct service_run **at = &list->first;
    if (list->last && strcmp(list->last->row.id, run->row.id) < 0)
        at = &list->last->next;
    while (*at && strcmp((*at)->row.id, run->row.id) < 0) /* ids are in order of acceptance */
        at = &(*at)->next;
    run->next = *at;
    *at = run;
    if (!run->next)
        list->last = run;
    list->n++;
}

static void list_remove(struct run_list *list, const struct service_run *run)
{
    struct service_run *before = NULL;
    for (struct service_run *at = list->first; at && at != run; at = at->next)
        before = at;
    if (before)
        before->next = run->next;
    else
        list->first = run->next;
    if (list->last == run)
        list->last = before;
    list->n--;
}

static struct service_run *list_find(const struct run_list *list, const char *run_id)
{
    for (struct service_run *run = list->first; run; run = run->next)
        if (strcmp(run->row.id, run_id) == 0)
            return run;
    return NULL;
}

struct service_run *service_find_run(const struct service *service, const char *run_id)
{
    const struct run_list *const lists[] = {&service->active, &service->queued, &service->filing};
    struct service_run *run = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(lists) && !run; i++)
        run = list_find(lists[i], run_id);
    return run;
}

struct service_run *service_run_new(struct service *service, struct store_run *row)
{
    struct service_run *run = calloc(1, sizeof(*run));
    if (!run)
        return NULL;
    run->service = service;
    run->row = *row;
    *row = (struct store_run){0};
    return run;
}

void service_run_free(struct service_run *run)
{
    store_run_done(&run->row);
    free(run->trouble);
    free(run);
}

void service_run_queue(struct service_run *run)
{
    run->place = PLACE_QUEUED;
    list_add(&run->service->queued, run);
    uv_async_send(&run->service->host.wake);
}

void service_run_file(struct service_run *run)
{
    run->place = PLACE_FILING;
    list_add(&run->service->filing, run);
}

void service_run_filed(struct service_run *run)
{
    list_remove(&run->service->filing, run);
    service_run_queue(run);
}

void service_runs_free(struct service *service)
{
    struct run_list *const lists[] = {&service->filing, &service->queued, &service->active};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        while (lists[i]->first) {
            struct service_run *run = lists[i]->first;
            list_remove(lists[i], run);
            service_run_free(run);
        }
    }
}

/* ---- counting ---- */

static bool run_paused(const struct service_run *run)
{
    return run->place == PLACE_ENGINE &&
           engine_run_status(run->service->host.engine, run->row.id).state == RUN_PAUSED;
}

static bool run_busy(const struct service_run *run)
{
    return !run->look && !run_paused(run);
}

size_t service_runs_paused(const struct service *service)
{
    size_t n = 0;
    for (const struct service_run *run = service->active.first; run; run = run->next)
        n += run_paused(run);
    return n;
}

size_t service_runs_busy(const struct service *service)
{
    size_t n = 0;
    for (const struct service_run *run = service->active.first; run; run = run->next)
        n += run_busy(run);
    return n;
}

size_t service_runs_under_way(const struct service *service)
{
    size_t n = 0;
    for (const struct service_run *run = service->active.first; run; run = run->next) {
        struct run_status status = engine_run_status(service->host.engine, run->row.id);
        n += status.count[ITEM_SUBMITTING] + status.count[ITEM_RUNNING];
    }
    return n;
}

/* ---- saying so ---- */

static struct log_fields run_fields(const struct service_run *run, enum log_kind kind)
{
    return (struct log_fields){
        .kind = kind, .run = run->row.id, .plan = run->row.plan, .server = run->row.server};
}

void service_run_trouble(struct service_run *run, const char *text)
{
    if (run->trouble && strcmp(run->trouble, text) == 0)
        return; /* said already */
    free(run->trouble);
    run->trouble = strdup(text);
    struct log_fields fields = run_fields(run, LOG_KIND_STATE_TROUBLE);
    log_event(LOG_LEVEL_WARNING, &fields, "run %s (%s): %s", run->row.id, run->row.plan, text);
}

static void run_fine(struct service_run *run)
{
    free(run->trouble);
    run->trouble = NULL;
}

/* ---- into the engine ---- */

static void run_block(struct service_run *run, int error, const struct diag *diag)
{
    struct service *service = run->service;
    list_remove(&service->active, run);
    list_add(&service->queued, run);
    run->place = PLACE_BLOCKED;
    run->again_ms = loop_now().mono_ms + AGAIN_MS;
    service_blocked(run, error, diag);
}

static int engine_command(struct engine *engine, const char *run_id, enum run_command command)
{
    switch (command) {
    case COMMAND_PAUSE:
        return engine_pause_run(engine, run_id);
    case COMMAND_RESUME:
        return engine_resume_run(engine, run_id);
    case COMMAND_CANCEL:
    case COMMAND_CANCEL_TASKS:
        return engine_cancel_run(engine, run_id, command == COMMAND_CANCEL_TASKS);
    case COMMAND_RETRY:
        return engine_retry_run(engine, run_id);
    case COMMAND_NONE:
        break;
    }
    return -EINVAL;
}

static void run_gone(struct service_run *run)
{
    list_remove(&run->service->active, run);
    service_run_free(run);
}

/* With ENGINE_CANCEL it is being cancelled already, which on_run tells. */
static int run_command(struct service_run *run, enum engine_run_mode mode)
{
    if (run->command == COMMAND_NONE || (mode == ENGINE_CANCEL && service_blocked_cancels(run)))
        return 0;
    return engine_command(run->service->host.engine, run->row.id, run->command);
}

static void run_entered(struct service_run *run, enum engine_run_mode mode)
{
    struct service *service = run->service;
    struct log_fields fields = run_fields(run, LOG_KIND_RUN_STARTED);
    run->place = PLACE_ENGINE;
    run->again_ms = 0;
    run_fine(run);
    struct run_status status = engine_run_status(service->host.engine, run->row.id);
    run->row.totals.items = (int64_t)status.n_items;
    run->row.started_ms = status.started_ms;
    if (mode == ENGINE_RUN)
        log_event(LOG_LEVEL_INFO, &fields, "run %s of plan %s %s: %lld clones on server %s", run->row.id,
                  run->row.plan, run->resumed ? "goes on" : "begins", (long long)run->row.totals.items,
                  run->row.server);
    int r = run_command(run, mode);
    if (r == 0)
        return;
    service_control_answered(run, r);
    if (run->reopened) { /* nothing to begin anew: it stays ended */
        engine_remove_run(service->host.engine, run->row.id);
        run_gone(run);
    }
}

static void on_loaded(int error, struct run_load *load, struct diag *diag, void *data)
{
    struct service_run *run = data;
    struct service *service = run->service;
    enum engine_run_mode mode = ENGINE_RUN;
    service_blocked_count(run, load);
    if (error == 0)
        error = service_blocked_mode(run, &mode);
    if (error == 0)
        error = run_load_add(load, service->host.engine, mode, run->resumed || load->n_items > 0, loop_now());
    if (error == 0) {
        run_entered(run, mode);
    } else if (run->reopened) {
        service_control_answered(run, service_blocked_answer(error));
        run_gone(run);
    } else {
        run_block(run, error, diag);
    }
    uv_async_send(&service->host.wake);
}

static void run_load_begin(struct service_run *run)
{
    struct load_wish wish = {
        .plan = LOAD_PLAN, .held = true, .server = run->row.server, .on_done = on_loaded, .data = run};
    run->place = PLACE_LOADING;
    list_add(&run->service->active, run);
    int r = service_load(run->service, run->row.id, &wish);
    if (r < 0 && run->reopened) {
        service_control_answered(run, r);
        run_gone(run);
    } else if (r < 0) {
        run_block(run, r, NULL);
    }
}

static void run_begin(struct service_run *run)
{
    list_remove(&run->service->queued, run);
    run_load_begin(run);
}

static void begin_queued(struct service *service, struct instant now)
{
    size_t busy = service_runs_busy(service);
    struct service_run *next;
    for (struct service_run *run = service->queued.first; run && busy < service->settings->runs_max;
         run = next) {
        next = run->next;
        if ((run->place == PLACE_BLOCKED && now.mono_ms < run->again_ms) ||
            service_schedule_waits(service, run))
            continue;
        busy += !run->look;
        run_begin(run);
    }
}

/* What is paused or cancelled sends nothing new: it needs no place. */
void service_runs_unblock(struct service *service)
{
    struct service_run *next;
    for (struct service_run *run = service->queued.first; run; run = next) {
        next = run->next;
        run->again_ms = 0;
        if (run->place == PLACE_BLOCKED && run->row.wish != RUN_WISH_NONE && !service->stopping)
            run_begin(run);
    }
}

static int on_open_run(struct store_run *row, void *data)
{
    struct service *service = data;
    if (row->origin == RUN_FROM_ONCE && row->state == RUN_QUEUED)
        return 0; /* nothing has left: it holds no name */
    struct service_run *run = service_run_new(service, row);
    if (!run)
        return -ENOMEM;
    run->resumed = true;
    run->look = run->row.origin == RUN_FROM_ONCE;
    run->place = PLACE_QUEUED;
    list_add(&service->queued, run);
    return 0;
}

/* The spool hears of its runs; those whose copy is not in accepted/ yet wait for that. */
static int tell_spool(struct service *service)
{
    struct service_run *next;
    int r = 0;
    for (struct service_run *run = service->queued.first; run && r == 0; run = next) {
        next = run->next;
        if (run->row.origin != RUN_FROM_SPOOL)
            continue;
        r = service_spool_know(service, &run->row);
        if (r == 0 && !run->row.filed) {
            list_remove(&service->queued, run);
            service_run_file(run);
        }
    }
    return r;
}

int service_runs_open(struct service *service)
{
    int r = store_sqlite_open_runs(service->host.store, on_open_run, service);
    if (r == 0)
        r = tell_spool(service);
    struct service_run *next;
    for (struct service_run *run = service->queued.first; run && r == 0; run = next) {
        next = run->next;
        if (run->look || run->row.wish != RUN_WISH_NONE) /* paused ones too: they use no place */
            run_begin(run);
    }
    return r;
}

/* ---- the end ---- */

static void run_later(struct service_run *run, const char *what, int error)
{
    char text[256];
    snprintf(text, sizeof(text), "%s: %s; tried again", what, strerror(-error));
    service_run_trouble(run, text);
    run->place = PLACE_ENGINE;
    run->again_ms = loop_now().mono_ms + AGAIN_MS;
}

static void run_end(struct service_run *run)
{
    run->place = PLACE_ENDING;
    int r = engine_end_run(run->service->host.engine, run->row.id);
    if (r < 0)
        run_later(run, "its end cannot be stored", r);
}

static void on_filing_stored(int error, void *data)
{
    struct service_run *run = data;
    run->service->storing--;
    if (error < 0)
        run_later(run, "where its plan was filed cannot be stored", error);
    else
        run_end(run);
}

static void on_spooled(int error, char *filed, const char *text, void *data)
{
    struct service_run *run = data;
    if (error < 0) {
        run_later(run, *text ? text : "its result cannot be filed in the spool", error);
        return;
    }
    run_fine(run);
    service_spool_release(run->service, run->row.filed);
    free(run->row.filed);
    run->row.filed = filed;
    int r = store_async_set_filed(run->service->host.store, run->row.id, filed, on_filing_stored, run);
    if (r < 0)
        run_later(run, "where its plan was filed cannot be stored", r);
    else
        run->service->storing++;
}

/* Results of other runs are written when they are asked for. */
static void run_report(struct service_run *run, const struct run_status *status)
{
    if (!run->finished_ms)
        run->finished_ms = loop_now().wall_ms;
    if (run->row.origin != RUN_FROM_SPOOL) {
        run_end(run);
        return;
    }
    run->place = PLACE_REPORTING;
    int r = service_render_spool(run->service, run->row.id, run_state_name(status->state), run->finished_ms,
                                 on_spooled, run);
    if (r < 0)
        run_later(run, "its result cannot be filed in the spool", r);
}

static bool look_done(const struct run_status *s)
{
    return s->count[ITEM_SUBMITTING] + s->count[ITEM_RUNNING] + s->count[ITEM_IN_DOUBT] == 0;
}

static void run_over(struct service_run *run, const struct run_status *status)
{
    if (!run->look) {
        run_report(run, status);
    } else if (engine_remove_run(run->service->host.engine, run->row.id) == 0) {
        run_gone(run); /* it stays open in the store: --once goes on with it */
    }
}

static void run_ended(struct service_run *run, const struct run_status *status)
{
    struct log_fields fields = run_fields(run, LOG_KIND_RUN_ENDED);
    size_t bad = status->count[ITEM_FAILED] + status->count[ITEM_UNKNOWN];
    fields.to = run_state_name(status->state);
    log_event(bad ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, &fields,
              "run %s of plan %s has ended: %s (%zu succeeded, %zu skipped, %zu failed, %zu cancelled, %zu "
              "unknown)",
              run->row.id, run->row.plan, fields.to, status->count[ITEM_SUCCEEDED],
              status->count[ITEM_SKIPPED], status->count[ITEM_FAILED], status->count[ITEM_CANCELLED],
              status->count[ITEM_UNKNOWN]);
    run->row.state = status->state;
    service_control_ended(run);
    engine_remove_run(run->service->host.engine, run->row.id);
    run_gone(run);
}

void service_run_changed(const struct service_run *run, enum run_state state, enum run_wish wish)
{
    struct log_fields fields = run_fields(run, LOG_KIND_RUN_CHANGED);
    const char *word = wish >= RUN_WISH_CANCEL  ? "is being cancelled"
                       : wish == RUN_WISH_PAUSE ? "is paused"
                                                : "goes on";
    fields.to = run_state_name(state);
    log_event(LOG_LEVEL_INFO, &fields, "run %s of plan %s %s", run->row.id, run->row.plan, word);
}

void service_on_run(const char *run_id, void *data)
{
    struct service *service = data;
    struct service_run *run = list_find(&service->active, run_id);
    if (!run || run->place < PLACE_ENGINE)
        return;
    struct run_status status = engine_run_status(service->host.engine, run_id);
    if (run->command != COMMAND_NONE && !status.busy) {
        if (run->reopened && !status.ended)
            run->reopened = false;
        run->row.wish = status.wish;
        run->row.state = status.state;
        run->row.started_ms = status.started_ms;
        service_run_changed(run, status.state, status.wish);
        service_control_answered(run, 0);
    }
    if (status.ended && run->place == PLACE_ENDING)
        run_ended(run, &status);
}

static void run_look_at_window(struct service_run *run, const struct run_status *status)
{
    char clock[WINDOW_TEXT_MAX];
    run->opens[0] = '\0';
    if (!status->opens_ms)
        return;
    window_clock(status->window, status->opens_ms, clock);
    snprintf(run->opens, sizeof(run->opens), "its window is closed until %s", clock);
}

void service_runs_turn(struct service *service, struct instant now)
{
    struct service_run *next;
    for (struct service_run *run = service->active.first; run; run = next) {
        next = run->next;
        if (run->place != PLACE_ENGINE || run->reopened || now.mono_ms < run->again_ms)
            continue;
        struct run_status status = engine_run_status(service->host.engine, run->row.id);
        run_look_at_window(run, &status);
        if (run->look ? look_done(&status) : status.over && !status.busy)
            run_over(run, &status);
    }
    if (!service->stopping)
        begin_queued(service, now);
}

/* ---- commands ---- */

/* A command that has to wait for room on the disk would not answer. */
static int service_state_failing(const struct service *service)
{
    int error;
    return engine_store_failing(service->host.engine, &error) ? error : 0;
}

int service_command(struct service *service, struct service_run *run, enum run_command command)
{
    int r = service_state_failing(service);
    if (r < 0)
        return r;
    if (run->place == PLACE_FILING)
        return -EINPROGRESS;
    bool waiting = run->place == PLACE_QUEUED || run->place == PLACE_BLOCKED;
    if (run->command != COMMAND_NONE)
        return -EBUSY;
    if (run->look || run->place == PLACE_REPORTING || run->place == PLACE_ENDING)
        return -EINVAL;
    if (waiting)
        r = service_blocked_allows(run, command);
    if (r < 0)
        return r;
    r = run->place == PLACE_ENGINE ? engine_command(service->host.engine, run->row.id, command) : 0;
    if (r < 0)
        return r;
    run->command = command;
    if (waiting)
        run_begin(run);
    return 0;
}

int service_reopen(struct service *service, struct store_run *row, struct control_request *request)
{
    int r = service_state_failing(service);
    struct service_run *run = r == 0 ? service_run_new(service, row) : NULL;
    if (!run)
        return r < 0 ? r : -ENOMEM;
    run->reopened = run->resumed = true;
    run->command = COMMAND_RETRY;
    run->request = request;
    run_load_begin(run);
    return 0;
}
