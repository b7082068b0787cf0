/* The report: the whole page, and what it does with long and hostile texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "codec/report_advice.h"
#include "codec/report_text.h"
#include "model/item.h"

#define START 1795442400000 /* 2026-11-23T14:00:00Z */

static const struct result_run run = {.run = "01KB000000000000000000000A",
                                      .plan = "tenant\x1b[2Jonboarding",
                                      .file = "onboard.yaml",
                                      .server = "prod",
                                      .state = "failed",
                                      .started_ms = START,
                                      .finished_ms = START + 192000,
                                      .once = true};

static const struct item *item_at(size_t index, void *user)
{
    return (const struct item *)user + index;
}

static int to_buf(const char *data, size_t len, void *user)
{
    return buf_add(user, data, len);
}

static int refuse(const char *data, size_t len, void *user)
{
    (void)data;
    (void)len;
    (void)user;
    return -EPIPE;
}

static struct buf write_report(const struct result_run *of, struct item *items, size_t n, const char *path)
{
    struct buf out = BUF_INIT(1024 * 1024);
    struct result_items from = {.n = n, .item = item_at, .user = items};
    struct result_sink sink = {.write = to_buf, .user = &out};
    assert_int_equal(report_text_write(of, &from, path, &sink), 0);
    return out;
}

static void page_of_a_failed_run(void **state)
{
    (void)state;
    struct item items[] = {
        {.index = 0, .state = ITEM_SUCCEEDED, .name = "a"},
        {.index = 1,
         .state = ITEM_FAILED,
         .error = ITEM_E_TASK_FAILED,
         .name = "Žluťoučký",
         .message = "disk\nfull",
         .http = 500},
        {.index = 12, .state = ITEM_UNKNOWN, .error = ITEM_E_UNSETTLED, .name = "b"},
        {.index = 13,
         .state = ITEM_FAILED,
         .error = ITEM_E_FIELD,
         .name = "Tenant 03 Copy",
         .message = "no suffix"},
        {.index = 14, .state = ITEM_CANCELLED, .error = ITEM_E_STOPPED, .name = "c"},
        {.index = 15, .state = ITEM_CANCELLED, .error = ITEM_E_STOPPED, .name = "d"},
        {.index = 16, .state = ITEM_IN_DOUBT, .error = ITEM_E_TASK_TIMEOUT, .name = "e"},
    };
    struct buf out = write_report(&run, items, 7, "/tmp/r\t.json");
    assert_string_equal(buf_str(&out),
                        "Plan      tenant\\x1b[2Jonboarding\n"
                        "File      onboard.yaml\n"
                        "Run       01KB000000000000000000000A\n"
                        "Server    prod\n"
                        "State     failed\n"
                        "Started   2026-11-23 14:00:00 UTC\n"
                        "Finished  2026-11-23 14:03:12 UTC\n"
                        "Took      3 min 12 s, 0.3 clones a minute\n"
                        "\n"
                        "    items  succeeded   skipped    failed  cancelled   unknown      open\n"
                        "        7          1         0         2          2         1         1\n"
                        "\n"
                        "Failed or unknown\n"
                        "    index  name            code         message\n"
                        "        1  Žluťoučký       task_failed  disk\\nfull (HTTP 500)\n"
                        "       12  b               unsettled  \n"
                        "       13  Tenant 03 Copy  field        no suffix\n"
                        "\n"
                        "By code, and what to do\n"
                        "        1  field: correct the fields of the clone as the message says\n"
                        "        1  task_failed: read the server's message; no clone was made\n"
                        "        2  stopped: the run stopped after too many failures: see to those first\n"
                        "        1  unsettled: look on the server for the job of that name and mark before "
                        "anything is cloned "
                        "again\n"
                        "\n"
                        "Unknown: the clone may or may not exist, and could not be settled by asking. Look "
                        "on the server for a job\n"
                        "of that name whose description ends in the mark [jobclone:RUN/INDEX]. Nothing is "
                        "sent again for it.\n"
                        "\n"
                        "1 not finished. The run is open: carry out the same command again, and it goes on "
                        "where it stopped.\n"
                        "\n"
                        "Result    /tmp/r\\t.json\n");
    buf_done(&out);
}

/* To give its plan again would begin a second run beside it. */
static void open_run_of_the_daemon_asks_for_no_command(void **state)
{
    (void)state;
    struct result_run of = run;
    of.once = false;
    of.state = "running";
    of.finished_ms = 0;
    struct item items[] = {{.state = ITEM_RUNNING, .name = "a"}};
    struct buf out = write_report(&of, items, 1, NULL);
    assert_null(strstr(buf_str(&out), "same command"));
    assert_non_null(strstr(buf_str(&out), "\n1 not finished. The run is open: see jobclonectl show "
                                          "01KB000000000000000000000A\n"));
    buf_done(&out);
}

