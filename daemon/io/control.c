/* The life of the control socket: libmicrohttpd is run from the loop whenever
 * its epoll has something, or its time is up. Closing takes two steps: first nothing new is
 * accepted while answers that are ready go out; then all connections are cut. */
#include "io/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/control_parts.h"

#define CONNECTIONS_MAX 1000
#define TIMEOUT_S 30
#define CONNECTION_MEMORY ((size_t)32 * 1024) /* the head of a request and that of its answer */
#define SWEEP_MS 1000
#define CLOSING_LOOK_MS 20
#define CLOSING_MS 1000
#define HANDLES 5
#define MARGIN_S 5 /* libmicrohttpd's own time-out comes after ours, which says something */

/* ---- running libmicrohttpd ---- */

static void on_http_timer(uv_timer_t *timer);
static void on_sweep(uv_timer_t *timer);

static void run_http(struct control *control)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    control->resumed = false;
    MHD_run(control->http);
    if (control->resumed)
        uv_timer_start(&control->timer, on_http_timer, 0, 0);
    else if (MHD_get_timeout(control->http, &timeout) == MHD_YES)
        uv_timer_start(&control->timer, on_http_timer, timeout, 0);
    else
        uv_timer_stop(&control->timer);
}

static void on_http_timer(uv_timer_t *timer)
{
    run_http(timer->data);
}

/* Not at once: this may come from within libmicrohttpd. */
void control_resume(struct control *control, struct MHD_Connection *client)
{
    MHD_resume_connection(client);
    control->resumed = true;
    uv_timer_start(&control->timer, on_http_timer, 0, 0);
}

