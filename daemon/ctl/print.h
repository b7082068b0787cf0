/* Texts of the daemon on the terminal: everything that others wrote is escaped. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"

/* A member as text, escaped, added to the buffer; `instead` when it is null or absent. */
void print_text(struct buf *out, json_t *object, const char *key, const char *instead);

/* A time of the API as local time "2026-11-23 14:00:00", or `instead`. */
void print_time(struct buf *out, json_t *object, const char *key, const char *instead);

/* A number member; 0 when absent. */
json_int_t print_number(json_t *object, const char *key);

/* Columns that a text takes on the terminal. */
size_t print_width(const char *text);

/* Rows of texts in columns as wide as they must be; the last column is not padded. */
struct print_table {
    struct buf cells; /* NUL-ended texts, row by row */
    size_t columns, n_cells;
};

void print_table_init(struct print_table *table, size_t columns);
/* The next cell; control characters must have been escaped. */
void print_cell(struct print_table *table, const char *text);
void print_cellf(struct print_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes all rows to standard output and frees them. */
void print_table_end(struct print_table *table);
