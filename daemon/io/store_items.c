/* Items as they are read, and the names that they hold. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "io/store_internal.h"
#include "io/store_rows.h"
#include "io/store_sqlite.h"
#include "model/item.h"

/* Tells what a question for items gives; finalizes it. */
static int tell_items(struct store_sqlite *store, sqlite3_stmt *stmt, struct arena *arena,
                      int (*on_item)(const struct item *item, void *data), void *data)
{
    int r = 0;
    while (r == 0) {
        int rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW) {
            r = store_errno(store->db, rc);
            break;
        }
        struct item item;
        r = store_read_item(stmt, 0, arena, &item);
        if (r == 0)
            r = on_item(&item, data);
        r = r > 0 ? 0 : r;
    }
    sqlite3_finalize(stmt);
    return r;
}

int store_sqlite_load_page(struct store_sqlite *store, const char *run_id, uint32_t from, unsigned limit,
                           struct arena *arena, int (*on_item)(const struct item *item, void *data),
                           void *data)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db,
                          "SELECT " STORE_ITEM_COLUMNS " FROM items i"
                          " WHERE i.run = (SELECT seq FROM runs WHERE id = ?1) AND i.idx >= ?2"
                          " ORDER BY i.idx LIMIT ?3",
                          &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 1, run_id);
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 2, from));
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 3, limit));
    if (r == 0)
        return tell_items(store, stmt, arena, on_item, data);
    sqlite3_finalize(stmt);
    return r;
}

int store_sqlite_load_items(struct store_sqlite *store, const char *run_id, struct arena *arena,
                            int (*on_item)(const struct item *item, void *data), void *data)
{
    return store_sqlite_load_page(store, run_id, 0, UINT32_MAX, arena, on_item, data);
}

/* Of runs that are open or have ended lately only, so that old ones cost nothing. A clone whose outcome
 * cannot be known (8, or 6 with the error of a task that took too long) may still appear. */
static const char held_sql[] =
    "SELECT r.id, " STORE_ITEM_COLUMNS " FROM runs r JOIN items i ON i.run = r.seq"
    " WHERE r.server = ?1 AND r.id <> ?2 AND (r.state IN (0, 1, 2) OR r.finished_ms > ?3)"
    " AND (i.state IN (1, 2, 3) OR (i.finished_ms > ?3 AND (i.state IN (4, 8) OR (i.state = 6 AND i.error = "
    "15))))";

/* One row, whose strings live for this call only. */
static int tell_held(sqlite3_stmt *stmt,
                     int (*on_name)(const char *run_id, const struct item *item, void *data), void *data)
{
    struct arena *arena = arena_new();
    if (arena == NULL)
        return -ENOMEM;
    struct item item;
    const char *run_id = arena_str(arena, (const char *)sqlite3_column_text(stmt, 0));
    int r = run_id == NULL ? -ENOMEM : store_read_item(stmt, 1, arena, &item);
    if (r == 0)
        r = on_name(run_id, &item, data);
    arena_free(arena);
    return r > 0 ? 0 : r;
}

int store_sqlite_held_names(struct store_sqlite *store, const char *server, const char *run_id,
                            int64_t since_ms,
                            int (*on_name)(const char *run_id, const struct item *item, void *data),
                            void *data)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db, held_sql, &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 1, server);
    if (r == 0)
        r = store_bind_text(stmt, 2, run_id);
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 3, since_ms));
    while (r == 0) {
        int rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW) {
            r = store_errno(store->db, rc);
            break;
        }
        r = tell_held(stmt, on_name, data);
    }
    sqlite3_finalize(stmt);
    return r;
}
