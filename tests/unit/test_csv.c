/* CSV files of plans: what is read, what is skipped, what is refused and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "codec/plan_csv.h"

struct fixture {
    struct arena *arena;
    struct diag diag;
    struct plan_rows rows;
    int r;
};

static void fixture_done(struct fixture *f)
{
    plan_rows_done(&f->rows);
    diag_done(&f->diag);
    arena_free(f->arena);
}

static void read_len(struct fixture *f, const char *text, size_t len, char delimiter, size_t rows_max)
{
    *f = (struct fixture){.arena = arena_new(), .diag = DIAG_INIT};
    assert_non_null(f->arena);
    char *exact = malloc(len ? len : 1); /* a byte too far is seen by the sanitizer */
    assert_non_null(exact);
    memcpy(exact, text, len);
    f->r =
        plan_csv_read((struct bytes){exact, len}, "t.csv", delimiter, rows_max, f->arena, &f->rows, &f->diag);
    free(exact);
}

/* The table in one line: cells in [], rows ended by ; and the header first. */
static void gives_with(const char *text, char delimiter, const char *table)
{
    struct fixture f;
    _cleanup_(buf_done) struct buf shown = BUF_INIT(4096);
    read_len(&f, text, strlen(text), delimiter, 100);
    assert_string_equal(buf_str(&f.diag.text), "");
    assert_int_equal(f.r, 0);
    for (size_t i = 0; i < f.rows.n_columns; i++)
        assert_int_equal(buf_printf(&shown, "[%s]", f.rows.columns[i]), 0);
    for (size_t i = 0; i < f.rows.n_rows * f.rows.n_columns; i++)
        assert_int_equal(buf_printf(&shown, "%s[%s]", i % f.rows.n_columns == 0 ? ";" : "", f.rows.cells[i]),
                         0);
    assert_string_equal(buf_str(&shown), table);
    fixture_done(&f);
}

static void gives(const char *text, const char *table)
{
    gives_with(text, ',', table);
}

static void refuses_len(const char *text, size_t len, const char *messages)
{
    struct fixture f;
    read_len(&f, text, len, ',', 100);
    assert_string_equal(buf_str(&f.diag.text), messages);
    assert_int_equal(f.r, -EINVAL);
    fixture_done(&f);
}

static void refuses(const char *text, const char *messages)
{
    refuses_len(text, strlen(text), messages);
}

static void rows_are_read(void **state)
{
    (void)state;
    gives("a,b\n1,2\n3,4\n", "[a][b];[1][2];[3][4]");
    gives("a\n", "[a]");
    gives("a", "[a]");
    gives("a\n1", "[a];[1]");
}

static void any_line_ends_do(void **state)
{
    (void)state;
    gives("a,b\r\n1,2\r\n", "[a][b];[1][2]");
    gives("a,b\r1,2\r", "[a][b];[1][2]");
    gives("a,b\n1,2\r\n3,4\r5,6", "[a][b];[1][2];[3][4];[5][6]");
}

static void empty_lines_are_skipped(void **state)
{
    (void)state;
    gives("\n\r\na\n\n\n1\n\r\r2\n\n", "[a];[1];[2]");
}

static void a_byte_order_mark_is_no_text(void **state)
{
    (void)state;
    gives("\xEF\xBB\xBFtenant\nx\n", "[tenant];[x]");
    refuses("\xEF\xBB\xBF", "t.csv:1: the file is empty; its first row must name the variables\n");
}

static void cells_are_taken_as_they_are(void **state)
{
    (void)state;
    gives("a,b\n 1 ,\t2\n007,no\n,\n", "[a][b];[ 1 ][\t2];[007][no];[][]");
    gives("a,b\n\" 1\",\"\"\n", "[a][b];[ 1][]");
    gives("a\n${index}\n", "[a];[${index}]");
}

static void quotes_protect(void **state)
{
    (void)state;
    gives("a,b\n\"x,y\",\"say \"\"hi\"\"\"\n", "[a][b];[x,y][say \"hi\"]");
    gives("a,b\n\"two\nlines\",1\n", "[a][b];[two\nlines][1]");
}

