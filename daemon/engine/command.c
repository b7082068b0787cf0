/* What the operator asks of a run: pause, resume, cancel, retry, and the end of
 * a run that is over. A command is noted at once and decided in the next turn, so
 * that it is committed together with what follows from it; on_run tells when that
 * is durable. */
#include <errno.h>
#include <string.h>

#include "engine/parts.h"

/* ---- asking ---- */

static bool run_is_over(const struct run *run)
{
    return run->phase == PHASE_ENDED;
}

static int may_pause(const struct run *run)
{
    if (run_is_over(run) || run->wish >= RUN_WISH_CANCEL)
        return -EINVAL;
    return run->state == RUN_PAUSED ? -EALREADY : 0;
}

static int may_resume(const struct run *run)
{
    if (run_is_over(run))
        return -EINVAL;
    return run->state == RUN_PAUSED ? 0 : -EALREADY;
}

static int may_cancel(const struct run *run, enum run_command command)
{
    enum run_wish wish = command == COMMAND_CANCEL ? RUN_WISH_CANCEL : RUN_WISH_CANCEL_TASKS;
    if (run_is_over(run))
        return -EINVAL;
    return run->wish >= wish ? -EALREADY : 0;
}

static int may_retry(const struct run *run)
{
    if (!run->end_stored || run->server->absent)
        return -EINVAL;
    return run->count[ITEM_FAILED] + run->count[ITEM_CANCELLED] + run->count[ITEM_UNKNOWN] ? 0 : -EALREADY;
}

static int may_end(const struct run *run)
{
    if (!run_is_over(run))
        return -EINVAL;
    return run->end_stored ? -EALREADY : 0;
}

static int command_allowed(const struct run *run, enum run_command command)
{
    switch (command) {
    case COMMAND_PAUSE:
        return may_pause(run);
    case COMMAND_RESUME:
        return may_resume(run);
    case COMMAND_CANCEL:
    case COMMAND_CANCEL_TASKS:
        return may_cancel(run, command);
    case COMMAND_RETRY:
        return may_retry(run);
    case COMMAND_END:
        return may_end(run);
    case COMMAND_NONE:
        break;
    }
    return -EINVAL;
}

static int command_give(struct engine *engine, const char *run_id, enum run_command command)
{
    struct run *run = engine_find_run(engine, run_id);
    if (!run)
        return -ENOENT;
    if (run->mode == ENGINE_LOOK || run->mode == ENGINE_PREVIEW)
        return -EINVAL;
    if (run->command != COMMAND_NONE)
        return -EBUSY;
    int r = command_allowed(run, command);
    if (r < 0)
        return r;
    run->command = command;
    engine_wake(engine);
    return 0;
}

int engine_pause_run(struct engine *engine, const char *run_id)
{
    return command_give(engine, run_id, COMMAND_PAUSE);
}

int engine_resume_run(struct engine *engine, const char *run_id)
{
    return command_give(engine, run_id, COMMAND_RESUME);
}

int engine_cancel_run(struct engine *engine, const char *run_id, bool stop_tasks)
{
    return command_give(engine, run_id, stop_tasks ? COMMAND_CANCEL_TASKS : COMMAND_CANCEL);
}

int engine_retry_run(struct engine *engine, const char *run_id)
{
    return command_give(engine, run_id, COMMAND_RETRY);
}

int engine_end_run(struct engine *engine, const char *run_id)
{
    return command_give(engine, run_id, COMMAND_END);
}

int engine_remove_run(struct engine *engine, const char *run_id)
{
    struct run *run = engine_find_run(engine, run_id);
    if (!run)
        return -ENOENT;
    if (run->command != COMMAND_NONE ||
        (!run->end_stored && run->mode != ENGINE_LOOK && run->mode != ENGINE_PREVIEW))
        return -EBUSY;
    run->gone = true;
    engine_wake(engine);
    return 0;
}

/* ---- deciding ---- */

static void command_cancel(struct run *run, enum run_wish wish)
{
    run->wish = wish;
    run->state = RUN_RUNNING;
    run_end_early(run, ITEM_E_CANCELLED);
}

/* Nothing but the outcomes of items that made a clone is kept of the run as it was. */
static void command_reopen(struct run *run)
{
    struct item_event retry = {.kind = ITEM_EVENT_RETRY};
    run->mode = ENGINE_RUN;
    run->state = RUN_RUNNING;
    run->wish = RUN_WISH_NONE;
    run->no_more = ITEM_OK;
    run->resumed = true; /* its own marks may be there */
    run->end_stored = run->ending = false;
    run_begin_time(run, 0);
    run->closing_sweeps = 0;
    run->phase = PHASE_CLONING;
    run->resolve_again = true;
    for (uint32_t i = 0; i < run->n; i++)
        engine_emit(run->engine, run, i, &retry);
}

void command_decide(struct run *run)
{
    enum run_command command = run->command;
    if (command == COMMAND_NONE)
        return;
    run->command = COMMAND_NONE;
    run->row_changed = true;
    if (run_is_over(run) && command != COMMAND_RETRY && command != COMMAND_END)
        return; /* it came to its end meanwhile: on_run tells so */
    switch (command) {
    case COMMAND_PAUSE:
        run->state = RUN_PAUSED;
        run->wish = RUN_WISH_PAUSE;
        break;
    case COMMAND_RESUME:
        run->state = RUN_RUNNING;
        run->wish = RUN_WISH_NONE;
        run->resolve_again = true;
        break;
    case COMMAND_CANCEL:
        command_cancel(run, RUN_WISH_CANCEL);
        break;
    case COMMAND_CANCEL_TASKS:
        command_cancel(run, RUN_WISH_CANCEL_TASKS);
        break;
    case COMMAND_RETRY:
        command_reopen(run);
        break;
    case COMMAND_END:
        run->ending = true;
        break;
    case COMMAND_NONE:
        break;
    }
}

/* ---- after the turn ---- */

void command_announce(struct engine *engine)
{
    struct run *run = engine->runs;
    while (run) {
        if (!run->announce || run->gone) {
            run = run->next;
            continue;
        }
        run->announce = false;
        if (engine->config.on_run)
            engine->config.on_run(run->id, engine->config.data);
        run = engine->runs; /* the callback may have added or removed some */
    }
}

bool run_referred(const struct run *run)
{
    const struct engine *engine = run->engine;
    for (const struct exchange *e = run->server->exchanges; e; e = e->next)
        if (e->run == run)
            return true;
    for (const struct exchange *e = engine->inbox_first; e; e = e->next)
        if (e->run == run)
            return true;
    for (size_t i = 0; i < engine->n_batch; i++)
        if (engine->batch[i].run == run)
            return true;
    return run->row_batched;
}

void run_drop(struct run *run)
{
    struct server *server = run->server;
    server->in_doubt -= run->in_state[ITEM_IN_DOUBT].n;
    for (size_t i = 0; i < run->n; i++) {
        const struct slot *s = &run->slots[i];
        if (s->item.state == ITEM_RUNNING && s->source != NO_SLOT)
            server->backup_servers[run->sources[s->source].server].unfinished--;
    }
    hold_forget(run);
    watch_disown(run);
    look_forget(server, run);
    for (struct server *s = run->engine->servers; s; s = s->next)
        if (s->last == run)
            s->last = NULL;
    run_free(run);
}

void command_drop_gone(struct engine *engine)
{
    struct run **at = &engine->runs;
    while (*at) {
        struct run *run = *at;
        if (!run->gone || run_referred(run)) {
            at = &run->next;
            continue;
        }
        *at = run->next;
        run_drop(run);
    }
}
