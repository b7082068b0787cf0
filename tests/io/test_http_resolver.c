/* A name server that does not answer must not hold up the loop: the look-up runs
 * in a thread of curl's, and giving up does not wait for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "io/http_curl.h"
#include "io/loop.h"
#include "model/settings.h"

#define LOOKUP_S 3U
#define CONNECT_MS 200U
#define PROMPT_MS 1500U /* far less than a look-up */

static atomic_uint begun, ended;

/* In the place of libc's, also for curl. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
    (void)name;
    (void)service;
    (void)hints;
    (void)ret;
    begun++;
    sleep(LOOKUP_S);
    ended++;
    return EAI_AGAIN;
}

struct bench {
    uv_loop_t loop;
    struct http_curl *http;
    struct http *port;
    struct http_request request;
    unsigned replies;
    enum http_outcome outcome;
    bool timed_out, closed;
};

static void on_reply(struct http_request *request, const struct http_reply *reply, void *user)
{
    struct bench *b = user;
    assert_ptr_equal(request, &b->request);
    b->replies++;
    b->outcome = reply->outcome;
    b->timed_out = reply->timed_out;
}

static void on_closed(void *data)
{
    ((struct bench *)data)->closed = true;
}

static void bench_start(struct bench *b)
{
    static char url[] = "https://em.example.invalid", user[] = "user";
    static struct server_settings settings = {
        .url = url, .username = user, .verify = true, .in_flight_max = 4, .request_ms = 60000};
    settings.connect_ms = CONNECT_MS;
    struct buf error = BUF_INIT(4096);
    *b =
        (struct bench){.request = {.method = HTTP_GET, .path = "/api/", .body_max = 1, .on_reply = on_reply}};
    b->request.user = b;
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(http_curl_new(&b->loop, &settings, "secret", "application/xml", &b->http, &error), 0);
    b->port = http_curl_port(b->http);
    assert_int_equal(b->port->start(b->port, &b->request), 0);
}

static void bench_finish(struct bench *b)
{
    http_curl_close(b->http, on_closed, b);
    assert_int_equal(uv_run(&b->loop, UV_RUN_DEFAULT), 0);
    assert_true(b->closed);
    assert_int_equal(b->replies, 1);
    assert_int_equal(uv_loop_close(&b->loop), 0);
}

/* Lets the look-up begin; the time since then is in the return value. */
static uint64_t await_lookup(struct bench *b, unsigned before)
{
    while (begun == before)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    return loop_now().mono_ms;
}

static void times_out(void **state)
{
    struct bench b;
    (void)state;
    unsigned before = begun;
    bench_start(&b);
    uint64_t since_ms = await_lookup(&b, before);
    while (b.replies == 0)
        uv_run(&b.loop, UV_RUN_ONCE);
    bench_finish(&b);
    assert_true(loop_now().mono_ms - since_ms < PROMPT_MS);
    assert_int_equal(b.outcome, HTTP_UNSENT);
    assert_true(b.timed_out);
}

static void aborts(void **state)
{
    struct bench b;
    (void)state;
    unsigned before = begun;
    bench_start(&b);
    uint64_t since_ms = await_lookup(&b, before);
    b.port->abort(b.port, &b.request);
    assert_int_equal(b.replies, 0);
    bench_finish(&b);
    assert_true(loop_now().mono_ms - since_ms < PROMPT_MS);
    assert_int_equal(b.outcome, HTTP_ABORTED);
}

static void closes(void **state)
{
    struct bench b;
    (void)state;
    unsigned before = begun;
    bench_start(&b);
    uint64_t since_ms = await_lookup(&b, before);
    bench_finish(&b);
    assert_true(loop_now().mono_ms - since_ms < PROMPT_MS);
    assert_int_equal(b.outcome, HTTP_ABORTED);
}

/* The threads free what is theirs when the look-up comes back. */
static int await_threads(void **state)
{
    (void)state;
    while (ended < begun)
        usleep(50000);
    usleep(200000);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_out),
        cmocka_unit_test(aborts),
        cmocka_unit_test(closes),
    };
    alarm(60); /* a test that hangs is a failure too */
    return cmocka_run_group_tests(tests, NULL, await_threads);
}
