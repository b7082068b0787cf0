/* The control socket as its clients meet it: answers, refusals, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "control_fixture.h"

#define PLAN "version: 1\\nname: p\\nserver: prod\\nclones:\\n  - {name: a, source: T}\\n"
#define CSV_PLAN \
    "version: 1\\nname: p\\nserver: prod\\nclones:\\n  - {for_each: {csv: CSV}, name: '${t}', source: T}\\n"
#define ANSWER_BYTES (1 << 20)

static void has(const char *answer, const char *text)
{
    if (!strstr(answer, text))
        fail_msg("\"%s\" lacks \"%s\"", answer, text);
}

static void add_two(struct fake *fake)
{
    fake_add(fake, "one", "one.yaml", 10000);
    fake_add(fake, "two", "two.yaml", 10000);
}

#define JSON "Content-Type: application/json\r\n"

static const struct {
    const char *method, *path, *headers, *body;
    const char *status, *text;
} rows[] = {
    {"GET", "/v1/status", "", NULL, "200", "\"version\":"},
    {"HEAD", "/v1/status", "", NULL, "200", "Content-Type: application/json"},
    {"GET", "/v1/runs", "", NULL, "200", "\"more\":false"},
    {"GET", "/v1/runs?limit=1", "", NULL, "200", "\"more\":true"},
    {"GET", "/v1/runs?limit=0", "", NULL, "400", "limit must be"},
    {"GET", "/v1/runs?limit=1x", "", NULL, "400", "limit must be"},
    {"GET", "/v1/runs?limit", "", NULL, "400", "unknown query"},
    {"GET", "/v1/runs?state=x", "", NULL, "400", "unknown query parameter \\\"state\\\""},
    {"GET", "/v1/runs/137", "", NULL, "200", "\"plan\":\"one\""},
    {"GET", "/v1/runs/fake0000000000000000013", "", NULL, "200", "\"plan\":\"one\""},
    {"GET", "/v1/runs/01FAKE", "", NULL, "409", "\"code\":\"ambiguous\""},
    {"GET", "/v1/runs/XYZ", "", NULL, "404", "\"code\":\"not_found\""},
    {"GET", "/v1/runs/a%20b", "", NULL, "404", "no run can have"},
    {"GET", "/v1/runs/a/b", "", NULL, "404", "nothing at"},
    {"GET", "/v1/runs/137/result", "", NULL, "200", "\"items\":["},
    {"GET", "/v1/runs/137/report", "", NULL, "200", "Content-Type: text/plain"},
    {"POST", "/v1/runs/137/pause", "", NULL, "200", "\"state\":\"paused\""},
    {"POST", "/v1/runs/137/pause", "", "", "409", "\"code\":\"wrong_state\""},
    {"POST", "/v1/runs/137/resume", "", "", "200", "\"state\":\"running\""},
    {"POST", "/v1/runs/137/resume", "", "{}", "400", "takes no body"},
    {"GET", "/v1/runs/137/resume", "", NULL, "405", "Allow: POST"},
    {"PUT", "/v1/runs", "", NULL, "405", "Allow: GET, HEAD, POST"},
    {"POST", "/v1/runs/274/cancel", JSON, "{\"stop_tasks\":1}", "400", "true or false"},
    {"POST", "/v1/runs/274/cancel", JSON, "{\"stop_tasks\":true}", "200", "\"state\":\"cancelled\""},
    {"POST", "/v1/runs/274/retry", "", "", "409", "wrong_state"},
    {"GET", "/v1/schedules", "", NULL, "200", "\"calendar\":\"Mon..Fri"},
    {"POST", "/v1/schedules/nightly/run", "", NULL, "201", "\"plan\":\"nightly\""},
    {"POST", "/v1/schedules/a%2Fb/run", "", NULL, "404", "no schedule \\\"a/b\\\""},
    {"GET", "/", "", NULL, "404", "docs/control-api.md"},
    {"GET", "/v1/events?run=1", "", NULL, "400", "whole id"},
    {"POST", "/v1/runs", JSON, "{\"file\":\"p.yaml\",\"plan\":\"" PLAN "\"}", "201", "\"items\":1"},
    {"POST", "/v1/runs", "", "{\"file\":\"p.yaml\",\"plan\":\"x: 1\"}", "422", "p.yaml:1:1: unknown key"},
    {"POST", "/v1/runs", "Content-Type: text/plain\r\n", "{}", "400", "must be application/json"},
    {"POST", "/v1/runs", JSON, "{", "400", "no good JSON"},
    {"POST", "/v1/runs", "Content-Length: 300000\r\n", NULL, "413", "at most 266240 are possible"},
    {"POST", "/v1/runs", "Content-Length: 99999999999999999999\r\n", NULL, "4", ""},
    {"POST", "/v1/runs", "", NULL, "411", "Content-Length"},
    {"POST", "/v1/runs", "Transfer-Encoding: chunked\r\n", NULL, "411", "length_required"},
    {"POST", "/v1/preview", JSON, "{\"file\":\"p.yaml\",\"plan\":\"" PLAN "\"}", "200",
     "\"action\":\"create\""},
};

static void every_request_has_its_answer(void **state)
{
    (void)state;
    struct fixture f;
    _cleanup_(buf_done) struct buf answer = BUF_INIT(256 << 20);
    fixture_start(&f, &(struct fake_options){0});
    fixture_call(&f, add_two);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char status[32];
        client_ask(&f, &answer, rows[i].method, rows[i].path, rows[i].headers, rows[i].body);
        snprintf(status, sizeof(status), "HTTP/1.1 %s", rows[i].status);
        if (strncmp(buf_str(&answer), status, strlen(status)) != 0 || !strstr(buf_str(&answer), rows[i].text))
            fail_msg("%s %s: not %s with %s but %.500s", rows[i].method, rows[i].path, rows[i].status,
                     rows[i].text, buf_str(&answer));
    }
    fixture_stop(&f);
}

/* The CSV file lies there, and would be found by a plan read from the disk. */
static void no_file_is_opened_for_a_client(void **state)
{
    (void)state;
    struct fixture f;
    char csv[128];
    _cleanup_(buf_done) struct buf answer = BUF_INIT(ANSWER_BYTES);
    fixture_start(&f, &(struct fake_options){0});
    snprintf(csv, sizeof(csv), "%s/CSV", f.folder);
    FILE *file = fopen(csv, "w");
    assert_non_null(file);
    fputs("t\nfrom-the-disk\n", file);
    fclose(file);
    assert_int_equal(chdir(f.folder), 0);
    has(client_ask(&f, &answer, "POST", "/v1/preview", JSON,
                   "{\"file\":\"p.yaml\",\"plan\":\"" CSV_PLAN "\"}"),
        "\"code\":\"invalid_plan\"");
    has(client_ask(&f, &answer, "POST", "/v1/preview", JSON,
                   "{\"file\":\"p.yaml\",\"plan\":\"" CSV_PLAN
                   "\",\"csv\":[{\"path\":\"CSV\",\"text\":\"t\\nsent\\n\"}]}"),
        "\"name\":\"sent\"");
    has(client_ask(&f, &answer, "POST", "/v1/preview", JSON,
                   "{\"file\":\"p\",\"plan\":\"\",\"csv\":[{\"path\":\"C\",\"text\":\"\"},{\"path\":\"C\","
                   "\"text\":\"\"}]}"),
        "given twice");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(unlink(csv), 0);
    fixture_stop(&f);
}

