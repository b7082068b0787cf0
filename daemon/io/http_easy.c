/* One transfer: what is set on an easy handle, what comes back, and what it means. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/http_parts.h"
#include "io/http_tls.h"
#include "model/settings.h"

/* Bytes that curl receives at once: most answers are small, and there may be a thousand of them. */
#define SMALL_BODY ((size_t)1 << 20)
#define SMALL_BUFFER 4096L
#define LARGE_BUFFER 65536L
#define SEND_BUFFER 16384L /* the least that curl allows */

/* ---- header lines ---- */

void header_set_release(struct header_set *set)
{
    if (!set || --set->users)
        return;
    if (set->token)
        explicit_bzero(set->token, strlen(set->token));
    free(set->token);
    for (struct curl_slist *l = set->with_body; l; l = l->next)
        explicit_bzero(l->data, strlen(l->data));
    for (struct curl_slist *l = set->plain; l; l = l->next)
        explicit_bzero(l->data, strlen(l->data));
    curl_slist_free_all(set->plain);
    curl_slist_free_all(set->with_body);
    free(set);
}

static int header_add(struct curl_slist **list, const char *name, const char *value)
{
    char *line = NULL; /* of any length: a token is as long as the server makes it */
    if (asprintf(&line, "%s: %s", name, value) < 0)
        return -ENOMEM;
    struct curl_slist *more = curl_slist_append(*list, line);
    explicit_bzero(line, strlen(line));
    free(line);
    if (!more)
        return -ENOMEM;
    *list = more;
    return 0;
}

static int header_without(struct curl_slist **list, const char *name_colon)
{
    struct curl_slist *more = curl_slist_append(*list, name_colon);
    if (!more)
        return -ENOMEM;
    *list = more;
    return 0;
}

static int header_list(const char *media_type, const char *token, bool body, struct curl_slist **list)
{
    int r = header_add(list, "Accept", media_type);
    if (r == 0 && body)
        r = header_add(list, "Content-Type", media_type);
    else if (r == 0)
        r = header_without(list, "Content-Type:"); /* curl gives every POST a form's type */
    if (r == 0)
        r = header_without(list, "Expect:"); /* no 100-continue */
    if (r == 0 && token)
        r = header_add(list, "X-RestSvcSessionId", token);
    return r;
}

static struct header_set *header_set_new(const char *media_type, const char *token)
{
    struct header_set *set = calloc(1, sizeof(*set));
    if (!set)
        return NULL;
    set->users = 1;
    set->media_type = media_type;
    set->token = token ? strdup(token) : NULL;
    if ((token && !set->token) || header_list(media_type, token, false, &set->plain) < 0 ||
        header_list(media_type, token, true, &set->with_body) < 0) {
        header_set_release(set);
        return NULL;
    }
    return set;
}

/* The lines for this token and media type; made anew only when one of them changes. */
static struct header_set *header_set_for(struct http_curl *http, const char *media_type, const char *token)
{
    const char *have = http->headers ? http->headers->token : NULL;
    if (!media_type)
        media_type = http->media_type;
    bool same = http->headers && strcmp(http->headers->media_type, media_type) == 0 &&
                (have == token || (have && token && strcmp(have, token) == 0));
    if (!same) {
        struct header_set *set = header_set_new(media_type, token);
        if (!set)
            return NULL;
        header_set_release(http->headers);
        http->headers = set;
    }
    http->headers->users++;
    return http->headers;
}

/* ---- data ---- */

/* Bytes of the request that were sent, with those of curl's own earlier tries. */
static long request_size(const struct transfer *t)
{
    long size = 0;
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &size);
    return size;
}

/* Called before each sending of the request. When a kept connection dies without an answer, curl sends a
 * request a second time by itself; what must arrive at most once is held back then. */
