/* The filter expression of a query: field op value, joined by ; (and) and
 * , (or), with parentheses. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define FILTER_NODES_MAX 64

enum filter_kind { FILTER_TERM, FILTER_AND, FILTER_OR };
enum filter_op { FILTER_EQ, FILTER_NE, FILTER_GE, FILTER_LE, FILTER_GT, FILTER_LT };

struct filter_node {
    enum filter_kind kind;
    enum filter_op op;
    unsigned left, right;
    size_t field, value; /* places in `text` */
};

struct filter {
    struct filter_node nodes[FILTER_NODES_MAX];
    unsigned n, root;
    struct buf text; /* fields and values, each NUL-ended */
};

/* The value of a field, or NULL when there is no such field. */
typedef const char *filter_get(const void *object, const char *field, void *data);

/* 0, -EINVAL when malformed or too long, or -ENOMEM. Parse errors need no filter_done. */
int filter_parse(const char *text, struct filter *ret);
void filter_done(struct filter *filter);

bool filter_match(const struct filter *filter, filter_get *get, const void *object, void *data);

/* The name that everything matching must have ("Name==..." alone or joined by
 * and), or NULL. */
const char *filter_name(const struct filter *filter);

/* True when every field named is one of the list (letter case ignored). */
bool filter_fields_known(const struct filter *filter, const char *const *fields, unsigned n);
