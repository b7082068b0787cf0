/* Worlds: a quiet one for scenarios, and those drawn from seeds. First chaos, in
 * which only safety is asked for; then peace, in which everything must end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define STEPS_MAX 3000000
#define PEACE_MS (8 * 60 * MINUTE)              /* all runs end within it */
#define WINDOW_PEACE_MS (10 * 24 * 60 * MINUTE) /* or, where they wait for windows, within this */

static uint64_t between(struct world *world, uint64_t from, uint64_t to)
{
    return from + world_below(world, to - from + 1);
}

static struct world *scene_new(uint64_t seed)
{
    struct world *world = calloc(1, sizeof(*world));
    if (!world)
        abort();
    world->seed = seed;
    world->rng.state = seed * 0x2545f4914f6cdd1dULL + 1;
    world->transcript = BUF_INIT((size_t)1 << 24);
    for (size_t i = 0; i < SIM_SCRIPTS; i++)
        world->scripts[i].kind = -1;
    world->now_ms = 1000;
    world->peace_ms = PEACE_MS;
    fake_store_init(world);
    return world;
}

static void server_quiet(struct world *world, struct em *em, unsigned number)
{
    static char user[] = "sim", version[] = "latest";
    em_init(world, em, number);
    em->settings = (struct server_settings){.name = em->name,
                                            .username = user,
                                            .api_version = version,
                                            .in_flight_initial = 2,
                                            .in_flight_max = 6,
                                            .tasks_max = 10,
                                            .poll_interval_ms = 1000,
                                            .poll_max_ms = 10000,
                                            .unreachable_ms = 5 * MINUTE,
                                            .settle_ms = 20 * MINUTE,
                                            .keepalive_ms = 5 * MINUTE};
    em->page_size = 100;
    em->clone_max_ms = 30000;
    em->delay_max_ms = 1;
    em->collect_max_ms = 5000;
}

static void run_quiet(struct sim_run *run, struct em *em, size_t n_items, unsigned number)
{
    *run = (struct sim_run){.em = em,
                            .n_items = n_items,
                            .attempts = 6,
                            .task_timeout_ms = 30 * MINUTE,
                            .added_ms = em->world->now_ms};
    snprintf(run->id, sizeof(run->id), "01KB0000000000000000000RN%c", 'A' + (char)number);
    run->names = run->id[25];
}

static void add_run(struct world *world, void *data)
{
    if (world->engine)
        daemon_add_run(world, data);
}

struct world *scene_quiet(size_t n_items)
{
    struct world *world = scene_new(1);
    world->log = true;
    world->n_ems = world->n_runs = 1;
    server_quiet(world, &world->ems[0], 0);
    run_quiet(&world->runs[0], &world->ems[0], n_items, 0);
    return world;
}

struct sim_run *scene_add_rival(struct world *world, enum on_conflict on_conflict)
{
    struct sim_run *run = &world->runs[world->n_runs];
    run_quiet(run, &world->ems[0], world->runs[0].n_items, (unsigned)world->n_runs++);
    run->names = world->runs[0].names;
    run->on_conflict = on_conflict;
    return run;
}

void scene_begin(struct world *world)
{
    daemon_start(world);
    for (size_t i = 0; i < world->n_runs; i++)
        daemon_add_run(world, &world->runs[i]);
}

/* ---- what goes wrong ---- */

static void crash(struct world *world, void *data)
{
    (void)data;
    if (world->now_ms < world->chaos_until_ms)
        daemon_crash(world);
}

static void lose_session(struct world *world, void *data)
{
    (void)world;
    em_lose_session(data);
}

static void restart(struct world *world, void *data)
{
    (void)world;
    em_restart(data);
}

static void collects(struct world *world, void *data)
{
    struct em *em = data;
    for (unsigned i = 0; i < SIM_BACKUP_SERVERS; i++)
        em_collect(em, i);
    if (world->engine)
        world_at(world, world->now_ms + em->collect_every_ms, collects, em);
}

