#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/parts.h"

#define STORE_RETRY_MS 1000
#define ITEMS_AT_ONCE 4096

struct engine *engine_new(const struct engine_config *config)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    if (engine) {
        engine->config = *config;
        if (!engine->config.items_at_once)
            engine->config.items_at_once = ITEMS_AT_ONCE;
        engine->rng.state = config->seed;
    }
    return engine;
}

struct engine *engine_free(struct engine *engine)
{
    if (!engine)
        return NULL;
    for (struct exchange *e = engine->inbox_first, *next; e; e = next) {
        next = e->next;
        exchange_free(e);
    }
    for (struct run *r = engine->runs, *next; r; r = next) {
        next = r->next;
        run_free(r);
    }
    for (struct server *s = engine->servers, *next; s; s = next) {
        next = s->next;
        server_free(s);
    }
    free(engine->batch);
    free(engine->changes);
    free(engine);
    return NULL;
}

const struct item *slot_decided(const struct engine *engine, const struct slot *slot)
{
    return slot->pending ? &engine->batch[slot->pending - 1].next : &slot->item;
}

void engine_out_of_memory(void)
{
    log_error("out of memory; what is under way stops here and goes on after a restart");
    abort();
}

static struct pending *engine_pending(struct engine *engine, struct run *run, uint32_t slot)
{
    struct slot *s = &run->slots[slot];
    if (s->pending)
        return &engine->batch[s->pending - 1];
    if (engine->n_batch == engine->size_batch) {
        size_t size = engine->size_batch ? engine->size_batch * 2 : 64;
        struct pending *batch = realloc(engine->batch, size * sizeof(*batch));
        if (!batch)
            return NULL;
        engine->batch = batch;
        engine->size_batch = size;
    }
    struct pending *p = &engine->batch[engine->n_batch++];
    *p = (struct pending){run, slot, s->item};
    s->pending = (uint32_t)engine->n_batch;
    return p;
}

/* Counters follow what is decided: a batch is never dropped, so it will be installed. */
static void engine_count(struct run *run, const struct slot *slot, enum item_state from, enum item_state to)
{
    run->count[from]--;
    run->count[to]++;
    if (to == ITEM_FAILED || to == ITEM_UNKNOWN)
        run->failures++;
    if (from == ITEM_FAILED || from == ITEM_UNKNOWN)
        run->failures--;
    if (slot->source == NO_SLOT)
        return;
    struct source *source = &run->sources[slot->source];
    struct backup_server *bs = &run->server->backup_servers[source->server];
    bool was_busy = from == ITEM_SUBMITTING || from == ITEM_RUNNING || from == ITEM_IN_DOUBT;
    bool is_busy = to == ITEM_SUBMITTING || to == ITEM_RUNNING || to == ITEM_IN_DOUBT;
    source->busy += (unsigned)is_busy - (unsigned)was_busy;
    bool was_task = from == ITEM_SUBMITTING || from == ITEM_RUNNING;
    bool is_task = to == ITEM_SUBMITTING || to == ITEM_RUNNING;
    bs->unfinished += (unsigned)is_task - (unsigned)was_task;
}

void engine_emit(struct engine *engine, struct run *run, uint32_t slot, const struct item_event *event)
{
    struct slot *s = &run->slots[slot];
    bool changed;
    const struct item *from = slot_decided(engine, s);
    enum item_state state = from->state;
    bool unverified = run_unverified(from);
    struct item next = item_step(from, event, &run->policy, engine->now, &engine->rng, &changed);
    if (!changed)
        return;
    run->unverified += (size_t)run_unverified(&next) - (size_t)unverified;
    if (run_unverified(&next) && !unverified)
        sweep_succeeded(run, &next);
    if (run->mode == ENGINE_PREVIEW) { /* nothing of it is stored */
        slot_delist(run, slot);
        s->item = next;
        slot_enlist(run, slot, engine->now.mono_ms);
        engine_count(run, s, state, next.state);
        return;
    }
    struct pending *p = engine_pending(engine, run, slot);
    if (!p)
        engine_out_of_memory(); /* what was decided cannot be kept */
    p->next = next;
    engine_count(run, s, state, next.state);
}

void engine_wake(struct engine *engine)
{
    engine->config.on_wake(engine->config.data);
}

/* ---- commit and install ---- */

static void on_written(int error, void *data)
{
    struct engine *engine = data;
    engine->written = true;
    engine->write_error = error;
    engine_wake(engine);
}

static bool run_state_ended(enum run_state state)
{
    return state == RUN_SUCCEEDED || state == RUN_FAILED || state == RUN_CANCELLED;
}

/* A run that is over stays open on disk until its result is written: a crash before that repeats the result.
 */
static struct store_change run_row(const struct engine *engine, const struct run *run)
{
    bool ends = run->ending && run_state_ended(run->state);
    return (struct store_change){.run_id = run->id,
                                 .run_state = run_state_ended(run->state) && !ends ? RUN_RUNNING : run->state,
                                 .run_wish = run->wish,
                                 .started_ms = run->started_ms,
                                 .finished_ms = ends ? engine->now.wall_ms : 0,
                                 .count = run->count};
}

