/* One request from its head to the call of its op. Happy path: the head gives
 * the route and says how long the body is, the body arrives, the op is called,
 * the client is suspended until control_answer. What is wrong is answered as
 * soon as it is seen; libmicrohttpd then closes the connection if a body was to come. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/control_json.h"
#include "io/control_parts.h"
#include "io/plan_files.h"

#define BODY_SMALL 4096
#define BODY_FOR_PLAN 4 /* times plan_bytes: JSON needs two bytes for a line end, and there are CSV files */
#define BODIES_AT_ONCE 2
#define LIST_DEFAULT 1000
#define LIST_MAX 10000
#define ERROR_BYTES (256 * 1024)

enum method { METHOD_GET, METHOD_POST };
enum body_kind { BODY_NONE, BODY_PLAN, BODY_CANCEL };
enum text_kind { TEXT_NONE, TEXT_RUN, TEXT_NAME };

/* A path: `head`, then a run or a name if there is one, then `tail`. */
struct route {
    const char *head, *tail;
    enum text_kind text;
    enum method method;
    enum body_kind body;
    const char *type;     /* of the answer; NULL: JSON */
    const char *argument; /* the one that its query may have, or NULL */
    const char *logged;   /* what it changes, for the log, or NULL */
    bool makes_run;
    void (*ask)(struct control_request *request);
};

/* ---- calling the ops ---- */

#define OPS(request) ((request)->control->options.ops)
#define DATA(request) ((request)->control->options.data)

static void ask_status(struct control_request *r)
{
    OPS(r)->status(r, DATA(r));
}

static void ask_show(struct control_request *r)
{
    OPS(r)->show(r, r->text, DATA(r));
}

static void ask_result(struct control_request *r)
{
    OPS(r)->result(r, r->text, DATA(r));
}

static void ask_report(struct control_request *r)
{
    OPS(r)->report(r, r->text, DATA(r));
}

static void ask_pause(struct control_request *r)
{
    OPS(r)->pause(r, r->text, DATA(r));
}

static void ask_resume(struct control_request *r)
{
    OPS(r)->resume(r, r->text, DATA(r));
}

static void ask_retry(struct control_request *r)
{
    OPS(r)->retry(r, r->text, DATA(r));
}

static void ask_schedules(struct control_request *r)
{
    OPS(r)->schedules(r, DATA(r));
}

static void ask_run_schedule(struct control_request *r)
{
    OPS(r)->run_schedule(r, r->text, DATA(r));
}

static const char *argument(const struct control_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->client, MHD_GET_ARGUMENT_KIND, name);
}

/* One more than was asked for: so it is seen that there are more. */
static void ask_list(struct control_request *r)
{
    const char *text = argument(r, "limit");
    char *end = NULL;
    unsigned long limit = text ? strtoul(text, &end, 10) : LIST_DEFAULT;
    if (text && (!isdigit((unsigned char)*text) || *end || limit < 1 || limit > LIST_MAX)) {
        control_reply_error(r, CONTROL_E_BAD_REQUEST, "limit must be a number from 1 to %d", LIST_MAX);
        return;
    }
    r->limit = limit;
    OPS(r)->list(r, limit + 1, DATA(r));
}

static void ask_cancel(struct control_request *r)
{
    _cleanup_(buf_done) struct buf error = BUF_INIT(ERROR_BYTES);
    bool stop_tasks;
    int e = control_json_decode_cancel((struct bytes){r->body.data, r->body.len}, &stop_tasks, &error);
    if (e == 0)
        OPS(r)->cancel(r, r->text, stop_tasks, DATA(r));
    else if (e == -ENOMEM)
        control_reply_error(r, CONTROL_E_INTERNAL, "out of memory; try again");
    else
        control_reply_error(r, CONTROL_E_BAD_REQUEST, "%s", buf_str(&error));
}

static bool run_text_good(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]))
            return false;
    return len >= 1 && len <= CONTROL_ID_LEN;
}

static void ask_events(struct control_request *r)
{
    const char *run = argument(r, "run");
    if (run && (!run_text_good(run) || strlen(run) != CONTROL_ID_LEN)) {
        control_reply_error(r, CONTROL_E_BAD_REQUEST, "run must be the whole id of a run");
        return;
    }
    control_watch_begin(r, run ? run : "",
                        MHD_lookup_connection_value(r->client, MHD_HEADER_KIND, "Last-Event-ID"));
}

