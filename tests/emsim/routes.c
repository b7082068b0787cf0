#include "routes.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>

#include "session.h"

/* The cookie wins over the header, as on the real server. */
static void find_session(struct call *call)
{
    const char *token = MHD_lookup_connection_value(call->connection, MHD_COOKIE_KIND, "X-RestSvcSessionId");
    if (!token)
        token = call_header(call, "X-RestSvcSessionId");
    call->session = session_of_token(call->world, token);
}

/* A POST without a length is refused before anything else is looked at. */
static bool has_length(const struct call *call)
{
    return (strcmp(call->method, "POST") != 0 && strcmp(call->method, "PUT") != 0) ||
           call_header(call, "Content-Length") || call_header(call, "Transfer-Encoding");
}

static bool needs_administrator(const struct call *call)
{
    const char *type = call_arg(call, "type");
    switch (call->kind) {
    case REQUEST_CLONE:
    case REQUEST_JOBS:
    case REQUEST_JOB:
    case REQUEST_JOB_DELETE:
        return true;
    case REQUEST_QUERY:
        return type && (strcasecmp(type, "Job") == 0 || strcasecmp(type, "ObjectInJob") == 0);
    case REQUEST_BASE:
    case REQUEST_LOGON:
    case REQUEST_LOGONS:
    case REQUEST_LOGOFF:
    case REQUEST_TASKS:
    case REQUEST_TASK:
    case REQUEST_TASK_DELETE:
    case REQUEST_REPOSITORIES:
    case REQUEST_REPOSITORY:
    case REQUEST_SERVERS:
    case REQUEST_SERVER:
    case REQUEST_COLLECT:
    case REQUEST_OTHER:
    case REQUEST_SIM:
    case REQUEST_KIND_MAX:
        break;
    }
    return false;
}

/* Under only_format everything names exactly that one. */
static bool speaks_format(const struct call *call)
{
    static const char *const TYPES[] = {
        [ONLY_ANY] = NULL, [ONLY_XML] = "application/xml", [ONLY_JSON] = "application/json"};
    const char *type = TYPES[call->world->behaviour.only_format];
    const char *accept = call_header(call, "Accept"), *content = call_header(call, "Content-Type");
    if (!type || call->kind == REQUEST_SIM)
        return true;
    return accept && strcmp(accept, type) == 0 &&
           (!call->body.len || (content && strcmp(content, type) == 0));
}

static void dispatch(struct call *call)
{
    static void (*const ROUTE[REQUEST_KIND_MAX])(struct call *) = {
        [REQUEST_BASE] = route_base,
        [REQUEST_LOGON] = route_logon,
        [REQUEST_LOGONS] = route_logons,
        [REQUEST_LOGOFF] = route_logoff,
        [REQUEST_CLONE] = route_clone,
        [REQUEST_TASKS] = route_tasks,
        [REQUEST_TASK] = route_task,
        [REQUEST_TASK_DELETE] = route_task_delete,
        [REQUEST_QUERY] = route_query,
        [REQUEST_JOBS] = route_jobs,
        [REQUEST_JOB] = route_job,
        [REQUEST_JOB_DELETE] = route_job_delete,
        [REQUEST_REPOSITORIES] = route_repositories,
        [REQUEST_REPOSITORY] = route_repository,
        [REQUEST_SERVERS] = route_servers,
        [REQUEST_SERVER] = route_server,
        [REQUEST_COLLECT] = route_collect,
        [REQUEST_SIM] = route_sim,
    };
    if (ROUTE[call->kind])
        ROUTE[call->kind](call);
    else if (call->wrong_method)
        call_error(call, 405, "The resource has no such method");
    else
        call_error(call, 404, "There is no such resource or action");
}

void routes_serve(struct call *call)
{
    call->status = 200;
    if (!has_length(call)) {
        call_error(call, 411, "Length Required");
        return;
    }
    if (!speaks_format(call)) {
        call_error(call, 415, "Accept and Content-Type must name the one format that is spoken here");
        return;
    }
    if (call->kind != REQUEST_BASE && call->kind != REQUEST_LOGON && call->kind != REQUEST_SIM) {
        find_session(call);
        if (call->session != WORLD_NONE && call->fate.fault == FAULT_SESSION_EXPIRE) {
            session_close(call->world, call->session);
            call->session = WORLD_NONE;
        }
        if (call->session == WORLD_NONE) {
            call_error(call, 401, "Unauthorized");
            return;
        }
        const struct user *user = &call->world->users[call->world->sessions[call->session].user];
        if (!user->administrator && needs_administrator(call)) {
            call_error(call, 403, "Access denied");
            return;
        }
    }
    dispatch(call);
}
