/* curl's sockets and its one timer on the loop. A uv_poll handle lives as long
 * as its connection (until curl closes it), not as long as curl's interest in
 * it: curl removes and adds a kept connection with every request, and what the
 * loop looks for is changed only when it has to be. The resolver's own sockets, and those
 * that never got their connection, curl closes without telling: these go with the
 * interest, or the next socket of that number could not be looked at. */
#include <stdlib.h>
#include <unistd.h>

#include "io/http_parts.h"

#define MEND_MS 100

struct sock {
    uv_poll_t poll;
    struct http_curl *http;
    curl_socket_t fd;
    int polled;      /* what the loop looks for */
    bool wanted;     /* curl is interested */
    bool connection; /* opened by us for curl; else the resolver's */
    bool came;       /* it is connected: curl has waited for something to read */
};

/* ---- what curl is told ---- */

static void on_mend(uv_timer_t *timer);

/* Without memory curl stops in the middle of what it was told: it may have asked for none of the sockets and
 * moments that its transfers wait for, and would never be told anything again. */
static void http_told(struct http_curl *http, CURLMcode code)
{
    http_drain(http);
    if (code != CURLM_OK)
        uv_timer_start(&http->mend, on_mend, MEND_MS, 0);
}

/* Lets curl look at all its transfers. The function is deprecated since it is slow, not since it is wrong; no
 * other asks for the sockets again. */
static void on_mend(uv_timer_t *timer)
{
    struct http_curl *http = timer->data;
    int running;
    http_turn_begin(http);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    http_told(http, curl_multi_socket_all(http->multi, &running));
#pragma GCC diagnostic pop
}

/* ---- sockets ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct sock *s = poll->data;
    struct http_curl *http = s->http;
    int flags = 0, running;
    if (!s->wanted || status < 0) {
        uv_poll_stop(poll);
        s->polled = 0;
    }
    if (!s->wanted) /* most likely the end of an idle connection: curl sees it when it takes it again */
        return;
    http_turn_begin(http);
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    http_told(http, curl_multi_socket_action(http->multi, s->fd, flags, &running));
}

static void on_sock_lost(uv_handle_t *handle)
{
    free(handle->data);
}

static bool socks_keep(struct http_curl *http, struct sock *s)
{
    size_t n = (size_t)s->fd + 1;
    if (n > http->n_socks) {
        n = n < 64 ? 64 : n * 2;
        struct sock **all = realloc(http->socks, n * sizeof(struct sock *));
        if (!all)
            return false;
        for (size_t i = http->n_socks; i < n; i++)
            all[i] = NULL;
        http->socks = all;
        http->n_socks = n;
    }
    http->socks[s->fd] = s;
    return true;
}

static struct sock *sock_new(struct http_curl *http, curl_socket_t fd, bool connection)
{
    struct sock *s = calloc(1, sizeof(*s));
    if (!s || uv_poll_init_socket(http->loop, &s->poll, fd) < 0) {
        free(s);
        return NULL;
    }
    s->poll.data = s;
    s->http = http;
    s->fd = fd;
    s->connection = connection;
    if (!socks_keep(http, s)) {
        uv_close((uv_handle_t *)&s->poll, on_sock_lost);
        return NULL;
    }
    http->handles++;
    return s;
}

static void on_sock_closed(uv_handle_t *handle)
{
    struct sock *s = handle->data;
    struct http_curl *http = s->http;
    free(s);
    http_handle_closed(http);
}

/* Takes the descriptor out of the loop at once; the memory goes later. */
static void sock_close(struct sock *s)
{
    s->http->socks[s->fd] = NULL;
    s->http->n_open -= s->connection;
    uv_close((uv_handle_t *)&s->poll, on_sock_closed);
}

/* By descriptor: curl forgets an assigned pointer when it loses interest. */
static struct sock *sock_of(const struct http_curl *http, curl_socket_t fd)
{
    return fd >= 0 && (size_t)fd < http->n_socks ? http->socks[fd] : NULL;
}

/* The loop goes on looking, since mostly the next request wants the same, but it does not stay for that. */
static void sock_rest(struct sock *s)
{
    s->wanted = false;
    uv_unref((uv_handle_t *)&s->poll);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
    struct http_curl *http = user;
    struct sock *s = known ? known : sock_of(http, fd);
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s && s->connection && s->came)
            sock_rest(s);
        else if (s)
            sock_close(s);
        return 0;
    }
    if (!s && !(s = sock_new(http, fd, false)))
        return -1;
    if (!known)
        curl_multi_assign(http->multi, fd, s);
    s->wanted = true;
    s->came = s->came || (what & CURL_POLL_IN);
    uv_ref((uv_handle_t *)&s->poll);
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (events == s->polled)
        return 0;
    s->polled = events;
    return uv_poll_start(&s->poll, events, on_poll) < 0 ? -1 : 0;
}

curl_socket_t http_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_curl *http = user;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (sock_new(http, fd, true)) {
        http->n_open++;
        return fd;
    }
    close(fd);
    return CURL_SOCKET_BAD;
}

int http_close_socket(void *user, curl_socket_t fd)
{
    struct http_curl *http = user;
    struct sock *s = sock_of(http, fd);
    if (s)
        sock_close(s);
    return close(fd);
}

/* ---- the timer ---- */

static void on_timeout(uv_timer_t *timer)
{
    struct http_curl *http = timer->data;
    int running;
    http_turn_begin(http);
    http_told(http, curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running));
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
