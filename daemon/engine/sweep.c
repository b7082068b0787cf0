/* A sweep reads the job list with descriptions: one page, which tells how many there are, then the others
 * side by side, the new ones first, since new jobs are mostly on the last pages. It finds clones by mark,
 * verifies those that succeeded, and is what absence is concluded from: two passes then, if there is more
 * than one page, or ever was. The first one goes downwards, since jobs that are deleted meanwhile move others
 * to the pages before; the second one upwards, since new jobs may stand anywhere and move others to later
 * pages. Pages that tell only of a next one can be read upwards alone in the first pass: then the second one
 * goes downwards. One that is to verify only ends with the last clone to verify; every other reads the whole
 * list. A page that fails is asked for once more; only a proof begins anew, since a job that moves meanwhile
 * from a page that is still to be read to one that was read must not be missed. */
#include <stdlib.h>
#include <string.h>

#include "engine/parts.h"

#define SWEEP_MIN_MS 500
#define SWEEP_MAX_MS 60000
#define FAULTS_FREE 3 /* pages of a look that may fail, and */
#define FAULTS_OF 8   /* one of so many that were read */

void sweep_stop(struct server *server)
{
    struct sweep *sweep = &server->sweep;
    sweep->arena = arena_free(sweep->arena);
    free(sweep->found);
    table_done(&sweep->marks);
    table_done(&sweep->strangers);
    *sweep = (struct sweep){.due_ms = sweep->due_ms,
                            .finds = sweep->finds,
                            .jobs = sweep->jobs,
                            .known = sweep->known,
                            .several = sweep->several,
                            .page_size = sweep->page_size,
                            .fresh = sweep->fresh,
                            .missed = sweep->missed,
                            .asking = sweep->asking,
                            .failures = sweep->failures,
                            .useless_ms = sweep->useless_ms,
                            .retry_ms = sweep->retry_ms,
                            .ahead_ms = sweep->ahead_ms};
}

void sweep_expect(struct server *server, unsigned pages)
{
    struct sweep *sweep = &server->sweep;
    sweep->several |= pages > 1;
    if (!sweep->known && !sweep->active)
        sweep->known = sweep->fresh = pages;
}

/* When the next look that finds is due: with growing gaps, from one news to the next. */
void sweep_schedule(struct server *server)
{
    uint64_t wait = SWEEP_MIN_MS;
    for (unsigned i = 0; i < server->sweep.finds && wait < SWEEP_MAX_MS; i++)
        wait *= 2;
    if (wait > server->settings->settle_ms / 4 + SWEEP_MIN_MS)
        wait = server->settings->settle_ms / 4 + SWEEP_MIN_MS;
    server->sweep.finds++;
    server->sweep.due_ms = server->engine->now.mono_ms + (wait < SWEEP_MAX_MS ? wait : SWEEP_MAX_MS);
}

/* Names of items in doubt: a job that has one without the item's mark is a stranger. */
static int sweep_names(struct server *server)
{
    for (struct run *run = server->engine->runs; run; run = run->next) {
        uint32_t at = run->in_state[ITEM_IN_DOUBT].first;
        for (size_t n = run->server == server ? run->in_state[ITEM_IN_DOUBT].n : 0; n > 0;
             n--, at = run->slots[at].next) {
            const char *name = arena_str(server->sweep.arena, run->slots[at].item.name);
            if (!name || table_put(&server->sweep.strangers, name, 0) < 0)
                return -1;
        }
    }
    return 0;
}

/* Are looks made for its clones? Those of others are verified where they are met, and do not count. */
static bool sweep_is_for(const struct run *run)
{
    return run->mode == ENGINE_RUN && run->phase != PHASE_ENDED;
}

size_t sweep_unverified(const struct server *server)
{
    size_t n = 0;
    for (const struct run *run = server->engine->runs; run; run = run->next)
        n += run->server == server && sweep_is_for(run) ? run->unverified : 0;
    return n;
}

/* One that verifies, or looks ahead, goes on where the last one has come to; any other begins with the first
 * page, to learn how many there are. */
