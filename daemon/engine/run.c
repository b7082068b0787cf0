/* One execution of a plan: its phases, limits and end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/parts.h"

#define SPENT_MAX_MS ((int64_t)10 * 365 * 24 * 3600 * 1000) /* more is a clock that was never set */

struct run *run_free(struct run *run)
{
    if (!run)
        return NULL;
    resolve_done(run);
    heap_done(&run->due);
    table_done(&run->source_ids);
    free(run->sources);
    free(run->kept);
    free(run->slots);
    if (run->server && run->server->absent)
        server_free(run->server);
    plan_free(run->plan);
    free(run);
    return NULL;
}

bool run_unverified(const struct item *item)
{
    return item->state == ITEM_SUCCEEDED && !item->verified;
}

const char *run_job_uid(struct run *run, const char *job_id)
{
    struct buf uid = BUF_INIT(256);
    buf_printf(&uid, "urn:veeam:Job:%s", job_id);
    const char *copy = arena_str(run->plan->arena, buf_whole(&uid));
    buf_done(&uid);
    return copy;
}

/* The run's source of that id, added when it is new. Lists hold indices, so the array may move. */
uint32_t run_source(struct run *run, const struct candidate *job)
{
    uint32_t known = table_get(&run->source_ids, job->id);
    if (known != TABLE_NONE)
        return known;
    uint32_t server = server_backup_server(run->server, job->server_id, job->server_name);
    struct source *all = realloc(run->sources, (run->n_sources + 1) * sizeof(*all));
    if (!all)
        return NO_SLOT;
    run->sources = all;
    struct source *source = &all[run->n_sources];
    *source = (struct source){.id = arena_intern(run->plan->arena, job->id),
                              .name = arena_intern(run->plan->arena, job->name),
                              .server = server};
    if (server == NO_SLOT || !source->id || !source->name ||
        table_put(&run->source_ids, source->id, (uint32_t)run->n_sources) < 0)
        return NO_SLOT;
    return (uint32_t)run->n_sources++;
}

/* ---- its time ---- */

/* A clock that was set meanwhile tells nothing about what was spent: then nothing was, and the time begins.
 */
void run_begin_time(struct run *run, int64_t started_ms)
{
    struct instant now = run->engine->now;
    uint64_t timeout = run->plan->run_timeout_ms;
    bool tells = started_ms > 0 && started_ms <= now.wall_ms && now.wall_ms - started_ms <= SPENT_MAX_MS;
    run->started_ms = tells ? started_ms : now.wall_ms;
    uint64_t spent = (uint64_t)(now.wall_ms - run->started_ms);
    run->over_ms = !timeout ? INSTANT_NEVER : now.mono_ms + (timeout > spent ? timeout - spent : 0);
}

/* Who keeps a run open in an outage wants its end from a server that has been asked. */
static bool run_kept_open(const struct run *run)
{
    const struct server *server = run->server;
    bool unasked = server->session.state != SESSION_OPEN && run_under_way(run);
    return run->engine->config.open_in_outage && (server->unreachable_ms || unasked);
}

/* When timeouts.run is over, if that is still to be told. */
static uint64_t run_over_ms(const struct run *run)
{
    return run->no_more == ITEM_E_RUN_TIMEOUT || run_kept_open(run) ? INSTANT_NEVER : run->over_ms;
}

/* ---- adding ---- */

static const char *run_str(struct run *run, const char *str)
{
    return arena_intern(run->plan->arena, str);
}

/* A string of this item alone, which the plan likely has. */
static const char *run_own_str(struct run *run, const char *str, const char *planned)
{
    return str && planned && strcmp(str, planned) == 0 ? planned : arena_str(run->plan->arena, str);
}

/* Its task is one of the session that this process goes on with. */
static bool run_task_lives(const struct run *run, const struct item *item)
{
    const struct server *server = run->server;
    return item->state == ITEM_RUNNING && item->task_id && item->session_id &&
           server->session.state == SESSION_OPEN && strcmp(server->session_id, item->session_id) == 0;
}

/* Takes a stored item over. What may have reached the server and has no outcome is
 * in doubt now, unless its session lives. */
