/* The HTTP port against a real HTTPS server on this machine: what arrives there
 * is counted there. */
#include "http_calls.h"
/* cmocka comes with it */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void a_long_token(void **state)
{
    char token[20000];
    struct bench b;
    (void)state;
    memset(token, 'x', sizeof(token) - 1);
    token[sizeof(token) - 1] = '\0';
    bench_start(&b, TLS_CERT_GOOD, MANY);
    struct call c = {.request = {.method = HTTP_GET, .path = "/api/ok", .session = token}};
    begin(&b, &c);
    bench_run(&b);
    assert_int_equal(c.reply.outcome, HTTP_ANSWERED);
    has(tls_server_counts(b.server).last, token);
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

static void is_refused(uv_loop_t *loop, const struct server_settings *settings, int error, const char *part)
{
    struct http_curl *http;
    struct buf text = BUF_INIT(4096);
    assert_int_equal(http_curl_new(loop, settings, "x", "application/xml", &http, &text), error);
    has(buf_str(&text), part);
    buf_done(&text);
}

static void bad_settings(void **state)
{
    char missing[] = "/nonexistent/ca.pem", pin[] = "md5//x", colon[] = "user:name";
    uv_loop_t loop;
    (void)state;
    struct server_settings s = {.url = missing, .ca_file = missing, .verify = true, .in_flight_max = 1};
    assert_int_equal(uv_loop_init(&loop), 0);
    is_refused(&loop, &s, -ENOENT,
               "tls.ca_file /nonexistent/ca.pem: cannot be read: No such file or directory; ");
    s.ca_file = NULL;
    s.pin = pin;
    is_refused(&loop, &s, -EINVAL, "pin");
    s.pin = NULL;
    s.username = colon;
    is_refused(&loop, &s, -EINVAL, "colon");
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* What is no file with a certificate is refused at once, and a pipe that nobody writes into is not waited
 * for. */
static void bad_ca_files(void **state)
{
    char path[] = "/tmp/jobclone-ca-XXXXXX", folder[] = "/tmp", device[] = "/dev/null";
    uv_loop_t loop;
    (void)state;
    struct server_settings s = {.url = path, .ca_file = path, .verify = true, .in_flight_max = 1};
    assert_int_equal(uv_loop_init(&loop), 0);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    is_refused(&loop, &s, -EINVAL, "holds no certificate in PEM form; save ");
    static const char key[] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_int_equal(write(fd, key, strlen(key)), strlen(key));
    is_refused(&loop, &s, -EINVAL, "holds no certificate in PEM form; save ");
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    is_refused(&loop, &s, -ENOTSUP, "is not a regular file; name ");
    assert_int_equal(unlink(path), 0);
    s.ca_file = folder;
    is_refused(&loop, &s, -EISDIR, "cannot be read: Is a directory; name ");
    s.ca_file = device;
    is_refused(&loop, &s, -ENOTSUP, "is not a regular file; name ");
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answered),         cmocka_unit_test(lines_of_each_method),
        cmocka_unit_test(logon_only_once),  cmocka_unit_test(a_long_token),
        cmocka_unit_test(other_statuses),   cmocka_unit_test(one_connection),
        cmocka_unit_test(many_at_once),     cmocka_unit_test(by_name),
        cmocka_unit_test(bad_certificates), cmocka_unit_test(pins),
        cmocka_unit_test(bad_settings),     cmocka_unit_test(bad_ca_files),
    };
    alarm(120); /* a test that hangs is a failure too */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