/* The parts of a plan change hands: nothing is copied. */
static struct plan_files *files_of_plan(struct control_plan *plan, size_t plan_bytes)
{
    struct plan_files *files = calloc(1, sizeof(*files));
    if (!files)
        return NULL;
    *files = (struct plan_files){
        .path = TAKE_PTR(plan->file), .bytes = plan->bytes, .plan_bytes = plan_bytes, .sealed = true};
    plan->bytes = BUF_INIT(plan_bytes);
    return files;
}

static int keep_csv(struct plan_files *files, struct control_plan *plan, struct buf *error)
{
    int e = 0;
    for (size_t i = 0; i < plan->n_csv && e == 0; i++) {
        e = plan_files_keep_csv(files, plan->csv[i].path, &plan->csv[i].bytes);
        if (e == -EEXIST)
            buf_printf(error, "the CSV file %s is given twice", plan->csv[i].path);
    }
    return e;
}

/* 0 and files for the service to free; or the request is answered. */
static int take_plan(struct control_request *r, struct plan_files **ret)
{
    _cleanup_(buf_done) struct buf error = BUF_INIT(ERROR_BYTES);
    struct control_plan plan;
    size_t plan_bytes = r->control->options.plan_bytes;
    int e = control_json_decode_plan((struct bytes){r->body.data, r->body.len}, plan_bytes, &plan, &error);
    struct plan_files *files = NULL;
    buf_done(&r->body);
    if (e == 0) {
        files = files_of_plan(&plan, plan_bytes);
        e = files ? keep_csv(files, &plan, &error) : -ENOMEM;
    }
    control_plan_done(&plan);
    if (e < 0 && files) {
        plan_files_done(files);
        free(files);
    }
    if (e == -EFBIG)
        control_reply_error(r, CONTROL_E_TOO_LARGE, "%s; split the plan, or raise the limit",
                            buf_str(&error));
    else if (e < 0 && error.len > 0)
        control_reply_error(r, CONTROL_E_BAD_REQUEST, "%s", buf_str(&error));
    else if (e < 0)
        control_reply_error(r, CONTROL_E_INTERNAL, "out of memory; try again");
    *ret = files;
    return e;
}

static void ask_submit(struct control_request *r)
{
    struct plan_files *files;
    if (take_plan(r, &files) == 0)
        OPS(r)->submit(r, files, DATA(r));
}

static void ask_preview(struct control_request *r)
{
    struct plan_files *files;
    if (take_plan(r, &files) == 0)
        OPS(r)->preview(r, files, DATA(r));
}

/* ---- routes ---- */

static const struct route routes[] = {
    {"/v1/status", "", .method = METHOD_GET, .ask = ask_status},
    {"/v1/runs", "", .method = METHOD_GET, .ask = ask_list, .argument = "limit"},
    {"/v1/runs", "", .method = METHOD_POST, .body = BODY_PLAN, .ask = ask_submit, .logged = "submit",
     .makes_run = true},
    {"/v1/preview", "", .method = METHOD_POST, .body = BODY_PLAN, .ask = ask_preview},
    {"/v1/runs/", "", TEXT_RUN, METHOD_GET, .ask = ask_show},
    {"/v1/runs/", "/result", TEXT_RUN, METHOD_GET, .ask = ask_result},
    {"/v1/runs/", "/report", TEXT_RUN, METHOD_GET, .ask = ask_report, .type = "text/plain; charset=utf-8"},
    {"/v1/runs/", "/pause", TEXT_RUN, METHOD_POST, .ask = ask_pause, .logged = "pause"},
    {"/v1/runs/", "/resume", TEXT_RUN, METHOD_POST, .ask = ask_resume, .logged = "resume"},
    {"/v1/runs/", "/cancel", TEXT_RUN, METHOD_POST, BODY_CANCEL, .ask = ask_cancel, .logged = "cancel"},
    {"/v1/runs/", "/retry", TEXT_RUN, METHOD_POST, .ask = ask_retry, .logged = "retry"},
    {"/v1/schedules", "", .method = METHOD_GET, .ask = ask_schedules},
    {"/v1/schedules/", "/run", TEXT_NAME, METHOD_POST, .ask = ask_run_schedule, .logged = "run schedule",
     .makes_run = true},
    {"/v1/events", "", .method = METHOD_GET, .ask = ask_events, .argument = "run"},
};

const char *control_request_type(const struct control_request *request)
{
    return request->route && request->route->type ? request->route->type : "application/json";
}

