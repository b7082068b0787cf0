/* What a clone's expanded values must keep to (product contract 3). Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct clone_place;
struct plan_clone;
struct plan_decoder;
struct yaml_node;

#define PLAN_NAME_UNITS 50
#define PLAN_DESCRIPTION_UNITS 1024

/* What is wrong with a value, as the end of a sentence that begins with the field; NULL: nothing.
 * Texts that depend on the value are written into `out`. */
const char *plan_name_problem(const char *name, struct buf *out);
const char *plan_text_problem(const char *text);
/* `index` is the item's in the whole plan: its digits are part of the mark. */
const char *plan_description_problem(const char *description, size_t index, struct buf *out);

/* A message at `node` (the template's place), with the row of a for_each. */
void plan_say(struct plan_decoder *decoder, const struct clone_place *place, const struct yaml_node *node,
              const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Whether another clone has the name, or the folder or file on the repository. */
void plan_check_unique(struct plan_decoder *decoder, const struct clone_place *place,
                       const struct yaml_node *name_node, const struct plan_clone *clone, bool name_known);

/* Brings a GUID to lower case: `text` is the bare GUID, or ends in it behind `prefix`
 * (letter case ignored). False when it is none. `ret` holds 37 bytes. */
bool plan_guid(const char *text, const char *prefix, char *ret);
