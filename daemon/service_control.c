/* The control socket's table of functions: what operators ask, answered from the
 * registry, the engine and the store. A command answers when it is durable. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/engine.h"
#include "io/control.h"
#include "io/store_async.h"
#include "model/control.h"
#include "model/settings.h"
#include "service_control_parts.h"
#include "service_parts.h"

#define CANDIDATES_MAX 4 /* of a part of an id: more are ambiguous all the same */

/* ---- answers ---- */

static void reply_stopping(struct control_request *request)
{
    control_reply_error(request, CONTROL_E_STOPPING, "the daemon is about to end; try again when it is back");
}

static void reply_error(struct control_request *request, int error, const struct service_run *run)
{
    const char *id = run ? run->row.id : "it", *state = run ? run_state_name(service_run_state(run)) : "over";
    switch (error) {
    case -EALREADY:
        control_reply_error(request, CONTROL_E_STATE, "run %s is so already (%s)", id, state);
        break;
    case -EINVAL:
        control_reply_error(request, CONTROL_E_STATE, "run %s is %s, which does not allow this", id, state);
        break;
    case -EBUSY:
        control_reply_error(request, CONTROL_E_BUSY, "another command for run %s is on its way; try again",
                            id);
        break;
    case -EHOSTUNREACH:
        control_reply_error(request, CONTROL_E_STATE,
                            "the settings have no server %s for run %s; add it and reload, then try again",
                            run ? run->row.server : "", id);
        break;
    case -EAGAIN:
        control_reply_error(request, CONTROL_E_STATE,
                            "server %s of run %s has changed, and earlier runs are under way on it as it "
                            "was: until they have ended it can only be cancelled",
                            run ? run->row.server : "", id);
        break;
    case -ENOEXEC:
        control_reply_error(request, CONTROL_E_STATE,
                            "the plan of run %s is not understood by this version; see jobclonectl show %s",
                            id, id);
        break;
    case -EINPROGRESS:
        control_reply_error(request, CONTROL_E_BUSY,
                            "the plan of run %s is still being filed in the spool's accepted/; the log says "
                            "what keeps it from that; try again",
                            id);
        break;
    case -ESHUTDOWN:
        reply_stopping(request);
        break;
    case -ENOSPC:
    case -EIO:
    case -EROFS:
        control_reply_error(request, CONTROL_E_NOT_STORED,
                            "the state cannot be written: %s; nothing was done; make room and try again",
                            strerror(-error));
        break;
    default:
        control_reply_error(request, CONTROL_E_INTERNAL, "%s; try again", strerror(-error));
    }
}

void service_reply_run(struct control_request *request, const struct service_run *run)
{
    struct control_run view;
    service_view_run(run, &view);
    control_reply_run(request, &view);
}

void service_reply_accepted(struct control_request *request, int error, const struct service_run *run)
{
    if (error < 0)
        reply_error(request, error == -EINVAL ? -EIO : error, NULL);
    else
        service_reply_run(request, run);
}

void service_control_answered(struct service_run *run, int error)
{
    struct control_request *request = TAKE_PTR(run->request);
    run->command = COMMAND_NONE;
    if (!request)
        return;
    if (error < 0)
        reply_error(request, error, run);
    else
        service_reply_run(request, run);
}

/* ---- finding a run ---- */

struct find_job {
    struct service *service;
    struct control_request *request;
    struct control_find find;
    char part[CONTROL_ID_LEN + 1];
    /* The run that is meant: open, or else the row of one that has ended. */
    void (*on_found)(struct find_job *job, struct service_run *run, struct store_run *row);
    enum run_command command;
    bool report; /* else the result */
};

static void on_candidates(int error, struct store_run *rows, size_t n, void *data)
{
    struct find_job *job = data;
    if (error < 0) {
        reply_error(job->request, error, NULL);
        free(job);
        return;
    }
    for (size_t i = 0; i < n; i++)
        control_find_offer(&job->find, rows[i].id);
    if (control_reply_unless_found(job->request, &job->find))
        job->on_found(job, service_find_run(job->service, rows[0].id), &rows[0]);
    free(job);
}

