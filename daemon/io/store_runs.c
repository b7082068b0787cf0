/* The calls of the store about whole runs. They run on the caller's thread,
 * while no commit is under way. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "io/store_internal.h"
#include "io/store_rows.h"
#include "io/store_sqlite.h"
#include "model/item.h"

void store_run_done(struct store_run *run)
{
    free(run->id);
    free(run->plan);
    free(run->file);
    free(run->server);
    free(run->hash);
    buf_done(&run->bytes);
    for (size_t i = 0; i < run->n_csv; i++) {
        free(run->csv[i].path);
        buf_done(&run->csv[i].bytes);
    }
    free(run->csv);
    *run = (struct store_run){0};
}

static int insert_run(struct store_sqlite *store, const struct store_run *run)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db,
                          "INSERT INTO runs (id, plan, file, server, hash, state, accepted_ms, finished_ms)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                          &stmt);
    const char *const texts[] = {run->id, run->plan, run->file, run->server, run->hash};
    for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
        r = store_bind_text(stmt, 1 + (int)i, texts[i]);
    if (r == 0 && (sqlite3_bind_int(stmt, 6, (int)run->state) != SQLITE_OK ||
                   sqlite3_bind_int64(stmt, 7, run->accepted_ms) != SQLITE_OK ||
                   sqlite3_bind_int64(stmt, 8, run->finished_ms) != SQLITE_OK))
        r = -ENOMEM;
    if (r == 0)
        r = store_run(store->db, stmt);
    sqlite3_finalize(stmt);
    return r;
}

static int insert_file(struct store_sqlite *store, sqlite3_int64 run, size_t position, const char *path,
                       const struct buf *bytes)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(
        store->db, "INSERT INTO plan_files (run, position, path, bytes) VALUES (?1, ?2, ?3, ?4)", &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 3, path);
    if (r == 0) {
        int rc = sqlite3_bind_int64(stmt, 1, run);
        if (rc == SQLITE_OK)
            rc = sqlite3_bind_int64(stmt, 2, (sqlite3_int64)position);
        if (rc == SQLITE_OK) /* an empty file is empty bytes, not null */
            rc = sqlite3_bind_blob64(stmt, 4, buf_str(bytes), bytes->len, SQLITE_STATIC);
        r = rc == SQLITE_OK ? store_run(store->db, stmt) : store_errno(store->db, rc);
    }
    sqlite3_finalize(stmt);
    return r;
}

int store_sqlite_add_run(struct store_sqlite *store, const struct store_run *run)
{
    int r = store_begin(store);
    if (r == 0)
        r = insert_run(store, run);
    sqlite3_int64 seq = sqlite3_last_insert_rowid(store->db);
    if (r == 0)
        r = insert_file(store, seq, 0, NULL, &run->bytes);
    for (size_t i = 0; i < run->n_csv && r == 0; i++)
        r = insert_file(store, seq, i + 1, run->csv[i].path, &run->csv[i].bytes);
    return store_end(store, r);
}

int store_sqlite_end_run(struct store_sqlite *store, const char *run_id, enum run_state state,
                         int64_t finished_ms)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db, "UPDATE runs SET state = ?2, finished_ms = ?3 WHERE id = ?1", &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 1, run_id);
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int(stmt, 2, (int)state));
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 3, finished_ms));
    if (r == 0)
        r = store_run(store->db, stmt);
    sqlite3_finalize(stmt);
    return r;
}

/* A heap copy of a column that is never null. */
static int take_text(sqlite3_stmt *stmt, int column, char **ret)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    if (text == NULL)
        return sqlite3_column_type(stmt, column) == SQLITE_NULL ? -EBADMSG : -ENOMEM;
    *ret = strdup(text);
    return *ret != NULL ? 0 : -ENOMEM;
}

static int take_run(sqlite3_stmt *stmt, struct store_run *ret)
{
    char **const texts[] = {&ret->id, &ret->plan, &ret->file, &ret->server, &ret->hash};
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
        r = take_text(stmt, (int)i, texts[i]);
    int state = sqlite3_column_int(stmt, 5);
    if (r == 0 && (state < RUN_QUEUED || state > RUN_CANCELLED))
        r = -EBADMSG;
    ret->state = (enum run_state)state;
    ret->accepted_ms = sqlite3_column_int64(stmt, 6);
    ret->finished_ms = sqlite3_column_int64(stmt, 7);
    return r;
}

