/* Tasks: one poll for all of a session (wire reference 4.4), and single looks for
 * those that the list lacks. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/parts.h"

#define SINGLES_MAX 8
#define SINGLE_LEAST 5     /* tasks of a list cost as much as a request for one of them */
#define SINGLE_COST 20     /* so many must be saved by a request, unless clones wait for its end */
#define LISTED_PER_MS 10   /* tasks of a list that both sides read and write in a tenth of a millisecond */
#define SLICE 500          /* tasks of a list that are taken in one turn */
#define SLICE_ROLLING 2000 /* while no clone may leave that would have to wait for it */
#define ENDS_A_LIST 8      /* times the items at once: what is kept of a list, however long it is */
#define LATE_MS 200        /* the end may be seen so late, while clones wait for a place among the requests */
#define FEW 2              /* requests in flight */
#define POLL_FAILURES_MAX 3
#define UNLISTED_MS 60000 /* then the list is tried again */

/* ---- whose task is it ---- */

static struct task_owner *task_owner(struct server *server, const char *task_id)
{
    uint32_t at = table_get(&server->tasks, task_id);
    return at == TABLE_NONE ? NULL : &server->task_owners[at];
}

static struct task_owner *task_owner_add(struct server *server, const char *task_id)
{
    struct task_owner *known = task_owner(server, task_id);
    if (known)
        return known;
    if (server->n_task_owners == server->size_task_owners) {
        size_t size = server->size_task_owners ? server->size_task_owners * 2 : 64;
        struct task_owner *all = realloc(server->task_owners, size * sizeof(*all));
        if (!all)
            return NULL;
        server->task_owners = all;
        server->size_task_owners = size;
    }
    struct task_owner *owner = &server->task_owners[server->n_task_owners];
    *owner = (struct task_owner){.id = arena_str(server->task_ids, task_id), .slot = NO_SLOT};
    if (!owner->id || table_put(&server->tasks, owner->id, (uint32_t)server->n_task_owners) < 0)
        return NULL;
    server->n_task_owners++;
    return owner;
}

void watch_owner(struct server *server, const char *task_id, struct run *run, uint32_t slot)
{
    struct task_owner *owner = task_owner_add(server, task_id);
    if (!owner)
        engine_out_of_memory(); /* the list would show the task, and nobody would know whose it is */
    owner->state = TASK_OWNED;
    owner->run = run;
    owner->slot = slot;
}

/* Its item has left RUNNING and that is stored. A task that did not end then belongs to nobody any
 * more: it may still make the clone. */
void watch_task_end(struct server *server, const char *task_id)
{
    struct task_owner *owner = task_owner(server, task_id);
    if (owner && (owner->state == TASK_TIDY || owner->state == TASK_STOP))
        tidy_add(server, owner);
    else if (owner && owner->state == TASK_OWNED)
        owner->state = TASK_ORPHAN;
}

/* The operator wants unfinished tasks deleted: their items are in doubt then, and are looked for. */
void watch_stop_tasks(struct run *run)
{
    struct item_event gone = {.kind = ITEM_EVENT_TASK_GONE};
    uint32_t at = run->in_state[ITEM_RUNNING].first;
    for (size_t n = run->in_state[ITEM_RUNNING].n; n > 0; n--, at = run->slots[at].next) {
        const struct item *item = slot_decided(run->engine, &run->slots[at]);
        struct task_owner *owner =
            item->state == ITEM_RUNNING ? task_owner(run->server, item->task_id) : NULL;
        if (!owner)
            continue;
        owner->state = TASK_STOP; /* deleted when the doubt is stored */
        engine_emit(run->engine, run, at, &gone);
    }
}

/* The run is about to be freed: its tasks are nobody's. One that has not ended may still make a clone. */
void watch_disown(struct run *run)
{
    for (size_t i = 0; i < run->server->n_task_owners; i++) {
        struct task_owner *owner = &run->server->task_owners[i];
        if (owner->run != run)
            continue;
        owner->run = NULL;
        if (owner->state == TASK_OWNED)
            owner->state = TASK_ORPHAN;
    }
}

bool watch_has_orphans(const struct server *server)
{
    for (size_t i = 0; i < server->n_task_owners; i++)
        if (server->task_owners[i].state == TASK_ORPHAN || server->task_owners[i].state == TASK_LOOKING)
            return true;
    return server->orphans > 0;
}

