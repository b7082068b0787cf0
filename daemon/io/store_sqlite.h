/* The store port on SQLite (design note 10): one file `jobclone.db` in the state
 * directory, WAL, synchronous=FULL, one exclusive connection. Asynchronous calls
 * (store_async.h) and the engine's batches go through one queue, whose jobs are
 * carried out in order by a worker of the loop's thread pool; the synchronous
 * calls below work on the caller's thread. Rows of items appear when an item
 * first leaves QUEUED; until then the plan's bytes, kept with the run, say all
 * about it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "engine/store.h"

struct arena;
struct item;
struct store_sqlite;

/* Where a run came from. The numbers are on disk. */
enum run_origin { RUN_FROM_ONCE, RUN_FROM_SPOOL, RUN_FROM_CONTROL, RUN_FROM_SCHEDULE };

const char *run_origin_name(enum run_origin origin);

/* The outcomes of a run; but for `items`, which is known from the start, they are
 * counted when its end is stored. */
struct store_totals {
    int64_t items, succeeded, skipped, failed, cancelled, unknown;
};

/* What a file dropped into the spool is known by. */
struct store_drop {
    int64_t dev, inode, size, mtime_ns;
};

/* A run as stored. Strings are the caller's on input, heap copies on output. */
struct store_run {
    char *id;   /* ULID */
    char *plan; /* the plan's name */
    char *file; /* the plan file as named by the user */
    char *server;
    char *hash; /* hex digest over the plan's bytes and its CSV files */
    enum run_state state;
    enum run_wish wish;
    enum run_origin origin;
    bool owned; /* `owner` is the user who gave the plan */
    uint32_t owner;
    int64_t accepted_ms, started_ms, finished_ms; /* 0: not yet */
    int64_t due_ms;                               /* of a schedule, else 0 */
    struct store_totals totals;
    struct store_drop drop; /* of the spool, else zero */
    char *filed;            /* its name in the spool's folders once it has been filed, else NULL */
    struct buf bytes;       /* the plan's bytes */
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

/* True when no job is queued or under way: the store may be closed and called synchronously. */
bool store_sqlite_idle(const struct store_sqlite *store);

/* Closes; it must be idle. Takes NULL; returns NULL. */
struct store_sqlite *store_sqlite_close(struct store_sqlite *store);

/* Synchronous calls: while the store is idle, or those that only read within a
 * reading job (store_async_read). */

/* Stores a newly accepted run with its bytes, durably. A run of a schedule (due_ms set) takes its due
 * time: -EEXIST when that has been seen before. */
int store_sqlite_add_run(struct store_sqlite *store, const struct store_run *run);

/* Marks the run as ended, durably: its result has been written. Until then a run whose
 * items all have an outcome is open, so that a crash before the result repeats the result. */
int store_sqlite_end_run(struct store_sqlite *store, const char *run_id, enum run_state state,
                         int64_t finished_ms);

/* The run of that plan name and hash that has not ended: 0 and *ret (store_run_done), or -ENOENT. */
int store_sqlite_find_open_run(struct store_sqlite *store, const char *plan, const char *hash,
                               struct store_run *ret);

/* A run with its bytes: 0 and *ret (store_run_done), or -ENOENT. */
int store_sqlite_load_run(struct store_sqlite *store, const char *run_id, struct store_run *ret);

/* Runs without their bytes, one by one; a negative return of on_run ends it. `run` is the call's: what is
 * to stay is copied, or taken out of it by leaving NULL. */
typedef int store_on_run(struct store_run *run, void *data);

/* The last run of each plan that ran from a schedule. */
int store_sqlite_last_scheduled(struct store_sqlite *store, store_on_run *on_run, void *data);

/* All that have not ended, in order of acceptance. */
int store_sqlite_open_runs(struct store_sqlite *store, store_on_run *on_run, void *data);

/* The newest, newest first, at most `limit`. */
int store_sqlite_list_runs(struct store_sqlite *store, unsigned limit, store_on_run *on_run, void *data);

/* Those whose id has that part (letter case ignored), newest first, at most `limit`. */
int store_sqlite_find_runs(struct store_sqlite *store, const char *part, unsigned limit, store_on_run *on_run,
                           void *data);

/* Calls on_item for each stored item of the run, by index; strings go into the
 * arena (those that items share once). A negative return of on_item ends it. */
int store_sqlite_load_items(struct store_sqlite *store, const char *run_id, struct arena *arena,
                            int (*on_item)(const struct item *item, void *data), void *data);

/* The same from index `from` on, at most `limit`. */
int store_sqlite_load_page(struct store_sqlite *store, const char *run_id, uint32_t from, unsigned limit,
                           struct arena *arena, int (*on_item)(const struct item *item, void *data),
                           void *data);

/* Calls on_name for each name on that server that another run than `run_id` holds: unfinished
 * items that may have reached the server, and those that succeeded after `since_ms` (wall). */
int store_sqlite_held_names(struct store_sqlite *store, const char *server, const char *run_id,
                            int64_t since_ms,
                            int (*on_name)(const char *run_id, const struct item *item, void *data),
                            void *data);

/* The last due time seen of a plan's schedule. Borrowed for the call. */
struct store_due {
    const char *plan;
    int64_t due_ms;
    const char *run;      /* NULL: it was left out */
    enum run_state state; /* of that run */
};

/* One for each plan that ever had a due time; a negative return of on_due ends it. */
int store_sqlite_load_dues(struct store_sqlite *store, int (*on_due)(const struct store_due *due, void *data),
                           void *data);

/* Forgets, as store_async_prune, in one go. */
int store_sqlite_prune(struct store_sqlite *store, int64_t before_ms);
