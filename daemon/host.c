#include "host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/log.h"
#include "codec/api.h"
#include "engine/engine.h"
#include "io/http_curl.h"
#include "io/loop.h"
#include "io/settings_files.h"
#include "io/store_sqlite.h"
#include "model/settings.h"

#define CLOSE_STUCK_MS 1000 /* logging off: the state cannot be written */
#define CLOSE_ABORT_MS 5000 /* requests are given up */
#define CLOSE_MAX_MS 15000

/* ---- turning ---- */

static void on_timer(uv_timer_t *timer)
{
    host_turn(timer->data);
}

static void on_async(uv_async_t *async)
{
    host_turn(async->data);
}

static void on_wake(void *data)
{
    uv_async_send(&((struct host *)data)->wake);
}

static void on_transition(const char *run_id, const struct item *from, const struct item *to, void *data)
{
    struct host *host = data;
    host->ops->on_transition(run_id, from, to, host->data);
}

static void on_run(const char *run_id, void *data)
{
    struct host *host = data;
    if (host->ops->on_run)
        host->ops->on_run(run_id, host->data);
}

static void on_session(const char *server, const char *token, const char *session_id, void *data)
{
    struct host *host = data;
    if (host->ops->on_session)
        host->ops->on_session(server, token, session_id, host->data);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct host *host = handle->data;
    host->ops->on_signal(number, host->data);
}

static void host_arm(struct host *host, uint64_t now_ms, uint64_t most_ms)
{
    uint64_t due = engine_next_due(host->engine);
    /* never 0: libuv runs a timer that is due again before it looks at anything else, so that what the
     * engine waits for would never be seen */
    uint64_t wait = due <= now_ms ? 1 : due - now_ms;
    uv_update_time(&host->loop);
    uv_timer_start(&host->timer, on_timer, wait < most_ms ? wait : most_ms, 0);
}

/* Is nothing under way any more? */
static bool host_closed(struct host *host)
{
    struct instant now = loop_now(); /* read anew: closing may have begun within this turn */
    uint64_t waited = now.mono_ms - host->log_off_ms;
    int store_error;
    engine_advance(host->engine, now);
    if (waited > CLOSE_ABORT_MS && !host->aborted) {
        host->aborted = true;
        engine_abort(host->engine);
    }
    bool stuck = engine_store_failing(host->engine, &store_error) != 0;
    bool idle = engine_idle(host->engine) && store_sqlite_idle(host->store) &&
                (!host->ops->is_idle || host->ops->is_idle(host->data));
    return idle || (stuck && waited > CLOSE_STUCK_MS) || waited > CLOSE_MAX_MS;
}

void host_turn(struct host *host)
{
    struct instant now = loop_now();
    engine_advance(host->engine, now);
    uint64_t most_ms = host->ops->on_turn(now, host->data);
    if (host->closing && host_closed(host)) {
        uv_stop(&host->loop);
        return;
    }
    host_arm(host, now.mono_ms, most_ms);
}

void host_run(struct host *host)
{
    host_turn(host);
    uv_run(&host->loop, UV_RUN_DEFAULT);
}

void host_log_off(struct host *host, bool leave)
{
    host->closing = true;
    host->log_off_ms = loop_now().mono_ms;
    if (leave)
        engine_leave(host->engine);
    else
        engine_log_off(host->engine);
}

/* ---- building ---- */

int host_init(struct host *host, const struct host_ops *ops, void *data)
{
    *host = (struct host){.ops = ops, .data = data};
    if (getrandom(&host->rng.state, sizeof(host->rng.state), 0) != sizeof(host->rng.state))
        return -EIO;
    int r = uv_loop_init(&host->loop);
    if (r < 0)
        return r;
    r = uv_async_init(&host->loop, &host->wake, on_async);
    if (r < 0) {
        uv_loop_close(&host->loop);
        return r;
    }
    uv_timer_init(&host->loop, &host->timer);
    host->timer.data = host->wake.data = host;
    return 0;
}

const char *host_state_directory(const struct settings *settings, const char *given)
{
    const char *by_systemd = getenv("STATE_DIRECTORY");
    if (given)
        return given;
    return !settings->state_given && by_systemd && *by_systemd ? by_systemd : settings->state_directory;
}

int host_open_store(struct host *host, const char *directory, uint64_t keep_ms, struct buf *ret_error)
{
    int r = store_sqlite_open(&host->loop, directory, &host->store, ret_error);
    if (r < 0)
        return r;
    if (store_sqlite_prune(host->store, loop_now().wall_ms - (int64_t)keep_ms) < 0)
        log_warning("old runs in %s could not be forgotten; tried again at the next start", directory);
    struct engine_config config = {.store = store_sqlite_port(host->store),
                                   .seed = rng_next(&host->rng),
                                   .open_in_outage = host->ops->open_in_outage,
                                   .on_wake = on_wake,
                                   .on_transition = on_transition,
                                   .on_run = on_run,
                                   .on_session = on_session,
                                   .data = host};
    host->engine = engine_new(&config);
    if (host->engine)
        return 0;
    buf_add_str(ret_error, "out of memory");
    return -ENOMEM;
}