static void garbage_and_huge_heads_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    _cleanup_(buf_done) struct buf answer = BUF_INIT(ANSWER_BYTES), head = BUF_INIT(ANSWER_BYTES);
    fixture_start(&f, &(struct fake_options){0});
    int fd = client_connect(&f);
    client_send(fd, "\x16\x03\x01 nonsense\r\n\r\n");
    client_read(fd, &answer, NULL);
    close(fd);
    buf_add_str(&head, "GET /v1/status HTTP/1.1\r\nHost: j\r\nX: ");
    for (int i = 0; i < 100000; i++)
        buf_add_char(&head, 'x');
    fd = client_connect(&f);
    client_send(fd, buf_str(&head));
    buf_reset(&answer);
    has(client_read(fd, &answer, NULL), "HTTP/1.1 431");
    close(fd);
    has(client_ask(&f, &answer, "GET", "/v1/status", "", NULL), "HTTP/1.1 200");
    fixture_stop(&f);
}

static void slow_clients_are_told_and_dropped(void **state)
{
    (void)state;
    static const char *const halves[] = {"", "GET /v1/sta",
                                         "POST /v1/runs HTTP/1.1\r\nHost: j\r\nContent-Length: 50\r\n\r\n{"};
    struct fixture f;
    fixture_start(&f, &(struct fake_options){.timeout_s = 1});
    for (size_t i = 0; i < ARRAY_SIZE(halves); i++) {
        _cleanup_(buf_done) struct buf answer = BUF_INIT(ANSWER_BYTES);
        int fd = client_connect(&f);
        client_send(fd, halves[i]);
        has(client_read(fd, &answer, NULL), "HTTP/1.1 408");
        close(fd);
    }
    _cleanup_(buf_done) struct buf answer = BUF_INIT(ANSWER_BYTES);
    int fd = client_connect(&f); /* one that has been answered is dropped in silence */
    client_send(fd, "GET /v1/status HTTP/1.1\r\nHost: j\r\n\r\n");
    client_read(fd, &answer, NULL);
    assert_null(strstr(buf_str(&answer), "408"));
    close(fd);
    fixture_stop(&f);
}

