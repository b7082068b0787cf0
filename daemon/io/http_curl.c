#include "io/http_curl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "io/http_parts.h"
#include "io/tls_ca.h"
#include "model/settings.h"

#define SPARE_CONNECTIONS 16
#define FRESH_A_TURN 16 /* requests that may open a connection */

/* ---- requests ---- */

static void transfer_link(struct transfer *t)
{
    struct http_curl *http = t->http;
    http->n_active++;
    t->before = NULL;
    t->after = http->active;
    if (t->after)
        t->after->before = t;
    http->active = t;
}

static void transfer_unlink(struct transfer *t)
{
    t->http->n_active--;
    if (t->before)
        t->before->after = t->after;
    else
        t->http->active = t->after;
    if (t->after)
        t->after->before = t->before;
}

static void transfer_finish(struct transfer *t)
{
    struct http_curl *http = t->http;
    transfer_give_back(t);
    t->next = http->free_;
    http->free_ = t;
}

/* Reads every completion there is, not one a wake-up. */
void http_drain(struct http_curl *http)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(http->multi, &left))) {
        struct transfer *t = NULL;
        CURLcode code = message->data.result; /* the message is gone with the handle */
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        curl_multi_remove_handle(http->multi, t->easy);
        if (t->aborted) /* on_given has it */
            continue;
        t->code = code;
        transfer_unlink(t);
        transfer_finish(t);
    }
}

/* ---- first requests ---- */

/* A handshake takes half a millisecond, and curl begins as many at once as it is given. */
static bool opens_too_many(struct http_curl *http)
{
    if (http->n_active < http->n_open || http->settings->http2) /* a kept connection does, or one for all */
        return false;
    if (http->last_fresh_turn != http->turn)
        http->fresh = 0;
    http->last_fresh_turn = http->turn;
    return http->fresh++ >= FRESH_A_TURN;
}

static void on_later(uv_idle_t *idle);

static void transfer_wait(struct transfer *t)
{
    struct http_curl *http = t->http;
    t->next = NULL;
    if (http->waiting)
        http->waiting_last->next = t;
    else
        http->waiting = t;
    http->waiting_last = t;
    uv_idle_start(&http->later, on_later);
}

/* Some of those that wait, in each turn of the loop. */
static void on_later(uv_idle_t *idle)
{
    struct http_curl *http = idle->data;
    while (http->waiting && !opens_too_many(http)) {
        struct transfer *t = http->waiting;
        http->waiting = t->next;
        t->waiting = false;
        if (curl_multi_add_handle(http->multi, t->easy) == CURLM_OK)
            continue;
        t->code = CURLE_COULDNT_CONNECT; /* nothing was sent */
        transfer_unlink(t);
        transfer_finish(t);
    }
    if (!http->waiting)
        uv_idle_stop(idle);
}

/* It was not begun at all. */
static void transfer_leave(struct transfer *t)
{
    struct transfer **at = &t->http->waiting, *before = NULL;
    while (*at != t) {
        before = *at;
        at = &before->next;
    }
    *at = t->next;
    if (!t->next)
        t->http->waiting_last = before;
    t->waiting = false;
}

static int http_start(struct http *port, struct http_request *request)
{
    struct http_curl *http = (struct http_curl *)port;
    struct transfer *t = http->free_;
    if (http->stopping)
        return -ENOMEM; /* what the caller knows: it never began */
    if (t)
        http->free_ = t->next;
    else if (!(t = transfer_new(http)))
        return -ENOMEM;
    int r = transfer_prepare(t, request);
    t->waiting = r == 0 && (http->waiting || opens_too_many(http));
    if (r == 0 && !t->waiting && curl_multi_add_handle(http->multi, t->easy) != CURLM_OK)
        r = -ENOMEM;
    if (r < 0) {
        t->request = NULL;
        header_set_release(t->headers);
        t->headers = NULL;
        t->next = http->free_;
        http->free_ = t;
        return r;
    }
    request->port = t;
    transfer_link(t);
    if (t->waiting)
        transfer_wait(t);
    return 0;
}

/* Aborted requests go back from the loop, never from inside abort. */
static void on_given(uv_idle_t *idle)
{
    struct http_curl *http = idle->data;
    uv_idle_stop(idle);
    while (http->ended) {
        struct transfer *t = http->ended;
        http->ended = t->next;
        curl_multi_remove_handle(http->multi, t->easy); /* no harm when it is out already */
        transfer_finish(t);
    }
}

static void http_abort(struct http *port, struct http_request *request)
{
    struct http_curl *http = (struct http_curl *)port;
    struct transfer *t = request->port;
    if (!t || t->request != request || t->aborted)
        return;
    t->aborted = true;
    t->code = CURLE_ABORTED_BY_CALLBACK;
    if (t->waiting)
        transfer_leave(t);
    else if (!http->in_body)
        curl_multi_remove_handle(http->multi, t->easy);
    transfer_unlink(t);
    t->next = http->ended;
    http->ended = t;
    uv_idle_start(&http->given, on_given);
}

/* ---- turns ---- */

void http_turn_begin(struct http_curl *http)
{
    if (!http->turn_began_ns)
        http->turn_began_ns = uv_hrtime();
}

static void on_check(uv_check_t *check)
{
    struct http_curl *http = check->data;
    http->turn++;
    http->turn_began_ns = 0;
}

