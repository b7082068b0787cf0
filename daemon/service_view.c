/* Runs, servers and the daemon as values for operators. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/engine.h"
#include "io/control.h"
#include "io/loop.h"
#include "io/store_async.h"
#include "model/session.h"
#include "model/settings.h"
#include "service_control_parts.h"

/* ---- a run ---- */

enum run_state service_run_state(const struct service_run *run)
{
    if (run->place < PLACE_ENGINE)
        return run->reopened || run->row.wish == RUN_WISH_PAUSE ? run->row.state : RUN_QUEUED;
    return engine_run_status(run->service->host.engine, run->row.id).state;
}

static const char *phase_word(const struct run_status *s)
{
    size_t moving = s->count[ITEM_SUBMITTING] + s->count[ITEM_RUNNING] + s->count[ITEM_IN_DOUBT];
    if (s->over || s->state != RUN_RUNNING)
        return NULL;
    if (s->wish >= RUN_WISH_CANCEL)
        return "cancelling";
    if (s->opens_ms && moving == 0)
        return "waiting";
    if (s->resolving)
        return "resolving";
    if (s->verifying)
        return "verifying";
    return moving == 0 && s->n_wait > 0 ? "waiting" : "cloning";
}

static struct control_counts counts_of(const struct run_status *s)
{
    return (struct control_counts){.items = s->n_items,
                                   .pending = s->count[ITEM_QUEUED],
                                   .running = s->count[ITEM_SUBMITTING] + s->count[ITEM_RUNNING],
                                   .in_doubt = s->count[ITEM_IN_DOUBT],
                                   .succeeded = s->count[ITEM_SUCCEEDED],
                                   .skipped = s->count[ITEM_SKIPPED],
                                   .failed = s->count[ITEM_FAILED],
                                   .cancelled = s->count[ITEM_CANCELLED],
                                   .unknown = s->count[ITEM_UNKNOWN]};
}

void service_view_row(const struct store_run *row, struct control_run *ret)
{
    const struct store_totals *t = &row->totals;
    int64_t ended = t->succeeded + t->skipped + t->failed + t->cancelled + t->unknown;
    *ret = (struct control_run){.id = row->id,
                                .plan = row->plan,
                                .file = row->file,
                                .server = row->server,
                                .origin = run_origin_name(row->origin),
                                .state = run_state_name(row->state),
                                .accepted_ms = row->accepted_ms,
                                .started_ms = row->started_ms,
                                .finished_ms = row->finished_ms,
                                .counts = {.items = (size_t)t->items,
                                           .pending = (size_t)(t->items > ended ? t->items - ended : 0),
                                           .succeeded = (size_t)t->succeeded,
                                           .skipped = (size_t)t->skipped,
                                           .failed = (size_t)t->failed,
                                           .cancelled = (size_t)t->cancelled,
                                           .unknown = (size_t)t->unknown}};
}

/* A moment of the monotonic clock on the wall; 0 when it is none, or has passed though it should be to come.
 */
static int64_t wall_of(uint64_t mono_ms, bool to_come)
{
    struct instant now = loop_now();
    if (!mono_ms || (to_come && mono_ms <= now.mono_ms))
        return 0;
    return now.wall_ms + (int64_t)mono_ms - (int64_t)now.mono_ms;
}

/* The server wants to be left alone for some time: a sentence, or NULL. */
static const char *server_rest(const struct service *service, struct host_server *s)
{
    char clock[32];
    struct tm tm;
    int64_t until_ms = wall_of(engine_server_status(service->host.engine, s->settings->name).rests_ms, true);
    time_t seconds = until_ms / 1000;
    if (!until_ms || !gmtime_r(&seconds, &tm) || strftime(clock, sizeof(clock), "%F %T UTC", &tm) == 0)
        return NULL;
    snprintf(s->rest, sizeof(s->rest), "server %s is busy: nothing is sent until %s, as it asked",
             s->settings->name, clock);
    return s->rest;
}