static void a_thousand_connections_and_one(void **state)
{
    (void)state;
    struct rlimit limit;
    struct fixture f;
    static int fds[1000];
    _cleanup_(buf_done) struct buf answer = BUF_INIT(ANSWER_BYTES);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2100)
        skip();
    fixture_start(&f, &(struct fake_options){0});
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client_connect(&f);
        client_send(fds[i], "GET /v1/st");
    }
    has(client_ask(&f, &answer, "GET", "/v1/status", "", NULL), "HTTP/1.1 503");
    has(buf_str(&answer), "\"code\":\"busy\"");
    client_send(fds[999], "atus HTTP/1.1\r\nHost: j\r\n\r\n");
    buf_reset(&answer);
    has(client_read(fds[999], &answer, "servers"), "HTTP/1.1 200");
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    do
        client_ask(&f, &answer, "GET", "/v1/status", "", NULL);
    while (strstr(buf_str(&answer), "503"));
    has(buf_str(&answer), "HTTP/1.1 200");
    fixture_stop(&f);
}

static void large_bodies_share_a_bound(void **state)
{
    (void)state;
    static const char half[] = "POST /v1/runs HTTP/1.1\r\nHost: j\r\nContent-Length: 260000\r\n\r\n{";
    struct fixture f;
    _cleanup_(buf_done) struct buf answer = BUF_INIT(ANSWER_BYTES);
    fixture_start(&f, &(struct fake_options){0});
    int a = client_connect(&f), b = client_connect(&f), c = client_connect(&f);
    client_send(a, half);
    client_send(b, half);
    client_ask(&f, &answer, "GET", "/v1/status", "", NULL); /* by now both have arrived */
    buf_reset(&answer);
    client_send(c, half);
    has(client_read(c, &answer, NULL), "other large requests");
    close(a);
    close(b);
    close(c);
    fixture_stop(&f);
}

static void add_large(struct fake *fake)
{
    fake_add(fake, "large", "large.yaml", 20000);
}

/* Each lies in memory until its client has taken it. */
static void large_answers_share_a_bound(void **state)
{
    (void)state;
    static const char result[] = "GET /v1/runs/137/result HTTP/1.1\r\nHost: j\r\n\r\n";
    struct fixture f;
    _cleanup_(buf_done) struct buf answer = BUF_INIT(32 << 20);
    fixture_start(&f, &(struct fake_options){.answer_bytes = 1000000});
    fixture_call(&f, add_large);
    int slow = client_connect(&f);
    client_send(slow, result);
    has(client_ask(&f, &answer, "GET", "/v1/status", "", NULL), "HTTP/1.1 200"); /* by now it has arrived */
    buf_reset(&answer);
    has(client_ask(&f, &answer, "GET", "/v1/runs/137/result", "", NULL), "HTTP/1.1 503");
    has(buf_str(&answer), "Retry-After: ");
    has(buf_str(&answer), "other large answers");
    close(slow);
    do { /* that it has left is seen with the next event */
        usleep(10000);
        buf_reset(&answer);
        client_ask(&f, &answer, "GET", "/v1/runs/137/result", "", NULL);
    } while (strstr(buf_str(&answer), "HTTP/1.1 503"));
    has(buf_str(&answer), "HTTP/1.1 200");
    fixture_stop(&f);
}

static void hold(struct fake *fake)
{
    add_two(fake);
    fake->options.hold = true;
}

static void a_client_that_leaves_is_nothing_to_the_service(void **state)
{
    (void)state;
    static const char pause[] = "POST /v1/runs/137/pause HTTP/1.1\r\nHost: j\r\n\r\n";
    struct fixture f;
    _cleanup_(buf_done) struct buf answer = BUF_INIT(ANSWER_BYTES);
    fixture_start(&f, &(struct fake_options){0});
    fixture_call(&f, hold);
    int gone = client_connect(&f), waiting = client_connect(&f);
    client_send(gone, pause);
    client_send(waiting, pause);
    client_ask(&f, &answer, "GET", "/v1/status", "", NULL);
    close(gone);
    client_ask(&f, &answer, "GET", "/v1/status", "", NULL);
    fixture_call(&f, fake_release);
    buf_reset(&answer);
    has(client_read(waiting, &answer, "}"), "released");
    close(waiting);
    fixture_stop(&f);
}

