#include "service.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/engine.h"
#include "io/journal.h"
#include "io/loop.h"
#include "io/session_memory.h"
#include "io/store_async.h"
#include "model/session.h"
#include "model/settings.h"
#include "service_parts.h"

#define DRAIN_MS 30000
#define LEAVE_MS 20000 /* logging off and closing, at most */
#define EXTEND_MS 5000 /* how often systemd hears how long it still takes */
#define TURN_MS 1000
#define DRAIN_TURN_MS 200
#define PRUNE_MS ((uint64_t)24 * 3600 * 1000)
#define EXIT_INVALID 2
#define EXIT_UNREACHABLE 3
#define EXIT_INTERRUPTED 4

/* ---- what it says ---- */

static void log_item(const struct service_run *run, const struct item *from, const struct item *to)
{
    bool bad = to->state == ITEM_FAILED || to->state == ITEM_UNKNOWN;
    enum log_level level = bad ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG;
    struct log_fields fields = {.kind = LOG_KIND_ITEM,
                                .run = run->row.id,
                                .plan = run->row.plan,
                                .server = run->row.server,
                                .task = to->task_id,
                                .item = &to->index,
                                .from = item_state_name(from->state),
                                .to = item_state_name(to->state),
                                .fault = to->error != ITEM_OK ? item_error_name(to->error) : NULL};
    log_event(level, &fields, "run %s item %" PRIu32 " '%s': %s%s%s", run->row.id, to->index,
              to->name ? to->name : "", fields.to, to->message ? ": " : "", to->message ? to->message : "");
}

static void on_transition(const char *run_id, const struct item *from, const struct item *to, void *data)
{
    struct service *service = data;
    const struct service_run *run = from->state != to->state ? service_find_run(service, run_id) : NULL;
    if (!run)
        return;
    log_item(run, from, to);
    if (to->state == ITEM_FAILED || to->state == ITEM_UNKNOWN)
        service_control_failure(service, run_id, to);
}

struct sums {
    size_t items, done, failed;
};

static struct sums sum_items(const struct service *service)
{
    struct sums sums = {0};
    for (const struct service_run *run = service->active.first; run; run = run->next) {
        struct run_status s = engine_run_status(service->host.engine, run->row.id);
        size_t open =
            s.count[ITEM_QUEUED] + s.count[ITEM_SUBMITTING] + s.count[ITEM_RUNNING] + s.count[ITEM_IN_DOUBT];
        sums.items += s.n_items;
        sums.done += s.n_items - open;
        sums.failed += s.count[ITEM_FAILED] + s.count[ITEM_UNKNOWN];
    }
    return sums;
}

static const char *trouble_word(enum server_trouble trouble)
{
    switch (trouble) {
    case SERVER_FINE:
        return NULL;
    case SERVER_UNREACHABLE:
        return "is unreachable";
    case SERVER_TLS:
        return "has a certificate that is not accepted";
    case SERVER_CREDENTIALS:
        return "refuses the credentials";
    case SERVER_WRONG:
        return "is no Enterprise Manager";
    }
    return NULL;
}

static const char *trouble_remedy(enum server_trouble trouble)
{
    switch (trouble) {
    case SERVER_TLS:
        return "; no credentials were sent; check tls.ca_file, tls.pin and the name in url, then reload";
    case SERVER_CREDENTIALS:
        return "; nothing is tried until a reload, so that the account is not locked; check username and "
               "password";
    case SERVER_WRONG:
        return "; check url and port, then reload";
    case SERVER_FINE:
    case SERVER_UNREACHABLE:
        break;
    }
    return "";
}

static void note_trouble(struct host_server *s, const struct server_status *status)
{
    s->trouble[0] = '\0';
    if (status->trouble != SERVER_FINE)
        snprintf(s->trouble, sizeof(s->trouble), "server %s %s: %s%s", s->settings->name,
                 trouble_word(status->trouble), status->message, trouble_remedy(status->trouble));
}

/* After a reload nothing is held against a server, which is no proof that it is well: a session is. */
static void tell_server(struct host_server *s, enum server_trouble before, const struct server_status *status)
{
    struct log_fields fields = {.kind = LOG_KIND_SERVER_TROUBLE, .server = s->settings->name};
    if (status->trouble != SERVER_FINE) {
        s->hopes = false;
        if (before != status->trouble)
            log_event(LOG_LEVEL_ERROR, &fields, "%s", s->trouble);
        return;
    }
    s->hopes |= before != SERVER_FINE && before != SERVER_UNREACHABLE;
    if (!s->hopes || status->session != SESSION_OPEN)
        return;
    s->hopes = false;
    fields.kind = LOG_KIND_SERVER_FINE;
    log_event(LOG_LEVEL_INFO, &fields, "server %s is well again", s->settings->name);
}

