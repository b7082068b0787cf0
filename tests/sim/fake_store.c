/* A store in memory: commits take time, may fail (and be on disk all the same),
 * and a crash may come before or after. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

struct fake_commit {
    struct world *world;
    unsigned life, number;
    const struct store_change *changes;
    size_t n;
    void (*on_done)(int error, void *data);
    void *data;
    bool fails, written;
};

static const char *keep(struct world *world, const char *str)
{
    return arena_intern(world->store_arena, str);
}

static struct sim_run *run_by_id(struct world *world, const char *id)
{
    for (size_t i = 0; i < world->n_runs; i++)
        if (strcmp(world->runs[i].id, id) == 0)
            return &world->runs[i];
    world_fail(world, "the engine stored a run %s that nobody gave it", id);
    return &world->runs[0];
}

static void row_put(struct world *world, struct sim_run *run, const struct item *item)
{
    struct item *row = &run->rows[item->index];
    static const struct item none = {.state = ITEM_QUEUED};
    check_row(run, run->stored[item->index] ? row : &none, item, world);
    *row = *item;
    row->name = keep(world, item->name);
    row->folder = keep(world, item->folder);
    row->source_id = keep(world, item->source_id);
    row->source_name = keep(world, item->source_name);
    row->repository_uid = keep(world, item->repository_uid);
    row->server_id = keep(world, item->server_id);
    row->server_name = keep(world, item->server_name);
    row->session_id = keep(world, item->session_id);
    row->task_id = keep(world, item->task_id);
    row->job_uid = keep(world, item->job_uid);
    row->message = keep(world, item->message);
    run->stored[item->index] = true;
}

static void run_put(struct world *world, struct sim_run *run, const struct store_change *change)
{
    if (run->state != change->run_state || run->wish != change->run_wish)
        world_say(world, "run %c is stored as %s, wish %d", run->id[25], run_state_name(change->run_state),
                  (int)change->run_wish);
    check_started(world, run, change->started_ms);
    run->started_ms = change->started_ms;
    run->state = change->run_state;
    run->wish = change->run_wish;
    run->ended = change->finished_ms != 0;
}

/* The moment when the batch reaches the disk. A crash before it loses the batch whole;
 * what the engine lent is gone with it. */
static void commit_write(struct world *world, void *data)
{
    struct fake_commit *commit = data;
    if (commit->life != world->life || commit->written)
        return;
    commit->written = true;
    if (world->crash_commit == commit->number && !world->crash_late) {
        daemon_crash(world);
        return;
    }
    for (size_t i = 0; i < commit->n; i++) {
        struct sim_run *run = run_by_id(world, commit->changes[i].run_id);
        if (commit->changes[i].item)
            row_put(world, run, commit->changes[i].item);
        else
            run_put(world, run, &commit->changes[i]);
    }
    if (world->crash_commit == commit->number)
        daemon_crash(world);
}

static void commit_done(struct world *world, void *data)
{
    struct fake_commit *commit = data;
    if (commit->life == world->life) {
        world->commits_in_flight--;
        world->store_failed = commit->fails;
        commit->on_done(commit->fails ? -EIO : 0, commit->data);
    }
    free(commit);
}

static void fake_commit_start(struct store *store, const struct store_change *changes, size_t n,
                              void (*on_done)(int error, void *data), void *data)
{
    struct world *world = (struct world *)((char *)store - offsetof(struct world, store));
    struct fake_commit *commit = calloc(1, sizeof(*commit));
    if (!commit)
        abort();
    *commit = (struct fake_commit){.world = world,
                                   .life = world->life,
                                   .number = ++world->commits,
                                   .changes = changes,
                                   .n = n,
                                   .on_done = on_done,
                                   .data = data,
                                   .fails = world_chance(world, world->store_permille)};
    if (world->commits_in_flight++)
        world_fail(world, "two commits at once");
    uint64_t takes = 1 + world_below(world, 20);
    commit->written = commit->fails && rng_chance(&world->rng, 500); /* failed for good: not on disk */
    if (commit->fails)
        world_say(world, "a commit fails and is %son disk", commit->written ? "not " : "");
    world_at(world, world->now_ms + takes, commit_write, commit);
    world_at(world, world->now_ms + takes + 1 + world_below(world, 20), commit_done, commit);
}

void fake_store_init(struct world *world)
{
    world->store.commit = fake_commit_start;
    world->store_arena = arena_new();
}