static int connect_with(struct host *host, struct host_server *server, const char *password,
                        struct buf *ret_error)
{
    struct buf why = BUF_INIT(4096);
    int r = http_curl_new(&host->loop, server->settings, password,
                          api_format_of(server->settings->format)->media_type, &server->http, &why);
    if (r < 0)
        buf_printf(ret_error, "server %s: %s", server->settings->name,
                   why.len ? buf_str(&why) : strerror(-r));
    buf_done(&why);
    return r;
}

/* Its password, with the server's name before what is wrong with it. */
static int read_password(const struct server_settings *settings, char **ret, struct buf *ret_error)
{
    struct buf why = BUF_INIT(4096);
    int r = settings_password(settings, ret, &why);
    if (r < 0)
        buf_printf(ret_error, "server %s: %s", settings->name, why.len ? buf_str(&why) : strerror(-r));
    buf_done(&why);
    return r;
}

int host_try_password(const struct server_settings *settings, struct buf *ret_error)
{
    char *password = NULL;
    int r = read_password(settings, &password, ret_error);
    if (r < 0)
        return r;
    explicit_bzero(password, strlen(password));
    free(password);
    return 0;
}

int host_try_server(const struct server_settings *settings, struct buf *ret_error)
{
    struct buf why = BUF_INIT(4096);
    int r = http_curl_problem(settings, &why);
    if (r < 0)
        buf_printf(ret_error, "server %s: %s", settings->name, why.len ? buf_str(&why) : strerror(-r));
    buf_done(&why);
    return r;
}

int host_connect(struct host *host, const struct server_settings *settings, struct host_server **ret,
                 struct buf *ret_error)
{
    char *password = NULL;
    int r = read_password(settings, &password, ret_error);
    if (r < 0)
        return r;
    struct host_server *server = calloc(1, sizeof(*server));
    if (server)
        server->settings = settings;
    r = server ? connect_with(host, server, password, ret_error) : -ENOMEM;
    explicit_bzero(password, strlen(password));
    free(password);
    if (r < 0) {
        free(server);
        return r;
    }
    if (!settings->verify)
        log_warning("server %s: tls.verify is false: the certificate is not checked", settings->name);
    server->next = host->servers;
    host->servers = server;
    *ret = server;
    return 0;
}

int host_add_server(struct host *host, struct host_server *server)
{
    int r = engine_add_server(host->engine, server->settings, http_curl_port(server->http),
                              api_format_of(server->settings->format));
    server->known = r == 0;
    return r;
}

int host_set_server(struct host *host, struct host_server *server, const struct server_settings *settings,
                    struct buf *ret_error)
{
    char *password = NULL;
    int r = read_password(settings, &password, ret_error);
    if (r < 0)
        return r;
    r = http_curl_set_server(server->http, settings, password);
    explicit_bzero(password, strlen(password));
    free(password);
    if (r < 0) {
        buf_printf(ret_error, "server %s: %s", settings->name, strerror(-r));
        return r;
    }
    server->settings = settings;
    return server->known ? engine_set_server(host->engine, settings) : 0;
}

static void on_closed(void *data)
{
    (void)data;
}

static void server_close(struct host_server *server)
{
    http_curl_close(server->http, on_closed, NULL);
    free(server);
}

int host_remove_server(struct host *host, struct host_server *server)
{
    int r = server->known ? engine_remove_server(host->engine, server->settings->name) : 0;
    if (r < 0)
        return r;
    struct host_server **at = &host->servers;
    while (*at != server)
        at = &(*at)->next;
    *at = server->next;
    server_close(server);
    return 0;
}

struct host_server *host_find_server(const struct host *host, const char *name)
{
    for (struct host_server *s = host->servers; s; s = s->next)
        if (!s->leaves && strcmp(s->settings->name, name) == 0)
            return s;
    return NULL;
}

bool host_has_server(const struct host *host, const char *name)
{
    for (const struct host_server *s = host->servers; s; s = s->next)
        if (strcmp(s->settings->name, name) == 0)
            return true;
    return false;
}

void host_catch(struct host *host, const int *numbers, size_t n)
{
    for (size_t i = 0; i < n && host->n_signals < HOST_SIGNALS_MAX; i++) {
        uv_signal_t *handle = &host->signals[host->n_signals++];
        uv_signal_init(&host->loop, handle);
        handle->data = host;
        uv_signal_start(handle, on_signal, numbers[i]);
    }
}

void host_close(struct host *host)
{
    while (host->servers) {
        struct host_server *server = host->servers;
        host->servers = server->next;
        server_close(server);
    }
    uv_close((uv_handle_t *)&host->timer, NULL);
    for (size_t i = 0; i < host->n_signals; i++)
        uv_close((uv_handle_t *)&host->signals[i], NULL);
    uv_run(&host->loop, UV_RUN_NOWAIT); /* what was aborted is given back */
    uv_close((uv_handle_t *)&host->wake, NULL);
    uv_run(&host->loop, UV_RUN_DEFAULT);
    engine_free(host->engine);
    store_sqlite_close(host->store);
    uv_loop_close(&host->loop);
}
