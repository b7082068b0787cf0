/* What the files of the store share. Private to the store. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "engine/store.h"

struct store_sqlite {
    struct store port; /* first: the port is the store */
    uv_loop_t *loop;
    sqlite3 *db;
    int lock; /* held as long as the store is open */
    sqlite3_stmt *put_item, *put_history, *put_run;
    /* the batch under way; the worker touches it and the connection, nobody else does meanwhile */
    bool busy;
    uv_work_t work;
    const struct store_change *changes;
    size_t n_changes;
    int result;
    void (*on_done)(int error, void *data);
    void *data;
};

/* Begins a transaction. */
int store_begin(struct store_sqlite *store);

/* Ends it: commits when `error` is 0, else takes everything back and forwards
 * the error. However it went, no transaction is open afterwards. */
int store_end(struct store_sqlite *store, int error);
