/* A model Enterprise Manager: what was really cloned, and when which part of it
 * shows. Its promises are those that `settle` is made for: a request arrives at
 * most delay_max late, a clone takes at most clone_max, both together half of
 * `settle`; a collection takes at most the other half. Tasks that break them
 * (late, hanging) live only as long as the session in which they can be seen. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static void *grow(void *array, size_t n, size_t *size, size_t element)
{
    if (n < *size)
        return array;
    *size = *size ? *size * 2 : 32;
    void *next = realloc(array, *size * element);
    if (!next)
        abort();
    return next;
}

void em_backup_server_id(unsigned server, char ret[40])
{
    snprintf(ret, 40, "bbbbbbbb-0000-0000-0000-%012u", server);
}

/* ---- jobs ---- */

struct sim_job *em_add_job(struct em *em, const char *name, const char *type, unsigned server)
{
    em->jobs = grow(em->jobs, em->n_jobs, &em->size_jobs, sizeof(*em->jobs));
    struct sim_job *job = &em->jobs[em->n_jobs];
    *job = (struct sim_job){.type = type, .server = server, .done_ms = 0, .visible_ms = 1};
    snprintf(job->id, sizeof(job->id), "dddddddd-0000-0000-0000-%012zu", em->n_jobs++);
    snprintf(job->name, sizeof(job->name), "%s", name);
    return job;
}

struct sim_job *em_find_job(struct em *em, const char *id)
{
    for (size_t i = 0; i < em->n_jobs; i++)
        if (strcmp(em->jobs[i].id, id) == 0)
            return &em->jobs[i];
    return NULL;
}

bool job_visible(const struct em *em, const struct sim_job *job)
{
    return job->visible_ms && job->visible_ms <= em->world->now_ms && !job->deleted;
}

int em_clones(const struct em *em, const char *mark, const struct sim_job **ret_job)
{
    int n = 0;
    for (size_t i = 0; i < em->n_jobs; i++) {
        size_t len = strlen(em->jobs[i].description), m = strlen(mark);
        if (!em->jobs[i].made_by_clone || len < m || strcmp(em->jobs[i].description + len - m, mark) != 0)
            continue;
        *ret_job = &em->jobs[i];
        n++;
    }
    return n;
}

void em_collect(struct em *em, unsigned server)
{
    for (size_t i = 0; i < em->n_jobs; i++) {
        struct sim_job *job = &em->jobs[i];
        if (job->server == server && !job->visible_ms && job->done_ms <= em->world->now_ms)
            job->visible_ms = em->world->now_ms + 1 + world_below(em->world, em->collect_max_ms);
    }
}

/* ---- tasks ---- */

size_t em_add_task(struct em *em)
{
    em->tasks = grow(em->tasks, em->n_tasks, &em->size_tasks, sizeof(*em->tasks));
    em->tasks[em->n_tasks] = (struct sim_task){
        .session = em->session, .number = em->next_task++, .job = -1, .end_ms = em->world->now_ms};
    return em->n_tasks++;
}

struct sim_task *em_find_task(struct em *em, unsigned number)
{
    for (size_t i = em->n_tasks; i > 0; i--) {
        struct sim_task *task = &em->tasks[i - 1];
        if (task->session == em->session && task->number == number)
            return task->deleted ? NULL : task;
    }
    return NULL;
}

/* A task that ends in its session puts its job into the database. */
void em_settle_tasks(struct em *em)
{
    for (size_t i = 0; i < em->n_tasks && em->session_open; i++) {
        struct sim_task *t = &em->tasks[i];
        if (t->job >= 0 && t->end_ms <= em->world->now_ms && t->session == em->session &&
            (!em->jobs[t->job].visible_ms || em->jobs[t->job].visible_ms > em->world->now_ms))
            em->jobs[t->job].visible_ms = t->end_ms;
    }
}

static void leave_place(struct world *world, void *data)
{
    (void)world;
    places_leave(data);
}

static uint64_t clone_placed(struct em *em, unsigned server, uint64_t takes)
{
    struct places *places = &em->tasks_load[server];
    uint64_t end = 0;
    takes = places_crowded(places, 2 * em->task_places, takes);
    places_take(places, em->task_places, UINT_MAX, em->world->now_ms, takes, &end);
    world_at(em->world, end, leave_place, places);
    return end;
}

