/* The world of a simulation: one virtual clock, one source of chance, model
 * servers with the truth (em.c), a wire that spoils (wire.c), a store that can
 * fail (fake_store.c), and the real engine in lives that end in crashes
 * (daemon.c). Everything follows from the seed. check.c holds what must be true
 * after every step. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/instant.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "engine/http.h"
#include "engine/store.h"
#include "model/item.h"
#include "model/plan.h"
#include "model/settings.h"
#include "model/window.h"
#include "places.h"

#define SIM_SERVERS_MAX 2
#define SIM_BACKUP_SERVERS 2 /* behind each server */
#define SIM_RUNS_MAX 4
#define SIM_ITEMS_MAX 1200
#define SIM_TEMPLATES 4
#define MINUTE ((uint64_t)60 * 1000)

struct world;

struct sim_event {
    uint64_t at_ms;
    uint64_t order; /* equal moments: first come, first served */
    void (*fire)(struct world *world, void *data);
    void *data;
};

enum sim_request {
    REQUEST_LOGON,
    REQUEST_LOGOFF,
    REQUEST_KEEPALIVE,
    REQUEST_CLONE,
    REQUEST_TASKS,
    REQUEST_TASK,
    REQUEST_TIDY,
    REQUEST_NAMES,
    REQUEST_JOB,
    REQUEST_SWEEP,
    REQUEST_NAMED,
    REQUEST_COLLECT,
    REQUEST_COUNT
};

/* ---- the truth ---- */

struct sim_job {
    char id[40], name[72], description[160];
    unsigned server; /* backup server, from 0 */
    const char *type;
    uint64_t done_ms;    /* made at the backup server */
    uint64_t visible_ms; /* in the manager's database; 0: after the next collection */
    bool made_by_clone, deleted;
};

struct sim_task {
    unsigned session, number;
    long job; /* index, or -1: fails or collects */
    uint64_t end_ms;
    bool clone, deleted;
    struct sim_run *run; /* whose mark its clone carries */
    bool late;           /* dies with its session or its client: nobody could wait for it */
};

enum em_quirk { QUIRK_NONE, QUIRK_NO_COLLECT, QUIRK_NO_LIST, QUIRK_NO_DESCRIPTIONS, QUIRK_COUNT };

/* One Enterprise Manager. */
struct em {
    struct world *world;
    struct http http;
    struct server_settings settings;
    struct server_settings reloaded[2]; /* what the engine has instead, in turn, once there are reloads */
    unsigned reloads;
    char name[8];
    bool gone;        /* from the settings: the next lives of the daemon do not know it */
    unsigned session; /* number of the present one; 0: none */
    bool session_open;
    uint64_t last_request_ms;
    unsigned next_task;             /* number that the next task gets */
    char token[32], session_id[40]; /* of the session that the daemon keeps across its lives; "" when none */
    struct sim_job *jobs;
    size_t n_jobs, size_jobs;
    struct sim_task *tasks;
    size_t n_tasks, size_tasks;
    uint64_t queue_ms[SIM_BACKUP_SERVERS]; /* when the last clone of a serial backup server ends */
    uint64_t down_until_ms;
    struct places load, tasks_load[SIM_BACKUP_SERVERS];
    unsigned refused_by_load;
    /* its ways, drawn from the seed */
    unsigned spoil_permille, clone_spoil_permille, collect_spoil_permille, fail_permille, hang_permille,
        late_permille;
    unsigned start_permille; /* how often there is no memory for a request */
    unsigned omit_permille;  /* how many tasks a list leaves out */
    uint64_t clone_min_ms;   /* 0: 200 */
    uint64_t clone_max_ms, delay_max_ms, collect_max_ms, collect_every_ms;
    uint64_t wire_ms; /* a way takes at most */
    unsigned places;  /* that serve requests, each for about service_ms; 0: as many as come */
    uint64_t service_ms;
    unsigned task_places; /* at which a backup server clones; of more than twice as many each takes longer */
    unsigned page_size;
    bool last_page_denied; /* the last page of jobs says that there is one less */
    unsigned most_pages;   /* so many pages of jobs are said to be all; 0: as many as there are */
    bool first_page_only;  /* whichever page of jobs is asked for */
    bool newest_first;     /* how jobs are listed */
    bool links;            /* a page tells whether there is a next one, not how many there are */
    bool serial, numbers_per_session;
    enum em_quirk quirk;
    enum clone_form form; /* of immediate copies, that it takes in XML; JSON: none */
    /* what the daemon of this life has under way */
    unsigned clones_in_flight, logons_in_flight, polls_in_flight, collects_in_flight[SIM_BACKUP_SERVERS];
    unsigned known_session; /* the last one whose logon was answered well */
    bool knows_loss;        /* and an answer has told that it is gone */
    bool polled;
    uint64_t polled_ms;
    /* why an item may end as unknown */
    unsigned refused_collections, refused_lists, unread_lists, hanging, meddled;
};

