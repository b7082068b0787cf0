/* The result and the report of a run, written in another thread from what is
 * stored of it; items that have not begun come from the plan. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/report_text.h"
#include "codec/result_json.h"
#include "io/file_sink.h"
#include "io/spool.h"
#include "model/plan.h"
#include "model/settings.h"
#include "service_control_parts.h"
#include "service_parts.h"

#define RENDERS_AT_ONCE 2 /* that were asked for: each has all items of its run in memory */

struct render_job {
    struct render_job *next; /* of those that wait */
    char run_id[ULID_LEN + 1];
    char *state;
    int64_t finished_ms;
    /* into memory files */
    int result_fd, report_fd;
    void (*on_done)(int error, int result_fd, int report_fd, void *data);
    /* into the spool */
    struct service *service;
    char *filed;
    struct buf text;
    void (*on_filed)(int error, char *filed, const char *text, void *data);
    void *data;
};

struct items_view {
    const struct run_load *load;
    size_t at; /* the stored item that is looked at next */
    struct item waiting;
};

/* A run with its items, ready to be written. */
struct rendering {
    struct items_view view;
    struct result_items items;
    struct result_run run;
};

/* ---- items in order, stored or not ---- */

static const struct item *view_item(size_t index, void *user)
{
    struct items_view *view = user;
    const struct run_load *load = view->load;
    if (index == 0)
        view->at = 0;
    while (view->at < load->n_items && load->items[view->at].index < index)
        view->at++;
    if (view->at < load->n_items && load->items[view->at].index == index)
        return &load->items[view->at];
    if (!load->plan || index >= load->plan->n_clones)
        return NULL;
    const struct plan_clone *clone = &load->plan->clones[index];
    view->waiting =
        (struct item){.index = (uint32_t)index,
                      .kind = clone->kind,
                      .name = clone->name,
                      .source_name = clone->source.by == PLAN_REF_NAME ? clone->source.text : NULL,
                      .server_name = clone->backup_server};
    return &view->waiting;
}

/* ---- into a memory file ---- */

static int render_result(const struct result_run *run, const struct result_items *items,
                         const struct result_sink *sink)
{
    return result_json_write(run, items, sink);
}

static int render_report(const struct result_run *run, const struct result_items *items,
                         const struct result_sink *sink)
{
    return report_text_write(run, items, NULL, sink);
}

static int render_into(int *ret_fd, const char *name, const struct result_run *run,
                       const struct result_items *items,
                       int (*render)(const struct result_run *run, const struct result_items *items,
                                     const struct result_sink *sink))
{
    struct file_sink sink;
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    file_sink_init(&sink, fd);
    int r = render(run, items, &(struct result_sink){file_sink_write, &sink});
    if (r == 0)
        r = file_sink_flush(&sink);
    file_sink_done(&sink);
    if (r < 0)
        close(fd);
    else
        *ret_fd = fd;
    return r;
}

static void rendering_make(struct rendering *ret, const struct run_load *load, const struct render_job *job)
{
    const struct store_run *row = &load->run;
    size_t n = load->plan ? load->plan->n_clones : load->n_items;
    *ret = (struct rendering){.view = {.load = load}};
    ret->items = (struct result_items){n, view_item, &ret->view};
    ret->run = (struct result_run){.run = row->id,
                                   .plan = row->plan,
                                   .file = row->file,
                                   .server = row->server,
                                   .state = job->state ? job->state : run_state_name(row->state),
                                   .started_ms = row->accepted_ms,
                                   .finished_ms = job->state ? job->finished_ms : row->finished_ms,
                                   .once = row->origin == RUN_FROM_ONCE};
}

static int on_render(struct run_load *load, void *data)
{
    struct render_job *job = data;
    struct rendering rendering;
    rendering_make(&rendering, load, job);
    int r = render_into(&job->result_fd, "result", &rendering.run, &rendering.items, render_result);
    if (r == 0)
        r = render_into(&job->report_fd, "report", &rendering.run, &rendering.items, render_report);
    return r;
}

static void on_rendered(int error, struct run_load *load, struct diag *diag, void *data);

static void render_end(struct render_job *job, int error)
{
    if (error < 0 && job->result_fd >= 0)
        close(job->result_fd);
    if (error < 0)
        job->result_fd = job->report_fd = -1;
    job->on_done(error, job->result_fd, job->report_fd, job->data);
    free(job->state);
    free(job);
}