/* When the clone is done, which may be never. */
static uint64_t clone_end(struct em *em, unsigned server, bool fails, bool *ret_late)
{
    struct world *world = em->world;
    uint64_t now = world->now_ms, least = em->clone_min_ms ? em->clone_min_ms : 200;
    uint64_t takes = least + world_below(world, em->clone_max_ms - least);
    if (em->task_places)
        return clone_placed(em, server, takes);
    if (em->serial) { /* one after another; those that fail take no time */
        uint64_t from = em->queue_ms[server] > now ? em->queue_ms[server] : now;
        em->queue_ms[server] = fails ? from : from + takes / 4;
        return em->queue_ms[server];
    }
    if (world_chance(world, em->hang_permille)) {
        em->hanging++;
        *ret_late = true;
        return rng_chance(&world->rng, 300) ? UINT64_MAX : now + 4 * 60 * MINUTE;
    }
    if (!fails && world_chance(world, em->late_permille)) {
        em->hanging++;
        *ret_late = true;
        return now + em->settings.settle_ms + world_below(world, 60 * MINUTE);
    }
    return now + takes;
}

/* No two clones get one name, whichever runs they are of, where all can be asked. */
static void em_check_name(struct em *em, const char *name, unsigned server)
{
    for (size_t i = 0; i < em->n_jobs && em->quirk == QUIRK_NONE && !em->hanging; i++)
        if (em->jobs[i].made_by_clone && em->jobs[i].server == server && strcmp(em->jobs[i].name, name) == 0)
            world_fail(em->world, "%s: two clones are called '%s'", em->name, name);
}

size_t em_clone(struct em *em, const char *source_id, const char *name, const char *description)
{
    struct world *world = em->world;
    const struct sim_job *template_ = em_find_job(em, source_id), *first = NULL;
    size_t place = em_add_task(em);
    struct sim_task *task = &em->tasks[place];
    uint32_t index;
    task->clone = true;
    task->run = check_mark(world, description, &index);
    if (!template_) {
        world_fail(world, "%s: asked to clone an unknown job %s", em->name, source_id);
        return place;
    }
    const char *mark = strstr(description, "[jobclone:");
    bool fails = world_chance(world, em->fail_permille), late = false;
    unsigned server = template_->server;
    const char *type = template_->type;
    uint64_t end_ms = clone_end(em, server, fails, &late);
    task->late = late;
    task->end_ms = end_ms;
    if (fails || end_ms == UINT64_MAX || end_ms > world->now_ms + 3 * 60 * MINUTE)
        return place;
    if (!mark || em_clones(em, mark, &first))
        world_fail(world, "%s: cloned twice: %s", em->name, description);
    em_check_name(em, name, server);
    struct sim_job *job = em_add_job(em, name, type, server);
    job->made_by_clone = true;
    job->done_ms = end_ms;
    job->visible_ms = 0;
    snprintf(job->description, sizeof(job->description), "%s", description);
    task->job = (long)em->n_jobs - 1;
    world->clones++;
    world_say(world, "%s: takes effect as task-%u, done in %llu ms: %s", em->name, task->number,
              (unsigned long long)(end_ms - world->now_ms), description);
    return place;
}

void em_stop_task(struct em *em, struct sim_task *task)
{
    task->end_ms = em->world->now_ms;
    if (task->job < 0)
        return;
    struct sim_job *job = &em->jobs[task->job]; /* it was never made */
    job->made_by_clone = false;
    job->deleted = true;
    job->description[0] = '\0';
    task->job = -1;
}

/* A late clone whose client cannot see it any more is given up. */
void em_abandon(struct em *em)
{
    for (size_t i = 0; i < em->n_tasks; i++)
        if (em->tasks[i].late && em->tasks[i].end_ms > em->world->now_ms)
            em_stop_task(em, &em->tasks[i]);
}

/* ---- sessions ---- */

void em_lose_session(struct em *em)
{
    if (em->session_open) {
        em->world->lost_sessions++;
        world_say(em->world, "%s: the session is lost", em->name);
    }
    em->session_open = false;
    em_abandon(em);
}

/* The path names the session; it may be one before the present one. */
void em_log_off(struct em *em, const char *path)
{
    const char *id = strrchr(path, '-');
    if (id && strtoul(id + 1, NULL, 10) == em->session)
        em->session_open = false;
}

/* Sessions and tasks are gone; numbers begin anew. */
void em_restart(struct em *em)
{
    world_say(em->world, "%s: restarts", em->name);
    em_lose_session(em);
    em->next_task = 1;
    em->down_until_ms = em->world->now_ms + 1000 + world_below(em->world, 180000);
}

void em_init(struct world *world, struct em *em, unsigned number)
{
    static const char *const types[] = {"Backup", "Replica", "BackupCopy", "ImmediateBackupCopy"};
    em->world = world;
    em->next_task = 1;
    em->wire_ms = 300;
    snprintf(em->name, sizeof(em->name), "em%u", number);
    for (unsigned i = 0; i < SIM_TEMPLATES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "T%u", i);
        em_add_job(em, name, types[i], i % SIM_BACKUP_SERVERS);
    }
    for (int i = 0; i < 5; i++)
        em_add_job(em, "filler", "Backup", 0);
    wire_init(em);
}

void em_done(struct em *em)
{
    free(em->jobs);
    free(em->tasks);
}