static void sweep_pass(struct sweep *sweep, unsigned pass)
{
    bool goes_on = sweep->kind <= SWEEP_VERIFY && sweep->known;
    sweep->pass = pass;
    sweep->counted = false;
    sweep->first = goes_on ? 0 : pass == 2 && sweep->linked ? sweep->known : 1;
    sweep->pages = goes_on ? sweep->known : 0;
    sweep->up = sweep->down = goes_on ? sweep->fresh - 1 : 0;
}

void sweep_begin(struct server *server, enum sweep_kind kind)
{
    struct sweep *sweep = &server->sweep;
    if (sweep->active || sweep->asking)
        return;
    if (server->in_doubt) /* what only verifies puts off no look for doubt that is still to come */
        sweep_schedule(server);
    sweep->arena = arena_new();
    sweep->active = sweep->arena && sweep_names(server) == 0;
    sweep->kind = kind;
    sweep->before = sweep_unverified(server);
    sweep->goal = kind == SWEEP_VERIFY ? sweep->before : 0;
    sweep->seen = sweep->verified = sweep->barren = 0;
    sweep->started_ms = server->engine->now.mono_ms;
    if (kind == SWEEP_AHEAD)
        sweep->ahead_ms = sweep->started_ms;
    sweep_pass(sweep, 1);
    if (!sweep->active)
        sweep_stop(server);
}

/* The next page downwards. The one that was read first to learn how many there are is not read again, unless
 * the pass is to prove something: jobs of the second page may have moved to it meanwhile. */
static unsigned sweep_down(const struct sweep *sweep)
{
    bool again = sweep->kind == SWEEP_PROVE && sweep->pass == 1 && sweep->pages > 1 && !sweep->linked;
    return sweep->down && sweep->down == sweep->first && !again ? sweep->down - 1 : sweep->down;
}

/* The page to ask for next; 0: none now. */
static unsigned sweep_page(const struct sweep *sweep)
{
    if (!sweep->pages)
        return sweep->asking ? 0 : sweep->first;
    if (sweep->up < sweep->pages)
        return sweep->up + 1;
    if (sweep->kind == SWEEP_AHEAD || !sweep->counted) /* there may be more upwards */
        return 0;
    return sweep_down(sweep);
}

/* A page that failed may be asked for once more, now. */
static bool sweep_again(const struct server *server)
{
    const struct sweep *sweep = &server->sweep;
    return sweep->n_again && server->engine->now.mono_ms >= sweep->again_ms;
}

/* How many pages at once: no more than what is left to verify may fill, and as many more as showed none of
 * it: what is left may be anywhere then. */
static size_t sweep_most(const struct server *server)
{
    const struct sweep *sweep = &server->sweep;
    size_t most = server_pages(server), per_page = sweep->page_size ? sweep->page_size : PAGE_SIZE;
    size_t left = sweep->goal > sweep->verified ? sweep->goal - sweep->verified : 0;
    size_t needed = left / per_page + 1 + sweep->barren;
    return sweep->goal && needed < most ? needed : most;
}

/* Has all been seen that it was begun for? */
static bool sweep_verified(const struct server *server)
{
    const struct sweep *sweep = &server->sweep;
    return sweep->goal && sweep->verified >= sweep->goal && !server->in_doubt;
}

/* With all seen no page more, unless none is under way: it ends with an answer. */
bool sweep_wants(const struct server *server)
{
    const struct sweep *sweep = &server->sweep;
    return sweep->active && !server->rolling && !(sweep->asking && sweep_verified(server)) &&
           sweep->asking < sweep_most(server) && (sweep_again(server) || sweep_page(sweep));
}

uint64_t sweep_due(const struct server *server)
{
    const struct sweep *sweep = &server->sweep;
    if (sweep_wants(server))
        return 0;
    if (!sweep->n_again || sweep->asking || server->rolling) /* an answer comes first */
        return INSTANT_NEVER;
    return sweep->again_ms;
}

void sweep_act(struct server *server)
{
    struct sweep *sweep = &server->sweep;
    while (sweep_wants(server) && server_room(server)) {
        struct exchange *e = exchange_new(server, EXCHANGE_SWEEP, HTTP_GET);
        if (!e)
            return;
        bool again = sweep_again(server);
        unsigned page = again ? sweep->again[sweep->n_again - 1] : sweep_page(sweep);
        e->number = page;
        buf_printf(&e->path, "/api/query?type=Job&format=Entities&pageSize=%d&page=%u", PAGE_SIZE, page);
        if (exchange_start(e) < 0)
            return;
        sweep->asking++;
        if (again)
            sweep->n_again--;
        else if (page > sweep->up)
            sweep->up = page;
        else if (sweep->pages)
            sweep->down = page - 1;
    }
}

