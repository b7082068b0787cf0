/* Doubt is settled by asking, never by guessing (wire reference 8.4, contract
 * 6.1). Finding is cheap and tried often (look.c, sweep.c). Absence is believed
 * only when `settle` has passed since the doubt arose and since the job list
 * last showed a clone in doubt of that backup server, a collection was accepted
 * in the second half of that time and has had as long to end, a whole sweep that
 * began after all this lacks the mark, and the session's list of tasks, read
 * after `settle`, shows no unfinished clone without owner. Where this cannot be
 * had, the item ends as unknown: no doubt lasts for ever. */
#include <string.h>

#include "engine/parts.h"

#define COLLECT_GAP_MS 30000
#define COLLECT_REFUSALS_MAX 3
#define VERIFY_MIN 1000
#define SHARE 32 /* this part of the requests in flight is for a sweep while clones wait for a place */

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

/* The session's tasks, as listed after `settle`: does each clone have its owner? */
static bool doubt_listed(const struct server *server, uint64_t base)
{
    return !server->orphans && server->listed_ms >= base + server->settings->settle_ms;
}

/* Was a collection accepted in the second half of `settle`, and has it had as long to end? */
static bool doubt_is_collected(const struct server *server, const struct backup_server *bs, uint64_t base,
                               uint64_t at)
{
    uint64_t half = server->settings->settle_ms / 2;
    for (size_t i = 0; i < COLLECTIONS_KEPT; i++)
        if (bs->accepted[i] && bs->accepted[i] >= base + half && bs->accepted[i] + half <= at)
            return true;
    return false;
}

/* May a sweep that began at `at` prove this item absent? */
static bool doubt_ripe(const struct server *server, const struct backup_server *bs, const struct item *item,
                       uint64_t at)
{
    uint64_t base = doubt_base(bs, item);
    return at >= base + server->settings->settle_ms && doubt_is_collected(server, bs, base, at) &&
           doubt_listed(server, base);
}

/* Why absence will not be proven, or NULL while it still may. What can change is waited for as
 * long as a task may take, or `settle` once more, in which the server could be asked. */
