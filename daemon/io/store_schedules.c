/* The due times of schedules: each is seen once, whatever the clock does. */
#include "io/store_internal.h"
#include "io/store_rows.h"
#include "io/store_sqlite.h"

#include <errno.h>

int store_insert_due(struct store_sqlite *store, const char *plan, int64_t due_ms, const char *run_id)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db,
                          "INSERT INTO schedules (plan, due_ms, run, state)"
                          " VALUES (?1, ?2, ?3, CASE WHEN ?3 IS NULL THEN NULL ELSE 0 END)",
                          &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 1, plan);
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 2, due_ms));
    if (r == 0)
        r = store_bind_text(stmt, 3, run_id);
    if (r == 0)
        r = store_run(store->db, stmt);
    sqlite3_finalize(stmt);
    return r;
}

static int tell_due(sqlite3_stmt *stmt, int (*on_due)(const struct store_due *due, void *data), void *data)
{
    struct store_due due = {.plan = (const char *)sqlite3_column_text(stmt, 0),
                            .due_ms = sqlite3_column_int64(stmt, 1),
                            .run = (const char *)sqlite3_column_text(stmt, 2)};
    int state = sqlite3_column_int(stmt, 3);
    if (due.plan == NULL)
        return -ENOMEM;
    if (state < RUN_QUEUED || state > RUN_CANCELLED)
        return -EBADMSG;
    due.state = (enum run_state)state;
    int r = on_due(&due, data);
    return r > 0 ? 0 : r;
}

int store_sqlite_load_dues(struct store_sqlite *store, int (*on_due)(const struct store_due *due, void *data),
                           void *data)
{
    sqlite3_stmt *stmt = NULL;
    /* with max() the other columns are those of its row */
    int r = store_prepare(
        store->db, "SELECT plan, max(due_ms), run, state FROM schedules GROUP BY plan ORDER BY plan", &stmt);
    while (r == 0) {
        int rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW) {
            r = store_errno(store->db, rc);
            break;
        }
        r = tell_due(stmt, on_due, data);
    }
    sqlite3_finalize(stmt);
    return r;
}
