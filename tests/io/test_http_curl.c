/* The HTTP port against a real HTTPS server on this machine: what arrives there
 * is counted there. */
#include "http_fixture.h"
/* cmocka comes with it */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"

#define MANY 100
#define KEPT 4

struct call {
    struct http_request request;
    struct bench *bench;
    struct http_reply reply;
    char session[64], error[256];
    size_t received;
    unsigned replies;
    bool abort_in_body;
};

static int on_body(const char *data, size_t len, void *user)
{
    struct call *c = user;
    assert_non_null(data);
    c->received += len;
    if (c->abort_in_body)
        c->bench->port->abort(c->bench->port, &c->request);
    return 0;
}

static void on_reply(struct http_request *request, const struct http_reply *reply, void *user)
{
    struct call *c = user;
    assert_ptr_equal(request, &c->request);
    assert_false(c->bench->starting);
    c->replies++;
    c->reply = *reply;
    snprintf(c->session, sizeof(c->session), "%s", reply->session ? reply->session : "");
    snprintf(c->error, sizeof(c->error), "%s", reply->error);
    c->bench->left--;
}

static void begin(struct bench *b, struct call *c)
{
    c->bench = b;
    c->request.on_body = on_body;
    c->request.on_reply = on_reply;
    c->request.user = c;
    if (!c->request.body_max)
        c->request.body_max = 1000;
    b->left++;
    b->starting = true;
    assert_int_equal(b->port->start(b->port, &c->request), 0);
    b->starting = false;
}

static struct call get(struct bench *b, const char *path)
{
    struct call c = {.request = {.method = HTTP_GET, .path = path, .session = "abc"}};
    begin(b, &c);
    bench_run(b);
    assert_int_equal(c.replies, 1);
    return c;
}

static struct call post(struct bench *b, const char *path, const char *body, bool once)
{
    struct call c = {.request = {.method = HTTP_POST, .path = path, .session = "abc", .once = once}};
    c.request.body = (struct bytes){body, body ? strlen(body) : 0};
    begin(b, &c);
    bench_run(b);
    assert_int_equal(c.replies, 1);
    return c;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in '%s'", part, text);
}

static void has_not(const char *text, const char *part)
{
    if (strcasestr(text, part))
        fail_msg("'%s' is in '%s'", part, text);
}

/* ---- answers ---- */

static void answered(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    struct call c = get(&b, "/api/ok");
    assert_int_equal(c.reply.outcome, HTTP_ANSWERED);
    assert_int_equal(c.reply.status, 200);
    assert_string_equal(c.session, "token-1");
    assert_string_equal(c.error, "");
    assert_int_equal(c.received, 2);
    assert_int_equal(c.reply.retry_after_ms, -1);
    struct tls_counts counts = tls_server_counts(b.server);
    has(counts.last, "GET /api/ok HTTP/1.1\r\n");
    has(counts.last, "\r\nAccept: application/xml\r\n");
    has(counts.last, "\r\nX-RestSvcSessionId: abc\r\n");
    has(counts.last, "\r\nUser-Agent: jobclone/" JOBCLONE_VERSION "\r\n");
    has_not(counts.last, "\r\nContent-Type");
    bench_close(&b);
}

static void lines_of_each_method(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    assert_int_equal(post(&b, "/api/ok", "<a/>", true).reply.outcome, HTTP_ANSWERED);
    struct tls_counts counts = tls_server_counts(b.server);
    has(counts.last, "\r\nContent-Type: application/xml\r\n");
    has(counts.last, "\r\nContent-Length: 4\r\n");
    has(counts.last, "\r\n\r\n<a/>");
    has_not(counts.last, "\r\nExpect");
    assert_int_equal(post(&b, "/api/ok", NULL, false).reply.outcome, HTTP_ANSWERED);
    counts = tls_server_counts(b.server);
    has(counts.last, "POST /api/ok HTTP/1.1\r\n");
    has(counts.last, "\r\nContent-Length: 0\r\n");
    has_not(counts.last, "\r\nContent-Type");
    struct call json = {
        .request = {HTTP_POST, "/api/ok", .session = "abc", .media_type = "application/json"}};
    json.request.body = (struct bytes){"{}", 2}; /* one request in another format, then as before */
    begin(&b, &json);
    bench_run(&b);
    counts = tls_server_counts(b.server);
    has(counts.last, "\r\nAccept: application/json\r\n");
    has(counts.last, "\r\nContent-Type: application/json\r\n");
    has_not(counts.last, "xml");
    struct call c = {.request = {.method = HTTP_DELETE, .path = "/api/x", .session = "abc"}};
    begin(&b, &c);
    bench_run(&b);
    counts = tls_server_counts(b.server);
    has(counts.last, "DELETE /api/x HTTP/1.1\r\n");
    has(counts.last, "\r\nAccept: application/xml\r\n");
    get(&b, "/api/ok");
    counts = tls_server_counts(b.server);
    has(counts.last, "GET /api/ok HTTP/1.1\r\n");
    bench_close(&b);
}

