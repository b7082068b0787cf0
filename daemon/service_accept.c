/* A plan that was found good becomes a run: one commit with all its bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/ulid.h"
#include "io/plan_files.h"
#include "io/store_async.h"
#include "model/plan.h"
#include "service_parts.h"

static void take_buf(struct buf *to, struct buf *from)
{
    *to = *from;
    *from = BUF_INIT(from->max);
}

/* The bytes move over: nothing of a large plan is copied. */
static int take_files(struct store_run *run, struct plan_files *files)
{
    take_buf(&run->bytes, &files->bytes);
    run->csv = calloc(files->n_csv + 1, sizeof(*run->csv));
    if (!run->csv)
        return -ENOMEM;
    for (size_t i = 0; i < files->n_csv; i++) {
        run->csv[i].path = TAKE_PTR(files->csv[i].path);
        take_buf(&run->csv[i].bytes, &files->csv[i].bytes);
        run->n_csv++;
    }
    return 0;
}

static int make_row(struct service *service, struct plan_files *files, const struct plan *plan,
                    const struct run_offer *offer, struct store_run *ret)
{
    char id[ULID_LEN + 1];
    ulid_make(id, offer->accepted_ms, &service->host.rng);
    if (!*files->hash)
        plan_files_hash(files);
    *ret = (struct store_run){.id = strdup(id),
                              .plan = strdup(plan->name),
                              .file = strdup(files->path),
                              .server = strdup(plan->server),
                              .hash = strdup(files->hash),
                              .state = RUN_QUEUED,
                              .origin = offer->origin,
                              .owned = offer->owned,
                              .owner = offer->owner,
                              .accepted_ms = offer->accepted_ms,
                              .due_ms = offer->due_ms,
                              .drop = offer->drop,
                              .totals = {.items = (int64_t)plan->n_clones}};
    int r = take_files(ret, files);
    return r < 0 || !ret->id || !ret->plan || !ret->file || !ret->server || !ret->hash ? -ENOMEM : 0;
}

/* The bytes are in the store now, and stay there until the run begins. */
static void drop_bytes(struct store_run *row)
{
    buf_done(&row->bytes);
    for (size_t i = 0; i < row->n_csv; i++) {
        free(row->csv[i].path);
        buf_done(&row->csv[i].bytes);
    }
    free(row->csv);
    row->csv = NULL;
    row->n_csv = 0;
}

static void on_stored(int error, void *data)
{
    struct service_run *run = data;
    run->service->storing--;
    drop_bytes(&run->row);
    if (error < 0) {
        run->on_accepted(error, NULL, run->on_accepted_data);
        service_run_free(run);
        return;
    }
    struct log_fields fields = {
        .kind = LOG_KIND_RUN_ACCEPTED, .run = run->row.id, .plan = run->row.plan, .server = run->row.server};
    log_event(LOG_LEVEL_INFO, &fields, "run %s accepted: plan %s (%s) by %s, %lld clones", run->row.id,
              run->row.plan, run->row.file, run_origin_name(run->row.origin),
              (long long)run->row.totals.items);
    service_run_queue(run);
    run->on_accepted(0, run, run->on_accepted_data);
}

int service_accept(struct service *service, struct plan_files *files, const struct plan *plan,
                   const struct run_offer *offer)
{
    struct store_run row;
    int r = make_row(service, files, plan, offer, &row);
    struct service_run *run = r == 0 ? service_run_new(service, &row) : NULL;
    if (run) {
        run->place = PLACE_STORING;
        run->on_accepted = offer->on_done;
        run->on_accepted_data = offer->data;
        r = store_async_add_run(service->host.store, &run->row, on_stored, run);
        if (r < 0)
            service_run_free(run);
    } else {
        store_run_done(&row);
        r = -ENOMEM;
    }
    plan_files_done(files);
    service->storing += r == 0;
    return r;
}
