/* The engine advances all items in turns: take events, decide, commit, act. It
 * knows the world by its ports alone (http.h, store.h); time and chance come as
 * arguments. Happy path of a run: names are resolved, items get slots, each
 * clone is stored and then sent, one poll watches all tasks, a closing look
 * verifies. Everything that may go wrong with a clone request ends in doubt,
 * and doubt is settled by looking (doubt.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "engine/store.h"
#include "model/item.h"
#include "model/session.h"

struct api_format;
struct engine;
struct http;
struct plan;
struct server_settings;
struct window;

struct engine_config {
    struct store *store;
    uint64_t seed;
    unsigned items_at_once; /* that are judged, or given up, in one turn; 0: as many as hold up nobody */
    /* How many finished tasks may stay in a session's list while clones wait to be sent (tidy.c); after four
     * times as many the session is changed. 0: 500, and as costs tell. */
    unsigned tasks_kept;
    /* timeouts.run gives nothing up while the server cannot be reached, nor before it has been asked: the
     * caller does, and leaves the run open. */
    bool open_in_outage;
    /* Called when something waits for a turn (an answer, a commit): call
     * engine_advance soon, not from inside the callback. */
    void (*on_wake)(void *data);
    /* After a transition was stored and installed; may be NULL. */
    void (*on_transition)(const char *run_id, const struct item *from, const struct item *to, void *data);
    /* After a change of a run's own row is durable (paused, resumed, cancelling, reopened, ended), and when a
     * run is over; may be NULL. Call back into the engine only by its commands. */
    void (*on_run)(const char *run_id, void *data);
    /* A server's session has begun, or has ended (token NULL): for who keeps it across a restart; may be
     * NULL. The strings are borrowed for the call; the token must never reach a disk. */
    void (*on_session)(const char *server, const char *token, const char *session_id, void *data);
    void *data;
};

/* NULL when out of memory. The configuration is copied. */
struct engine *engine_new(const struct engine_config *config);

/* Frees everything; no request and no commit may be under way (engine_idle). Takes NULL; returns NULL. */
struct engine *engine_free(struct engine *engine);

/* Adds a server, at any time. `settings` and `http` are borrowed until it is removed. 0 or -ENOMEM. */
int engine_add_server(struct engine *engine, const struct server_settings *settings, struct http *http,
                      const struct api_format *format);

/* New settings for a server: its limits and times hold from now on, and a session that was refused is tried
 * again. Borrowed like those before, which may be freed then. 0, or -ENOENT. */
int engine_set_server(struct engine *engine, const struct server_settings *settings);

/* Forgets a server: 0, -ENOENT, or -EBUSY while a run or a request needs it (a session is logged off first:
 * call again). */
int engine_remove_server(struct engine *engine, const char *name);

/* Goes on with a session of an earlier process, before its runs are added: then tasks of that session keep
 * their items. When the server does not know it any more it is renewed as ever. 0, -ENOENT, or -ENOMEM. */
int engine_set_session(struct engine *engine, const char *server, const char *token, const char *session_id,
                       struct instant now);

/* A name that another run of this state directory holds, when that run is not in the engine (contract 3). */
struct engine_held {
    const char *server_id, *name, *job_uid;
    bool unfinished;     /* nobody knows whether the job is there */
    int64_t finished_ms; /* wall time: `settle` later it is held no longer; 0: no end is in sight */
    /* Its item, when that ended with task_timeout: a job of the name that carries its mark is its clone. */
    const char *late_run; /* NULL: it did not */
    uint32_t late_index;
};

/* What a run is added for. */
enum engine_run_mode {
    ENGINE_RUN,      /* to be carried out */
    ENGINE_LOOK,     /* of its items only those in doubt are settled, by looking; nothing is sent */
    ENGINE_PREVIEW,  /* names are resolved, then it is over: nothing is stored, nothing sent */
    ENGINE_CANCEL,   /* its server is gone: what has not left is cancelled, and nobody is asked */
    ENGINE_ENDED_RUN /* has ended: kept to be retried */
};

struct engine_run_options {
    const char *id;    /* ULID; copied */
    struct plan *plan; /* taken, also on failure */
    enum engine_run_mode mode;
    bool resumed;              /* it was begun by an earlier process */
    int64_t started_ms;        /* wall time, as stored: timeouts.run counts from there; 0: from now on */
    enum run_state state;      /* ENGINE_ENDED_RUN: how it ended */
    enum run_wish wish;        /* as stored: a run that was paused or cancelled stays so */
    const struct item *stored; /* its stored items, any order; copied */
    size_t n_stored;
    const struct engine_held *held; /* copied */
    size_t n_held;
};

