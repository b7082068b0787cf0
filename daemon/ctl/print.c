#include "ctl/print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "base/text.h"

#define TABLE_BYTES ((size_t)512 * 1024 * 1024)
#define CELL_BYTES ((size_t)1024 * 1024)
#define COLUMNS_MAX 16
#define GAP "  "

void print_text(struct buf *out, json_t *object, const char *key, const char *instead)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text)
        text_escape(out, text);
    else
        buf_add_str(out, instead);
}

void print_time(struct buf *out, json_t *object, const char *key, const char *instead)
{
    const char *text = json_string_value(json_object_get(object, key));
    struct tm utc = {0}, local;
    char shown[64];
    const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc) : NULL;
    time_t seconds = end ? timegm(&utc) : 0;
    if (end && localtime_r(&seconds, &local) && strftime(shown, sizeof(shown), "%F %T", &local) > 0)
        buf_add_str(out, shown);
    else
        buf_add_str(out, instead);
}

json_int_t print_number(json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

size_t print_width(const char *text)
{
    size_t width = 0;
    mbstate_t state = {0};
    for (size_t left = strlen(text); left > 0;) {
        wchar_t c;
        size_t n = mbrtowc(&c, text, left, &state);
        int columns = n <= left ? wcwidth(c) : 1;
        if (n == 0 || n > left) { /* not of this locale: as many columns as bytes */
            n = 1;
            memset(&state, 0, sizeof(state));
        }
        width += columns > 0 ? (size_t)columns : 0;
        text += n;
        left -= n;
    }
    return width;
}

void print_table_init(struct print_table *table, size_t columns)
{
    *table = (struct print_table){.cells = BUF_INIT(TABLE_BYTES), .columns = columns};
}

void print_cell(struct print_table *table, const char *text)
{
    if (buf_add(&table->cells, text, strlen(text) + 1) == 0)
        table->n_cells++;
}

void print_cellf(struct print_table *table, const char *format, ...)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(CELL_BYTES);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    print_cell(table, buf_str(&text));
}

static void measure(const struct print_table *table, size_t widths[COLUMNS_MAX])
{
    const char *cell = table->cells.data;
    for (size_t i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
        size_t width = print_width(cell);
        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
}

void print_table_end(struct print_table *table)
{
    size_t widths[COLUMNS_MAX] = {0};
    measure(table, widths);
    const char *cell = table->cells.data;
    for (size_t i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
        size_t column = i % table->columns;
        bool last = column + 1 == table->columns;
        fputs(cell, stdout);
        for (size_t n = print_width(cell); n < widths[column] && !last; n++)
            putchar(' ');
        fputs(last ? "\n" : GAP, stdout);
    }
    buf_done(&table->cells);
}