static void logon_only_once(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    struct call c = {.request = {.method = HTTP_POST, .path = "/api/sessionMngr/", .logon = true}};
    begin(&b, &c);
    bench_run(&b);
    struct tls_counts counts = tls_server_counts(b.server);
    has(counts.last, "\r\nAuthorization: Basic dXNlcjpzZWNyZXQ=\r\n");
    has_not(counts.last, "\r\nX-RestSvcSessionId");
    get(&b, "/api/ok");
    counts = tls_server_counts(b.server);
    has_not(counts.last, "\r\nAuthorization");
    assert_int_equal(counts.authorized, 1);
    bench_close(&b);
}

static void other_statuses(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    struct call c = get(&b, "/api/busy");
    assert_int_equal(c.reply.outcome, HTTP_ANSWERED);
    assert_int_equal(c.reply.status, 503);
    assert_int_equal(c.reply.retry_after_ms, 7000);
    assert_int_equal(get(&b, "/api/ok").reply.retry_after_ms, -1);
    c = get(&b, "/api/redirect");
    assert_int_equal(c.reply.outcome, HTTP_ANSWERED);
    assert_int_equal(c.reply.status, 302);
    assert_string_equal(c.session, "");
    assert_int_equal(tls_server_counts(b.server).requests, 3);
    bench_close(&b);
}

static void one_connection(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    for (int i = 0; i < 50; i++)
        assert_int_equal(get(&b, "/api/ok").reply.outcome, HTTP_ANSWERED);
    assert_int_equal(tls_server_counts(b.server).requests, 50);
    assert_int_equal(tls_server_counts(b.server).connections, 1);
    assert_int_equal(http_curl_connections(b.http), 1);
    bench_close(&b);
}

static void many_at_once(void **state)
{
    static struct call calls[MANY];
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    for (int round = 0; round < 2; round++) {
        memset(calls, 0, sizeof(calls));
        for (int i = 0; i < MANY; i++) {
            calls[i].request = (struct http_request){.method = HTTP_GET, .path = "/api/ok"};
            begin(&b, &calls[i]);
        }
        bench_run(&b);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(calls[i].replies, 1);
            assert_int_equal(calls[i].reply.outcome, HTTP_ANSWERED);
        }
    }
    assert_int_equal(tls_server_counts(b.server).requests, 2 * MANY);
    bench_close(&b);
}

static void by_name(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, TLS_CERT_GOOD, MANY);
    snprintf(b.url, sizeof(b.url), "https://localhost:%d", tls_server_port(b.server));
    bench_ready(&b);
    assert_int_equal(get(&b, "/api/ok").reply.outcome, HTTP_ANSWERED);
    bench_close(&b);
}

/* ---- failures ---- */

static void time_outs_together(void **state)
{
    struct call calls[3] = {0};
    struct bench b;
    (void)state;
    bench_open(&b, TLS_CERT_GOOD, MANY);
    b.settings.request_ms = 700;
    bench_ready(&b);
    uint64_t before = loop_now().mono_ms;
    for (int i = 0; i < 3; i++) {
        calls[i].request = (struct http_request){.method = HTTP_GET, .path = "/api/hang"};
        begin(&b, &calls[i]);
    }
    bench_run(&b);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(calls[i].replies, 1);
        assert_int_equal(calls[i].reply.outcome, HTTP_LOST);
        assert_true(calls[i].reply.timed_out);
    }
    assert_in_range(loop_now().mono_ms - before, 600, 5000);
    bench_close(&b);
}

static void lost(struct bench *b, const char *path, int status)
{
    struct call c = get(b, path);
    if (c.reply.outcome != HTTP_LOST || c.reply.status != status || !c.error[0] || c.reply.timed_out)
        fail_msg("%s: outcome %d, status %d, '%s'", path, (int)c.reply.outcome, c.reply.status, c.error);
    assert_true(c.received <= 1000);
}

