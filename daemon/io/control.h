/* The control socket: HTTP with JSON over a unix stream socket (docs/control-api.md),
 * by libmicrohttpd on the loop. It parses, bounds, checks who is calling, and
 * hands each request to the service by `struct control_ops`; the service answers
 * now or later, when what it was asked for is durable.
 *
 * Happy path: a connection is accepted and its user judged, the head and the
 * body of a request are read within their limits, one op is called, one
 * control_reply_* completes it. Failures: a client that may not, asks too much
 * or is too slow gets an error (enum control_error) and the op is never called;
 * a client that leaves early is nothing to the service: its answer goes nowhere. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#include "base/buf.h"
#include "model/control.h"

struct control;
struct control_request; /* one request; gone once it was answered */
struct plan_files;

/* What the service can do. Each op must end in exactly one control_reply_* for its request, from
 * inside the call or later, also after control_close. `run` is an id or a part of one, in upper
 * case (see struct control_find); strings are borrowed for the call. */
struct control_ops {
    void (*status)(struct control_request *request, void *data);
    void (*list)(struct control_request *request, size_t limit,
                 void *data); /* open runs, then the newest ended
                                 ones, at most `limit` in all */
    void (*show)(struct control_request *request, const char *run, void *data);   /* control_reply_run */
    void (*result)(struct control_request *request, const char *run, void *data); /* control_reply_fd, JSON */
    void (*report)(struct control_request *request, const char *run, void *data); /* control_reply_fd, text */
    /* `files` is taken (plan_files_done, free): the plan and its CSV files, all in memory and sealed. */
    void (*submit)(struct control_request *request, struct plan_files *files,
                   void *data); /* control_reply_run
                                   once stored */
    void (*preview)(struct control_request *request, struct plan_files *files, void *data);
    /* Answered by control_reply_run once the change is durable. */
    void (*pause)(struct control_request *request, const char *run, void *data);
    void (*resume)(struct control_request *request, const char *run, void *data);
    void (*cancel)(struct control_request *request, const char *run, bool stop_tasks, void *data);
    void (*retry)(struct control_request *request, const char *run, void *data);
    void (*schedules)(struct control_request *request, void *data);
    void (*run_schedule)(struct control_request *request, const char *name,
                         void *data); /* control_reply_run */
    /* The first watcher came: call control_tell_run for every open run now, and from then on
     * whenever one changes, while control_watched() says so. */
    void (*watched)(void *data);
};

/* Why not. Each has its HTTP status and its word in the answer (docs/control-api.md). */
enum control_error {
    CONTROL_E_BAD_REQUEST,  /* 400 bad_request */
    CONTROL_E_NOT_FOUND,    /* 404 not_found: no such run, schedule or path */
    CONTROL_E_METHOD,       /* 405 method_not_allowed */
    CONTROL_E_AMBIGUOUS,    /* 409 ambiguous: several runs have that part */
    CONTROL_E_STATE,        /* 409 wrong_state: the run is not in a state for that */
    CONTROL_E_LENGTH,       /* 411 length_required */
    CONTROL_E_TOO_LARGE,    /* 413 too_large */
    CONTROL_E_INVALID_PLAN, /* 422 invalid_plan: lines FILE:LINE:COLUMN: message */
    CONTROL_E_INTERNAL,     /* 500 internal */
    CONTROL_E_SERVER,       /* 502 server_unreachable: preview, Enterprise Manager does not answer */
    CONTROL_E_CREDENTIALS,  /* 502 credentials_refused */
    CONTROL_E_TLS,          /* 502 tls_refused */
    CONTROL_E_BUSY,         /* 503 busy: try again soon */
    CONTROL_E_STOPPING,     /* 503 stopping: the daemon is about to end */
    CONTROL_E_NOT_STORED,   /* 507 not_stored: the state cannot be written */
    CONTROL_E_COUNT
};

struct control_options {
    const char *path;  /* of the socket */
    const char *group; /* whose members may use it, "jobclone"; a group that does not exist admits nobody */
    int listen_fd; /* a listening socket from systemd (control_activated_fd), else -1: one is made at `path`
                    */
    size_t plan_bytes;   /* most bytes of a plan, and of each CSV file */
    size_t answer_bytes; /* of results, reports and previews at once, 0: 256 MiB; one alone may be larger */
    unsigned connections_max; /* 0: 1000 */
    unsigned timeout_s;       /* for a client to send its request whole, and to take its answer on; 0: 30 */
    const struct control_ops *ops; /* borrowed */
    void *data;
};

/* The listening unix socket that systemd passed, or -1. */
int control_activated_fd(void);

/* Listens. A stale socket at the path (nobody answers there) is replaced, a live one is -EADDRINUSE. 0 or a
 * negative errno with a sentence for people in `ret_error` (limit at least 512). `options` is copied. */
int control_new(uv_loop_t *loop, const struct control_options *options, struct control **ret,
                struct buf *ret_error);

/* After a reload. */
void control_set_plan_bytes(struct control *control, size_t plan_bytes);

/* Stops listening, tells watchers that the daemon stops, gives answers that are ready a moment, closes all
 * connections, then calls on_closed once and frees itself. Requests not answered yet stay good until they are
 * answered. Must be called once; the loop must run on. */
void control_close(struct control *control, void (*on_closed)(void *data), void *data);

/* ---- who asks ---- */

uid_t control_request_uid(const struct control_request *request);

/* ---- answers; each completes its request ---- */

void control_reply_status(struct control_request *request, const struct control_status *status);
void control_reply_run(struct control_request *request, const struct control_run *run);
void control_reply_runs(struct control_request *request, const struct control_run *runs, size_t n);
void control_reply_schedules(struct control_request *request, const struct control_schedule *schedules,
                             size_t n);
void control_reply_preview(struct control_request *request, const struct control_preview *preview);

/* The content of a regular or memory file from its beginning; the descriptor is taken. */
void control_reply_fd(struct control_request *request, int fd);

/* `message`: what, where, what to do; control characters are escaped. */
void control_reply_error(struct control_request *request, enum control_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* When not exactly one id was found: answers the request (not found, ambiguous with the candidates) and
 * returns false. Else true, and the id is find->found[0]. */
bool control_reply_unless_found(struct control_request *request, const struct control_find *find);

/* ---- what watchers see ---- */

/* True while somebody watches. */
bool control_watched(const struct control *control);

/* A run as it is now; call it after a turn that changed it. Cheap when nobody watches; snapshots that
 * come faster than watchers take them are merged. */
void control_tell_run(struct control *control, const struct control_run *run);

/* An item that has just ended badly. */
void control_tell_failure(struct control *control, const struct control_failure *failure);
