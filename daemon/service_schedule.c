/* Plans of plans.d: what is due becomes a run, and operators see what is due next. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "io/control.h"
#include "io/loop.h"
#include "io/plan_files.h"
#include "io/plans_dir.h"
#include "io/store_async.h"
#include "model/plan.h"
#include "model/settings.h"
#include "service_control_parts.h"

#define CLOCK_SET_MS 1000 /* a smaller jump is slewing */

/* A wish by hand, from the request to its run. */
struct service_hand {
    struct service_hand *next;
    struct service *service;
    struct control_request *request;
    const struct service_run *run; /* once it is stored */
    char name[];
};

/* What ops->start owes an answer for. */
struct due_job {
    plans_on_done *on_done;
    void *data;
    struct service_hand *hand; /* or NULL: it was due */
};

/* ---- what is due becomes a run ---- */

static size_t count_runs(const struct run_list *list, const char *plan)
{
    size_t n = 0;
    for (const struct service_run *run = list->first; run; run = run->next)
        n += run->row.origin == RUN_FROM_SCHEDULE && strcmp(run->row.plan, plan) == 0;
    return n;
}

static size_t on_open_runs(const char *plan, void *user)
{
    const struct service *service = user;
    return count_runs(&service->queued, plan) + count_runs(&service->active, plan);
}

static struct service_hand *find_hand(const struct service *service, const char *name)
{
    struct service_hand *hand = service->hands;
    while (hand && strcmp(hand->name, name) != 0)
        hand = hand->next;
    return hand;
}

static void on_accepted(int error, struct service_run *run, void *data)
{
    struct due_job *job = data;
    if (job->hand)
        job->hand->run = run;
    job->on_done(error, job->data);
    free(job);
}

static void on_start(struct plans_due *due, plans_on_done *on_done, void *data, void *user)
{
    struct service *service = user;
    struct due_job *job = malloc(sizeof(*job));
    if (!job) {
        on_done(-ENOMEM, data);
        return;
    }
    *job = (struct due_job){on_done, data, due->due_ms ? NULL : find_hand(service, due->name)};
    char id[ULID_LEN + 1];
    struct run_offer offer = {.origin = RUN_FROM_SCHEDULE,
                              .plan = due->plan->name,
                              .server = due->plan->server,
                              .file = due->files->path,
                              .n_items = due->plan->n_clones,
                              .accepted_ms = due->due_ms ? loop_now().wall_ms : due->accepted_ms,
                              .due_ms = due->due_ms,
                              .on_done = on_accepted,
                              .data = job};
    int r = service_accept(service, due->files, &offer, id);
    if (r < 0)
        on_accepted(r, NULL, job);
}

static void on_leave_out(const char *plan, int64_t due_ms, plans_on_done *on_done, void *data, void *user)
{
    struct service *service = user;
    int r = store_async_skip_due(service->host.store, plan, due_ms, on_done, data);
    if (r < 0)
        on_done(r, data);
}

static void on_ready(void *user)
{
    struct service *service = user;
    service->plans_ready = true;
    uv_async_send(&service->host.wake);
}

/* One run of a plan at a time: a queued one waits for those before it. */
bool service_schedule_waits(const struct service *service, const struct service_run *run)
{
    if (run->row.origin != RUN_FROM_SCHEDULE)
        return false;
    if (count_runs(&service->active, run->row.plan))
        return true;
    for (const struct service_run *other = service->queued.first; other && other != run; other = other->next)
        if (other->row.origin == RUN_FROM_SCHEDULE && strcmp(other->row.plan, run->row.plan) == 0)
            return true;
    return false;
}

/* ---- life ---- */

static int on_known(const struct store_due *due, void *data)
{
    return plans_dir_know(data, due->plan, due->due_ms);
}

int service_schedule_open(struct service *service, struct buf *ret_error)
{
    static const struct plans_ops ops = {
        .open_runs = on_open_runs, .start = on_start, .leave_out = on_leave_out, .ready = on_ready};
    int r = plans_dir_new(&service->host.loop, service->boot->plans_directory, service->settings, &ops,
                          service, &service->plans);
    if (r == 0)
        r = store_sqlite_load_dues(service->host.store, on_known, service->plans);
    if (r < 0)
        buf_printf(ret_error, "the schedules cannot be read from the state: %s", strerror(-r));
    return r;
}

void service_schedule_start(struct service *service)
{
    plans_dir_start(service->plans);
}

void service_schedule_turn(struct service *service, struct instant now)
{
    int64_t clock_ms = now.wall_ms - (int64_t)now.mono_ms;
    bool set = service->clock_ms && llabs(clock_ms - service->clock_ms) > CLOCK_SET_MS;
    service->clock_ms = clock_ms;
    if (set && service->plans) {
        log_info("the clock was set: due times are looked at anew");
        plans_dir_clock_set(service->plans);
    }
}

void service_schedule_reloaded(struct service *service)
{
    if (plans_dir_set_settings(service->plans, service->settings) < 0)
        log_error("out of memory: scheduled plans are judged by the old settings until the next reload");
}

static void on_closed(void *data)
{
    ((struct service *)data)->plans_closing = false;
}

void service_schedule_close(struct service *service)
{
    if (!service->plans)
        return;
    service->plans_closing = true;
    plans_dir_close(TAKE_PTR(service->plans), on_closed, service);
}