static int run_restore(struct run *run, const struct item *stored, struct instant now)
{
    if (stored->index >= run->n)
        return -EINVAL;
    struct slot *s = &run->slots[stored->index];
    s->item = *stored;
    struct item *item = &s->item;
    const struct plan_clone *clone = &run->plan->clones[stored->index];
    item->name = run_own_str(run, stored->name, clone->name);
    item->folder = run_own_str(run, stored->folder, clone->folder ? clone->folder : item->name);
    item->source_id = run_str(run, stored->source_id);
    item->source_name = run_str(run, stored->source_name);
    item->repository_uid = run_str(run, stored->repository_uid);
    item->server_id = run_str(run, stored->server_id);
    item->server_name = run_str(run, stored->server_name);
    item->session_id = run_str(run, stored->session_id);
    item->task_id = run_own_str(run, stored->task_id, NULL);
    item->job_uid = run_own_str(run, stored->job_uid, NULL);
    item->message = run_str(run, stored->message);
    item->since_ms = now.mono_ms;
    item->due_ms = 0;
    if (item->state == ITEM_SUBMITTING || (item->state == ITEM_RUNNING && !run_task_lives(run, item)))
        item->state = ITEM_IN_DOUBT;
    bool busy = item->state == ITEM_IN_DOUBT || item->state == ITEM_RUNNING;
    if (!busy && (item->state == ITEM_QUEUED || !item->source_id || !item->server_id))
        return 0;
    struct candidate job = {item->source_id, item->source_name ? item->source_name : "", item->server_id,
                            item->server_name ? item->server_name : ""};
    s->source = job.id && job.server_id ? run_source(run, &job) : NO_SLOT;
    if (s->source == NO_SLOT)
        return busy ? -ENOMEM : 0;
    run->sources[s->source].busy += busy;
    if (item->state == ITEM_RUNNING) {
        struct backup_server *bs = &run->server->backup_servers[run->sources[s->source].server];
        bs->unfinished++;
        crowd_found(&bs->crowd);
        watch_owner(run->server, item->task_id, run, stored->index);
    }
    return 0;
}

static int run_fill(struct run *run, const struct engine_run_options *options, struct instant now)
{
    for (size_t i = 0; i < run->n; i++) {
        run->slots[i] = (struct slot){.source = NO_SLOT};
        run->slots[i].item = (struct item){.index = (uint32_t)i,
                                           .kind = run->plan->clones[i].kind,
                                           .name = run->plan->clones[i].name,
                                           .source_name = run->plan->clones[i].source.by == PLAN_REF_NAME
                                                              ? run->plan->clones[i].source.text
                                                              : NULL};
    }
    for (size_t i = 0; i < options->n_stored; i++) {
        int r = run_restore(run, &options->stored[i], now);
        if (r < 0)
            return r;
    }
    for (uint32_t i = 0; i < run->n; i++) {
        enum item_state state = run->slots[i].item.state;
        run->count[state]++;
        run->failures += state == ITEM_FAILED || state == ITEM_UNKNOWN;
        run->unverified += run_unverified(&run->slots[i].item);
        run->server->in_doubt += state == ITEM_IN_DOUBT;
        slot_enlist(run, i, now.mono_ms);
    }
    return 0;
}

/* May anything of it be under way at the server? */
static bool run_moves(const struct run *run)
{
    return run->count[ITEM_SUBMITTING] + run->count[ITEM_RUNNING] + run->count[ITEM_IN_DOUBT] > 0;
}

static void run_begin(struct run *run, const struct engine_run_options *options)
{
    struct engine *engine = run->engine;
    run->wish = options->wish;
    if (run->mode == ENGINE_CANCEL && run->wish < RUN_WISH_CANCEL)
        run->wish = RUN_WISH_CANCEL;
    run->state = run->wish == RUN_WISH_PAUSE ? RUN_PAUSED : RUN_RUNNING;
    if (run->wish >= RUN_WISH_CANCEL)
        run->no_more = ITEM_E_CANCELLED;
    run->row_changed = run->mode == ENGINE_RUN || run->mode == ENGINE_CANCEL;
    if (run->mode == ENGINE_LOOK || run->mode == ENGINE_CANCEL)
        run->phase = PHASE_CLONING;
    if (run->mode == ENGINE_ENDED_RUN) {
        run->phase = PHASE_ENDED;
        run->state = run->stored_state = options->state;
        run->ending = run->end_stored = true;
    }
    struct run **last = &engine->runs;
    while (*last)
        last = &(*last)->next;
    *last = run;
}