void watch_forget(struct server *server)
{
    table_done(&server->tasks);
    heap_done(&server->tidy);
    server->n_task_owners = 0;
    arena_reset(server->task_ids);
    server->listed_ms = 0;
    server->orphans = server->n_listed = server->taking = 0;
}

/* ---- what a task says ---- */

/* It ended at some time since it was listed as unfinished: in the middle, as far as is known. */
static void task_took(struct server *server, const struct run *run, uint32_t slot, const struct item *item)
{
    uint64_t now = server->engine->now.mono_ms, took = now - item->since_ms;
    uint64_t least = server->listed_ms > item->since_ms ? server->listed_ms - item->since_ms : 0;
    server->task_ms = server->task_ms ? (server->task_ms * 7 + (took + least) / 2) / 8 : (took + least) / 2;
    server->least_ms = (server->least_ms * 7 + least) / 8;
    struct backup_server *bs = &server->backup_servers[run->sources[run->slots[slot].source].server];
    progress_ended(&bs->progress, item->since_ms, now);
    crowd_ended(&bs->crowd, item->since_ms, server->listed_ms, now, bs->unfinished);
}

static bool task_decides(struct server *server, struct run *run, uint32_t slot, const struct seen_task *task)
{
    const struct item *item = slot_decided(server->engine, &run->slots[slot]);
    if (item->state != ITEM_RUNNING || task->state != API_TASK_FINISHED ||
        strcmp(item->task_id, task->id) != 0)
        return false;
    struct item_event event = {.kind = ITEM_EVENT_TASK_OK};
    const char *met = NULL;
    if (!task->has_result) {
        event.kind = ITEM_EVENT_TASK_GONE; /* it ended, but how? looked for by its mark */
    } else if (!task->success) {
        event = (struct item_event){.kind = ITEM_EVENT_TASK_FAILED, .no_more = run->no_more != ITEM_OK};
        event.message = arena_intern(run->plan->arena, task->message ? task->message : "");
    } else if (!task->job_id) {
        event.kind = ITEM_EVENT_TASK_GONE; /* made, but which job? looked for by its mark */
    } else {
        met = sweep_met(run, slot, task->job_id);
        event.job_uid = met ? met : run_job_uid(run, task->job_id);
        if (!event.job_uid)
            return false; /* no memory for it: the next list shows it again */
    }
    task_took(server, run, slot, item);
    engine_emit(server->engine, run, slot, &event);
    if (met)
        sweep_recall(run, slot);
    return true;
}

/* A clone task that no item owns: perhaps that of an answer that was lost. */
static void task_orphan(struct server *server, const struct seen_task *task)
{
    if (!task->clone)
        return;
    if (task->state != API_TASK_FINISHED) {
        server->orphans++;
        server->orphans_listed++;
        return;
    }
    struct task_owner *owner = task_owner(server, task->id);
    if (owner && owner->state != TASK_ORPHAN)
        return;
    if (!server->in_doubt || server->looks >= SINGLES_MAX || !server_room(server) || !task->success ||
        !task->job_id)
        return;
    if (!owner && !(owner = task_owner_add(server, task->id)))
        return;
    struct exchange *e = exchange_new(server, EXCHANGE_LOOK, HTTP_GET);
    if (!e)
        return;
    e->task_id = arena_str(e->arena, owner->id); /* the session may end before it is answered */
    if (!e->task_id) {
        exchange_free(e);
        return;
    }
    owner->state = TASK_LOOKING;
    e->number = NO_SLOT;
    buf_printf(&e->path, "/api/jobs/%s?format=Entity", task->job_id);
    if (exchange_start(e) == 0)
        server->looks++;
    else
        owner->state = TASK_ORPHAN;
}

static void task_seen(struct server *server, const struct seen_task *task)
{
    struct task_owner *owner = task_owner(server, task->id);
    if (owner && owner->state == TASK_STOPPED && task->state == API_TASK_FINISHED)
        owner->state = TASK_ORPHAN; /* it was quicker than its deletion: what has it made? */
    if (!owner || owner->state == TASK_ORPHAN || owner->state == TASK_STOP || owner->state == TASK_STOPPED) {
        task_orphan(server, task);
        return;
    }
    if (owner->state == TASK_OWNED && task_decides(server, owner->run, owner->slot, task))
        owner->state = TASK_TIDY;
}