/* An item in doubt, if there is one: then a stranger's job of its name tells most. */
static uint32_t wanted_item(struct world *world, const struct sim_run *run)
{
    uint32_t from = (uint32_t)world_below(world, run->n_items);
    for (uint32_t i = 0; i < run->n_items; i++) {
        uint32_t at = (from + i) % (uint32_t)run->n_items;
        if (run->stored[at] && run->rows[at].state == ITEM_IN_DOUBT)
            return at;
    }
    return from;
}

/* People: jobs come and go, so that pages shift; one may take a name that an item wants. */
static void meddle(struct world *world, void *data)
{
    struct em *em = data;
    size_t at = SIM_TEMPLATES + world_below(world, em->n_jobs - SIM_TEMPLATES);
    uint64_t what = world_below(world, 10);
    const struct sim_run *run = &world->runs[world_below(world, world->n_runs)];
    uint32_t wanted = wanted_item(world, run);
    em->meddled++;
    if (what == 0 || what == 5) {
        const char *name = run->stored[wanted] ? run->rows[wanted].name : "Clone A 0";
        em_add_job(em, name, "Backup", wanted % SIM_BACKUP_SERVERS);
        world_say(world, "%s: somebody makes a job '%s'", em->name, name);
    } else if (what == 1 && em->jobs[at].made_by_clone && job_visible(em, &em->jobs[at])) {
        struct sim_job *copy = em_add_job(em, "copied by a person", em->jobs[at].type, em->jobs[at].server);
        memcpy(copy->description, em->jobs[at].description, sizeof(copy->description));
        world_say(world, "%s: somebody copies a job with its mark", em->name);
    } else if (what < 5 && !em->jobs[at].made_by_clone) {
        em->jobs[at].deleted = true;
        world_say(world, "%s: somebody deletes job %zu", em->name, at);
    } else {
        em_add_job(em, "filler", "Backup", 0);
    }
}

/* ---- drawing ---- */

static void draw_settings(struct world *world, struct em *em)
{
    struct server_settings *s = &em->settings;
    s->in_flight_initial = (unsigned)between(world, 1, 4);
    s->in_flight_max = (unsigned)between(world, s->in_flight_initial, 8);
    s->tasks_max = (unsigned)between(world, 2, 12);
    s->in_flight_per_source = (unsigned)world_below(world, 3);
    s->poll_interval_ms = between(world, 100, 2000);
    s->poll_max_ms = between(world, 10000, 60000);
    s->settle_ms = between(world, 4, 30) * MINUTE;
}

/* What `settle` must cover: arriving late and cloning in one half, collecting in the other. */
static void draw_ways(struct world *world, struct em *em)
{
    uint64_t half = em->settings.settle_ms / 2 - 1000;
    em->page_size = (unsigned)between(world, 4, 60);
    em->delay_max_ms = between(world, 1000, half / 2);
    em->clone_max_ms = between(world, 1000, half - em->delay_max_ms);
    em->collect_max_ms = between(world, 1000, half);
    em->collect_every_ms = between(world, 1, 30) * MINUTE;
    em->serial = rng_chance(&world->rng, 250);
    em->numbers_per_session = rng_chance(&world->rng, 500);
    em->spoil_permille = rng_chance(&world->rng, 200) ? 0 : (unsigned)between(world, 5, 150);
    em->clone_spoil_permille = (unsigned)between(world, 100, 800);
    em->collect_spoil_permille = em->spoil_permille;
    if (rng_chance(&world->rng, 150)) { /* collections hardly ever succeed, and seldom come by themselves */
        em->collect_spoil_permille = (unsigned)between(world, 500, 980);
        em->collect_every_ms = 30 * MINUTE;
    }
    em->fail_permille = rng_chance(&world->rng, 500) ? 0 : (unsigned)between(world, 10, 200);
    if (em->serial)
        em->clone_max_ms = em->clone_max_ms < 40000 ? em->clone_max_ms : 40000;
    if (rng_chance(&world->rng, 150))
        em->hang_permille = (unsigned)between(world, 10, 150);
    if (rng_chance(&world->rng, 150))
        em->late_permille = (unsigned)between(world, 10, 150);
    if (rng_chance(&world->rng, 150))
        em->omit_permille = (unsigned)between(world, 50, 500);
    if (rng_chance(&world->rng, 60))
        em->quirk = (enum em_quirk)between(world, 1, QUIRK_COUNT - 1);
    struct rng forms = {.state = world->seed + 77 * (uint64_t)(em - world->ems)};
    if (rng_chance(&forms, 300))
        em->form = rng_chance(&forms, 500) ? CLONE_FORM_TABLE : CLONE_FORM_JSON;
}

