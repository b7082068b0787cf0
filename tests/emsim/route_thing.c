#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "routes.h"
#include "session.h"
#include "spec.h"
#include "work.h"

static void write_list(struct call *call, enum thing thing, const char *plural)
{
    bool entities = call_wants_entity(call);
    out_root(&call->out, entities ? plural : "EntityReferences");
    out_list(&call->out, NULL, entities ? plural : "Refs");
    for (size_t i = 0; i < thing_count(call, thing); i++) {
        if (!thing_visible(call, thing, (uint32_t)i))
            continue;
        if (entities)
            thing_write_entity(call, thing, (uint32_t)i, false);
        else
            thing_write_ref(call, thing, (uint32_t)i, false);
    }
    out_close(&call->out);
    out_close(&call->out);
}

static void write_one(struct call *call, enum thing thing, uint32_t index, const char *missing)
{
    if (index == WORLD_NONE)
        call_error(call, 404, missing);
    else if (call_wants_entity(call))
        thing_write_entity(call, thing, index, true);
    else
        thing_write_ref(call, thing, index, true);
}

static const char NO_JOB[] = "Job with the specified identifier was not found";
static const char NO_REPOSITORY[] = "Repository with the specified identifier was not found";
static const char NO_SERVER[] = "Backup server with the specified identifier was not found";

void route_jobs(struct call *call)
{
    write_list(call, THING_JOB, "Jobs");
}

void route_job(struct call *call)
{
    write_one(call, THING_JOB, world_job(call->world, call->path[1]), NO_JOB);
}

void route_repositories(struct call *call)
{
    write_list(call, THING_REPOSITORY, "Repositories");
}

void route_repository(struct call *call)
{
    write_one(call, THING_REPOSITORY, world_repository(call->world, call->path[1]), NO_REPOSITORY);
}

void route_servers(struct call *call)
{
    write_list(call, THING_SERVER, "BackupServers");
}

void route_server(struct call *call)
{
    write_one(call, THING_SERVER, world_server(call->world, call->path[1]), NO_SERVER);
}

/* 202 with the task that follows the work. */
static void accept_work(struct call *call, int error, const uint32_t *work)
{
    uint64_t number = 0;
    int r = error < 0 ? error : session_add_task(call->world, call->session, *work, &number);
    if (r < 0) {
        call_error(call, 500, "Out of memory");
        return;
    }
    call->status = 202;
    task_write(call, *work, number, true);
}

void route_job_delete(struct call *call)
{
    uint32_t work = WORLD_NONE, job = world_job(call->world, call->path[1]);
    if (job == WORLD_NONE)
        call_error(call, 404, NO_JOB);
    else
        accept_work(call, work_delete(call->world, call->session, job, &work), &work);
}

void route_collect(struct call *call)
{
    uint32_t work = WORLD_NONE, server = world_server(call->world, call->path[1]);
    if (server == WORLD_NONE)
        call_error(call, 404, NO_SERVER);
    else if (call->world->behaviour.refuse_collect)
        call_error(call, 403, "Access denied");
    else
        accept_work(call, work_collect(call->world, call->session, server, &work), &work);
}

/* The body's format must be the one asked for. */
static int read_spec(struct call *call, struct spec *ret, const char **ret_why)
{
    const char *type = call_header(call, "Content-Type");
    bool json = type && strcasestr(type, "json"), xml = type && strcasestr(type, "xml");
    *ret_why = "Content-Type must be application/xml or application/json";
    if (!json && !xml)
        return -1;
    *ret_why = "Node [root] does not exist.";
    if (json != call->json)
        return -1;
    if (json)
        return spec_read_json(call->body, ret, ret_why);
    enum immediate_order order = (enum immediate_order)call->world->behaviour.immediate_order;
    return spec_read_xml(call->body, order, ret, ret_why);
}

void route_clone(struct call *call)
{
    struct world *w = call->world;
    struct spec spec = {0};
    const char *why = NULL;
    uint32_t work = WORLD_NONE, source = world_job(w, call->path[1]);
    if (read_spec(call, &spec, &why) < 0) {
        call_error(call, 400, why ? why : "Out of memory");
    } else if (source == WORLD_NONE) {
        call_error(call, 404, NO_JOB);
    } else if (!w->jobs[source].clonable || strcmp(w->jobs[source].type, spec.clone.kind) != 0) {
        call_error(call, 400, "The job cannot be cloned with this kind of specification");
    } else {
        bool lost = call->fate.fault == FAULT_LOSE_ANSWER || call->fate.fault == FAULT_500_AFTER;
        accept_work(call, work_clone(w, call->session, source, &spec.clone, lost, &work), &work);
    }
    spec_done(&spec);
}
