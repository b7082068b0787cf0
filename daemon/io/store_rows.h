/* Between rows of SQLite and our values: binding, reading, and what its error
 * codes mean to us. Private to the store. */
#pragma once

#include <sqlite3.h>
#include <stdint.h>

#include "base/buf.h"

struct arena;
struct item;

/* The negative errno of a result code: -ENOSPC for a full disk (also one that
 * shows as a file too big), -EIO, -EBUSY, -EBADMSG for a damaged file, ...; 0
 * for OK, ROW and DONE. To be asked right after the failed call. */
int store_errno(sqlite3 *db, int rc);

/* Adds a sentence for people about such an error at that file. */
void store_explain(sqlite3 *db, int error, const char *path, struct buf *ret_error);

/* Runs statements without rows: 0 or negative errno. */
int store_exec(sqlite3 *db, const char *sql);

/* Steps a statement that gives no rows, then resets and unbinds it: 0 or negative errno. */
int store_run(sqlite3 *db, sqlite3_stmt *stmt);

/* Compiles a statement that will be used again and again. */
int store_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret);

/* Binds text that lives until the statement is unbound; NULL as null. */
int store_bind_text(sqlite3_stmt *stmt, int column, const char *text);

/* The columns of an item, in the order of store_read_item. */
#define STORE_ITEM_COLUMNS                                                                          \
    "i.idx, i.state, i.kind, i.error, i.http, i.attempts, i.recovered, i.verified, i.never_again, " \
    "i.started_ms, i.finished_ms, i.name, i.folder, i.source_id, i.source_name, i.repository_uid, " \
    "i.server_id, i.server_name, i.session_id, i.task_id, i.job_uid, i.message"

/* Writes an item whole; `run` is runs.seq. */
extern const char store_item_sql[];
int store_bind_item(sqlite3_stmt *stmt, sqlite3_int64 run, const struct item *item);

/* Writes what changes once an item has left QUEUED. No row is changed when it has none. */
extern const char store_step_sql[];
int store_bind_step(sqlite3_stmt *stmt, sqlite3_int64 run, const struct item *item);

/* Adds a transition to the history; `seq` counts those of the run. */
extern const char store_history_sql[];
int store_bind_history(sqlite3_stmt *stmt, sqlite3_int64 run, sqlite3_int64 seq, int from,
                       const struct item *item, int64_t wall_ms);

/* Reads the columns above, beginning with the first; strings go into the arena.
 * 0, -EBADMSG for values that no program of ours writes, or -ENOMEM. */
int store_read_item(sqlite3_stmt *stmt, int first, struct arena *arena, struct item *ret);