/* Some can be overloaded; drawn apart, so that the others stay as they are. */
static void draw_load(struct world *world, struct em *em)
{
    struct rng rng = {.state = world->seed * 31 + 991 * (uint64_t)(em - world->ems)};
    if (!rng_chance(&rng, 200))
        return;
    em->places = 1 + (unsigned)rng_below(&rng, 4);
    em->service_ms = 20 + rng_below(&rng, 500);
    world_say(world, "%s: %u places, each request takes about %llu ms", em->name, em->places,
              (unsigned long long)em->service_ms);
}

/* Some list jobs otherwise; drawn apart, too. */
static void draw_lists(struct world *world, struct em *em)
{
    struct rng rng = {.state = world->seed * 37 + 997 * (uint64_t)(em - world->ems)};
    em->newest_first = rng_chance(&rng, 250);
    em->links = rng_chance(&rng, 150);
    if (em->newest_first || em->links)
        world_say(world, "%s: jobs are listed%s%s", em->name, em->newest_first ? " newest first" : "",
                  em->links ? " in pages that are not counted" : "");
}

/* In some there is no memory for a request now and then; drawn apart, too. */
static void draw_memory(struct world *world, struct em *em)
{
    struct rng rng = {.state = world->seed * 41 + 983 * (uint64_t)(em - world->ems)};
    if (!rng_chance(&rng, 150))
        return;
    em->start_permille = 1 + (unsigned)rng_below(&rng, 300);
    world_say(world, "%s: %u of 1000 requests do not begin for lack of memory", em->name, em->start_permille);
}

static void draw_troubles(struct world *world, struct em *em)
{
    uint64_t span = world->chaos_until_ms;
    for (uint64_t n = world_below(world, 4); n > 0; n--)
        world_at(world, world_below(world, span), lose_session, em);
    for (uint64_t n = world_below(world, 3); n > 0; n--)
        world_at(world, world_below(world, span), restart, em);
    for (uint64_t n = rng_chance(&world->rng, 300) ? world_below(world, 20) : 0; n > 0; n--)
        world_at(world, world_below(world, span), meddle, em);
    world_at(world, 1 + world_below(world, em->collect_every_ms), collects, em);
}

static void set_clock(struct world *world, void *data)
{
    (void)data;
    world->skew_ms += (int64_t)world_below(world, 4 * 60 * MINUTE) - (int64_t)(2 * 60 * MINUTE);
    world_say(world, "the clock is set to %lld s", (long long)world_instant(world).wall_ms / 1000);
    world->wake = true;
}

/* Hours of the day around those in which the runs are added; in some worlds, and drawn apart, so that the
 * others stay as they are. */
static void draw_windows(struct world *world)
{
    struct rng rng = {world->seed ^ 0x9e3779b97f4a7c15ULL};
    for (size_t i = 0; i < world->n_runs && world->seed % 5 == 0; i++) {
        struct sim_run *run = &world->runs[i];
        if (rng_chance(&rng, 500))
            continue;
        uint64_t minute = (uint64_t)world_instant(world).wall_ms / MINUTE + 1380 + rng_below(&rng, 180);
        run->window = (struct window){.given = true, .from_min = (unsigned)(minute % 1440), .zone = zone_utc};
        run->window.to_min = (unsigned)((minute + 5 + rng_below(&rng, 115)) % 1440);
        world->peace_ms = WINDOW_PEACE_MS;
        world_say(world, "run %c: window from %02u:%02u to %02u:%02u", run->id[25], run->window.from_min / 60,
                  run->window.from_min % 60, run->window.to_min / 60, run->window.to_min % 60);
    }
    if (world->peace_ms == WINDOW_PEACE_MS && rng_chance(&rng, 300))
        world_at(world, rng_below(&rng, world->chaos_until_ms), set_clock, NULL);
}

