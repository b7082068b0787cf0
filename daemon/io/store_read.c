/* Runs as they are read: one with its bytes, or lists of rows without them. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "io/store_internal.h"
#include "io/store_rows.h"
#include "io/store_sqlite.h"

#define RUN_COLUMNS                                                                                    \
    "id, plan, file, server, hash, filed, state, wish, origin, accepted_ms, started_ms, finished_ms, " \
    "due_ms,"                                                                                          \
    " items, succeeded, skipped, failed, cancelled, unknown, drop_dev, drop_inode, drop_size,"         \
    " drop_mtime_ns, owner"
#define FIRST_NUMBER 6

/* A heap copy of a column that is never null. */
static int take_text(sqlite3_stmt *stmt, int column, char **ret)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    if (text == NULL)
        return sqlite3_column_type(stmt, column) == SQLITE_NULL ? -EBADMSG : -ENOMEM;
    *ret = strdup(text);
    return *ret != NULL ? 0 : -ENOMEM;
}

static int take_texts(sqlite3_stmt *stmt, struct store_run *ret)
{
    char **const texts[] = {&ret->id, &ret->plan, &ret->file, &ret->server, &ret->hash};
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
        r = take_text(stmt, (int)i, texts[i]);
    if (r == 0 && sqlite3_column_type(stmt, 5) != SQLITE_NULL)
        r = take_text(stmt, 5, &ret->filed);
    return r;
}

/* Of a row of RUN_COLUMNS; `ret` needs store_run_done also after an error. */
static int take_run(sqlite3_stmt *stmt, struct store_run *ret)
{
    int state = sqlite3_column_int(stmt, FIRST_NUMBER), wish = sqlite3_column_int(stmt, FIRST_NUMBER + 1),
        origin = sqlite3_column_int(stmt, FIRST_NUMBER + 2);
    int64_t *const numbers[] = {&ret->accepted_ms,    &ret->started_ms,    &ret->finished_ms,
                                &ret->due_ms,         &ret->totals.items,  &ret->totals.succeeded,
                                &ret->totals.skipped, &ret->totals.failed, &ret->totals.cancelled,
                                &ret->totals.unknown, &ret->drop.dev,      &ret->drop.inode,
                                &ret->drop.size,      &ret->drop.mtime_ns};
    if (state < RUN_QUEUED || state > RUN_CANCELLED || wish < RUN_WISH_NONE || wish > RUN_WISH_CANCEL_TASKS ||
        origin < RUN_FROM_ONCE || origin > RUN_FROM_SCHEDULE)
        return -EBADMSG;
    ret->state = (enum run_state)state;
    ret->wish = (enum run_wish)wish;
    ret->origin = (enum run_origin)origin;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        *numbers[i] = sqlite3_column_int64(stmt, FIRST_NUMBER + 3 + (int)i);
    int owner = FIRST_NUMBER + 3 + (int)ARRAY_SIZE(numbers);
    ret->owned = sqlite3_column_type(stmt, owner) != SQLITE_NULL;
    ret->owner = (uint32_t)sqlite3_column_int64(stmt, owner);
    return take_texts(stmt, ret);
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

/* The first row of a question about runs, with its bytes; finalizes it. */
static int take_one(struct store_sqlite *store, sqlite3_stmt *stmt, struct store_run *ret)
{
    struct store_run run = {0};
    int rc = sqlite3_step(stmt);
    int r = rc == SQLITE_ROW    ? take_run(stmt, &run)
            : rc == SQLITE_DONE ? -ENOENT
                                : store_errno(store->db, rc);
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

int store_sqlite_find_open_run(struct store_sqlite *store, const char *plan, const char *hash,
                               struct store_run *ret)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db,
                          "SELECT " RUN_COLUMNS " FROM runs"
                          " WHERE plan = ?1 AND hash = ?2 AND state IN (0, 1, 2) ORDER BY seq DESC LIMIT 1",
                          &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 1, plan);
    if (r == 0)
        r = store_bind_text(stmt, 2, hash);
    if (r == 0)
        return take_one(store, stmt, ret);
    sqlite3_finalize(stmt);
    return r;
}

int store_sqlite_load_run(struct store_sqlite *store, const char *run_id, struct store_run *ret)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db, "SELECT " RUN_COLUMNS " FROM runs WHERE id = ?1", &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 1, run_id);
    if (r == 0)
        return take_one(store, stmt, ret);
    sqlite3_finalize(stmt);
    return r;
}

/* All rows of a question about runs; finalizes it. */
static int tell_runs(struct store_sqlite *store, sqlite3_stmt *stmt, store_on_run *on_run, void *data)
{
    int r = 0;
    while (r == 0) {
        int rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW) {
            r = store_errno(store->db, rc);
            break;
        }
        struct store_run run = {0};
        r = take_run(stmt, &run);
        if (r == 0)
            r = on_run(&run, data);
        store_run_done(&run);
        r = r > 0 ? 0 : r;
    }
    sqlite3_finalize(stmt);
    return r;
}

int store_sqlite_open_runs(struct store_sqlite *store, store_on_run *on_run, void *data)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db, "SELECT " RUN_COLUMNS " FROM runs WHERE state IN (0, 1, 2) ORDER BY seq",
                          &stmt);
    return r < 0 ? r : tell_runs(store, stmt, on_run, data);
}

int store_sqlite_last_scheduled(struct store_sqlite *store, store_on_run *on_run, void *data)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db,
                          "SELECT " RUN_COLUMNS " FROM runs WHERE seq IN"
                          " (SELECT max(seq) FROM runs WHERE origin = ?1 GROUP BY plan)",
                          &stmt);
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 1, RUN_FROM_SCHEDULE));
    if (r == 0)
        return tell_runs(store, stmt, on_run, data);
    sqlite3_finalize(stmt);
    return r;
}

int store_sqlite_list_runs(struct store_sqlite *store, unsigned limit, store_on_run *on_run, void *data)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db, "SELECT " RUN_COLUMNS " FROM runs ORDER BY seq DESC LIMIT ?1", &stmt);
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 1, limit));
    if (r == 0)
        return tell_runs(store, stmt, on_run, data);
    sqlite3_finalize(stmt);
    return r;
}

int store_sqlite_find_runs(struct store_sqlite *store, const char *part, unsigned limit, store_on_run *on_run,
                           void *data)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db,
                          "SELECT " RUN_COLUMNS " FROM runs WHERE instr(id, upper(?1)) > 0"
                          " ORDER BY seq DESC LIMIT ?2",
                          &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 1, part);
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 2, limit));
    if (r == 0)
        return tell_runs(store, stmt, on_run, data);
    sqlite3_finalize(stmt);
    return r;
}
