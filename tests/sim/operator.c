/* People with commands: they pause, resume, cancel and retry runs whenever they like. */
#include <errno.h>
#include <stdio.h>

#include "world.h"

static void say(struct world *world, const struct sim_run *run, const char *what, int r)
{
    world->commands += r == 0;
    world_say(world, "operator: %s run %c%s", what, run->id[25], r == 0 ? "" : ": refused");
    if (r == 0)
        world->wake = true;
}

static void resume(struct world *world, void *data)
{
    struct sim_run *run = data;
    if (!world->engine)
        return;
    say(world, run, "resume", engine_resume_run(world->engine, run->id));
}

static void pause(struct world *world, void *data)
{
    struct sim_run *run = data;
    if (!world->engine)
        return;
    say(world, run, "pause", engine_pause_run(world->engine, run->id));
    world_at(world, world->now_ms + world_below(world, 20 * MINUTE), resume, run);
}

static void cancel(struct world *world, void *data)
{
    struct sim_run *run = data;
    if (!world->engine)
        return;
    say(world, run, "cancel", engine_cancel_run(world->engine, run->id, false));
}

static void cancel_tasks(struct world *world, void *data)
{
    struct sim_run *run = data;
    if (!world->engine)
        return;
    say(world, run, "cancel, with its tasks,", engine_cancel_run(world->engine, run->id, true));
}

/* Once, when it has ended. */
static void retry(struct world *world, void *data)
{
    struct sim_run *run = data;
    if (!world->engine)
        return;
    if (!run->ended) {
        world_at(world, world->now_ms + MINUTE, retry, run);
        return;
    }
    int r = engine_retry_run(world->engine, run->id);
    run->retries = r == -EBUSY;
    say(world, run, "retry", r);
    if (run->retries)
        world_at(world, world->now_ms + 1000, retry, run);
}

/* The daemon may crash right after a command, and people look whether it still holds: a run
 * that was paused when the chaos ends is resumed by somebody. */
static void look_after(struct world *world, void *data)
{
    struct sim_run *run = data;
    if (!world->engine)
        return;
    if (run->added && run->state == RUN_PAUSED)
        resume(world, run);
    world_at(world, world->now_ms + 30 * MINUTE, look_after, run);
}

/* ---- one who does not know what to do ---- */

static void forget_preview(struct world *world, void *data)
{
    const char *id = data;
    if (world->engine)
        engine_remove_run(world->engine, id); /* wherever it has come to */
}

static void preview(struct world *world, const struct sim_run *run)
{
    static char ids[SIM_RUNS_MAX][27];
    char *id = ids[run - world->runs];
    snprintf(id, sizeof(ids[0]), "01KB0000000000000000000PR%c", 'A' + (char)(run - world->runs));
    if (!run->em->gone && daemon_preview(world, run, id) == 0)
        world_at(world, world->now_ms + world_below(world, MINUTE), forget_preview, id);
}

/* A reload, with limits that are no higher than those the world was drawn with. */
static void reload(struct world *world, struct em *em)
{
    struct server_settings *now = &em->reloaded[em->reloads++ % 2]; /* the one before is in use until then */
    *now = em->settings;
    now->in_flight_max = 1 + (unsigned)world_below(world, em->settings.in_flight_max);
    now->in_flight_initial = 1 + (unsigned)world_below(world, now->in_flight_max);
    now->tasks_max = 1 + (unsigned)world_below(world, em->settings.tasks_max);
    if (em->settings.in_flight_per_source)
        now->in_flight_per_source = 1 + (unsigned)world_below(world, em->settings.in_flight_per_source);
    if (engine_set_server(world->engine, now) == 0)
        world_say(world, "%s: settings change: %u requests, %u tasks", em->name, now->in_flight_max,
                  now->tasks_max);
}

static void command(struct world *world, struct sim_run *run)
{
    struct engine *engine = world->engine;
    switch (world_below(world, 9)) {
    case 0:
    case 1:
        say(world, run, "pause", engine_pause_run(engine, run->id));
        break;
    case 2:
    case 3:
        say(world, run, "resume", engine_resume_run(engine, run->id));
        break;
    case 4:
        if (!run->ended && world_below(world, 4) == 0)
            say(world, run, "cancel", engine_cancel_run(engine, run->id, world_below(world, 2)));
        break;
    case 5:
        say(world, run, "retry", engine_retry_run(engine, run->id));
        break;
    case 6:
        preview(world, run);
        break;
    case 7:
        reload(world, run->em);
        break;
    default:
        if (run->ended && !run->retries)
            say(world, run, "forget", engine_remove_run(engine, run->id));
    }
}

static void hesitate(struct world *world, void *data)
{
    if (!world->engine || world->now_ms >= world->chaos_until_ms)
        return;
    for (uint64_t n = 1 + world_below(world, 3); n > 0; n--)
        command(world, &world->runs[world_below(world, world->n_runs)]);
    world_at(world, world->now_ms + 1 + world_below(world, world_below(world, 4) ? 100 : 2 * MINUTE),
             hesitate, data);
}

void operator_hesitate(struct world *world)
{
    world_at(world, world->now_ms + 1, hesitate, NULL);
}

void operator_plan(struct world *world, struct sim_run *run)
{
    uint64_t span = world->chaos_until_ms;
    for (uint64_t n = rng_chance(&world->rng, 250) ? world_below(world, 4) : 0; n > 0; n--)
        world_at(world, world_below(world, span), pause, run);
    if (rng_chance(&world->rng, 80))
        world_at(world, world_below(world, span), cancel, run);
    if (rng_chance(&world->rng, 80))
        world_at(world, world_below(world, span), cancel_tasks, run);
    run->retries = rng_chance(&world->rng, 250);
    if (run->retries)
        world_at(world, world_below(world, span), retry, run);
    world_at(world, span + MINUTE, look_after, run);
}