static void on_http_poll(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    run_http(poll->data);
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct control *control = poll->data;
    (void)status, (void)events;
    if (!control_accept(control)) {
        log_warning("control: no descriptor is left for a client; raise the limit of open files");
        uv_poll_stop(poll); /* the sweep takes it up again */
    }
    if (!uv_is_active((uv_handle_t *)&control->sweep))
        uv_timer_start(&control->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    run_http(control);
}

/* ---- connections ---- */

static void sweep_connection(struct connection *c, uint64_t now_ms)
{
    uint64_t limit_ms = (uint64_t)c->control->options.timeout_s * 1000;
    if (c->phase != CONNECTION_READING || now_ms - c->since_ms < limit_ms)
        return;
    if (c->served && !c->request)
        shutdown(c->fd, SHUT_RDWR); /* kept for another request that has not come */
    else
        control_send_raw(c->fd, SHUT_RDWR, "408 Request Timeout", "bad_request",
                         "the request did not arrive in time");
    c->since_ms = now_ms; /* libmicrohttpd sees the end and closes it */
}

static void on_sweep(uv_timer_t *timer)
{
    struct control *control = timer->data;
    uint64_t now_ms = uv_now(control->loop);
    for (struct connection *c = control->connections; c; c = c->after)
        sweep_connection(c, now_ms);
    if (!control->closing)
        uv_poll_start(&control->listener, UV_READABLE, on_listener);
    if (!control_close_refused(control, now_ms) && !control->connections)
        uv_timer_stop(timer);
}

static void connection_begin(struct control *control, struct MHD_Connection *client, void **state)
{
    struct connection *c = calloc(1, sizeof(*c));
    *state = c;
    if (!c)
        return; /* its requests are refused for want of this */
    c->control = control;
    c->fd = MHD_get_connection_info(client, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    control_peer_may(control, c->fd, &c->uid); /* it has been judged; its user is for the log */
    c->since_ms = uv_now(control->loop);
    c->after = control->connections;
    if (c->after)
        c->after->before = c;
    control->connections = c;
    control->n_connections++;
}

static void connection_end(struct control *control, struct connection *c)
{
    if (c->before)
        c->before->after = c->after;
    else
        control->connections = c->after;
    if (c->after)
        c->after->before = c->before;
    control->n_connections--;
    free(c);
}

static void on_connection(void *data, struct MHD_Connection *client, void **state,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_begin(data, client, state);
    else if (*state)
        connection_end(data, *state);
}

/* ---- beginning ---- */

static int start_http(struct control *control, struct buf *error)
{
    const struct control_options *o = &control->options;
    control->http =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                         control_on_request, control, MHD_OPTION_NOTIFY_COMPLETED, control_on_done, control,
                         MHD_OPTION_NOTIFY_CONNECTION, on_connection, control, MHD_OPTION_CONNECTION_LIMIT,
                         o->connections_max + 1, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
                         MHD_OPTION_CONNECTION_TIMEOUT, o->timeout_s + MARGIN_S,
                         MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (control->http)
        return 0;
    buf_add_str(error,
                "the control socket's HTTP server cannot be started; is there memory and a descriptor left?");
    return -ENOMEM;
}

/* All on the loop, in the order of their beginning. */
static size_t list_handles(struct control *control, uv_handle_t *ret[HANDLES])
{
    ret[0] = (uv_handle_t *)&control->timer;
    ret[1] = (uv_handle_t *)&control->sweep;
    ret[2] = (uv_handle_t *)&control->watch.timer;
    ret[3] = (uv_handle_t *)&control->poll;
    ret[4] = (uv_handle_t *)&control->listener;
    return control->handles;
}

static int start_handles(struct control *control)
{
    int epoll_fd = MHD_get_daemon_info(control->http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    control->listener.data = control->poll.data = control->timer.data = control->sweep.data = control;
    uv_timer_init(control->loop, &control->timer); /* timers cannot fail */
    uv_timer_init(control->loop, &control->sweep);
    control_watch_init(control);
    control->handles = 3;
    int r = uv_poll_init(control->loop, &control->poll, epoll_fd);
    if (r < 0)
        return r;
    control->handles = 4;
    r = uv_poll_init(control->loop, &control->listener, control->listen_fd);
    if (r < 0)
        return r;
    control->handles = 5;
    uv_poll_start(&control->poll, UV_READABLE, on_http_poll);
    uv_poll_start(&control->listener, UV_READABLE, on_listener);
    return 0;
}

static void control_free(struct control *control)
{
    if (control->http)
        MHD_stop_daemon(control->http);
    control_watch_done(control);
    control_unlisten(control);
    free(control);
}

/* ---- ending ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct control *control = handle->data;
    if (--control->handles > 0)
        return;
    void (*on_closed)(void *data) = control->on_closed;
    void *data = control->on_closed_data;
    control_free(control);
    if (on_closed)
        on_closed(data);
}

/* Cuts all connections; requests that the service still has live on without a client. */
static void cut(struct control *control)
{
    uv_handle_t *handles[HANDLES];
    size_t n = list_handles(control, handles);
    for (struct connection *c = control->connections; c; c = c->after)
        if (c->request && c->request->suspended) {
            c->request->suspended = false;
            control_resume(control, c->request->client);
        }
    control_watch_resume(control);
    for (size_t i = 0; i < n; i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], on_handle_closed);
    MHD_stop_daemon(control->http);
    control->http = NULL;
}

static bool answers_under_way(const struct control *control)
{
    for (const struct connection *c = control->connections; c; c = c->after)
        if (c->phase != CONNECTION_READING)
            return true;
    return false;
}

static void on_closing(uv_timer_t *timer)
{
    struct control *control = timer->data;
    if (!answers_under_way(control) || uv_now(control->loop) >= control->close_ms)
        cut(control);
}

void control_close(struct control *control, void (*on_closed)(void *data), void *data)
{
    control->on_closed = on_closed;
    control->on_closed_data = data;
    control->closing = true;
    control->close_ms = uv_now(control->loop) + CLOSING_MS;
    if (control->handles == HANDLES)
        uv_close((uv_handle_t *)&control->listener, on_handle_closed);
    control_unlisten(control);
    control_watch_end(control);
    uv_timer_start(&control->sweep, on_closing, CLOSING_LOOK_MS, CLOSING_LOOK_MS);
}

/* ---- beginning, the whole ---- */

int control_new(uv_loop_t *loop, const struct control_options *options, struct control **ret,
                struct buf *ret_error)
{
    struct control *control = calloc(1, sizeof(*control));
    *ret = NULL;
    if (!control)
        return -ENOMEM;
    control->loop = loop;
    control->options = *options;
    if (!control->options.connections_max)
        control->options.connections_max = CONNECTIONS_MAX;
    if (!control->options.timeout_s)
        control->options.timeout_s = TIMEOUT_S;
    control->listen_fd = control->spare_fd = -1;
    for (size_t i = 0; i < CONTROL_REFUSED_KEPT; i++)
        control->refused[i].fd = -1;
    int r = control_listen(control, ret_error);
    if (r == 0)
        r = start_http(control, ret_error);
    if (r < 0) {
        control_free(control);
        return r;
    }
    r = start_handles(control);
    if (r < 0) {
        buf_printf(ret_error, "the control socket cannot be put on the loop: %s", uv_strerror(r));
        control_close(control, NULL, NULL);
        return r;
    }
    *ret = control;
    return 0;
}

void control_set_plan_bytes(struct control *control, size_t plan_bytes)
{
    control->options.plan_bytes = plan_bytes;
}

uid_t control_request_uid(const struct control_request *request)
{
    return request->uid;
}