static struct found *sweep_found(struct sweep *sweep, const char *mark)
{
    uint32_t known = table_get(&sweep->marks, mark);
    if (known != TABLE_NONE)
        return &sweep->found[known];
    if (sweep->n_found == sweep->size_found) {
        size_t size = sweep->size_found ? sweep->size_found * 2 : 16;
        struct found *all = realloc(sweep->found, size * sizeof(*all));
        if (!all)
            return NULL;
        sweep->found = all;
        sweep->size_found = size;
    }
    struct found *found = &sweep->found[sweep->n_found];
    *found = (struct found){.mark = arena_str(sweep->arena, mark)};
    if (!found->mark || table_put(&sweep->marks, found->mark, (uint32_t)sweep->n_found) < 0)
        return NULL;
    sweep->n_found++;
    return found;
}

static void sweep_verify(struct run *run, uint32_t slot, const struct item *item,
                         const struct seen_entity *job)
{
    const char *id = item->job_uid ? strrchr(item->job_uid, ':') : NULL;
    struct item_event verified = {.kind = ITEM_EVENT_VERIFIED};
    if (item->verified || run->phase == PHASE_ENDED || !id || strcmp(id + 1, job->id) != 0 ||
        strcmp(item->name, job->name) != 0)
        return;
    run->server->sweep.verified += sweep_is_for(run) && item->since_ms <= run->server->sweep.started_ms;
    engine_emit(run->engine, run, slot, &verified);
}

const char *sweep_met(const struct run *run, uint32_t slot, const char *job_id)
{
    const char *met = run->slots[slot].met;
    return met && strcmp(strrchr(met, ':') + 1, job_id) == 0 ? met : NULL;
}

/* The end of its task is not known yet, but the clone is there. */
static void sweep_meet(struct run *run, uint32_t slot, const struct item *item, const struct seen_entity *job)
{
    if (strcmp(item->name, job->name) == 0 && !sweep_met(run, slot, job->id))
        run->slots[slot].met = run_job_uid(run, job->id); /* without memory for it it is looked for later */
}

void sweep_recall(struct run *run, uint32_t slot)
{
    struct sweep *sweep = &run->server->sweep;
    const struct item *item = slot_decided(run->engine, &run->slots[slot]);
    struct item_event verified = {.kind = ITEM_EVENT_VERIFIED};
    sweep->verified += sweep->active && sweep_is_for(run) && item->since_ms <= sweep->started_ms;
    engine_emit(run->engine, run, slot, &verified);
}

/* A job with a mark of one of our runs. */
static bool sweep_marked(struct server *server, const struct seen_entity *job)
{
    char run_id[27], mark[ITEM_MARK_MAX];
    uint32_t slot;
    if (!item_mark_parse(job->description, run_id, &slot))
        return true;
    server->sweep.marked = true;
    struct run *run = engine_find_run(server->engine, run_id);
    if (!run || run->server != server || slot >= run->n)
        return true;
    const struct item *item = slot_decided(server->engine, &run->slots[slot]);
    if (item->state == ITEM_SUCCEEDED)
        sweep_verify(run, slot, item, job);
    else if (item->state == ITEM_RUNNING || item->state == ITEM_SUBMITTING)
        sweep_meet(run, slot, item, job);
    bool late = item->state == ITEM_FAILED && item->error == ITEM_E_TASK_TIMEOUT && run->phase != PHASE_ENDED;
    if ((item->state != ITEM_IN_DOUBT && !late) || !item->server_id ||
        strcmp(item->server_id, job->server_id) != 0)
        return true;
    item_mark(mark, run_id, slot);
    struct found *found = sweep_found(&server->sweep, mark);
    if (!found)
        return false;
    bool exact = strcmp(item->name, job->name) == 0;
    bool again =
        found->job_id && strcmp(found->job_id, job->id) == 0; /* second pass, or a page that shifted */
    if (!again && exact)
        found->exact++;
    else if (!again)
        found->other++;
    if (!found->job_id || (exact && !again))
        found->job_id = arena_str(server->sweep.arena, job->id);
    return found->job_id != NULL;
}

