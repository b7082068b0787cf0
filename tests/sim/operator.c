/* People with commands: they pause, resume, cancel and retry runs whenever they like. */
#include <errno.h>

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
