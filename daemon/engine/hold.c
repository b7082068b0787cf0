/* Names that items of other runs hold (product contract 3, "Across runs").
 * Enterprise Manager shows a new job only after it has collected, so what runs of
 * this engine have made or may yet make counts as there. An item that has got its
 * name holds it against all; one whose names are still being read holds it against
 * younger runs only (run ids are in order of acceptance), so no two runs ever wait
 * for each other. */
#include <string.h>

#include "engine/parts.h"

static bool run_is_older(const struct run *run, const struct run *than)
{
    return strcmp(run->id, than->id) < 0;
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
        return item->error == ITEM_E_TASK_TIMEOUT ? HOLD_DOUBT : HOLD_FREE;
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

/* Adds a hit for each item of another run of the server that holds a wanted name: 0, or negative when out of
 * memory. */
int hold_collect(struct run *run)
{
    for (struct run *other = run->engine->runs; other; other = other->next) {
        if (other == run || other->server != run->server || other->mode == ENGINE_PREVIEW || other->gone)
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

/* The run is about to be freed: what others know of its names is kept as it stands. */
void hold_forget(struct run *gone)
{
    for (struct run *run = gone->engine->runs; run; run = run->next) {
        for (size_t i = 0; i < run->n_hits; i++) {
            struct hit *hit = &run->hits[i];
            if (hit->holder != gone)
                continue;
            enum hold hold = hold_of(run, hit);
            const char *job = arena_intern(run->plan->arena, hold_job(hit));
            hit->job_id = job ? job : "";
            hit->holder = NULL;
            hit->unfinished = hold == HOLD_WAIT || hold == HOLD_DOUBT;
            if (hold == HOLD_FREE)
                hit->server_id = ""; /* no backup server has this id: it is nobody's */
        }
    }
    gone->server->released++;
}
