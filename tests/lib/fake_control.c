#include "fake_control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "codec/report_text.h"
#include "codec/result_json.h"
#include "io/plan_files.h"
#include "model/item.h"
#include "model/plan.h"

#define TICK_MS 50

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool ended(const struct fake_run *run)
{
    return run->finished_ms != 0;
}

struct fake_run *fake_add(struct fake *fake, const char *plan, const char *file, size_t items)
{
    if (fake->n_runs == FAKE_RUNS_MAX)
        return NULL;
    struct fake_run *run = &fake->runs[fake->n_runs++];
    *run =
        (struct fake_run){.state = "running", .phase = "cloning", .items = items, .accepted_ms = wall_ms()};
    snprintf(run->id, sizeof(run->id), "01FAKE%018zu%02zu", fake->n_runs, (fake->n_runs * 37) % 100);
    snprintf(run->plan, sizeof(run->plan), "%s", plan);
    snprintf(run->file, sizeof(run->file), "%s", file);
    return run;
}

static struct control_run told(const struct fake_run *run)
{
    struct control_run r = {.id = run->id,
                            .plan = run->plan,
                            .file = run->file,
                            .server = "prod",
                            .origin = "control",
                            .state = run->state,
                            .phase = run->phase,
                            .accepted_ms = run->accepted_ms,
                            .started_ms = run->accepted_ms,
                            .finished_ms = run->finished_ms};
    size_t left = run->items - run->done;
    r.counts.items = run->items;
    r.counts.failed = run->failed;
    r.counts.succeeded = run->done - run->failed;
    if (strcmp(run->state, "cancelled") == 0) {
        r.counts.cancelled = left;
    } else {
        r.counts.running = left < 8 ? left : 8;
        r.counts.pending = left - r.counts.running;
    }
    return r;
}

static void end_run(struct fake_run *run, const char *state)
{
    run->state = state;
    run->phase = NULL;
    run->finished_ms = wall_ms();
}

static void advance(struct fake *fake, struct fake_run *run)
{
    if (strcmp(run->state, "running") != 0)
        return;
    for (size_t i = 0; i < fake->options.per_tick && run->done < run->items; i++) {
        run->done++;
        if (run->done % FAKE_FAILS_EVERY != 0)
            continue;
        char name[64];
        run->failed++;
        snprintf(name, sizeof(name), "Tenant %04zu Backup", run->done - 1);
        struct control_failure failure = {run->id,       (uint32_t)run->done - 1, name, "failed",
                                          "task_failed", "disk\033 full",         0};
        control_tell_failure(fake->control, &failure);
    }
    if (run->done == run->items)
        end_run(run, run->failed ? "failed" : "succeeded");
    struct control_run r = told(run);
    control_tell_run(fake->control, &r);
}

static void on_tick(uv_timer_t *timer)
{
    struct fake *fake = timer->data;
    for (size_t i = 0; i < fake->n_runs; i++)
        advance(fake, &fake->runs[i]);
}

/* ---- the ops ---- */

static struct fake_run *find(struct fake *fake, struct control_request *request, const char *part)
{
    struct control_find f = {.part = part};
    for (size_t i = 0; i < fake->n_runs; i++)
        control_find_offer(&f, fake->runs[i].id);
    if (!control_reply_unless_found(request, &f))
        return NULL;
    for (size_t i = 0; i < fake->n_runs; i++)
        if (strcmp(fake->runs[i].id, f.found[0]) == 0)
            return &fake->runs[i];
    return NULL;
}

static void op_status(struct control_request *request, void *data)
{
    struct fake *fake = data;
    static const struct control_backup_server backup_servers[] = {{"vbr01", 5, 40, 200}};
    const struct control_server servers[] = {{.name = "prod",
                                              .url = "https://em.example.com:9398",
                                              .state = "fine",
                                              .session = "open",
                                              .rests_ms = 1795442460000,
                                              .in_flight = 3,
                                              .in_flight_limit = 8,
                                              .in_flight_max = 64,
                                              .tasks = 5,
                                              .backup_servers = backup_servers,
                                              .n_backup_servers = 1,
                                              .tasks_max = 200},
                                             {.name = "lab",
                                              .url = "https://lab.example.com:9398",
                                              .state = "unreachable",
                                              .session = "closed",
                                              .message = "no route\033[2J to host",
                                              .unreachable_ms = 1795442400000,
                                              .probe_ms = 1795442430000,
                                              .in_flight_limit = 8,
                                              .in_flight_max = 64,
                                              .tasks_max = 200}};
    const struct control_status status = {.version = JOBCLONE_VERSION,
                                          .started_ms = wall_ms(),
                                          .state_directory = "/var/lib/jobclone",
                                          .spool_directory = "/var/lib/jobclone/spool",
                                          .running = fake->n_runs,
                                          .runs_max = 4,
                                          .plan_bytes = fake->options.plan_bytes,
                                          .plan_items = 200000,
                                          .servers = servers,
                                          .n_servers = ARRAY_SIZE(servers)};
    fake->asked++;
    control_reply_status(request, &status);
}

