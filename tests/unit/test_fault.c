/* The table of faults is printed in docs/ARCHITECTURE.md: both say the same.
 * (tests/sim/test_faults.c drives the engine through all of it.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "engine/fault.h"

#define DOCUMENT TEST_DATA_DIR "/../../docs/ARCHITECTURE.md"

static const char *const fault_names[FAULT_COUNT] = {
    [FAULT_NONE] = "none",         [FAULT_UNSENT] = "unsent",   [FAULT_TLS] = "tls",
    [FAULT_LOST] = "lost",         [FAULT_ABORTED] = "aborted", [FAULT_AUTH] = "auth",
    [FAULT_ABSENT] = "absent",     [FAULT_REFUSED] = "refused", [FAULT_BUSY] = "busy",
    [FAULT_OVERLOAD] = "overload", [FAULT_SERVER] = "server",   [FAULT_GARBLED] = "garbled",
};

/* What the wire does, and the fault that it is to every request but where `task` says otherwise. */
static const struct {
    const char *name;
    enum http_outcome outcome;
    int status;
    bool fits;
    enum fault fault, task; /* task: to a question for one task */
} wire[] = {
    {"2xx with the document asked for", HTTP_ANSWERED, 202, true, FAULT_NONE, FAULT_NONE},
    {"name not found, connection refused", HTTP_UNSENT, 0, true, FAULT_UNSENT, FAULT_UNSENT},
    {"certificate, name or pin not accepted", HTTP_TLS_REFUSED, 0, true, FAULT_TLS, FAULT_TLS},
    {"time-out, reset or cut-off after the connection was made", HTTP_LOST, 0, true, FAULT_LOST, FAULT_LOST},
    {"given up by the daemon itself", HTTP_ABORTED, 0, true, FAULT_ABORTED, FAULT_ABORTED},
    {"301, 302, 307, 308", HTTP_ANSWERED, 302, true, FAULT_REFUSED, FAULT_REFUSED},
    {"400", HTTP_ANSWERED, 400, true, FAULT_REFUSED, FAULT_REFUSED},
    {"401", HTTP_ANSWERED, 401, true, FAULT_AUTH, FAULT_AUTH},
    {"403", HTTP_ANSWERED, 403, true, FAULT_REFUSED, FAULT_REFUSED},
    {"404", HTTP_ANSWERED, 404, true, FAULT_ABSENT, FAULT_ABSENT},
    {"405", HTTP_ANSWERED, 405, true, FAULT_REFUSED, FAULT_REFUSED},
    {"408", HTTP_ANSWERED, 408, true, FAULT_SERVER, FAULT_SERVER},
    {"411", HTTP_ANSWERED, 411, true, FAULT_REFUSED, FAULT_REFUSED},
    {"413", HTTP_ANSWERED, 413, true, FAULT_REFUSED, FAULT_REFUSED},
    {"429", HTTP_ANSWERED, 429, true, FAULT_BUSY, FAULT_BUSY},
    {"500", HTTP_ANSWERED, 500, true, FAULT_SERVER, FAULT_ABSENT},
    {"501", HTTP_ANSWERED, 501, true, FAULT_REFUSED, FAULT_REFUSED},
    {"502, 504", HTTP_ANSWERED, 504, true, FAULT_SERVER, FAULT_SERVER},
    {"503, with or without Retry-After", HTTP_ANSWERED, 503, true, FAULT_OVERLOAD, FAULT_OVERLOAD},
    {"2xx with HTML, broken XML, another document, another type", HTTP_ANSWERED, 200, false, FAULT_GARBLED,
     FAULT_GARBLED},
};

/* The columns of the table: requests that are treated alike. */
static const struct {
    const char *name;
    enum exchange_kind kinds[4];
    size_t n;
} columns[] = {
    {"logon", {EXCHANGE_LOGON}, 1},
    {"names", {EXCHANGE_NAMES, EXCHANGE_SOURCE}, 2},
    {"clone", {EXCHANGE_SUBMIT}, 1},
    {"looks", {EXCHANGE_TASKS, EXCHANGE_SWEEP, EXCHANGE_NAMED, EXCHANGE_LOOK}, 4},
    {"one task", {EXCHANGE_TASK}, 1},
    {"delete, keep-alive", {EXCHANGE_TIDY, EXCHANGE_KEEPALIVE}, 2},
    {"collect", {EXCHANGE_COLLECT}, 1},
    {"logoff", {EXCHANGE_LOGOFF}, 1},
};

static void say(struct buf *buf, const char *word)
{
    buf_printf(buf, "%s%s", buf->len ? ", " : "", word);
}