static void lost_answers(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    lost(&b, "/api/truncate", 200);
    lost(&b, "/api/flood", 200);
    lost(&b, "/api/headers", 200);
    lost(&b, "/api/reset", 0);
    lost(&b, "/api/die", 0);
    bench_close(&b);
}

/* So many connections are kept, for curl to try again on. */
static void keep_connections(struct bench *b)
{
    struct call calls[KEPT];
    for (int i = 0; i < KEPT; i++) {
        calls[i] = (struct call){.request = {.method = HTTP_GET, .path = "/api/ok", .session = "abc"}};
        begin(b, &calls[i]);
    }
    bench_run(b);
    for (int i = 0; i < KEPT; i++)
        assert_int_equal(calls[i].reply.outcome, HTTP_ANSWERED);
}

/* curl sends a request again by itself when a kept connection ends without an answer: it must not. */
static void never_twice(void **state)
{
    static const char *const ends[] = {"/api/die", "/api/reset"};
    static const char *const bodies[] = {"<JobCloneSpec/>", NULL};
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    for (int i = 0; i < 4; i++) {
        keep_connections(&b);
        struct tls_counts before = tls_server_counts(b.server);
        struct call c = post(&b, ends[i / 2], bodies[i % 2], true);
        struct tls_counts after = tls_server_counts(b.server);
        assert_int_equal(c.reply.outcome, HTTP_LOST);
        assert_true(c.error[0]);
        assert_int_equal(after.posts, before.posts + 1);
        assert_int_equal(after.kept, before.kept + 1);
    }
    bench_close(&b);
}

/* What may be repeated is: so the server above does call for a second try. */
static void twice_where_it_may_be(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    assert_int_equal(get(&b, "/api/ok").reply.outcome, HTTP_ANSWERED);
    assert_int_equal(get(&b, "/api/die").reply.outcome, HTTP_LOST);
    assert_int_equal(tls_server_counts(b.server).requests, 3);
    bench_close(&b);
}

/* A clone costs the server one record to read, and us one call to send it. */
static void head_and_body_together(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    assert_int_equal(post(&b, "/api/ok", "<JobCloneSpec/>", true).reply.outcome, HTTP_ANSWERED);
    assert_int_equal(tls_server_counts(b.server).records, 1);
    bench_close(&b);
}

/* The empty label keeps it from any name server; the resolver still brings its own
 * sockets, and closing must not wait for them. */
static void unknown_name_is_unsent(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, TLS_CERT_GOOD, MANY);
    snprintf(b.url, sizeof(b.url), "https://no..name:%d", tls_server_port(b.server));
    bench_ready(&b);
    struct call c = post(&b, "/api/ok", "<a/>", true);
    assert_int_equal(c.reply.outcome, HTTP_UNSENT);
    assert_true(c.error[0]);
    bench_close(&b);
}

static void refused_is_unsent(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    struct bench b;
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, and nobody listens */
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    bench_open(&b, TLS_CERT_GOOD, MANY);
    snprintf(b.url, sizeof(b.url), "https://127.0.0.1:%d", ntohs(a.sin_port));
    bench_ready(&b);
    struct call c = post(&b, "/api/ok", "<a/>", true);
    assert_int_equal(c.reply.outcome, HTTP_UNSENT);
    assert_int_equal(c.reply.status, 0);
    assert_true(c.error[0]);
    bench_close(&b);
    close(fd);
}

/* ---- TLS ---- */

static struct call logon(struct bench *b)
{
    struct call c = {.request = {.method = HTTP_POST, .path = "/api/sessionMngr/", .logon = true}};
    begin(b, &c);
    bench_run(b);
    return c;
}

static void expect_refused(struct bench *b)
{
    bench_ready(b);
    struct call c = logon(b);
    assert_int_equal(c.reply.outcome, HTTP_TLS_REFUSED);
    assert_true(c.error[0]);
    assert_int_equal(tls_server_counts(b->server).requests, 0);
    assert_int_equal(tls_server_counts(b->server).authorized, 0);
    bench_close(b);
}

static void expect_taken(struct bench *b)
{
    bench_ready(b);
    assert_int_equal(logon(b).reply.outcome, HTTP_ANSWERED);
    assert_int_equal(tls_server_counts(b->server).authorized, 1);
    bench_close(b);
}

/* A port that takes no more connections and refuses none: as behind a firewall that drops them. */
static int deaf_port(int fds[3])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fds[0], (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(fds[0], 0), 0);
    assert_int_equal(getsockname(fds[0], (struct sockaddr *)&a, &len), 0);
    for (int i = 1; i < 3; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(fds[i], (struct sockaddr *)&a, len);
    }
    return ntohs(a.sin_port);
}

