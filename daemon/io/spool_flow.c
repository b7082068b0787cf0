/* A batch on its way: read by the worker, accepted by the owner, filed by the
 * worker, stored as filed by the owner. What fails on the way stays where it is and is
 * tried again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/loop.h"
#include "io/spool_parts.h"

/* ---- reading ---- */

static void work_take(uv_work_t *work)
{
    struct spool *spool = work->data;
    spool_take_work(&spool->takes, &spool->folders, spool->rules, &spool->rng);
}

static void tell_left(struct spool *spool, const struct spool_take *take)
{
    log_event(LOG_LEVEL_WARNING, &(struct log_fields){.kind = LOG_KIND_PLAN_REJECTED},
              "spool: %s/%s is left untouched: %s", spool->directory, take->name,
              take->text != NULL ? take->text : "out of memory");
}

static void tell_rejected(struct spool *spool, const struct spool_take *take)
{
    log_event(LOG_LEVEL_WARNING, &(struct log_fields){.kind = LOG_KIND_PLAN_REJECTED},
              "spool: %s is not valid: see %s/rejected/%s", take->name, spool->directory,
              take->text != NULL ? take->text : take->name);
}

static void wait_quiet(struct spool *spool, struct spool_entry *entry)
{
    spool_entry_set(&spool->entries, entry, SPOOL_PENDING);
    entry->identity = (struct spool_identity){0};
    entry->since_ms = loop_now().mono_ms;
    if (spool->scan_ms > entry->since_ms + SPOOL_LOOK_MS)
        spool->scan_ms = entry->since_ms + SPOOL_LOOK_MS;
}

/* What has happened to the name while the worker had it counts now; true when it has a new state. */
static bool catch_up(struct spool *spool, struct spool_entry *entry)
{
    bool open = entry->open, again = entry->again, made = entry->made;
    entry->open = entry->again = entry->made = false;
    if (open)
        spool_entry_set(&spool->entries, entry, SPOOL_WRITING);
    else if (again)
        spool_entry_ready(&spool->entries, entry);
    else if (made)
        wait_quiet(spool, entry);
    return open || again || made;
}

static void release_entry(struct spool *spool, struct spool_entry *entry)
{
    if (!catch_up(spool, entry))
        spool_entry_remove(&spool->entries, entry);
}

static void leave(struct spool *spool, struct spool_entry *entry, const struct spool_take *take)
{
    tell_left(spool, take);
    spool_entry_set(&spool->entries, entry, SPOOL_LEFT);
    entry->identity = take->identity;
    entry->ctime_ns = take->ctime_ns;
    if (catch_up(spool, entry)) /* the note speaks of what was there before */
        spool_note_remove(&spool->folders, take->name);
}

/* What became of one file; true when it is to be accepted. */
static bool settle_take(struct spool *spool, struct spool_take *take)
{
    struct spool_entry *entry = spool_entries_find(&spool->entries, take->name);
    if (entry == NULL)
        return false;
    switch (take->outcome) {
    case SPOOL_LATER:
    case SPOOL_FAILED:
        return false; /* given back already */
    case SPOOL_GONE:
        release_entry(spool, entry);
        return false;
    case SPOOL_BUSY:
        if (!catch_up(spool, entry))
            wait_quiet(spool, entry);
        return false;
    case SPOOL_UNTOUCHED:
        leave(spool, entry, take);
        return false;
    case SPOOL_REJECTED:
        tell_rejected(spool, take);
        release_entry(spool, entry);
        return false;
    case SPOOL_VALID:
        return true;
    }
    return false;
}

/* ---- accepting ---- */

static void end_batch(struct spool *spool)
{
    if (spool->retry_ms <= loop_now().mono_ms) /* nothing failed: the next failure is news */
        spool->told = 0;
    spool->n_batch = 0;
    spool->phase = SPOOL_IDLE;
    spool_next(spool);
}

static void give_back_taken(struct spool *spool, struct spool_taken *taken)
{
    struct spool_entry *entry = spool_entries_find(&spool->entries, taken->file);
    if (entry != NULL)
        spool_entry_give_back(&spool->entries, entry);
    spool_taken_free(taken);
}

static void all_accepted(struct spool *spool)
{
    for (size_t i = spool->n_batch; i > 0; i--) { /* backwards, so that the order stays */
        struct spool_taken *taken = spool->batch[i - 1];
        if (taken->error < 0) {
            spool_trouble(spool, taken->file, taken->error, strerror(-taken->error));
            give_back_taken(spool, taken);
            spool->batch[i - 1] = NULL;
        }
    }
    for (size_t i = 0; i < spool->n_batch; i++)
        if (spool->batch[i] != NULL)
            spool_add_unfiled(spool, spool->batch[i]);
    end_batch(spool);
}

static void answered(struct spool *spool)
{
    if (--spool->unanswered == 0)
        all_accepted(spool);
}

static void on_accepted(int error, void *data)
{
    struct spool_taken *taken = data;
    taken->error = error;
    answered(taken->spool);
}