/* True when the path is the route's; *ret_text is then what stands between head and tail. */
static bool route_has(const struct route *route, const char *path, struct bytes *ret_text)
{
    size_t head = strlen(route->head), tail = strlen(route->tail), len = strlen(path);
    if (len < head + tail || strncmp(path, route->head, head) != 0 ||
        strcmp(path + len - tail, route->tail) != 0)
        return false;
    *ret_text = (struct bytes){path + head, len - head - tail};
    if (route->text == TEXT_NONE)
        return ret_text->len == 0;
    return ret_text->len > 0 && (route->text == TEXT_NAME || !memchr(ret_text->data, '/', ret_text->len));
}

static void reply_no_method(struct control_request *r, bool get, bool post)
{
    const char *allow = get && post ? "GET, HEAD, POST" : get ? "GET, HEAD" : "POST";
    control_reply_error(r, CONTROL_E_METHOD, "this path takes %s; see docs/control-api.md", allow);
    if (r->response)
        MHD_add_response_header(r->response, MHD_HTTP_HEADER_ALLOW, allow);
}

/* Sets route and text, or answers. */
static void find_route(struct control_request *r, const char *path, const char *method)
{
    bool is_get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    bool is_post = strcmp(method, "POST") == 0, get = false, post = false;
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        struct bytes text;
        if (!route_has(&routes[i], path, &text))
            continue;
        get |= routes[i].method == METHOD_GET;
        post |= routes[i].method == METHOD_POST;
        if (routes[i].method == METHOD_GET ? !is_get : !is_post)
            continue;
        r->route = &routes[i];
        r->makes_run = routes[i].makes_run;
        r->text = strndup(text.data, text.len);
        if (!r->text)
            control_reply_error(r, CONTROL_E_INTERNAL, "out of memory; try again");
        return;
    }
    if (get || post)
        reply_no_method(r, get, post);
    else
        control_reply_error(r, CONTROL_E_NOT_FOUND, "there is nothing at %.200s; see docs/control-api.md",
                            path);
}

static void check_text(struct control_request *r)
{
    if (r->route->text != TEXT_RUN)
        return;
    if (!run_text_good(r->text)) {
        control_reply_error(r, CONTROL_E_NOT_FOUND,
                            "no run can have the id \"%.60s\": ids have up to %d letters and digits", r->text,
                            CONTROL_ID_LEN);
        return;
    }
    for (char *c = r->text; *c; c++)
        *c = (char)toupper((unsigned char)*c);
}

static enum MHD_Result check_argument(void *data, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    struct control_request *r = data;
    (void)kind;
    if (value && r->route->argument && strcmp(name, r->route->argument) == 0)
        return MHD_YES;
    control_reply_error(r, CONTROL_E_BAD_REQUEST,
                        "unknown query parameter \"%.60s\"; see docs/control-api.md", name);
    return MHD_NO;
}

/* ---- the body ---- */

static size_t body_limit(const struct control_request *r)
{
    switch (r->route->body) {
    case BODY_PLAN:
        return r->control->options.plan_bytes * BODY_FOR_PLAN + BODY_SMALL;
    case BODY_CANCEL:
        return BODY_SMALL;
    case BODY_NONE:
        break;
    }
    return 0;
}

static const char *header(const struct control_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->client, MHD_HEADER_KIND, name);
}

static void check_type(struct control_request *r)
{
    static const char json[] = "application/json";
    const char *type = header(r, MHD_HTTP_HEADER_CONTENT_TYPE);
    size_t len = strlen(json);
    if (type && (strncasecmp(type, json, len) != 0 || (type[len] && !strchr("; \t", type[len]))))
        control_reply_error(r, CONTROL_E_BAD_REQUEST,
                            "the body must be %s, not %.100s: say -H 'Content-Type: %s'", json, type, json);
}

/* Room for the body within its own limit and that of all bodies together. */
static void reserve(struct control_request *r, size_t len)
{
    size_t limit = body_limit(r);
    size_t all = BODIES_AT_ONCE * (r->control->options.plan_bytes * BODY_FOR_PLAN + BODY_SMALL);
    if (len > limit && limit == 0)
        control_reply_error(r, CONTROL_E_BAD_REQUEST, "this request takes no body");
    else if (len > limit)
        control_reply_error(r, CONTROL_E_TOO_LARGE,
                            "the body has %zu bytes, at most %zu are possible here; split the plan, or raise "
                            "limits.plan_bytes",
                            len, limit);
    else if (r->control->body_bytes + len > all)
        control_reply_error(r, CONTROL_E_BUSY, "other large requests are being read; try again soon");
    else {
        r->control->body_bytes += len;
        r->reserved = len;
        r->body = BUF_INIT(len);
    }
}

