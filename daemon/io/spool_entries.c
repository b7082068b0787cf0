#include "io/spool_entries.h"

#include <stdlib.h>
#include <string.h>

void spool_entries_done(struct spool_entries *entries)
{
    table_done(&entries->by_name);
    for (size_t i = 0; i < entries->n_all; i++)
        free(entries->all[i].name);
    free(entries->all);
    *entries = SPOOL_ENTRIES_INIT;
}

struct spool_entry *spool_entries_find(struct spool_entries *entries, const char *name)
{
    uint32_t index = table_get(&entries->by_name, name);
    return index != TABLE_NONE ? &entries->all[index] : NULL;
}

static uint32_t index_of(const struct spool_entries *entries, const struct spool_entry *entry)
{
    return (uint32_t)(entry - entries->all);
}

/* A free slot, or NULL. */
static struct spool_entry *take_slot(struct spool_entries *entries)
{
    if (entries->first_free != TABLE_NONE) {
        struct spool_entry *entry = &entries->all[entries->first_free];
        entries->first_free = entry->next;
        return entry;
    }
    if (entries->n_all == entries->size) {
        size_t size = entries->size > 0 ? entries->size * 2 : 64;
        struct spool_entry *all = reallocarray(entries->all, size, sizeof(*all));
        if (all == NULL)
            return NULL;
        entries->all = all;
        entries->size = size;
    }
    return &entries->all[entries->n_all++];
}

static void give_slot(struct spool_entries *entries, struct spool_entry *entry)
{
    free(entry->name);
    *entry = (struct spool_entry){.next = entries->first_free};
    entries->first_free = index_of(entries, entry);
}

struct spool_entry *spool_entries_add(struct spool_entries *entries, const char *name)
{
    if (entries->n_used >= SPOOL_ENTRIES_MAX)
        return NULL;
    struct spool_entry *entry = take_slot(entries);
    if (entry == NULL)
        return NULL;
    *entry = (struct spool_entry){.name = strdup(name), .state = SPOOL_PENDING, .next = TABLE_NONE};
    if (entry->name == NULL || table_put(&entries->by_name, entry->name, index_of(entries, entry)) < 0) {
        give_slot(entries, entry);
        return NULL;
    }
    entries->n_used++;
    entries->n_pending++;
    return entry;
}

void spool_entry_set(struct spool_entries *entries, struct spool_entry *entry, enum spool_state state)
{
    entries->n_pending -= entry->state == SPOOL_PENDING;
    entries->n_pending += state == SPOOL_PENDING;
    entry->state = state;
}

void spool_entry_ready(struct spool_entries *entries, struct spool_entry *entry)
{
    if (entry->state == SPOOL_READY)
        return;
    spool_entry_set(entries, entry, SPOOL_READY);
    entry->next = TABLE_NONE;
    if (entries->last_ready != TABLE_NONE)
        entries->all[entries->last_ready].next = index_of(entries, entry);
    else
        entries->first_ready = index_of(entries, entry);
    entries->last_ready = index_of(entries, entry);
    entries->n_ready++;
}

struct spool_entry *spool_entries_take(struct spool_entries *entries)
{
    while (entries->first_ready != TABLE_NONE) {
        struct spool_entry *entry = &entries->all[entries->first_ready];
        entries->first_ready = entry->next;
        if (entries->first_ready == TABLE_NONE)
            entries->last_ready = TABLE_NONE;
        entries->n_ready--;
        spool_entry_set(entries, entry, entry->open ? SPOOL_WRITING : SPOOL_TAKING);
        entry->made = false; /* what it is now is read */
        if (!entry->open)
            return entry;
        entry->open = false;
    }
    return NULL;
}

void spool_entry_give_back(struct spool_entries *entries, struct spool_entry *entry)
{
    spool_entry_set(entries, entry, SPOOL_READY);
    entry->again = false;
    entry->next = entries->first_ready;
    entries->first_ready = index_of(entries, entry);
    if (entries->last_ready == TABLE_NONE)
        entries->last_ready = index_of(entries, entry);
    entries->n_ready++;
}

void spool_entry_remove(struct spool_entries *entries, struct spool_entry *entry)
{
    entries->n_pending -= entry->state == SPOOL_PENDING;
    table_remove(&entries->by_name, entry->name);
    give_slot(entries, entry);
    entries->n_used--;
}