static void draw_run(struct world *world, unsigned number)
{
    struct sim_run *run = &world->runs[number];
    struct em *em = &world->ems[world_below(world, world->n_ems)];
    run_quiet(run, em, between(world, 1, 24), number);
    run->attempts = (unsigned)between(world, 1, 6);
    run->in_flight = (unsigned)world_below(world, 5);
    run->task_timeout_ms = between(world, 10, 40) * MINUTE;
    if (rng_chance(&world->rng, 50))
        run->run_timeout_ms = between(world, 20, 240) * MINUTE;
    if (rng_chance(&world->rng, 50))
        run->stop_failures = (unsigned)between(world, 1, 5);
    const struct sim_run *older = number ? &world->runs[world_below(world, number)] : NULL;
    if (older && older->em == em && rng_chance(&world->rng, 400))
        run->names = older->names;
    run->on_conflict = (enum on_conflict)world_below(world, 3);
    run->added_ms = number ? world->runs[number - 1].added_ms + world_below(world, world->chaos_until_ms / 4)
                           : world->now_ms;
    world_at(world, run->added_ms, add_run, run);
    operator_plan(world, run);
}

/* In some worlds clones are quick and many, and hardly any task may stay listed: there sessions are changed
 * again and again. Drawn apart, so that the others stay as they are. */
static void draw_quick(struct world *world)
{
    struct rng rng = {world->seed ^ 0x7f4a7c159e3779b9ULL};
    if (world->seed % 16 != 1)
        return;
    world->tasks_kept = 1;
    for (size_t i = 0; i < world->n_ems; i++) {
        struct em *em = &world->ems[i];
        em->settings.in_flight_initial = em->settings.in_flight_max = 1 + (unsigned)rng_below(&rng, 2);
        em->settings.tasks_max = 40;
        em->settings.poll_interval_ms = 100;
        em->settings.poll_max_ms = 500 + rng_below(&rng, 2000);
        em->clone_max_ms = 201 + rng_below(&rng, 1000);
        em->serial = false;
    }
    for (size_t i = 0; i < world->n_runs; i++)
        world->runs[i].n_items = 30 + rng_below(&rng, 70);
}

/* The head of a transcript. */
static void describe(struct world *world, const struct em *em)
{
    static const char *const quirks[] = {"none", "refuses to collect", "does not list tasks",
                                         "drops descriptions"};
    const struct server_settings *s = &em->settings;
    world_say(world,
              "%s: settle %llu s, clones take up to %llu s%s, requests up to %llu s late, collections %llu s "
              "every %llu s, pages of %u, spoils %u/%u, fails %u, hangs %u, late %u, quirk: %s",
              em->name, (unsigned long long)s->settle_ms / 1000, (unsigned long long)em->clone_max_ms / 1000,
              em->serial ? " one after another" : "", (unsigned long long)em->delay_max_ms / 1000,
              (unsigned long long)em->collect_max_ms / 1000, (unsigned long long)em->collect_every_ms / 1000,
              em->page_size, em->spoil_permille, em->clone_spoil_permille, em->fail_permille,
              em->hang_permille, em->late_permille, quirks[em->quirk]);
}

