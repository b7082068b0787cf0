#include "codec/plan_csv.h"

#include <csv.h>
#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "base/text.h"

#define COLUMNS_MAX 256
#define CELL_BLOCK \
    (64 * 1024) /* libcsv's room for a cell grows by so much; its own 128 makes a long one slow */

struct reader {
    struct csv_parser parser;
    struct plan_rows *rows;
    struct arena *arena;
    struct diag *diag;
    const char *file;
    size_t rows_max;
    unsigned line;                /* where the current row begins */
    const char *row[COLUMNS_MAX]; /* the current row */
    size_t n_cells;
    bool row_ended, row_bad, bad, header_done;
    int error; /* -ENOMEM or -E2BIG */
};

void plan_rows_done(struct plan_rows *rows)
{
    free(rows->cells);
    *rows = (struct plan_rows){0};
}

const char **plan_rows_add(struct plan_rows *rows)
{
    size_t width = rows->n_columns ? rows->n_columns : 1;
    if (rows->n_rows == rows->size) {
        size_t size = rows->size ? rows->size * 2 : 64;
        const char **cells = reallocarray(rows->cells, size * width, sizeof(*cells));
        if (!cells)
            return NULL;
        rows->cells = cells;
        rows->size = size;
    }
    const char **row = rows->cells + rows->n_rows++ * width;
    memset(row, 0, width * sizeof(*row));
    return row;
}

bool plan_column_valid(const char *name, const char **ret_why)
{
    static const char *const reserved[] = {"index", "date", "plan.name", "source.name"};
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    *ret_why = "use letters, digits, _ . and -, beginning with a letter or _";
    if (!*name || !strchr(letters, name[0]))
        return false;
    for (const char *p = name; *p; p++)
        if (!strchr(letters, *p) && !strchr("0123456789.-", *p))
            return false;
    *ret_why = "that name has a meaning of its own; choose another";
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
        if (strcmp(name, reserved[i]) == 0)
            return false;
    return true;
}

static void row_problem(struct reader *r, const char *problem)
{
    if (!r->row_bad)
        diag_add(r->diag, r->file, r->line, 0, "%s", problem);
    r->row_bad = r->bad = true;
}

static void on_cell(void *data, size_t len, void *user)
{
    struct reader *r = user;
    const char *bytes = data ? data : "";
    size_t at = r->n_cells++;
    if (r->error || at >= COLUMNS_MAX)
        return;
    if (!text_utf8_valid(bytes, len)) {
        row_problem(r, "a cell is not UTF-8; save the file as UTF-8");
        return;
    }
    if (memchr(bytes, '\0', len)) {
        row_problem(r, "a cell has a character that XML 1.0 cannot carry; remove it");
        return;
    }
    _cleanup_free_ char *copy = strndup(bytes, len);
    r->row[at] = copy ? arena_str(r->arena, copy) : NULL;
    if (!r->row[at])
        r->error = -ENOMEM;
    else if (!text_xml_valid(r->row[at]))
        row_problem(r, "a cell has a character that XML 1.0 cannot carry; remove it");
}

static void check_column(struct reader *r, size_t at)
{
    const char *name = r->row[at], *why;
    if (!*name) {
        diag_add(r->diag, r->file, r->line, 0, "column %zu has no name; the first row names the variables",
                 at + 1);
        r->bad = true;
    } else if (!plan_column_valid(name, &why)) {
        diag_add(r->diag, r->file, r->line, 0, "column %zu cannot be named \"%s\"; %s", at + 1, name, why);
        r->bad = true;
    }
    for (size_t i = 0; i < at; i++) {
        if (*name && strcmp(r->row[i], name) == 0) {
            diag_add(r->diag, r->file, r->line, 0,
                     "columns %zu and %zu are both named \"%s\"; rename one of them", i + 1, at + 1, name);
            r->bad = true;
            return;
        }
    }
}

