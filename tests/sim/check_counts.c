/* What the engine counts beside its items must be what there is: a counter that is one too high or too low
 * hides a request, or keeps one from leaving, long before anybody sees it. */
#include "engine/parts.h"
#include "world.h"

/* Exchanges that are in flight, or answered and not taken yet. */
struct seen {
    unsigned of[EXCHANGE_KIND_COUNT], in_flight, sent;
    unsigned orphans; /* LOOK: at jobs of tasks without owner */
};

static void see(struct seen *seen, const struct exchange *e)
{
    seen->of[e->kind]++;
    seen->orphans += e->kind == EXCHANGE_LOOK && e->task_id;
}

static struct seen seen_of(const struct server *server)
{
    struct seen seen = {0};
    for (const struct exchange *e = server->exchanges; e; e = e->next) {
        see(&seen, e);
        seen.in_flight++;
        seen.sent += e->kind == EXCHANGE_SUBMIT;
    }
    for (const struct exchange *e = server->engine->inbox_first; e; e = e->next)
        if (e->server == server)
            see(&seen, e);
    return seen;
}

static bool is_of(const struct exchange *e, enum exchange_kind kind, const struct run *run, uint32_t number)
{
    return e->kind == kind && e->run == run && e->number == number;
}

/* Exchanges of that kind for a slot of the run. */
static unsigned exchanges_of(const struct run *run, enum exchange_kind kind, uint32_t number)
{
    unsigned n = 0;
    for (const struct exchange *e = run->server->exchanges; e; e = e->next)
        n += is_of(e, kind, run, number);
    for (const struct exchange *e = run->engine->inbox_first; e; e = e->next)
        n += e->server == run->server && is_of(e, kind, run, number);
    return n;
}

static void same(struct world *world, const char *of, const char *what, size_t counted, size_t is)
{
    if (counted != is)
        world_fail(world, "%s: %s is counted as %zu, but is %zu", of, what, counted, is);
}

static bool task(enum item_state state)
{
    return state == ITEM_SUBMITTING || state == ITEM_RUNNING;
}

static bool busy(enum item_state state)
{
    return task(state) || state == ITEM_IN_DOUBT;
}

/* ---- a run ---- */

/* A stored request is held, in flight, or could not be sent: one of the three. */
static void check_request(struct world *world, const struct run *run, uint32_t slot)
{
    const struct slot *s = &run->slots[slot];
    unsigned held = 0;
    for (size_t i = 0; i < run->server->n_held; i++)
        held += run->server->held[i].run == run && run->server->held[i].slot == slot;
    unsigned requests = held + exchanges_of(run, EXCHANGE_SUBMIT, slot);
    bool wants = s->item.state == ITEM_SUBMITTING && !s->pending;
    if (wants ? requests + s->unsent != 1 : requests + s->unsent)
        world_fail(world, "run %c item %u: %s with %u requests", run->id[25], slot,
                   item_state_name(s->item.state), requests);
    if (s->asked != (exchanges_of(run, EXCHANGE_TASK, slot) == 1))
        world_fail(world, "run %c item %u: it is%s asked for", run->id[25], slot, s->asked ? "" : " not");
}

static void check_lists(struct world *world, const struct run *run)
{
    size_t in[ITEM_STATE_COUNT] = {0}, waiting = 0, unsent = 0;
    for (uint32_t i = 0; i < run->n; i++) {
        const struct slot *s = &run->slots[i];
        in[s->item.state]++;
        waiting += s->waits;
        unsent += s->unsent;
    }
    for (int state = 0; state < ITEM_STATE_COUNT; state++)
        if (state != ITEM_QUEUED)
            same(world, run->id, item_state_name((enum item_state)state), run->in_state[state].n, in[state]);
    same(world, run->id, "waiting", run->waiting.n, waiting);
    same(world, run->id, "unsent", run->unsent, unsent);
}

static void check_sources(struct world *world, const struct run *run)
{
    for (size_t at = 0; at < run->n_sources; at++) {
        size_t is_busy = 0, ready = 0;
        for (uint32_t i = 0; i < run->n; i++) {
            const struct slot *s = &run->slots[i];
            bool of = s->source == at;
            is_busy += of && busy(slot_decided(run->engine, s)->state);
            ready += of && s->item.state == ITEM_QUEUED && !s->waits && !s->item.due_ms;
        }
        same(world, run->id, "busy", run->sources[at].busy, is_busy);
        same(world, run->id, "ready", run->sources[at].ready.n, ready);
    }
}

