/* A plan that was found good becomes a run: one commit with all its bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "io/plan_files.h"
#include "io/store_async.h"
#include "service_parts.h"

static struct buf give_buf(struct buf *from, bool lent)
{
    struct buf given = *from;
    if (!lent)
        *from = BUF_INIT(from->max);
    return given;
}

/* The bytes move over, or are lent: nothing of a large plan is copied. */
static int take_files(struct store_run *run, struct plan_files *files, bool lent)
{
    run->bytes = give_buf(&files->bytes, lent);
    run->csv = calloc(files->n_csv + 1, sizeof(*run->csv));
    if (!run->csv)
        return -ENOMEM;
    for (size_t i = 0; i < files->n_csv; i++) {
        run->csv[i].path = files->csv[i].path;
        if (!lent)
            files->csv[i].path = NULL;
        run->csv[i].bytes = give_buf(&files->csv[i].bytes, lent);
        run->n_csv++;
    }
    return 0;
}

/* The bytes are in the store now, and stay there until the run begins. */
static void drop_bytes(struct store_run *row, bool lent)
{
    for (size_t i = 0; i < row->n_csv && !lent; i++) {
        free(row->csv[i].path);
        buf_done(&row->csv[i].bytes);
    }
    if (!lent)
        buf_done(&row->bytes);
    row->bytes = BUF_INIT(0);
    free(row->csv);
    row->csv = NULL;
    row->n_csv = 0;
}

static int make_row(struct service *service, struct plan_files *files, const struct run_offer *offer,
                    struct store_run *ret)
{
    char id[ULID_LEN + 1];
    ulid_make(id, offer->accepted_ms, &service->host.rng);
    *ret = (struct store_run){.id = strdup(id),
                              .plan = strdup(offer->plan),
                              .file = strdup(offer->file),
                              .server = strdup(offer->server),
                              .hash = strdup(files->hash),
                              .state = RUN_QUEUED,
                              .origin = offer->origin,
                              .owned = offer->owned,
                              .owner = offer->owner,
                              .accepted_ms = offer->accepted_ms,
                              .due_ms = offer->due_ms,
                              .drop = offer->drop,
                              .totals = {.items = (int64_t)offer->n_items}};
    int r = take_files(ret, files, offer->lent);
    return r < 0 || !ret->id || !ret->plan || !ret->file || !ret->server || !ret->hash ? -ENOMEM : 0;
}

static void on_stored(int error, void *data)
{
    struct service_run *run = data;
    run->service->storing--;
    drop_bytes(&run->row, run->lent);
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
    if (run->row.origin == RUN_FROM_SPOOL)
        service_run_file(run);
    else
        service_run_queue(run);
    run->on_accepted(0, run, run->on_accepted_data);
}

int service_accept(struct service *service, struct plan_files *files, const struct run_offer *offer,
                   char ret_run_id[ULID_LEN + 1])
{
    struct store_run row;
    if (!*files->hash)
        plan_files_hash(files);
    int r = make_row(service, files, offer, &row);
    struct service_run *run = r == 0 ? service_run_new(service, &row) : NULL;
    if (!run) {
        drop_bytes(&row, offer->lent);
        store_run_done(&row);
        return -ENOMEM;
    }
    run->place = PLACE_STORING;
    run->lent = offer->lent;
    run->on_accepted = offer->on_done;
    run->on_accepted_data = offer->data;
    memcpy(ret_run_id, run->row.id, ULID_LEN + 1);
    r = store_async_add_run(service->host.store, &run->row, on_stored, run);
    if (r == 0) {
        service->storing++;
    } else {
        drop_bytes(&run->row, run->lent);
        service_run_free(run);
    }
    return r;
}
