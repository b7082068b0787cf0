/* Who gets a slot, and what a clone request and its answer are. The request
 * leaves only after SUBMITTING is stored. Some are stored ahead, so that the next
 * one leaves as soon as there is room for it and need not wait for the disk;
 * those that may not be sent any more go back to the queue. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/parts.h"

static bool run_may_submit(const struct run *run)
{
    if (run->phase != PHASE_CLONING || run->mode != ENGINE_RUN || run->state != RUN_RUNNING ||
        run->no_more != ITEM_OK || run->resolve_again || run->gone || !run->hours.state.open)
        return false;
    size_t busy = run->count[ITEM_SUBMITTING];
    return !run->plan->in_flight || busy < run->plan->in_flight;
}

/* Clones of a source that are under way, whichever runs they are of. */
static unsigned source_busy(const struct server *server, const struct source *source)
{
    unsigned busy = 0;
    for (const struct run *run = server->engine->runs; run; run = run->next) {
        uint32_t at = run->server == server ? table_get(&run->source_ids, source->id) : TABLE_NONE;
        busy += at == TABLE_NONE ? 0 : run->sources[at].busy;
    }
    return busy;
}

static bool takes_tasks(const struct server *server, const struct backup_server *bs)
{
    return crowd_takes(&bs->crowd, bs->unfinished, limit_now(&server->limit));
}

/* Else not one of its sources need be looked at, of which a large plan may have as many as clones. */
static bool any_takes_tasks(const struct server *server)
{
    for (size_t i = 0; i < server->n_backup_servers; i++)
        if (takes_tasks(server, &server->backup_servers[i]))
            return true;
    return false;
}

static bool source_may_submit(const struct server *server, const struct source *source)
{
    if (!source->ready.n)
        return false;
    const struct server_settings *settings = server->settings;
    if (settings->in_flight_per_source && source_busy(server, source) >= settings->in_flight_per_source)
        return false;
    return takes_tasks(server, &server->backup_servers[source->server]);
}

/* Gives one slot to the run's next source in turn; false when none may. */
static bool run_submit_one(struct run *run)
{
    if (!run_may_submit(run) || !any_takes_tasks(run->server))
        return false;
    for (size_t tried = 0; tried < run->n_sources; tried++) {
        struct source *source = &run->sources[run->turn];
        run->turn = (run->turn + 1) % (uint32_t)run->n_sources;
        if (!source_may_submit(run->server, source))
            continue;
        uint32_t slot = source->ready.first;
        slots_remove(run, &source->ready, slot);
        run->slots[slot].item.due_ms = 1; /* no longer in the ready list */
        struct item_event submit = {.kind = ITEM_EVENT_SUBMIT};
        engine_emit(run->engine, run, slot, &submit);
        /* unless it has failed in this very turn */
        run->server->submits += slot_decided(run->engine, &run->slots[slot])->state == ITEM_SUBMITTING;
        return true;
    }
    return false;
}

/* Requests in flight that are left for clones: what tasks and looks need is theirs, whether they have it or
 * not yet. */
static unsigned submit_room(const struct server *server)
{
    unsigned limit = limit_now(&server->limit);
    unsigned share = watch_share(server) + tidy_share(server) + doubt_share(server) + resolve_share(server);
    unsigned others = server->others > share ? server->others : share;
    return others < limit ? limit - others : 0;
}

/* Gives slots to the server's runs in turn, from one call to the next; false when there was no room for all
 * of them. As many as may be in flight are stored beyond these: a place that comes free does not wait for the
 * disk. A crash leaves them in doubt. */
static bool submit_give(struct server *server)
{
    size_t most = submit_room(server) + limit_now(&server->limit), runs = 0;
    for (const struct run *run = server->engine->runs; run; run = run->next)
        runs++;
    for (size_t without = 0; without < runs; without++) {
        if (server->submits >= most)
            return false;
        struct run *run = server->last && server->last->next ? server->last->next : server->engine->runs;
        server->last = run;
        if (run->server == server && run_submit_one(run))
            without = SIZE_MAX; /* another round */
    }
    return true;
}

void submit_decide(struct server *server)
{
    tidy_decide(server);
    server->hungry = server_ready(server) && !server->rolling && !submit_give(server);
}

