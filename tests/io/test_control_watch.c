/* The event stream of the control socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "control_fixture.h"
#include "io/control_parts.h"

#define STREAM_BYTES (64 << 20)
#define MANY 600 /* more failures than are kept */

static void has(const char *answer, const char *text)
{
    if (!strstr(answer, text))
        fail_msg("\"%s\" lacks \"%s\"", answer, text);
}

/* By HTTP/1.0, which knows no chunks: a text that is looked for is not torn apart. */
static int watch(const struct fixture *f, const char *query, const char *headers)
{
    char request[512];
    int fd = client_connect(f);
    snprintf(request, sizeof(request), "GET /v1/events%s HTTP/1.0\r\nHost: j\r\n%s\r\n", query, headers);
    assert_true(client_send(fd, request));
    return fd;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

static void add_two(struct fake *fake)
{
    fake_add(fake, "one", "one.yaml", 100);
    fake_add(fake, "two", "two.yaml", 1000000);
}

static void runs_are_told_at_once_and_to_their_end(void **state)
{
    (void)state;
    struct fixture f;
    _cleanup_(buf_done) struct buf all = BUF_INIT(STREAM_BYTES);
    fixture_start(&f, &(struct fake_options){.per_tick = 5});
    fixture_call(&f, add_two);
    int fd = watch(&f, "", "");
    has(client_read(fd, &all, "\"state\":\"failed\",\"phase\":null"), "Content-Type: text/event-stream");
    has(buf_str(&all), "event: failure\n");
    has(buf_str(&all), "\"plan\":\"two\"");
    fixture_stop(&f);
    has(client_read(fd, &all, NULL), "event: stopping\n"); /* and then the stream ends */
    close(fd);
}

static void one_run_may_be_asked_for(void **state)
{
    (void)state;
    struct fixture f;
    _cleanup_(buf_done) struct buf all = BUF_INIT(STREAM_BYTES);
    fixture_start(&f, &(struct fake_options){.per_tick = 5});
    fixture_call(&f, add_two);
    int fd = watch(&f, "?run=01fake00000000000000000137", "");
    client_read(fd, &all, "\"state\":\"failed\",\"phase\":null");
    assert_null(strstr(buf_str(&all), "\"plan\":\"two\""));
    assert_int_equal(count(buf_str(&all), "event: failure\n"), 4);
    close(fd);
    fixture_stop(&f);
}

static const char *same_phase;

static void tell_same(struct fake *fake)
{
    control_tell_run(fake->control, &(struct control_run){.id = "01SAME00000000000000000001",
                                                          .plan = "same",
                                                          .file = "same.yaml",
                                                          .server = "prod",
                                                          .origin = "control",
                                                          .state = "running",
                                                          .phase = same_phase});
}

static void only_changes_are_told(void **state)
{
    (void)state;
    struct fixture f;
    _cleanup_(buf_done) struct buf all = BUF_INIT(STREAM_BYTES);
    fixture_start(&f, &(struct fake_options){.per_tick = 1});
    int fd = watch(&f, "", "");
    client_read(fd, &all, ": hello");
    same_phase = "waiting";
    for (int i = 0; i < 4; i++) {
        fixture_call(&f, tell_same);
        usleep(250000); /* longer than what comes quickly is held back to be merged */
    }
    same_phase = "cloning";
    fixture_call(&f, tell_same);
    client_read(fd, &all, "\"phase\":\"cloning\"");
    assert_int_equal(count(buf_str(&all), "\"plan\":\"same\""), 2);
    close(fd);
    fixture_stop(&f);
}

static bool watched;

static void ask_watched(struct fake *fake)
{
    watched = control_watched(fake->control);
}

static void nothing_is_kept_when_nobody_watches(void **state)
{
    (void)state;
    struct fixture f;
    _cleanup_(buf_done) struct buf all = BUF_INIT(STREAM_BYTES);
    fixture_start(&f, &(struct fake_options){.per_tick = 1});
    fixture_call(&f, add_two);
    for (int i = 0; i < 3; i++) {
        int fd = watch(&f, "", "");
        buf_reset(&all);
        has(client_read(fd, &all, "\"plan\":\"two\""), "event: run\n");
        close(fd);
        do { /* that it has left is seen with the next event */
            usleep(10000);
            fixture_call(&f, ask_watched);
        } while (watched);
    }
    assert_int_equal(f.fake.watched, 3);
    fixture_stop(&f);
}

static void fail_many(struct fake *fake)
{
    for (uint32_t i = 0; i < MANY; i++) {
        struct control_failure failure = {fake->runs[0].id, i, "n", "failed", "refused", "no", 400};
        control_tell_failure(fake->control, &failure);
    }
}

static void who_comes_back_is_told_what_was_missed(void **state)
{
    (void)state;
    struct fixture f;
    char header[128], id[64];
    _cleanup_(buf_done) struct buf all = BUF_INIT(STREAM_BYTES);
    fixture_start(&f, &(struct fake_options){0});
    fixture_call(&f, add_two);
    int fd = watch(&f, "", "");
    const char *at = strstr(client_read(fd, &all, "data: "), "\nid: ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\nid: %63s", id), 1);
    close(fd);
    fixture_call(&f, fail_many);
    snprintf(header, sizeof(header), "Last-Event-ID: %s\r\n", id);
    fd = watch(&f, "", header);
    buf_reset(&all);
    client_read(fd, &all, "\"index\":599,");
    has(buf_str(&all), "event: missed\n");
    has(buf_str(&all), "{\"failures\":344}");
    assert_int_equal(count(buf_str(&all), "event: failure\n"), CONTROL_FAILURES_KEPT);
    close(fd);
    fd = watch(&f, "", "Last-Event-ID: 1234-5\r\n"); /* of another process: only what is new */
    buf_reset(&all);
    client_read(fd, &all, "event: run\n");
    assert_null(strstr(buf_str(&all), "event: failure\n"));
    close(fd);
    fixture_stop(&f);
}

