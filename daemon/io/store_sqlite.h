/* The store port on SQLite (design note 10): one file `jobclone.db` in the state
 * directory, WAL, synchronous=FULL, one exclusive connection that works in the
 * loop's thread pool for commits and on the caller's thread before the loop
 * runs. Rows of items appear when an item first leaves QUEUED; until then the
 * plan's bytes, kept with the run, say all about it. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "engine/store.h"

struct arena;
struct item;
struct store_sqlite;

/* A run as stored. Strings are the caller's on input, heap copies on output. */
struct store_run {
    char *id;   /* ULID */
    char *plan; /* the plan's name */
    char *file; /* the plan file as named by the user */
    char *server;
    char *hash; /* hex digest over the plan's bytes and its CSV files */
    enum run_state state;
    int64_t accepted_ms, finished_ms;
    struct buf bytes; /* the plan's bytes */
    struct store_csv {
        char *path; /* as the plan names it */
        struct buf bytes;
    } * csv;
    size_t n_csv;
};

void store_run_done(struct store_run *run);

/* Opens or creates the file (0600) in `directory` (created 0710 when missing).
 * 0; -EBUSY when another process holds it; -EPROTO when a newer program wrote
 * it; other negative errno. `ret_error` (limit at least 512) gets a sentence for
 * people naming the path and what to do. */
int store_sqlite_open(uv_loop_t *loop, const char *directory, struct store_sqlite **ret,
                      struct buf *ret_error);

struct store *store_sqlite_port(struct store_sqlite *store);

/* Synchronous calls: only while no commit is under way. */

/* Stores a newly accepted run with its bytes, durably. */
int store_sqlite_add_run(struct store_sqlite *store, const struct store_run *run);

/* Marks the run as ended, durably: its result has been written. Until then a run whose
 * items all have an outcome is open, so that a crash before the result repeats the result. */
int store_sqlite_end_run(struct store_sqlite *store, const char *run_id, enum run_state state,
                         int64_t finished_ms);

/* The run of that plan name and hash that has not ended: 0 and *ret (store_run_done), or -ENOENT. */
int store_sqlite_find_open_run(struct store_sqlite *store, const char *plan, const char *hash,
                               struct store_run *ret);

/* Calls on_item for each stored item of the run, by index; strings go into the
 * arena (equal ones once). A negative return of on_item ends it. */
int store_sqlite_load_items(struct store_sqlite *store, const char *run_id, struct arena *arena,
                            int (*on_item)(const struct item *item, void *data), void *data);

/* Calls on_name for each name on that server that another run than `run_id` holds: unfinished
 * items that may have reached the server, and those that succeeded after `since_ms` (wall). */
int store_sqlite_held_names(struct store_sqlite *store, const char *server, const char *run_id,
                            int64_t since_ms,
                            int (*on_name)(const char *run_id, const struct item *item, void *data),
                            void *data);

/* Forgets ended runs that finished before the given wall time. */
int store_sqlite_prune(struct store_sqlite *store, int64_t before_ms);

/* Closes; no commit may be under way. Takes NULL; returns NULL. */
struct store_sqlite *store_sqlite_close(struct store_sqlite *store);
