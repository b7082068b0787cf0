#include "call.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

const char *call_arg(const struct call *call, const char *name)
{
    return MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *call_header(const struct call *call, const char *name)
{
    return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

bool call_wants_entity(const struct call *call)
{
    const char *format = call_arg(call, "format");
    return format && (strcasecmp(format, "Entity") == 0 || strcasecmp(format, "Entities") == 0);
}

void call_begin(struct call *call)
{
    const char *accept = call_header(call, "Accept");
    call->json = accept && strcasestr(accept, "application/json");
    out_init(&call->out,
             !call->json                  ? OUT_XML
             : call->world->behaviour.v13 ? OUT_JSON_V13
                                          : OUT_JSON,
             (enum out_wrap)call->world->behaviour.json_wrap);
}

void call_error(struct call *call, unsigned status, const char *message)
{
    enum out_format format = call->out.format;
    enum out_wrap wrap = call->out.wrap;
    out_done(&call->out);
    out_init(&call->out, format, wrap);
    call->status = status;
    out_root(&call->out, "Error");
    out_null(&call->out, "FirstChanceExceptionMessage");
    out_attr(&call->out, "Message", message);
    out_null(&call->out, "StackTrace");
    out_null(&call->out, "Status");
    out_attr_number(&call->out, "StatusCode", status);
    out_close(&call->out);
}

void call_href(const struct call *call, char ret[CALL_HREF_MAX], const char *format, ...)
{
    char tail[CALL_HREF_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(tail, sizeof(tail), format, args);
    va_end(args);
    int len = snprintf(ret, CALL_HREF_MAX, "%s%s", call->world->base_url, tail);
    if (len < 0)
        *ret = 0;
}

struct route {
    const char *method, *collection;
    unsigned n_path;
    const char *action; /* NULL: any */
    enum request_kind kind;
};

static const struct route ROUTES[] = {
    {"POST", "sessionMngr", 1, NULL, REQUEST_LOGON},
    {"GET", "logonSessions", 1, NULL, REQUEST_LOGONS},
    {"DELETE", "logonSessions", 2, NULL, REQUEST_LOGOFF},
    {"POST", "jobs", 2, "clone", REQUEST_CLONE},
    {"GET", "tasks", 1, NULL, REQUEST_TASKS},
    {"GET", "tasks", 2, NULL, REQUEST_TASK},
    {"DELETE", "tasks", 2, NULL, REQUEST_TASK_DELETE},
    {"GET", "query", 1, NULL, REQUEST_QUERY},
    {"GET", "jobs", 1, NULL, REQUEST_JOBS},
    {"GET", "jobs", 2, NULL, REQUEST_JOB},
    {"DELETE", "jobs", 2, NULL, REQUEST_JOB_DELETE},
    {"GET", "repositories", 1, NULL, REQUEST_REPOSITORIES},
    {"GET", "repositories", 2, NULL, REQUEST_REPOSITORY},
    {"GET", "backupServers", 1, NULL, REQUEST_SERVERS},
    {"GET", "backupServers", 2, NULL, REQUEST_SERVER},
    {"POST", "backupServers", 2, "collect", REQUEST_COLLECT},
};

static bool same_place(const struct route *route, const struct call *call)
{
    return route->n_path == call->n_path && strcasecmp(route->collection, call->path[0]) == 0;
}

static enum request_kind find_kind(struct call *call)
{
    bool place = false, method = false;
    if (call->n_path == 0)
        return strcmp(call->method, "GET") == 0 ? REQUEST_BASE : REQUEST_OTHER;
    if (strcmp(call->path[0], "sim") == 0)
        return REQUEST_SIM;
    const char *action = call_arg(call, "action");
    for (size_t i = 0; i < ARRAY_SIZE(ROUTES); i++) {
        const struct route *r = &ROUTES[i];
        if (!same_place(r, call))
            continue;
        place = true;
        if (strcmp(r->method, call->method) != 0)
            continue;
        method = true;
        if (!r->action || (action && strcasecmp(action, r->action) == 0))
            return r->kind;
    }
    call->wrong_method = place && !method;
    return REQUEST_OTHER;
}

int call_classify(struct call *call, const char *url)
{
    call->kind = REQUEST_OTHER;
    call->path_text = strdup(url);
    if (!call->path_text)
        return -ENOMEM;
    char *rest = NULL, *part = strtok_r(call->path_text, "/", &rest);
    bool api = part && strcasecmp(part, "api") == 0;
    if (!api && (!part || strcmp(part, "sim") != 0))
        return 0;
    if (api)
        part = strtok_r(NULL, "/", &rest);
    for (; part && call->n_path < CALL_PATH_MAX; part = strtok_r(NULL, "/", &rest))
        call->path[call->n_path++] = part;
    call->kind = find_kind(call);
    return 0;
}
