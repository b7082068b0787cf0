/* What the files of the service share. Nobody else includes it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/ulid.h"
#include "host.h"
#include "io/notify.h"
#include "io/store_sqlite.h"
#include "run_load.h"

struct control;
struct control_request;
struct item;
struct plan_files;
struct plans_dir;
struct preview;
struct render_job;
struct service;
struct service_hand;
struct spool;

/* ---- runs ---- */

/* Where a run that is open stands. */
enum run_place {
    PLACE_STORING,   /* its plan is being stored */
    PLACE_FILING,    /* of the spool: its copy in accepted/ is being written */
    PLACE_QUEUED,    /* waits for one of limits.runs places */
    PLACE_BLOCKED,   /* cannot begin: `trouble` says why; tried again after a reload and now and then */
    PLACE_LOADING,   /* is read from the store for the engine */
    PLACE_ENGINE,    /* the engine has it */
    PLACE_REPORTING, /* over: result and report are being written and filed */
    PLACE_ENDING,    /* its end is being stored */
};

enum run_command {
    COMMAND_NONE,
    COMMAND_PAUSE,
    COMMAND_RESUME,
    COMMAND_CANCEL,
    COMMAND_CANCEL_TASKS,
    COMMAND_RETRY
};

struct service_run {
    struct service_run *next;
    struct service *service;
    struct store_run row; /* as stored; without bytes once it is */
    enum run_place place;
    bool look;      /* of an interrupted --once: only settled by looking */
    bool reopened;  /* had ended; the operator wants it begun anew */
    bool resumed;   /* begun by an earlier process */
    char opens[64]; /* it waits for its window: a sentence for people; else empty */
    char *trouble;  /* PLACE_BLOCKED, or a result that could not be filed; a sentence for people */
    int blocked;    /* PLACE_BLOCKED: the errno */
    bool counted;   /* it was read from the store once: `count` is its items by state, as stored */
    size_t count[ITEM_STATE_COUNT];
    uint64_t again_ms;   /* monotonic: when to try again what failed */
    int64_t finished_ms; /* over: when that was seen first */
    /* PLACE_STORING */
    bool lent; /* the row's bytes belong to somebody else */
    void (*on_accepted)(int error, struct service_run *run, void *data);
    void *on_accepted_data;
    /* the operator's command under way */
    enum run_command command;
    struct control_request *request;
};

struct run_list {
    struct service_run *first, *last;
    size_t n;
};

/* ---- the service ---- */

struct old_settings {
    struct old_settings *next;
    struct settings *settings;
};

struct service {
    struct host host;
    const char *config_path;
    struct settings *settings; /* in force */
    struct settings *boot;     /* those of the start, by which state, control and spool go until the end */
    struct old_settings *old;  /* replaced, but still used by a server */
    struct notify notify;
    struct run_list filing, queued, active; /* in order of acceptance; blocked ones are among the queued */
    size_t storing;
    size_t jobs; /* work that is under way in other threads */
    unsigned signals;
    bool stopping, leaving;
    uint64_t drain_ms, extend_ms; /* the drain ends; systemd is told anew */
    int64_t started_ms, reloaded_ms;
    uint64_t prune_ms;
    char *trouble;       /* a reload that was refused, a sentence for people */
    bool servers_failed; /* one of the settings could not be connected: not before the next reload */
    struct control *control;
    bool control_open;
    struct preview *previews;
    struct render_job *render_first, *render_last; /* that wait */
    unsigned renders;                              /* that are under way */
    struct plans_dir *plans;                       /* NULL when closed */
    bool plans_ready;                              /* its first scan is over */
    bool plans_closing;                            /* and not closed yet */
    int64_t clock_ms;                              /* wall time over monotonic time, as seen last */
    struct service_hand *hands;                    /* plans that are wanted now, by hand */
    bool ready;                                    /* systemd knows */
    struct spool *spool;
    bool spool_open, spool_ready;
    uv_mutex_t filing_lock; /* the spool files one ended run at a time */
};

