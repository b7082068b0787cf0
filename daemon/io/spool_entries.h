/* The names in the spool and how far each has come, on the loop thread:
 *
 *   WRITING  somebody has it open for writing: waits for the close
 *   PENDING  seen, not known to be complete: waits until it is unchanged for a while
 *   READY    complete: waits to be taken, in order
 *   TAKING   in the hands of the worker
 *   LEFT     must not or cannot be read: waits to change */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "io/spool.h"

#define SPOOL_ENTRIES_MAX 50000 /* names known at a time; the others wait for a later scan */

enum spool_state { SPOOL_WRITING, SPOOL_PENDING, SPOOL_READY, SPOOL_TAKING, SPOOL_LEFT };

struct spool_entry {
    char *name; /* NULL: free */
    enum spool_state state;
    bool fresh; /* WRITING, PENDING: made under our eyes, and not yet written to */
    bool open;  /* READY, TAKING: somebody writes to it again */
    bool made;  /* READY, TAKING: the name was given to something new */
    bool again; /* TAKING: complete once more, perhaps another file by now */
    bool seen;  /* by the scan, or by a hint since it began */
    struct spool_identity identity;
    int64_t ctime_ns;
    uint64_t since_ms; /* PENDING: unchanged since then (monotonic) */
    uint32_t next;     /* READY: the one behind it; free: the next free one */
};

struct spool_entries {
    struct spool_entry *all;
    size_t n_all, size, n_used;
    uint32_t first_free, first_ready, last_ready;
    size_t n_ready, n_pending;
    struct table by_name;
};

#define SPOOL_ENTRIES_INIT \
    ((struct spool_entries){.first_free = TABLE_NONE, .first_ready = TABLE_NONE, .last_ready = TABLE_NONE})

void spool_entries_done(struct spool_entries *entries);

/* The entry of that name, or NULL. Borrowed until the next one is added. */
struct spool_entry *spool_entries_find(struct spool_entries *entries, const char *name);

/* A new entry, PENDING since never; NULL when there are too many or memory is out: a later scan finds it. */
struct spool_entry *spool_entries_add(struct spool_entries *entries, const char *name);

/* To any state but READY from any but READY. */
void spool_entry_set(struct spool_entries *entries, struct spool_entry *entry, enum spool_state state);

/* To the end of the READY; one that is READY stays in its place. */
void spool_entry_ready(struct spool_entries *entries, struct spool_entry *entry);

/* The first READY becomes TAKING; NULL when there is none. Those that somebody writes to become WRITING. */
struct spool_entry *spool_entries_take(struct spool_entries *entries);

/* A TAKING entry goes back to the front of the READY. */
void spool_entry_give_back(struct spool_entries *entries, struct spool_entry *entry);

/* Forgets an entry that is not READY. */
void spool_entry_remove(struct spool_entries *entries, struct spool_entry *entry);