static struct find_job *find_new(struct service *service, struct control_request *request, const char *part)
{
    struct find_job *job = strlen(part) <= CONTROL_ID_LEN ? calloc(1, sizeof(*job)) : NULL;
    if (!job) {
        control_reply_error(request, CONTROL_E_NOT_FOUND, "there is no run with \"%s\" in its id", part);
        return NULL;
    }
    job->service = service;
    job->request = request;
    strcpy(job->part, part);
    job->find.part = job->part;
    return job;
}

/* An open run that is named in full is known here: it is shown, and takes commands, while the disk hangs. */
static void find_begin(struct find_job *job)
{
    struct service_run *run = service_find_run(job->service, job->part);
    if (run) {
        job->on_found(job, run, &run->row);
        free(job);
        return;
    }
    if (store_async_find_runs(job->service->host.store, job->part, CANDIDATES_MAX, on_candidates, job) == 0)
        return;
    reply_error(job->request, -ENOMEM, NULL);
    free(job);
}

/* ---- looking ---- */

static void found_show(struct find_job *job, struct service_run *run, struct store_run *row)
{
    struct control_run view;
    if (run)
        service_view_run(run, &view);
    else
        service_view_row(row, &view);
    control_reply_run(job->request, &view);
}

static void op_show(struct control_request *request, const char *part, void *data)
{
    struct find_job *job = find_new(data, request, part);
    if (!job)
        return;
    job->on_found = found_show;
    find_begin(job);
}

struct render_wish {
    struct control_request *request;
    bool report;
};

static void on_rendered(int error, int result_fd, int report_fd, void *data)
{
    struct render_wish *wish = data;
    int wanted = wish->report ? report_fd : result_fd, other = wish->report ? result_fd : report_fd;
    if (error < 0) {
        reply_error(wish->request, error, NULL);
    } else {
        close(other);
        control_reply_fd(wish->request, wanted);
    }
    free(wish);
}

static void found_render(struct find_job *job, struct service_run *run, struct store_run *row)
{
    struct render_wish *wish = malloc(sizeof(*wish));
    int r = -ENOMEM;
    (void)run;
    if (wish) {
        *wish = (struct render_wish){job->request, job->report};
        r = service_render(job->service, row->id, on_rendered, wish);
    }
    if (r == 0)
        return;
    free(wish);
    reply_error(job->request, r, NULL);
}

static void render(struct service *service, struct control_request *request, const char *part, bool report)
{
    struct find_job *job = find_new(service, request, part);
    if (!job)
        return;
    job->on_found = found_render;
    job->report = report;
    find_begin(job);
}

static void op_result(struct control_request *request, const char *part, void *data)
{
    render(data, request, part, false);
}

static void op_report(struct control_request *request, const char *part, void *data)
{
    render(data, request, part, true);
}

/* ---- commands ---- */

static void found_retry(struct find_job *job, struct store_run *row)
{
    struct control_request *request = job->request;
    int r = row->totals.failed + row->totals.cancelled + row->totals.unknown ? 0 : -EALREADY;
    if (row->origin == RUN_FROM_ONCE)
        r = -EPERM;
    if (r == 0)
        r = service_reopen(job->service, row, request);
    if (r == -EALREADY)
        control_reply_error(request, CONTROL_E_STATE, "run %s has no clone to begin anew: none failed",
                            row->id);
    else if (r == -EPERM)
        control_reply_error(request, CONTROL_E_STATE,
                            "run %s belongs to jobcloned --once; give that command again", row->id);
    else if (r < 0)
        reply_error(request, r, NULL);
}

