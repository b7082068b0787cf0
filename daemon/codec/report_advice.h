/* What an operator does about each error code, in one sentence (docs/errors.md
 * has it at length). */
#pragma once

#include "model/item.h"

/* "" for ITEM_OK. */
const char *report_advice(enum item_error error);