static void sweep_stranger(struct server *server, const struct seen_entity *job)
{
    struct buf key = BUF_INIT(64 * 1024);
    buf_printf(&key, "%s\n%s", job->server_id, job->name);
    bool known = !key.error && table_key(&server->sweep.strangers, buf_str(&key)) != NULL;
    const char *copy = known ? NULL : arena_str(server->sweep.arena, buf_whole(&key));
    if (!known && (!copy || table_put(&server->sweep.strangers, copy, 1) < 0))
        engine_out_of_memory();
    buf_done(&key);
}

static void sweep_tell(struct server *server, const struct found *found)
{
    char run_id[27];
    uint32_t slot;
    struct run *run =
        item_mark_parse(found->mark, run_id, &slot) ? engine_find_run(server->engine, run_id) : NULL;
    if (!run || run->phase == PHASE_ENDED)
        return; /* it has ended meanwhile */
    struct item_event event = {.kind = ITEM_EVENT_FOUND,
                               .job_uid = run_job_uid(run, found->job_id ? found->job_id : "")};
    if (!event.job_uid)
        engine_out_of_memory();
    const struct item *item = slot_decided(server->engine, &run->slots[slot]);
    if (found->exact > 1 || (found->exact == 0 && found->other > 1)) {
        event.kind = ITEM_EVENT_UNSETTLED;
        event.error = ITEM_E_UNSETTLED;
        event.message =
            arena_intern(run->plan->arena, "several jobs carry this item's mark; see which is wanted");
    }
    uint32_t bs = item->server_id ? table_get(&server->backup_server_ids, item->server_id) : TABLE_NONE;
    if (bs != TABLE_NONE)
        server->backup_servers[bs].shown_ms = server->engine->now.mono_ms;
    engine_emit(server->engine, run, slot, &event);
}

static void sweep_end(struct server *server)
{
    struct sweep *sweep = &server->sweep;
    for (size_t i = 0; i < sweep->n_found; i++)
        if (sweep->found[i].exact || sweep->kind >= SWEEP_FIND) /* of part of the list none is the only one */
            sweep_tell(server, &sweep->found[i]);
    sweep->failures = 0;
    sweep->retry_ms = 0;
    if (sweep->kind != SWEEP_AHEAD) {
        sweep->jobs = sweep->seen;
        sweep->missed = sweep->before > sweep->verified ? sweep->before - sweep->verified : 0;
        sweep_done(server);
    }
    sweep_stop(server);
}

/* How many pages there are, as the first and the last one tell, or whether there is a next one, where that is
 * all they tell. It may grow meanwhile; what is to be verified is there already. False when there are fewer
 * than were known. */
static bool sweep_count(struct sweep *sweep, unsigned page, const struct api_paging *paging)
{
    bool begins = !sweep->pages;
    if (begins)
        sweep->pages = page;
    if (page == sweep->pages && !(sweep->goal && sweep->counted && paging->pages)) {
        sweep->counted = true;
        if (paging->given && paging->pages && paging->pages < page)
            return false;
        if (paging->given && paging->pages > sweep->pages)
            sweep->pages = paging->pages;
        else if (paging->given && paging->has_next)
            sweep->pages++;
        sweep->linked |= paging->given && paging->has_next && !paging->pages;
        sweep->page_size = paging->given ? paging->page_size : 0;
    }
    if (begins && (sweep->pass == 1 || sweep->linked)) /* else the second one goes upwards */
        sweep->down = sweep->up = sweep->pages;
    return true;
}

/* An item has succeeded. One of the very moment of its beginning is the sweep's too. */
void sweep_succeeded(struct run *run, const struct item *item)
{
    struct sweep *sweep = &run->server->sweep;
    sweep->goal += sweep->active && sweep->goal && sweep_is_for(run) && item->since_ms <= sweep->started_ms;
}

/* The server answers, but not with its jobs, or it answers others, but not this: tried again after a growing
 * wait, and not waited for without end. */