static void page_of_a_good_run_is_short(void **state)
{
    (void)state;
    struct result_run good = run;
    good.plan = "p";
    good.state = "succeeded";
    good.finished_ms = START + 500;
    struct item items[] = {{.state = ITEM_SUCCEEDED, .name = "a"},
                           {.index = 1, .state = ITEM_SKIPPED, .name = "b"}};
    struct buf out = write_report(&good, items, 2, NULL);
    assert_string_equal(buf_str(&out), "Plan      p\n"
                                       "File      onboard.yaml\n"
                                       "Run       01KB000000000000000000000A\n"
                                       "Server    prod\n"
                                       "State     succeeded\n"
                                       "Started   2026-11-23 14:00:00 UTC\n"
                                       "Finished  2026-11-23 14:00:00 UTC\n"
                                       "Took      0.5 s, 2.0 clones a second\n"
                                       "\n"
                                       "    items  succeeded   skipped    failed  cancelled   unknown\n"
                                       "        2          1         1         0          0         0\n");
    buf_done(&out);
}

static void durations_are_readable(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "Took      0.0 s\n"},
                 {9900, "Took      9.9 s\n"},
                 {59999, "Took      59 s\n"},
                 {60000, "Took      1 min 00 s\n"},
                 {3599999, "Took      59 min 59 s\n"},
                 {90061000, "Took      25 h 01 min\n"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct result_run of = run;
        of.finished_ms = of.started_ms + cases[i].ms;
        struct buf out = write_report(&of, NULL, 0, NULL);
        assert_non_null(strstr(buf_str(&out), cases[i].text));
        buf_done(&out);
    }
    struct result_run open = run;
    open.finished_ms = 0;
    struct buf out = write_report(&open, NULL, 0, NULL);
    assert_null(strstr(buf_str(&out), "Took"));
    assert_null(strstr(buf_str(&out), "Finished"));
    buf_done(&out);
}

static size_t count_of(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

static void table_ends_after_fifty_rows(void **state)
{
    (void)state;
    struct item items[53];
    for (uint32_t i = 0; i < 53; i++)
        items[i] = (struct item){.index = i, .state = ITEM_FAILED, .error = ITEM_E_REFUSED, .name = "nnn"};
    struct buf out = write_report(&run, items, 50, NULL);
    assert_int_equal(count_of(buf_str(&out), "  nnn "), 50);
    assert_null(strstr(buf_str(&out), "more, see the result"));
    buf_done(&out);
    out = write_report(&run, items, 53, NULL);
    assert_int_equal(count_of(buf_str(&out), "  nnn "), 50);
    assert_non_null(strstr(buf_str(&out), "and 3 more, see the result\n"));
    assert_non_null(strstr(buf_str(&out), "       53  refused: "));
    buf_done(&out);
}

static void long_messages_are_cut_between_characters(void **state)
{
    (void)state;
    char message[2 * 400 + 1] = "";
    for (int i = 0; i < 400; i++)
        memcpy(message + 2 * i, "\xc3\xa9", 3);
    struct item item = {.state = ITEM_FAILED, .error = ITEM_E_REFUSED, .name = "n", .message = message};
    struct buf out = write_report(&run, &item, 1, NULL);
    assert_int_equal(count_of(buf_str(&out), "\xc3\xa9"), 300);
    assert_non_null(strstr(buf_str(&out), "\xc3\xa9...\n"));
    buf_done(&out);
}

static void sink_errors_are_forwarded(void **state)
{
    (void)state;
    struct result_items from = {.n = 0, .item = item_at};
    struct result_sink sink = {.write = refuse};
    assert_int_equal(report_text_write(&run, &from, NULL, &sink), -EPIPE);
}

/* Every code has advice, and its own section in the list of codes. */
static void every_code_has_advice_and_is_documented(void **state)
{
    (void)state;
    FILE *file = fopen(TEST_DATA_DIR "/../../docs/errors.md", "r");
    assert_non_null(file);
    static char text[64 * 1024];
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (int code = ITEM_OK + 1; code < ITEM_ERROR_COUNT; code++) {
        char heading[80];
        snprintf(heading, sizeof(heading), "| `%s` |", item_error_name((enum item_error)code));
        assert_true(strlen(report_advice((enum item_error)code)) > 10);
        assert_int_equal(count_of(text, heading), 1);
    }
    assert_string_equal(report_advice(ITEM_OK), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_of_a_failed_run),
        cmocka_unit_test(open_run_of_the_daemon_asks_for_no_command),
        cmocka_unit_test(page_of_a_good_run_is_short),
        cmocka_unit_test(durations_are_readable),
        cmocka_unit_test(table_ends_after_fifty_rows),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(sink_errors_are_forwarded),
        cmocka_unit_test(every_code_has_advice_and_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
