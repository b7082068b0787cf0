/* Names that items of other runs hold (product contract 3, "Across runs").
 * Enterprise Manager shows a new job only after it has collected, so what runs of
 * this engine have made or may yet make counts as there. An item that has got its
 * name holds it against all; one whose names are still being read holds it against
 * younger runs only (run ids are in order of acceptance), so no two runs ever wait
 * for each other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/parts.h"

static bool run_is_older(const struct run *run, const struct run *than)
{
    return strcmp(run->id, than->id) < 0;
}

/* Its task was given up: the clone may appear all the same. */
static bool hold_is_late(const struct item *item)
{
    return item->state == ITEM_FAILED && item->error == ITEM_E_TASK_TIMEOUT;
}

/* What was made `settle` before the run read its names was in that list, however long ago that is now. */
static enum hold hold_of_item(const struct run *run, const struct run *holder, uint32_t slot)
{
    const struct slot *s = &holder->slots[slot];
    const struct item *item = slot_decided(run->engine, s);
    uint64_t settle = run->server->settings->settle_ms;
    switch (item->state) {
    case ITEM_QUEUED:
        if (holder->mode != ENGINE_RUN)
            return HOLD_FREE;
        return s->source != NO_SLOT || run_is_older(holder, run) ? HOLD_WAIT : HOLD_FREE;
    case ITEM_SUBMITTING:
    case ITEM_RUNNING:
    case ITEM_IN_DOUBT:
        return HOLD_WAIT;
    case ITEM_SUCCEEDED:
        return run->read_ms < item->since_ms + settle ? HOLD_THERE : HOLD_FREE;
    case ITEM_UNKNOWN:
        return HOLD_DOUBT;
    case ITEM_FAILED:
        return hold_is_late(item) ? HOLD_DOUBT : HOLD_FREE;
    case ITEM_SKIPPED:
    case ITEM_CANCELLED:
    case ITEM_STATE_COUNT:
        break;
    }
    return HOLD_FREE;
}

enum hold hold_of(const struct run *run, const struct hit *hit)
{
    if (!hit->holder)
        return hit->unfinished ? HOLD_DOUBT : HOLD_THERE;
    const struct item *item = slot_decided(run->engine, &hit->holder->slots[hit->slot]);
    if (!item->name || strcmp(item->name, hit->name) != 0)
        return HOLD_FREE; /* it goes by another name by now */
    return hold_of_item(run, hit->holder, hit->slot);
}

/* The id of the run whose item ended with task_timeout, or NULL. */
static const char *hold_late_run(const struct run *run, const struct hit *hit)
{
    if (!hit->holder)
        return hit->late_run;
    const struct item *item = slot_decided(run->engine, &hit->holder->slots[hit->slot]);
    return hold_is_late(item) ? hit->holder->id : NULL;
}

/* It is never sent again, so what carries its mark is all that it ever made: the doubt about the name is
 * over. */
bool hold_is_shown(const struct run *run, const struct hit *hit)
{
    const char *late = hold_late_run(run, hit);
    for (uint32_t i = late ? table_get(&run->names, hit->name) : 0; i; i = run->hits[i - 1].next) {
        const struct hit *job = &run->hits[i - 1];
        if (job->description && strcmp(job->server_id, hit->server_id) == 0 &&
            item_mark_matches(job->description, late, hit->slot))
            return true;
    }
    return false;
}

const char *hold_job(const struct hit *hit)
{
    if (!hit->holder)
        return hit->job_id;
    const char *uid = hit->holder->slots[hit->slot].item.job_uid;
    const char *id = uid ? strrchr(uid, ':') : NULL;
    return id ? id + 1 : "";
}

static int hold_add(struct run *run, struct run *holder, uint32_t slot)
{
    const struct item *item = &holder->slots[slot].item;
    if (!item->name || !item->server_id || table_get(&run->names, item->name) == TABLE_NONE ||
        hold_of_item(run, holder, slot) == HOLD_FREE)
        return 0;
    for (uint32_t i = table_get(&run->names, item->name); i; i = run->hits[i - 1].next)
        if (run->hits[i - 1].holder == holder && run->hits[i - 1].slot == slot)
            return 0;
    struct arena *arena = run->plan->arena;
    struct hit hit = {.name = table_key(&run->names, item->name),
                      .server_id = arena_intern(arena, item->server_id),
                      .job_id = "",
                      .holder = holder,
                      .slot = slot};
    return hit.name && hit.server_id ? resolve_add_hit(run, &hit) : -1;
}

/* ---- of runs that are not in the engine ---- */

static int64_t hold_until(const struct run *run, int64_t finished_ms)
{
    return finished_ms ? finished_ms + (int64_t)run->server->settings->settle_ms : INT64_MAX;
}

static struct kept *kept_new(struct run *run)
{
    if (run->n_kept == run->size_kept) {
        size_t size = run->size_kept ? run->size_kept * 2 : 16;
        struct kept *all = realloc(run->kept, size * sizeof(*all));
        if (!all)
            return NULL;
        run->kept = all;
        run->size_kept = size;
    }
    return &run->kept[run->n_kept++];
}

/* May the plan come to want names that it does not know yet? */
static bool wants_more_names(const struct run *run)
{
    for (size_t i = 0; i < run->n; i++)
        if (run->plan->clones[i].late || run->plan->clones[i].on_conflict == ON_CONFLICT_RENAME)
            return true;
    return false;
}

