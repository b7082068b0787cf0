/* sim: the real engine and codec against a model server in virtual time. For
 * every seed: faults and crashes for a while, then peace; at the end each item
 * has an outcome and the truth agrees with it.
 *
 *     sim --seeds 500 [--first N]     many seeds, quietly
 *     sim --seed N                    one seed with its transcript */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "codec/api.h"
#include "model/plan.h"
#include "world.h"

#define MAX_STEPS 2000000
#define END_MS ((uint64_t)48 * 3600 * 1000)

static struct instant sim_now(const struct world *world)
{
    return (struct instant){world->now_ms, 1790000000000 + (int64_t)world->now_ms};
}

static void on_wake(void *data)
{
    ((struct world *)data)->wake = true;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void on_transition(const char *run_id, const struct item *from, const struct item *to, void *data)
{
    struct world *world = data;
    const struct item *row = &world->rows[to->index];
    (void)run_id;
    world_say(world, "item %u: %s -> %s (attempt %u)%s%s", to->index, item_state_name(from->state),
              item_state_name(to->state), to->attempts, to->message ? ": " : "",
              to->message ? to->message : "");
    if (!world->stored[to->index] || row->state != to->state || row->attempts != to->attempts ||
        !same(row->task_id, to->task_id) || !same(row->job_uid, to->job_uid))
        world_fail(world, "item %u: memory and store differ", to->index);
}

/* ---- the daemon's life ---- */

static struct plan *make_plan(const struct world *world)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct arena *arena = arena_new();
    struct plan_clone *clones = calloc(world->n_items, sizeof(*clones));
    if (!plan || !arena || !clones)
        abort();
    *plan = (struct plan){.arena = arena,
                          .file = "sim",
                          .name = "sim",
                          .server = "sim",
                          .attempts = 6,
                          .retry_initial_ms = 2000,
                          .retry_max_ms = 120000,
                          .task_timeout_ms = 1800000,
                          .clones = clones,
                          .n_clones = world->n_items};
    for (size_t i = 0; i < world->n_items; i++) {
        char text[32];
        snprintf(text, sizeof(text), "T%zu", i % 4);
        clones[i] = (struct plan_clone){.source = {PLAN_REF_NAME, arena_intern(arena, text)},
                                        .repository = {PLAN_REF_NAME, "Repo"},
                                        .vm_suffix = "_s"};
        snprintf(text, sizeof(text), "Clone %zu", i);
        clones[i].name = arena_intern(arena, text);
    }
    return plan;
}

static void daemon_start(struct world *world)
{
    struct engine_config config = {.store = &world->store,
                                   .seed = rng_next(&world->rng),
                                   .on_wake = on_wake,
                                   .on_transition = on_transition,
                                   .data = world};
    struct item stored[SIM_ITEMS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < world->n_items; i++)
        if (world->stored[i])
            stored[n++] = world->rows[i];
    struct engine_run_options options = {.id = SIM_RUN_ID,
                                         .plan = make_plan(world),
                                         .resumed = world->life > 0,
                                         .stored = stored,
                                         .n_stored = n};
    world->engine = engine_new(&config);
    world->in_flight = world->clones_in_flight = world->logons_in_flight = 0;
    if (!world->engine || engine_add_server(world->engine, &world->server, &world->http, &api_xml) < 0 ||
        engine_add_run(world->engine, &options, sim_now(world)) < 0)
        abort();
    world->wake = true;
}

static void daemon_crash(struct world *world, void *data)
{
    (void)data;
    if (!world->engine)
        return;
    world_say(world, "CRASH");
    world->crashes++;
    world->life++; /* whatever was on its way to the old life is dropped */
    engine_free(world->engine);
    daemon_start(world);
}

static void lose_session(struct world *world, void *data)
{
    (void)data;
    fake_server_lose_session(world);
}

static void server_down(struct world *world, void *data)
{
    (void)data;
    fake_server_lose_session(world);
    world->down_until_ms = world->now_ms + rng_below(&world->rng, 120000);
}

static void collects(struct world *world, void *data)
{
    fake_server_collect(world);
    if (world->engine)
        world_at(world, world->now_ms + 900000, collects, data);
}

static void tick(struct world *world, void *data)
{
    (void)world;
    (void)data;
}

static void plan_troubles(struct world *world)
{
    uint64_t span = world->settings.faults_until_ms;
    for (uint64_t n = rng_below(&world->rng, 4); n > 0; n--)
        world_at(world, rng_below(&world->rng, span), daemon_crash, NULL);
    for (uint64_t n = rng_below(&world->rng, 3); n > 0; n--)
        world_at(world, rng_below(&world->rng, span), lose_session, NULL);
    if (rng_chance(&world->rng, 200))
        world_at(world, rng_below(&world->rng, span), server_down, NULL);
    world_at(world, 1 + rng_below(&world->rng, 900000), collects, NULL);
}

/* ---- the end ---- */

