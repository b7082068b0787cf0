/* Doubt is settled by asking, never by guessing (wire reference 8.4, contract
 * 6.1). Finding is cheap and tried often: the orphans of a session that lives,
 * and sweeps. Absence is believed only when `settle` has passed since the doubt
 * arose and since the job list last showed a clone in doubt of that backup
 * server, a collection was accepted in the second half of that time, a whole
 * sweep that began after both lacks the mark, and the session shows no
 * unfinished clone task without owner. */
#include <string.h>

#include "base/log.h"
#include "engine/parts.h"

#define COLLECT_GAP_MS 30000
#define COLLECT_REFUSALS_MAX 3

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct backup_server *doubt_server(struct run *run, uint32_t slot)
{
    return &run->server->backup_servers[run->sources[run->slots[slot].source].server];
}

/* When the item's settle time begins. */
static uint64_t doubt_base(const struct backup_server *bs, const struct item *item)
{
    return max_u64(item->since_ms, bs->shown_ms);
}

/* May a sweep that began at `at` prove this item absent? */
static bool doubt_ripe(const struct server *server, const struct backup_server *bs, const struct item *item,
                       uint64_t at)
{
    uint64_t settle = server->settings->settle_ms, base = doubt_base(bs, item);
    if (at < base + settle || bs->accepted_ms < base + settle / 2 || !bs->accepted_ms)
        return false;
    if (at < bs->accepted_ms + min_u64(settle / 4, COLLECT_GAP_MS))
        return false; /* the collection must have had its time */
    return server->orphans == 0 && (server->unlisted || server->listed_ms >= base + settle);
}

static bool doubt_hopeless(const struct server *server, const struct backup_server *bs,
                           const struct item *item, uint64_t at)
{
    return bs->refusals >= COLLECT_REFUSALS_MAX && at >= doubt_base(bs, item) + server->settings->settle_ms;
}

static bool doubt_looked_once(const struct run *run, const struct item *item)
{
    return item->never_again || run->no_more == ITEM_E_RUN_TIMEOUT;
}

/* ---- after a whole sweep ---- */

static bool doubt_stranger(const struct server *server, const struct item *item)
{
    struct buf key = BUF_INIT(64 * 1024);
    buf_printf(&key, "%s\n%s", item->server_id, item->name);
    bool is = table_key(&server->sweep.strangers, buf_str(&key)) != NULL;
    buf_done(&key);
    return is;
}

static void doubt_unsettled(struct run *run, uint32_t slot, const char *why)
{
    struct item_event event = {.kind = ITEM_EVENT_UNSETTLED, .error = ITEM_E_UNSETTLED};
    event.message = arena_intern(run->plan->arena, why);
    engine_emit(run->engine, run, slot, &event);
}

static void doubt_absent(struct run *run, uint32_t slot, const struct item *item)
{
    struct item_event event = {.kind = ITEM_EVENT_ABSENT, .no_more = run->no_more != ITEM_OK};
    if (!item->never_again && doubt_stranger(run->server, item)) {
        event = (struct item_event){.kind = ITEM_EVENT_REFUSED, .error = ITEM_E_NAME_CONFLICT};
        event.message =
            arena_intern(run->plan->arena, "a job of that name without this item's mark is there now");
    } else if (item->never_again) {
        event.message =
            arena_intern(run->plan->arena, "the task did not end in time and no job carries the mark");
    } else {
        event.message = arena_intern(run->plan->arena, "the request was not carried out");
    }
    engine_emit(run->engine, run, slot, &event);
}

static void doubt_judge(struct run *run, uint32_t slot)
{
    struct server *server = run->server;
    const struct item *item = slot_decided(run->engine, &run->slots[slot]);
    uint64_t at = server->sweep.started_ms;
    if (item->state != ITEM_IN_DOUBT || item->since_ms >= at)
        return; /* a look speaks only for doubt that is older */
    const struct backup_server *bs = doubt_server(run, slot);
    if (item->never_again) {
        doubt_absent(run, slot, item);
    } else if (run->no_more == ITEM_E_RUN_TIMEOUT) {
        doubt_unsettled(run, slot, "not found when the run's time was over");
    } else if (doubt_hopeless(server, bs, item, at)) {
        doubt_unsettled(run, slot, "not found, and the server refuses to collect: absence cannot be proven");
    } else if (server->sweep.proof && doubt_ripe(server, bs, item, at)) {
        if (server->mark_lost[item->kind])
            doubt_unsettled(run, slot,
                            "not found, but this server drops descriptions: absence cannot be proven");
        else
            doubt_absent(run, slot, item);
    }
}