static const char *doubt_hopeless(const struct run *run, const struct backup_server *bs,
                                  const struct item *item, uint64_t at)
{
    const struct server *server = run->server;
    uint64_t settle = server->settings->settle_ms, base = doubt_base(bs, item);
    uint64_t patience = max_u64(settle, run->plan->task_timeout_ms);
    if (at < base + settle)
        return NULL;
    if (bs->refusals >= COLLECT_REFUSALS_MAX)
        return "not found, and the server refuses to collect: absence cannot be proven";
    if (server->list_refused)
        return "not found, and the server does not list its tasks: absence cannot be proven";
    if (at < max_u64(base + settle, server->back_ms) + patience)
        return NULL;
    if (!doubt_is_collected(server, bs, base, at))
        return "not found, and no collection is accepted: absence cannot be proven";
    if (server->orphans)
        return "not found, but a clone task that belongs to nobody does not end: absence cannot be proven";
    return "not found, and the list of tasks cannot be read: absence cannot be proven";
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
    if (key.error)
        engine_out_of_memory();
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
    bool stranger = !item->never_again && doubt_stranger(run->server, item);
    if (stranger && !run->server->sweep.marked) {
        doubt_unsettled(run, slot,
                        "a job of that name is there, but no job on this server carries a mark: "
                        "whose it is cannot be told");
        return;
    }
    if (stranger) {
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
    const char *hopeless = doubt_hopeless(run, bs, item, at);
    if (item->never_again) {
        doubt_absent(run, slot, item);
    } else if (run->no_more == ITEM_E_RUN_TIMEOUT) {
        doubt_unsettled(run, slot, "not found when the run's time was over");
    } else if (server->sweep.kind == SWEEP_PROVE && doubt_ripe(server, bs, item, at)) {
        if (server->mark_lost[item->kind])
            doubt_unsettled(run, slot,
                            "not found, but this server drops descriptions: absence cannot be proven");
        else
            doubt_absent(run, slot, item);
    } else if (server->sweep.kind == SWEEP_PROVE && hopeless) {
        doubt_unsettled(run, slot, hopeless);
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

/* A sweep that began at `at` was answered with what cannot be used, and those before it were not after
 * `from`. Neither doubt nor a run that is over waits for such a list without end. */
static void doubt_give_up(struct run *run, uint32_t slot, uint64_t at, uint64_t from)
{
    const struct server *server = run->server;
    const struct item *item = slot_decided(run->engine, &run->slots[slot]);
    if (item->state != ITEM_IN_DOUBT || item->since_ms >= at)
        return;
    uint64_t settle = server->settings->settle_ms, base = doubt_base(doubt_server(run, slot), item);
    uint64_t patience = max_u64(settle, run->plan->task_timeout_ms);
    if (run->no_more == ITEM_E_RUN_TIMEOUT)
        doubt_unsettled(run, slot, "the list of jobs could not be read when the run's time was over");
    else if (server->sweep.failures >= LIST_FAILURES_MIN &&
             at >= max_u64(max_u64(base + settle, server->back_ms), from) + patience)
        doubt_unsettled(run, slot, "the list of jobs cannot be read: absence cannot be proven");
}

/* One that is not answered may be lost in an outage. Where others are answered meanwhile, again and again, it
 * is the list that is not to be had: such as takes longer than `timeouts.request`. */
static bool doubt_outage(const struct server *server, uint64_t at)
{
    const struct sweep *sweep = &server->sweep;
    return sweep->failures < LIST_FAILURES_MIN ||
           at < max_u64(sweep->useless_ms, server->back_ms) + server->settings->unreachable_ms;
}

void doubt_unread(struct server *server, uint64_t at, bool answered)
{
    server->doubt_ms = 0;
    if (!answered && doubt_outage(server, at))
        return;
    for (struct run *run = server->engine->runs; run; run = run->next) {
        if (run->server != server)
            continue;
        uint32_t slot = run->in_state[ITEM_IN_DOUBT].first;
        for (size_t n = run->in_state[ITEM_IN_DOUBT].n; n > 0; n--, slot = run->slots[slot].next)
            doubt_give_up(run, slot, at, answered ? 0 : server->sweep.useless_ms);
        uint64_t since_ms = max_u64(max_u64(server->sweep.useless_ms, server->back_ms),
                                    run->closing_ms); /* not before it was over */
        if (run->phase == PHASE_CLOSING && at >= since_ms + server->settings->unreachable_ms)
            run->closing_sweeps = CLOSING_SWEEPS_MAX;
    }
}

/* ---- collections ---- */

void doubt_collected(struct exchange *e)
{
    struct backup_server *bs = &e->server->backup_servers[e->number];
    uint64_t now = e->server->engine->now.mono_ms, settle = e->server->settings->settle_ms;
    enum fault fault = exchange_fault(e);
    bs->asking = false;
    if (fault == FAULT_NONE) {
        bs->accepted_ms = e->started_ms ? e->started_ms : 1;
        bs->accepted[bs->n_accepted++ % COLLECTIONS_KEPT] = bs->accepted_ms;
        bs->refusals = bs->failures = 0;
        bs->ask_due_ms = now + min_u64(settle / 4, max_u64(COLLECT_GAP_MS, settle / 64));
        return;
    }
    bs->failures++;
    if (fault == FAULT_REFUSED || fault == FAULT_ABSENT)
        bs->refusals++;
    bs->ask_due_ms = now + min_u64(1000u << min_u64(bs->failures, 5), COLLECT_GAP_MS);
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
    if (!doubt_looked_once(run, item) && !bs->asking && server_room(server) &&
        doubt_wants_collection(server, bs, item)) {
        if (now >= bs->ask_due_ms)
            doubt_collect(server, (uint32_t)(bs - server->backup_servers));
        else
            wish->due_ms = min_u64(wish->due_ms, bs->ask_due_ms);
    }
    if (doubt_looked_once(run, item) && item->since_ms < now)
        wish->sweep = true;
    if (doubt_ripe(server, bs, item, now) || doubt_hopeless(run, bs, item, now))
        wish->sweep = wish->proof = true;
    if (now < base + settle / 2)
        wish->due_ms = min_u64(wish->due_ms, base + settle / 2);
    else
        wish->due_ms = min_u64(wish->due_ms, max_u64(base + settle, now + min_u64(settle / 16 + 20, 1000)));
}

/* Enough has succeeded since the last sweep to look at it (design note 5); what that one did not show, on a
 * server that drops descriptions for one, will hardly be in the next. A share of what that one had to
 * read too: where new jobs are not among the last ones, reading the whole list again and again would cost
 * more than the clones. */
static bool doubt_verifies(const struct server *server)
{
    size_t unverified = sweep_unverified(server), missed = server->sweep.missed;
    size_t news = unverified > missed ? unverified - missed : 0;
    return !server->taking && news >= VERIFY_MIN && news >= server->sweep.jobs / 2;
}

/* No clone is left to send, and the last one was accepted so long ago that its short task has likely ended:
 * when the jobs that are new may be looked at beside the list of tasks that will tell. */
static uint64_t doubt_ahead_due(const struct server *server)
{
    const struct sweep *sweep = &server->sweep;
    uint64_t youngest = watch_youngest_ms(server);
    if (!youngest || youngest <= sweep->ahead_ms || !sweep->known || server->submits || server->in_doubt ||
        server->task_ms >= SHORT_TASK_MS || tidy_queued(server))
        return INSTANT_NEVER;
    return max_u64(youngest + server->least_ms, sweep->retry_ms);
}

/* Is this run's closing look due? */
static bool doubt_closes_run(const struct server *server, const struct run *run)
{
    return run->server == server && run->phase == PHASE_CLOSING && run->unverified &&
           server->engine->now.mono_ms >= run->closing_ms && run->closing_sweeps < CLOSING_SWEEPS_MAX;
}

static bool doubt_closes(const struct server *server)
{
    for (const struct run *run = server->engine->runs; run; run = run->next)
        if (doubt_closes_run(server, run))
            return true;
    return false;
}

/* A look that verifies need not read all, unless it may find something else: what is in doubt, or a clone
 * whose task was given up. */
static enum sweep_kind doubt_kind(const struct server *server)
{
    for (const struct run *run = server->engine->runs; run; run = run->next)
        if (doubt_closes_run(server, run) && run->count[ITEM_FAILED])
            return SWEEP_FIND;
    return server->in_doubt ? SWEEP_FIND : SWEEP_VERIFY;
}

void doubt_act(struct server *server)
{
    uint64_t now = server->engine->now.mono_ms;
    struct doubt_wish wish = {.due_ms = INSTANT_NEVER};
    look_back_act(server);
    if (server->in_doubt && now >= server->doubt_ms) {
        for (struct run *run = server->engine->runs; run; run = run->next) {
            uint32_t at = run->in_state[ITEM_IN_DOUBT].first;
            for (size_t n = run->server == server ? run->in_state[ITEM_IN_DOUBT].n : 0; n > 0;
                 n--, at = run->slots[at].next)
                doubt_wish_of(run, at, &wish);
        }
        server->doubt_ms = max_u64(min_u64(wish.due_ms, server->sweep.due_ms), now + 20);
    }
    if (!server->sweep.active && now >= server->sweep.retry_ms) {
        if (wish.sweep)
            sweep_begin(server, wish.proof ? SWEEP_PROVE : SWEEP_FIND);
        else if (doubt_closes(server) || doubt_verifies(server))
            sweep_begin(server, doubt_kind(server));
        else if (server->in_doubt && now >= server->sweep.due_ms && !look_by_name(server))
            sweep_begin(server, SWEEP_FIND);
        else if (now >= doubt_ahead_due(server))
            sweep_begin(server, SWEEP_AHEAD);
    }
    sweep_act(server);
}

uint64_t doubt_due(const struct server *server)
{
    uint64_t due = INSTANT_NEVER;
    if (look_wants_back(server))
        return 0;
    if (server->sweep.active || server->sweep.asking)
        return sweep_due(server);
    if (doubt_verifies(server))
        return server->sweep.retry_ms;
    if (server->in_doubt)
        due = min_u64(server->doubt_ms, server->sweep.due_ms);
    for (const struct run *run = server->engine->runs; run; run = run->next)
        if (run->server == server && run->phase == PHASE_CLOSING && run->unverified &&
            run->closing_sweeps < CLOSING_SWEEPS_MAX)
            due = min_u64(due, run->closing_ms);
    due = min_u64(due, doubt_ahead_due(server));
    return max_u64(due, server->sweep.retry_ms);
}

/* A list may have hundreds of pages: the only place there is goes to a page and a clone request in turn. */
unsigned doubt_share(const struct server *server)
{
    unsigned limit = limit_now(&server->limit);
    if (limit == 1 && server->swept)
        return 0;
    if (sweep_wants(server))
        return limit / SHARE + 1;
    return doubt_due(server) <= server->engine->now.mono_ms;
}