const char *service_server_trouble(const struct service *service, const char *name)
{
    for (struct host_server *s = service->host.servers; s; s = s->next)
        if (strcmp(s->settings->name, name) == 0)
            return s->trouble[0] ? s->trouble : server_rest(service, s);
    return NULL;
}

/* What is known of it without the engine. */
static void view_stored(const struct service_run *run, struct control_run *ret)
{
    if (run->place == PLACE_BLOCKED && run->row.wish >= RUN_WISH_CANCEL)
        ret->phase = "cancelling";
    if (!run->counted)
        return;
    size_t left = 0, all = (size_t)run->row.totals.items;
    struct run_status stored = {.n_items = all};
    memcpy(stored.count, run->count, sizeof(stored.count));
    for (int state = 0; state < ITEM_STATE_COUNT; state++)
        left += state == ITEM_QUEUED ? 0 : stored.count[state];
    stored.count[ITEM_QUEUED] = all > left ? all - left : 0;
    ret->counts = counts_of(&stored);
}

void service_view_run(const struct service_run *run, struct control_run *ret)
{
    const struct service *service = run->service;
    service_view_row(&run->row, ret);
    ret->state = run_state_name(service_run_state(run));
    ret->trouble = run->trouble;
    if (run->place == PLACE_FILING)
        ret->trouble = "its plan waits to be filed in the spool's accepted/; the log says what keeps it";
    if (run->place < PLACE_ENGINE) {
        view_stored(run, ret);
        return;
    }
    struct run_status status = engine_run_status(service->host.engine, run->row.id);
    ret->counts = counts_of(&status);
    ret->phase = phase_word(&status);
    if (status.over)
        ret->finished_ms = run->finished_ms;
    else if (!ret->trouble && run->opens[0])
        ret->trouble = run->opens;
    else if (!ret->trouble)
        ret->trouble = service_server_trouble(service, run->row.server);
}

/* ---- the daemon ---- */

static const char *server_word(enum server_trouble trouble)
{
    switch (trouble) {
    case SERVER_FINE:
        return "fine";
    case SERVER_UNREACHABLE:
        return "unreachable";
    case SERVER_TLS:
        return "tls";
    case SERVER_CREDENTIALS:
        return "credentials";
    case SERVER_WRONG:
        return "wrong";
    }
    return "fine";
}

static const char *session_word(enum session_state state)
{
    switch (state) {
    case SESSION_CLOSED:
        return "closed";
    case SESSION_OPENING:
        return "opening";
    case SESSION_OPEN:
        return "open";
    case SESSION_REFUSED:
        return "refused";
    }
    return "closed";
}

static void view_backup_servers(const struct service *service, struct control_server *ret)
{
    const struct engine *engine = service->host.engine;
    struct backup_server_status s;
    size_t n = 0;
    while (engine_backup_server_status(engine, ret->name, n, &s))
        n++;
    struct control_backup_server *all = calloc(n ? n : 1, sizeof(*all));
    for (size_t i = 0; all && i < n && engine_backup_server_status(engine, ret->name, i, &s); i++)
        all[i] = (struct control_backup_server){
            .name = s.name, .tasks = s.tasks, .tasks_limit = s.bound, .tasks_max = s.max};
    ret->backup_servers = all;
    ret->n_backup_servers = all ? n : 0;
}

static void view_server(const struct service *service, const struct host_server *server,
                        struct control_server *ret)
{
    const struct server_settings *settings = server->settings;
    struct server_status s = engine_server_status(service->host.engine, settings->name);
    *ret = (struct control_server){.name = settings->name,
                                   .url = settings->url,
                                   .state = server_word(s.trouble),
                                   .session = session_word(s.session),
                                   .message =
                                       s.trouble != SERVER_FINE && *server->trouble ? server->trouble : NULL,
                                   .unreachable_ms = wall_of(s.since_ms, false),
                                   .probe_ms = wall_of(s.probe_ms, true),
                                   .rests_ms = wall_of(s.rests_ms, true),
                                   .in_flight = s.in_flight,
                                   .in_flight_limit = s.limit,
                                   .in_flight_max = s.in_flight_max,
                                   .tasks = s.tasks,
                                   .tasks_max = settings->tasks_max};
    view_backup_servers(service, ret);
}

