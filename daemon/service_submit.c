/* Plans over the control socket: submitted, or shown what would become of them.
 * They are decoded in another thread with the settings of that moment; for a preview
 * the store then tells what names runs hold that are not in the engine. */
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
#include "io/store_async.h"
#include "model/plan.h"
#include "model/settings.h"
#include "run_load.h"
#include "service_control_parts.h"

struct submit_job {
    struct service *service;
    struct control_request *request;
    struct plan_files *files;
    const struct settings *settings; /* kept until the job is done (service_servers_turn) */
    bool preview;
    int64_t accepted_ms;
    struct plan *plan;
    struct run_load load; /* of a preview: its id, its server, held names */
    int64_t since_ms;     /* which are older no more */
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
    run_load_done(&job->load);
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
    if (!host_find_server(&service->host, job->load.run.server))
        return -EBUSY; /* what there is of that name is the server as it was */
    struct preview *preview = calloc(1, sizeof(*preview));
    if (!preview)
        return -ENOMEM;
    *preview = (struct preview){.service = service,
                                .request = job->request,
                                .plan = strdup(job->plan->name),
                                .file = strdup(job->files->path),
                                .server = strdup(job->plan->server)};
    memcpy(preview->id, job->load.run.id, sizeof(preview->id));
    job->load.plan = TAKE_PTR(job->plan);
    int r = run_load_add(&job->load, service->host.engine, ENGINE_PREVIEW, false, loop_now());
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
                            job->load.run.server);
    else if (r < 0)
        control_reply_error(job->request, CONTROL_E_INTERNAL, "the preview cannot begin; try again");
}

static int read_held(struct store_sqlite *store, void *data)
{
    struct submit_job *job = data;
    return run_load_held(&job->load, store, job->since_ms);
}

static void say_stopping(const struct submit_job *job)
{
    control_reply_error(job->request, CONTROL_E_STOPPING,
                        "the daemon is about to end; try again when it is back");
}

static void on_held(int error, void *data)
{
    struct submit_job *job = data;
    job->service->jobs--;
    if (job->service->stopping)
        say_stopping(job);
    else if (error < 0)
        control_reply_error(job->request, CONTROL_E_INTERNAL, "the state cannot be read: %s; try again",
                            strerror(-error));
    else
        preview_or_say(job);
    submit_free(job);
}

/* Takes the job over; negative when it cannot. */
static int preview_read(struct submit_job *job)
{
    struct service *service = job->service;
    const struct server_settings *server = settings_server(job->settings, job->plan->server);
    int r = run_load_init(&job->load);
    job->load.run.id = malloc(ULID_LEN + 1);
    job->load.run.server = strdup(job->plan->server);
    if (r < 0 || !job->load.run.id || !job->load.run.server)
        return -ENOMEM;
    ulid_make(job->load.run.id, job->accepted_ms, &service->host.rng);
    job->since_ms = job->accepted_ms - (server ? (int64_t)server->settle_ms : 0);
    r = store_async_read(service->host.store, read_held, on_held, job);
    service->jobs += r == 0;
    return r;
}

static void on_worked(void *data)
{
    struct submit_job *job = data;
    bool well = job->error == 0 && !job->service->stopping;
    if (well && job->preview && preview_read(job) == 0)
        return;
    if (job->error == -EINVAL)
        control_reply_error(job->request, CONTROL_E_INVALID_PLAN, "%s", buf_str(&job->diag.text));
    else if (job->error < 0)
        service_reply_accepted(job->request, job->error, NULL);
    else if (job->service->stopping)
        say_stopping(job);
    else if (job->preview)
        control_reply_error(job->request, CONTROL_E_INTERNAL, "out of memory; try again");
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