static void doubt_closing(struct run *run, uint64_t sweep_started_ms)
{
    if (run->phase != PHASE_CLOSING || sweep_started_ms < run->closing_ms)
        return;
    run->closing_sweeps++;
    run->closing_ms = run->engine->now.mono_ms + 1000u * (1u << run->closing_sweeps);
}

void sweep_done(struct server *server)
{
    for (struct run *run = server->engine->runs; run; run = run->next) {
        if (run->server != server)
            continue;
        uint32_t at = run->in_state[ITEM_IN_DOUBT].first;
        for (size_t n = run->in_state[ITEM_IN_DOUBT].n; n > 0; n--, at = run->slots[at].next)
            doubt_judge(run, at);
        doubt_closing(run, server->sweep.started_ms);
    }
    server->doubt_ms = 0;
}

/* ---- looks at single jobs ---- */

static void doubt_orphan(struct exchange *e)
{
    struct server *server = e->server;
    uint32_t place = table_get(&server->tasks, e->task_id);
    server->looks--;
    if (place == TABLE_NONE)
        return; /* that session is gone */
    struct task_owner *owner = &server->task_owners[place];
    owner->state = TASK_ORPHAN;
    char run_id[27];
    uint32_t slot;
    if (exchange_fault(e) != FAULT_NONE || e->n_entities != 1)
        return; /* not readable yet: looked at again with the next list */
    const struct seen_entity *job = &e->entities[0];
    struct run *run =
        item_mark_parse(job->description, run_id, &slot) ? engine_find_run(server->engine, run_id) : NULL;
    if (!run || slot >= run->n) {
        owner->state = TASK_DONE; /* not ours */
        return;
    }
    const struct item *item = slot_decided(server->engine, &run->slots[slot]);
    if (item->state == ITEM_SUBMITTING)
        return; /* its answer is still on the way */
    owner->state = TASK_DONE;
    if (item->state != ITEM_IN_DOUBT || strcmp(item->name, job->name) != 0)
        return; /* another name: a sweep decides */
    struct buf uid = BUF_INIT(256);
    buf_printf(&uid, "urn:veeam:Job:%s", job->id);
    struct item_event found = {.kind = ITEM_EVENT_FOUND,
                               .job_uid = arena_str(run->plan->arena, buf_str(&uid))};
    buf_done(&uid);
    engine_emit(server->engine, run, slot, &found);
    heap_push(&server->tidy, 0, place);
}

static void doubt_was_read_back(struct exchange *e)
{
    const struct item *item = &e->run->slots[e->number].item;
    enum job_kind kind = item->kind;
    if (exchange_fault(e) != FAULT_NONE || e->n_entities != 1) {
        e->server->read_back[kind] = false; /* the next clone is read instead */
        return;
    }
    e->server->mark_lost[kind] = !item_mark_matches(e->entities[0].description, e->run->id, e->number);
    if (e->server->mark_lost[kind])
        log_warning("server %s does not keep descriptions of %s clones: lost answers cannot be settled there",
                    e->server->settings->name, job_kind_name(kind));
}

void doubt_look(struct exchange *e)
{
    if (e->task_id)
        doubt_orphan(e);
    else
        doubt_was_read_back(e);
}

/* The first clone of each kind and session is read back: is its mark kept? */
void doubt_read_back(struct server *server, struct run *run, uint32_t slot)
{
    const struct item *item = &run->slots[slot].item;
    const char *id = item->job_uid ? strrchr(item->job_uid, ':') : NULL;
    if (server->read_back[item->kind] || item->recovered || !id || !server_ready(server))
        return;
    struct exchange *e = exchange_new(server, EXCHANGE_LOOK, HTTP_GET);
    if (!e)
        return;
    e->run = run;
    e->number = slot;
    buf_printf(&e->path, "/api/jobs/%s?format=Entity", id + 1);
    if (exchange_start(e) == 0)
        server->read_back[item->kind] = true;
}

/* ---- collections ---- */