static int on_sending(void *user, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
    struct transfer *t = user;
    (void)peer_ip, (void)own_ip, (void)peer_port, (void)own_port;
    t->held_back = t->request->once && request_size(t) > 0;
    return t->held_back ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* One piece a turn is anybody's; after that the time for all of them counts. curl
 * itself would go on for as long as data comes. */
static bool turn_is_over(struct transfer *t)
{
    struct http_curl *http = t->http;
    bool over = t->last_turn == http->turn && http->turn_began_ns &&
                uv_hrtime() - http->turn_began_ns > UINT64_C(1000000) * TURN_MS;
    t->last_turn = http->turn;
    return over;
}

static size_t on_write(char *data, size_t size, size_t n, void *user)
{
    struct transfer *t = user;
    size_t len = size * n;
    if (t->aborted)
        return 0;
    if (turn_is_over(t)) {
        t->paused = true;
        uv_idle_start(&t->http->resume, http_on_resume);
        return CURL_WRITEFUNC_PAUSE;
    }
    if (len > t->request->body_max - t->received) {
        t->too_large = true;
        return 0;
    }
    t->received += len;
    if (!t->request->on_body)
        return len;
    t->http->in_body = true;
    int r = t->request->on_body(data, len, t->request->user);
    t->http->in_body = false;
    return r < 0 ? 0 : len;
}

static void take_session(struct transfer *t, const char *line, size_t len)
{
    static const char name[] = "X-RestSvcSessionId:";
    if (len <= strlen(name) || strncasecmp(line, name, strlen(name)) != 0)
        return;
    const char *from = line + strlen(name), *to = line + len;
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == '\r' || to[-1] == '\n' || to[-1] == ' ' || to[-1] == '\t'))
        to--;
    free(t->session);
    t->session = to > from ? strndup(from, (size_t)(to - from)) : NULL;
}

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
    struct transfer *t = user;
    size_t len = size * n;
    t->header_bytes += len;
    if (t->header_bytes > HEADERS_MAX) {
        t->too_large = true;
        return 0;
    }
    if (len > 5 && strncmp(line, "HTTP/", 5) == 0) { /* a new answer (after 100) begins */
        free(t->session);
        t->session = NULL;
    }
    take_session(t, line, len);
    return len;
}

/* ---- the handle ---- */

struct transfer *transfer_new(struct http_curl *http)
{
    struct transfer *t = calloc(1, sizeof(*t));
    if (!t || !(t->easy = curl_easy_init())) {
        free(t);
        return NULL;
    }
    const struct server_settings *s = http->settings;
    t->http = http;
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
    /* A time-out or abort during a slow name look-up must not wait on the loop for its thread. */
    curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION,
                     s->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(t->easy, CURLOPT_PIPEWAIT, s->http2 ? 1L : 0L); /* the first connection is that of all */
    curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(t->easy, CURLOPT_MAXAGE_CONN, 60L);
    curl_easy_setopt(t->easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_PREREQFUNCTION, on_sending);
    curl_easy_setopt(t->easy, CURLOPT_PREREQDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, http_open_socket);
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, http);
    curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETFUNCTION, http_close_socket);
    curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETDATA, http);
    http_set_server(t->easy, s);
    return t;
}

void transfer_free(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    header_set_release(t->headers);
    free(t->session);
    free(t);
}

static void set_method(struct transfer *t, const struct http_request *request)
{
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, request->method == HTTP_DELETE ? "DELETE" : NULL);
    if (request->method == HTTP_POST) {
        curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, request->body.len ? request->body.data : "");
    } else {
        curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
    }
}

/* For one request only: taken off again when it is given back. */
static void set_credentials(struct transfer *t, bool logon)
{
    curl_easy_setopt(t->easy, CURLOPT_HTTPAUTH, logon ? (long)CURLAUTH_BASIC : (long)CURLAUTH_NONE);
    curl_easy_setopt(t->easy, CURLOPT_USERNAME, logon ? t->http->settings->username : NULL);
    curl_easy_setopt(t->easy, CURLOPT_PASSWORD, logon ? t->http->password : NULL);
}