/* An open run is in the state that it has now; of one that has ended the row tells. */
static int render_begin(struct render_job *job)
{
    const struct service_run *run = service_find_run(job->service, job->run_id);
    if (run) {
        job->finished_ms = run->finished_ms;
        job->state = strdup(run_state_name(service_run_state(run)));
        if (!job->state)
            return -ENOMEM;
    }
    struct load_wish wish = {
        .plan = LOAD_PLAN_IF_UNFINISHED, .work = on_render, .on_done = on_rendered, .data = job};
    int r = service_load(job->service, job->run_id, &wish);
    job->service->renders += r == 0;
    return r;
}

/* While one waits others are under way, whose end begins it. */
static void render_next(struct service *service)
{
    while (service->renders < RENDERS_AT_ONCE && service->render_first) {
        struct render_job *job = service->render_first;
        service->render_first = job->next;
        int r = render_begin(job);
        if (r < 0)
            render_end(job, r);
    }
}

static void on_rendered(int error, struct run_load *load, struct diag *diag, void *data)
{
    struct render_job *job = data;
    struct service *service = job->service;
    (void)load;
    (void)diag;
    service->renders--;
    render_end(job, error);
    render_next(service);
}

static void render_wait(struct service *service, struct render_job *job)
{
    if (service->render_first)
        service->render_last->next = job;
    else
        service->render_first = job;
    service->render_last = job;
}

void service_renders_stop(struct service *service)
{
    while (service->render_first) {
        struct render_job *job = service->render_first;
        service->render_first = job->next;
        render_end(job, -ESHUTDOWN);
    }
}

int service_render(struct service *service, const char *run_id,
                   void (*on_done)(int error, int result_fd, int report_fd, void *data), void *data)
{
    bool waits = service->renders == RENDERS_AT_ONCE;
    if (waits && service->stopping)
        return -ESHUTDOWN;
    struct render_job *job = malloc(sizeof(*job));
    if (!job)
        return -ENOMEM;
    *job = (struct render_job){
        .service = service, .result_fd = -1, .report_fd = -1, .on_done = on_done, .data = data};
    strncpy(job->run_id, run_id, ULID_LEN);
    if (waits) {
        render_wait(service, job);
        return 0;
    }
    int r = render_begin(job);
    if (r < 0) {
        free(job->state);
        free(job);
    }
    return r;
}

/* ---- into the spool ---- */

static int produce_result(spool_write *to, void *sink, void *user)
{
    const struct rendering *rendering = user;
    return result_json_write(&rendering->run, &rendering->items, &(struct result_sink){to, sink});
}

static int produce_report(spool_write *to, void *sink, const char *result_path, void *user)
{
    const struct rendering *rendering = user;
    return report_text_write(&rendering->run, &rendering->items, result_path,
                             &(struct result_sink){to, sink});
}

static int on_file(struct run_load *load, void *data)
{
    struct render_job *job = data;
    struct rendering rendering;
    rendering_make(&rendering, load, job);
    struct spool_end end = {.directory = job->service->boot->spool_directory,
                            .run_id = load->run.id,
                            .file = load->run.file,
                            .filed = load->run.filed,
                            .well = strcmp(job->state, run_state_name(RUN_SUCCEEDED)) == 0,
                            .produce_result = produce_result,
                            .produce_report = produce_report,
                            .user = &rendering};
    uv_mutex_lock(&job->service->filing_lock);
    int r = spool_finish(&end, &job->filed, &job->text);
    uv_mutex_unlock(&job->service->filing_lock);
    return r;
}

static void on_file_done(int error, struct run_load *load, struct diag *diag, void *data)
{
    struct render_job *job = data;
    (void)load;
    (void)diag;
    job->on_filed(error, job->filed, buf_str(&job->text), job->data);
    buf_done(&job->text);
    free(job->state);
    free(job);
}

int service_render_spool(struct service *service, const char *run_id, const char *state, int64_t finished_ms,
                         void (*on_done)(int error, char *filed, const char *text, void *data), void *data)
{
    struct render_job *job = malloc(sizeof(*job));
    if (!job)
        return -ENOMEM;
    *job = (struct render_job){.state = strdup(state),
                               .finished_ms = finished_ms,
                               .service = service,
                               .text = BUF_INIT(4096),
                               .on_filed = on_done,
                               .data = data};
    struct load_wish wish = {
        .plan = LOAD_PLAN_IF_UNFINISHED, .work = on_file, .on_done = on_file_done, .data = job};
    int r = job->state ? service_load(service, run_id, &wish) : -ENOMEM;
    if (r < 0) {
        free(job->state);
        free(job);
    }
    return r;
}