/* An end that is one too many for this list is in the next one too. */
static bool watch_lists_end(struct exchange *e)
{
    size_t most = (size_t)e->server->engine->config.items_at_once * ENDS_A_LIST;
    if (e->n_ended >= most || arena_size(e->arena) > SEEN_MAX / 2)
        return false;
    e->n_ended++;
    return true;
}

bool watch_lists(struct exchange *e, const struct api_task *task)
{
    struct task_owner *owner = task_owner(e->server, task->id);
    if (!owner)
        return true;
    owner->listed = e->number;
    switch (owner->state) {
    case TASK_OWNED:
        return task->state == API_TASK_FINISHED && watch_lists_end(e);
    case TASK_ORPHAN:
    case TASK_STOP:
    case TASK_STOPPED:
        return true;
    case TASK_TIDY:
    case TASK_DONE:
    case TASK_LOOKING:
        break;
    }
    return false;
}

/* ---- answers ---- */

/* Each but once in a round, or the first few would be asked for again and again. False when there was no
 * room for it. */
static bool ask_single(struct server *server, struct run *run, uint32_t slot, unsigned most)
{
    struct slot *s = &run->slots[slot];
    if (s->asked || s->round == server->rounds)
        return true;
    struct exchange *e = NULL;
    if (server->singles >= most || !server_room(server) ||
        !(e = exchange_new(server, EXCHANGE_TASK, HTTP_GET)))
        return false;
    e->run = run;
    e->number = slot;
    e->task_id = arena_str(e->arena, s->item.task_id);
    if (!e->task_id) {
        exchange_free(e);
        return false;
    }
    buf_printf(&e->path, "/api/tasks/%s", e->task_id);
    if (exchange_start(e) < 0)
        return false;
    s->asked = true;
    s->round = server->rounds;
    server->singles++;
    return true;
}

/* A task that was accepted before the list was asked for had its owner when the list arrived. */
static bool was_listed(struct server *server, const struct exchange *e, const struct item *item)
{
    const struct task_owner *owner = task_owner(server, item->task_id);
    return owner && owner->listed == e->number;
}

/* Asks for those of the session's running items that the list lacks. */
static void ask_missing(struct server *server, const struct exchange *e)
{
    bool all = true;
    for (struct run *run = server->engine->runs; run; run = run->next) {
        if (run->server != server)
            continue;
        uint32_t at = run->in_state[ITEM_RUNNING].first;
        size_t n = run->in_state[ITEM_RUNNING].n;
        for (; n > 0 && all; n--, at = run->slots[at].next) {
            const struct item *item = slot_decided(server->engine, &run->slots[at]);
            if (item->state == ITEM_RUNNING && item->since_ms < e->started_ms && !was_listed(server, e, item))
                all = ask_single(server, run, at, SINGLES_MAX);
        }
    }
    server->rounds += all;
}

static void watch_fault(struct server *server, enum fault fault)
{
    bool refused = fault == FAULT_REFUSED || fault == FAULT_ABSENT;
    if (refused || fault == FAULT_SERVER)
        server->unlisted = refused || ++server->poll_failures >= POLL_FAILURES_MAX;
    if (server->unlisted)
        server->unlisted_until_ms = server->engine->now.mono_ms + UNLISTED_MS;
    server->list_refused = refused || (server->list_refused && fault != FAULT_NONE);
}

/* Takes some of a list's tasks: what they change is stored before clones that wait can go on. True when all
 * have been taken. */
static bool watch_take(struct exchange *e)
{
    struct server *server = e->server;
    size_t slice = server->rolling ? SLICE_ROLLING : SLICE;
    for (size_t end = e->n_taken + slice; e->n_taken < e->n_tasks && e->n_taken < end; e->n_taken++)
        task_seen(server, &e->tasks[e->n_taken]);
    server->taking = e->n_tasks - e->n_taken;
    return !server->taking;
}

/* Is its session the present one, and still open? The next one may give the same ids again. */
static bool watch_in_session(const struct exchange *e)
{
    const struct session *session = &e->server->session;
    return e->serial == session->serial && session->state == SESSION_OPEN;
}

