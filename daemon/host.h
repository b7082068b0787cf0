/* What --once and the daemon share: the loop with its timer and signals, the
 * store, the servers with their HTTP ports, the engine, and the turning of it.
 * Happy path: host_init, host_open_store, host_add_server and host_add_run as
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

struct buf;
struct engine;
struct http_curl;
struct item;
struct plan;
struct server_settings;
struct store_run;
struct store_sqlite;

#define HOST_SIGNALS_MAX 4

struct host_ops {
    /* After every turn. Returns the longest wait until the next one, in milliseconds. */
    uint64_t (*on_turn)(struct instant now, void *data);
    void (*on_signal)(int number, void *data);
    /* As in engine_config. */
    void (*on_transition)(const char *run_id, const struct item *from, const struct item *to, void *data);
};

struct host_server {
    struct host_server *next;
    const struct server_settings *settings; /* borrowed */
    struct http_curl *http;
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
struct settings;
const char *host_state_directory(const struct settings *settings, const char *given);

/* Reads the server's password and makes the HTTP port to it. `settings` is borrowed for the
 * host's life. 0 and the server, which engine_add_server does not know yet; or a negative
 * errno with a sentence for people added to ret_error. */
int host_connect(struct host *host, const struct server_settings *settings, struct host_server **ret,
                 struct buf *ret_error);

/* Gives the engine a server that was connected. 0 or -ENOMEM. */
int host_add_server(struct host *host, struct host_server *server);

/* Hands a run to the engine: with what is stored of it when it is `resumed`, and with the names
 * that other runs hold on its server. The plan is taken, also on failure. 0, or a negative errno. */
int host_add_run(struct host *host, const struct store_run *run, struct plan *plan, bool resumed);

/* Calls ops->on_signal for these from now on. At most HOST_SIGNALS_MAX. */
void host_catch(struct host *host, const int *numbers, size_t n);

/* A turn now, not from inside on_turn. */
void host_turn(struct host *host);

/* Turns until the end that host_log_off began. */
void host_run(struct host *host);

/* Logs off, then ends host_run. */
void host_log_off(struct host *host);

/* Closes everything that was made. */
void host_close(struct host *host);
