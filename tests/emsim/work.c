#include "work.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int work_start(struct world *world, struct work work, uint64_t due_ms, uint32_t *ret_work)
{
    int r = world_room((void **)&world->works, &world->size_works, world->n_works, sizeof(work));
    if (r == 0 && due_ms != WORLD_NEVER)
        r = heap_push(&world->due, due_ms, (uint32_t)world->n_works);
    if (r < 0)
        return r;
    world->works[world->n_works] = work;
    *ret_work = (uint32_t)world->n_works++;
    if (++world->tasks_unfinished > world->tasks_unfinished_max)
        world->tasks_unfinished_max = world->tasks_unfinished;
    return 0;
}

static const char *copy(struct world *world, const char *text, int *error)
{
    const char *kept = arena_str(world->arena, text);
    if (text && !kept)
        *error = -ENOMEM;
    return kept;
}

static int clone_add(struct world *world, uint32_t source, const struct clone_spec *spec, bool answer_lost)
{
    int r = world_room((void **)&world->clones, &world->size_clones, world->n_clones, sizeof(*world->clones));
    struct clone c = {
        .source = source, .job = WORLD_NONE, .request = world->requests_all, .answer_lost = answer_lost};
    c.spec = (struct clone_spec){.kind = copy(world, spec->kind, &r),
                                 .name = copy(world, spec->name, &r),
                                 .folder = copy(world, spec->folder, &r),
                                 .file = copy(world, spec->file, &r),
                                 .vm_suffix = copy(world, spec->vm_suffix, &r),
                                 .repository_uid = copy(world, spec->repository_uid, &r),
                                 .description = copy(world, spec->description, &r)};
    if (r == 0)
        world->clones[world->n_clones++] = c;
    return r;
}

/* One of the places at which a backup server works. */
static uint64_t task_placed(struct world *world, struct server *s, uint64_t takes_ms)
{
    const struct behaviour *b = &world->behaviour;
    uint64_t end = 0;
    takes_ms = places_crowded(&s->tasks, behaviour_crowd(b), takes_ms);
    places_take(&s->tasks, (unsigned)b->task_places, UINT_MAX, world->now_ms, takes_ms, &end);
    return end;
}

/* When a task that begins now is done; tasks may queue on their server. */
static uint64_t task_end(struct world *world, uint32_t server, bool *ret_placed)
{
    const struct behaviour *b = &world->behaviour;
    struct server *s = &world->servers[server];
    *ret_placed = b->task_places > 0;
    if (*ret_placed)
        return task_placed(world, s, b->task_ms + rng_below(&world->rng, b->task_jitter_ms + 1));
    uint64_t start = b->serial && s->busy_until_ms > world->now_ms ? s->busy_until_ms : world->now_ms;
    uint64_t end = start + b->task_ms + rng_below(&world->rng, b->task_jitter_ms + 1);
    s->busy_until_ms = end;
    return end;
}

int work_clone(struct world *world, uint32_t session, uint32_t source, const struct clone_spec *spec,
               bool answer_lost, uint32_t *ret_work)
{
    const struct behaviour *b = &world->behaviour;
    int r = clone_add(world, source, spec, answer_lost);
    if (r < 0)
        return r;
    struct work work = {.kind = WORK_CLONE, .session = session, .target = (uint32_t)(world->n_clones - 1)};
    work.doomed = behaviour_chance(&world->rng, b->fail_task_percent);
    bool hangs = behaviour_chance(&world->rng, b->hang_task_percent);
    uint64_t due = hangs ? WORLD_NEVER : task_end(world, world->jobs[source].server, &work.placed);
    return work_start(world, work, due, ret_work);
}

int work_delete(struct world *world, uint32_t session, uint32_t job, uint32_t *ret_work)
{
    struct work work = {.kind = WORK_DELETE, .session = session, .target = job};
    uint64_t due = task_end(world, world->jobs[job].server, &work.placed);
    return work_start(world, work, due, ret_work);
}

