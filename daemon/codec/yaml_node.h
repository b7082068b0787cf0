/* One YAML document as a tree with places, read strictly from libyaml's events:
 * no aliases, anchors, tags, second documents or duplicate keys; bounded in size,
 * depth and number of nodes before memory is taken. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct arena;
struct diag;

#define YAML_DEPTH_MAX 32

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    bool quoted;               /* scalar: written in quotes or as a block */
    bool as_written;           /* scalar: in one line, each character as it stands in the file */
    unsigned line, column;     /* from 1 */
    bool refused, key_refused; /* the reader has said why; the text or key is empty in its place, and nothing
                                * more is said about it */
    const char *file;
    const char *text; /* scalar: its text, without NUL inside, valid UTF-8 that XML 1.0 can carry */
    const char *key;  /* child of a mapping: its key; else NULL */
    unsigned key_line, key_column;
    struct yaml_node *next;  /* next child of the same parent */
    struct yaml_node *first; /* sequence, mapping: first child */
    size_t n;                /* children */
};

struct yaml_limits {
    size_t bytes; /* longest document */
    size_t nodes; /* most nodes */
};

/* Reads one document. Nodes and texts live in the arena, `file` is copied into it. 0 and the
 * root; -EINVAL with messages in `diag` (as many as can be found: duplicate keys, aliases and tags do
 * not end the reading, a syntax error does); -ENOMEM. An empty document is an error. With -EINVAL *ret_root
 * (without the later values of duplicate keys) is what was read when the reading came to the end (so that the
 * caller can say what else is wrong), else NULL. */
int yaml_read(struct bytes text, const char *file, const struct yaml_limits *limits, struct arena *arena,
              struct yaml_node **ret_root, struct diag *diag);

/* The child of that key, or NULL. */
struct yaml_node *yaml_child(const struct yaml_node *mapping, const char *key);