static void take_header(struct reader *r)
{
    struct plan_rows *rows = r->rows;
    r->header_done = true;
    if (r->n_cells > COLUMNS_MAX) {
        diag_add(r->diag, r->file, r->line, 0, "there are %zu columns; at most %d are possible", r->n_cells,
                 COLUMNS_MAX);
        r->bad = true;
        r->n_cells = COLUMNS_MAX;
        return;
    }
    if (r->row_bad)
        return;
    rows->columns = arena_take(r->arena, r->n_cells * sizeof(*rows->columns));
    if (!rows->columns) {
        r->error = -ENOMEM;
        return;
    }
    rows->n_columns = r->n_cells;
    memcpy(rows->columns, r->row, r->n_cells * sizeof(*rows->columns));
    for (size_t i = 0; i < r->n_cells; i++)
        check_column(r, i);
}

static void take_row(struct reader *r)
{
    struct plan_rows *rows = r->rows;
    if (r->n_cells != rows->n_columns && rows->n_columns && !r->row_bad) {
        diag_add(r->diag, r->file, r->line, 0,
                 "the row has %zu cell%s, but the header names %zu; quote cells that hold the delimiter",
                 r->n_cells, r->n_cells == 1 ? "" : "s", rows->n_columns);
        r->bad = true;
        return;
    }
    if (r->row_bad || !rows->n_columns)
        return;
    if (rows->n_rows >= r->rows_max) {
        r->error = -E2BIG;
        return;
    }
    const char **cells = plan_rows_add(rows);
    if (!cells)
        r->error = -ENOMEM;
    else
        memcpy(cells, r->row, r->n_cells * sizeof(*cells));
}

static void on_row(int c, void *user)
{
    struct reader *r = user;
    (void)c;
    if (!r->error && r->header_done)
        take_row(r);
    else if (!r->error)
        take_header(r);
    r->n_cells = 0;
    r->row_bad = false;
    r->row_ended = true;
}

static int never_space(unsigned char c)
{
    (void)c;
    return 0;
}

/* libcsv knows no lines: it is fed one at a time. */
static int read_lines(struct reader *r, struct bytes text)
{
    bool inside = false; /* a row that goes on in the next line */
    unsigned line = 0;
    for (size_t at = 0; at < text.len && !r->error;) {
        size_t end = at;
        while (end < text.len && text.data[end] != '\n' && text.data[end] != '\r')
            end++;
        bool filled = end > at;
        if (end < text.len)
            end += text.data[end] == '\r' && end + 1 < text.len && text.data[end + 1] == '\n' ? 2 : 1;
        line++;
        if (!inside)
            r->line = line;
        r->row_ended = false;
        if (csv_parse(&r->parser, text.data + at, end - at, on_cell, on_row, r) != end - at)
            return csv_error(&r->parser);
        inside = !r->row_ended && (inside || filled);
        at = end;
    }
    return r->error || csv_fini(&r->parser, on_cell, on_row, r) == 0 ? 0 : csv_error(&r->parser);
}

int plan_csv_read(struct bytes text, const char *file, char delimiter, size_t rows_max, struct arena *arena,
                  struct plan_rows *ret, struct diag *diag)
{
    _cleanup_free_ struct reader *r = calloc(1, sizeof(*r));
    *ret = (struct plan_rows){0};
    if (!r || csv_init(&r->parser, CSV_STRICT | CSV_STRICT_FINI) != 0)
        return -ENOMEM;
    r->rows = ret;
    r->arena = arena;
    r->diag = diag;
    r->file = file;
    r->rows_max = rows_max;
    csv_set_blk_size(&r->parser, CELL_BLOCK);
    csv_set_delim(&r->parser, (unsigned char)delimiter);
    csv_set_space_func(&r->parser, never_space);
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        text = (struct bytes){text.data + 3, text.len - 3};
    int problem = read_lines(r, text);
    csv_free(&r->parser);
    if (problem == CSV_ENOMEM || r->error)
        return r->error ? r->error : -ENOMEM;
    if (problem) {
        row_problem(r, "the quotes do not match; put quotes around the whole cell and double those inside");
        return -EINVAL;
    }
    if (!r->header_done) {
        diag_add(diag, file, 1, 0, "the file is empty; its first row must name the variables");
        return -EINVAL;
    }
    return r->bad ? -EINVAL : 0;
}