/* Keeps what the store says of other runs, for each reading of the names: 0 or -ENOMEM. */
int hold_keep(struct run *run, const struct engine_run_options *options)
{
    struct arena *arena = run->plan->arena;
    bool all = wants_more_names(run) || run->mode != ENGINE_RUN; /* a retry reads names of its own */
    for (size_t i = 0; i < options->n_held; i++) {
        const struct engine_held *held = &options->held[i];
        const char *id = held->job_uid ? strrchr(held->job_uid, ':') : NULL;
        if (!all && !table_key(&run->names, held->name))
            continue;
        struct kept kept = {.name = arena_str(arena, held->name),
                            .server_id = arena_intern(arena, held->server_id),
                            .job_id = arena_str(arena, id ? id + 1 : ""),
                            .until_ms = hold_until(run, held->finished_ms),
                            .unfinished = held->unfinished,
                            .late_run = arena_intern(arena, held->late_run),
                            .slot = held->late_index};
        bool whole = kept.name && kept.server_id && kept.job_id && (kept.late_run || !held->late_run);
        struct kept *place = whole ? kept_new(run) : NULL;
        if (!place)
            return -ENOMEM;
        *place = kept;
    }
    return 0;
}

/* The names are read anew. */
void hold_begin(struct run *run)
{
    for (size_t i = 0; i < run->n_kept; i++)
        run->kept[i].added = false;
}

static int hold_add_kept(struct run *run)
{
    for (size_t i = 0; i < run->n_kept; i++) {
        struct kept *kept = &run->kept[i];
        const char *name = kept->added ? NULL : table_key(&run->names, kept->name);
        if (!name || run->engine->now.wall_ms >= kept->until_ms)
            continue;
        struct hit hit = {.name = name,
                          .server_id = kept->server_id,
                          .job_id = kept->job_id,
                          .unfinished = kept->unfinished,
                          .late_run = kept->late_run,
                          .slot = kept->slot};
        if (resolve_add_hit(run, &hit) < 0)
            return -1;
        kept->added = true;
    }
    return 0;
}

/* ---- whose names count ---- */

/* Of the same server, also while one of them goes on without it (ENGINE_CANCEL). */
static bool same_server(const struct run *a, const struct run *b)
{
    return a->server == b->server || strcmp(a->server->settings->name, b->server->settings->name) == 0;
}

static bool hold_counts(const struct run *run, const struct run *other)
{
    return other != run && same_server(other, run) && other->mode != ENGINE_PREVIEW && !other->gone;
}

/* ---- clones that were given up ---- */

static bool hold_may_want(const struct run *run, bool all, const char *name)
{
    return name && (all || table_key(&run->names, name));
}

bool hold_wants_marks(const struct run *run)
{
    bool all = wants_more_names(run);
    for (size_t i = 0; i < run->n_kept; i++)
        if (run->kept[i].late_run && hold_may_want(run, all, run->kept[i].name))
            return true;
    for (const struct run *other = run->engine->runs; other; other = other->next) {
        bool may = hold_counts(run, other);
        for (uint32_t i = 0; may && i < other->n && other->count[ITEM_FAILED]; i++) {
            const struct item *item = &other->slots[i].item;
            if (hold_is_late(item) && hold_may_want(run, all, item->name))
                return true;
        }
    }
    return false;
}

/* ---- all of them ---- */

/* Adds a hit for each item of another run of the server that holds a wanted name: 0, or negative when out of
 * memory. */
int hold_collect(struct run *run)
{
    if (hold_add_kept(run) < 0)
        return -1;
    for (struct run *other = run->engine->runs; other; other = other->next) {
        if (!hold_counts(run, other))
            continue;
        for (uint32_t i = 0; i < other->n; i++)
            if (hold_add(run, other, i) < 0)
                return -1;
    }
    return 0;
}

/* Older runs get their names first: they are asked for before this one's are judged. */
bool hold_ready(const struct run *run)
{
    for (const struct run *other = run->engine->runs; other; other = other->next)
        if (other != run && other->server == run->server && other->mode == ENGINE_RUN &&
            other->state == RUN_RUNNING && other->hours.state.open && run_is_older(other, run) &&
            (other->phase < PHASE_CLONING || other->resolve_again))
            return false;
    return true;
}

/* The holder's run is about to be freed: the hit stands for it from now on, and is kept for the next reading.
 */
static void hold_leave(struct run *run, struct hit *hit)
{
    enum hold hold = hold_of(run, hit);
    const char *job = arena_intern(run->plan->arena, hold_job(hit));
    const char *late = arena_intern(run->plan->arena, hold_late_run(run, hit));
    int64_t finished_ms = hit->holder->slots[hit->slot].item.finished_ms;
    hit->job_id = job ? job : "";
    hit->late_run = late;
    hit->holder = NULL;
    hit->unfinished = hold == HOLD_WAIT || hold == HOLD_DOUBT;
    if (hold == HOLD_FREE) {
        hit->server_id = ""; /* no backup server has this id: it is nobody's */
        return;
    }
    struct kept *kept = kept_new(run);
    const char *name = arena_str(run->plan->arena, hit->name);
    if (!kept || !name)
        engine_out_of_memory(); /* the name would be free after the next pause */
    *kept = (struct kept){.name = name,
                          .server_id = hit->server_id,
                          .job_id = hit->job_id,
                          .until_ms = hold_until(run, finished_ms),
                          .unfinished = hit->unfinished,
                          .added = true,
                          .late_run = late,
                          .slot = hit->slot};
}

/* The run is about to be freed: what others know of its names is kept as it stands. */
void hold_forget(struct run *gone)
{
    for (struct run *run = gone->engine->runs; run; run = run->next) {
        for (size_t i = 0; i < run->n_hits; i++) {
            struct hit *hit = &run->hits[i];
            if (hit->holder != gone)
                continue;
            hold_leave(run, hit);
        }
    }
    gone->server->released++;
}
