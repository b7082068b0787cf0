/* Runs as they are written: accepted, changed, filed, ended. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "io/store_internal.h"
#include "io/store_rows.h"
#include "io/store_sqlite.h"

_Static_assert(RUN_FROM_ONCE == 0 && RUN_FROM_SPOOL == 1 && RUN_FROM_CONTROL == 2 && RUN_FROM_SCHEDULE == 3,
               "stored");
_Static_assert(RUN_WISH_NONE == 0 && RUN_WISH_PAUSE == 1 && RUN_WISH_CANCEL == 2, "stored");
_Static_assert(RUN_WISH_CANCEL_TASKS == 3, "stored");

const char *run_origin_name(enum run_origin origin)
{
    static const char *const names[] = {"once", "spool", "control", "schedule"};
    return names[origin];
}

void store_run_done(struct store_run *run)
{
    free(run->id);
    free(run->plan);
    free(run->file);
    free(run->server);
    free(run->hash);
    free(run->filed);
    buf_done(&run->bytes);
    for (size_t i = 0; i < run->n_csv; i++) {
        free(run->csv[i].path);
        buf_done(&run->csv[i].bytes);
    }
    free(run->csv);
    *run = (struct store_run){0};
}

static int bind_run(sqlite3_stmt *stmt, const struct store_run *run)
{
    const char *const texts[] = {run->id, run->plan, run->file, run->server, run->hash, run->filed};
    const sqlite3_int64 numbers[] = {
        (sqlite3_int64)run->state,
        (sqlite3_int64)run->wish,
        (sqlite3_int64)run->origin,
        run->accepted_ms,
        run->started_ms,
        run->finished_ms,
        run->due_ms,
        run->totals.items,
        run->drop.dev,
        run->drop.inode,
        run->drop.size,
        run->drop.mtime_ns,
        run->owner, /* the last: left null when nobody is known */
    };
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
        r = store_bind_text(stmt, 1 + (int)i, texts[i]);
    size_t n = ARRAY_SIZE(numbers) - (run->owned ? 0 : 1);
    for (size_t i = 0; i < n && r == 0; i++)
        r = store_errno(sqlite3_db_handle(stmt),
                        sqlite3_bind_int64(stmt, (int)(ARRAY_SIZE(texts) + 1 + i), numbers[i]));
    return r;
}

const char store_insert_run_sql[] =
    "INSERT INTO runs (id, plan, file, server, hash, filed, state, wish, origin, accepted_ms, started_ms,"
    " finished_ms, due_ms, items, drop_dev, drop_inode, drop_size, drop_mtime_ns, owner)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";

const char store_insert_file_sql[] =
    "INSERT INTO plan_files (run, position, path, bytes) VALUES (?1, ?2, ?3, ?4)";

const char store_filed_sql[] = "UPDATE runs SET filed = ?2 WHERE id = ?1";

static int insert_row(struct store_sqlite *store, const struct store_run *run)
{
    int r = bind_run(store->insert_run, run);
    return r < 0 ? r : store_run(store->db, store->insert_run);
}

static int insert_file(struct store_sqlite *store, sqlite3_int64 run, size_t position, const char *path,
                       const struct buf *bytes)
{
    sqlite3_stmt *stmt = store->insert_file;
    int r = store_bind_text(stmt, 3, path);
    if (r < 0)
        return r;
    int rc = sqlite3_bind_int64(stmt, 1, run);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 2, (sqlite3_int64)position);
    if (rc == SQLITE_OK) /* an empty file is empty bytes, not null */
        rc = sqlite3_bind_blob64(stmt, 4, buf_str(bytes), bytes->len, SQLITE_STATIC);
    return rc == SQLITE_OK ? store_run(store->db, stmt) : store_errno(store->db, rc);
}

