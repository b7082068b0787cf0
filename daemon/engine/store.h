/* Port: the durable state as the engine sees it. Implemented by io/store_sqlite
 * and by the simulation. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct item;

enum run_state { RUN_QUEUED, RUN_RUNNING, RUN_PAUSED, RUN_SUCCEEDED, RUN_FAILED, RUN_CANCELLED };

const char *run_state_name(enum run_state state);

/* What the operator wants of a run beside its state: durable, so that a restart changes nothing. */
enum run_wish {
    RUN_WISH_NONE,
    RUN_WISH_PAUSE,        /* its state is RUN_PAUSED */
    RUN_WISH_CANCEL,       /* what has not left is cancelled, the rest is awaited and settled */
    RUN_WISH_CANCEL_TASKS, /* the same, and unfinished tasks are deleted */
};

/* One changed row. Pointers are borrowed until on_done. */
struct store_change {
    const char *run_id;
    const struct item *item; /* the item's new value, or NULL: the run itself changed */
    int from;                /* the state that is stored of it: an enum item_state */
    /* when item is NULL */
    enum run_state run_state;
    enum run_wish run_wish;
    int64_t started_ms;  /* wall time from which timeouts.run counts; 0: as it is stored */
    int64_t finished_ms; /* wall time; 0: not ended */
    const size_t *count; /* items by state (ITEM_STATE_COUNT numbers) */
};

struct store {
    /* Writes all changes in one transaction, durably, one batch at a time; calls on_done once, never before
     * it returns: 0, or a negative errno, after which the batch may be on disk all the same. */
    void (*commit)(struct store *store, const struct store_change *changes, size_t n,
                   void (*on_done)(int error, void *data), void *data);
};
