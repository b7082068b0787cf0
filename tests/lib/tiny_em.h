/* A tiny Enterprise Manager, a store in memory and the real engine, in virtual
 * time: for tests that follow one course of events step by step. Faults happen
 * only where a test asks for them; tests/sim is where chance rules. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/engine.h"
#include "engine/http.h"
#include "engine/store.h"
#include "model/item.h"
#include "model/plan.h"
#include "model/settings.h"

#define TINY_JOBS_MAX 2048
#define TINY_SERVER_ID "bbbbbbbb-0000-0000-0000-000000000001" /* of its backup server */
#define TINY_RUNS_MAX 8
#define TINY_ITEMS_MAX 16
#define TINY_FLIGHTS_MAX 64

struct tiny_job {
    char id[40], name[64], description[128];
    bool hidden; /* made, but not collected yet */
};

struct tiny_task {
    int job; /* index into jobs */
    uint64_t end_ms;
    bool deleted, failed;
};

struct tiny_run {
    char id[27];
    enum run_state state;
    enum run_wish wish;
    int64_t finished_ms;
    struct item rows[TINY_ITEMS_MAX];
    bool stored[TINY_ITEMS_MAX];
};

struct tiny {
    struct engine *engine;
    uint64_t now_ms;
    bool wake;
    struct server_settings settings;
    /* the server */
    struct http http;
    struct http_request *flights[TINY_FLIGHTS_MAX];
    size_t n_flights, flights_most; /* most at once since it was set to 0 */
    struct tiny_job jobs[TINY_JOBS_MAX];
    int n_jobs;
    struct tiny_task tasks[TINY_JOBS_MAX];
    int n_tasks;
    unsigned session; /* serial; the token says it */
    unsigned logons, logoffs, clones, deletes, pages;
    unsigned page_size;
    /* what a test may ask for */
    uint64_t task_ms;
    unsigned lose_replies; /* of the next clone requests, which take effect */
    bool hide;             /* new jobs wait for a collection */
    bool stale;            /* collections bring nothing */
    bool hold_clones;      /* clone requests are not answered for now */
    bool deaf;             /* no request is answered for now */
    bool fail_tasks;
    bool open_in_outage; /* the engine's, from the next restart on */
    /* the store */
    struct store store;
    struct arena *arena;
    struct tiny_run runs[TINY_RUNS_MAX];
    size_t n_runs;
    void (*on_done)(int error, void *data);
    void *on_done_data;
    unsigned commits;
    /* on_run, on_session */
    unsigned announced;
    char session_token[32], session_id[40];
};

void tiny_init(struct tiny *tiny);
void tiny_done(struct tiny *tiny);

/* A job that is there already. Returns its place. */
int tiny_add_job(struct tiny *tiny, const char *name, const char *description);

/* What its clocks show. */
struct instant tiny_now(const struct tiny *tiny);

/* A plan of n clones of the template "T"; names are borrowed. */
struct plan *tiny_plan(const char *const *names, size_t n, enum on_conflict on_conflict);

/* Adds a run; what the store has of it is taken over when options say resumed. Asserts that it works. */
void tiny_add_run(struct tiny *tiny, const char *id, struct plan *plan, struct engine_run_options options);

/* Turns until nothing is due within `for_ms` of virtual time. */
void tiny_turn(struct tiny *tiny, uint64_t for_ms);

/* Turns until the run is over, at most a day: true when it is. */
bool tiny_until_over(struct tiny *tiny, const char *id);

/* The daemon is killed and started again without its runs. The server stays. */
void tiny_restart(struct tiny *tiny);

enum item_state tiny_state(const struct tiny *tiny, const char *id, size_t index);
const struct item *tiny_item(const struct tiny *tiny, const char *id, size_t index);
struct tiny_run *tiny_row(struct tiny *tiny, const char *id);
/* How many jobs have that name. */
int tiny_named(const struct tiny *tiny, const char *name);
