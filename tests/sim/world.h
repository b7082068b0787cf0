/* The world of a simulation: one virtual clock, one source of chance, a model
 * server with the truth, a store that can fail, and the real engine on top.
 * Everything follows from the seed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "engine/http.h"
#include "engine/store.h"
#include "model/item.h"
#include "model/settings.h"

#define SIM_ITEMS_MAX 24
#define SIM_JOBS_MAX 512
#define SIM_TASKS_MAX 1024

struct world;

struct sim_event {
    uint64_t at_ms;
    uint64_t order; /* equal moments: first come, first served */
    void (*fire)(struct world *world, void *data);
    void *data;
};

struct sim_job {
    char id[40], name[64], description[128], server[40];
    const char *type;
    uint64_t done_ms;    /* made at the backup server */
    uint64_t visible_ms; /* in the manager's database; 0: after the next collection */
    bool template_;
};

struct sim_task {
    unsigned session;
    int job; /* index, or -1: fails or collects */
    uint64_t end_ms;
    bool clone, deleted;
    char mark[ITEM_MARK_MAX];
};

struct sim_settings {
    bool faults, verbose;
    uint64_t faults_until_ms;
};

struct world {
    uint64_t seed, now_ms, order, tick_ms;
    struct rng rng;
    struct sim_event *events;
    size_t n_events, size_events;
    struct sim_settings settings;
    /* the daemon */
    struct engine *engine;
    unsigned life; /* counts crashes: what belongs to an earlier life is dropped */
    bool wake;
    struct server_settings server;
    size_t n_items;
    /* store */
    struct store store;
    struct arena *store_arena;
    struct item rows[SIM_ITEMS_MAX];
    bool stored[SIM_ITEMS_MAX];
    enum run_state run_state;
    /* server */
    struct http http;
    unsigned session; /* serial of the present one; 0: none */
    bool session_open;
    struct sim_job jobs[SIM_JOBS_MAX];
    int n_jobs;
    struct sim_task tasks[SIM_TASKS_MAX];
    int n_tasks;
    unsigned in_flight, clones_in_flight, logons_in_flight;
    uint64_t down_until_ms;
    /* counters */
    unsigned crashes, lost_sessions, doubts, requests;
    char failure[512];
};

#define SIM_RUN_ID "01KB0000000000000000000SIM"

/* world.c */
void world_at(struct world *world, uint64_t at_ms, void (*fire)(struct world *, void *), void *data);
/* Fires the next event; false when there is none. */
bool world_step(struct world *world);
/* The first failure wins. */
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_say(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool world_chance(struct world *world, unsigned per_mille); /* never once the faults are over */
void world_done(struct world *world);

/* fake_store.c */
void fake_store_init(struct world *world);

/* fake_server.c */
void fake_server_init(struct world *world);
void fake_server_lose_session(struct world *world);
void fake_server_collect(struct world *world);
/* Clones made of this item that did not fail. */
int fake_server_clones(const struct world *world, const char *mark, const char **ret_id);

/* fake_answers.c: the bodies */
struct buf;
void answer_task(const struct world *world, int task, struct buf *ret, bool root);
void answer_tasks(const struct world *world, struct buf *ret);
void answer_job(const struct sim_job *job, struct buf *ret, bool root);
void answer_jobs(const struct world *world, bool entities, unsigned page, struct buf *ret);
void answer_repositories(struct buf *ret);
void answer_logon(const struct world *world, struct buf *ret);
bool job_visible(const struct world *world, const struct sim_job *job);