static void check_body(struct control_request *r)
{
    const char *length = header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    char *end = NULL;
    errno = 0;
    unsigned long long len = length ? strtoull(length, &end, 10) : 0;
    if (header(r, MHD_HTTP_HEADER_TRANSFER_ENCODING) || (!length && r->route->body == BODY_PLAN))
        control_reply_error(r, CONTROL_E_LENGTH, "the body's length must be told by Content-Length");
    else if (length && (!isdigit((unsigned char)*length) || *end))
        control_reply_error(r, CONTROL_E_BAD_REQUEST, "Content-Length is no number");
    else
        reserve(r, errno == ERANGE ? SIZE_MAX : (size_t)len);
    if (!r->response && len > 0)
        check_type(r);
}

/* ---- from libmicrohttpd ---- */

/* All that the head tells. */
static void read_head(struct control_request *r, const char *path, const char *method)
{
    if (r->control->closing) {
        control_reply_error(r, CONTROL_E_STOPPING, "the daemon is stopping; try again when it is up again");
        return;
    }
    find_route(r, path, method);
    if (!r->response)
        check_text(r);
    if (!r->response)
        MHD_get_connection_values(r->client, MHD_GET_ARGUMENT_KIND, check_argument, r);
    if (!r->response)
        check_body(r);
}

static struct control_request *request_new(struct control *control, struct MHD_Connection *client)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(client, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info ? info->socket_context : NULL;
    struct control_request *r = connection ? calloc(1, sizeof(*r)) : NULL;
    if (!r)
        return NULL;
    r->control = control;
    r->client = client;
    r->connection = connection;
    r->uid = connection->uid;
    connection->request = r;
    return r;
}

static void set_phase(struct control_request *r, enum connection_phase phase)
{
    r->connection->phase = phase;
    r->connection->since_ms = uv_now(r->control->loop);
}

static enum MHD_Result send_answer(struct control_request *r)
{
    set_phase(r, CONNECTION_ANSWERING);
    return MHD_queue_response(r->client, r->status, r->response);
}

/* The request is whole: the service gets it, once. */
static enum MHD_Result ask(struct control_request *r)
{
    if (!r->asked) {
        r->asked = true;
        set_phase(r, CONNECTION_ASKED);
        if (r->route->logged)
            log_info("control: uid %u: %s%s%s", (unsigned)r->uid, r->route->logged, *r->text ? " " : "",
                     r->text);
        r->route->ask(r);
    }
    if (r->response)
        return send_answer(r);
    r->suspended = true;
    MHD_suspend_connection(r->client);
    return MHD_YES;
}

enum MHD_Result control_on_request(void *data, struct MHD_Connection *client, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_len, void **state)
{
    struct control_request *r = *state;
    (void)version;
    if (!r) {
        *state = r = request_new(data, client);
        if (!r)
            return MHD_NO;
        read_head(r, url, method);
        return r->response ? send_answer(r) : MHD_YES;
    }
    if (*upload_len > 0) {
        int e = buf_add(&r->body, upload, *upload_len);
        *upload_len = 0;
        return e < 0 ? MHD_NO : MHD_YES;
    }
    return ask(r);
}

void control_request_leave(struct control_request *r)
{
    if (r->reserved > 0)
        r->control->body_bytes -= r->reserved;
    r->control->answer_bytes -= r->held;
    buf_done(&r->body);
    r->connection->request = NULL;
    bool answered = r->response || !r->asked;
    if (r->response)
        MHD_destroy_response(r->response);
    r->response = NULL;
    r->client = NULL;
    r->control = NULL;
    r->connection = NULL;
    if (!answered)
        return; /* the service has it; control_answer frees it */
    free(r->text);
    free(r);
}

void control_on_done(void *data, struct MHD_Connection *client, void **state,
                     enum MHD_RequestTerminationCode code)
{
    (void)data, (void)client, (void)code;
    struct control_request *r = *state;
    *state = NULL;
    if (!r)
        return;
    r->connection->phase = CONNECTION_READING;
    r->connection->since_ms = uv_now(r->control->loop);
    r->connection->served = true;
    control_request_leave(r);
}