static void op_list(struct control_request *request, size_t limit, void *data)
{
    struct fake *fake = data;
    size_t n = fake->n_runs < limit ? fake->n_runs : limit;
    _cleanup_free_ struct control_run *runs = calloc(n + 1, sizeof(*runs));
    for (size_t i = 0; i < n; i++)
        runs[i] = told(&fake->runs[fake->n_runs - 1 - i]);
    fake->asked++;
    control_reply_runs(request, runs, n);
}

static void op_show(struct control_request *request, const char *part, void *data)
{
    struct fake_run *run = find(data, request, part);
    if (!run)
        return;
    struct control_run r = told(run);
    control_reply_run(request, &r);
}

static const struct item *item_at(size_t index, void *data)
{
    static struct item item;
    static char name[64];
    const struct fake_run *run = data;
    snprintf(name, sizeof(name), "Tenant %04zu Backup", index);
    item = (struct item){.index = (uint32_t)index, .name = name, .source_name = "Template Backup"};
    item.kind = JOB_KIND_BACKUP;
    item.state = index < run->done ? ITEM_SUCCEEDED : ended(run) ? ITEM_CANCELLED : ITEM_QUEUED;
    if (index < run->done && index % FAKE_FAILS_EVERY == FAKE_FAILS_EVERY - 1) {
        item.state = ITEM_FAILED;
        item.error = ITEM_E_TASK_FAILED;
        item.message = "disk full";
    }
    return &item;
}

static int to_fd(const char *bytes, size_t len, void *user)
{
    return write(*(int *)user, bytes, len) == (ssize_t)len ? 0 : -EIO;
}

static void reply_file(struct fake *fake, struct control_request *request, const char *part, bool report)
{
    struct fake_run *run = find(fake, request, part);
    if (!run)
        return;
    int fd = memfd_create("result", MFD_CLOEXEC);
    struct result_run r = {.run = run->id,
                           .plan = run->plan,
                           .file = run->file,
                           .server = "prod",
                           .state = run->state,
                           .started_ms = run->accepted_ms,
                           .finished_ms = run->finished_ms};
    struct result_items items = {run->items, item_at, run};
    struct result_sink sink = {to_fd, &fd};
    if (report)
        report_text_write(&r, &items, NULL, &sink);
    else
        result_json_write(&r, &items, &sink);
    control_reply_fd(request, fd);
}

static void op_result(struct control_request *request, const char *part, void *data)
{
    reply_file(data, request, part, false);
}

static void op_report(struct control_request *request, const char *part, void *data)
{
    reply_file(data, request, part, true);
}

/* The plan, or NULL after the request was answered. */
static struct plan *decode(struct fake *fake, struct control_request *request, struct plan_files *files)
{
    struct diag diag = DIAG_INIT;
    struct plan *plan = NULL;
    (void)fake;
    if (plan_files_decode(files, NULL, false, wall_ms(), &plan, &diag) < 0)
        control_reply_error(request, CONTROL_E_INVALID_PLAN, "%s", buf_str(&diag.text));
    diag_done(&diag);
    return plan;
}

static void op_submit(struct control_request *request, struct plan_files *files, void *data)
{
    struct fake *fake = data;
    struct plan *plan = decode(fake, request, files);
    fake->asked++;
    if (plan) {
        struct control_run r = told(fake_add(fake, plan->name, files->path, plan->n_clones));
        control_reply_run(request, &r);
    }
    plan_free(plan);
    plan_files_done(files);
    free(files);
}

static int preview_item(size_t index, struct control_preview_item *ret, void *data)
{
    const struct plan *plan = data;
    const char *name = plan->clones[index].name;
    *ret = (struct control_preview_item){.index = (uint32_t)index,
                                         .action = "create",
                                         .name = name,
                                         .kind = "Backup",
                                         .source = "Template Backup"};
    if (strstr(name, "skip"))
        ret->action = "skip";
    if (strstr(name, "conflict")) {
        ret->action = "conflict";
        ret->code = "name_conflict";
        ret->message = "a job of that name is there already";
    }
    return 0;
}

static void op_preview(struct control_request *request, struct plan_files *files, void *data)
{
    struct fake *fake = data;
    struct plan *plan = decode(fake, request, files);
    if (plan) {
        struct control_preview preview = {plan->name,     files->path,  plan->server,
                                          plan->n_clones, preview_item, plan};
        control_reply_preview(request, &preview);
    }
    plan_free(plan);
    plan_files_done(files);
    free(files);
}

/* A command that is answered some time later. */
struct late {
    uv_timer_t timer;
    struct control_request *request;
    struct control_run run;
};

static void on_late_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_late(uv_timer_t *timer)
{
    struct late *late = timer->data;
    control_reply_run(late->request, &late->run);
    uv_close((uv_handle_t *)timer, on_late_closed);
}

