#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "routes.h"
#include "session.h"

static const char *operation(enum work_kind kind)
{
    switch (kind) {
    case WORK_CLONE:
        return "CloneJob";
    case WORK_DELETE:
        return "DeleteJob";
    case WORK_COLLECT:
        return "CollectingBackupServer";
    }
    return "";
}

static const char *state(enum work_phase phase)
{
    switch (phase) {
    case WORK_RUNNING:
        return "Running";
    case WORK_OPERATION_FINISHED:
        return "OperationFinished";
    case WORK_FINISHED:
        return "Finished";
    }
    return "";
}

static void write_result(struct call *call, const struct work *work)
{
    const char *good = work->phase == WORK_FINISHED ? "Ok" : "OperationFinished";
    out_open(&call->out, "Result");
    out_attr_bool(&call->out, "Success", work->ok);
    out_leaf(&call->out, "Message", work->ok ? good : work->message);
    out_close(&call->out);
}

static void write_links(struct call *call, const struct work *work, const char *self)
{
    char href[CALL_HREF_MAX];
    out_list(&call->out, "Links", "Links");
    out_link(&call->out, "Delete", self, NULL, NULL);
    if (work->kind == WORK_CLONE && work->phase == WORK_FINISHED && work->ok) {
        const struct job *job = &call->world->jobs[call->world->clones[work->target].job];
        call_href(call, href, "/jobs/%s?format=Entity", job->id);
        out_link(&call->out, "Related", href, job->name, "Job");
    }
    out_close(&call->out);
}

void task_write(struct call *call, uint32_t index, uint64_t number, bool root)
{
    const struct work *work = &call->world->works[index];
    struct out *out = &call->out;
    char id[40], href[CALL_HREF_MAX];
    snprintf(id, sizeof(id), "task-%" PRIu64, number);
    call_href(call, href, "/tasks/%s", id);
    if (root)
        out_root(out, "Task");
    else
        out_open(out, "Task");
    out_attr(out, "Href", href);
    out_attr(out, "Type", "Task");
    write_links(call, work, href);
    out_leaf(out, "TaskId", id);
    out_leaf(out, "State", state(work->phase));
    out_leaf(out, "Operation", operation(work->kind));
    if (work->phase != WORK_RUNNING)
        write_result(call, work);
    out_close(out);
}

void route_tasks(struct call *call)
{
    const struct session *s = &call->world->sessions[call->session];
    out_root(&call->out, "Tasks");
    out_list(&call->out, NULL, "Tasks");
    for (size_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i] != WORLD_NONE)
            task_write(call, s->tasks[i], i + 1, false);
    out_close(&call->out);
    out_close(&call->out);
}

static void no_task(struct call *call)
{
    char message[160];
    snprintf(message, sizeof(message), "There is no backup task with id [%.60s] in current rest session",
             call->path[1]);
    call_error(call, 500, message);
}

void route_task(struct call *call)
{
    uint32_t work = session_task(call->world, call->session, call->path[1]);
    if (work == WORLD_NONE)
        no_task(call);
    else
        task_write(call, work, strtoull(call->path[1] + 5, NULL, 10), true);
}

void route_task_delete(struct call *call)
{
    if (session_remove_task(call->world, call->session, call->path[1]))
        call->status = 204;
    else
        no_task(call);
}
