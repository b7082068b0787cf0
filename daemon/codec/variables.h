/* Texts with variables ${...} (product contract 3): compiled once where they
 * stand, expanded once per clone. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct arena;
struct diag;
struct yaml_node;
struct zone;

/* Which variables a text may use. */
struct scope {
    const char *plan_name;
    int64_t accepted_ms;
    const struct zone *zone; /* of `date`; NULL: the system's */
    bool for_each;           /* there is an index, and the columns below */
    const char *const *columns;
    size_t n_columns;
    bool source; /* ${source.name} may be used here */
};

struct template_part;

struct template
{
    struct template_part *first;
    bool source; /* uses ${source.name} */
};

/* What the variables stand for in one clone. */
struct values {
    const char *const *cells;
    size_t index;
    const char *source_name;
    bool
        late; /* write ${source.name} itself, and everything else so that variables_fill_source restores it */
};

/* 0; -EINVAL with messages at the variable's place (the scalar's, if its text is not as written in one line);
 * -ENOMEM. Parts live in the arena. */
int template_compile(const struct yaml_node *scalar, const struct scope *scope, struct arena *arena,
                     struct template *ret, struct diag *diag);

/* Appends to `out`: 0, -ENOBUFS, -ENOMEM. */
int template_expand(const struct template *template, const struct values *values, struct buf *out);

/* The second pass over what was expanded `late`. */
int variables_fill_source(const char *text, const char *source_name, struct buf *out);
