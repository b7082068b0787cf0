/* CSV files that plans name: a header row of variable names, then one row per
 * clone. UTF-8, BOM or not, any line ends; cells are taken as they are. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct arena;
struct diag;

/* A table of texts; strings and arrays live in the arena of its reader, but for `cells`. */
struct plan_rows {
    const char **columns;
    size_t n_columns;
    const char **cells; /* row by row; heap */
    size_t n_rows, size;
};

void plan_rows_done(struct plan_rows *rows);

/* Room for one more row, zeroed; NULL when out of memory. Valid until the next call. */
const char **plan_rows_add(struct plan_rows *rows);

/* True when a variable may have that name; else *ret_why says why not. */
bool plan_column_valid(const char *name, const char **ret_why);

/* Reads a whole file of at most `rows_max` rows. 0; -EINVAL with messages "FILE:LINE: ..." in
 * `diag`; -E2BIG for more rows (no message); -ENOMEM. `ret` needs plan_rows_done in all cases. */
int plan_csv_read(struct bytes text, const char *file, char delimiter, size_t rows_max, struct arena *arena,
                  struct plan_rows *ret, struct diag *diag);
