/* Plans over the control socket: submitted, or shown what would become of them.
 * They are decoded in another thread with the settings of that moment. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/ulid.h"
#include "engine/engine.h"
#include "io/control.h"
#include "io/loop.h"
#include "io/plan_files.h"
#include "model/plan.h"
#include "service_control_parts.h"

struct submit_job {
    struct service *service;
    struct control_request *request;
    struct plan_files *files;
    const struct settings *settings; /* kept until the job is done (service_servers_turn) */
    bool preview;
    int64_t accepted_ms;
    struct plan *plan;
    struct diag diag;
    int error;
};

struct preview {
    struct preview *next;
    struct service *service;
    struct control_request *request;
    char id[ULID_LEN + 1]; /* by which the engine knows it */
    char *plan, *file, *server;
};

static void submit_free(struct submit_job *job)
{
    plan_files_done(job->files);
    free(job->files);
    plan_free(job->plan);
    diag_done(&job->diag);
    free(job);
}

static void on_accepted(int error, struct service_run *run, void *data)
{
    service_reply_accepted(data, error, run);
}

static void submit_accept(struct submit_job *job)
{
    char id[ULID_LEN + 1];
    struct run_offer offer = {.origin = RUN_FROM_CONTROL,
                              .plan = job->plan->name,
                              .server = job->plan->server,
                              .file = job->files->path,
                              .n_items = job->plan->n_clones,
                              .owned = true,
                              .owner = control_request_uid(job->request),
                              .accepted_ms = job->accepted_ms,
                              .on_done = on_accepted,
                              .data = job->request};
    int r = service_accept(job->service, job->files, &offer, id);
    if (r < 0)
        service_reply_accepted(job->request, r, NULL);
}

/* ---- previews ---- */

static void preview_free(struct preview *preview)
{
    free(preview->plan);
    free(preview->file);
    free(preview->server);
    free(preview);
}

static int preview_begin(struct submit_job *job)
{
    struct service *service = job->service;
    if (!host_find_server(&service->host, job->plan->server))
        return -EBUSY; /* what there is of that name is the server as it was */
    struct preview *preview = calloc(1, sizeof(*preview));
    if (!preview)
        return -ENOMEM;
    *preview = (struct preview){.service = service,
                                .request = job->request,
                                .plan = strdup(job->plan->name),
                                .file = strdup(job->files->path),
                                .server = strdup(job->plan->server)};
    ulid_make(preview->id, job->accepted_ms, &service->host.rng);
    struct engine_run_options options = {
        .id = preview->id, .plan = TAKE_PTR(job->plan), .mode = ENGINE_PREVIEW};
    int r = engine_add_run(service->host.engine, &options, loop_now());
    if (r == 0 && (!preview->plan || !preview->file || !preview->server))
        r = engine_remove_run(service->host.engine, preview->id), r = -ENOMEM;
    if (r < 0) {
        preview_free(preview);
        return r;
    }
    preview->next = service->previews;
    service->previews = preview;
    uv_async_send(&service->host.wake);
    return 0;
}

static const char *preview_action(const struct item *item)
{
    if (item->state == ITEM_QUEUED)
        return "create";
    if (item->state == ITEM_SKIPPED || item->state == ITEM_SUCCEEDED)
        return "skip";
    return item->error == ITEM_E_NAME_CONFLICT || item->error == ITEM_E_NAME_IN_DOUBT ? "conflict" : "error";
}

static int preview_item(size_t index, struct control_preview_item *ret, void *data)
{
    const struct preview *preview = data;
    const struct item *item = engine_run_item(preview->service->host.engine, preview->id, index);
    if (!item)
        return -EIO;
    bool bad = item->error != ITEM_OK;
    *ret = (struct control_preview_item){.index = item->index,
                                         .action = preview_action(item),
                                         .name = item->name,
                                         .kind = item->kind != JOB_KIND_UNKNOWN ? job_kind_name(item->kind)
                                                                                : NULL,
                                         .source = item->source_name,
                                         .source_id = item->source_id,
                                         .repository_uid = item->repository_uid,
                                         .backup_server = item->server_name,
                                         .job_uid = item->job_uid,
                                         .code = bad ? item_error_name(item->error) : NULL,
                                         .message = bad ? item->message : NULL};
    return 0;
}