/* ---- the request ---- */

static int submit_description(const struct run *run, uint32_t slot, struct buf *ret)
{
    char mark[ITEM_MARK_MAX];
    const struct plan_clone *clone = &run->plan->clones[slot];
    item_mark(mark, run->id, slot);
    if (clone->description && *clone->description)
        return buf_printf(ret, "%s %s", clone->description, mark);
    return buf_add_str(ret, mark);
}

static int submit_encode(const struct run *run, uint32_t slot, struct exchange *e)
{
    const struct item *item = &run->slots[slot].item;
    struct buf description = BUF_INIT(16 * 1024);
    int r = submit_description(run, slot, &description);
    struct api_clone clone = {.kind = item->kind,
                              .name = item->name,
                              .folder = item->folder,
                              .file = item->folder,
                              .vm_suffix = item->folder,
                              .repository_uid = item->repository_uid,
                              .description = buf_str(&description),
                              .table_order = e->form == CLONE_FORM_TABLE};
    if (r == 0)
        r = e->format->encode_clone(&clone, &e->body);
    if (r == 0)
        r = buf_printf(&e->path, "/api/jobs/%s?action=clone", item->source_id);
    buf_done(&description);
    return r;
}

/* Only an immediate copy in XML has more than one. */
static bool submit_has_forms(const struct server *server, const struct item *item)
{
    return item->kind == JOB_KIND_IMMEDIATE_COPY && server->format == &api_xml;
}

static enum clone_form submit_form(const struct server *server, const struct item *item)
{
    if (!submit_has_forms(server, item))
        return CLONE_FORM_EXAMPLE;
    return form_pick(&server->form, server->session.serial, item->forms);
}

/* No byte of it has left: run_decide takes the item back to QUEUED. */
static void submit_take_back(struct run *run, uint32_t slot)
{
    run->server->submits--;
    run->slots[slot].unsent = true;
    run->unsent++;
}

static void submit_send(struct run *run, uint32_t slot)
{
    struct server *server = run->server;
    enum clone_form form = submit_form(server, &run->slots[slot].item);
    struct exchange *e = exchange_new_as(server, EXCHANGE_SUBMIT, HTTP_POST,
                                         form == CLONE_FORM_JSON ? &api_json : server->format);
    if (e)
        e->form = form;
    if (e && submit_encode(run, slot, e) == 0) {
        e->run = run;
        e->number = slot;
        if (exchange_start(e) == 0)
            return;
    } else {
        exchange_free(e);
    }
    submit_take_back(run, slot);
}

/* The item is stored as SUBMITTING: its request may leave when there is room. */
void submit_hold(struct run *run, uint32_t slot)
{
    struct server *server = run->server;
    if (server->n_held == server->size_held) {
        size_t size = server->size_held ? server->size_held * 2 : 64;
        struct held *all = realloc(server->held, size * sizeof(*all));
        if (!all) {
            submit_take_back(run, slot);
            return;
        }
        server->held = all;
        server->size_held = size;
    }
    server->held[server->n_held++] = (struct held){run, slot};
}

/* Is there more under way of its source than may be, since another run was retried? */
static bool held_is_crowded(const struct held *held)
{
    const struct server *server = held->run->server;
    const struct source *source = &held->run->sources[held->run->slots[held->slot].source];
    unsigned most = server->settings->in_flight_per_source;
    return most && source_busy(server, source) > most;
}

static bool held_may_go(const struct held *held)
{
    const struct run *run = held->run;
    return !run->engine->closing && !run->engine->stopping && server_ready(run->server) &&
           run->state == RUN_RUNNING && run->no_more == ITEM_OK && !run->gone && run->hours.state.open &&
           !held_is_crowded(held);
}

void submit_flush(struct server *server)
{
    size_t taken = 0;
    unsigned room = server->n_held ? submit_room(server) : 0;
    for (; taken < server->n_held; taken++) {
        struct held held = server->held[taken];
        if (!held_may_go(&held))
            submit_take_back(held.run, held.slot);
        else if (server->sent < room)
            submit_send(held.run, held.slot);
        else
            break;
    }
    server->n_held -= taken;
    if (taken)
        memmove(server->held, server->held + taken, server->n_held * sizeof(*server->held));
}

