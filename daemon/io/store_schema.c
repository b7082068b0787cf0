#include "io/store_schema.h"

#include <errno.h>

#include "io/store_rows.h"

/* Numbers of states, kinds and errors are those of the enumerations;
 * store_rows.c holds them in place. A step once released is never edited: a
 * change of the tables is a further step. */
static const char *const steps[STORE_SCHEMA_VERSION] = {
    /* 1: the first tables */
    "CREATE TABLE runs ("
    " seq INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " plan TEXT NOT NULL,"
    " file TEXT NOT NULL,"
    " server TEXT NOT NULL,"
    " hash TEXT NOT NULL,"
    " state INTEGER NOT NULL,"
    " accepted_ms INTEGER NOT NULL,"
    " finished_ms INTEGER NOT NULL);"
    "CREATE INDEX runs_plan ON runs (plan, hash);"
    /* position 0 is the plan itself, the others are its CSV files */
    "CREATE TABLE plan_files ("
    " run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,"
    " position INTEGER NOT NULL,"
    " path TEXT,"
    " bytes BLOB NOT NULL,"
    " UNIQUE (run, position));"
    "CREATE TABLE items ("
    " run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,"
    " idx INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " kind INTEGER NOT NULL,"
    " error INTEGER NOT NULL,"
    " http INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " recovered INTEGER NOT NULL,"
    " verified INTEGER NOT NULL,"
    " never_again INTEGER NOT NULL,"
    " started_ms INTEGER NOT NULL,"
    " finished_ms INTEGER NOT NULL,"
    " name TEXT, folder TEXT, source_id TEXT, source_name TEXT, repository_uid TEXT,"
    " server_id TEXT, server_name TEXT, session_id TEXT, task_id TEXT, job_uid TEXT, message TEXT,"
    " PRIMARY KEY (run, idx)) WITHOUT ROWID;"
    /* Names held: few rows of many, so each of the two has an index of just its rows. */
    "CREATE INDEX items_under_way ON items (run, server_name, name) WHERE state IN (1, 2, 3);"
    "CREATE INDEX items_made ON items (finished_ms) WHERE state = 4;"
    "CREATE TABLE history ("
    " seq INTEGER PRIMARY KEY,"
    " run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,"
    " idx INTEGER NOT NULL,"
    " wall_ms INTEGER NOT NULL,"
    " from_state INTEGER NOT NULL,"
    " to_state INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " error INTEGER NOT NULL,"
    " http INTEGER NOT NULL,"
    " task TEXT);"
    "CREATE INDEX history_run ON history (run, idx);",
    /* 2: where runs come from, what the operator wants of them, and schedules. `filed` is the plan's
     * name in the spool's folders; the four after it know a file dropped there again. */
    "ALTER TABLE runs ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN owner INTEGER;"
    "ALTER TABLE runs ADD COLUMN wish INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN due_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN started_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN items INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN succeeded INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN unknown INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN filed TEXT;"
    "ALTER TABLE runs ADD COLUMN drop_dev INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN drop_inode INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN drop_size INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN drop_mtime_ns INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX runs_open ON runs (seq) WHERE state IN (0, 1, 2);"
    /* the ends that an older program stored are counted as well */
    "UPDATE runs SET"
    " items = (SELECT count(*) FROM items i WHERE i.run = runs.seq),"
    " succeeded = (SELECT count(*) FROM items i WHERE i.run = runs.seq AND i.state = 4),"
    " skipped = (SELECT count(*) FROM items i WHERE i.run = runs.seq AND i.state = 5),"
    " failed = (SELECT count(*) FROM items i WHERE i.run = runs.seq AND i.state = 6),"
    " cancelled = (SELECT count(*) FROM items i WHERE i.run = runs.seq AND i.state = 7),"
    " unknown = (SELECT count(*) FROM items i WHERE i.run = runs.seq AND i.state = 8)"
    " WHERE state IN (3, 4, 5);"
    /* one row for each due time seen; `run` is null where it was left out */
    "CREATE TABLE schedules ("
    " plan TEXT NOT NULL,"
    " due_ms INTEGER NOT NULL,"
    " run TEXT,"
    " state INTEGER,"
    " PRIMARY KEY (plan, due_ms)) WITHOUT ROWID;"
    "CREATE INDEX schedules_run ON schedules (run) WHERE run IS NOT NULL;",
    /* 3: what every change of an item writes is one row in place and one at the end of its run's history, and
     * nothing else has to be kept up with it: no index, no reference. */
    "CREATE TABLE items_3 ("
    " run INTEGER NOT NULL,"
    " idx INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " kind INTEGER NOT NULL,"
    " error INTEGER NOT NULL,"
    " http INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " recovered INTEGER NOT NULL,"
    " verified INTEGER NOT NULL,"
    " never_again INTEGER NOT NULL,"
    " started_ms INTEGER NOT NULL,"
    " finished_ms INTEGER NOT NULL,"
    " name TEXT, folder TEXT, source_id TEXT, source_name TEXT, repository_uid TEXT,"
    " server_id TEXT, server_name TEXT, session_id TEXT, task_id TEXT, job_uid TEXT, message TEXT,"
    " PRIMARY KEY (run, idx)) WITHOUT ROWID;"
    "INSERT INTO items_3 SELECT run, idx, state, kind, error, http, attempts, recovered, verified, "
    "never_again,"
    " started_ms, finished_ms, name, folder, source_id, source_name, repository_uid, server_id, server_name,"
    " session_id, task_id, job_uid, message FROM items;"
    "DROP TABLE items;"
    "ALTER TABLE items_3 RENAME TO items;"
    "CREATE TABLE history_3 ("
    " run INTEGER NOT NULL,"
    " seq INTEGER NOT NULL,"
    " idx INTEGER NOT NULL,"
    " wall_ms INTEGER NOT NULL,"
    " from_state INTEGER NOT NULL,"
    " to_state INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " error INTEGER NOT NULL,"
    " http INTEGER NOT NULL,"
    " task TEXT,"
    " PRIMARY KEY (run, seq)) WITHOUT ROWID;"
    "INSERT INTO history_3 SELECT run, seq, idx, wall_ms, from_state, to_state, attempts, error, http, task"
    " FROM history;"
    "DROP TABLE history;"
    "ALTER TABLE history_3 RENAME TO history;",
};