/* The engine itself tells of servers that do not answer, and that answer again. */
static void tell_troubles(struct service *service)
{
    for (struct host_server *s = service->host.servers; s; s = s->next) {
        struct server_status status = engine_server_status(service->host.engine, s->settings->name);
        enum server_trouble before = s->told;
        s->told = status.trouble;
        note_trouble(s, &status);
        if (!s->leaves && status.trouble != SERVER_UNREACHABLE)
            tell_server(s, before, &status);
    }
}

static void tell_status(struct service *service, uint64_t now_ms)
{
    struct buf text = BUF_INIT(NOTIFY_STATUS_MAX);
    struct sums sums = sum_items(service);
    size_t busy = service_runs_busy(service);
    if (service->stopping)
        buf_printf(&text, "Stopping, %zu clones are awaited. ", service_runs_under_way(service));
    buf_printf(&text, "%zu running, %zu queued, %zu paused", busy, service->queued.n,
               service_runs_paused(service));
    if (sums.items)
        buf_printf(&text, "; %zu of %zu clones done", sums.done, sums.items);
    if (sums.failed)
        buf_printf(&text, ", %zu failed", sums.failed);
    for (const struct host_server *s = service->host.servers; s; s = s->next) {
        const char *word =
            trouble_word(engine_server_status(service->host.engine, s->settings->name).trouble);
        if (word)
            buf_printf(&text, "; %s %s", s->settings->name, word);
    }
    notify_status(&service->notify, buf_str(&text), now_ms);
    buf_done(&text);
}

static size_t open_runs(const struct service *service)
{
    return service->filing.n + service->queued.n + service->active.n;
}

/* After the first look at the folders. */
static void tell_ready(struct service *service)
{
    if (service->ready || !service->plans_ready || !service->spool_ready)
        return;
    service->ready = true;
    notify_ready();
    log_event(LOG_LEVEL_INFO, &(struct log_fields){.kind = LOG_KIND_READY},
              "ready: %zu open runs, %zu servers, state in %s, spool %s", open_runs(service),
              service->settings->n_servers, host_state_directory(service->boot, NULL),
              service->boot->spool_directory);
}

/* ---- stopping ---- */

static void service_leave(struct service *service)
{
    if (service->leaving)
        return;
    service->leaving = true;
    service_control_close(service);
    host_log_off(&service->host, session_memory_possible());
}

static void service_drain(struct service *service, uint64_t now_ms)
{
    bool idle = service_runs_under_way(service) == 0 && service->jobs == 0 && service->storing == 0;
    if (idle || now_ms >= service->drain_ms) {
        service_leave(service);
    } else if (now_ms >= service->extend_ms) {
        service->extend_ms = now_ms + EXTEND_MS;
        notify_stopping(service->drain_ms - now_ms + LEAVE_MS);
    }
}

static void service_stop(struct service *service)
{
    uint64_t now_ms = loop_now().mono_ms;
    log_event(LOG_LEVEL_INFO, &(struct log_fields){.kind = LOG_KIND_STOPPING},
              "stopping: nothing new is started; what runs is awaited for up to 30 s");
    service->stopping = true;
    service->drain_ms = now_ms + DRAIN_MS;
    service->extend_ms = now_ms + EXTEND_MS;
    notify_stopping(DRAIN_MS + LEAVE_MS);
    service_spool_close(service);
    service_schedule_close(service);
    service_renders_stop(service);
    engine_stop(service->host.engine);
}

static void on_signal(int number, void *data)
{
    struct service *service = data;
    if (number == SIGHUP) {
        if (!service->stopping)
            service_reload(service);
    } else if (service->stopping) {
        _exit(EXIT_INTERRUPTED); /* all that counts is stored */
    } else {
        service_stop(service);
    }
    host_turn(&service->host);
}

/* ---- turning ---- */

static void on_pruned(int error, void *data)
{
    (void)data;
    if (error < 0 && error != -ECANCELED)
        log_warning("old runs could not be forgotten: %s; tried again tomorrow", strerror(-error));
}

