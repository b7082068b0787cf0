/* The daemon's lives: the engine with its runs, crashes, and the end of runs. */
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
    snprintf(text, sizeof(text), index % 8 == 7 ? "Clone \"%c\" & %zu" : "Clone %c %zu", run->id[25], index);
    clone.name = arena_intern(arena, text);
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

void daemon_add_run(struct world *world, struct sim_run *run)
{
    struct item stored[SIM_ITEMS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < run->n_items; i++)
        if (run->stored[i])
            stored[n++] = run->rows[i];
    struct engine_run_options options = {
        .id = run->id, .plan = make_plan(run), .resumed = run->added, .stored = stored, .n_stored = n};
    run->added = true;
    run->over = false;
    world_say(world, "run %c is added", run->id[25]);
    if (engine_add_run(world->engine, &options, world_instant(world)) < 0)
        abort();
    world->wake = true;
}

void daemon_start(struct world *world)
{
    struct engine_config config = {.store = &world->store,
                                   .seed = rng_next(&world->rng),
                                   .on_wake = on_wake,
                                   .on_transition = on_transition,
                                   .data = world};
    world->engine = engine_new(&config);
    world->commits_in_flight = 0;
    world->store_failed = false;
    for (size_t i = 0; i < world->n_ems; i++) {
        struct em *em = &world->ems[i];
        em->clones_in_flight = em->logons_in_flight = em->polls_in_flight = 0;
        memset(em->collects_in_flight, 0, sizeof(em->collects_in_flight));
        em->known_session = 0;
        em->polled = false;
        if (!world->engine || engine_add_server(world->engine, &em->settings, &em->http, &api_xml) < 0)
            abort();
    }
    for (size_t i = 0; i < world->n_runs; i++) {
        world->runs[i].clones_in_flight = 0;
        if (world->runs[i].added && !world->runs[i].ended)
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
    for (size_t i = 0; i < world->n_ems; i++) {
        world->doubts += world->ems[i].clones_in_flight;
        em_abandon(&world->ems[i]);
    }
    engine_free(world->engine);
    daemon_start(world);
}

bool daemon_run_over(const struct world *world, const struct sim_run *run)
{
    enum run_state state = engine_run_status(world->engine, run->id).state;
    return state == RUN_SUCCEEDED || state == RUN_FAILED || state == RUN_CANCELLED;
}

/* Its result is written: it is not taken up again. */
static void run_ends(struct world *world, void *data)
{
    struct sim_run *run = data;
    if (!run->over || run->ended)
        return; /* the daemon crashed before that */
    run->ended = true;
    world_say(world, "run %c has ended", run->id[25]);
}

static void daemon_end_runs(struct world *world)
{
    for (size_t i = 0; i < world->n_runs; i++) {
        struct sim_run *run = &world->runs[i];
        if (!run->added || run->over || !daemon_run_over(world, run))
            continue;
        run->over = true;
        world_say(world, "run %c is over", run->id[25]);
        world_at(world, world->now_ms + 1 + world_below(world, 3000), run_ends, run);
    }
}

void daemon_turn(struct world *world)
{
    world->wake = false;
    world->turns++;
    if (world->turns == world->crash_turn) {
        daemon_crash(world);
        return;
    }
    engine_advance(world->engine, world_instant(world));
    daemon_end_runs(world);
}