static void sweep_useless(struct server *server, bool answered)
{
    struct sweep *sweep = &server->sweep;
    uint64_t now = server->engine->now.mono_ms, wait = SWEEP_MIN_MS, at = sweep->started_ms;
    for (unsigned i = 0; i < sweep->failures && wait < SWEEP_MAX_MS; i++)
        wait *= 2;
    if (!sweep->failures++)
        sweep->useless_ms = at;
    sweep->retry_ms = now + (wait < SWEEP_MAX_MS ? wait : SWEEP_MAX_MS);
    sweep_stop(server);
    doubt_unread(server, at, answered);
}

static void sweep_next(struct server *server, unsigned page, const struct api_paging *paging)
{
    struct sweep *sweep = &server->sweep;
    bool fewer = !sweep_count(sweep, page, paging), other = paging->page && paging->page != page;
    sweep->several |= sweep->pages > 1; /* then one page that is said to be all proves nothing alone */
    if (fewer || other || sweep->pages > PAGES_MAX) {
        sweep->known = 0; /* begun anew from the first page */
        if (fewer && !sweep->first)
            sweep_stop(server); /* jobs have been deleted since the look before */
        else
            sweep_useless(server, true); /* a list without an end, or that contradicts itself, says nothing,
                                            nor do other pages than were asked for */
        return;
    }
    bool whole = !sweep->n_again && !sweep_page(sweep);
    if (sweep->asking || !(whole || sweep_verified(server)))
        return;
    if (sweep->pass == 2 && sweep->pages < sweep->known) {
        sweep_useless(server, true); /* fewer than in the first pass: was this one of the whole list? */
        return;
    }
    sweep->known = sweep->n_again ? 0 : sweep->pages;
    sweep->fresh = sweep->up < sweep->pages ? sweep->up + 1 : sweep->pages;
    if (sweep->kind == SWEEP_PROVE && sweep->pass == 1 && sweep->several)
        sweep_pass(sweep, 2);
    else
        sweep_end(server);
}

/* Is the page to be asked for once more? Not where the list itself is refused, nor too often. */
static bool sweep_asks_again(struct server *server, unsigned page, enum fault fault)
{
    struct sweep *sweep = &server->sweep;
    bool passes = fault == FAULT_LOST || fault == FAULT_AUTH || fault == FAULT_BUSY ||
                  fault == FAULT_OVERLOAD || fault == FAULT_SERVER || fault == FAULT_GARBLED;
    if (!passes || !sweep->pages || sweep->kind == SWEEP_PROVE || sweep->n_again == SWEEP_AGAIN_MAX ||
        sweep->faults >= FAULTS_FREE + sweep->read / FAULTS_OF)
        return false;
    sweep->faults++;
    sweep->again[sweep->n_again++] = page;
    sweep->again_ms = server->engine->now.mono_ms + SWEEP_MIN_MS;
    return true;
}

/* Half a list says nothing: it is begun anew. Where the server was not reached, as soon as it is. */
static void sweep_failed(struct server *server, unsigned page, enum fault fault)
{
    if (sweep_asks_again(server, page, fault))
        return;
    bool away = fault == FAULT_UNSENT || fault == FAULT_TLS || fault == FAULT_ABORTED;
    bool answered =
        fault == FAULT_REFUSED || fault == FAULT_ABSENT || fault == FAULT_SERVER || fault == FAULT_GARBLED;
    server->sweep.known = 0;
    if (away)
        sweep_stop(server);
    else
        sweep_useless(server, answered);
}

void sweep_reply(struct exchange *e)
{
    struct server *server = e->server;
    server->sweep.asking--;
    if (!server->sweep.active)
        return;
    enum fault fault = exchange_fault(e);
    if (fault != FAULT_NONE) {
        sweep_failed(server, e->number, fault);
        return;
    }
    size_t verified = server->sweep.verified;
    server->sweep.read++;
    server->sweep.seen += e->n_seen;
    for (size_t i = 0; i < e->n_entities; i++) {
        const struct seen_entity *job = &e->entities[i];
        if (job->kind != API_ENTITY_JOB)
            continue;
        if (table_key(&server->sweep.strangers, job->name))
            sweep_stranger(server, job);
        if (!sweep_marked(server, job)) {
            sweep_stop(server);
            return;
        }
    }
    server->sweep.barren = server->sweep.verified == verified ? server->sweep.barren + 1 : 0;
    sweep_next(server, e->number, &e->doc.paging);
}
