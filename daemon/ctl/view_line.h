/* One run as a line of text. Pure. */
#pragma once

#include "ctl/view.h"

/* "onboard (7F3K)", escaped: the plan and the end of the id, which stays when the name must be cut to fit
 * into so many columns. */
void view_line_label(struct buf *out, json_t *run, size_t columns);

/* Items that have an outcome. */
json_int_t view_line_done(json_t *run);

/* Items a second over the samples, 0 while that says nothing. */
double view_line_rate(const struct view_run *run);

/* "63/200  31%  2 failed  12.3/s  11s left", or what it waits for. */
void view_line_numbers(struct buf *out, const struct view_run *run);

/* A bar of so many columns. */
void view_line_bar(struct buf *out, json_t *run, size_t columns, bool utf8);

/* "failed: 198 succeeded, 2 failed, in 41s; run 01KB..." */
void view_line_end(struct buf *out, json_t *run);

/* Cuts the text to so many columns. */
void view_line_cut(struct buf *text, size_t columns);