/* curl closes a socket that never got its connection without telling; the next one has its number. */
static void connects_again(const char *url, bool timed_out)
{
    struct bench b;
    bench_open(&b, TLS_CERT_GOOD, MANY);
    struct server_settings there = b.settings;
    b.settings.url = (char *)url;
    b.settings.connect_ms = 200;
    bench_ready(&b);
    for (int i = 0; i < 3; i++) {
        struct call c = post(&b, "/api/ok", "<a/>", true);
        assert_int_equal(c.reply.outcome, HTTP_UNSENT);
        assert_int_equal(c.reply.timed_out, timed_out);
    }
    struct call given_up = {.request = {.method = HTTP_GET, .path = "/api/ok"}};
    begin(&b, &given_up);
    uv_run(&b.loop, UV_RUN_NOWAIT);
    b.port->abort(b.port, &given_up.request);
    bench_run(&b);
    assert_int_equal(http_curl_set_server(b.http, &there, "secret"), 0);
    assert_int_equal(get(&b, "/api/ok").reply.outcome, HTTP_ANSWERED);
    bench_close(&b);
}

static void after_connections_that_never_came(void **state)
{
    char url[64];
    int fds[3];
    (void)state;
    snprintf(url, sizeof(url), "https://127.0.0.1:%d", deaf_port(fds));
    connects_again(url, true);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    connects_again(url, false); /* now it refuses them */
}

static void bad_certificates(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, TLS_CERT_WRONG_NAME, MANY);
    expect_refused(&b);
    bench_open(&b, TLS_CERT_EXPIRED, MANY);
    expect_refused(&b);
    struct tls_server *other = tls_server_start(TLS_CERT_GOOD);
    assert_non_null(other);
    bench_open(&b, TLS_CERT_GOOD, MANY);
    b.settings.ca_file = (char *)tls_server_ca_file(other); /* of the same name */
    expect_refused(&b);
    bench_open(&b, TLS_CERT_GOOD, MANY);
    b.settings.ca_file = NULL; /* the system's store does not know it */
    expect_refused(&b);
    bench_open(&b, TLS_CERT_EXPIRED, MANY);
    b.settings.verify = false;
    expect_taken(&b);
    tls_server_stop(other);
}

static void pins(void **state)
{
    char wrong[] = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    struct bench b;
    (void)state;
    bench_open(&b, TLS_CERT_WRONG_NAME, MANY);
    b.settings.ca_file = NULL; /* the pin decides alone */
    b.settings.pin = (char *)tls_server_pin(b.server);
    expect_taken(&b);
    bench_open(&b, TLS_CERT_GOOD, MANY);
    b.settings.ca_file = NULL;
    b.settings.pin = wrong;
    expect_refused(&b);
    bench_open(&b, TLS_CERT_GOOD, MANY); /* with a CA, both must hold */
    b.settings.pin = wrong;
    expect_refused(&b);
    bench_open(&b, TLS_CERT_WRONG_NAME, MANY);
    b.settings.pin = (char *)tls_server_pin(b.server);
    expect_refused(&b);
    bench_open(&b, TLS_CERT_GOOD, MANY);
    b.settings.pin = (char *)tls_server_pin(b.server);
    expect_taken(&b);
}