static int read_number(sqlite3 *db, const char *sql, int *ret)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            *ret = sqlite3_column_int(stmt, 0);
    }
    int r = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -EBADMSG : store_errno(db, rc);
    sqlite3_finalize(stmt);
    return r;
}

static int apply_step(sqlite3 *db, int version)
{
    char *sql =
        sqlite3_mprintf("BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
                        steps[version], STORE_APPLICATION_ID, version + 1);
    if (sql == NULL)
        return -ENOMEM;
    int r = store_exec(db, sql);
    sqlite3_free(sql);
    if (r < 0 && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

int store_schema_apply(sqlite3 *db, const char *path, struct buf *ret_error)
{
    int version = 0, application = 0, tables = 0;
    int r = read_number(db, "PRAGMA user_version", &version);
    if (r == 0)
        r = read_number(db, "PRAGMA application_id", &application);
    if (r == 0)
        r = read_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (r < 0) {
        store_explain(db, r, path, ret_error);
        return r;
    }
    if (application != STORE_APPLICATION_ID && (application != 0 || version != 0 || tables != 0)) {
        buf_printf(ret_error,
                   "%s is not a state file of jobclone: move it away, or name another state directory", path);
        return -EBADMSG;
    }
    if (version < 0 || version > STORE_SCHEMA_VERSION) {
        buf_printf(ret_error,
                   "%s was written by a newer jobclone (its format is %d, this program knows up to %d): "
                   "run the newer program, or name another state directory",
                   path, version, STORE_SCHEMA_VERSION);
        return -EPROTO;
    }
    for (; version < STORE_SCHEMA_VERSION; version++) {
        r = apply_step(db, version);
        if (r < 0) {
            store_explain(db, r, path, ret_error);
            return r;
        }
    }
    return 0;
}