static void service_prune(struct service *service, struct instant now)
{
    if (now.mono_ms < service->prune_ms)
        return;
    service->prune_ms = now.mono_ms + PRUNE_MS;
    store_async_prune(service->host.store, now.wall_ms - (int64_t)service->settings->keep_ms, on_pruned,
                      NULL);
}

static uint64_t on_turn(struct instant now, void *data)
{
    struct service *service = data;
    notify_turned(&service->notify, now.mono_ms);
    if (!service->leaving) {
        service_runs_turn(service, now);
        service_servers_turn(service);
        tell_troubles(service); /* before operators hear of them */
        service_control_turn(service);
        service_schedule_turn(service, now);
        tell_status(service, now.mono_ms);
        tell_ready(service);
    }
    if (service->stopping)
        service_drain(service, now.mono_ms);
    else
        service_prune(service, now);
    uint64_t most_ms = service->stopping ? DRAIN_TURN_MS : TURN_MS,
             watched_ms = notify_turn_ms(&service->notify);
    return most_ms < watched_ms ? most_ms : watched_ms;
}

static void on_session(const char *server, const char *token, const char *session_id, void *data)
{
    struct service *service = data;
    const struct host_server *known = host_find_server(&service->host, server);
    if (!known || !session_memory_possible())
        return;
    if (!token) {
        session_memory_forget(known->settings);
        return;
    }
    int r =
        session_memory_write(known->settings, &(struct session_memory){(char *)token, (char *)session_id});
    if (r < 0)
        log_warning("server %s: its session will not survive a restart: %s", server, strerror(-r));
}

static bool is_idle(void *data)
{
    const struct service *service = data;
    return service->jobs == 0 && service->storing == 0 && !service->control_open && !service->plans_closing &&
           !service->spool_open;
}

/* ---- building ---- */

static const struct host_ops host_ops = {.on_turn = on_turn,
                                         .on_signal = on_signal,
                                         .on_transition = on_transition,
                                         .on_run = service_on_run,
                                         .on_session = on_session,
                                         .is_idle = is_idle};

static int service_open(struct service *service, struct buf *error)
{
    const char *directory = host_state_directory(service->boot, NULL);
    int r = service_servers_open(service, error);
    if (r < 0)
        return EXIT_INVALID;
    r = host_open_store(&service->host, directory, service->boot->keep_ms, error);
    if (r == 0)
        r = service_servers_enter(service, error);
    if (r == 0)
        r = service_schedule_open(service, error);
    if (r == 0)
        r = service_control_open(service, error); /* it answers when the loop turns */
    if (r == 0)
        r = service_spool_open(service, error);
    if (r == 0) {
        r = service_runs_open(service);
        if (r < 0)
            buf_printf(error, "the open runs in %s cannot be read: %s", directory, strerror(-r));
    }
    return r < 0 ? EXIT_UNREACHABLE : 0;
}

static void service_close(struct service *service)
{
    service_control_close(service);
    service_spool_close(service);
    service_schedule_close(service);
    while (service->control_open || service->spool_open || service->plans_closing)
        uv_run(&service->host.loop, UV_RUN_ONCE);
    host_close(&service->host);
    service_runs_free(service);
    service_settings_free(service);
    uv_mutex_destroy(&service->filing_lock);
    free(service->trouble);
    log_set_sink(NULL, NULL);
}

static void service_run_loop(struct service *service)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    host_catch(&service->host, signals, ARRAY_SIZE(signals));
    service_spool_start(service);
    service_schedule_start(service);
    host_run(&service->host);
    log_info("stopped: %zu runs are open and go on with the next start", open_runs(service));
}

int service_main(const char *config_path, struct settings *settings)
{
    struct service service = {.config_path = config_path, .settings = settings, .boot = settings};
    struct buf error = BUF_INIT(8192);
    journal_start();
    notify_init(&service.notify);
    if (host_init(&service.host, &host_ops, &service) < 0) {
        log_error("the event loop cannot be made");
        settings_free(settings);
        return EXIT_UNREACHABLE;
    }
    uv_mutex_init(&service.filing_lock);
    service.started_ms = loop_now().wall_ms;
    service.prune_ms = loop_now().mono_ms + PRUNE_MS;
    int exit_code = service_open(&service, &error);
    if (exit_code)
        log_error("%s", buf_str(&error));
    else
        service_run_loop(&service);
    buf_done(&error);
    service_close(&service);
    return exit_code;
}