static void render(const struct fault_decision *d, struct buf *buf)
{
    static const char *const items[] = {NULL, "as it says", "queued", "queued, waits", "failed", "in doubt"};
    static const char *const sessions[] = {NULL, "session opens", "session lost", "credentials refused",
                                           "logon later"};
    static const char *const servers[] = {NULL, "reachable", "away", "not trusted", "wrong"};
    buf_reset(buf);
    if (items[d->item])
        say(buf, items[d->item]);
    if (d->attempt)
        say(buf, "a try");
    if (sessions[d->session])
        say(buf, sessions[d->session]);
    if (servers[d->server])
        say(buf, servers[d->server]);
    if (d->rest)
        say(buf, "rests");
    if (d->pace)
        say(buf, d->pace > 0 ? "more" : "fewer");
    if (!buf->len)
        say(buf, "-");
}

static char *document;

static int read_document(void **state)
{
    (void)state;
    FILE *file = fopen(DOCUMENT, "r");
    size_t size = 1 << 20;
    document = calloc(1, size);
    if (!file || !document || fread(document, 1, size - 1, file) == 0)
        return -1;
    fclose(file);
    return 0;
}

static int free_document(void **state)
{
    (void)state;
    free(document);
    return 0;
}

static void assert_line(const char *line)
{
    if (!strstr(document, line))
        fail_msg("docs/ARCHITECTURE.md lacks the line\n%s", line);
}

static void test_sorting(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wire) / sizeof(*wire); i++) {
        char line[256];
        for (int kind = 0; kind < EXCHANGE_KIND_COUNT; kind++) {
            bool task = kind == EXCHANGE_TASK || kind == EXCHANGE_TIDY;
            assert_int_equal(
                fault_of_reply((enum exchange_kind)kind, wire[i].outcome, wire[i].status, wire[i].fits),
                task ? wire[i].task : wire[i].fault);
        }
        if (wire[i].task == wire[i].fault)
            snprintf(line, sizeof(line), "\n| %s | %s |\n", wire[i].name, fault_names[wire[i].fault]);
        else
            snprintf(line, sizeof(line), "\n| %s | %s; to a question for one task: %s |\n", wire[i].name,
                     fault_names[wire[i].fault], fault_names[wire[i].task]);
        assert_line(line);
    }
}

static void test_columns(void **state)
{
    (void)state;
    size_t kinds = 0;
    for (size_t c = 0; c < sizeof(columns) / sizeof(*columns); c++) {
        kinds += columns[c].n;
        for (size_t k = 1; k < columns[c].n; k++)
            for (int f = 0; f < FAULT_COUNT; f++) {
                struct buf one = BUF_INIT(512), other = BUF_INIT(512);
                render(fault_decide(columns[c].kinds[0], (enum fault)f), &one);
                render(fault_decide(columns[c].kinds[k], (enum fault)f), &other);
                assert_string_equal(buf_str(&one), buf_str(&other));
                buf_done(&one);
                buf_done(&other);
            }
    }
    assert_int_equal(kinds, EXCHANGE_KIND_COUNT);
}

static void test_rows(void **state)
{
    (void)state;
    struct buf line = BUF_INIT(4096), cell = BUF_INIT(512);
    buf_add_str(&line, "\n| fault |");
    for (size_t c = 0; c < sizeof(columns) / sizeof(*columns); c++)
        buf_printf(&line, " %s |", columns[c].name);
    assert_line(buf_str(&line));
    for (int f = 0; f < FAULT_COUNT; f++) {
        buf_reset(&line);
        buf_printf(&line, "\n| %s |", fault_names[f]);
        for (size_t c = 0; c < sizeof(columns) / sizeof(*columns); c++) {
            render(fault_decide(columns[c].kinds[0], (enum fault)f), &cell);
            buf_printf(&line, " %s |", buf_str(&cell));
        }
        buf_add_str(&line, "\n");
        assert_line(buf_str(&line));
    }
    buf_done(&line);
    buf_done(&cell);
}

/* Rules that no edit of the table may break. */
static void test_rules(void **state)
{
    (void)state;
    for (int f = 0; f < FAULT_COUNT; f++) {
        for (int k = 0; k < EXCHANGE_KIND_COUNT; k++) {
            const struct fault_decision *d = fault_decide((enum exchange_kind)k, (enum fault)f);
            assert_true(k == EXCHANGE_SUBMIT || !d->attempt);
            assert_true(k == EXCHANGE_SUBMIT || d->pace <= 0);
            if (f == FAULT_AUTH && k != EXCHANGE_LOGON && k != EXCHANGE_LOGOFF)
                assert_int_equal(d->session, FAULT_SESSION_LOST);
        }
        const struct fault_decision *clone = fault_decide(EXCHANGE_SUBMIT, (enum fault)f);
        bool not_carried_out = clone->item == FAULT_ITEM_BACK || clone->item == FAULT_ITEM_LATER;
        assert_int_equal(clone->attempt, !not_carried_out);
        assert_int_not_equal(clone->item, FAULT_ITEM_NONE);
        bool proven = f == FAULT_UNSENT || f == FAULT_TLS || f == FAULT_AUTH || f == FAULT_BUSY;
        assert_int_equal(not_carried_out, proven);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorting),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, read_document, free_document);
}
