#include "io/store_rows.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "engine/store.h"
#include "model/item.h"

/* These numbers are on disk: a changed enumeration needs a migration. */
_Static_assert(ITEM_QUEUED == 0 && ITEM_SUBMITTING == 1 && ITEM_IN_DOUBT == 2 && ITEM_RUNNING == 3, "stored");
_Static_assert(ITEM_SUCCEEDED == 4 && ITEM_SKIPPED == 5 && ITEM_FAILED == 6 && ITEM_CANCELLED == 7, "stored");
_Static_assert(ITEM_UNKNOWN == 8 && ITEM_STATE_COUNT == 9, "stored");
_Static_assert(ITEM_E_SOURCE_NOT_FOUND == 1 && ITEM_E_KIND_MISMATCH == 8 && ITEM_E_NAME_CONFLICT == 10,
               "stored");
_Static_assert(ITEM_E_TASK_FAILED == 14 && ITEM_E_TASK_TIMEOUT == 15 && ITEM_E_ATTEMPTS == 17 &&
                   ITEM_E_LOOKUP == 21,
               "stored");
_Static_assert(JOB_KIND_BACKUP == 1 && JOB_KIND_IMMEDIATE_COPY == 4 && JOB_KIND_COUNT == 5, "stored");
_Static_assert(RUN_QUEUED == 0 && RUN_RUNNING == 1 && RUN_PAUSED == 2 && RUN_SUCCEEDED == 3, "stored");
_Static_assert(RUN_FAILED == 4 && RUN_CANCELLED == 5, "stored");

/* The strings of an item, in the order of their columns. Its own differ from those of all others: a table in
 * which equal ones are found would be larger than they are. */
static const struct item_text {
    size_t offset;
    bool own;
} item_texts[] = {
    {offsetof(struct item, name), true},
    {offsetof(struct item, folder), true},
    {offsetof(struct item, source_id), false},
    {offsetof(struct item, source_name), false},
    {offsetof(struct item, repository_uid), false},
    {offsetof(struct item, server_id), false},
    {offsetof(struct item, server_name), false},
    {offsetof(struct item, session_id), false},
    {offsetof(struct item, task_id), true},
    {offsetof(struct item, job_uid), true},
    {offsetof(struct item, message), false},
};

const char store_item_sql[] =
    "INSERT OR REPLACE INTO items (run, idx, state, kind, error, http, attempts, recovered, verified,"
    " never_again, started_ms, finished_ms, name, folder, source_id, source_name, repository_uid, server_id,"
    " server_name, session_id, task_id, job_uid, message)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,"
    " ?22, ?23)";

const char store_step_sql[] =
    "UPDATE items SET state = ?3, error = ?4, http = ?5, attempts = ?6, recovered = ?7, verified = ?8,"
    " never_again = ?9, started_ms = ?10, finished_ms = ?11, session_id = ?12, task_id = ?13, job_uid = ?14,"
    " message = ?15 WHERE run = ?1 AND idx = ?2";

const char store_history_sql[] =
    "INSERT INTO history (run, seq, idx, wall_ms, from_state, to_state, attempts, error, http, task)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/* A quota or a limit of the file's size shows as a failed write; SQLite itself
 * tells only ENOSPC apart. */
static bool disk_full(sqlite3 *db)
{
    static const int files[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
    if (sqlite3_extended_errcode(db) != SQLITE_IOERR_WRITE)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        sqlite3_file *file = NULL;
        int error = 0;
        if (sqlite3_file_control(db, "main", files[i], &file) != SQLITE_OK || file == NULL ||
            file->pMethods == NULL)
            continue;
        if (file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error) == SQLITE_OK &&
            (error == EFBIG || error == EDQUOT || error == ENOSPC))
            return true;
    }
    return false;
}

int store_errno(sqlite3 *db, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_TOOBIG:
        return -E2BIG;
    case SQLITE_CONSTRAINT:
        rc = sqlite3_extended_errcode(db);
        return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ? -EEXIST : -EINVAL;
    case SQLITE_IOERR:
        if (sqlite3_extended_errcode(db) == SQLITE_IOERR_NOMEM)
            return -ENOMEM;
        return disk_full(db) ? -ENOSPC : -EIO;
    default:
        return -EIO;
    }
}

void store_explain(sqlite3 *db, int error, const char *path, struct buf *ret_error)
{
    if (error == -EBADMSG)
        buf_printf(
            ret_error,
            "%s is damaged or is not a database (%s): restore it from a backup, or move it away to begin "
            "with an empty one; runs that were under way are then forgotten",
            path, sqlite3_errmsg(db));
    else if (error == -ENOSPC)
        buf_printf(ret_error, "%s cannot be written, the disk is full: make room", path);
    else if (error == -EBUSY)
        buf_printf(ret_error, "%s is held by another program: close it there", path);
    else
        buf_printf(ret_error, "%s cannot be used: %s (%s); look at the rights of the file and at its disk",
                   path, strerror(-error), db != NULL ? sqlite3_errmsg(db) : "out of memory");
}

int store_exec(sqlite3 *db, const char *sql)
{
    return store_errno(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int store_run(sqlite3 *db, sqlite3_stmt *stmt)
{
    int r = store_errno(db, sqlite3_step(stmt));
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return r;
}

int store_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
    return store_errno(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL));
}