static void found_command(struct find_job *job, struct service_run *run, struct store_run *row)
{
    if (!run && job->command == COMMAND_RETRY && row->finished_ms) {
        found_retry(job, row);
        return;
    }
    if (row->origin == RUN_FROM_ONCE && !row->finished_ms) {
        control_reply_error(job->request, CONTROL_E_STATE,
                            "run %s belongs to jobcloned --once; give that command again", row->id);
        return;
    }
    if (!run) {
        control_reply_error(job->request, CONTROL_E_STATE, "run %s has ended (%s)", row->id,
                            run_state_name(row->state));
        return;
    }
    int r = service_command(job->service, run, job->command);
    if (r < 0)
        reply_error(job->request, r, run);
    else
        run->request = job->request;
}

static void command(struct service *service, struct control_request *request, const char *part,
                    enum run_command what)
{
    if (service->stopping) {
        reply_stopping(request);
        return;
    }
    struct find_job *job = find_new(service, request, part);
    if (!job)
        return;
    job->on_found = found_command;
    job->command = what;
    find_begin(job);
}

static void op_pause(struct control_request *request, const char *part, void *data)
{
    command(data, request, part, COMMAND_PAUSE);
}

static void op_resume(struct control_request *request, const char *part, void *data)
{
    command(data, request, part, COMMAND_RESUME);
}

static void op_cancel(struct control_request *request, const char *part, bool stop_tasks, void *data)
{
    command(data, request, part, stop_tasks ? COMMAND_CANCEL_TASKS : COMMAND_CANCEL);
}

static void op_retry(struct control_request *request, const char *part, void *data)
{
    command(data, request, part, COMMAND_RETRY);
}

/* ---- watching ---- */

static void tell_list(const struct service *service, const struct run_list *list)
{
    struct control_run view;
    for (const struct service_run *run = list->first; run; run = run->next) {
        service_view_run(run, &view);
        control_tell_run(service->control, &view);
    }
}

static void op_watched(void *data)
{
    const struct service *service = data;
    tell_list(service, &service->active);
    tell_list(service, &service->queued);
}

void service_control_turn(struct service *service)
{
    if (service->control && control_watched(service->control))
        tell_list(service, &service->active);
    service_previews_turn(service);
}

void service_control_ended(const struct service_run *run)
{
    struct control_run view;
    if (!run->service->control || !control_watched(run->service->control))
        return;
    service_view_run(run, &view);
    control_tell_run(run->service->control, &view);
}

void service_control_failure(struct service *service, const char *run_id, const struct item *item)
{
    if (!service->control || !control_watched(service->control))
        return;
    control_tell_failure(service->control, &(struct control_failure){.run = run_id,
                                                                     .index = item->index,
                                                                     .name = item->name,
                                                                     .state = item_result_name(item->state),
                                                                     .code = item_error_name(item->error),
                                                                     .message = item->message,
                                                                     .http = item->http});
}

/* ---- life ---- */

static const struct control_ops control_ops = {
    .status = service_op_status,
    .list = service_op_list,
    .show = op_show,
    .result = op_result,
    .report = op_report,
    .submit = service_op_submit,
    .preview = service_op_preview,
    .pause = op_pause,
    .resume = op_resume,
    .cancel = op_cancel,
    .retry = op_retry,
    .schedules = service_op_schedules,
    .run_schedule = service_op_run_schedule,
    .watched = op_watched,
};

int service_control_open(struct service *service, struct buf *ret_error)
{
    struct control_options options = {.path = service->boot->control_socket,
                                      .group = "jobclone",
                                      .listen_fd = control_activated_fd(),
                                      .plan_bytes = service->boot->plan_bytes,
                                      .ops = &control_ops,
                                      .data = service};
    int r = control_new(&service->host.loop, &options, &service->control, ret_error);
    service->control_open = r == 0;
    return r;
}

void service_control_reloaded(struct service *service)
{
    if (service->control)
        control_set_plan_bytes(service->control, service->settings->plan_bytes);
}

static void on_closed(void *data)
{
    struct service *service = data;
    service->control_open = false;
    uv_async_send(&service->host.wake);
}

void service_control_close(struct service *service)
{
    struct control *control = TAKE_PTR(service->control);
    service_previews_stop(service);
    if (control)
        control_close(control, on_closed, service);
}
