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

/* Is the holder's item among the hits? */
static bool hold_has(const struct run *run, const struct run *holder, uint32_t slot)
{
    uint32_t at = table_get(&run->names, holder->slots[slot].item.name);
    for (; at != TABLE_NONE && at; at = run->hits[at - 1].next)
        if (run->hits[at - 1].holder == holder && run->hits[at - 1].slot == slot)
            return true;
    return false;
}

static int hold_add(struct run *run, struct run *holder, uint32_t slot)
{
    const struct item *item = &holder->slots[slot].item;
    if (!item->name || !item->server_id || table_get(&run->names, item->name) == TABLE_NONE ||
        hold_of_item(run, holder, slot) == HOLD_FREE)
        return 0;
    if (hold_has(run, holder, slot))
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

/* Was it over when the names began to be read, so that the list has what was made? */
static bool hold_is_over(const struct run *run, int64_t until_ms)
{
    struct instant now = run->engine->now;
    uint64_t since = run->read_ms ? now.mono_ms - run->read_ms : 0;
    return until_ms != INT64_MAX && now.wall_ms - (int64_t)since >= until_ms;
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
        if (!name || hold_is_over(run, kept->until_ms))
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

/* ---- a run that is about to be freed ---- */

/* Its hit stands for it from now on. */
static void hold_leave(struct run *run, struct hit *hit)
{
    enum hold hold = hold_of(run, hit);
    const char *job = arena_intern(run->plan->arena, hold_job(hit));
    hit->late_run = arena_intern(run->plan->arena, hold_late_run(run, hit));
    hit->job_id = job ? job : "";
    hit->holder = NULL;
    hit->unfinished = hold == HOLD_WAIT || hold == HOLD_DOUBT;
    if (hold == HOLD_FREE)
        hit->server_id = ""; /* no backup server has this id: it is nobody's */
}

/* It has made a clone, or may have made one. */
static bool hold_lasts(const struct item *item)
{
    bool made = item->state == ITEM_SUBMITTING || item->state == ITEM_RUNNING ||
                item->state == ITEM_IN_DOUBT || item->state == ITEM_SUCCEEDED ||
                item->state == ITEM_UNKNOWN || hold_is_late(item);
    return made && item->name && item->server_id;
}

/* Its name is kept for each reading to come; for the present one, too, unless that has it as a hit. */
static void hold_inherit_item(struct run *run, struct run *gone, uint32_t slot)
{
    const struct item *item = &gone->slots[slot].item;
    struct hit hit = {.job_id = "", .holder = gone, .slot = slot};
    struct arena *arena = run->plan->arena;
    struct kept kept = {.name = arena_str(arena, item->name),
                        .server_id = arena_intern(arena, item->server_id),
                        .job_id = arena_str(arena, hold_job(&hit)),
                        .until_ms = hold_until(run, item->finished_ms),
                        .unfinished = item->state != ITEM_SUCCEEDED,
                        .added = hold_has(run, gone, slot),
                        .late_run = hold_is_late(item) ? arena_intern(arena, gone->id) : NULL,
                        .slot = slot};
    bool whole = kept.name && kept.server_id && kept.job_id && (kept.late_run || !hold_is_late(item));
    struct kept *place = whole ? kept_new(run) : NULL;
    if (!place)
        engine_out_of_memory(); /* the name would be free */
    *place = kept;
}

/* The names of its own that are known, whether it is reading any now or not. */
static void planned_names(const struct run *run, struct table *ret)
{
    for (size_t i = 0; i < run->n; i++)
        if (!run->plan->clones[i].late && table_put(ret, run->plan->clones[i].name, 0) < 0)
            engine_out_of_memory();
}

/* A run that has still to read names, or does so again after a pause, would learn of those from nobody else:
 * the server shows what was just made after a while only, and the store was asked when the run was added. */
static void hold_inherit(struct run *run, struct run *gone)
{
    struct table names = {0};
    bool all = wants_more_names(run);
    if (!all)
        planned_names(run, &names);
    for (uint32_t i = 0; i < gone->n; i++) {
        const struct item *item = &gone->slots[i].item;
        if (hold_lasts(item) && (all || table_key(&names, item->name)) &&
            !hold_is_over(run, hold_until(run, item->finished_ms)))
            hold_inherit_item(run, gone, i);
    }
    table_done(&names);
}

/* What others know of its names, or may come to want of them, is kept as it stands. */
void hold_forget(struct run *gone)
{
    for (struct run *run = gone->engine->runs; run; run = run->next) {
        bool reads = run->mode != ENGINE_LOOK && run->mode != ENGINE_CANCEL;
        if (reads && gone->mode != ENGINE_PREVIEW && same_server(run, gone))
            hold_inherit(run, gone);
        for (size_t i = 0; i < run->n_hits; i++)
            if (run->hits[i].holder == gone)
                hold_leave(run, &run->hits[i]);
    }
    gone->server->released++;
}