int engine_add_run(struct engine *engine, const struct engine_run_options *options, struct instant now)
{
    struct run *run = engine_find_run(engine, options->id) ? NULL : calloc(1, sizeof(*run));
    struct plan *plan = options->plan;
    if (!run) {
        plan_free(plan);
        return engine_find_run(engine, options->id) ? -EEXIST : -ENOMEM;
    }
    run->engine = engine;
    run->plan = plan;
    run->n = plan->n_clones;
    run->mode = options->mode;
    run->server = run->mode == ENGINE_CANCEL ? server_absent(engine, plan->server)
                                             : engine_find_server(engine, plan->server);
    run->resumed = options->resumed;
    run->taken_folders.folders = true;
    run->renames = RENAMES_FIRST;
    run->policy = (struct retry_policy){plan->attempts, plan->retry_initial_ms, plan->retry_max_ms};
    strncpy(run->id, options->id, sizeof(run->id) - 1);
    run->slots = calloc(run->n ? run->n : 1, sizeof(*run->slots));
    engine->now = now;
    run_begin_time(run, options->started_ms);
    bool memory = run->slots && (run->server || run->mode != ENGINE_CANCEL);
    int r = !memory ? -ENOMEM : !run->server ? -ENOENT : run_fill(run, options, now);
    if (r == 0 && (run->mode == ENGINE_RUN || run->mode == ENGINE_PREVIEW))
        r = resolve_begin(run);
    if (r == 0 && run->mode == ENGINE_CANCEL && run_moves(run))
        r = -EBUSY;
    if (r == 0)
        r = hold_keep(run, options);
    if (r < 0) {
        if (run->server && run->slots)
            run_drop(run); /* some of it counts already */
        else
            run_free(run);
        return r;
    }
    run_begin(run, options);
    return 0;
}

/* ---- turning ---- */

static void run_wake_due(struct run *run)
{
    uint64_t now = run->engine->now.mono_ms;
    while (heap_due(&run->due) <= now) {
        struct heap_entry entry = heap_pop(&run->due);
        struct slot *s = &run->slots[entry.value];
        if (s->item.state != ITEM_QUEUED || s->pending || s->item.due_ms != entry.due_ms)
            continue; /* it has moved on meanwhile */
        s->item.due_ms = 0;
        if (!s->waits)
            slot_enlist(run, entry.value, now);
    }
}

static void run_take_unsent(struct run *run)
{
    struct slots *list = &run->in_state[ITEM_SUBMITTING];
    struct item_event unsent = {.kind = ITEM_EVENT_UNSENT};
    uint32_t at = list->first;
    for (size_t n = run->unsent ? list->n : 0; n > 0; n--, at = run->slots[at].next) {
        if (run->slots[at].unsent)
            engine_emit(run->engine, run, at, &unsent);
        run->slots[at].unsent = false;
    }
    run->unsent = 0;
}

static const char *no_more_text(enum item_error why)
{
    if (why == ITEM_E_RUN_TIMEOUT)
        return "the run's time (timeouts.run) was over before it was started";
    if (why == ITEM_E_STOPPED)
        return "the run was stopped after too many failures (stop_after_failures)";
    return "the run was cancelled before it was started";
}

/* Nothing more is sent: what has not left is cancelled, or failed when the time is over; some in each turn,
 * so that 200,000 of them hold up neither the loop nor what other runs have to store. What was cancelled
 * before the time was over stays so, also when a restart in between left some of it. */
void run_end_early(struct run *run, enum item_error why)
{
    enum item_error said = run->wish >= RUN_WISH_CANCEL ? ITEM_E_CANCELLED : why;
    struct item_event cancel = {.kind = ITEM_EVENT_CANCEL, .error = said};
    run->no_more = why;
    cancel.message = arena_intern(run->plan->arena, no_more_text(said));
    unsigned left = run->engine->config.items_at_once;
    for (size_t looked = 0; looked < run->n && left && run->count[ITEM_QUEUED]; looked++) {
        run->given_up = run->given_up < run->n ? run->given_up : 0;
        uint32_t slot = run->given_up++;
        if (slot_decided(run->engine, &run->slots[slot])->state != ITEM_QUEUED)
            continue;
        engine_emit(run->engine, run, slot, &cancel);
        left--;
    }
}