static void check_item(struct world *world, uint32_t index)
{
    const struct item *item = engine_run_item(world->engine, SIM_RUN_ID, index);
    char mark[ITEM_MARK_MAX];
    const char *id = NULL;
    item_mark(mark, SIM_RUN_ID, index);
    int clones = fake_server_clones(world, mark, &id);
    bool late = item->error == ITEM_E_TASK_TIMEOUT;
    if (!item_state_final(item->state))
        world_fail(world, "item %u ended as %s", index, item_state_name(item->state));
    if (item->state == ITEM_SUCCEEDED &&
        (clones != 1 || !item->job_uid || strcmp(strrchr(item->job_uid, ':') + 1, id) != 0))
        world_fail(world, "item %u is called succeeded: %d clones, uid %s", index, clones,
                   item->job_uid ? item->job_uid : "-");
    if (item->state != ITEM_SUCCEEDED && clones && !late && item->state != ITEM_UNKNOWN)
        world_fail(world, "item %u is called %s but %d clones are there", index, item_state_name(item->state),
                   clones);
    if (item->state == ITEM_UNKNOWN)
        world_fail(world, "item %u is unknown though everything could be asked", index);
}

static bool run_over(const struct world *world)
{
    enum run_state state = engine_run_status(world->engine, SIM_RUN_ID).state;
    return state == RUN_SUCCEEDED || state == RUN_FAILED || state == RUN_CANCELLED;
}

static void world_run(struct world *world)
{
    for (int step = 0; step < MAX_STEPS && !world->failure[0]; step++) {
        uint64_t due = engine_next_due(world->engine);
        if (run_over(world) && (!world->settings.faults || world->now_ms > world->settings.faults_until_ms))
            return;
        if (world->wake || due <= world->now_ms) {
            world->wake = false;
            engine_advance(world->engine, sim_now(world));
            if (engine_next_due(world->engine) > world->now_ms)
                continue;
            world_at(world, world->now_ms + 1, tick, NULL); /* a loop turns no faster than this */
        } else if (due != INSTANT_NEVER && due != world->tick_ms) {
            world->tick_ms = due;
            world_at(world, due, tick, NULL);
        }
        if (!world_step(world) || world->now_ms > END_MS)
            break;
    }
    world_fail(world, "the run did not end (now %llu s)", (unsigned long long)world->now_ms / 1000);
}

static bool run_seed(uint64_t seed, bool verbose, struct world *totals)
{
    struct world *world = calloc(1, sizeof(*world));
    if (!world)
        abort();
    world->seed = seed;
    world->rng.state = seed * 0x2545f4914f6cdd1dULL + 1;
    world->settings = (struct sim_settings){
        .faults = seed != 0, .verbose = verbose, .faults_until_ms = 60000 + rng_below(&world->rng, 1200000)};
    world->n_items = 1 + rng_below(&world->rng, SIM_ITEMS_MAX);
    world->server = (struct server_settings){.name = (char[]){"sim"},
                                             .username = (char[]){"sim"},
                                             .api_version = (char[]){"latest"},
                                             .in_flight_initial = 2,
                                             .in_flight_max = 6,
                                             .tasks_max = 10,
                                             .poll_interval_ms = 100,
                                             .poll_max_ms = 10000,
                                             .settle_ms = 1200000,
                                             .keepalive_ms = 300000,
                                             .in_flight_per_source = (unsigned)rng_below(&world->rng, 3)};
    fake_store_init(world);
    fake_server_init(world);
    daemon_start(world);
    if (world->settings.faults)
        plan_troubles(world);
    else
        world_at(world, 900000, collects, NULL);
    world_run(world);
    for (uint32_t i = 0; i < world->n_items && !world->failure[0]; i++)
        check_item(world, i);
    bool ok = !world->failure[0];
    if (!ok)
        printf("seed %llu: %s\n", (unsigned long long)seed, world->failure);
    totals->crashes += world->crashes;
    totals->lost_sessions += world->lost_sessions;
    totals->doubts += world->doubts;
    totals->requests += world->requests;
    world->life++;
    engine_free(world->engine);
    world->settings.verbose = false;
    world->engine = NULL;
    while (world_step(world)) { /* what is still on its way frees itself */
    }
    world_done(world);
    free(world);
    return ok;
}

int main(int argc, char **argv)
{
    uint64_t first = 0, n = 500, failed = 0;
    bool verbose = false;
    struct world *totals = calloc(1, sizeof(*totals));
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seeds") == 0) {
            n = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--first") == 0) {
            first = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0) {
            first = strtoull(argv[i + 1], NULL, 10);
            n = 1;
            verbose = true;
        } else {
            fprintf(stderr, "usage: sim [--seeds N] [--first N] | --seed N\n");
            return 2;
        }
    }
    if (!totals)
        return 1;
    if (!verbose)
        log_set_level(LOG_LEVEL_ERROR);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (uint64_t seed = first; seed < first + n && failed < 10; seed++)
        failed += !run_seed(seed, verbose, totals);
    printf("%llu seeds, %u crashes, %u lost sessions, %u clone requests of unknown outcome, %u requests, "
           "%llu failed\n",
           (unsigned long long)n, totals->crashes, totals->lost_sessions, totals->doubts, totals->requests,
           (unsigned long long)failed);
    free(totals);
    return failed ? 1 : 0;
}