/* It takes nothing while far more is told than any buffer holds. */
static void a_slow_watcher_costs_nothing(void **state)
{
    (void)state;
    struct fixture f;
    _cleanup_(buf_done) struct buf all = BUF_INIT(STREAM_BYTES), answer = BUF_INIT(1 << 20);
    fixture_start(&f, &(struct fake_options){.per_tick = 1});
    fixture_call(&f, add_two);
    int fd = watch(&f, "", "");
    client_read(fd, &all, "event: run\n");
    for (int i = 0; i < 200; i++)
        fixture_call(&f, fail_many);
    has(client_ask(&f, &answer, "GET", "/v1/status", "", NULL), "HTTP/1.1 200");
    usleep(500000); /* a pump or two fill what the socket takes */
    for (int i = 0; i < 200; i++)
        fixture_call(&f, fail_many);
    buf_reset(&all);
    client_read(fd, &all, "event: missed\n");
    close(fd);
    fixture_stop(&f);
}

static void watchers_are_bounded(void **state)
{
    (void)state;
    struct fixture f;
    int fds[CONTROL_WATCHERS_MAX];
    _cleanup_(buf_done) struct buf all = BUF_INIT(STREAM_BYTES);
    fixture_start(&f, &(struct fake_options){0});
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = watch(&f, "", "");
        buf_reset(&all);
        client_read(fds[i], &all, ": hello");
    }
    int fd = watch(&f, "", "Connection: close\r\n");
    buf_reset(&all);
    has(client_read(fd, &all, NULL), "64 clients are watching already");
    close(fd);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    fixture_stop(&f);
}

static void add_hundreds(struct fake *fake)
{
    for (int i = 0; i < 400; i++)
        fake_add(fake, "short", "short.yaml", 1);
}

/* Reads until so many of these have come. */
static void read_times(int fd, struct buf *all, const char *what, size_t times)
{
    while (count(buf_str(all), what) < times) {
        size_t seen = count(buf_str(all), what);
        struct buf more = BUF_INIT(STREAM_BYTES);
        client_read(fd, &more, what);
        buf_add(all, more.data, more.len);
        buf_done(&more);
        assert_true(count(buf_str(all), what) > seen);
    }
}

static size_t kept;

static void count_kept(struct fake *fake)
{
    kept = fake->control->watch.n_runs;
}

/* Ended runs are forgotten in time, and those that go on are still told. */
static void many_runs_pass_by(void **state)
{
    (void)state;
    struct fixture f;
    _cleanup_(buf_done) struct buf all = BUF_INIT(STREAM_BYTES);
    fixture_start(&f, &(struct fake_options){.per_tick = 1});
    fixture_call(&f, add_two);
    int fd = watch(&f, "", "");
    for (size_t i = 1; i <= 4; i++) {
        fixture_call(&f, add_hundreds);
        read_times(fd, &all, "\"plan\":\"short\"", 400 * i);
        fixture_call(&f, count_kept);
        assert_true(kept <= 2 + 400 + 256);
    }
    buf_reset(&all);
    read_times(fd, &all, "\"plan\":\"two\"", 3);
    close(fd);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_are_told_at_once_and_to_their_end),
        cmocka_unit_test(one_run_may_be_asked_for),
        cmocka_unit_test(only_changes_are_told),
        cmocka_unit_test(nothing_is_kept_when_nobody_watches),
        cmocka_unit_test(who_comes_back_is_told_what_was_missed),
        cmocka_unit_test(a_slow_watcher_costs_nothing),
        cmocka_unit_test(watchers_are_bounded),
        cmocka_unit_test(many_runs_pass_by),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