int store_bind_text(sqlite3_stmt *stmt, int column, const char *text)
{
    int rc = text != NULL ? sqlite3_bind_text(stmt, column, text, -1, SQLITE_STATIC)
                          : sqlite3_bind_null(stmt, column);
    return rc == SQLITE_OK ? 0 : store_errno(sqlite3_db_handle(stmt), rc);
}

static int bind_numbers(sqlite3_stmt *stmt, int first, const sqlite3_int64 *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int rc = sqlite3_bind_int64(stmt, first + (int)i, values[i]);
        if (rc != SQLITE_OK)
            return store_errno(sqlite3_db_handle(stmt), rc);
    }
    return 0;
}

static int bind_texts(sqlite3_stmt *stmt, int first, const char *const *texts, size_t n)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        r = store_bind_text(stmt, first + (int)i, texts[i]);
    return r;
}

int store_bind_item(sqlite3_stmt *stmt, sqlite3_int64 run, const struct item *item)
{
    const sqlite3_int64 numbers[] = {
        run,
        item->index,
        (sqlite3_int64)item->state,
        (sqlite3_int64)item->kind,
        (sqlite3_int64)item->error,
        item->http,
        item->attempts,
        item->recovered,
        item->verified,
        item->never_again,
        item->started_ms,
        item->finished_ms,
    };
    const char *texts[ARRAY_SIZE(item_texts)];
    for (size_t i = 0; i < ARRAY_SIZE(item_texts); i++)
        memcpy(&texts[i], (const char *)item + item_texts[i].offset, sizeof(texts[i]));
    int r = bind_numbers(stmt, 1, numbers, ARRAY_SIZE(numbers));
    return r < 0 ? r : bind_texts(stmt, 1 + (int)ARRAY_SIZE(numbers), texts, ARRAY_SIZE(texts));
}

int store_bind_step(sqlite3_stmt *stmt, sqlite3_int64 run, const struct item *item)
{
    const sqlite3_int64 numbers[] = {
        run,
        item->index,
        (sqlite3_int64)item->state,
        (sqlite3_int64)item->error,
        item->http,
        item->attempts,
        item->recovered,
        item->verified,
        item->never_again,
        item->started_ms,
        item->finished_ms,
    };
    const char *const texts[] = {item->session_id, item->task_id, item->job_uid, item->message};
    int r = bind_numbers(stmt, 1, numbers, ARRAY_SIZE(numbers));
    return r < 0 ? r : bind_texts(stmt, 1 + (int)ARRAY_SIZE(numbers), texts, ARRAY_SIZE(texts));
}

int store_bind_history(sqlite3_stmt *stmt, sqlite3_int64 run, sqlite3_int64 seq, int from,
                       const struct item *item, int64_t wall_ms)
{
    const sqlite3_int64 numbers[] = {
        run,
        seq,
        item->index,
        wall_ms,
        from,
        (sqlite3_int64)item->state,
        item->attempts,
        (sqlite3_int64)item->error,
        item->http,
    };
    int r = bind_numbers(stmt, 1, numbers, ARRAY_SIZE(numbers));
    return r < 0 ? r : store_bind_text(stmt, 10, item->task_id);
}

static bool read_range(sqlite3_stmt *stmt, int column, sqlite3_int64 max, sqlite3_int64 *ret)
{
    *ret = sqlite3_column_int64(stmt, column);
    return *ret >= 0 && *ret <= max;
}

static int read_numbers(sqlite3_stmt *stmt, int first, struct item *ret)
{
    static const sqlite3_int64 max[] = {UINT32_MAX,
                                        ITEM_STATE_COUNT - 1,
                                        JOB_KIND_COUNT - 1,
                                        ITEM_ERROR_COUNT - 1,
                                        INT32_MAX,
                                        UINT32_MAX,
                                        1,
                                        1,
                                        1};
    sqlite3_int64 values[ARRAY_SIZE(max)];
    for (size_t i = 0; i < ARRAY_SIZE(max); i++)
        if (!read_range(stmt, first + (int)i, max[i], &values[i]))
            return -EBADMSG;
    ret->index = (uint32_t)values[0];
    ret->state = (enum item_state)values[1];
    ret->kind = (enum job_kind)values[2];
    ret->error = (enum item_error)values[3];
    ret->http = (int)values[4];
    ret->attempts = (unsigned)values[5];
    ret->recovered = values[6] != 0;
    ret->verified = values[7] != 0;
    ret->never_again = values[8] != 0;
    ret->started_ms = sqlite3_column_int64(stmt, first + 9);
    ret->finished_ms = sqlite3_column_int64(stmt, first + 10);
    return 0;
}

int store_read_item(sqlite3_stmt *stmt, int first, struct arena *arena, struct item *ret)
{
    struct item item = {0};
    int r = read_numbers(stmt, first, &item);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(item_texts); i++) {
        int column = first + 11 + (int)i;
        if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
            continue;
        const char *read = (const char *)sqlite3_column_text(stmt, column);
        const char *text = item_texts[i].own ? arena_str(arena, read) : arena_intern(arena, read);
        if (text == NULL)
            return -ENOMEM;
        memcpy((char *)&item + item_texts[i].offset, &text, sizeof(text));
    }
    *ret = item;
    return 0;
}
