/* What --once and the daemon share: the loop with its timer and signals, the
 * store, the servers with their HTTP ports, the engine, and the turning of it.
 * Happy path: host_init, host_open_store, host_connect and host_add_server as
 * wanted, host_run, host_close. It stops after host_log_off, as soon as nothing
 * is under way any more; a server that no longer answers, or a disk that is
 * full, is waited for a while only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/instant.h"
#include "base/rng.h"
#include "engine/engine.h"

struct buf;
struct http_curl;
struct item;
struct server_settings;
struct settings;
struct store_sqlite;

#define HOST_SIGNALS_MAX 4

struct host_ops {
    /* After every turn. Returns the longest wait until the next one, in milliseconds. */
    uint64_t (*on_turn)(struct instant now, void *data);
    void (*on_signal)(int number, void *data);
    /* As in engine_config. */
    void (*on_transition)(const char *run_id, const struct item *from, const struct item *to, void *data);
    void (*on_run)(const char *run_id, void *data); /* or NULL, as what follows */
    void (*on_session)(const char *server, const char *token, const char *session_id, void *data);
    /* Besides engine and store: nothing of its own under way, so that host_run may end? */
    bool (*is_idle)(void *data);
    bool open_in_outage; /* as in engine_config */
};

struct host_server {
    struct host_server *next;
    const struct server_settings *settings; /* borrowed */
    struct http_curl *http;
    bool known;               /* to the engine */
    bool leaves;              /* for the service: goes when nothing needs it any more */
    enum server_trouble told; /* for the service: what its log has said last */
    bool hopes;               /* for the service: a trouble has gone, and no session is open yet */
    char trouble[2048];       /* for the service: a sentence for people, or empty */
    char rest[320];           /* for the service: the same of its wish to be left alone */
};

struct host {
    const struct host_ops *ops;
    void *data; /* for ops */
    uv_loop_t loop;
    uv_timer_t timer;
    uv_async_t wake;
    uv_signal_t signals[HOST_SIGNALS_MAX];
    size_t n_signals;
    struct rng rng;
    struct store_sqlite *store;
    struct host_server *servers;
    struct engine *engine;
    uint64_t log_off_ms; /* the logoff was begun; given up some seconds later */
    bool closing, aborted;
};

/* Makes the loop with its handles. 0, or a negative errno, after which there is nothing to
 * close. `ops` and `data` are borrowed for its life. */
int host_init(struct host *host, const struct host_ops *ops, void *data);

/* Opens the store in `directory`, forgets runs that ended more than keep_ms ago, and makes
 * the engine on it. 0; or a negative errno with a sentence for people added to ret_error. */
int host_open_store(struct host *host, const char *directory, uint64_t keep_ms, struct buf *ret_error);

/* The directory of the state: `given` (or NULL), else the settings', where they do not say
 * $STATE_DIRECTORY, else the default. Borrowed. */
const char *host_state_directory(const struct settings *settings, const char *given);

/* Reads the server's password and makes the HTTP port to it. `settings` is borrowed for the
 * host's life. 0 and the server, which engine_add_server does not know yet; or a negative
 * errno with a sentence for people added to ret_error. */
int host_connect(struct host *host, const struct server_settings *settings, struct host_server **ret,
                 struct buf *ret_error);

/* Is the server's password there, as the settings want it? 0, or a negative errno with a sentence added to
 * ret_error. */
int host_try_password(const struct server_settings *settings, struct buf *ret_error);

/* Could it be connected otherwise: are its CA file and its pin good? As above. Nothing is sent. */
int host_try_server(const struct server_settings *settings, struct buf *ret_error);

/* Gives the engine a server that was connected. 0 or -ENOMEM. */
int host_add_server(struct host *host, struct host_server *server);

/* New credentials and limits for a server that stays the same otherwise; `settings` is borrowed in place of
 * the old ones. 0; or a negative errno with a sentence, and nothing has changed. */
int host_set_server(struct host *host, struct host_server *server, const struct server_settings *settings,
                    struct buf *ret_error);

/* Forgets a server: 0, or -EBUSY while a run or a request needs it: call again later. */
int host_remove_server(struct host *host, struct host_server *server);

/* The server of that name that is not about to leave, or NULL. */
struct host_server *host_find_server(const struct host *host, const char *name);

/* Is there a server of that name, even if it is about to leave? */
bool host_has_server(const struct host *host, const char *name);

/* Calls ops->on_signal for these from now on. At most HOST_SIGNALS_MAX. */
void host_catch(struct host *host, const int *numbers, size_t n);

/* A turn now, not from inside on_turn. */
void host_turn(struct host *host);

/* Turns until the end that host_log_off began. */
void host_run(struct host *host);

/* Logs off, then ends host_run. With `leave` sessions with unfinished tasks or doubt stay open, for
 * a successor that gets their tokens. */
void host_log_off(struct host *host, bool leave);

/* Closes everything that was made. */
void host_close(struct host *host);