void doubt_collected(struct exchange *e)
{
    struct backup_server *bs = &e->server->backup_servers[e->number];
    uint64_t now = e->server->engine->now.mono_ms;
    enum fault fault = exchange_fault(e);
    bs->asking = false;
    if (fault == FAULT_NONE) {
        bs->accepted_ms = e->started_ms ? e->started_ms : 1;
        bs->refusals = 0;
        bs->ask_due_ms = now + min_u64(e->server->settings->settle_ms / 4, COLLECT_GAP_MS);
        return;
    }
    if (fault == FAULT_REFUSED)
        bs->refusals++;
    bs->ask_due_ms = now + min_u64(1000u << min_u64(bs->refusals, 5), COLLECT_GAP_MS);
}

static void doubt_collect(struct server *server, uint32_t number)
{
    struct backup_server *bs = &server->backup_servers[number];
    struct exchange *e = exchange_new(server, EXCHANGE_COLLECT, HTTP_POST);
    if (!e)
        return;
    e->number = number;
    buf_printf(&e->path, "/api/backupServers/%s?action=collect", bs->id);
    if (exchange_start(e) == 0)
        bs->asking = true;
}

/* Is a collection wanted for this item: one at once, one in the second half of its time? */
static bool doubt_wants_collection(const struct server *server, const struct backup_server *bs,
                                   const struct item *item)
{
    uint64_t half = doubt_base(bs, item) + server->settings->settle_ms / 2;
    if (bs->accepted_ms < item->since_ms || !bs->accepted_ms)
        return true;
    return server->engine->now.mono_ms >= half && bs->accepted_ms < half;
}

/* ---- acting ---- */

/* What the items in doubt ask for together. */
struct doubt_wish {
    bool sweep, proof;
    uint64_t due_ms;
};

static void doubt_wish_of(struct run *run, uint32_t slot, struct doubt_wish *wish)
{
    struct server *server = run->server;
    uint64_t now = server->engine->now.mono_ms, settle = server->settings->settle_ms;
    const struct item *item = &run->slots[slot].item;
    struct backup_server *bs = doubt_server(run, slot);
    uint64_t base = doubt_base(bs, item);
    if (!doubt_looked_once(run, item) && !bs->asking && doubt_wants_collection(server, bs, item)) {
        if (now >= bs->ask_due_ms)
            doubt_collect(server, (uint32_t)(bs - server->backup_servers));
        else
            wish->due_ms = min_u64(wish->due_ms, bs->ask_due_ms);
    }
    if (doubt_looked_once(run, item) && item->since_ms < now)
        wish->sweep = true;
    if (doubt_ripe(server, bs, item, now) || doubt_hopeless(server, bs, item, now))
        wish->sweep = wish->proof = true;
    if (now < base + settle / 2)
        wish->due_ms = min_u64(wish->due_ms, base + settle / 2);
    else
        wish->due_ms = min_u64(wish->due_ms, max_u64(base + settle, now + min_u64(settle / 16 + 20, 1000)));
}

void doubt_act(struct server *server)
{
    uint64_t now = server->engine->now.mono_ms;
    struct doubt_wish wish = {.due_ms = INSTANT_NEVER};
    bool closing = false;
    if (server->in_doubt && now >= server->doubt_ms) {
        for (struct run *run = server->engine->runs; run; run = run->next) {
            uint32_t at = run->in_state[ITEM_IN_DOUBT].first;
            for (size_t n = run->server == server ? run->in_state[ITEM_IN_DOUBT].n : 0; n > 0;
                 n--, at = run->slots[at].next)
                doubt_wish_of(run, at, &wish);
        }
        server->doubt_ms = max_u64(min_u64(wish.due_ms, server->sweep.due_ms), now + 20);
    }
    for (struct run *run = server->engine->runs; run; run = run->next)
        closing |= run->server == server && run->phase == PHASE_CLOSING && now >= run->closing_ms &&
                   run->closing_sweeps < CLOSING_SWEEPS_MAX;
    if (!server->sweep.active && (wish.sweep || closing || (server->in_doubt && now >= server->sweep.due_ms)))
        sweep_begin(server, wish.proof);
    sweep_act(server);
}

uint64_t doubt_due(const struct server *server)
{
    uint64_t due = INSTANT_NEVER;
    if (server->sweep.active)
        return server->sweep.asking ? INSTANT_NEVER : 0;
    if (server->in_doubt)
        due = min_u64(server->doubt_ms, server->sweep.due_ms);
    for (const struct run *run = server->engine->runs; run; run = run->next)
        if (run->server == server && run->phase == PHASE_CLOSING && run->closing_sweeps < CLOSING_SWEEPS_MAX)
            due = min_u64(due, run->closing_ms);
    return due;
}
