/* The state of reading one plan; private to codec/plan_*.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/table.h"
#include "codec/plan_yaml.h"
#include "codec/yaml_get.h"
#include "model/plan.h"

struct plan_decoder {
    const struct plan_yaml_options *options;
    struct diag *diag;
    struct arena *scratch; /* the tree, templates and rows: gone at the end */
    struct plan *plan;
    struct buf text;                  /* for one expansion */
    struct table names;               /* key of a name to the clone that has it */
    struct table places;              /* key of a folder or file on its repository, likewise */
    size_t size;                      /* of plan->clones */
    const struct yaml_node *defaults; /* or NULL */
    bool left_out;                    /* a clone was not looked at further: there is a message about it */
    bool full;                        /* plan_items was passed, and said so */
    int error;                        /* 0 or -ENOMEM */
};

/* One clone, or one row of a for_each, for messages. */
struct clone_place {
    const struct yaml_node *node; /* the clone */
    bool for_each;
    size_t index;
};

/* Reads everything but the clones. */
void plan_head_decode(struct plan_decoder *decoder, const struct yaml_node *root);

/* Reads `schedule` and `window`, part of the former. */
void plan_times_decode(struct plan_decoder *decoder, const struct yaml_node *root);

/* Reads `clones`, expands them into the plan. */
void plan_clones_decode(struct plan_decoder *decoder, const struct yaml_node *root);
