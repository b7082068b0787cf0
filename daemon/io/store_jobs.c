/* Happy path: the loop thread lends all waiting jobs to a worker, which writes
 * neighbours in one transaction, and tells each on the loop thread. When that
 * transaction fails, each of its jobs is tried in one of its own, so that a job
 * that does not fit on the disk takes no other with it. */
#include "io/store_jobs.h"

#include <errno.h>
#include <stdlib.h>

#include "io/store_internal.h"
#include "io/store_rows.h"

static void jobs_start(struct store_sqlite *store);

/* Within the transaction of several: its own failure takes back its own changes.
 * Negative when the transaction is lost. */
static int work_saved(struct store_sqlite *store, struct store_job *job)
{
    int r = store_exec(store->db, "SAVEPOINT job");
    if (r < 0)
        return r;
    job->result = job->work(store, job->data);
    if (sqlite3_get_autocommit(store->db)) /* SQLite took everything back */
        return job->result < 0 ? job->result : -EIO;
    if (job->result < 0)
        r = store_exec(store->db, "ROLLBACK TO job");
    return r < 0 ? r : store_exec(store->db, "RELEASE job");
}

static void work_alone(struct store_sqlite *store, struct store_job *job)
{
    int r = store_begin(store);
    if (r == 0)
        r = job->work(store, job->data);
    job->result = store_end(store, r);
}

static void work_together(struct store_sqlite *store, struct store_job *first, const struct store_job *end)
{
    int r = store_begin(store);
    for (struct store_job *job = first; job != end && r == 0; job = job->next)
        r = work_saved(store, job);
    if (store_end(store, r) == 0)
        return;
    for (struct store_job *job = first; job != end; job = job->next)
        work_alone(store, job);
}

static void on_work(uv_work_t *work)
{
    struct store_sqlite *store = work->data;
    struct store_job *job = store->jobs.under_way;
    while (job != NULL) {
        struct store_job *end = job->next;
        while (job->write && end != NULL && end->write)
            end = end->next;
        if (!job->write)
            job->result = job->work(store, job->data);
        else if (job->next == end)
            work_alone(store, job);
        else
            work_together(store, job, end);
        job = end;
    }
}

static void on_worked(uv_work_t *work, int status)
{
    struct store_sqlite *store = work->data;
    struct store_job *job = store->jobs.under_way;
    store->jobs.under_way = NULL;
    while (job != NULL) {
        struct store_job told = *job, *next = job->next;
        if (told.heap)
            free(job);
        told.on_done(status < 0 ? status : told.result, told.data); /* may queue the next one */
        job = next;
    }
    jobs_start(store);
}

static void jobs_start(struct store_sqlite *store)
{
    struct store_jobs *jobs = &store->jobs;
    if (jobs->under_way != NULL || jobs->first == NULL)
        return;
    jobs->under_way = jobs->first;
    jobs->first = jobs->last = NULL;
    jobs->work.data = store;
    if (uv_queue_work(store->loop, &jobs->work, on_work, on_worked) < 0)
        abort(); /* it fails only without a function */
}

void store_jobs_add(struct store_sqlite *store, struct store_job *job)
{
    struct store_jobs *jobs = &store->jobs;
    job->next = NULL;
    if (jobs->last != NULL)
        jobs->last->next = job;
    else
        jobs->first = job;
    jobs->last = job;
    jobs_start(store);
}