static void bad_settings(void **state)
{
    char missing[] = "/nonexistent/ca.pem", pin[] = "md5//x";
    char not_pem[] = "/dev/null", colon[] = "user:name";
    struct http_curl *http;
    const char *error = NULL;
    uv_loop_t loop;
    (void)state;
    struct server_settings s = {.url = missing, .ca_file = missing, .verify = true, .in_flight_max = 1};
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(http_curl_new(&loop, &s, "x", "application/xml", &http, &error), -EINVAL);
    has(error, "ca_file");
    s.ca_file = NULL;
    s.pin = pin;
    assert_int_equal(http_curl_new(&loop, &s, "x", "application/xml", &http, &error), -EINVAL);
    has(error, "pin");
    s.pin = NULL;
    s.ca_file = not_pem;
    assert_int_equal(http_curl_new(&loop, &s, "x", "application/xml", &http, &error), -EINVAL);
    has(error, "PEM");
    s.ca_file = NULL;
    s.username = colon;
    assert_int_equal(http_curl_new(&loop, &s, "x", "application/xml", &http, &error), -EINVAL);
    has(error, "colon");
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* ---- given up ---- */

static void aborted(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    struct call c = {.request = {.method = HTTP_GET, .path = "/api/hang"}};
    begin(&b, &c);
    while (tls_server_counts(b.server).requests < 1) {
        uv_run(&b.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    b.starting = true; /* no reply from inside abort either */
    b.port->abort(b.port, &c.request);
    b.port->abort(b.port, &c.request);
    b.starting = false;
    bench_run(&b);
    assert_int_equal(c.replies, 1);
    assert_int_equal(c.reply.outcome, HTTP_ABORTED);
    assert_int_equal(c.reply.status, 0);
    assert_int_equal(get(&b, "/api/ok").reply.outcome, HTTP_ANSWERED);
    bench_close(&b);
    assert_int_equal(c.replies, 1);
}

static void begin_many(struct bench *b, struct call calls[MANY])
{
    for (int i = 0; i < MANY; i++) {
        calls[i] = (struct call){.request = {.method = HTTP_GET, .path = "/api/ok", .session = "abc"}};
        begin(b, &calls[i]);
    }
}

/* Of many that begin at once the last ones wait until the others have their connections. */
static void aborted_while_it_waits(void **state)
{
    static const int those[] = {MANY - 1, 0, MANY / 2, MANY - 2, 30};
    struct call calls[MANY];
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    begin_many(&b, calls);
    for (int i = 0; i < 5; i++)
        b.port->abort(b.port, &calls[those[i]].request);
    struct call later = {.request = {.method = HTTP_GET, .path = "/api/ok", .session = "abc"}};
    begin(&b, &later);
    bench_run(&b);
    assert_int_equal(later.reply.outcome, HTTP_ANSWERED);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(calls[those[i]].reply.outcome, HTTP_ABORTED);
        calls[those[i]].reply.outcome = HTTP_ANSWERED;
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(calls[i].replies, 1);
        assert_int_equal(calls[i].reply.outcome, HTTP_ANSWERED);
    }
    assert_int_equal(tls_server_counts(b.server).requests, MANY - 5 + 1);
    bench_close(&b);
}

static void closed_while_many_wait(void **state)
{
    struct call calls[MANY];
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    begin_many(&b, calls);
    bench_close(&b);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(calls[i].replies, 1);
        assert_int_equal(calls[i].reply.outcome, HTTP_ABORTED);
    }
}

static void aborted_in_body(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    struct call c = {.request = {.method = HTTP_GET, .path = "/api/ok"}, .abort_in_body = true};
    begin(&b, &c);
    bench_run(&b);
    assert_int_equal(c.replies, 1);
    assert_int_equal(c.reply.outcome, HTTP_ABORTED);
    assert_int_equal(get(&b, "/api/ok").reply.outcome, HTTP_ANSWERED);
    bench_close(&b);
}

static void closed_in_flight(void **state)
{
    struct call calls[5] = {0};
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, MANY);
    get(&b, "/api/ok");
    for (int i = 0; i < 5; i++) {
        calls[i].request = (struct http_request){.method = HTTP_GET, .path = "/api/hang"};
        begin(&b, &calls[i]);
    }
    while (tls_server_counts(b.server).requests < 3) {
        uv_run(&b.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    bench_close(&b);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(calls[i].replies, 1);
        assert_int_equal(calls[i].reply.outcome, HTTP_ABORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answered),
        cmocka_unit_test(lines_of_each_method),
        cmocka_unit_test(logon_only_once),
        cmocka_unit_test(other_statuses),
        cmocka_unit_test(one_connection),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(by_name),
        cmocka_unit_test(time_outs_together),
        cmocka_unit_test(lost_answers),
        cmocka_unit_test(never_twice),
        cmocka_unit_test(twice_where_it_may_be),
        cmocka_unit_test(head_and_body_together),
        cmocka_unit_test(refused_is_unsent),
        cmocka_unit_test(unknown_name_is_unsent),
        cmocka_unit_test(after_connections_that_never_came),
        cmocka_unit_test(bad_certificates),
        cmocka_unit_test(pins),
        cmocka_unit_test(bad_settings),
        cmocka_unit_test(aborted),
        cmocka_unit_test(aborted_in_body),
        cmocka_unit_test(aborted_while_it_waits),
        cmocka_unit_test(closed_while_many_wait),
        cmocka_unit_test(closed_in_flight),
    };
    alarm(120); /* a test that hangs is a failure too */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
