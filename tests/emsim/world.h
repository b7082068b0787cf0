/* What the simulated servers hold: backup servers, repositories, jobs, users,
 * sessions and the work that runs. All of it is guarded by one lock of the
 * caller; strings live as long as the world. Time is the argument of
 * world_advance, never the clock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/rng.h"
#include "base/table.h"
#include "behaviour.h"
#include "places.h"

#define WORLD_NONE UINT32_MAX
#define WORLD_NEVER UINT64_MAX

struct server {
    const char *id, *name;
    uint64_t busy_until_ms; /* behaviour serial */
    struct places tasks;    /* behaviour task_places */
};

struct repository {
    const char *id, *name;
    uint32_t server;
};

struct job {
    const char *id, *name, *type, *description;
    uint32_t server;
    uint32_t next_same_name; /* older job of this name on the server */
    bool clonable, deleted;
    uint64_t visible_ms; /* in look-ups from then on */
};

struct user {
    const char *name, *password;
    bool administrator;
};

/* What a clone request asks for. */
struct clone_spec {
    const char *kind; /* JobType of the sources it fits */
    const char *name, *folder, *file, *vm_suffix, *repository_uid, *description; /* NULL: absent */
};

enum clone_state { CLONE_RUNNING, CLONE_DONE, CLONE_FAILED };

struct clone {
    struct clone_spec spec;
    uint32_t source, job; /* job: WORLD_NONE until made */
    uint64_t request;
    enum clone_state state;
    bool answer_lost;
};

enum work_kind { WORK_CLONE, WORK_DELETE, WORK_COLLECT };
enum work_phase { WORK_RUNNING, WORK_OPERATION_FINISHED, WORK_FINISHED };

struct work {
    enum work_kind kind;
    enum work_phase phase;
    uint32_t target; /* clone, job or server */
    uint32_t session;
    bool ok, doomed, placed; /* placed: it has one of its backup server's places */
    const char *message;
};

struct session {
    const char *token, *id;
    uint32_t user;
    uint64_t used_ms; /* last request */
    bool open;
    uint32_t *tasks; /* task-N is tasks[N - 1]; WORLD_NONE: deleted */
    size_t n_tasks, size_tasks;
};

struct world {
    struct arena *arena;
    struct behaviour behaviour;
    struct rng rng;
    const char *base_url; /* https://127.0.0.1:9398/api */
    uint64_t now_ms;

    struct server *servers;
    struct repository *repositories;
    struct job *jobs;
    struct user *users;
    struct clone *clones;
    struct work *works;
    struct session *sessions;
    size_t n_servers, n_repositories, n_jobs, n_users, n_clones, n_works, n_sessions;
    size_t size_servers, size_repositories, size_jobs, size_users, size_clones, size_works, size_sessions;

    struct table server_by_id, repository_by_id, job_by_id;
    struct table job_by_name; /* "server id/name", jobs that exist now */
    struct table session_by_token, session_by_id;
    struct heap due; /* works by their next moment */

    uint64_t requests[REQUEST_KIND_MAX], requests_all, connections;
    uint64_t logons, sessions_open, sessions_open_max, deleted_running;
    struct places places; /* behaviour places, of requests */
    uint64_t refused_by_load;
    uint64_t clone_in_flight, clone_in_flight_max, tasks_unfinished, tasks_unfinished_max;
};

/* 0 or -ENOMEM. */
int world_init(struct world *world);
void world_done(struct world *world);

/* Lets everything happen that is due; sessions idle for too long end. */
int world_advance(struct world *world, uint64_t now_ms);

/* Makes room for one more element. 0 or -ENOMEM. */
int world_room(void **array, size_t *size, size_t n, size_t item_size);

/* Adders for the inventory. `id` NULL: derived from the names. 0, -EEXIST or -ENOMEM. */
int world_add_server(struct world *world, const char *name, const char *id);
int world_add_repository(struct world *world, uint32_t server, const char *name, const char *id);
int world_add_job(struct world *world, const struct job *job);
int world_add_user(struct world *world, const char *name, const char *password, bool administrator);

/* Look-ups by GUID in any letter case: index or WORLD_NONE. A job that is not
 * yet visible is not found. */
uint32_t world_server(const struct world *world, const char *id);
uint32_t world_repository(const struct world *world, const char *id);
uint32_t world_job(const struct world *world, const char *id);
/* The newest job of that name on a server, visible or not. */
uint32_t world_job_named(const struct world *world, uint32_t server, const char *name);
bool world_job_visible(const struct world *world, const struct job *job);
