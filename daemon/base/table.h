/* Hash table from strings to numbers. The whole key is hashed (names differ in
 * a few digits). Keys are borrowed: they must outlive the entry. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX

struct table {
    struct table_entry *entries; /* open addressing, power of two */
    size_t size, used, live;
};

void table_done(struct table *table);

/* Sets the value of a key, replacing one that is there. 0 or -ENOMEM. */
int table_put(struct table *table, const char *key, uint32_t value);

/* The value, or TABLE_NONE. */
uint32_t table_get(const struct table *table, const char *key);

/* The stored key equal to this one, or NULL. */
const char *table_key(const struct table *table, const char *key);

/* Forgets a key; no effect when it is absent. */
void table_remove(struct table *table, const char *key);

/* The keys one by one, in no order: begins with *cursor 0, ends with NULL. No key may be added meanwhile. */
const char *table_next(const struct table *table, size_t *cursor);