static void a_request_outlives_the_socket(void **state)
{
    (void)state;
    static const char pause[] = "POST /v1/runs/137/pause HTTP/1.1\r\nHost: j\r\n\r\n";
    struct fixture f;
    _cleanup_(buf_done) struct buf answer = BUF_INIT(ANSWER_BYTES);
    fixture_start(&f, &(struct fake_options){0});
    fixture_call(&f, hold);
    int fd = client_connect(&f);
    client_send(fd, pause);
    client_ask(&f, &answer, "GET", "/v1/status", "", NULL);
    fixture_stop(&f);
    assert_int_equal(f.fake.held, 1);
    fake_release(&f.fake);
    buf_reset(&answer);
    assert_string_equal(client_read(fd, &answer, NULL), "");
    close(fd);
}

/* ---- who may ---- */

/* Asks for the status as somebody else; the answer's status code. */
static int ask_as(const struct fixture *f, uid_t uid, gid_t gid, gid_t also)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct buf answer = BUF_INIT(ANSWER_BYTES);
        int code = 0;
        if (setgroups(also ? 1 : 0, &also) < 0 || setgid(gid) < 0 || setuid(uid) < 0)
            _exit(99);
        int fd = client_connect(f);
        client_send(fd, "GET /v1/status HTTP/1.1\r\nHost: j\r\nConnection: close\r\n\r\n");
        if (sscanf(client_read(fd, &answer, "\r\n"), "HTTP/1.1 %d", &code) != 1)
            _exit(98);
        _exit(code / 100 * 10 + code % 10); /* 200: 20, 403: 43 */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void only_those_who_may_are_served(void **state)
{
    (void)state;
    struct fixture f;
    struct stat st;
    const struct group *group = getgrnam("daemon");
    if (geteuid() != 0 || !group)
        skip();
    fixture_start(&f, &(struct fake_options){0});
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(st.st_gid, group->gr_gid);
    assert_int_equal(chmod(f.folder, 0755), 0);
    assert_int_equal(chmod(f.path, 0666), 0); /* as a socket made by somebody else might be */
    assert_int_equal(ask_as(&f, 0, 0, 0), 20);
    assert_int_equal(ask_as(&f, 65534, 65534, 0), 43);
    assert_int_equal(ask_as(&f, 65534, group->gr_gid, 0), 20);
    assert_int_equal(ask_as(&f, 65534, 65534, group->gr_gid), 20);
    assert_int_equal(ask_as(&f, 65534, 65534, 65533), 43);
    fixture_stop(&f);
}

/* ---- the socket file ---- */

static int try_path(const char *path, char *ret_message, size_t size)
{
    static struct fake fake;
    uv_loop_t loop;
    struct buf error = BUF_INIT(4096);
    assert_int_equal(uv_loop_init(&loop), 0);
    int r = fake_start(&fake, &loop, &(struct fake_options){.path = path, .plan_bytes = 1}, &error);
    if (r == 0)
        fake_stop(&fake);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    snprintf(ret_message, size, "%s", buf_str(&error));
    buf_done(&error);
    return r;
}

static void a_stale_socket_is_replaced_a_live_one_is_not(void **state)
{
    (void)state;
    struct fixture f;
    char message[512], path[128];
    fixture_start(&f, &(struct fake_options){0});
    assert_int_equal(try_path(f.path, message, sizeof(message)), -EADDRINUSE);
    has(message, "another daemon listens there");
    _cleanup_(buf_done) struct buf answer = BUF_INIT(ANSWER_BYTES);
    has(client_ask(&f, &answer, "GET", "/v1/status", "", NULL), "HTTP/1.1 200");

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/stale", f.folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    assert_int_equal(try_path(address.sun_path, message, sizeof(message)), 0);

    snprintf(path, sizeof(path), "%s/file", f.folder);
    fclose(fopen(path, "w"));
    assert_int_equal(try_path(path, message, sizeof(message)), -EEXIST);
    has(message, "something else than a socket");
    unlink(path);
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(try_path(path, message, sizeof(message)), -ENAMETOOLONG);
    has(message, "control.socket");
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_has_its_answer),
        cmocka_unit_test(no_file_is_opened_for_a_client),
        cmocka_unit_test(garbage_and_huge_heads_are_refused),
        cmocka_unit_test(slow_clients_are_told_and_dropped),
        cmocka_unit_test(a_thousand_connections_and_one),
        cmocka_unit_test(large_bodies_share_a_bound),
        cmocka_unit_test(large_answers_share_a_bound),
        cmocka_unit_test(a_client_that_leaves_is_nothing_to_the_service),
        cmocka_unit_test(a_request_outlives_the_socket),
        cmocka_unit_test(only_those_who_may_are_served),
        cmocka_unit_test(a_stale_socket_is_replaced_a_live_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
