#include "server.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "call.h"
#include "reply.h"
#include "routes.h"

#define BODY_MAX (1024U * 1024)
#define CONNECTIONS_MAX 256

struct http_server {
    struct world *world;
    struct MHD_Daemon *daemon;
    FILE *log;
    pthread_mutex_t lock; /* guards the world and the log */
    pthread_cond_t stop_cond;
    bool stopping;
};

struct exchange {
    struct buf body;
    bool too_big;
};

static uint64_t mono_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits, but no longer than until the server stops. */
static void wait_ms(void *data, uint64_t ms)
{
    struct http_server *server = data;
    uint64_t end = mono_ms() + ms;
    struct timespec until = {.tv_sec = (time_t)(end / 1000), .tv_nsec = (long)(end % 1000) * 1000000};
    if (!ms)
        return;
    pthread_mutex_lock(&server->lock);
    while (!server->stopping && pthread_cond_timedwait(&server->stop_cond, &server->lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&server->lock);
}

static void count_request(struct world *world, struct call *call)
{
    world->requests[call->kind]++;
    world->requests_all++;
    if (call->kind == REQUEST_CLONE && ++world->clone_in_flight > world->clone_in_flight_max)
        world->clone_in_flight_max = world->clone_in_flight;
}

/* Faults that come before any effect answer here; true when one did. */
static bool refuse(struct call *call)
{
    switch (call->fate.fault) {
    case FAULT_LOSE_REQUEST:
        return true;
    case FAULT_500_BEFORE:
        call_error(call, 500, "Object reference not set to an instance of an object.");
        return true;
    case FAULT_503:
        call_error(call, 503, "Service unavailable");
        return true;
    case FAULT_429:
        call_error(call, 429, "Too many requests");
        return true;
    case FAULT_LOSE_ANSWER:
    case FAULT_500_AFTER:
    case FAULT_TRUNCATE:
    case FAULT_GARBLE:
    case FAULT_HTML:
    case FAULT_SESSION_EXPIRE:
    case FAULT_MAX:
        break;
    }
    return false;
}

enum load { LOAD_NONE, LOAD_PLACED, LOAD_TOO_MUCH };

/* Takes one of the places at which requests are served; tells how long until it has been. */
static enum load load_take(struct world *world, const struct call *call, uint64_t *ret_wait_ms)
{
    const struct behaviour *b = &world->behaviour;
    uint64_t now = mono_ms(), end = now;
    if (!b->places || call->kind == REQUEST_SIM)
        return LOAD_NONE;
    uint64_t takes = b->service_ms + rng_below(&world->rng, b->service_jitter_ms + 1);
    if (!places_take(&world->places, (unsigned)b->places, behaviour_queue(b), now, takes, &end)) {
        world->refused_by_load++;
        return LOAD_TOO_MUCH;
    }
    *ret_wait_ms = end - now;
    return LOAD_PLACED;
}

static void serve_locked(struct http_server *server, struct call *call, enum load load)
{
    if (world_advance(server->world, mono_ms()) < 0) {
        call_error(call, 500, "Out of memory");
        return;
    }
    call_begin(call);
    if (load == LOAD_TOO_MUCH)
        call_error(call, (unsigned)server->world->behaviour.overload_status, "The server is too busy");
    else if (!refuse(call))
        routes_serve(call);
    if (call->fate.fault == FAULT_500_AFTER)
        call_error(call, 500, "Object reference not set to an instance of an object.");
    if (call->out.error)
        call_error(call, 500, "The answer could not be written");
    if (server->log) {
        fprintf(server->log, "%llu %s %s %u fault=%d\n", (unsigned long long)server->world->requests_all,
                call->method, request_kind_name(call->kind), call->status, (int)call->fate.fault);
        fflush(server->log);
    }
}

static enum MHD_Result serve(struct http_server *server, struct call *call)
{
    uint64_t wait = 0;
    pthread_mutex_lock(&server->lock);
    count_request(server->world, call);
    call->fate = behaviour_fate(&server->world->behaviour, &server->world->rng, call->kind);
    pthread_mutex_unlock(&server->lock);
    wait_ms(server, call->fate.delay_ms);
    pthread_mutex_lock(&server->lock);
    enum load load = load_take(server->world, call, &wait);
    pthread_mutex_unlock(&server->lock);
    wait_ms(server, wait);
    pthread_mutex_lock(&server->lock);
    if (load == LOAD_PLACED)
        places_leave(&server->world->places);
    serve_locked(server, call, load);
    if (call->kind == REQUEST_CLONE)
        server->world->clone_in_flight--;
    pthread_mutex_unlock(&server->lock);
    return reply_send(call, wait_ms, server);
}

static enum MHD_Result serve_exchange(struct http_server *server, struct MHD_Connection *connection,
                                      const char *url, const char *method, const struct exchange *exchange)
{
    struct call call = {
        .world = server->world, .connection = connection, .method = method, .session = WORLD_NONE};
    call.body = (struct bytes){buf_str(&exchange->body), exchange->body.len};
    out_init(&call.out, OUT_XML, OUT_WRAP_USUAL);
    enum MHD_Result result = MHD_NO;
    if (!exchange->too_big && call_classify(&call, url) == 0)
        result = serve(server, &call);
    out_done(&call.out);
    free(call.path_text);
    return result;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    (void)version;
    struct exchange *exchange = *state;
    if (!exchange) {
        *state = exchange = calloc(1, sizeof(*exchange));
        if (!exchange)
            return MHD_NO;
        exchange->body = BUF_INIT(BODY_MAX);
        return MHD_YES;
    }
    if (*upload_size) {
        if (buf_add(&exchange->body, upload, *upload_size) < 0)
            exchange->too_big = true;
        *upload_size = 0;
        return MHD_YES;
    }
    return serve_exchange(data, connection, url, method, exchange);
}

static void on_done(void *data, struct MHD_Connection *connection, void **state,
                    enum MHD_RequestTerminationCode code)
{
    (void)data, (void)connection, (void)code;
    struct exchange *exchange = *state;
    if (exchange)
        buf_done(&exchange->body);
    free(exchange);
    *state = NULL;
}

static void on_connection(void *data, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode code)
{
    (void)connection, (void)state;
    struct http_server *server = data;
    if (code != MHD_CONNECTION_NOTIFY_STARTED)
        return;
    pthread_mutex_lock(&server->lock);
    server->world->connections++;
    pthread_mutex_unlock(&server->lock);
}

static struct http_server *server_new(struct world *world, FILE *log)
{
    struct http_server *server = calloc(1, sizeof(*server));
    if (!server)
        return NULL;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->stop_cond, &attr);
    pthread_condattr_destroy(&attr);
    server->world = world;
    server->log = log;
    return server;
}

int http_server_start(struct world *world, const struct server_config *config,
                      struct http_server **ret_server)
{
    struct http_server *server = server_new(world, config->log);
    if (!server)
        return -ENOMEM;
    struct sockaddr_in address = config->address;
    errno = 0;
    server->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_TLS, 0, NULL,
        NULL, on_request, server, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_HTTPS_MEM_CERT, config->cert, MHD_OPTION_HTTPS_MEM_KEY, config->key,
        MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_END);
    if (!server->daemon) {
        int r = errno ? -errno : -EIO;
        http_server_stop(server);
        return r;
    }
    *ret_server = server;
    return 0;
}

unsigned http_server_port(const struct http_server *server)
{
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void http_server_stop(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_broadcast(&server->stop_cond);
    pthread_mutex_unlock(&server->lock);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    pthread_cond_destroy(&server->stop_cond);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