static void check_decided(struct world *world, const struct run *run)
{
    size_t count[ITEM_STATE_COUNT] = {0}, unverified = 0;
    for (uint32_t i = 0; i < run->n; i++) {
        const struct item *item = slot_decided(run->engine, &run->slots[i]);
        count[item->state]++;
        unverified += item->state == ITEM_SUCCEEDED && !item->verified;
    }
    for (int state = 0; state < ITEM_STATE_COUNT; state++)
        same(world, run->id, item_state_name((enum item_state)state), run->count[state], count[state]);
    same(world, run->id, "failures", run->failures, count[ITEM_FAILED] + count[ITEM_UNKNOWN]);
    same(world, run->id, "unverified", run->unverified, unverified);
}

static void check_run(struct world *world, const struct run *run)
{
    unsigned asking = 0;
    for (const struct exchange *e = run->server->exchanges; e; e = e->next)
        asking += e->run == run && (e->kind == EXCHANGE_NAMES || e->kind == EXCHANGE_SOURCE);
    for (const struct exchange *e = run->engine->inbox_first; e; e = e->next)
        asking += e->run == run && (e->kind == EXCHANGE_NAMES || e->kind == EXCHANGE_SOURCE);
    same(world, run->id, "asking", run->asking, asking);
    check_decided(world, run);
    check_lists(world, run);
    check_sources(world, run);
    for (uint32_t i = 0; i < run->n; i++)
        check_request(world, run, i);
}

/* ---- a server ---- */

/* Tasks on each backup server, clone requests and doubt, over all runs. */
static void check_items(struct world *world, const struct server *server)
{
    size_t submits = 0, in_doubt = 0;
    for (size_t at = 0; at < server->n_backup_servers; at++) {
        size_t unfinished = 0;
        for (const struct run *run = server->engine->runs; run; run = run->next)
            for (uint32_t i = 0; run->server == server && i < run->n; i++) {
                const struct slot *s = &run->slots[i];
                unfinished += s->source != NO_SLOT && run->sources[s->source].server == at &&
                              task(slot_decided(server->engine, s)->state);
            }
        same(world, server->settings->name, "unfinished", server->backup_servers[at].unfinished, unfinished);
    }
    for (const struct run *run = server->engine->runs; run; run = run->next)
        for (uint32_t i = 0; run->server == server && i < run->n; i++) {
            const struct slot *s = &run->slots[i];
            submits += slot_decided(server->engine, s)->state == ITEM_SUBMITTING && !s->unsent;
            in_doubt += s->item.state == ITEM_IN_DOUBT;
        }
    same(world, server->settings->name, "submits", server->submits, submits);
    same(world, server->settings->name, "in doubt", server->in_doubt, in_doubt);
}

static void check_server(struct world *world, const struct server *server)
{
    const char *name = server->settings->name;
    struct seen seen = seen_of(server);
    unsigned collecting = 0;
    for (size_t i = 0; i < server->n_backup_servers; i++)
        collecting += server->backup_servers[i].asking;
    same(world, name, "in flight", server->in_flight, seen.in_flight);
    same(world, name, "sent", server->sent, seen.sent);
    same(world, name, "others", server->others, seen.in_flight - seen.sent);
    same(world, name, "polling", server->polling, seen.of[EXCHANGE_TASKS]);
    same(world, name, "singles", server->singles, seen.of[EXCHANGE_TASK]);
    same(world, name, "tidying", server->tidying, seen.of[EXCHANGE_TIDY]);
    same(world, name, "looks", server->looks, seen.orphans);
    same(world, name, "naming", server->naming, seen.of[EXCHANGE_NAMED]);
    same(world, name, "pages", server->sweep.asking, seen.of[EXCHANGE_SWEEP]);
    same(world, name, "collecting", collecting, seen.of[EXCHANGE_COLLECT]);
    same(world, name, "logons", server->session.state == SESSION_OPENING, seen.of[EXCHANGE_LOGON]);
    if (server->probing && !seen.of[EXCHANGE_KEEPALIVE])
        world_fail(world, "%s: a sign of life is awaited that nobody asked for", name);
    check_items(world, server);
}

void check_counts(struct world *world)
{
    if (!world->engine || world->pretends)
        return;
    for (const struct server *s = world->engine->servers; s; s = s->next)
        check_server(world, s);
    for (const struct run *run = world->engine->runs; run; run = run->next)
        check_run(world, run);
}