/* ---- the daemon's side ---- */

struct sim_run {
    char id[27];
    struct em *em;
    size_t n_items;
    char names;                   /* the letter in its clones' names: another run may want the same ones */
    const char *stem;             /* what its clones' names begin with, instead */
    enum on_conflict on_conflict; /* of them */
    unsigned attempts, in_flight;
    uint64_t task_timeout_ms, run_timeout_ms;
    unsigned stop_failures;
    struct window window;
    uint64_t added_ms;
    bool added, ended;  /* ended: its end is stored */
    bool alone;         /* it was cancelled without its server */
    bool blocked;       /* waits for its server: the engine does not have it */
    int64_t started_ms; /* as stored */
    enum run_wish wish;
    bool retries;                    /* the operator will retry it once */
    bool looked_at;                  /* from the next life on nothing of it is sent */
    struct item rows[SIM_ITEMS_MAX]; /* as stored */
    bool stored[SIM_ITEMS_MAX];
    unsigned arrived[SIM_ITEMS_MAX]; /* clone requests that may have reached the server */
    unsigned clones_in_flight;
    enum run_state state;
};

/* A fault that a scenario asks for: of the next `count` requests of that kind, after `skip` of them. */
struct sim_script {
    int kind; /* enum sim_request, or -1: none */
    int spoil;
    unsigned skip, count;
    /* what came of it, as of the last such answer */
    unsigned answered;
    uint64_t answered_ms;
    unsigned logons;        /* requests for one until then */
    enum item_state before; /* of the first item of the first run */
    enum http_outcome outcome;
    int status;
    bool fits;
    int64_t retry_after_ms;
};
#define SIM_SCRIPTS 2

/* A change of the first item of the first run, after the first script's answer. */
struct sim_seen {
    enum item_state from, to;
    unsigned attempts;
};
#define SIM_SEEN 8

struct world {
    uint64_t seed, now_ms, order, tick_ms;
    unsigned items_at_once; /* of the engine */
    struct rng rng;
    struct sim_event *events;
    size_t n_events, size_events;
    bool json;         /* the format of all servers */
    bool alike;        /* the other format must come to the same end */
    bool pretends;     /* a scenario has changed counters of the engine: they are not checked */
    bool verbose, log; /* log: the transcript is kept in `transcript` instead */
    struct buf transcript;
    uint64_t peace_ms;       /* at most so long until all runs have ended */
    int64_t skew_ms;         /* by which the clock on the wall was set */
    uint64_t chaos_until_ms; /* then nothing goes wrong any more */
    struct sim_script scripts[SIM_SCRIPTS];
    struct sim_seen seen[SIM_SEEN];
    size_t n_seen;
    unsigned asked[REQUEST_COUNT]; /* requests so far */
    uint64_t next_ms;              /* first request after the script's answer */
    uint64_t next_work_ms;         /* the same, but logons and signs of life */
    struct em ems[SIM_SERVERS_MAX];
    size_t n_ems;
    struct sim_run runs[SIM_RUNS_MAX];
    size_t n_runs;
    /* the daemon */
    struct engine *engine;
    unsigned life; /* counts crashes: what belongs to an earlier life is dropped */
    bool wake;
    uint64_t turns;
    uint64_t crash_turn; /* crashes when it is reached; 0: never */
    /* its store */
    struct store store;
    struct arena *store_arena;
    unsigned commits_in_flight, commits;
    bool store_failed;
    unsigned store_permille;
    unsigned crash_commit;   /* crashes at the commit of that number; 0: never */
    bool crash_late;         /* behind it, not before */
    unsigned tasks_kept;     /* engine_config's */
    bool forgets;            /* the engine forgets runs that have ended, as under the service */
    unsigned keeps_permille; /* how often a session outlives the daemon */
    /* counters */
    unsigned forms, commands, crashes, lost_sessions, changed_sessions, doubts, requests, clones, sends;
    char failure[512];
};