struct world *scene_seed(uint64_t seed, bool json, bool verbose)
{
    struct world *world = scene_new(seed);
    world->items_at_once = (unsigned)(seed % 4);
    world->json = json;
    world->verbose = verbose;
    world->forgets = seed / 4 % 2;
    world_say(world, "seed %llu", (unsigned long long)seed);
    world->chaos_until_ms = between(world, 1, 90) * MINUTE;
    world->n_ems = between(world, 1, SIM_SERVERS_MAX);
    world->n_runs = between(world, 1, SIM_RUNS_MAX);
    world->store_permille = rng_chance(&world->rng, 300) ? (unsigned)between(world, 1, 100) : 0;
    for (unsigned i = 0; i < world->n_ems; i++) {
        server_quiet(world, &world->ems[i], i);
        draw_settings(world, &world->ems[i]);
        draw_ways(world, &world->ems[i]);
        draw_load(world, &world->ems[i]);
        draw_lists(world, &world->ems[i]);
        draw_memory(world, &world->ems[i]);
        draw_troubles(world, &world->ems[i]);
        describe(world, &world->ems[i]);
    }
    for (unsigned i = 0; i < world->n_runs; i++)
        draw_run(world, i);
    draw_windows(world);
    draw_quick(world);
    if (world->seed % 8 == 3)
        operator_hesitate(world);
    for (uint64_t n = world_below(world, 4); n > 0; n--)
        world_at(world, world_below(world, world->chaos_until_ms), crash, NULL);
    world->keeps_permille = (unsigned)world_below(world, 1000);
    if (rng_chance(&world->rng, 300))
        world->crash_turn = 1 + world_below(world, 400);
    daemon_start(world);
    return world;
}

/* ---- running ---- */

static void tick(struct world *world, void *data)
{
    (void)world;
    (void)data;
}

bool scene_step(struct world *world)
{
    uint64_t due = engine_next_due(world->engine);
    if (world->wake || due <= world->now_ms) {
        daemon_turn(world);
        check_counts(world);
        check_step(world);
        if (engine_next_due(world->engine) > world->now_ms)
            return true;
        world_at(world, world->now_ms + 1, tick, NULL); /* a loop turns no faster than this */
    } else if (due != INSTANT_NEVER && due != world->tick_ms) {
        world->tick_ms = due;
        world_at(world, due, tick, NULL);
    }
    bool more = world_step(world);
    check_step(world);
    return more;
}

static bool scene_over(const struct world *world)
{
    for (size_t i = 0; i < world->n_runs; i++)
        if (!world->runs[i].ended || world->runs[i].retries)
            return false;
    return true;
}

void scene_until(struct world *world, uint64_t at_ms)
{
    world_at(world, at_ms, tick, NULL);
    for (int step = 0; step < STEPS_MAX && !world->failure[0] && world->now_ms < at_ms; step++)
        if (!scene_step(world))
            return;
}

bool scene_run(struct world *world)
{
    bool peace = false;
    for (int step = 0; !world->failure[0] && !scene_over(world); step++) {
        if (!peace && world->now_ms >= world->chaos_until_ms) {
            peace = true;
            world_say(world, "PEACE: from now on nothing goes wrong");
        }
        if (!scene_step(world) || step > STEPS_MAX || world->now_ms > world->chaos_until_ms + world->peace_ms)
            world_fail(world, "not all runs ended (%llu s after peace)",
                       (unsigned long long)(world->now_ms - world->chaos_until_ms) / 1000);
    }
    if (!world->failure[0])
        check_end(world);
    return !world->failure[0];
}

void scene_free(struct world *world)
{
    world->life++;
    engine_free(world->engine);
    world->engine = NULL;
    world->verbose = world->log = false;
    while (world_step(world)) { /* what is still on its way frees itself */
    }
    for (size_t i = 0; i < world->n_ems; i++)
        em_done(&world->ems[i]);
    world_done(world);
    free(world);
}

size_t scene_count(const struct world *world, enum item_state state)
{
    const struct sim_run *run = &world->runs[0];
    size_t n = 0;
    for (size_t i = 0; i < run->n_items; i++)
        n += (run->stored[i] ? run->rows[i].state : ITEM_QUEUED) == state;
    return n;
}