static struct store_change item_row(const struct pending *p)
{
    return (struct store_change){
        .run_id = p->run->id, .item = &p->next, .from = (int)p->run->slots[p->slot].item.state};
}

/* The batch stays as it is: it is written again before anything else is decided. */
static void engine_failed(struct engine *engine, int error)
{
    if (!engine->failing_ms) {
        engine->failing_ms = engine->now.mono_ms ? engine->now.mono_ms : 1;
        log_event(LOG_LEVEL_ERROR, &(struct log_fields){.kind = LOG_KIND_STATE_TROUBLE},
                  "the state cannot be written: %s; nothing new is sent until it can", strerror(-error));
    }
    engine->failing_error = error;
    engine->retry_ms = engine->now.mono_ms + STORE_RETRY_MS;
}

static void engine_write(struct engine *engine)
{
    size_t n = engine->n_batch + engine->n_rows;
    if (n > engine->size_changes) {
        struct store_change *changes = realloc(engine->changes, n * sizeof(*changes));
        if (!changes) {
            engine_failed(engine, -ENOMEM);
            return;
        }
        engine->changes = changes;
        engine->size_changes = n;
    }
    size_t at = 0;
    for (; at < engine->n_batch; at++)
        engine->changes[at] = item_row(&engine->batch[at]);
    for (struct run *run = engine->runs; run; run = run->next)
        if (run->row_batched)
            engine->changes[at++] = run_row(engine, run);
    engine->writing = true;
    engine->config.store->commit(engine->config.store, engine->changes, at, on_written, engine);
}

static void slot_left(struct run *run, const struct item *from)
{
    struct server *server = run->server;
    if (from->state == ITEM_RUNNING && from->task_id)
        watch_task_end(server, from->task_id);
    if (from->state == ITEM_IN_DOUBT)
        server->in_doubt--;
}

static void slot_entered(struct run *run, uint32_t slot, const struct item *to)
{
    struct server *server = run->server;
    if (to->state == ITEM_SUBMITTING) {
        submit_hold(run, slot);
    } else if (to->state == ITEM_IN_DOUBT) {
        server->in_doubt++;
        server->doubt_ms = 0;
        server->sweep.finds = 0;
    } else if (to->state == ITEM_SUCCEEDED) {
        look_success(server, run, slot);
    }
}

static void engine_install(struct engine *engine, const struct pending *p)
{
    struct slot *s = &p->run->slots[p->slot];
    struct item from = s->item;
    s->pending = 0;
    slot_delist(p->run, p->slot);
    s->item = p->next;
    slot_enlist(p->run, p->slot, engine->now.mono_ms);
    if (from.state != p->next.state) {
        slot_left(p->run, &from);
        slot_entered(p->run, p->slot, &s->item);
        p->run->server->released += item_state_final(s->item.state) || s->item.state == ITEM_QUEUED;
    }
    if (engine->config.on_transition)
        engine->config.on_transition(p->run->id, &from, &s->item, engine->config.data);
}

static void run_row_stored(struct run *run)
{
    run->row_batched = false;
    run->stored_state = run->state;
    run->stored_wish = run->wish;
    run->end_stored = run->ending;
    run->announce = true;
}

static void engine_written(struct engine *engine)
{
    engine->writing = engine->written = false;
    if (engine->write_error < 0) {
        engine_failed(engine, engine->write_error);
        return;
    }
    if (engine->failing_ms)
        log_info("the state can be written again");
    engine->failing_ms = 0;
    engine->failing_error = 0;
    size_t n = engine->n_batch;
    for (size_t i = 0; i < n; i++)
        engine_install(engine, &engine->batch[i]);
    for (struct run *run = engine->runs; run && engine->n_rows; run = run->next)
        if (run->row_batched)
            run_row_stored(run);
    engine->n_batch = engine->n_rows = 0;
}

/* ---- the turn ---- */

void engine_answered(struct engine *engine, struct exchange *e)
{
    e->next = NULL;
    if (engine->inbox_last)
        engine->inbox_last->next = e;
    else
        engine->inbox_first = e;
    engine->inbox_last = e;
}

static void engine_take(struct engine *engine)
{
    struct exchange *e = engine->inbox_first, *next;
    engine->inbox_first = engine->inbox_last = NULL;
    for (; e; e = next) {
        next = e->next;
        if (server_reply(e))
            exchange_free(e);
        else
            engine_answered(engine, e);
    }
}

static void engine_decide(struct engine *engine)
{
    engine_take(engine);
    for (struct run *r = engine->runs; r; r = r->next)
        run_decide(r);
    if (!engine->stopping)
        for (struct server *s = engine->servers; s; s = s->next)
            submit_decide(s);
    for (struct run *r = engine->runs; r; r = r->next) {
        r->row_batched = r->row_changed;
        engine->n_rows += r->row_changed;
        r->row_changed = false;
    }
}

