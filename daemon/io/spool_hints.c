/* What hints and scans say about the names in the spool. A file that somebody
 * writes to under our eyes waits for the close; one that only a scan knows waits until
 * it is unchanged for a while. */
#include <errno.h>

#include "io/loop.h"
#include "io/spool_parts.h"

static void look_soon(struct spool *spool, uint64_t wait_ms)
{
    uint64_t due = loop_now().mono_ms + wait_ms;
    if (due < spool->scan_ms)
        spool->scan_ms = due;
}

static void forget_note(struct spool *spool, const struct spool_entry *entry)
{
    if (entry->state == SPOOL_LEFT && spool->folders.rejected >= 0)
        spool_note_remove(&spool->folders, entry->name);
}

/* The entry's first look, or a change since the last one. */
static void set_pending(struct spool *spool, struct spool_entry *entry, uint64_t now_ms)
{
    forget_note(spool, entry);
    spool_entry_set(&spool->entries, entry, SPOOL_PENDING);
    entry->fresh = false;
    entry->since_ms = now_ms;
}

/* ---- hints ---- */

static void on_created(struct spool *spool, struct spool_entry *entry)
{
    look_soon(spool, SPOOL_LOOK_MS);
    if (entry->state == SPOOL_READY || entry->state == SPOOL_TAKING) {
        entry->made = true;
        return;
    }
    set_pending(spool, entry, loop_now().mono_ms);
    entry->identity = (struct spool_identity){0};
    entry->fresh = true;
}

static void on_modified(struct spool *spool, struct spool_entry *entry)
{
    if (entry->state == SPOOL_READY || entry->state == SPOOL_TAKING) {
        entry->open = true;
        return;
    }
    forget_note(spool, entry);
    spool_entry_set(&spool->entries, entry, SPOOL_WRITING);
    entry->fresh = false;
}

static void on_complete(struct spool *spool, struct spool_entry *entry)
{
    entry->open = entry->made = false;
    if (entry->state == SPOOL_TAKING) {
        entry->again = true;
        return;
    }
    forget_note(spool, entry);
    entry->fresh = false;
    spool_entry_ready(&spool->entries, entry);
}

static void on_name(struct spool *spool, enum spool_hint hint, const char *name)
{
    struct spool_entry *entry = spool_entries_find(&spool->entries, name);
    bool adds = hint == SPOOL_HINT_CREATED || hint == SPOOL_HINT_MODIFIED || hint == SPOOL_HINT_COMPLETE;
    if (entry == NULL && adds)
        entry = spool_entries_add(&spool->entries, name);
    if (entry == NULL)
        return; /* nothing of it is known, or too much is: the next scan sees it */
    entry->seen = true;
    switch (hint) {
    case SPOOL_HINT_CREATED:
        on_created(spool, entry);
        break;
    case SPOOL_HINT_OPENED:
        if (entry->state == SPOOL_PENDING && entry->fresh)
            spool_entry_set(&spool->entries, entry, SPOOL_WRITING);
        entry->open = entry->open || entry->made;
        break;
    case SPOOL_HINT_CLOSED:
        if (entry->state == SPOOL_WRITING && entry->fresh) {
            set_pending(spool, entry, loop_now().mono_ms); /* it was only looked into */
            look_soon(spool, SPOOL_LOOK_MS);
        }
        entry->open = entry->open && !entry->made;
        break;
    case SPOOL_HINT_MODIFIED:
        on_modified(spool, entry);
        break;
    case SPOOL_HINT_COMPLETE:
        on_complete(spool, entry);
        break;
    case SPOOL_HINT_CHANGED:
        if (entry->state == SPOOL_LEFT)
            look_soon(spool, 0);
        break;
    case SPOOL_HINT_MISSED:
    case SPOOL_HINT_GONE:
        break;
    }
}

/* Nobody knows any more who is writing. */
static void on_missed(struct spool *spool)
{
    uint64_t now = loop_now().mono_ms;
    for (size_t i = 0; i < spool->entries.n_all; i++) {
        struct spool_entry *entry = &spool->entries.all[i];
        if (entry->name != NULL && entry->state == SPOOL_WRITING)
            set_pending(spool, entry, now);
    }
    look_soon(spool, 0);
}

void spool_on_hint(enum spool_hint hint, const char *name, void *data)
{
    struct spool *spool = data;
    if (hint == SPOOL_HINT_GONE)
        spool->lost = true;
    else if (hint == SPOOL_HINT_MISSED)
        on_missed(spool);
    else if (spool_name_is_plan(name))
        on_name(spool, hint, name);
    else
        return;
    spool_next(spool);
}

/* ---- scans ---- */

static bool unchanged(const struct spool_entry *entry, const struct spool_found *found)
{
    return spool_identity_same(&entry->identity, &found->identity) && entry->ctime_ns == found->ctime_ns;
}

static void merge_found(struct spool *spool, const struct spool_found *found, uint64_t now_ms)
{
    struct spool_entry *entry = spool_entries_find(&spool->entries, found->name);
    if (entry == NULL)
        entry = spool_entries_add(&spool->entries, found->name);
    if (entry == NULL)
        return;
    entry->seen = true;
    bool same = unchanged(entry, found);
    bool other = entry->identity.inode != 0 && entry->identity.inode != found->identity.inode;
    switch (entry->state) {
    case SPOOL_WRITING: /* not for ever: what is no file, or another one by now, gives no sign of its end */
        if (other || !found->regular)
            set_pending(spool, entry, now_ms);
        break;
    case SPOOL_PENDING:
        if (!same)
            set_pending(spool, entry, now_ms);
        else if (now_ms - entry->since_ms >= SPOOL_QUIET_MS)
            spool_entry_ready(&spool->entries, entry);
        break;
    case SPOOL_LEFT:
        if (!same)
            set_pending(spool, entry, now_ms);
        break;
    case SPOOL_READY:
    case SPOOL_TAKING:
        return;
    }
    entry->identity = found->identity;
    entry->ctime_ns = found->ctime_ns;
}

/* Names that are there no more. */
static void forget_unseen(struct spool *spool)
{
    for (size_t i = 0; i < spool->entries.n_all; i++) {
        struct spool_entry *entry = &spool->entries.all[i];
        if (entry->name == NULL || entry->seen || entry->state == SPOOL_READY || entry->state == SPOOL_TAKING)
            continue;
        forget_note(spool, entry);
        spool_entry_remove(&spool->entries, entry);
    }
}

void spool_merge_scan(struct spool *spool)
{
    uint64_t now = loop_now().mono_ms;
    for (size_t i = 0; i < spool->scan.n; i++)
        merge_found(spool, &spool->scan.found[i], now);
    if (!spool->scan.cut)
        forget_unseen(spool);
    uint64_t usual = spool->watch != NULL ? SPOOL_SCAN_MS : SPOOL_BLIND_SCAN_MS;
    bool soon = spool->entries.n_pending > 0 || (spool->scan.cut && spool->entries.n_ready > 0);
    look_soon(spool, soon ? SPOOL_LOOK_MS : usual);
}
