/* curl's sockets and its one timer on the loop. A uv_poll handle lives as long
 * as its socket (until curl closes it), not as long as curl's interest in it:
 * curl removes and adds a kept connection with every request. */
#include <stdlib.h>
#include <unistd.h>

#include "io/http_parts.h"

struct sock {
    uv_poll_t poll;
    struct http_curl *http;
    curl_socket_t fd;
    bool assigned;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct sock *s = poll->data;
    struct http_curl *http = s->http;
    int flags = 0, running;
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(http->multi, s->fd, flags, &running);
    http_drain(http);
}

static struct sock *sock_new(struct http_curl *http, curl_socket_t fd)
{
    struct sock *s = calloc(1, sizeof(*s));
    if (!s || uv_poll_init_socket(http->loop, &s->poll, fd) < 0) {
        free(s);
        return NULL;
    }
    s->poll.data = s;
    s->http = http;
    s->fd = fd;
    http->sockets++;
    curl_multi_assign(http->multi, fd, s);
    return s;
}

static void on_sock_closed(uv_handle_t *handle)
{
    struct sock *s = handle->data;
    s->http->sockets--;
    http_maybe_closed(s->http);
    free(s);
}

/* The poll handles by descriptor: curl forgets its pointer when it loses interest. */
static struct sock *sock_of(struct http_curl *http, curl_socket_t fd, void *known);

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
    struct http_curl *http = user;
    struct sock *s = sock_of(http, fd, known);
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s)
            uv_poll_stop(&s->poll);
        return 0;
    }
    if (!s && !(s = sock_new(http, fd)))
        return -1;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&s->poll, events, on_poll) < 0 ? -1 : 0;
}

struct find {
    struct http_curl *http;
    curl_socket_t fd;
    struct sock *found;
};

static void find_sock(uv_handle_t *handle, void *data)
{
    struct find *f = data;
    if (handle->type != UV_POLL || uv_is_closing(handle))
        return;
    struct sock *s = handle->data;
    if (s && s->http == f->http && s->fd == f->fd)
        f->found = s;
}

static struct sock *sock_of(struct http_curl *http, curl_socket_t fd, void *known)
{
    if (known)
        return known;
    struct find f = {http, fd, NULL};
    uv_walk(http->loop, find_sock, &f);
    if (f.found)
        curl_multi_assign(http->multi, fd, f.found);
    return f.found;
}

/* CURLOPT_CLOSESOCKETFUNCTION: the end of a connection. */
int http_close_socket(void *user, curl_socket_t fd)
{
    struct http_curl *http = user;
    struct sock *s = sock_of(http, fd, NULL);
    if (s)
        uv_close((uv_handle_t *)&s->poll, on_sock_closed);
    return close(fd);
}

static void on_timeout(uv_timer_t *timer)
{
    struct http_curl *http = timer->data;
    int running;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    http_drain(http);
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct http_curl *http = user;
    (void)multi;
    if (timeout_ms < 0)
        return uv_timer_stop(&http->timer);
    uv_update_time(http->loop);
    return uv_timer_start(&http->timer, on_timeout, (uint64_t)timeout_ms, 0);
}

void http_socket_setup(struct http_curl *http)
{
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
}
