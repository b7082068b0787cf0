/* Requests to a real HTTPS server that are lost, not sent or given up: what arrives there is
 * counted there. */
#include "http_calls.h"
/* cmocka comes with it */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"

#define KEPT 4

/* ---- lost, or not sent ---- */

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

/* ---- curl without memory ---- */

#define CALLS_TRIED 12

static unsigned calls_left = UINT_MAX; /* until one fails */
CURLMcode __real_curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int events, int *running);
CURLMcode __wrap_curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int events, int *running);

CURLMcode __wrap_curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int events, int *running)
{
    if (calls_left-- == 0)
        return CURLM_OUT_OF_MEMORY;
    return __real_curl_multi_socket_action(multi, fd, events, running);
}

/* What curl was told at that moment it will not be told again; the request goes on all the same. */
static void goes_on_when_curl_lacks_memory(void **state)
{
    unsigned failed = 0;
    (void)state;
    for (unsigned at = 0; at < CALLS_TRIED; at++) {
        struct bench b;
        bench_start(&b, TLS_CERT_GOOD, MANY);
        uint64_t before = loop_now().mono_ms;
        calls_left = at;
        assert_int_equal(get(&b, "/api/ok").reply.outcome, HTTP_ANSWERED);
        failed += calls_left > CALLS_TRIED;
        calls_left = UINT_MAX;
        assert_in_range(loop_now().mono_ms - before, 0, 5000); /* far below the request's time */
        bench_close(&b);
    }
    assert_true(failed >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_outs_together),
        cmocka_unit_test(lost_answers),
        cmocka_unit_test(never_twice),
        cmocka_unit_test(twice_where_it_may_be),
        cmocka_unit_test(head_and_body_together),
        cmocka_unit_test(unknown_name_is_unsent),
        cmocka_unit_test(refused_is_unsent),
        cmocka_unit_test(after_connections_that_never_came),
        cmocka_unit_test(aborted),
        cmocka_unit_test(aborted_while_it_waits),
        cmocka_unit_test(closed_while_many_wait),
        cmocka_unit_test(aborted_in_body),
        cmocka_unit_test(closed_in_flight),
        cmocka_unit_test(goes_on_when_curl_lacks_memory),
    };
    alarm(120); /* a test that hangs is a failure too */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