/* ---- operators ---- */

static void reply_hand(const struct service_hand *hand, int error)
{
    if (error == 0)
        service_reply_run(hand->request, hand->run);
    else if (error == -EBUSY)
        control_reply_error(hand->request, CONTROL_E_STATE,
                            "a run of plan \"%s\" is still open; let it end, or cancel it", hand->name);
    else if (error == -EINVAL)
        control_reply_error(hand->request, CONTROL_E_STATE,
                            "plan \"%s\" is not good as it is now; \"jobclonectl schedules\" says why",
                            hand->name);
    else if (error == -ENOTUNIQ)
        control_reply_error(
            hand->request, CONTROL_E_STATE,
            "plan \"%s\" was not started: another file of plans.d has that name too; rename one "
            "of them (\"jobclonectl schedules\" says which)",
            hand->name);
    else if (error == -ENOENT)
        control_reply_error(hand->request, CONTROL_E_NOT_FOUND, "the plan \"%s\" is gone from plans.d",
                            hand->name);
    else
        service_reply_accepted(hand->request, error, NULL);
}

static void on_hand(int error, void *data)
{
    struct service_hand *hand = data;
    struct service_hand **at = &hand->service->hands;
    while (*at != hand)
        at = &(*at)->next;
    *at = hand->next;
    reply_hand(hand, error);
    free(hand);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Is that the file's name, with its ending or without? */
static bool names_file(const char *word, const char *file)
{
    size_t len = strlen(word);
    file = base_name(file);
    return strncmp(word, file, len) == 0 &&
           (!file[len] || strcmp(file + len, ".yaml") == 0 || strcmp(file + len, ".yml") == 0);
}

/* No plan is known by that name, but a file that was never good has no other name than its own. */
static void reply_unknown(struct control_request *request, const struct service *service, const char *name)
{
    for (size_t i = 0; i < plans_dir_count(service->plans); i++) {
        struct plans_info info = plans_dir_info(service->plans, i);
        if (info.name || !info.error || !names_file(base_name(name), info.file))
            continue;
        control_reply_error(
            request, CONTROL_E_STATE,
            "%s is there, but not good: %.*s (correct it; \"jobclonectl schedules\" shows all "
            "of its mistakes)",
            info.file, (int)strcspn(info.error, "\n"), info.error);
        return;
    }
    control_reply_error(request, CONTROL_E_NOT_FOUND, "there is no plan \"%s\" in %s", name,
                        service->boot->plans_directory);
}

void service_op_run_schedule(struct control_request *request, const char *name, void *data)
{
    struct service *service = data;
    size_t len = strlen(name) + 1;
    struct service_hand *hand = service->plans ? calloc(1, sizeof(*hand) + len) : NULL;
    if (!hand) {
        control_reply_error(request, CONTROL_E_INTERNAL, "%s",
                            service->plans ? "out of memory" : "the daemon stops");
        return;
    }
    hand->service = service;
    hand->request = request;
    memcpy(hand->name, name, len);
    hand->next = service->hands;
    service->hands = hand;
    int r = plans_dir_run(service->plans, name, on_hand, hand);
    if (r == 0)
        return;
    service->hands = hand->next;
    if (r == -ENOENT)
        reply_unknown(request, service, name);
    else
        control_reply_error(request, CONTROL_E_BUSY, "plan \"%s\" is being started already; try again", name);
    free(hand);
}

struct schedules_job {
    struct service *service;
    struct control_request *request;
};

static void view_schedule(const struct service *service, const struct plans_info *info,
                          const struct store_run *runs, size_t n_runs, struct control_schedule *ret)
{
    *ret = (struct control_schedule){.name = info->name,
                                     .file = info->file,
                                     .server = info->server,
                                     .calendar = info->calendar,
                                     .error = info->error,
                                     .next_ms = info->next_ms};
    for (size_t i = 0; i < n_runs; i++) {
        if (!info->name || strcmp(runs[i].plan, info->name) != 0)
            continue;
        const struct service_run *open = service_find_run(service, runs[i].id);
        ret->last_ms = runs[i].accepted_ms;
        ret->last_run = runs[i].id;
        ret->last_state = run_state_name(open ? service_run_state(open) : runs[i].state);
    }
}

static void on_last_runs(int error, struct store_run *runs, size_t n_runs, void *data)
{
    struct schedules_job *job = data;
    struct service *service = job->service;
    size_t n = service->plans ? plans_dir_count(service->plans) : 0;
    _cleanup_free_ struct control_schedule *views = calloc(n ? n : 1, sizeof(*views));
    if (error < 0 || !views) {
        service_reply_accepted(job->request, error < 0 ? error : -ENOMEM, NULL);
    } else {
        for (size_t i = 0; i < n; i++) {
            struct plans_info info = plans_dir_info(service->plans, i);
            view_schedule(service, &info, runs, n_runs, &views[i]);
        }
        control_reply_schedules(job->request, views, n);
    }
    free(job);
}

void service_op_schedules(struct control_request *request, void *data)
{
    struct service *service = data;
    struct schedules_job *job = malloc(sizeof(*job));
    int r = -ENOMEM;
    if (job) {
        *job = (struct schedules_job){service, request};
        r = store_async_last_scheduled(service->host.store, on_last_runs, job);
    }
    if (r == 0)
        return;
    free(job);
    service_reply_accepted(request, r, NULL);
}