/* world.c */
void world_at(struct world *world, uint64_t at_ms, void (*fire)(struct world *, void *), void *data);
/* Fires the next event; false when there is none. */
bool world_step(struct world *world);
/* The first failure wins. */
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_say(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool world_chance(struct world *world, unsigned per_mille); /* never once the chaos is over */
uint64_t world_below(struct world *world, uint64_t n);
struct instant world_instant(const struct world *world);
void world_done(struct world *world);

/* scene.c: worlds from seeds */
/* A world of one server and one run of `n_items` in which nothing goes wrong but what scripts ask
 * for. What is to be different is set before scene_begin. */
struct world *scene_quiet(size_t n_items);
/* One more run, whose clones are to get the names of the first one's. */
struct sim_run *scene_add_rival(struct world *world, enum on_conflict on_conflict);
void scene_begin(struct world *world);
/* Everything drawn from the seed; chaos for a while, then peace. */
struct world *scene_seed(uint64_t seed, bool json, bool verbose);
/* Runs until all runs have ended or something failed; checks the end. True when all was well. */
bool scene_run(struct world *world);
/* One step: a turn when one is due, else the next event. False when nothing is left. */
bool scene_step(struct world *world);
/* Takes turns and events until the virtual moment, or the first failure. */
void scene_until(struct world *world, uint64_t at_ms);
/* How many items of the first run are in that state, as stored; those that are not are queued. */
size_t scene_count(const struct world *world, enum item_state state);
void scene_free(struct world *world);

/* fake_store.c */
void fake_store_init(struct world *world);

/* em.c */
void em_init(struct world *world, struct em *em, unsigned number);
void em_done(struct em *em);
void em_lose_session(struct em *em);
void em_log_off(struct em *em, const char *path);
void em_restart(struct em *em);
void em_collect(struct em *em, unsigned server);
void em_stop_task(struct em *em, struct sim_task *task);
/* Its clients are gone: late tasks end. */
void em_abandon(struct em *em);
void em_settle_tasks(struct em *em);
struct sim_job *em_add_job(struct em *em, const char *name, const char *type, unsigned server);
struct sim_job *em_find_job(struct em *em, const char *id);
/* Clones made with this mark at the end of their description. */
int em_clones(const struct em *em, const char *mark, const struct sim_job **ret_job);
/* Carries a clone out; returns the task's place. */
size_t em_clone(struct em *em, const char *source_id, const char *name, const char *description);
size_t em_add_task(struct em *em);
struct sim_task *em_find_task(struct em *em, unsigned number);
void em_backup_server_id(unsigned server, char ret[40]);

/* em_formats.c: bodies in JSON, and the forms of clone bodies */
/* Turns a body in XML into JSON, in one of twelve styles; leaves any other alone. */
void json_of_xml(struct buf *body, uint64_t seed);
/* False when it is an immediate copy in a form that this server refuses. */
bool form_is_taken(const struct em *em, bool json, const char *body);
/* The text of a member of a clone body in JSON. */
void json_text(const char *body, const char *name, char *ret, size_t size);

/* em_answers.c: the bodies */
void answer_task(const struct em *em, const struct sim_task *task, struct buf *ret, bool root);
void answer_tasks(const struct em *em, struct buf *ret);
void answer_job(const struct em *em, const struct sim_job *job, struct buf *ret, bool root);
/* A page of jobs; `name`: only those of that name. */
void answer_jobs(const struct em *em, bool entities, const char *name, unsigned page, struct buf *ret);
void answer_repositories(const struct em *em, unsigned page, struct buf *ret);
void answer_logon(const struct em *em, struct buf *ret);
void answer_sessions(const struct em *em, struct buf *ret);
void answer_error(int status, const char *message, struct buf *ret);
bool job_visible(const struct em *em, const struct sim_job *job);

/* wire.c */
void wire_init(struct em *em);

/* spoil.c */
int spoil_by_name(const char *name); /* aborts when there is none */

/* daemon.c */
void daemon_start(struct world *world);
void daemon_crash(struct world *world);
void daemon_turn(struct world *world);
/* Without its server only to be cancelled, when that is its wish; else it is blocked. */
void daemon_add_run(struct world *world, struct sim_run *run);
/* What would come of the run's plan now; by that id. */
int daemon_preview(struct world *world, const struct sim_run *run, const char *id);
/* The settings have the server again, without a restart; its blocked runs are for the caller to add. */
void daemon_bring_back(struct world *world, struct em *em);

/* operator.c: people with commands */
void operator_plan(struct world *world, struct sim_run *run);
/* One who gives all kinds of commands, again and again, as long as there is chaos. */
void operator_hesitate(struct world *world);

/* check.c */
struct sim_run *check_mark(struct world *world, const char *description, uint32_t *ret_index);
void check_sends_clone(struct em *em, const char *description);
/* Before a run is stored with that start. */
void check_started(struct world *world, const struct sim_run *run, int64_t started_ms);
void check_row(struct sim_run *run, const struct item *from, const struct item *to, struct world *world);
/* The daemon gives the session back: no task of it may be unfinished as far as it knows. */
void check_logs_off(struct em *em);
void check_step(struct world *world);
/* The engine's counters beside its items, after a turn. */
void check_counts(struct world *world);
void check_end(struct world *world);
