/* Forgetting what is old, in pieces that keep nobody waiting. */
#include <errno.h>

#include "base/cleanup.h"
#include "io/store_internal.h"
#include "io/store_rows.h"
#include "io/store_sqlite.h"

/* Rows of one table that go in one piece. */
#define PIECE "5000"

#define OLD_RUN "state IN (3, 4, 5) AND finished_ms > 0 AND finished_ms < ?1"

/* In this order; each is repeated until it finds nothing. Runs go last, when what refers to them is gone,
 * so that none takes 200,000 rows with it at once. */
static const char *const pieces[] = {
    /* of each run in the order in which they were written, so that the look ends at the first young enough */
    "DELETE FROM history WHERE (run, seq) IN (SELECT h.run, h.seq FROM runs r JOIN history h ON h.run = r.seq"
    " WHERE h.seq < coalesce((SELECT min(k.seq) FROM history k WHERE k.run = r.seq AND k.wall_ms >= ?1),"
    " 9223372036854775807) LIMIT " PIECE ")",
    "DELETE FROM history WHERE (run, seq) IN (SELECT run, seq FROM history"
    " WHERE run IN (SELECT seq FROM runs WHERE " OLD_RUN ") LIMIT " PIECE ")",
    "DELETE FROM items WHERE (run, idx) IN (SELECT run, idx FROM items"
    " WHERE run IN (SELECT seq FROM runs WHERE " OLD_RUN ") LIMIT " PIECE ")",
    "DELETE FROM runs WHERE seq IN (SELECT seq FROM runs WHERE " OLD_RUN " LIMIT 100)",
    "DELETE FROM schedules WHERE due_ms < ?1"
    " AND due_ms < (SELECT max(s.due_ms) FROM schedules s WHERE s.plan = schedules.plan)",
};

static int run_piece(struct store_sqlite *store, const char *sql, int64_t before_ms)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db, sql, &stmt);
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 1, before_ms));
    if (r == 0)
        r = store_run(store->db, stmt);
    sqlite3_finalize(stmt);
    return r;
}

int store_prune_some(struct store_sqlite *store, int64_t before_ms, bool *ret_more)
{
    *ret_more = false;
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        int r = run_piece(store, pieces[i], before_ms);
        if (r < 0)
            return r;
        if (sqlite3_changes(store->db) > 0) {
            *ret_more = true;
            return 0;
        }
    }
    return 0;
}

int store_sqlite_prune(struct store_sqlite *store, int64_t before_ms)
{
    bool more = true;
    int r = 0;
    while (r == 0 && more) {
        r = store_begin(store);
        if (r == 0)
            r = store_prune_some(store, before_ms, &more);
        r = store_end(store, r);
    }
    return r;
}
