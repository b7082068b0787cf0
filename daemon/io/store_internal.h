/* What the files of the store share. Private to the store. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "engine/store.h"
#include "io/store_jobs.h"

/* What is known of a run that items are written of. */
struct store_known_run {
    char id[32];
    sqlite3_int64 seq;     /* 0: nothing is known here */
    sqlite3_int64 history; /* seq of its last transition */
};

#define STORE_KNOWN_RUNS 8

struct store_sqlite {
    struct store port; /* first: the port is the store */
    uv_loop_t *loop;
    sqlite3 *db;
    int lock; /* held as long as the store is open */
    sqlite3_stmt *put_item, *put_step, *put_history, *put_run, *put_totals, *put_due_state, *insert_run,
        *insert_file, *put_filed;
    struct store_known_run known[STORE_KNOWN_RUNS]; /* of the worker */
    unsigned known_next;
    struct store_jobs jobs;
    /* the engine's batch under way */
    bool committing;
    bool suspect; /* the batch before failed */
    struct store_job commit_job;
    const struct store_change *changes;
    size_t n_changes;
    void (*on_done)(int error, void *data);
    void *data;
};

struct arena;
struct store_run;

/* Begins a transaction. */
int store_begin(struct store_sqlite *store);

/* Ends it: commits when `error` is 0, else takes everything back and forwards
 * the error. However it went, no transaction is open afterwards. */
int store_end(struct store_sqlite *store, int error);

/* Parts of a transaction that is open. */
extern const char store_run_sql[], store_totals_sql[], store_due_state_sql[], store_insert_run_sql[],
    store_insert_file_sql[], store_filed_sql[];
int store_write_item(struct store_sqlite *store, const struct store_change *change, int64_t wall_ms);
int store_insert_run(struct store_sqlite *store, const struct store_run *run);
int store_write_run(struct store_sqlite *store, const char *run_id, enum run_state state, enum run_wish wish,
                    int64_t started_ms, int64_t finished_ms);

/* One due time of a schedule: -EEXIST when it has been seen. `run_id` NULL: it was left out. */
int store_insert_due(struct store_sqlite *store, const char *plan, int64_t due_ms, const char *run_id);
int store_update_filed(struct store_sqlite *store, const char *run_id, const char *filed);

/* One piece of forgetting; *ret_more when another is needed. */
int store_prune_some(struct store_sqlite *store, int64_t before_ms, bool *ret_more);