/* A list that is cut off or garbled changes nothing. True when it has been taken. */
static bool watch_listed(struct exchange *e, enum fault fault)
{
    struct server *server = e->server;
    if (!e->n_taken)
        watch_fault(server, fault);
    if (!e->n_taken && fault == FAULT_NONE)
        server->orphans_listed = server->poll_failures = 0;
    bool counts = fault == FAULT_NONE && watch_in_session(e);
    if (counts && !watch_take(e))
        return false;
    server->taking = 0;
    server->polling = false;
    server->polled_ms = server->engine->now.mono_ms;
    if (!counts)
        return true;
    server->orphans = server->orphans_listed;
    server->listed_ms = e->started_ms;
    server->n_listed = e->n_seen;
    server->per_poll = (server->per_poll + server->accepted + 1) / 2;
    server->accepted = 0;
    ask_missing(server, e);
    return true;
}

/* The item may have left the task meanwhile, and have another one. */
static bool watch_asked_for(const struct exchange *e)
{
    const struct item *item = slot_decided(e->server->engine, &e->run->slots[e->number]);
    return item->state == ITEM_RUNNING && strcmp(item->task_id, e->task_id) == 0;
}

static void watch_single(struct exchange *e)
{
    struct server *server = e->server;
    struct slot *s = &e->run->slots[e->number];
    s->asked = false;
    server->singles--;
    enum fault_item item = exchange_decision(e)->item;
    struct item_event gone = {.kind = ITEM_EVENT_TASK_GONE};
    if (!watch_in_session(e))
        return;
    if (item == FAULT_ITEM_ANSWER)
        task_seen(server, &e->tasks[0]);
    else if (item == FAULT_ITEM_DOUBT && watch_asked_for(e))
        engine_emit(server->engine, e->run, e->number, &gone);
}

bool watch_reply(struct exchange *e)
{
    if (e->kind == EXCHANGE_TASKS)
        return watch_listed(e, exchange_fault(e));
    watch_single(e);
    return true;
}

/* ---- acting ---- */

/* What may still be running: those that are stored as such, without those whose end is known by now. */
static size_t watch_running(const struct server *server)
{
    size_t n = server->in_doubt;
    for (const struct run *run = server->engine->runs; run; run = run->next) {
        size_t stored = run->in_state[ITEM_RUNNING].n, decided = run->count[ITEM_RUNNING];
        n += run->server != server ? 0 : stored < decided ? stored : decided;
    }
    return n;
}

uint64_t watch_youngest_ms(const struct server *server)
{
    uint64_t since_ms = 0;
    for (const struct run *run = server->engine->runs; run; run = run->next) {
        const struct slots *running = &run->in_state[ITEM_RUNNING];
        if (run->server == server && running->n && run->slots[running->last].item.since_ms > since_ms)
            since_ms = run->slots[running->last].item.since_ms;
    }
    return since_ms;
}

/* When the first of the unfinished tasks was accepted; 0: there is none. */
static uint64_t watch_oldest_ms(const struct server *server)
{
    uint64_t since_ms = 0;
    for (const struct run *run = server->engine->runs; run; run = run->next) {
        const struct slots *running = &run->in_state[ITEM_RUNNING];
        if (run->server == server && running->n &&
            (!since_ms || run->slots[running->first].item.since_ms < since_ms))
            since_ms = run->slots[running->first].item.since_ms;
    }
    return since_ms;
}

/* How much later an end may be seen that delays nothing: while clones wait for a place among the requests,
 * and while the last ones are being asked for, since a list that is read now would lack these, and hold up
 * the one that has them. */
static uint64_t watch_patience(const struct server *server)
{
    if (server->task_ms >= SHORT_TASK_MS)
        return 0;
    if (server->hungry)
        return LATE_MS;
    return server->submits && !tidy_queued(server) ? LATE_MS * 2 : 0;
}

/* How long the unfinished tasks will have taken at the least: as long as others did before; but not one of
 * them has ended before the age at which the last poll saw it, be it that of the youngest. Until any has
 * ended the oldest one speaks for all. */
static uint64_t watch_task_ms(const struct server *server)
{
    uint64_t since_ms = server->task_ms ? watch_youngest_ms(server) : watch_oldest_ms(server);
    uint64_t age_ms = since_ms && server->poll_ms > since_ms ? server->poll_ms - since_ms : 0;
    return age_ms > server->task_ms ? age_ms : server->task_ms;
}

/* A tenth of what tasks take, and never so often that reading the list takes more than about a tenth of the
 * time: that is what a long one costs both sides. Once no clone waits any more, only what is unfinished
 * counts for that: the rest is not listed for long. With nothing but doubt to settle there is less and less
 * to expect: then it grows with the looks that found nothing. */