void engine_advance(struct engine *engine, struct instant now)
{
    engine->now = now;
    for (struct run *r = engine->runs; r; r = r->next)
        hours_look(r);
    if (engine->written)
        engine_written(engine);
    if (!engine->writing && engine->failing_ms) {
        if (now.mono_ms >= engine->retry_ms)
            engine_write(engine); /* the same batch before anything else */
    } else if (!engine->writing) {
        engine_decide(engine);
        if (engine->n_batch + engine->n_rows)
            engine_write(engine);
    }
    for (struct server *s = engine->servers; s; s = s->next)
        server_act(s);
    if (!engine->closing)
        for (struct run *r = engine->runs; r; r = r->next)
            resolve_act(r);
    command_announce(engine);
    command_drop_gone(engine);
}

uint64_t engine_next_due(const struct engine *engine)
{
    if (engine->written || (engine->inbox_first && !engine->writing && !engine->failing_ms))
        return 0;
    uint64_t due = engine->failing_ms && !engine->writing ? engine->retry_ms : INSTANT_NEVER;
    for (const struct server *s = engine->servers; s; s = s->next) {
        uint64_t d = server_due(s);
        due = d < due ? d : due;
    }
    bool decides = !engine->writing && !engine->failing_ms;
    for (const struct run *r = engine->runs; r; r = r->next) {
        uint64_t d = !decides ? hours_due(r) : r->command != COMMAND_NONE || r->row_changed ? 0 : run_due(r);
        due = d < due ? d : due;
    }
    return due;
}

void engine_stop(struct engine *engine)
{
    engine->stopping = true;
}

void engine_log_off(struct engine *engine)
{
    engine->stopping = engine->closing = true;
}

void engine_leave(struct engine *engine)
{
    engine->leaving = true;
    engine_log_off(engine);
}

void engine_abort(struct engine *engine)
{
    for (struct server *s = engine->servers; s; s = s->next)
        for (struct exchange *e = s->exchanges; e; e = e->next)
            s->http->abort(s->http, &e->request);
}

bool engine_idle(const struct engine *engine)
{
    if (engine->writing || engine->written || engine->inbox_first)
        return false;
    for (const struct server *s = engine->servers; s; s = s->next)
        if (s->exchanges || (engine->closing && server_wants_logoff(s)))
            return false;
    return true;
}

struct run *engine_find_run(const struct engine *engine, const char *id)
{
    for (struct run *r = engine->runs; r; r = r->next)
        if (strcmp(r->id, id) == 0 && !r->gone)
            return r;
    return NULL;
}

struct server *engine_find_server(const struct engine *engine, const char *name)
{
    for (struct server *s = engine->servers; s; s = s->next)
        if (strcmp(s->settings->name, name) == 0)
            return s;
    return NULL;
}

struct server_status engine_server_status(const struct engine *engine, const char *name)
{
    const struct server *s = engine_find_server(engine, name);
    if (!s)
        return (struct server_status){.message = ""};
    struct server_status status = {.trouble = s->trouble,
                                   .since_ms = s->unreachable_ms,
                                   .message = s->message ? s->message : "",
                                   .probe_ms = s->unreachable_ms ? server_gate(s) : s->probe_ms,
                                   .rests_ms = s->busy_until_ms,
                                   .in_flight = s->in_flight,
                                   .limit = limit_now(&s->limit),
                                   .in_flight_max = s->limit.max,
                                   .session = s->session.state};
    for (size_t i = 0; i < s->n_backup_servers; i++)
        status.tasks += s->backup_servers[i].unfinished;
    return status;
}

struct run_status engine_run_status(const struct engine *engine, const char *run_id)
{
    const struct run *run = engine_find_run(engine, run_id);
    struct run_status status = {.state = RUN_QUEUED};
    if (!run)
        return status;
    status = (struct run_status){.state = run->phase == PHASE_ENDED ? run->state : run->stored_state,
                                 .wish = run->stored_wish,
                                 .resolving = run->phase < PHASE_CLONING,
                                 .verifying = run->phase == PHASE_CLOSING,
                                 .over = run->phase == PHASE_ENDED,
                                 .ended = run->end_stored,
                                 .busy = run->command != COMMAND_NONE || run->row_changed || run->row_batched,
                                 .started_ms = run->started_ms,
                                 .over_ms = run->over_ms,
                                 .n_wait = run->waiting.n,
                                 .opens_ms = hours_waits(run) ? run->hours.state.until_ms : 0,
                                 .window = &run->plan->window,
                                 .n_items = run->n};
    memcpy(status.count, run->count, sizeof(status.count));
    return status;
}

const struct item *engine_run_item(const struct engine *engine, const char *run_id, size_t index)
{
    const struct run *run = engine_find_run(engine, run_id);
    return run && index < run->n ? &run->slots[index].item : NULL;
}

uint64_t engine_store_failing(const struct engine *engine, int *ret_error)
{
    *ret_error = engine->failing_error;
    return engine->failing_ms;
}