/* ---- service_load.c: reading what is stored of a run, in other threads ---- */

enum load_plan { LOAD_NO_PLAN, LOAD_PLAN, LOAD_PLAN_IF_UNFINISHED };

struct load_wish {
    enum load_plan plan;
    bool held;          /* the names that other runs hold, too */
    const char *server; /* of the run: for its settle time */
    /* In the worker thread, when all went well; may be NULL. 0 or a negative errno. */
    int (*work)(struct run_load *load, void *data);
    /* On the loop: 0, -EINVAL with messages in diag, or another negative errno. What is not taken out of
     * `load` is freed afterwards. */
    void (*on_done)(int error, struct run_load *load, struct diag *diag, void *data);
    void *data;
};

/* 0, or -ENOMEM: then on_done is not called. */
int service_load(struct service *service, const char *run_id, const struct load_wish *wish);

/* Calls work in another thread, then on_done on the loop. 0, or -ENOMEM. */
int service_work(struct service *service, void (*work)(void *data), void (*on_done)(void *data), void *data);

/* ---- service_render.c: results and reports ---- */

/* Writes the result and the report of a run into memory files, from what is stored; when many are asked for,
 * a few at a time. The callback takes the descriptors; with an error there are none. 0, -ENOMEM, or
 * -ESHUTDOWN when it would have to wait and the daemon stops: then it is not called. */
int service_render(struct service *service, const char *run_id,
                   void (*on_done)(int error, int result_fd, int report_fd, void *data), void *data);

/* The daemon stops: those that wait get -ESHUTDOWN. */
void service_renders_stop(struct service *service);

/* Files the run in the spool instead, with result and report; the callback takes `filed` (heap): where it
 * lies now. With an error there is a sentence. */
int service_render_spool(struct service *service, const char *run_id, const char *state, int64_t finished_ms,
                         void (*on_done)(int error, char *filed, const char *text, void *data), void *data);

/* ---- service_accept.c ---- */

struct run_offer {
    enum run_origin origin;
    const char *plan, *server, *file;
    size_t n_items;
    bool lent; /* the files' bytes stay the caller's, until on_done; else they are taken */
    bool owned;
    uint32_t owner;
    int64_t accepted_ms, due_ms;
    struct store_drop drop;
    void (*on_done)(int error, struct service_run *run, void *data);
    void *data;
};

/* Stores a plan that was found good as a new run. on_done is told when it is durable, with the run, or with
 * an error. 0 with the run's id, or -ENOMEM: then on_done is not called. */
int service_accept(struct service *service, struct plan_files *files, const struct run_offer *offer,
                   char ret_run_id[ULID_LEN + 1]);

/* ---- service_runs.c: the registry ---- */

/* A run with this row, which is emptied; NULL when out of memory. */
struct service_run *service_run_new(struct service *service, struct store_run *row);
void service_run_free(struct service_run *run);

/* It is stored and waits for its place from now on. */
void service_run_queue(struct service_run *run);

/* It is stored, and waits for its copy in the spool's accepted/; then for its place. */
void service_run_file(struct service_run *run);
void service_run_filed(struct service_run *run);

/* Loads the open runs of the store. 0 or a negative errno. */
int service_runs_open(struct service *service);

/* After each turn: begins what may begin, ends what is over. */
void service_runs_turn(struct service *service, struct instant now);

/* Blocked runs are tried again. */
void service_runs_unblock(struct service *service);

/* An open run by its whole id, or NULL. */
struct service_run *service_find_run(const struct service *service, const char *run_id);

/* Runs in the engine that are not paused: they use a place of limits.runs. */
size_t service_runs_busy(const struct service *service);

/* Runs in the engine that are paused. */
size_t service_runs_paused(const struct service *service);

/* Items whose clone request or task is under way. */
size_t service_runs_under_way(const struct service *service);

void service_runs_free(struct service *service);

/* engine_config.on_run */
void service_on_run(const char *run_id, void *data);

