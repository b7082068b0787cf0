#include "world.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ident.h"
#include "session.h"
#include "work.h"

int world_init(struct world *world)
{
    *world = (struct world){.behaviour = behaviour_default(), .rng = {1}, .arena = arena_new()};
    return world->arena ? 0 : -ENOMEM;
}

void world_done(struct world *world)
{
    for (size_t i = 0; i < world->n_sessions; i++)
        free(world->sessions[i].tasks);
    free(world->servers);
    free(world->repositories);
    free(world->jobs);
    free(world->users);
    free(world->clones);
    free(world->works);
    free(world->sessions);
    table_done(&world->server_by_id);
    table_done(&world->repository_by_id);
    table_done(&world->job_by_id);
    table_done(&world->job_by_name);
    table_done(&world->session_by_token);
    table_done(&world->session_by_id);
    heap_done(&world->due);
    arena_free(world->arena);
}

int world_room(void **array, size_t *size, size_t n, size_t item_size)
{
    if (n < *size)
        return 0;
    size_t next = *size ? *size * 2 : 16;
    void *grown = realloc(*array, next * item_size);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    *size = next;
    return 0;
}

int world_advance(struct world *world, uint64_t now_ms)
{
    int r = 0;
    while (r == 0 && heap_due(&world->due) <= now_ms) {
        struct heap_entry entry = heap_pop(&world->due);
        world->now_ms = entry.due_ms;
        r = work_step(world, entry.value);
    }
    world->now_ms = now_ms;
    session_expire_idle(world);
    return r;
}

static void lower(char ret[GUID_LEN + 1], const char *id)
{
    size_t i = 0;
    for (; id[i] && i < GUID_LEN; i++)
        ret[i] = (char)tolower((unsigned char)id[i]);
    ret[i] = 0;
}

static uint32_t by_id(const struct table *table, const char *id)
{
    char key[GUID_LEN + 1];
    lower(key, id);
    return strlen(id) > GUID_LEN ? WORLD_NONE : table_get(table, key);
}

/* Given or derived id, kept in lower case; NULL when out of memory. */
static const char *make_id(struct world *world, const char *id, const char *kind, const char *first,
                           const char *second)
{
    char made[GUID_LEN + 1];
    if (id)
        lower(made, id);
    else
        ident_guid(made, kind, first, second);
    return arena_str(world->arena, made);
}

int world_add_server(struct world *world, const char *name, const char *id)
{
    struct server s = {.name = arena_intern(world->arena, name),
                       .id = make_id(world, id, "BackupServer", name, "")};
    if (!s.name || !s.id)
        return -ENOMEM;
    if (table_get(&world->server_by_id, s.id) != TABLE_NONE)
        return -EEXIST;
    int r = world_room((void **)&world->servers, &world->size_servers, world->n_servers, sizeof(s));
    if (r == 0)
        r = table_put(&world->server_by_id, s.id, (uint32_t)world->n_servers);
    if (r == 0)
        world->servers[world->n_servers++] = s;
    return r;
}

int world_add_repository(struct world *world, uint32_t server, const char *name, const char *id)
{
    struct repository repo = {.name = arena_intern(world->arena, name), .server = server};
    repo.id = make_id(world, id, "Repository", world->servers[server].id, name);
    if (!repo.name || !repo.id)
        return -ENOMEM;
    if (table_get(&world->repository_by_id, repo.id) != TABLE_NONE)
        return -EEXIST;
    int r = world_room((void **)&world->repositories, &world->size_repositories, world->n_repositories,
                       sizeof(repo));
    if (r == 0)
        r = table_put(&world->repository_by_id, repo.id, (uint32_t)world->n_repositories);
    if (r == 0)
        world->repositories[world->n_repositories++] = repo;
    return r;
}

static char *name_key(const struct world *world, uint32_t server, const char *name)
{
    char *key = NULL;
    return asprintf(&key, "%s/%s", world->servers[server].id, name) < 0 ? NULL : key;
}

int world_add_job(struct world *world, const struct job *job)
{
    struct job j = *job;
    char serial[24];
    snprintf(serial, sizeof(serial), "%zu", world->n_jobs);
    _cleanup_free_ char *key = name_key(world, j.server, j.name);
    const char *kept = key ? arena_intern(world->arena, key) : NULL;
    /* a clone made a second time is another job, so its number counts too */
    const char *salt =
        table_get(&world->job_by_name, kept ? kept : "") == TABLE_NONE && !j.visible_ms ? "" : serial;
    j.id = make_id(world, j.id, "Job", kept ? kept : "", salt);
    j.name = arena_intern(world->arena, j.name);
    j.type = arena_intern(world->arena, j.type);
    j.description = arena_str(world->arena, j.description ? j.description : "");
    if (!kept || !j.id || !j.name || !j.type || !j.description)
        return -ENOMEM;
    if (table_get(&world->job_by_id, j.id) != TABLE_NONE)
        return -EEXIST;
    j.next_same_name = table_get(&world->job_by_name, kept);
    int r = world_room((void **)&world->jobs, &world->size_jobs, world->n_jobs, sizeof(j));
    if (r == 0)
        r = table_put(&world->job_by_id, j.id, (uint32_t)world->n_jobs);
    if (r == 0)
        r = table_put(&world->job_by_name, kept, (uint32_t)world->n_jobs);
    if (r == 0)
        world->jobs[world->n_jobs++] = j;
    return r;
}

int world_add_user(struct world *world, const char *name, const char *password, bool administrator)
{
    struct user u = {arena_str(world->arena, name), arena_str(world->arena, password), administrator};
    if (!u.name || !u.password)
        return -ENOMEM;
    int r = world_room((void **)&world->users, &world->size_users, world->n_users, sizeof(u));
    if (r == 0)
        world->users[world->n_users++] = u;
    return r;
}

uint32_t world_server(const struct world *world, const char *id)
{
    return by_id(&world->server_by_id, id);
}

uint32_t world_repository(const struct world *world, const char *id)
{
    return by_id(&world->repository_by_id, id);
}

uint32_t world_job(const struct world *world, const char *id)
{
    uint32_t index = by_id(&world->job_by_id, id);
    return index != WORLD_NONE && world_job_visible(world, &world->jobs[index]) ? index : WORLD_NONE;
}

uint32_t world_job_named(const struct world *world, uint32_t server, const char *name)
{
    _cleanup_free_ char *key = name_key(world, server, name);
    uint32_t index = key ? table_get(&world->job_by_name, key) : TABLE_NONE;
    while (index != WORLD_NONE && world->jobs[index].deleted)
        index = world->jobs[index].next_same_name;
    return index;
}

bool world_job_visible(const struct world *world, const struct job *job)
{
    return !job->deleted && job->visible_ms <= world->now_ms;
}