int work_collect(struct world *world, uint32_t session, uint32_t server, uint32_t *ret_work)
{
    /* What is on the server now will be seen; the task ends when the collection has merely begun. */
    uint64_t seen_ms = world->now_ms + world->behaviour.collect_time_ms;
    for (size_t i = 0; i < world->n_jobs; i++)
        if (world->jobs[i].server == server && world->jobs[i].visible_ms > seen_ms)
            world->jobs[i].visible_ms = seen_ms;
    struct work work = {.kind = WORK_COLLECT, .session = session, .target = server};
    return work_start(world, work, world->now_ms + world->behaviour.collect_lag_ms, ret_work);
}

/* Why the backup server cannot make this clone, or NULL. */
static const char *clone_refusal(const struct world *world, const struct clone *clone, bool doomed)
{
    static const char URN[] = "urn:veeam:Repository:";
    uint32_t server = world->jobs[clone->source].server;
    const char *uid = clone->spec.repository_uid;
    if (doomed)
        return "Failed to clone job: the backup server reported an error";
    if (world->jobs[clone->source].deleted)
        return "Job with the specified identifier was not found";
    if (uid) {
        uint32_t repo = strncasecmp(uid, URN, sizeof(URN) - 1) == 0
                            ? world_repository(world, uid + sizeof(URN) - 1)
                            : WORLD_NONE;
        if (repo == WORLD_NONE || world->repositories[repo].server != server)
            return "Backup repository with the specified identifier was not found";
    }
    if (!world->behaviour.allow_duplicates && world_job_named(world, server, clone->spec.name) != WORLD_NONE)
        return "Job with the same name already exists";
    return NULL;
}

static int clone_make(struct world *world, struct work *work)
{
    struct clone *clone = &world->clones[work->target];
    work->message = clone_refusal(world, clone, work->doomed);
    work->ok = !work->message;
    clone->state = work->ok ? CLONE_DONE : CLONE_FAILED;
    if (!work->ok)
        return 0;
    struct job job = world->jobs[clone->source];
    job.id = NULL;
    job.name = clone->spec.name;
    job.description = world->behaviour.drop_descriptions ? NULL : clone->spec.description;
    job.visible_ms = WORLD_NEVER;
    job.clonable = true;
    clone->job = (uint32_t)world->n_jobs;
    /* EM hears of it with the task's end, or by a collection when nobody follows the task. */
    job.visible_ms = world->now_ms + world->behaviour.collect_lag_ms + world->behaviour.lag_ms;
    return world_add_job(world, &job);
}

/* The backup server that does it. */
static struct server *work_server(struct world *world, const struct work *work)
{
    switch (work->kind) {
    case WORK_CLONE:
        return &world->servers[world->jobs[world->clones[work->target].source].server];
    case WORK_DELETE:
        return &world->servers[world->jobs[work->target].server];
    case WORK_COLLECT:
        break;
    }
    return &world->servers[work->target];
}

static int work_operate(struct world *world, struct work *work)
{
    if (work->placed)
        places_leave(&work_server(world, work)->tasks);
    work->phase = WORK_OPERATION_FINISHED;
    work->ok = true;
    if (work->kind == WORK_CLONE)
        return clone_make(world, work);
    if (work->kind == WORK_DELETE)
        world->jobs[work->target].deleted = true;
    return 0;
}

static void work_finish(struct world *world, struct work *work)
{
    work->phase = WORK_FINISHED;
    world->tasks_unfinished--;
    if (work->kind != WORK_CLONE || !work->ok)
        return;
    const struct clone *clone = &world->clones[work->target];
    if (clone->answer_lost || !world->sessions[work->session].open)
        return;
    struct job *job = &world->jobs[clone->job];
    uint64_t seen_ms = world->now_ms + world->behaviour.read_lag_ms;
    job->visible_ms = seen_ms; /* the task's end told EM */
}

int work_step(struct world *world, uint32_t index)
{
    struct work *work = &world->works[index];
    if (work->phase == WORK_OPERATION_FINISHED) {
        work_finish(world, work);
        return 0;
    }
    int r = work_operate(world, work);
    if (r < 0)
        return r;
    if (work->kind != WORK_COLLECT && work->ok)
        return heap_push(&world->due, world->now_ms + world->behaviour.collect_lag_ms, index);
    work_finish(world, work); /* failures and collections have nothing to wait for */
    return 0;
}
