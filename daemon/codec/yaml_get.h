/* Typed access to a YAML tree: every problem becomes a message with its place.
 * Each getter returns true when the value is there and good; when the key is
 * absent it returns false and leaves *ret alone (no message); when it is bad
 * it adds a message, returns false and leaves *ret alone. `mapping` may be NULL
 * (everything is absent). */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/yaml_node.h"

struct diag;

/* A message at the node's place (its key's place for yaml_say_key); none about what was refused when it was
 * read: that has its message. */
void yaml_say(struct diag *diag, const struct yaml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void yaml_say_key(struct diag *diag, const struct yaml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Says which keys of a mapping are unknown, with "did you mean". `keys` is
 * NULL-ended. False (with a message) when `node` is no mapping. `what` names it: "a server", "the plan". */
bool yaml_check_keys(const struct yaml_node *node, const char *what, const char *const *keys,
                     struct diag *diag);

/* Says so when the document's "version" is missing, or another one than this program reads. */
void yaml_check_version(const struct yaml_node *root, struct diag *diag);

/* Any scalar as it is written. */
bool yaml_get_text(const struct yaml_node *mapping, const char *key, const char **ret, struct diag *diag);
/* A mapping or a sequence. */
bool yaml_get_mapping(const struct yaml_node *mapping, const char *key, struct yaml_node **ret,
                      struct diag *diag);
bool yaml_get_sequence(const struct yaml_node *mapping, const char *key, struct yaml_node **ret,
                       struct diag *diag);
/* A plain decimal number within [min, max]. */
bool yaml_get_number(const struct yaml_node *mapping, const char *key, uint64_t min, uint64_t max,
                     uint64_t *ret, struct diag *diag);
/* true or false. */
bool yaml_get_bool(const struct yaml_node *mapping, const char *key, bool *ret, struct diag *diag);
/* 500ms 2s 5m 1h 90d, within [min_ms, max_ms]. */
bool yaml_get_duration(const struct yaml_node *mapping, const char *key, uint64_t min_ms, uint64_t max_ms,
                       uint64_t *ret_ms, struct diag *diag);
/* One of the words (NULL-ended): its place in the list. */
bool yaml_get_word(const struct yaml_node *mapping, const char *key, const char *const *words, unsigned *ret,
                   struct diag *diag);
