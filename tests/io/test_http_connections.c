/* What connections cost: how many are opened, what a new one goes on with, what is read for it. */
#include "http_fixture.h"
/* cmocka comes with it */
#include <curl/curl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define IN_FLIGHT 8
#define HANDSHAKES 150
#define REQUESTS 400
#define RECONNECTS 5

/* Sends its request again and again, until as many have been sent as are wanted of all callers. */
struct caller {
    struct http_request request;
    struct bench *bench;
    unsigned *wanted;
};

static void caller_send(struct caller *caller)
{
    --*caller->wanted;
    caller->bench->left++;
    assert_int_equal(caller->bench->port->start(caller->bench->port, &caller->request), 0);
}

static void on_reply(struct http_request *request, const struct http_reply *reply, void *user)
{
    struct caller *caller = user;
    (void)request, (void)reply;
    caller->bench->left--;
    if (*caller->wanted)
        caller_send(caller);
}

/* So many requests for that path, so many at once. */
static void ask(struct bench *b, const char *path, unsigned requests, unsigned at_once)
{
    struct caller callers[HANDSHAKES];
    for (unsigned i = 0; i < at_once; i++) {
        callers[i] = (struct caller){.bench = b, .wanted = &requests};
        callers[i].request = (struct http_request){.method = HTTP_GET,
                                                   .path = path,
                                                   .session = "abc",
                                                   .body_max = 1000,
                                                   .on_reply = on_reply,
                                                   .user = &callers[i]};
        caller_send(&callers[i]);
    }
    bench_run(b);
}

static void no_more_than_requests_at_once(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, IN_FLIGHT);
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
    bench_start(&b, TLS_CERT_GOOD, IN_FLIGHT);
    for (int i = 0; i < RECONNECTS; i++) {
        ask(&b, "/api/ok", 1, 1);
        ask(&b, "/api/truncate", 1, 1); /* the server closes after it */
    }
    struct tls_counts counts = tls_server_counts(b.server);
    assert_true(counts.connections >= RECONNECTS);
    assert_int_equal(counts.resumed, counts.connections - 1);
    bench_close(&b);
}

/* Counts what is made anew: a poll handle, a header line. */
static unsigned polls, lines;
int __real_uv_poll_init_socket(uv_loop_t *loop, uv_poll_t *poll, uv_os_sock_t fd);
int __wrap_uv_poll_init_socket(uv_loop_t *loop, uv_poll_t *poll, uv_os_sock_t fd);
struct curl_slist *__real_curl_slist_append(struct curl_slist *list, const char *line);
struct curl_slist *__wrap_curl_slist_append(struct curl_slist *list, const char *line);

int __wrap_uv_poll_init_socket(uv_loop_t *loop, uv_poll_t *poll, uv_os_sock_t fd)
{
    polls++;
    return __real_uv_poll_init_socket(loop, poll, fd);
}

struct curl_slist *__wrap_curl_slist_append(struct curl_slist *list, const char *line)
{
    lines++;
    return __real_curl_slist_append(list, line);
}

/* A handle of the loop for each connection, the header lines for each session: not for each request. */
static void what_is_kept_across_requests(void **state)
{
    struct bench b;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, IN_FLIGHT);
    ask(&b, "/api/ok", IN_FLIGHT, IN_FLIGHT);
    unsigned lines_before = lines;
    ask(&b, "/api/ok", REQUESTS, IN_FLIGHT);
    assert_int_equal(lines, lines_before);
    assert_true(polls <= tls_server_counts(b.server).connections);
    bench_close(&b);
}

/* Counts the sockets that are opened in each turn of the loop. */
static unsigned sockets;
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);

int __wrap_socket(int domain, int type, int protocol)
{
    sockets++;
    return __real_socket(domain, type, protocol);
}

static void on_turn(uv_check_t *check)
{
    unsigned *most = check->data;
    *most = sockets > *most ? sockets : *most;
    sockets = 0;
}

/* A handshake takes half a millisecond of the loop's time. None is answered before many connections are
 * wanted. */
static void many_are_not_opened_in_one_turn(void **state)
{
    struct bench b;
    uv_check_t check;
    unsigned most = 0;
    (void)state;
    bench_start(&b, TLS_CERT_GOOD, HANDSHAKES);
    uv_check_init(&b.loop, &check);
    uv_check_start(&check, on_turn);
    check.data = &most;
    sockets = 0;
    ask(&b, "/api/slow", HANDSHAKES, HANDSHAKES);
    uv_close((uv_handle_t *)&check, NULL);
    assert_true(tls_server_counts(b.server).connections > HANDSHAKES / 4);
    assert_in_range(most, 1, 20);
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
    bench_start(&b, TLS_CERT_GOOD, IN_FLIGHT);
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

/* Later by so much, also for curl. */
static time_t later_s;

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int r = (int)syscall(SYS_clock_gettime, clock, ret);
    ret->tv_sec += later_s;
    return r;
}

/* The PEM text of a file, or written to one. */
static void read_pem(const char *path, char ret[8192])
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    ret[fread(ret, 1, 8191, file)] = '\0';
    assert_int_equal(fclose(file), 0);
}

static void write_pem(const char *path, const char *pem)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(pem, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

struct question {
    struct http_request request;
    struct bench *bench;
    enum http_outcome outcome;
};

static void on_outcome(struct http_request *request, const struct http_reply *reply, void *user)
{
    struct question *question = user;
    (void)request;
    question->bench->left--;
    question->outcome = reply->outcome;
}

static enum http_outcome outcome_of_one(struct bench *b)
{
    struct question question = {
        {.method = HTTP_GET, .path = "/api/ok", .body_max = 1000, .on_reply = on_outcome}, .bench = b};
    question.request.user = &question;
    b->left++;
    assert_int_equal(b->port->start(b->port, &question.request), 0);
    bench_run(b);
    return question.outcome;
}

/* Whoever puts the right certificate into the file need not start the daemon anew. */
static void ca_is_read_again_later(void **state)
{
    struct bench b;
    char right[8192], wrong[8192];
    struct tls_server *other = tls_server_start(TLS_CERT_GOOD);
    (void)state;
    assert_non_null(other);
    bench_open(&b, TLS_CERT_GOOD, IN_FLIGHT);
    read_pem(b.settings.ca_file, right);
    read_pem(tls_server_ca_file(other), wrong);
    write_pem(b.settings.ca_file, wrong);
    bench_ready(&b);
    assert_int_equal(outcome_of_one(&b), HTTP_TLS_REFUSED);
    write_pem(b.settings.ca_file, right);
    later_s += 30;
    assert_int_equal(outcome_of_one(&b), HTTP_ANSWERED);
    bench_close(&b);
    tls_server_stop(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_across_requests), /* first: it counts from the beginning */
        cmocka_unit_test(no_more_than_requests_at_once),
        cmocka_unit_test(a_new_one_goes_on_with_the_tls_session),
        cmocka_unit_test(many_are_not_opened_in_one_turn),
        cmocka_unit_test(ca_is_read_once),
        cmocka_unit_test(ca_is_read_again_later),
    };
    alarm(60); /* a test that hangs is a failure too */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