int store_insert_run(struct store_sqlite *store, const struct store_run *run)
{
    int r = insert_row(store, run);
    sqlite3_int64 seq = sqlite3_last_insert_rowid(store->db);
    if (r == 0)
        r = insert_file(store, seq, 0, NULL, &run->bytes);
    for (size_t i = 0; i < run->n_csv && r == 0; i++)
        r = insert_file(store, seq, i + 1, run->csv[i].path, &run->csv[i].bytes);
    if (r == 0 && run->due_ms != 0)
        r = store_insert_due(store, run->plan, run->due_ms, run->id);
    return r;
}

int store_sqlite_add_run(struct store_sqlite *store, const struct store_run *run)
{
    int r = store_begin(store);
    if (r == 0)
        r = store_insert_run(store, run);
    return store_end(store, r);
}

int store_update_filed(struct store_sqlite *store, const char *run_id, const char *filed)
{
    int r = store_bind_text(store->put_filed, 1, run_id);
    if (r == 0)
        r = store_bind_text(store->put_filed, 2, filed);
    if (r == 0)
        r = store_run(store->db, store->put_filed);
    return r == 0 && sqlite3_changes(store->db) == 0 ? -ENOENT : r;
}

const char store_run_sql[] =
    "UPDATE runs SET state = ?2, wish = ?3, finished_ms = ?4,"
    " started_ms = CASE WHEN ?5 = 0 THEN started_ms ELSE ?5 END,"
    " succeeded = 0, skipped = 0, failed = 0, cancelled = 0, unknown = 0 WHERE id = ?1";

/* Plans of older programs were stored without their number of items. */
const char store_totals_sql[] =
    "UPDATE runs SET items = max(items, t.n), succeeded = t.succeeded, skipped = t.skipped,"
    " failed = t.failed, cancelled = t.cancelled, unknown = t.unknown"
    " FROM (SELECT count(*) AS n, count(*) FILTER (WHERE state = 4) AS succeeded,"
    " count(*) FILTER (WHERE state = 5) AS skipped, count(*) FILTER (WHERE state = 6) AS failed,"
    " count(*) FILTER (WHERE state = 7) AS cancelled, count(*) FILTER (WHERE state = 8) AS unknown"
    " FROM items WHERE run = (SELECT seq FROM runs WHERE id = ?1)) AS t WHERE id = ?1";

const char store_due_state_sql[] = "UPDATE schedules SET state = ?2 WHERE run = ?1";

static int write_end(struct store_sqlite *store, const char *run_id, enum run_state state)
{
    int r = store_bind_text(store->put_totals, 1, run_id);
    if (r == 0)
        r = store_run(store->db, store->put_totals);
    if (r == 0)
        r = store_bind_text(store->put_due_state, 1, run_id);
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int(store->put_due_state, 2, (int)state));
    return r < 0 ? r : store_run(store->db, store->put_due_state);
}

int store_write_run(struct store_sqlite *store, const char *run_id, enum run_state state, enum run_wish wish,
                    int64_t started_ms, int64_t finished_ms)
{
    sqlite3_stmt *stmt = store->put_run;
    const sqlite3_int64 numbers[] = {(sqlite3_int64)state, (sqlite3_int64)wish, finished_ms, started_ms};
    int r = store_bind_text(stmt, 1, run_id);
    for (size_t i = 0; i < ARRAY_SIZE(numbers) && r == 0; i++)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 2 + (int)i, numbers[i]));
    if (r == 0)
        r = store_run(store->db, stmt);
    if (r == 0 && sqlite3_changes(store->db) == 0)
        r = -ENOENT;
    return r == 0 && finished_ms != 0 ? write_end(store, run_id, state) : r;
}

int store_sqlite_end_run(struct store_sqlite *store, const char *run_id, enum run_state state,
                         int64_t finished_ms)
{
    int r = store_begin(store);
    if (r == 0)
        r = store_write_run(store, run_id, state, RUN_WISH_NONE, 0, finished_ms);
    return store_end(store, r);
}