static size_t view_servers(const struct service *service, struct control_server **ret)
{
    size_t n = 0;
    for (const struct host_server *s = service->host.servers; s; s = s->next)
        n++;
    *ret = calloc(n ? n : 1, sizeof(**ret));
    if (!*ret)
        return 0;
    size_t at = n; /* the newest is first in the list */
    for (const struct host_server *s = service->host.servers; s; s = s->next)
        view_server(service, s, &(*ret)[--at]);
    return n;
}

/* What is wrong with the daemon itself. */
static const char *daemon_trouble(const struct service *service, char *text, size_t size)
{
    int error;
    if (!engine_store_failing(service->host.engine, &error))
        return service->trouble;
    snprintf(text, size, "the state in %s cannot be written: %s; no clone is requested until there is room",
             host_state_directory(service->boot, NULL), strerror(-error));
    return text;
}

void service_op_status(struct control_request *request, void *data)
{
    const struct service *service = data;
    const struct settings *settings = service->settings;
    char trouble[1024];
    struct control_server *servers = NULL;
    size_t n = view_servers(service, &servers), busy = service_runs_busy(service);
    struct control_status status = {.version = JOBCLONE_VERSION,
                                    .started_ms = service->started_ms,
                                    .reloaded_ms = service->reloaded_ms,
                                    .state_directory = host_state_directory(service->boot, NULL),
                                    .spool_directory = service->boot->spool_directory,
                                    .trouble = daemon_trouble(service, trouble, sizeof(trouble)),
                                    .running = busy,
                                    .queued = service->queued.n + service->filing.n,
                                    .paused = service_runs_paused(service),
                                    .runs_max = settings->runs_max,
                                    .plan_bytes = settings->plan_bytes,
                                    .plan_items = settings->plan_items,
                                    .servers = servers,
                                    .n_servers = n};
    control_reply_status(request, &status);
    for (size_t i = 0; i < n; i++)
        free((void *)servers[i].backup_servers);
    free(servers);
}

/* ---- lists ---- */

struct list_job {
    struct service *service;
    struct control_request *request;
    size_t limit;
};

static size_t view_list(const struct run_list *list, struct control_run *views, size_t n, size_t size)
{
    for (const struct service_run *run = list->first; run && n < size; run = run->next)
        service_view_run(run, &views[n++]);
    return n;
}

/* Open runs first, then the newest of those that have ended. */
static void on_rows(int error, struct store_run *rows, size_t n_rows, void *data)
{
    struct list_job *job = data;
    const struct service *service = job->service;
    size_t size = service->active.n + service->queued.n + service->filing.n + n_rows, n = 0;
    struct control_run *views = error < 0 ? NULL : calloc(size ? size : 1, sizeof(*views));
    if (!views) {
        control_reply_error(job->request, CONTROL_E_INTERNAL, "the runs cannot be read: %s",
                            strerror(error < 0 ? -error : ENOMEM));
        free(job);
        return;
    }
    n = view_list(&service->active, views, n, size);
    n = view_list(&service->queued, views, n, size);
    n = view_list(&service->filing, views, n, size);
    for (size_t i = 0; i < n_rows; i++)
        if (!service_find_run(service, rows[i].id))
            service_view_row(&rows[i], &views[n++]);
    control_reply_runs(job->request, views, n < job->limit ? n : job->limit);
    free(views);
    free(job);
}

void service_op_list(struct control_request *request, size_t limit, void *data)
{
    struct service *service = data;
    struct list_job *job = malloc(sizeof(*job));
    if (job)
        *job = (struct list_job){service, request, limit};
    if (job && store_async_list_runs(service->host.store, (unsigned)limit, on_rows, job) == 0)
        return;
    free(job);
    control_reply_error(request, CONTROL_E_INTERNAL, "out of memory; try again");
}
