/* The report of a run: a page for people. What programs need is in the result. */
#pragma once

#include "codec/result_json.h"

#define REPORT_ROWS_MAX 50 /* rows in the table of failures */

/* Writes the report. `result_path` is where the result is, or NULL when it was
 * not written. Returns as result_json_write does. */
int report_text_write(const struct result_run *run, const struct result_items *items, const char *result_path,
                      const struct result_sink *sink);
