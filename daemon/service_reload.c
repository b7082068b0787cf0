/* Servers as the settings have them: connected at the start, and changed by a
 * reload, which reads everything first and swaps only when all of it is good.
 * A server whose address, certificate, API or format has changed, or that is gone, is kept by
 * the runs that are under way on it, and makes room when the last of them is over. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/engine.h"
#include "io/loop.h"
#include "io/session_memory.h"
#include "io/settings_files.h"
#include "model/settings.h"
#include "service_parts.h"

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Can a run under way go on with it: does nothing but credentials, limits and times differ? */
static bool same_server(const struct server_settings *a, const struct server_settings *b)
{
    return same_text(a->url, b->url) && same_text(a->ca_file, b->ca_file) && same_text(a->pin, b->pin) &&
           a->verify == b->verify && same_text(a->api_version, b->api_version) && a->format == b->format &&
           a->http2 == b->http2 && a->settle_ms == b->settle_ms && a->connect_ms == b->connect_ms &&
           a->request_ms == b->request_ms;
}

/* ---- at the start ---- */

int service_servers_open(struct service *service, struct buf *ret_error)
{
    const struct settings *settings = service->settings;
    for (size_t i = 0; i < settings->n_servers; i++) {
        struct host_server *server;
        int r = host_connect(&service->host, &settings->servers[i], &server, ret_error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The session of an earlier process, if it left one. */
static void take_session(struct service *service, const struct server_settings *settings)
{
    struct session_memory memory = {0};
    if (session_memory_read(settings, &memory) < 0)
        return;
    int r =
        engine_set_session(service->host.engine, settings->name, memory.token, memory.session_id, loop_now());
    if (r == 0)
        log_info("server %s: going on with the session of the daemon before", settings->name);
    session_memory_done(&memory);
}

int service_servers_enter(struct service *service, struct buf *ret_error)
{
    for (struct host_server *s = service->host.servers; s; s = s->next) {
        int r = host_add_server(&service->host, s);
        if (r < 0) {
            buf_add_str(ret_error, "out of memory");
            return r;
        }
        take_session(service, s->settings);
    }
    return 0;
}

/* ---- a reload ---- */

static bool server_good(const struct server_settings *settings,
                        int (*try)(const struct server_settings *settings, struct buf *ret_error))
{
    struct buf error = BUF_INIT(4096);
    bool good = try(settings, &error) >= 0;
    if (!good)
        log_error("%s", buf_str(&error));
    buf_done(&error);
    return good;
}

/* Looks at what every server needs before anything is changed: passwords, certificates. */
static bool servers_good(const struct settings *settings)
{
    bool good = true;
    for (size_t i = 0; i < settings->n_servers; i++) {
        good = server_good(&settings->servers[i], host_try_password) && good;
        good = server_good(&settings->servers[i], host_try_server) && good;
    }
    return good;
}

static void log_lines(const struct diag *diag)
{
    const char *at = buf_str(&diag->text);
    while (*at) {
        const char *end = strchr(at, '\n');
        int len = end ? (int)(end - at) : (int)strlen(at);
        log_error("%.*s", len, at);
        at += len + (end != NULL);
    }
}

static struct settings *read_settings(struct service *service)
{
    struct diag diag = DIAG_INIT;
    struct settings *settings = NULL;
    int r = settings_files_load(service->config_path, &settings, &diag);
    log_lines(&diag);
    if (r == 0 && !servers_good(settings))
        r = -EINVAL;
    diag_done(&diag);
    if (r == 0)
        return settings;
    settings_free(settings);
    log_event(
        LOG_LEVEL_ERROR, &(struct log_fields){.kind = LOG_KIND_RELOAD_REFUSED},
        "reload refused: the settings in %s have mistakes (see the lines before); the old ones stay in force",
        service->config_path);
    return NULL;
}

static void say_restart(const char *what)
{
    log_warning(
        "the setting \"%s\" has changed: it takes effect with the next restart (systemctl restart jobcloned)",
        what);
}

static void say_what_needs_a_restart(const struct settings *boot, const struct settings *settings)
{
    if (!same_text(boot->state_directory, settings->state_directory) ||
        boot->state_given != settings->state_given)
        say_restart("state.directory");
    if (!same_text(boot->control_socket, settings->control_socket))
        say_restart("control.socket");
    if (!same_text(boot->spool_directory, settings->spool_directory) || !settings_same_allow(boot, settings))
        say_restart("spool");
    if (!same_text(boot->plans_directory, settings->plans_directory))
        say_restart("plans.directory");
}

static void server_leaves(struct host_server *server, const char *why)
{
    server->leaves = true;
    log_info("server %s %s; runs under way on it keep it as it was", server->settings->name, why);
}

static void take_servers(struct service *service, const struct settings *settings)
{
    for (struct host_server *s = service->host.servers; s; s = s->next) {
        const struct server_settings *now = settings_server(settings, s->settings->name);
        struct buf error = BUF_INIT(4096);
        if (s->leaves)
            continue;
        if (!now)
            server_leaves(s, "was removed");
        else if (!same_server(s->settings, now))
            server_leaves(s, "has changed");
        else if (host_set_server(&service->host, s, now, &error) < 0)
            log_error("%s", buf_str(&error));
        buf_done(&error);
    }
}

static void keep_old(struct service *service, struct settings *settings)
{
    struct old_settings *old = settings == service->boot ? NULL : malloc(sizeof(*old));
    if (!old)
        return; /* the first ones are freed at the end; without memory these are not freed at all */
    *old = (struct old_settings){service->old, settings};
    service->old = old;
}

void service_reload(struct service *service)
{
    if (service->ready) /* systemd knows nothing of a reload before that */
        notify_reloading(loop_now().mono_ms);
    struct settings *settings = read_settings(service);
    free(service->trouble);
    service->trouble = NULL;
    if (settings) {
        say_what_needs_a_restart(service->boot, settings);
        struct settings *before = service->settings;
        service->settings = settings;
        take_servers(service, settings);
        keep_old(service, before);
        service->servers_failed = false;
        service_control_reloaded(service);
        service_schedule_reloaded(service);
        service_spool_reloaded(service);
        service_runs_unblock(service);
        service->reloaded_ms = loop_now().wall_ms;
        log_event(LOG_LEVEL_INFO, &(struct log_fields){.kind = LOG_KIND_RELOADED},
                  "settings reloaded from %s", service->config_path);
    } else {
        service->trouble =
            strdup("the last reload was refused; the journal says why, the old settings are in force");
    }
    if (service->ready)
        notify_ready();
}

/* ---- afterwards ---- */

/* Servers of the settings that are not there yet, and whose forerunner has gone. */
static void add_missing(struct service *service)
{
    const struct settings *settings = service->settings;
    for (size_t i = 0; i < settings->n_servers; i++) {
        struct host_server *server;
        struct buf error = BUF_INIT(4096);
        if (host_has_server(&service->host, settings->servers[i].name))
            continue;
        int r = host_connect(&service->host, &settings->servers[i], &server, &error);
        if (r == 0)
            r = host_add_server(&service->host, server);
        if (r < 0 && !service->servers_failed)
            log_error("%s; tried again at the next reload",
                      *buf_str(&error) ? buf_str(&error) : strerror(-r));
        service->servers_failed |= r < 0;
        if (r == 0)
            service_runs_unblock(service);
        buf_done(&error);
    }
}

static bool settings_used(const struct service *service, const struct settings *settings)
{
    for (const struct host_server *s = service->host.servers; s; s = s->next)
        for (size_t i = 0; i < settings->n_servers; i++)
            if (s->settings == &settings->servers[i])
                return true;
    return false;
}

static void free_old(struct service *service)
{
    struct old_settings **at = &service->old;
    while (*at) {
        struct old_settings *old = *at;
        if (settings_used(service, old->settings)) {
            at = &old->next;
            continue;
        }
        *at = old->next;
        settings_free(old->settings);
        free(old);
    }
}

void service_servers_turn(struct service *service)
{
    struct host_server *next;
    for (struct host_server *s = service->host.servers; s; s = next) {
        next = s->next;
        if (s->leaves)
            host_remove_server(&service->host, s);
    }
    if (!service->servers_failed)
        add_missing(service);
    if (service->jobs == 0)
        free_old(service);
}

void service_settings_free(struct service *service)
{
    while (service->old) {
        struct old_settings *old = service->old;
        service->old = old->next;
        settings_free(old->settings);
        free(old);
    }
    if (service->boot != service->settings)
        settings_free(service->boot);
    settings_free(service->settings);
}