static void other_delimiters_do(void **state)
{
    (void)state;
    gives_with("a;b\n1,5;2\n", ';', "[a][b];[1,5][2]");
    gives_with("a\tb\n1\t2\n", '\t', "[a][b];[1][2]");
    gives_with("a|b\n\"1|5\"|2\n", '|', "[a][b];[1|5][2]");
}

static void wrong_rows_are_all_named(void **state)
{
    (void)state;
    refuses("a,b\n1\n2,3\n\n4,5,6\n",
            "t.csv:2: the row has 1 cell, but the header names 2; quote cells that hold the delimiter\n"
            "t.csv:5: the row has 3 cells, but the header names 2; quote cells that hold the delimiter\n");
}

static void lines_are_counted_through_quotes_and_ends(void **state)
{
    (void)state;
    refuses("a,b\r\n\"1\r\n2\",3\r\n4\r\n",
            "t.csv:4: the row has 1 cell, but the header names 2; quote cells that hold the delimiter\n");
    refuses("a,b\r\r1\r",
            "t.csv:3: the row has 1 cell, but the header names 2; quote cells that hold the delimiter\n");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    refuses("a\n\xC3\x28\n", "t.csv:2: a cell is not UTF-8; save the file as UTF-8\n");
    refuses("a\nb\n\xED\xA0\x80\n", "t.csv:3: a cell is not UTF-8; save the file as UTF-8\n");
    refuses("a\n\x01\n", "t.csv:2: a cell has a character that XML 1.0 cannot carry; remove it\n");
    refuses_len("a\nx\0y\n", 6, "t.csv:2: a cell has a character that XML 1.0 cannot carry; remove it\n");
}

static void open_quotes_are_named_where_they_begin(void **state)
{
    static const char message[] =
        "the quotes do not match; put quotes around the whole cell and double those inside\n";
    _cleanup_(buf_done) struct buf expected = BUF_INIT(4096);
    (void)state;
    assert_int_equal(buf_printf(&expected, "t.csv:3: %s", message), 0);
    refuses("a\n1\n\"2\n3\n", buf_str(&expected));
    refuses("a\n1\n\"2\"x\n3\n", buf_str(&expected));
}

static void headers_must_be_usable(void **state)
{
    (void)state;
    refuses("", "t.csv:1: the file is empty; its first row must name the variables\n");
    refuses("a,,a\n", "t.csv:1: column 2 has no name; the first row names the variables\n"
                      "t.csv:1: columns 1 and 3 are both named \"a\"; rename one of them\n");
    refuses("\nindex\n", "t.csv:2: column 1 cannot be named \"index\"; that name has a meaning of its own; "
                         "choose another\n");
}

static void rows_are_bounded(void **state)
{
    struct fixture f;
    (void)state;
    read_len(&f, "a\n1\n2\n3\n", 8, ',', 3);
    assert_int_equal(f.r, 0);
    assert_int_equal(f.rows.n_rows, 3);
    fixture_done(&f);
    read_len(&f, "a\n1\n2\n3\n", 8, ',', 2);
    assert_int_equal(f.r, -E2BIG);
    assert_string_equal(buf_str(&f.diag.text), "");
    fixture_done(&f);
}

static void columns_are_bounded(void **state)
{
    struct fixture f;
    _cleanup_(buf_done) struct buf text = BUF_INIT(64 * 1024);
    (void)state;
    for (unsigned i = 0; i < 257; i++)
        assert_int_equal(buf_printf(&text, "%sc%u", i ? "," : "", i), 0);
    read_len(&f, buf_str(&text), text.len, ',', 10);
    assert_int_equal(f.r, -EINVAL);
    assert_string_equal(buf_str(&f.diag.text), "t.csv:1: there are 257 columns; at most 256 are possible\n");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read),
        cmocka_unit_test(any_line_ends_do),
        cmocka_unit_test(empty_lines_are_skipped),
        cmocka_unit_test(a_byte_order_mark_is_no_text),
        cmocka_unit_test(cells_are_taken_as_they_are),
        cmocka_unit_test(quotes_protect),
        cmocka_unit_test(other_delimiters_do),
        cmocka_unit_test(wrong_rows_are_all_named),
        cmocka_unit_test(lines_are_counted_through_quotes_and_ends),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(open_quotes_are_named_where_they_begin),
        cmocka_unit_test(headers_must_be_usable),
        cmocka_unit_test(rows_are_bounded),
        cmocka_unit_test(columns_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