/* ---- the answer ---- */

static void submit_form_accepted(const struct exchange *e)
{
    struct server *server = e->server;
    if (!submit_has_forms(server, &e->run->slots[e->number].item))
        return;
    bool news = !server->form.known || server->form.session != e->serial || server->form.form != e->form;
    if (news && e->form != CLONE_FORM_EXAMPLE)
        log_info("server %s: immediate copies are accepted %s; kept for this session", server->settings->name,
                 form_name(e->form));
    form_accepted(&server->form, e->serial, e->form);
}

/* True when a 400 may be due to the form alone, and another is left: nothing was made. */
static bool submit_form_refused(const struct exchange *e)
{
    struct server *server = e->server;
    const struct item *item = &e->run->slots[e->number].item;
    if (e->status != 400 || !submit_has_forms(server, item))
        return false;
    if (e->serial == server->session.serial)
        form_refused(&server->form, e->serial, e->form);
    log_warning("run %s item %u: try %u, the immediate copy %s, was refused with 400: nothing was made",
                e->run->id, e->number, item->attempts, form_name(e->form));
    return form_left(&server->form, server->session.serial, item->forms | 1u << e->form);
}

static struct item_event submit_accepted(struct exchange *e)
{
    struct server *server = e->server;
    struct item_event event = {.kind = ITEM_EVENT_LOST, .http = e->status};
    if (e->serial != server->session.serial || server->session.state != SESSION_OPEN)
        return event; /* the task belongs to a session that is gone */
    submit_form_accepted(e);
    event.kind = ITEM_EVENT_ACCEPTED;
    event.session_id = arena_intern(e->run->plan->arena, server->session_id);
    event.task_id = arena_str(e->run->plan->arena, e->tasks[0].id);
    if (!event.session_id || !event.task_id)
        event.kind = ITEM_EVENT_LOST;
    return event;
}

static struct item_event submit_event(struct exchange *e, const struct fault_decision *decision)
{
    struct item_event event = {.kind = ITEM_EVENT_LOST, .http = e->outcome == HTTP_ANSWERED ? e->status : 0};
    switch (decision->item) {
    case FAULT_ITEM_ANSWER:
        return submit_accepted(e);
    case FAULT_ITEM_BACK:
        event.kind = decision->session == FAULT_SESSION_LOST ? ITEM_EVENT_AUTH : ITEM_EVENT_UNSENT;
        break;
    case FAULT_ITEM_LATER:
        event.kind = ITEM_EVENT_BUSY;
        event.wait_ms = e->retry_after_ms > 0 ? (uint64_t)e->retry_after_ms : 0;
        break;
    case FAULT_ITEM_FAIL:
        event.kind = submit_form_refused(e) ? ITEM_EVENT_FORM : ITEM_EVENT_REFUSED;
        event.form = e->form;
        event.no_more = e->run->no_more != ITEM_OK;
        event.error = e->status == 403 ? ITEM_E_ACCESS_DENIED : ITEM_E_REFUSED;
        event.message = exchange_text(e, e->run->plan->arena);
        break;
    case FAULT_ITEM_DOUBT:
    case FAULT_ITEM_NONE:
        break;
    }
    return event;
}

void submit_reply(struct exchange *e)
{
    struct server *server = e->server;
    const struct fault_decision *decision = exchange_decision(e);
    struct item_event event = submit_event(e, decision);
    server->submits--;
    if (decision->pace > 0)
        limit_good(&server->limit, e->started_ms, server->engine->now.mono_ms, e->load);
    if (event.kind == ITEM_EVENT_LOST)
        log_warning("run %s item %u: the answer was lost (%s); looking for the clone before anything else",
                    e->run->id, e->number, exchange_text(e, e->arena));
    engine_emit(server->engine, e->run, e->number, &event);
    if (event.kind == ITEM_EVENT_ACCEPTED) {
        struct source *source = &e->run->sources[e->run->slots[e->number].source];
        struct backup_server *bs = &server->backup_servers[source->server];
        crowd_accepted(&bs->crowd, server->engine->now.mono_ms, bs->unfinished);
        watch_owner(server, event.task_id, e->run, e->number);
        server->accepted++;
    }
}
