#include "base/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct table_entry {
    const char *key; /* NULL: never used; TOMBSTONE: removed */
    uint32_t hash, value;
};

static const char TOMBSTONE[] = "";

static uint32_t table_hash(const char *key)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    for (const unsigned char *p = (const unsigned char *)key; *p; p++)
        h = (h ^ *p) * 0x100000001b3ULL;
    h ^= h >> 32; /* FNV mixes upwards only */
    return (uint32_t)(h * 0x9e3779b97f4a7c15ULL >> 32);
}

void table_done(struct table *table)
{
    free(table->entries);
    *table = (struct table){0};
}

static struct table_entry *table_find(const struct table *table, const char *key)
{
    if (!table->size)
        return NULL;
    uint32_t hash = table_hash(key);
    for (size_t i = (size_t)hash & (table->size - 1);; i = (i + 1) & (table->size - 1)) {
        struct table_entry *e = &table->entries[i];
        if (!e->key)
            return NULL;
        if (e->key != TOMBSTONE && e->hash == hash && strcmp(e->key, key) == 0)
            return e;
    }
}

static void table_insert(struct table *table, struct table_entry entry)
{
    size_t i = (size_t)entry.hash & (table->size - 1);
    while (table->entries[i].key && table->entries[i].key != TOMBSTONE)
        i = (i + 1) & (table->size - 1);
    if (!table->entries[i].key)
        table->used++;
    table->entries[i] = entry;
    table->live++;
}

/* Keeps at least a quarter of the places unused, dropping removed ones. */
static int table_grow(struct table *table)
{
    if (table->size && (table->used + 1) * 4 <= table->size * 3)
        return 0;
    size_t size = 16;
    while (size < table->live * 2 + 2)
        size *= 2;
    struct table next = {.entries = calloc(size, sizeof(*next.entries)), .size = size};
    if (!next.entries)
        return -ENOMEM;
    for (size_t i = 0; i < table->size; i++)
        if (table->entries[i].key && table->entries[i].key != TOMBSTONE)
            table_insert(&next, table->entries[i]);
    free(table->entries);
    *table = next;
    return 0;
}

int table_put(struct table *table, const char *key, uint32_t value)
{
    struct table_entry *e = table_find(table, key);
    if (e) {
        e->value = value;
        return 0;
    }
    int r = table_grow(table);
    if (r < 0)
        return r;
    table_insert(table, (struct table_entry){key, table_hash(key), value});
    return 0;
}

uint32_t table_get(const struct table *table, const char *key)
{
    const struct table_entry *e = table_find(table, key);
    return e ? e->value : TABLE_NONE;
}

const char *table_key(const struct table *table, const char *key)
{
    const struct table_entry *e = table_find(table, key);
    return e ? e->key : NULL;
}

void table_remove(struct table *table, const char *key)
{
    struct table_entry *e = table_find(table, key);
    if (e) {
        e->key = TOMBSTONE;
        table->live--;
    }
}

const char *table_next(const struct table *table, size_t *cursor)
{
    while (*cursor < table->size) {
        const char *key = table->entries[(*cursor)++].key;
        if (key && key != TOMBSTONE)
            return key;
    }
    return NULL;
}
