/* Calls of the store that do not hold up the loop. They are carried out in the order
 * in which they were made, also among the engine's batches; each calls its
 * callback once, on the loop thread, never before it returns: with 0, or a negative
 * errno. What is written is durable by then. The return value is 0, or -ENOMEM
 * when the call could not be queued: then there is no callback. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "io/store_sqlite.h"

typedef void store_on_done(int error, void *data);

/* As store_sqlite_add_run; the run is borrowed until on_done. Many at once share one wait for the disk. */
int store_async_add_run(struct store_sqlite *store, const struct store_run *run, store_on_done *on_done,
                        void *data);

/* What the operator wants of an open run that the engine does not have. -ENOENT when there is no such run. */
int store_async_set_wish(struct store_sqlite *store, const char *run_id, enum run_state state,
                         enum run_wish wish, store_on_done *on_done, void *data);

/* The plan of the run lies in the spool's folders under that name (copied); the original is gone. */
int store_async_set_filed(struct store_sqlite *store, const char *run_id, const char *filed,
                          store_on_done *on_done, void *data);

/* A due time that is left out (overlap, or missed without catch_up): -EEXIST when it has been seen before. */
int store_async_skip_due(struct store_sqlite *store, const char *plan, int64_t due_ms, store_on_done *on_done,
                         void *data);

/* Forgets what is older than the given wall time: ended runs by their end, transitions of items, and due
 * times but the last of each plan. In many small pieces, so that batches of the engine get in between. */
int store_async_prune(struct store_sqlite *store, int64_t before_ms, store_on_done *on_done, void *data);

/* Rows without bytes; they are the callback's to look at and freed after it, but for those that it takes out
 * by leaving zeroes. `n` is 0 with an error. */
typedef void store_on_runs(int error, struct store_run *runs, size_t n, void *data);

/* As the synchronous calls of the same names; `part` is copied. */
int store_async_open_runs(struct store_sqlite *store, store_on_runs *on_runs, void *data);
int store_async_last_scheduled(struct store_sqlite *store, store_on_runs *on_runs, void *data);
int store_async_list_runs(struct store_sqlite *store, unsigned limit, store_on_runs *on_runs, void *data);
int store_async_find_runs(struct store_sqlite *store, const char *part, unsigned limit,
                          store_on_runs *on_runs, void *data);

/* One run with its bytes; n is 1, or the error -ENOENT. */
int store_async_load_run(struct store_sqlite *store, const char *run_id, store_on_runs *on_runs, void *data);

/* The stored items of a run from index `from` on, by index, at most `limit`: a page. Borrowed for the
 * callback. Fewer than `limit` means that there are no more; the next page begins behind the last index. */
typedef void store_on_items(int error, const struct item *items, size_t n, void *data);
int store_async_load_items(struct store_sqlite *store, const char *run_id, uint32_t from, unsigned limit,
                           store_on_items *on_items, void *data);

/* Calls `work` in the worker thread, where it may use those synchronous calls that read; for whatever
 * needs many rows, as a result that is written straight from the store. Batches of the engine wait
 * meanwhile, so it should be short. */
int store_async_read(struct store_sqlite *store, int (*work)(struct store_sqlite *store, void *data),
                     store_on_done *on_done, void *data);
