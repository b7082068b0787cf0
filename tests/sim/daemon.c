/* The daemon's lives: the engine with its runs, crashes, and the end of runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/api.h"
#include "model/plan.h"
#include "world.h"

static void on_wake(void *data)
{
    ((struct world *)data)->wake = true;
}

static void on_transition(const char *run_id, const struct item *from, const struct item *to, void *data)
{
    struct world *world = data;
    if (to->index == 0 && run_id[25] == 'A' && world->scripts[0].answered && world->n_seen < SIM_SEEN)
        world->seen[world->n_seen++] = (struct sim_seen){from->state, to->state, to->attempts};
    world_say(world, "run %c item %u: %s -> %s (attempt %u)%s%s", run_id[25], to->index,
              item_state_name(from->state), item_state_name(to->state), to->attempts, to->message ? ": " : "",
              to->message ? to->message : "");
}

static struct plan_clone make_clone(const struct sim_run *run, size_t index, struct arena *arena)
{
    char text[64];
    struct plan_clone clone = {.repository = {PLAN_REF_NAME, "Repo"}, .vm_suffix = "_s"};
    snprintf(text, sizeof(text), "T%zu", index % SIM_TEMPLATES);
    clone.source = (struct plan_ref){PLAN_REF_NAME, arena_intern(arena, text)};
    snprintf(text, sizeof(text), index % 8 == 7 ? "Clone \"%c\" & %zu" : "Clone %c %zu", run->names, index);
    if (run->stem)
        snprintf(text, sizeof(text), "%s%zu", run->stem, index);
    clone.name = arena_intern(arena, text);
    clone.on_conflict = run->on_conflict;
    if (index % 3 == 0)
        clone.description = "made by a simulation";
    return clone;
}

static struct plan *make_plan(const struct sim_run *run)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct arena *arena = arena_new();
    struct plan_clone *clones = calloc(run->n_items, sizeof(*clones));
    if (!plan || !arena || !clones)
        abort();
    for (size_t i = 0; i < run->n_items; i++)
        clones[i] = make_clone(run, i, arena);
    *plan = (struct plan){.arena = arena,
                          .file = "sim",
                          .name = "sim",
                          .server = run->em->name,
                          .window = run->window,
                          .attempts = run->attempts,
                          .in_flight = run->in_flight,
                          .stop_failures = run->stop_failures,
                          .retry_initial_ms = 2000,
                          .retry_max_ms = 120000,
                          .task_timeout_ms = run->task_timeout_ms,
                          .run_timeout_ms = run->run_timeout_ms,
                          .clones = clones,
                          .n_clones = run->n_items};
    return plan;
}

/* Does that row hold its name against other runs (product contract 3)? */
static bool row_holds(const struct world *world, const struct sim_run *run, const struct item *row)
{
    int64_t since = world_instant(world).wall_ms - (int64_t)run->em->settings.settle_ms;
    bool there = row->state == ITEM_SUCCEEDED || row->state == ITEM_UNKNOWN ||
                 (row->state == ITEM_FAILED && row->error == ITEM_E_TASK_TIMEOUT);
    return there && row->finished_ms > since;
}

static struct engine_held row_held(const struct sim_run *run, const struct item *row)
{
    bool late = row->state == ITEM_FAILED && row->error == ITEM_E_TASK_TIMEOUT;
    return (struct engine_held){.server_id = row->server_id,
                                .name = row->name,
                                .job_uid = row->job_uid,
                                .unfinished = row->state != ITEM_SUCCEEDED,
                                .finished_ms = row->finished_ms,
                                .late_run = late ? run->id : NULL,
                                .late_index = row->index};
}

/* Names that runs which have ended, and are not in the engine any more, may still hold. */
static size_t held_names(const struct world *world, const struct sim_run *run, struct engine_held *held)
{
    size_t n = 0;
    for (size_t r = 0; r < world->n_runs; r++) {
        const struct sim_run *other = &world->runs[r];
        if (other == run || other->em != run->em || !other->ended || other->retries)
            continue;
        for (size_t i = 0; i < other->n_items; i++)
            if (other->stored[i] && row_holds(world, other, &other->rows[i]))
                held[n++] = row_held(other, &other->rows[i]);
    }
    return n;
}

