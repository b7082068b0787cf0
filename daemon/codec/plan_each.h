/* for_each: the rows for which a clone is repeated. Pure. */
#pragma once

#include <stdbool.h>

#include "codec/plan_csv.h"

struct plan_decoder;
struct yaml_node;

/* Reads {csv: F, delimiter: ';'}, {list: [{...}]} or {count: N}; with count the rows have no
 * cells. False when it is bad (said so, or decoder->error is set, or decoder->full). `ret`
 * needs plan_rows_done in all cases. */
bool plan_each_read(struct plan_decoder *decoder, const struct yaml_node *each, struct plan_rows *ret);

/* Says, once, that there are more items than the settings allow. */
void plan_each_full(struct plan_decoder *decoder, const struct yaml_node *node);
