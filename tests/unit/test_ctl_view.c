/* What jobclonectl watch shows of a run, as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <locale.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/print.h"
#include "ctl/view_line.h"

static json_t *make(const char *state, const char *phase, int items, int succeeded, int failed, int in_doubt)
{
    return json_pack("{s:s,s:s,s:s,s:s?,s:s,s:s,s:{s:i,s:i,s:i,s:i}}", "run", "01KB00000000000000000ABCD",
                     "plan", "on\033board", "state", state, "phase", phase, "started", "2026-11-23T14:00:00Z",
                     "finished", "2026-11-23T15:01:05Z", "totals", "items", items, "succeeded", succeeded,
                     "failed", failed, "in_doubt", in_doubt);
}

static void numbers_are(struct view_run *run, const char *expected)
{
    _cleanup_(buf_done) struct buf out = BUF_INIT(4096);
    view_line_numbers(&out, run);
    assert_string_equal(buf_str(&out), expected);
    json_decref(run->run);
}

static void numbers_say_what_matters(void **state)
{
    (void)state;
    struct view_run run = {.run = make("running", "cloning", 200, 63, 0, 0)};
    numbers_are(&run, "63/200  31%");
    run.run = make("running", "waiting", 0, 0, 0, 0);
    numbers_are(&run, "0/0   0%  waiting for its window");
    run.run = make("paused", NULL, 200, 60, 3, 2);
    numbers_are(&run, "63/200  31%  3 failed  2 in doubt  paused");
    run = (struct view_run){.samples = {{1000, 13}, {6000, 63}}, .n_samples = 2};
    run.run = make("running", "cloning", 200, 63, 0, 0);
    numbers_are(&run, "63/200  31%  10.0/s  14s left");
    run.samples[1].ms = 601000;
    run.run = make("running", "cloning", 2000, 63, 0, 0);
    numbers_are(&run, "63/2000   3%  5.0/min  6h27m left");
    run.samples[1].done = 13;
    run.run = make("running", "cloning", 2000, 13, 0, 0);
    numbers_are(&run, "13/2000   0%");
}

static void a_label_keeps_the_end_of_the_id(void **state)
{
    (void)state;
    json_t *run = make("running", NULL, 1, 0, 0, 0);
    _cleanup_(buf_done) struct buf whole = BUF_INIT(4096), cut = BUF_INIT(4096);
    view_line_label(&whole, run, SIZE_MAX);
    assert_string_equal(buf_str(&whole), "on\\x1bboard (ABCD)");
    view_line_label(&cut, run, 12);
    assert_string_equal(buf_str(&cut), "on\\x1 (ABCD)");
    json_decref(run);
}

static void a_bar_has_its_columns(void **state)
{
    (void)state;
    static const struct {
        int items, done;
        bool utf8;
        const char *bar;
    } rows[] = {
        {8, 0, false, "........"},     {8, 4, false, "####...."}, {8, 8, false, "########"},
        {0, 0, false, "........"},     {8, 4, true, "████░░░░"},  {64, 3, true, "▍░░░░░░░"},
        {1000, 999, true, "███████▉"}, {8, 8, true, "████████"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_(buf_done) struct buf out = BUF_INIT(4096);
        json_t *run = make("running", NULL, rows[i].items, rows[i].done, 0, 0);
        view_line_bar(&out, run, 8, rows[i].utf8);
        assert_string_equal(buf_str(&out), rows[i].bar);
        json_decref(run);
    }
}

static void the_end_says_how_it_went(void **state)
{
    (void)state;
    json_t *run = make("failed", NULL, 200, 198, 2, 0);
    _cleanup_(buf_done) struct buf out = BUF_INIT(4096);
    view_line_end(&out, run);
    assert_string_equal(buf_str(&out),
                        "failed: 198 succeeded, 2 failed in 1h01m; run 01KB00000000000000000ABCD");
    json_decref(run);
}

static void cut_to(const char *text, size_t columns, const char *expected)
{
    _cleanup_(buf_done) struct buf out = BUF_INIT(4096);
    buf_add_str(&out, text);
    view_line_cut(&out, columns);
    assert_string_equal(buf_str(&out), expected);
    assert_true(print_width(buf_str(&out)) <= columns);
}

static void texts_are_cut_by_columns(void **state)
{
    (void)state;
    cut_to("abc", 3, "abc");
    cut_to("abc", 2, "ab");
    cut_to("abc", 0, "");
    cut_to("žluť", 2, "žl");
    cut_to("日本語", 5, "日本"); /* two columns each */
    cut_to("a\xff"
           "b",
           2, "a\xff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_say_what_matters), cmocka_unit_test(a_label_keeps_the_end_of_the_id),
        cmocka_unit_test(a_bar_has_its_columns),    cmocka_unit_test(the_end_says_how_it_went),
        cmocka_unit_test(texts_are_cut_by_columns),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
