/* The result of a run as JSON (product contract 7), streamed: nothing of it is
 * held but one item at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct item;

/* A run as its result and its report tell of it. Borrowed for the call. */
struct result_run {
    const char *run; /* id */
    const char *plan, *file, *server;
    const char *state;               /* run_state_name */
    int64_t started_ms, finished_ms; /* wall time; 0: null */
    const char *window_opens;        /* report only: "22:00 CEST" while it waits for its window; or NULL */
    bool once;                       /* report only: it is carried out by jobcloned --once */
};

/* The items, asked for by index from 0 to n - 1, in order, several times over;
 * a pointer is good until the next call. NULL: cannot be read. */
struct result_items {
    size_t n;
    const struct item *(*item)(size_t index, void *user);
    void *user;
};

/* Where the bytes go: 0, or a negative errno that ends the writing. */
struct result_sink {
    int (*write)(const char *data, size_t len, void *user);
    void *user;
};

struct result_totals {
    size_t items, succeeded, skipped, failed, cancelled, unknown;
    size_t open; /* not final: pending or running */
};

/* Counts the items by their words in results. 0, or -EIO when one cannot be read. */
int result_totals_count(const struct result_items *items, struct result_totals *ret);

/* Writes the whole result, one item a line, with a newline at the end. 0; -EIO
 * when an item cannot be read; -ENOMEM; or what the sink said. Bytes that are
 * not UTF-8 become U+FFFD; control characters are escaped. */
int result_json_write(const struct result_run *run, const struct result_items *items,
                      const struct result_sink *sink);
