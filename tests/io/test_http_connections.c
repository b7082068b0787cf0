/* What connections cost: how many are opened, what a new one goes on with, what is read for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "io/http_curl.h"
#include "model/settings.h"
#include "tls_server.h"

#define IN_FLIGHT 8
#define REQUESTS 400
#define RECONNECTS 5

/* A server and a port to it; requests are sent one after another by each of some callers. */
struct bench {
    struct tls_server *server;
    struct server_settings settings;
    char url[64], user[8];
    uv_loop_t loop;
    struct http_curl *http;
    unsigned left, under_way;
};

struct caller {
    struct http_request request;
    struct bench *bench;
};

static void on_reply(struct http_request *request, const struct http_reply *reply, void *user)
{
    struct bench *b = ((struct caller *)user)->bench;
    (void)reply;
    b->under_way--;
    if (!b->left)
        return;
    b->left--;
    b->under_way++;
    assert_int_equal(http_curl_port(b->http)->start(http_curl_port(b->http), request), 0);
}

/* So many requests for that path, so many at once. */
static void ask(struct bench *b, const char *path, unsigned requests, unsigned at_once)
{
    struct caller callers[IN_FLIGHT];
    b->left = requests;
    for (unsigned i = 0; i < at_once; i++) {
        callers[i] = (struct caller){.bench = b};
        callers[i].request = (struct http_request){
            .method = HTTP_GET, .path = path, .session = "abc", .body_max = 1000, .on_reply = on_reply};
        callers[i].request.user = &callers[i];
        b->left--;
        b->under_way++;
        assert_int_equal(http_curl_port(b->http)->start(http_curl_port(b->http), &callers[i].request), 0);
    }
    while (b->under_way)
        uv_run(&b->loop, UV_RUN_ONCE);
}

static void bench_open(struct bench *b)
{
    const char *error = NULL;
    *b = (struct bench){.user = "user", .server = tls_server_start(TLS_CERT_GOOD)};
    assert_non_null(b->server);
    snprintf(b->url, sizeof(b->url), "https://127.0.0.1:%d", tls_server_port(b->server));
    b->settings = (struct server_settings){.url = b->url,
                                           .username = b->user,
                                           .ca_file = (char *)tls_server_ca_file(b->server),
                                           .verify = true,
                                           .in_flight_max = IN_FLIGHT,
                                           .connect_ms = 10000,
                                           .request_ms = 20000};
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(http_curl_new(&b->loop, &b->settings, "secret", "application/xml", &b->http, &error), 0);
}

static void on_closed(void *data)
{
    (void)data;
}

static void bench_close(struct bench *b)
{
    http_curl_close(b->http, on_closed, NULL);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    tls_server_stop(b->server);
}

static void no_more_than_requests_at_once(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b);
    ask(&b, "/api/ok", REQUESTS, IN_FLIGHT);
    struct tls_counts counts = tls_server_counts(b.server);
    assert_int_equal(counts.requests, REQUESTS);
    assert_true(counts.connections <= IN_FLIGHT);
    assert_int_equal(http_curl_connections(b.http), counts.connections);
    bench_close(&b);
}

static void a_new_one_goes_on_with_the_tls_session(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b);
    for (int i = 0; i < RECONNECTS; i++) {
        ask(&b, "/api/ok", 1, 1);
        ask(&b, "/api/truncate", 1, 1); /* the server closes after it */
    }
    struct tls_counts counts = tls_server_counts(b.server);
    assert_true(counts.connections >= RECONNECTS);
    assert_int_equal(counts.resumed, counts.connections - 1);
    bench_close(&b);
}

/* Each opening is followed by a closing: of equal events in a row there would be but one. */
static unsigned opened(int watch)
{
    char events[4096] __attribute__((aligned(8)));
    unsigned n = 0;
    ssize_t len;
    while ((len = read(watch, events, sizeof(events))) > 0) {
        for (char *at = events; at < events + len;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            n += (event->mask & IN_OPEN) != 0;
            at += sizeof(*event) + event->len;
        }
    }
    return n;
}

static void ca_is_read_once(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(watch >= 0 && inotify_add_watch(watch, b.settings.ca_file, IN_OPEN | IN_CLOSE) >= 0);
    for (int i = 0; i < RECONNECTS; i++) {
        ask(&b, "/api/ok", IN_FLIGHT, IN_FLIGHT);
        ask(&b, "/api/truncate", IN_FLIGHT, IN_FLIGHT);
    }
    assert_true(tls_server_counts(b.server).connections >= RECONNECTS);
    assert_int_equal(opened(watch), 1);
    close(watch);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_than_requests_at_once),
        cmocka_unit_test(a_new_one_goes_on_with_the_tls_session),
        cmocka_unit_test(ca_is_read_once),
    };
    alarm(60); /* a test that hangs is a failure too */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