/* Adds a run; it begins with the next turn. 0, -ENOENT when its server is not known, -EEXIST when the run
 * is there already, -ENOMEM; or -EBUSY for ENGINE_CANCEL, which needs no server, when one of its items may
 * have reached it: it must be asked then. */
int engine_add_run(struct engine *engine, const struct engine_run_options *options, struct instant now);

/* Commands of the operator. Each takes effect in the next turn and is durable when on_run tells of the run
 * (engine_run_status then shows it). 0, -ENOENT for an unknown run, -EALREADY when it is so already, -EINVAL
 * when the run's state does not allow it, -EBUSY while another command is on its way. */
int engine_pause_run(struct engine *engine, const char *run_id);
int engine_resume_run(struct engine *engine, const char *run_id);
int engine_cancel_run(struct engine *engine, const char *run_id, bool stop_tasks);
int engine_retry_run(struct engine *engine, const char *run_id);

/* A run that is over and reported: its end is stored. Durable when on_run tells of it. 0, -ENOENT, -EINVAL.
 */
int engine_end_run(struct engine *engine, const char *run_id);

/* Forgets a run whose end is stored, or one that was added to look or to preview and has nothing under way:
 * 0, -ENOENT, -EBUSY. */
int engine_remove_run(struct engine *engine, const char *run_id);

/* One turn. */
void engine_advance(struct engine *engine, struct instant now);

/* When the next turn is due (monotonic), INSTANT_NEVER when only events matter. */
uint64_t engine_next_due(const struct engine *engine);

/* From now on nothing new is started; what runs is watched and settled as far as it goes. */
void engine_stop(struct engine *engine);

/* Logs off where a session is open and starts nothing more. Ends when engine_idle. */
void engine_log_off(struct engine *engine);

/* The same for who keeps sessions across a restart: those with unfinished tasks or doubt are left open. */
void engine_leave(struct engine *engine);

/* Gives up all requests in flight; clones among them are in doubt. */
void engine_abort(struct engine *engine);

/* No request and no commit under way, nothing in the inbox. */
bool engine_idle(const struct engine *engine);

enum server_trouble {
    SERVER_FINE,
    SERVER_UNREACHABLE, /* no good answer since `since_ms`; tried again */
    SERVER_TLS,         /* certificate, name or pin refused */
    SERVER_CREDENTIALS, /* refused twice; not tried again */
    SERVER_WRONG,       /* it answers, but is not an Enterprise Manager API */
};

struct server_status {
    enum server_trouble trouble;
    uint64_t since_ms;   /* SERVER_UNREACHABLE: monotonic */
    uint64_t probe_ms;   /* it is not tried again before: monotonic; 0: at any time */
    uint64_t rests_ms;   /* nothing is sent before, as it asked (Retry-After): monotonic; may have passed */
    const char *message; /* what was seen last, for people; borrowed until the next turn */
    unsigned in_flight, limit, in_flight_max; /* limit: what it bears at present */
    unsigned tasks;                           /* unfinished ones, of all its backup servers */
    enum session_state session;
};

struct server_status engine_server_status(const struct engine *engine, const char *name);

struct backup_server_status {
    const char *id, *name;      /* borrowed for the life of the server */
    unsigned tasks, bound, max; /* unfinished ones; bound: as many as it bears at present */
};

/* Of each backup server that a run has met since the daemon began: false when `index` is beyond the last. */
bool engine_backup_server_status(const struct engine *engine, const char *server, size_t index,
                                 struct backup_server_status *ret);

struct run_status {
    enum run_state state; /* as stored; of a run that is over: how it ended */
    enum run_wish wish;   /* as stored */
    bool resolving, verifying;
    bool over;                   /* every item has its outcome: to be reported and ended */
    bool ended;                  /* and its end is stored */
    bool busy;                   /* a command is on its way */
    int64_t started_ms;          /* wall time: it began, or began anew by a retry */
    uint64_t over_ms;            /* monotonic: timeouts.run is over then, or INSTANT_NEVER */
    size_t n_wait;               /* items that wait for another run's outcome, since it holds their name */
    int64_t opens_ms;            /* it waits for its window: wall time when that opens; else 0 */
    const struct window *window; /* borrowed for the life of the run */
    size_t n_items;
    size_t count[ITEM_STATE_COUNT];
};

/* Of a run that was added. */
struct run_status engine_run_status(const struct engine *engine, const char *run_id);

/* The item as installed; borrowed until the next turn. NULL when out of range. */
const struct item *engine_run_item(const struct engine *engine, const char *run_id, size_t index);

/* Monotonic moment since which the store refuses to write (full disk), 0 when it does not; `ret_error`
 * gets its negative errno. */
uint64_t engine_store_failing(const struct engine *engine, int *ret_error);
