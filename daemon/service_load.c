/* Work in other threads: reading a run from the store (within the store's queue),
 * decoding its plan and writing its result (beside it), so that a plan of 200,000
 * items does not hold up the loop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "io/loop.h"
#include "io/store_async.h"
#include "model/settings.h"
#include "service_parts.h"

#define ITEMS_AT_ONCE 4096

struct load_job {
    uv_work_t work;
    struct service *service;
    struct load_wish wish;
    struct run_load load;
    struct diag diag;
    char *run_id;
    int64_t since_ms;
    bool more; /* items are still to be read */
    int error;
};

static struct load_job *load_job_free(struct load_job *job)
{
    run_load_done(&job->load);
    diag_done(&job->diag);
    free(job->run_id);
    free(job);
    return NULL;
}

static void load_job_done(struct load_job *job)
{
    job->service->jobs--;
    job->wish.on_done(job->error, &job->load, &job->diag, job->wish.data);
    load_job_free(job);
}

/* ---- in the store's queue ---- */

/* In pieces: what other runs have to write waits for one of them, not for 200,000 items. */
static int read_stored(struct store_sqlite *store, void *data)
{
    struct load_job *job = data;
    int r = job->load.run.id ? 0 : run_load_row(&job->load, store, job->run_id);
    if (r == 0)
        r = run_load_some_items(&job->load, store, ITEMS_AT_ONCE, &job->more);
    if (r == 0 && !job->more && job->wish.held)
        r = run_load_held(&job->load, store, job->since_ms);
    return r;
}

/* ---- beside it ---- */

static bool wants_plan(const struct load_job *job)
{
    const struct run_load *load = &job->load;
    switch (job->wish.plan) {
    case LOAD_NO_PLAN:
        return false;
    case LOAD_PLAN:
        return true;
    case LOAD_PLAN_IF_UNFINISHED:
        return load->n_items == 0 || (int64_t)load->n_items < load->run.totals.items;
    }
    return true;
}

static void on_work(uv_work_t *work)
{
    struct load_job *job = work->data;
    if (wants_plan(job))
        job->error = run_load_plan(&job->load, &job->diag);
    if (job->error == 0 && job->wish.work)
        job->error = job->wish.work(&job->load, job->wish.data);
}

static void on_worked(uv_work_t *work, int status)
{
    struct load_job *job = work->data;
    if (status < 0)
        job->error = status;
    load_job_done(job);
}

static void on_read(int error, void *data)
{
    struct load_job *job = data;
    if (error == 0 && job->more) {
        error = store_async_read(job->service->host.store, read_stored, on_read, job);
        if (error == 0)
            return;
    }
    bool work = error == 0 && (wants_plan(job) || job->wish.work);
    job->error = work ? uv_queue_work(&job->service->host.loop, &job->work, on_work, on_worked) : error;
    if (!work || job->error < 0)
        load_job_done(job);
}

int service_load(struct service *service, const char *run_id, const struct load_wish *wish)
{
    struct load_job *job = calloc(1, sizeof(*job));
    if (!job)
        return -ENOMEM;
    const struct server_settings *server =
        wish->server ? settings_server(service->settings, wish->server) : NULL;
    *job = (struct load_job){.service = service, .wish = *wish, .diag = DIAG_INIT};
    job->work.data = job;
    job->since_ms = loop_now().wall_ms - (server ? (int64_t)server->settle_ms : 0);
    job->run_id = strdup(run_id);
    if (!job->run_id || run_load_init(&job->load) < 0 ||
        store_async_read(service->host.store, read_stored, on_read, job) < 0) {
        load_job_free(job);
        return -ENOMEM;
    }
    service->jobs++;
    return 0;
}

/* ---- any work ---- */

struct work_job {
    uv_work_t work;
    struct service *service;
    void (*fn)(void *data);
    void (*on_done)(void *data);
    void *data;
};

static void on_any_work(uv_work_t *work)
{
    struct work_job *job = work->data;
    job->fn(job->data);
}

static void on_any_worked(uv_work_t *work, int status)
{
    struct work_job *job = work->data;
    (void)status; /* never cancelled */
    job->service->jobs--;
    job->on_done(job->data);
    free(job);
}

int service_work(struct service *service, void (*work)(void *data), void (*on_done)(void *data), void *data)
{
    struct work_job *job = malloc(sizeof(*job));
    if (!job)
        return -ENOMEM;
    *job = (struct work_job){.service = service, .fn = work, .on_done = on_done, .data = data};
    job->work.data = job;
    if (uv_queue_work(&service->host.loop, &job->work, on_any_work, on_any_worked) < 0) {
        free(job);
        return -ENOMEM;
    }
    service->jobs++;
    return 0;
}