static bool preview_answer(struct preview *preview)
{
    struct engine *engine = preview->service->host.engine;
    struct run_status status = engine_run_status(engine, preview->id);
    struct server_status server = engine_server_status(engine, preview->server);
    static const enum control_error errors[] = {[SERVER_UNREACHABLE] = CONTROL_E_SERVER,
                                                [SERVER_TLS] = CONTROL_E_TLS,
                                                [SERVER_CREDENTIALS] = CONTROL_E_CREDENTIALS,
                                                [SERVER_WRONG] = CONTROL_E_SERVER};
    const char *trouble = service_server_trouble(preview->service, preview->server);
    if (!status.over && (server.trouble == SERVER_FINE || !trouble))
        return false;
    if (!status.over) {
        control_reply_error(preview->request, errors[server.trouble], "%s", trouble);
        return true;
    }
    struct control_preview view = {.plan = preview->plan,
                                   .file = preview->file,
                                   .server = preview->server,
                                   .n_items = status.n_items,
                                   .item = preview_item,
                                   .data = preview};
    control_reply_preview(preview->request, &view);
    return true;
}

void service_previews_turn(struct service *service)
{
    struct preview **at = &service->previews;
    while (*at) {
        struct preview *preview = *at;
        if (!preview_answer(preview)) {
            at = &preview->next;
            continue;
        }
        *at = preview->next;
        engine_remove_run(service->host.engine, preview->id);
        preview_free(preview);
    }
}

void service_previews_stop(struct service *service)
{
    while (service->previews) {
        struct preview *preview = service->previews;
        service->previews = preview->next;
        control_reply_error(preview->request, CONTROL_E_STOPPING,
                            "the daemon is about to end; try again when it is back");
        engine_remove_run(service->host.engine, preview->id);
        preview_free(preview);
    }
}

/* ---- decoding ---- */

static void on_work(void *data)
{
    struct submit_job *job = data;
    job->error =
        plan_files_decode(job->files, job->settings, false, job->accepted_ms, &job->plan, &job->diag);
}

static void preview_or_say(struct submit_job *job)
{
    int r = preview_begin(job);
    if (r == -EBUSY)
        control_reply_error(job->request, CONTROL_E_STATE,
                            "server %s has changed, and runs are under way on it as it was; try again when "
                            "they have ended",
                            job->plan->server);
    else if (r < 0)
        control_reply_error(job->request, CONTROL_E_INTERNAL, "the preview cannot begin; try again");
}

static void on_worked(void *data)
{
    struct submit_job *job = data;
    if (job->error == -EINVAL)
        control_reply_error(job->request, CONTROL_E_INVALID_PLAN, "%s", buf_str(&job->diag.text));
    else if (job->error < 0)
        service_reply_accepted(job->request, job->error, NULL);
    else if (job->service->stopping)
        control_reply_error(job->request, CONTROL_E_STOPPING,
                            "the daemon is about to end; try again when it is back");
    else if (job->preview)
        preview_or_say(job);
    else
        submit_accept(job);
    submit_free(job);
}

static void submit(struct service *service, struct control_request *request, struct plan_files *files,
                   bool preview)
{
    struct submit_job *job = calloc(1, sizeof(*job));
    if (!job) {
        plan_files_done(files);
        free(files);
        control_reply_error(request, CONTROL_E_INTERNAL, "out of memory; try again");
        return;
    }
    *job = (struct submit_job){.service = service,
                               .request = request,
                               .files = files,
                               .settings = service->settings,
                               .preview = preview,
                               .accepted_ms = loop_now().wall_ms,
                               .diag = DIAG_INIT};
    if (service_work(service, on_work, on_worked, job) == 0)
        return;
    submit_free(job);
    control_reply_error(request, CONTROL_E_INTERNAL, "out of memory; try again");
}

void service_op_submit(struct control_request *request, struct plan_files *files, void *data)
{
    submit(data, request, files, false);
}

void service_op_preview(struct control_request *request, struct plan_files *files, void *data)
{
    submit(data, request, files, true);
}