/* Makes `text` what keeps the run from going on, and says so unless it was so before. */
void service_run_trouble(struct service_run *run, const char *text);
/* Says in the log what has become of it by a command. */
void service_run_changed(const struct service_run *run, enum run_state state, enum run_wish wish);

/* Gives a run a command, loading it first if need be; answers run->request by
 * service_control_answered when it is durable. 0, or a negative errno as the engine's commands. */
int service_command(struct service *service, struct service_run *run, enum run_command command);

/* Brings an ended run back, to be retried. `run` is its row, taken. */
int service_reopen(struct service *service, struct store_run *row, struct control_request *request);

/* ---- service_blocked.c: runs that cannot begin, and what is wanted of them meanwhile ---- */

/* Can the run go into the engine, where it has been read? 0 with the mode; or -ENOENT when the settings do
 * not have its server, -EBUSY when that has changed and is still in use as it was, -ESHUTDOWN. */
int service_blocked_mode(const struct service_run *run, enum engine_run_mode *ret);
/* Its items, as they were read. */
void service_blocked_count(struct service_run *run, const struct run_load *load);
/* So many of them may have reached the server, as far as is known. */
size_t service_blocked_moving(const struct service_run *run);
/* It is to be cancelled, by a command or by what is stored. */
bool service_blocked_cancels(const struct service_run *run);

/* It has become blocked by that error: says so, and keeps the command that it has, if any, as a wish, or
 * answers it. `diag` may be NULL. */
void service_blocked(struct service_run *run, int error, const struct diag *diag);

/* Does what is wanted of a run that is not in the engine allow that command? 0, -EALREADY, -EINVAL. */
int service_blocked_allows(const struct service_run *run, enum run_command command);
/* Such an error of a run, as service_control_answered takes it. */
int service_blocked_answer(int error);

/* ---- service_reload.c ---- */

/* Connects all servers of the settings, at the start. 0, or a negative errno with a sentence. */
int service_servers_open(struct service *service, struct buf *ret_error);

/* Gives them to the engine, with the sessions that an earlier process left. The same errors. */
int service_servers_enter(struct service *service, struct buf *ret_error);

/* SIGHUP. */
void service_reload(struct service *service);

/* After each turn: servers that were replaced or removed go when nothing needs them any more. */
void service_servers_turn(struct service *service);

void service_settings_free(struct service *service);

/* ---- service_schedule.c: plans.d ---- */

/* Reads what is stored of schedules. 0, or a negative errno with a sentence. */
int service_schedule_open(struct service *service, struct buf *ret_error);
/* Begins to watch; sets plans_ready when the first scan is over. */
void service_schedule_start(struct service *service);
/* After each turn: was the clock set? */
void service_schedule_turn(struct service *service, struct instant now);
void service_schedule_reloaded(struct service *service);
/* Nothing becomes due any more; plans_closing until that is done. */
void service_schedule_close(struct service *service);

/* A run that may not begin yet: an earlier one of the same plan of plans.d is open. */
bool service_schedule_waits(const struct service *service, const struct service_run *run);
/* ---- service_spool.c ---- */

int service_spool_open(struct service *service, struct buf *ret_error);
/* An open run that came from the spool, before service_spool_start. 0 or a negative errno. */
int service_spool_know(struct service *service, const struct store_run *row);
void service_spool_start(struct service *service);
void service_spool_reloaded(struct service *service);
void service_spool_release(struct service *service, const char *filed);
void service_spool_close(struct service *service);

/* ---- service_control.c ---- */

int service_control_open(struct service *service, struct buf *ret_error);
void service_control_close(struct service *service);
void service_control_reloaded(struct service *service);
void service_control_turn(struct service *service);
/* The command of run->request is durable, or failed; forgets the command. */
void service_control_answered(struct service_run *run, int error);
/* For watchers: its end is stored. */
void service_control_ended(const struct service_run *run);
void service_control_failure(struct service *service, const char *run_id, const struct item *item);