/* What was held back is given at once, by curl_easy_pause itself. */
void http_on_resume(uv_idle_t *idle)
{
    struct http_curl *http = idle->data;
    uv_idle_stop(idle);
    http_turn_begin(http);
    for (struct transfer *t = http->active, *after; t; t = after) {
        after = t->after;
        if (!t->paused)
            continue;
        t->paused = false;
        t->code = curl_easy_pause(t->easy, CURLPAUSE_CONT);
        if (t->code == CURLE_OK)
            continue;
        curl_multi_remove_handle(http->multi, t->easy);
        transfer_unlink(t);
        transfer_finish(t);
    }
    http_drain(http);
}

/* ---- life ---- */

static bool curl_accepts_pin(const char *pin)
{
    if (strncmp(pin, "sha256//", strlen("sha256//")) != 0)
        return false; /* curl would take it for the name of a file */
    CURL *easy = curl_easy_init();
    bool ok = easy && curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, pin) == CURLE_OK;
    curl_easy_cleanup(easy);
    return ok;
}

static void password_free(char *password)
{
    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
}

int http_curl_problem(const struct server_settings *settings, struct buf *ret_error)
{
    int r = settings->ca_file ? tls_ca_check(settings->ca_file, ret_error) : 0;
    if (r < 0)
        return r;
    const char *problem = NULL;
    if (settings->pin && !curl_accepts_pin(settings->pin))
        problem = "tls.pin is not accepted by libcurl; write it as sha256//BASE64, several with ; in between";
    else if (settings->username && strchr(settings->username, ':'))
        problem = "username contains a colon, which a logon cannot carry; use an account without one";
    if (!problem)
        return 0;
    buf_add_str(ret_error, problem);
    return -EINVAL;
}

static void http_set_connections(struct http_curl *http)
{
    long connections = (long)http->settings->in_flight_max + SPARE_CONNECTIONS;
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, connections);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, connections); /* HTTP/2 */
}

int http_curl_set_server(struct http_curl *http, const struct server_settings *settings, const char *password)
{
    char *copy = strdup(password);
    if (!copy)
        return -ENOMEM;
    password_free(http->password);
    http->password = copy;
    http->settings = settings;
    http->n_settings++;
    http_set_connections(http);
    return 0;
}

int http_curl_new(uv_loop_t *loop, const struct server_settings *settings, const char *password,
                  const char *media_type, struct http_curl **ret, struct buf *ret_error)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -ENOMEM;
    int r = http_curl_problem(settings, ret_error);
    if (r < 0)
        return r;
    struct http_curl *http = calloc(1, sizeof(*http));
    char *copy = strdup(password);
    CURLM *multi = curl_multi_init();
    if (!http || !copy || !multi) {
        free(http);
        password_free(copy);
        curl_multi_cleanup(multi);
        return -ENOMEM;
    }
    *http = (struct http_curl){.port = {http_start, http_abort},
                               .loop = loop,
                               .multi = multi,
                               .settings = settings,
                               .n_settings = 1,
                               .media_type = media_type,
                               .password = copy};
    uv_timer_init(loop, &http->timer);
    uv_timer_init(loop, &http->mend);
    uv_idle_init(loop, &http->given);
    uv_idle_init(loop, &http->resume);
    uv_idle_init(loop, &http->later);
    uv_check_init(loop, &http->check);
    http->timer.data = http->mend.data = http;
    http->given.data = http->resume.data = http->later.data = http->check.data = http;
    http->handles = 6;
    http->turn = 1;
    uv_check_start(&http->check, on_check);
    uv_unref((uv_handle_t *)&http->check); /* alone it does not keep the loop */
    http_set_connections(http);
    http_socket_setup(http);
    *ret = http;
    return 0;
}

struct http *http_curl_port(struct http_curl *http)
{
    return &http->port;
}

unsigned long http_curl_connections(const struct http_curl *http)
{
    return http->connections;
}

void http_handle_closed(struct http_curl *http)
{
    if (--http->handles)
        return;
    password_free(http->password);
    free(http->socks);
    void (*on_closed)(void *data) = http->on_closed;
    void *data = http->on_closed_data;
    free(http);
    on_closed(data);
}

static void on_handle_closed(uv_handle_t *handle)
{
    http_handle_closed(handle->data);
}

static void http_close_all(struct http_curl *http)
{
    while (http->free_) {
        struct transfer *t = http->free_;
        http->free_ = t->next;
        transfer_free(t);
    }
    curl_multi_cleanup(http->multi); /* closes the connections */
    header_set_release(http->headers);
    uv_close((uv_handle_t *)&http->timer, on_handle_closed);
    uv_close((uv_handle_t *)&http->mend, on_handle_closed);
    uv_close((uv_handle_t *)&http->given, on_handle_closed);
    uv_close((uv_handle_t *)&http->resume, on_handle_closed);
    uv_close((uv_handle_t *)&http->later, on_handle_closed);
    uv_close((uv_handle_t *)&http->check, on_handle_closed);
}

static void on_last(uv_idle_t *idle)
{
    struct http_curl *http = idle->data;
    on_given(idle);
    http_close_all(http);
}

void http_curl_close(struct http_curl *http, void (*on_closed)(void *data), void *data)
{
    http->on_closed = on_closed;
    http->on_closed_data = data;
    http->stopping = true;
    while (http->active)
        http_abort(&http->port, http->active->request);
    uv_idle_stop(&http->given);
    uv_idle_start(&http->given, on_last);
}