static int take_bytes(sqlite3_stmt *stmt, int column, struct buf *ret)
{
    const void *data = sqlite3_column_blob(stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);
    if (data == NULL && len > 0)
        return -ENOMEM;
    *ret = BUF_INIT(len);
    return len > 0 ? buf_add(ret, data, len) : 0;
}

static int take_csv(sqlite3_stmt *stmt, struct store_run *ret)
{
    struct store_csv *csv = reallocarray(ret->csv, ret->n_csv + 1, sizeof(*csv));
    if (csv == NULL)
        return -ENOMEM;
    ret->csv = csv;
    csv[ret->n_csv] = (struct store_csv){0};
    int r = take_text(stmt, 0, &csv[ret->n_csv].path);
    if (r == 0)
        r = take_bytes(stmt, 1, &csv[ret->n_csv].bytes);
    ret->n_csv++; /* also when half made: store_run_done frees it */
    return r;
}

static int take_files(struct store_sqlite *store, struct store_run *ret)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db,
                          "SELECT f.path, f.bytes, f.position FROM plan_files f JOIN runs r ON f.run = r.seq"
                          " WHERE r.id = ?1 ORDER BY f.position",
                          &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 1, ret->id);
    bool plan = false;
    while (r == 0) {
        int rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW) {
            r = store_errno(store->db, rc);
            break;
        }
        bool first = sqlite3_column_int64(stmt, 2) == 0;
        r = first ? take_bytes(stmt, 1, &ret->bytes) : take_csv(stmt, ret);
        plan = plan || first;
    }
    sqlite3_finalize(stmt);
    return r == 0 && !plan ? -EBADMSG : r;
}

int store_sqlite_find_open_run(struct store_sqlite *store, const char *plan, const char *hash,
                               struct store_run *ret)
{
    struct store_run run = {0};
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db,
                          "SELECT id, plan, file, server, hash, state, accepted_ms, finished_ms FROM runs"
                          " WHERE plan = ?1 AND hash = ?2 AND state IN (0, 1, 2) ORDER BY seq DESC LIMIT 1",
                          &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 1, plan);
    if (r == 0)
        r = store_bind_text(stmt, 2, hash);
    if (r == 0) {
        int rc = sqlite3_step(stmt);
        r = rc == SQLITE_ROW    ? take_run(stmt, &run)
            : rc == SQLITE_DONE ? -ENOENT
                                : store_errno(store->db, rc);
    }
    sqlite3_finalize(stmt);
    if (r == 0)
        r = take_files(store, &run);
    if (r < 0) {
        store_run_done(&run);
        return r;
    }
    *ret = run;
    return 0;
}

int store_sqlite_load_items(struct store_sqlite *store, const char *run_id, struct arena *arena,
                            int (*on_item)(const struct item *item, void *data), void *data)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db,
                          "SELECT " STORE_ITEM_COLUMNS " FROM items i"
                          " WHERE i.run = (SELECT seq FROM runs WHERE id = ?1) ORDER BY i.idx",
                          &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 1, run_id);
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

/* Two questions, so that each has the index made for it. */
static const char held_sql[] = "SELECT r.id, " STORE_ITEM_COLUMNS " FROM runs r JOIN items i ON i.run = r.seq"
                               " WHERE i.state IN (1, 2, 3) AND r.server = ?1 AND r.id <> ?2"
                               " UNION ALL "
                               "SELECT r.id, " STORE_ITEM_COLUMNS " FROM items i JOIN runs r ON r.seq = i.run"
                               " WHERE i.state = 4 AND i.finished_ms > ?3 AND r.server = ?1 AND r.id <> ?2";

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

int store_sqlite_prune(struct store_sqlite *store, int64_t before_ms)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(
        store->db, "DELETE FROM runs WHERE state IN (3, 4, 5) AND finished_ms > 0 AND finished_ms < ?1",
        &stmt);
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 1, before_ms));
    if (r == 0)
        r = store_run(store->db, stmt);
    sqlite3_finalize(stmt);
    return r;
}