/* The URL stays the server's, so that curl has less to take apart and to print; the path goes as it is. */
static int set_target(struct transfer *t, const char *path)
{
    if (t->settings != t->http->n_settings &&
        curl_easy_setopt(t->easy, CURLOPT_URL, t->http->settings->url) != CURLE_OK)
        return -ENOMEM;
    t->settings = t->http->n_settings;
    return curl_easy_setopt(t->easy, CURLOPT_REQUEST_TARGET, path) == CURLE_OK ? 0 : -ENOMEM;
}

/* Curl takes this memory for each transfer anew. */
static void set_buffer(struct transfer *t, size_t body_max)
{
    long size = body_max > SMALL_BODY ? LARGE_BUFFER : SMALL_BUFFER;
    if (t->buffer != size)
        curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, size);
    t->buffer = size;
}

int transfer_prepare(struct transfer *t, struct http_request *request)
{
    t->request = request;
    t->received = t->header_bytes = 0;
    t->too_large = t->held_back = t->aborted = t->paused = false;
    t->error[0] = '\0';
    t->headers = header_set_for(t->http, request->media_type, request->logon ? NULL : request->session);
    if (!t->headers || set_target(t, request->path) < 0)
        return -ENOMEM;
    set_buffer(t, request->body_max);
    set_method(t, request);
    set_credentials(t, request->logon);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER,
                     request->body.len ? t->headers->with_body : t->headers->plain);
    curl_easy_setopt(t->easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->body_max);
    return 0;
}

/* ---- how it ended ---- */

/* True when no byte of the request can have left. Both values outlast curl's own
 * second try of a request on a new connection. */
static bool nothing_sent(const struct transfer *t)
{
    curl_off_t ready_us = 0;
    curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
    return !request_size(t) && !ready_us;
}

static bool on_the_way(const struct transfer *t)
{
    return t->code == CURLE_COULDNT_RESOLVE_HOST || t->code == CURLE_COULDNT_CONNECT ||
           t->code == CURLE_SSL_CONNECT_ERROR || t->code == CURLE_OPERATION_TIMEDOUT;
}

static enum http_outcome outcome_of(const struct transfer *t)
{
    if (t->aborted)
        return HTTP_ABORTED;
    if (t->code == CURLE_OK)
        return HTTP_ANSWERED;
    if (!nothing_sent(t))
        return HTTP_LOST;
    if (http_tls_refused(t->code, t->error))
        return HTTP_TLS_REFUSED;
    return on_the_way(t) ? HTTP_UNSENT : HTTP_LOST;
}

static const char *text_of(struct transfer *t)
{
    if (t->aborted)
        return "given up";
    if (t->too_large)
        return "the answer is too large";
    if (t->held_back)
        return "the connection was closed before the answer came";
    if (t->code == CURLE_OK)
        return "";
    if (!t->error[0])
        return curl_easy_strerror(t->code);
    const char *advice = http_tls_advice(t->error);
    if (!*advice)
        return t->error;
    snprintf(t->text, sizeof(t->text), "%s (%s)", t->error, advice);
    return t->text;
}

void transfer_give_back(struct transfer *t)
{
    struct http_request *request = t->request;
    struct http_reply reply = {.outcome = outcome_of(t), .session = t->session, .retry_after_ms = -1};
    long status = 0, connects = 0;
    curl_off_t retry_s = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_s);
    bool came = t->header_bytes > 0; /* else curl's numbers may be the request's before */
    reply.status = came ? (int)status : 0;
    if (came && retry_s > 0)
        reply.retry_after_ms = (retry_s < 86400 ? retry_s : 86400) * 1000;
    reply.timed_out = t->code == CURLE_OPERATION_TIMEDOUT && !t->aborted;
    reply.error = text_of(t);
    t->http->connections += (unsigned long)connects;
    t->request = NULL;
    set_credentials(t, false);
    request->on_reply(request, &reply, request->user);
    if (t->session)
        explicit_bzero(t->session, strlen(t->session));
    free(t->session);
    t->session = NULL;
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
    header_set_release(t->headers);
    t->headers = NULL;
}
