/* The spool's table of functions: a dropped plan becomes a run, which may start
 * once its copy lies in accepted/; at its end it is filed with its result. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "io/plan_files.h"
#include "io/spool.h"
#include "io/store_async.h"
#include "model/settings.h"
#include "service_parts.h"

/* ---- what the spool asks for ---- */

struct answer {
    struct service *service;
    spool_on_done *on_done;
    void *data;
    char *run_id, *filed; /* of a filing */
};

static struct answer *answer_new(struct service *service, spool_on_done *on_done, void *data)
{
    struct answer *answer = calloc(1, sizeof(*answer));
    if (answer)
        *answer = (struct answer){.service = service, .on_done = on_done, .data = data};
    return answer;
}

static void answer_give(struct answer *answer, int error)
{
    answer->on_done(error, answer->data);
    free(answer->run_id);
    free(answer->filed);
    free(answer);
}

static void on_accepted(int error, struct service_run *run, void *data)
{
    (void)run;
    answer_give(data, error);
}

static void op_accept(const struct spool_drop *drop, char ret_run_id[ULID_LEN + 1], spool_on_done *on_done,
                      void *data, void *user)
{
    struct service *service = user;
    struct answer *answer = answer_new(service, on_done, data);
    const struct spool_identity *id = &drop->identity;
    struct run_offer offer = {.origin = RUN_FROM_SPOOL,
                              .plan = drop->plan,
                              .server = drop->server,
                              .file = drop->file,
                              .n_items = drop->n_items,
                              .lent = true,
                              .owned = true,
                              .owner = drop->owner,
                              .accepted_ms = drop->accepted_ms,
                              .drop = {id->dev, id->inode, id->size, id->mtime_ns},
                              .on_done = on_accepted,
                              .data = answer};
    struct plan_files lent = *drop->files;
    int r = answer ? service_accept(service, &lent, &offer, ret_run_id) : -ENOMEM;
    if (r < 0) {
        free(answer);
        on_done(r, data);
    }
}

static void on_filed(int error, void *data)
{
    struct answer *answer = data;
    struct service_run *run = service_find_run(answer->service, answer->run_id);
    if (error == 0 && run && run->place == PLACE_FILING) {
        free(run->row.filed);
        run->row.filed = TAKE_PTR(answer->filed);
        service_run_filed(run);
    }
    answer_give(answer, error);
}

static void op_file(const char *run_id, const char *filed, spool_on_done *on_done, void *data, void *user)
{
    struct service *service = user;
    struct answer *answer = answer_new(service, on_done, data);
    if (answer) {
        answer->run_id = strdup(run_id);
        answer->filed = strdup(filed);
    }
    int r = answer && answer->run_id && answer->filed
                ? store_async_set_filed(service->host.store, run_id, filed, on_filed, answer)
                : -ENOMEM;
    if (r == 0)
        return;
    if (answer)
        answer_give(answer, r);
    else
        on_done(r, data);
}

static void op_ready(void *user)
{
    struct service *service = user;
    service->spool_ready = true;
    uv_async_send(&service->host.wake);
}

/* ---- open runs of an earlier process ---- */

int service_spool_know(struct service *service, const struct store_run *row)
{
    struct store_run whole = {0};
    const struct store_drop *drop = &row->drop;
    struct spool_known known = {.run_id = row->id,
                                .file = row->file,
                                .filed = row->filed,
                                .identity = {drop->dev, drop->inode, drop->size, drop->mtime_ns}};
    int r = row->filed ? 0 : store_sqlite_load_run(service->host.store, row->id, &whole);
    known.bytes = &whole.bytes;
    if (r == 0)
        r = spool_know(service->spool, &known);
    store_run_done(&whole);
    return r;
}

/* ---- life ---- */

static const struct spool_ops spool_ops = {.accept = op_accept, .file = op_file, .ready = op_ready};

int service_spool_open(struct service *service, struct buf *ret_error)
{
    int r = spool_new(&service->host.loop, service->boot, &spool_ops, service, &service->spool, ret_error);
    service->spool_open = r == 0;
    return r;
}

void service_spool_start(struct service *service)
{
    spool_start(service->spool);
}

/* Servers and limits act at once; the folder and who may use it need a restart. */
void service_spool_reloaded(struct service *service)
{
    struct settings mixed = *service->settings;
    mixed.spool_directory = service->boot->spool_directory;
    mixed.allow = service->boot->allow;
    mixed.n_allow = service->boot->n_allow;
    mixed.allow_given = service->boot->allow_given;
    if (service->spool && spool_set_settings(service->spool, &mixed) < 0)
        log_error("the spool keeps the old servers and limits: out of memory; reload again");
}

static void on_closed(void *data)
{
    struct service *service = data;
    service->spool_open = false;
    uv_async_send(&service->host.wake);
}

void service_spool_close(struct service *service)
{
    struct spool *spool = TAKE_PTR(service->spool);
    if (spool)
        spool_close(spool, on_closed, service);
}

void service_spool_release(struct service *service, const char *filed)
{
    if (service->spool && filed)
        spool_release(service->spool, filed);
}
