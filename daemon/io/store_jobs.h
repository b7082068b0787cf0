/* The queue of the store: jobs are carried out one after another, in the order
 * in which they came, by one worker of the loop's thread pool; each is answered on
 * the loop thread. Writing jobs that follow each other share one transaction, and
 * so one wait for the disk, but each is all or nothing by itself. Private to the
 * store. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct store_sqlite;

struct store_job {
    struct store_job *next;
    bool write; /* `work` runs within a transaction, perhaps a second time if that fails */
    bool heap;  /* freed by the queue before it is answered */
    int (*work)(struct store_sqlite *store, void *data);
    void (*on_done)(int error, void *data);
    void *data;
    int result;
};

struct store_jobs {
    struct store_job *first, *last; /* waiting */
    struct store_job *under_way;    /* the worker's; it alone touches the connection meanwhile */
    uv_work_t work;
};

/* Queues a job, which stays the caller's memory unless `heap`. */
void store_jobs_add(struct store_sqlite *store, struct store_job *job);