static uint64_t watch_interval(const struct server *server)
{
    const struct server_settings *settings = server->settings;
    size_t running = watch_running(server);
    uint64_t interval = watch_task_ms(server) / 10;
    uint64_t cost = (server->hungry ? server->n_listed : running) / LISTED_PER_MS;
    if (interval < cost)
        interval = cost;
    if (interval < watch_patience(server))
        interval = watch_patience(server);
    if (interval < settings->poll_interval_ms)
        interval = settings->poll_interval_ms;
    if (running == server->in_doubt)
        interval <<= server->sweep.finds < 10 ? server->sweep.finds : 10;
    return interval < settings->poll_max_ms ? interval : settings->poll_max_ms;
}

/* Of one or two places polls may have one for half of the time: others wait for it. */
static uint64_t watch_poll_due(const struct server *server)
{
    if (server->polling || !watch_running(server))
        return INSTANT_NEVER;
    if (!server->lists)
        return 0;
    uint64_t due = server->poll_ms + watch_interval(server);
    uint64_t rest = server->polled_ms + (server->polled_ms - server->poll_ms);
    bool few = limit_now(&server->limit) <= FEW && server->polled_ms > server->poll_ms;
    return few && due < rest ? rest : due;
}

/* Asks for all, in one round; false when there was no room for some. */
static bool watch_poll_singly(struct server *server, unsigned most)
{
    bool all = true;
    for (struct run *run = server->engine->runs; run; run = run->next) {
        uint32_t at = run->in_state[ITEM_RUNNING].first;
        for (size_t n = run->server == server ? run->in_state[ITEM_RUNNING].n : 0; n > 0;
             n--, at = run->slots[at].next) {
            if (!run->slots[at].pending)
                all = ask_single(server, run, at, most) && all;
        }
    }
    server->rounds += all;
    return all;
}

static bool poll_is_due(const struct server *server)
{
    return server->engine->now.mono_ms >= watch_poll_due(server);
}

unsigned watch_share(const struct server *server)
{
    return poll_is_due(server);
}

/* Few that are unfinished in a long list. Orphans show in the list alone. */
static bool singly_is_cheaper(const struct server *server)
{
    size_t running = watch_running(server), cost = server->rolling ? SINGLE_LEAST : SINGLE_COST;
    bool few = server->rolling || running <= limit_now(&server->limit);
    return !server->in_doubt && few && running * cost < server->tidy.n;
}

void watch_act(struct server *server)
{
    uint64_t now = server->engine->now.mono_ms;
    if (!poll_is_due(server)) {
        tidy_act(server);
        return;
    }
    server->poll_ms = now;
    server->lists++;
    server->unlisted = server->unlisted && now < server->unlisted_until_ms;
    if (server->unlisted) {
        watch_poll_singly(server, SINGLES_MAX);
        return;
    }
    if (singly_is_cheaper(server)) {
        if (!watch_poll_singly(server, limit_now(&server->limit)) && server->rolling)
            server->poll_ms = now - watch_interval(server); /* the others as soon as there is room */
        return;
    }
    struct exchange *e = exchange_new(server, EXCHANGE_TASKS, HTTP_GET);
    if (!e)
        return;
    e->number = server->lists;
    buf_add_str(&e->path, "/api/tasks");
    if (exchange_start(e) == 0)
        server->polling = true;
}

uint64_t watch_due(const struct server *server)
{
    if (tidy_wanted(server))
        return 0;
    return watch_poll_due(server);
}

/* Tasks of the run that have been unfinished for too long. A queue is not a
 * hang: the time begins anew with the end of a task accepted before. */
void watch_timeouts(struct run *run)
{
    uint64_t now = run->engine->now.mono_ms;
    struct slots *running = &run->in_state[ITEM_RUNNING];
    uint32_t at = running->first;
    for (size_t n = running->n; n > 0; n--, at = run->slots[at].next) {
        const struct item *item = &run->slots[at].item;
        if (now - item->since_ms < run->plan->task_timeout_ms)
            return; /* the list is in order of arrival */
        uint32_t bs = run->sources[run->slots[at].source].server;
        uint64_t moved = progress_last(&run->server->backup_servers[bs].progress, item->since_ms);
        uint64_t base = item->since_ms > moved ? item->since_ms : moved;
        struct item_event late = {.kind = ITEM_EVENT_TASK_LATE};
        if (now - base >= run->plan->task_timeout_ms)
            engine_emit(run->engine, run, at, &late);
    }
}