void daemon_add_run(struct world *world, struct sim_run *run)
{
    run->blocked = run->em->gone && run->wish < RUN_WISH_CANCEL;
    if (run->blocked)
        return;
    static struct engine_held held[SIM_RUNS_MAX * SIM_ITEMS_MAX];
    struct item stored[SIM_ITEMS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < run->n_items; i++)
        if (run->stored[i])
            stored[n++] = run->rows[i];
    struct engine_run_options options = {.id = run->id,
                                         .plan = make_plan(run),
                                         .mode = run->looked_at  ? ENGINE_LOOK
                                                 : run->ended    ? ENGINE_ENDED_RUN
                                                 : run->em->gone ? ENGINE_CANCEL
                                                                 : ENGINE_RUN,
                                         .state = run->state,
                                         .wish = run->wish,
                                         .resumed = run->added,
                                         .started_ms = run->started_ms,
                                         .stored = stored,
                                         .n_stored = n,
                                         .held = held,
                                         .n_held = held_names(world, run, held)};
    int r = engine_add_run(world->engine, &options, world_instant(world));
    run->blocked = run->em->gone && r == -EBUSY;
    world_say(world, "run %c is %s%s", run->id[25], run->blocked ? "blocked" : "added",
              run->ended ? " as ended" : "");
    if (run->blocked)
        return;
    run->alone |= options.mode == ENGINE_CANCEL;
    if (r < 0)
        abort();
    run->added = true;
    world->wake = true;
}

int daemon_preview(struct world *world, const struct sim_run *run, const char *id)
{
    struct engine_run_options options = {.id = id, .plan = make_plan(run), .mode = ENGINE_PREVIEW};
    int r = engine_add_run(world->engine, &options, world_instant(world));
    world->wake |= r == 0;
    return r;
}

/* A result takes a while to be written; then the end is stored. */
static void run_ends(struct world *world, void *data)
{
    const struct sim_run *run = data;
    if (world->engine)
        engine_end_run(world->engine, run->id);
}

static void on_run(const char *run_id, void *data)
{
    struct world *world = data;
    struct run_status status = engine_run_status(world->engine, run_id);
    struct sim_run *run = NULL;
    for (size_t i = 0; i < world->n_runs; i++)
        if (strcmp(world->runs[i].id, run_id) == 0)
            run = &world->runs[i];
    if (run && status.over && !status.ended)
        world_at(world, world->now_ms + 1 + world_below(world, 3000), run_ends, run);
    else if (run && status.ended && world->forgets && !run->retries)
        engine_remove_run(world->engine, run_id);
}

static void on_session(const char *server, const char *token, const char *session_id, void *data)
{
    struct world *world = data;
    struct em *em = &world->ems[server[2] - '0'];
    snprintf(em->token, sizeof(em->token), "%s", token ? token : "");
    snprintf(em->session_id, sizeof(em->session_id), "%s", token ? session_id : "");
}

/* The server again; with its session, where that outlived the daemon. */
static void daemon_add_server(struct world *world, struct em *em)
{
    em->clones_in_flight = em->logons_in_flight = em->polls_in_flight = 0;
    memset(em->collects_in_flight, 0, sizeof(em->collects_in_flight));
    em->polled = false;
    if (engine_add_server(world->engine, &em->settings, &em->http, world->json ? &api_json : &api_xml) < 0)
        abort();
    bool keeps = em->token[0] && rng_chance(&world->rng, world->keeps_permille);
    if (keeps &&
        engine_set_session(world->engine, em->name, em->token, em->session_id, world_instant(world)) < 0)
        abort();
    em->known_session = keeps ? (unsigned)atoi(em->token + strlen("token-")) : 0;
    em->knows_loss = false;
    if (keeps)
        world_say(world, "%s: goes on with session %u", em->name, em->known_session);
    else
        em_abandon(em);
}

void daemon_bring_back(struct world *world, struct em *em)
{
    em->gone = false;
    daemon_add_server(world, em);
}

void daemon_start(struct world *world)
{
    struct engine_config config = {.store = &world->store,
                                   .seed = rng_next(&world->rng),
                                   .items_at_once = world->items_at_once,
                                   .tasks_kept = world->tasks_kept,
                                   .on_wake = on_wake,
                                   .on_transition = on_transition,
                                   .on_run = on_run,
                                   .on_session = on_session,
                                   .data = world};
    world->engine = engine_new(&config);
    if (!world->engine)
        abort();
    world->commits_in_flight = 0;
    world->store_failed = false;
    for (size_t i = 0; i < world->n_ems; i++)
        if (!world->ems[i].gone)
            daemon_add_server(world, &world->ems[i]);
    for (size_t i = 0; i < world->n_runs; i++) {
        world->runs[i].clones_in_flight = 0;
        if ((world->runs[i].added || world->runs[i].blocked) &&
            (!world->runs[i].ended || world->runs[i].retries))
            daemon_add_run(world, &world->runs[i]);
    }
    world->wake = true;
}

void daemon_crash(struct world *world)
{
    if (!world->engine)
        return;
    world_say(world, "CRASH");
    world->crashes++;
    world->life++; /* whatever was on its way to the old life is dropped */
    for (size_t i = 0; i < world->n_ems; i++)
        world->doubts += world->ems[i].clones_in_flight;
    engine_free(world->engine);
    daemon_start(world);
}

void daemon_turn(struct world *world)
{
    world->wake = false;
    world->turns++;
    if (world->turns == world->crash_turn)
        daemon_crash(world);
    else
        engine_advance(world->engine, world_instant(world));
}