static void accept_one(struct spool *spool, struct spool_taken *taken)
{
    taken->drop = (struct spool_drop){.file = taken->file,
                                      .files = &taken->files,
                                      .plan = taken->plan,
                                      .server = taken->server,
                                      .n_items = taken->n_items,
                                      .owner = taken->owner,
                                      .identity = taken->identity,
                                      .accepted_ms = taken->accepted_ms};
    spool->ops->accept(&taken->drop, taken->run_id, on_accepted, taken, spool->user);
}

/* Backwards, so that they keep their order. */
static void give_back_unread(struct spool *spool)
{
    for (size_t i = spool->takes.n; i > 0; i--) {
        const struct spool_take *take = &spool->takes.all[i - 1];
        struct spool_entry *entry = spool_entries_find(&spool->entries, take->name);
        if (entry == NULL || (take->outcome != SPOOL_LATER && take->outcome != SPOOL_FAILED))
            continue;
        if (take->outcome == SPOOL_FAILED)
            spool_trouble(spool, take->name, take->error, take->text);
        spool_entry_give_back(&spool->entries, entry);
    }
}

static void after_take(uv_work_t *work, int status)
{
    struct spool *spool = work->data;
    (void)status;
    give_back_unread(spool);
    for (size_t i = 0; i < spool->takes.n; i++) {
        struct spool_take *take = &spool->takes.all[i];
        if (!settle_take(spool, take))
            continue;
        take->taken->spool = spool;
        spool->batch[spool->n_batch++] = take->taken;
        take->taken = NULL;
    }
    spool_takes_done(&spool->takes);
    spool->phase = SPOOL_ACCEPTING;
    spool->unanswered = spool->n_batch + 1; /* an answer may come at once */
    for (size_t i = 0; i < spool->n_batch; i++)
        accept_one(spool, spool->batch[i]);
    answered(spool);
}

void spool_begin_take(struct spool *spool)
{
    spool->takes.n = 0;
    while (spool->takes.n < SPOOL_TAKE_MAX) {
        struct spool_entry *entry = spool_entries_take(&spool->entries);
        if (entry == NULL)
            break;
        struct spool_take *take = &spool->takes.all[spool->takes.n];
        *take = (struct spool_take){.name = strdup(entry->name)};
        if (take->name == NULL) {
            spool_trouble(spool, entry->name, -ENOMEM, NULL);
            spool_entry_give_back(&spool->entries, entry);
            break;
        }
        spool->takes.n++;
    }
    if (spool->takes.n > 0)
        spool_give(spool, SPOOL_READING, work_take, after_take);
}

/* ---- filing ---- */

void spool_add_unfiled(struct spool *spool, struct spool_taken *taken)
{
    taken->spool = spool;
    taken->next = NULL;
    if (spool->last_unfiled != NULL)
        spool->last_unfiled->next = taken;
    else
        spool->unfiled = taken;
    spool->last_unfiled = taken;
}

/* The run is stored as filed. */
static void settle_filed(struct spool *spool, struct spool_taken *taken)
{
    struct spool_entry *entry = spool_entries_find(&spool->entries, taken->file);
    if (entry != NULL && entry->state == SPOOL_TAKING)
        release_entry(spool, entry);
    spool_taken_free(taken);
}

static void all_stored(struct spool *spool)
{
    for (size_t i = 0; i < spool->n_batch; i++) {
        struct spool_taken *taken = spool->batch[i];
        if (taken->error < 0) {
            spool_trouble(spool, taken->file, taken->error, strerror(-taken->error));
            spool_add_unfiled(spool, taken);
        } else {
            settle_filed(spool, taken);
        }
    }
    end_batch(spool);
}

static void stored(struct spool *spool)
{
    if (--spool->unanswered == 0)
        all_stored(spool);
}

static void on_stored(int error, void *data)
{
    struct spool_taken *taken = data;
    taken->error = error;
    stored(taken->spool);
}

static void store_one(struct spool *spool, struct spool_taken *taken)
{
    char filed[SPOOL_NAME_SIZE + 16];
    if (taken->plain && strcmp(taken->filed, taken->file) != 0) {
        spool_unclaim(spool, taken->file);
        taken->plain = false;
    }
    snprintf(filed, sizeof(filed), "accepted/%s", taken->filed);
    spool->unanswered++;
    spool->ops->file(taken->run_id, filed, on_stored, taken, spool->user);
}

static void after_file(uv_work_t *work, int status)
{
    struct spool *spool = work->data;
    (void)status;
    spool->phase = SPOOL_STORING;
    spool->unanswered = 1;
    for (size_t i = 0; i < spool->n_batch; i++)
        if (spool->batch[i]->error == 0)
            store_one(spool, spool->batch[i]);
    stored(spool);
}

static void work_file(uv_work_t *work)
{
    struct spool *spool = work->data;
    spool_file_work(spool->batch, spool->n_batch, &spool->folders);
}

void spool_begin_file(struct spool *spool)
{
    spool->n_batch = 0;
    while (spool->n_batch < SPOOL_BATCH_MAX && spool->unfiled != NULL) {
        struct spool_taken *taken = spool->unfiled;
        spool->unfiled = taken->next;
        if (spool->unfiled == NULL)
            spool->last_unfiled = NULL;
        if (!taken->plain)
            taken->plain = spool_claim(spool, taken->file) == 0;
        spool->batch[spool->n_batch++] = taken;
    }
    spool_give(spool, SPOOL_FILING, work_file, after_file);
}