static void run_check_limits(struct run *run)
{
    unsigned stop = plan_stop_after(run->plan);
    if (run->engine->now.mono_ms >= run_over_ms(run))
        run_end_early(run, ITEM_E_RUN_TIMEOUT);
    else if (run->no_more == ITEM_OK && stop && run->failures >= stop)
        run_end_early(run, ITEM_E_STOPPED);
    if (run->no_more != ITEM_OK && run->count[ITEM_QUEUED]) /* back in the queue since */
        run_end_early(run, run->no_more);
    if (run->wish == RUN_WISH_CANCEL_TASKS)
        watch_stop_tasks(run);
}

/* It is over. Its end is stored when its result is written (engine_end_run): until then it is open. */
void run_end(struct run *run)
{
    run->phase = PHASE_ENDED;
    if (run->count[ITEM_FAILED] + run->count[ITEM_UNKNOWN])
        run->state = RUN_FAILED;
    else
        run->state =
            run->count[ITEM_CANCELLED] || run->wish >= RUN_WISH_CANCEL ? RUN_CANCELLED : RUN_SUCCEEDED;
    run->announce = true;
}

static void run_advance(struct run *run)
{
    size_t open = run->count[ITEM_QUEUED] + run->count[ITEM_SUBMITTING] + run->count[ITEM_RUNNING] +
                  run->count[ITEM_IN_DOUBT];
    if (run->phase < PHASE_CLOSING && open == 0) {
        run->phase = PHASE_CLOSING;
        run->closing_ms = run->engine->now.mono_ms;
    }
    bool installed = run->engine->n_batch == 0;
    bool looking = run->count[ITEM_FAILED] && run->server->sweep.active; /* a clone given up may be found */
    if (run->phase == PHASE_CLOSING && installed && !looking &&
        (!run->unverified || run->closing_sweeps >= CLOSING_SWEEPS_MAX || run->mode == ENGINE_CANCEL))
        run_end(run);
}

/* Reads the names anew for all that has not left: after a pause, or a retry. */
static void run_resolve_again(struct run *run)
{
    resolve_done(run);
    run->wait_left = 0;
    for (uint32_t i = 0; i < run->n; i++) {
        struct slot *s = &run->slots[i];
        if (s->item.state != ITEM_QUEUED)
            continue;
        slot_delist(run, i);
        s->source = NO_SLOT;
        s->waits = false;
    }
    for (size_t i = 0; i < run->n_sources; i++)
        run->sources[i].state = SOURCE_UNREAD;
    run->server->released++;
    run->resolve_again = resolve_begin(run) < 0; /* out of memory: with the next turn */
}

bool run_under_way(const struct run *run)
{
    if (run->phase == PHASE_ENDED || run->gone)
        return false;
    return run_moves(run) || (run->mode != ENGINE_LOOK && run->state != RUN_PAUSED && !hours_waits(run));
}

void run_decide(struct run *run)
{
    if (run->gone)
        return;
    if (run->resolve_again && run->state == RUN_RUNNING && !run->asking)
        run_resolve_again(run);
    command_decide(run);
    if (run->phase == PHASE_ENDED)
        return;
    run_wake_due(run);
    run_take_unsent(run);
    watch_timeouts(run);
    if (run->mode == ENGINE_LOOK)
        return;
    run_check_limits(run);
    if (run->mode != ENGINE_CANCEL) {
        bind_items(run);
        bind_waiting(run);
    }
    run_advance(run);
}

uint64_t run_due(const struct run *run)
{
    if (run->gone)
        return run_referred(run) ? INSTANT_NEVER : 0; /* an answer or a commit comes first */
    if (run->phase == PHASE_ENDED)
        return INSTANT_NEVER;
    if (run->unsent || bind_ready(run) || (run->resolve_again && run->state == RUN_RUNNING && !run->asking))
        return 0;
    uint64_t due = heap_due(&run->due), waiting = bind_waiting_due(run);
    uint64_t over = run_over_ms(run), resolve = resolve_due(run), hours = hours_due(run);
    due = waiting < due ? waiting : due;
    due = over < due ? over : due;
    due = hours < due ? hours : due;
    return resolve < due ? resolve : due;
}
