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

struct api_format;
struct engine;
struct http;
struct plan;
struct server_settings;

struct engine_config {
    struct store *store;
    uint64_t seed;
    /* Called when something waits for a turn (an answer, a commit): call
     * engine_advance soon, not from inside the callback. */
    void (*on_wake)(void *data);
    /* After a transition was stored and installed; may be NULL. */
    void (*on_transition)(const char *run_id, const struct item *from, const struct item *to, void *data);
    void *data;
};

/* NULL when out of memory. The configuration is copied. */
struct engine *engine_new(const struct engine_config *config);

/* Frees everything; no request and no commit may be under way (engine_idle). Takes NULL; returns NULL. */
struct engine *engine_free(struct engine *engine);

/* Adds a server. `settings` and `http` are borrowed for the engine's life. 0 or -ENOMEM. */
int engine_add_server(struct engine *engine, const struct server_settings *settings, struct http *http,
                      const struct api_format *format);

/* A name that another run of this state directory holds (product contract 3). */
struct engine_held {
    const char *server_id, *name, *job_uid;
    bool unfinished;
};

struct engine_run_options {
    const char *id;            /* ULID; copied */
    struct plan *plan;         /* taken, also on failure */
    bool resumed;              /* it was begun by an earlier process */
    const struct item *stored; /* its stored items, any order; copied */
    size_t n_stored;
    const struct engine_held *held; /* copied */
    size_t n_held;
};

/* Adds a run; it begins with the next turn. 0, -ENOENT when its server is not known, or -ENOMEM. */
int engine_add_run(struct engine *engine, const struct engine_run_options *options, struct instant now);

/* One turn. */
void engine_advance(struct engine *engine, struct instant now);

/* When the next turn is due (monotonic), INSTANT_NEVER when only events matter. */
uint64_t engine_next_due(const struct engine *engine);

/* From now on nothing new is started; what runs is watched and settled as far as it goes. */
void engine_stop(struct engine *engine);

/* Logs off where a session is open and starts nothing more. Ends when engine_idle. */
void engine_log_off(struct engine *engine);

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
    const char *message; /* what was seen last, for people; borrowed until the next turn */
    unsigned in_flight, limit;
};

struct server_status engine_server_status(const struct engine *engine, const char *name);

struct run_status {
    enum run_state state;
    bool resolving, verifying;
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
