/* A change of an item: its row, and a row of the history. Both are found without
 * asking, since the run's number is kept from one change to the next. */
#include <errno.h>
#include <string.h>

#include "io/store_internal.h"
#include "io/store_rows.h"
#include "model/item.h"

static int read_known(struct store_sqlite *store, const char *run_id, struct store_known_run *ret)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db,
                          "SELECT seq, coalesce((SELECT max(h.seq) FROM history h WHERE h.run = runs.seq), 0)"
                          " FROM runs WHERE id = ?1",
                          &stmt);
    if (r == 0)
        r = store_bind_text(stmt, 1, run_id);
    if (r == 0) {
        int rc = sqlite3_step(stmt);
        r = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -ENOENT : store_errno(store->db, rc);
    }
    if (r == 0) {
        strncpy(ret->id, run_id, sizeof(ret->id) - 1);
        ret->seq = sqlite3_column_int64(stmt, 0);
        ret->history = sqlite3_column_int64(stmt, 1);
    }
    sqlite3_finalize(stmt);
    return r;
}

/* A batch that is taken back leaves gaps in the count of transitions, which harm nobody. */
static int known_run(struct store_sqlite *store, const char *run_id, struct store_known_run **ret)
{
    for (size_t i = 0; i < STORE_KNOWN_RUNS; i++) {
        if (store->known[i].seq && strcmp(store->known[i].id, run_id) == 0) {
            *ret = &store->known[i];
            return 0;
        }
    }
    struct store_known_run run = {0};
    int r = read_known(store, run_id, &run);
    if (r < 0)
        return r;
    *ret = &store->known[store->known_next++ % STORE_KNOWN_RUNS];
    **ret = run;
    return 0;
}

/* The last batch failed, and may be on disk all the same; this is likely the same one again. */
static int read_state(struct store_sqlite *store, sqlite3_int64 run, uint32_t index, int *ret)
{
    sqlite3_stmt *stmt = NULL;
    int r = store_prepare(store->db, "SELECT state FROM items WHERE run = ?1 AND idx = ?2", &stmt);
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 1, run));
    if (r == 0)
        r = store_errno(store->db, sqlite3_bind_int64(stmt, 2, index));
    if (r == 0) {
        int rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            *ret = sqlite3_column_int(stmt, 0);
        r = store_errno(store->db, rc);
    }
    sqlite3_finalize(stmt);
    return r;
}

static int write_step(struct store_sqlite *store, sqlite3_int64 run, const struct item *item)
{
    int r = store_bind_step(store->put_step, run, item);
    if (r == 0)
        r = store_run(store->db, store->put_step);
    return r == 0 && sqlite3_changes(store->db) == 0 ? -ENOENT : r;
}

int store_write_item(struct store_sqlite *store, const struct store_change *change, int64_t wall_ms)
{
    const struct item *item = change->item;
    struct store_known_run *run;
    int from = change->from, r = known_run(store, change->run_id, &run);
    if (r == 0 && store->suspect)
        r = read_state(store, run->seq, item->index, &from);
    if (r == 0 && from != (int)item->state) {
        r = store_bind_history(store->put_history, run->seq, ++run->history, from, item, wall_ms);
        if (r == 0)
            r = store_run(store->db, store->put_history);
    }
    if (r < 0)
        return r;
    /* what QUEUED has been bound to may have changed since it was written, if it was */
    if (change->from != ITEM_QUEUED) {
        r = write_step(store, run->seq, item);
        if (r != -ENOENT)
            return r;
    }
    r = store_bind_item(store->put_item, run->seq, item);
    return r < 0 ? r : store_run(store->db, store->put_item);
}