static void answer_late(struct fake *fake, struct control_request *request, struct fake_run *run)
{
    struct late *late = calloc(1, sizeof(*late));
    late->request = request;
    late->run = told(run);
    late->timer.data = late;
    control_tell_run(fake->control, &late->run);
    uv_timer_init(fake->loop, &late->timer);
    uv_timer_start(&late->timer, on_late, fake->options.delay_ms, 0);
}

static void command(struct fake *fake, struct control_request *request, const char *part, const char *from,
                    const char *to)
{
    fake->asked++;
    if (fake->options.hold) {
        fake->requests[fake->held++] = request;
        return;
    }
    struct fake_run *run = find(fake, request, part);
    if (!run)
        return;
    if (from ? strcmp(run->state, from) != 0 : ended(run)) {
        control_reply_error(request, CONTROL_E_STATE, "run %s is %s; only a run that is %s can become %s",
                            run->id, run->state, from ? from : "open", to);
        return;
    }
    run->state = to;
    run->finished_ms = strcmp(to, "cancelled") == 0 ? wall_ms() : 0;
    answer_late(fake, request, run);
}

static void op_pause(struct control_request *request, const char *part, void *data)
{
    command(data, request, part, "running", "paused");
}

static void op_resume(struct control_request *request, const char *part, void *data)
{
    command(data, request, part, "paused", "running");
}

static void op_cancel(struct control_request *request, const char *part, bool stop_tasks, void *data)
{
    struct fake *fake = data;
    if (fake->n_runs > 0)
        fake->runs[fake->n_runs - 1].stop_tasks = stop_tasks;
    command(fake, request, part, NULL, "cancelled");
}

static void op_retry(struct control_request *request, const char *part, void *data)
{
    command(data, request, part, "failed", "running");
}

static void op_schedules(struct control_request *request, void *data)
{
    const struct control_schedule schedules[] = {{.name = "nightly",
                                                  .file = "/etc/jobclone/plans.d/nightly.yaml",
                                                  .server = "prod",
                                                  .calendar = "Mon..Fri 02:00 Europe/Prague",
                                                  .next_ms = 1795442400000,
                                                  .last_ms = 1795356000000,
                                                  .last_run = "01FAKE00000000000000000001",
                                                  .last_state = "succeeded"},
                                                 {.name = "weekly",
                                                  .file = "weekly.yaml",
                                                  .error = "weekly.yaml:3:1: unknown key \"serve\"\n"
                                                           "weekly.yaml:4:1: \033\n"}};
    (void)data;
    control_reply_schedules(request, schedules, ARRAY_SIZE(schedules));
}

static void op_run_schedule(struct control_request *request, const char *name, void *data)
{
    struct fake *fake = data;
    if (strcmp(name, "nightly") != 0) {
        control_reply_error(request, CONTROL_E_NOT_FOUND, "there is no schedule \"%s\" in plans.d", name);
        return;
    }
    struct control_run r = told(fake_add(fake, name, "nightly.yaml", 10));
    control_reply_run(request, &r);
}

static void op_watched(void *data)
{
    struct fake *fake = data;
    fake->watched++;
    for (size_t i = 0; i < fake->n_runs; i++) {
        struct control_run r = told(&fake->runs[i]);
        if (!ended(&fake->runs[i]))
            control_tell_run(fake->control, &r);
    }
}

static const struct control_ops ops = {.status = op_status,
                                       .list = op_list,
                                       .show = op_show,
                                       .result = op_result,
                                       .report = op_report,
                                       .submit = op_submit,
                                       .preview = op_preview,
                                       .pause = op_pause,
                                       .resume = op_resume,
                                       .cancel = op_cancel,
                                       .retry = op_retry,
                                       .schedules = op_schedules,
                                       .run_schedule = op_run_schedule,
                                       .watched = op_watched};

void fake_release(struct fake *fake)
{
    for (unsigned i = 0; i < fake->held; i++)
        control_reply_error(fake->requests[i], CONTROL_E_STATE, "released");
    fake->held = 0;
}

int fake_start(struct fake *fake, uv_loop_t *loop, const struct fake_options *options, struct buf *ret_error)
{
    *fake = (struct fake){.loop = loop, .options = *options};
    struct control_options o = {.path = options->path,
                                .group = "daemon",
                                .listen_fd = control_activated_fd(),
                                .plan_bytes = options->plan_bytes,
                                .connections_max = options->connections_max,
                                .timeout_s = options->timeout_s,
                                .answer_bytes = options->answer_bytes,
                                .ops = &ops,
                                .data = fake};
    int r = control_new(loop, &o, &fake->control, ret_error);
    if (r < 0)
        return r;
    uv_timer_init(loop, &fake->timer);
    fake->timer.data = fake;
    uv_timer_start(&fake->timer, on_tick, TICK_MS, TICK_MS);
    return 0;
}

static void on_stopped(void *data)
{
    struct fake *fake = data;
    fake->control = NULL;
}

void fake_stop(struct fake *fake)
{
    uv_close((uv_handle_t *)&fake->timer, NULL);
    control_close(fake->control, on_stopped, fake);
}
