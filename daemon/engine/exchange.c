/* One request and what came back for it. The body is read as it arrives and
 * only what may matter is kept; judging waits for the turn. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/parts.h"

/* Larger ones are not kept for the next request. */
#define SPARE_MAX 64
#define SPARE_BYTES 4096

/* Longer ones are a mistake of the server or of something before it: then it is asked again. */
#define RETRY_AFTER_MAX_MS (60 * 60 * 1000)

/* Makes room for one more element; -ENOMEM too when the answer would take more than SEEN_MAX,
 * the old table beside the new one while it grows. */
static int grow(const struct exchange *e, void **array, size_t n, size_t *size, size_t element)
{
    size_t more = n < *size ? 0 : *size ? *size * 2 : 16;
    if (arena_size(e->arena) + (*size + more) * element > SEEN_MAX)
        return -ENOMEM;
    if (!more)
        return 0;
    void *next = realloc(*array, more * element);
    if (!next)
        return -ENOMEM;
    *array = next;
    *size = more;
    return 0;
}

static int on_task(const struct api_task *task, void *data)
{
    struct exchange *e = data;
    e->n_seen++;
    if (e->kind == EXCHANGE_TASKS && e->serial == e->server->session.serial && !watch_lists(e, task))
        return 0;
    int r = grow(e, (void **)&e->tasks, e->n_tasks, &e->size_tasks, sizeof(*e->tasks));
    if (r < 0)
        return r;
    bool clone = strcmp(task->operation, "CloneJob") == 0;
    struct seen_task seen = {.id = arena_str(e->arena, task->id),
                             .state = task->state,
                             .clone = clone,
                             .has_result = task->has_result,
                             .success = task->success};
    if (task->state == API_TASK_FINISHED) {
        seen.message = arena_intern(e->arena, task->message);
        seen.job_id = arena_str(e->arena, task->job_id);
    }
    if (!seen.id)
        return -ENOMEM;
    e->tasks[e->n_tasks++] = seen;
    return 0;
}

/* Of a sweep only jobs with a mark and jobs of a name in doubt matter. */
static bool entity_matters(const struct exchange *e, const struct api_entity *entity)
{
    if (e->kind != EXCHANGE_SWEEP)
        return true;
    return strstr(entity->description, "[jobclone:") != NULL ||
           table_key(&e->server->sweep.strangers, entity->name) != NULL;
}

static int on_entity(const struct api_entity *entity, void *data)
{
    struct exchange *e = data;
    e->n_seen++;
    if (!entity_matters(e, entity))
        return 0;
    int r = grow(e, (void **)&e->entities, e->n_entities, &e->size_entities, sizeof(*e->entities));
    if (r < 0)
        return r;
    struct seen_entity seen = {.id = arena_str(e->arena, entity->id),
                               .name = arena_str(e->arena, entity->name),
                               .server_id = arena_intern(e->arena, entity->server_id),
                               .server_name = arena_intern(e->arena, entity->server_name),
                               .job_type = arena_intern(e->arena, entity->job_type),
                               .description = arena_str(e->arena, entity->description),
                               .kind = entity->kind,
                               .can_clone = entity->can_clone};
    if (!seen.id || !seen.name || !seen.server_id || !seen.server_name || !seen.job_type || !seen.description)
        return -ENOMEM;
    e->entities[e->n_entities++] = seen;
    return 0;
}

static const struct api_handlers handlers = {.on_task = on_task, .on_entity = on_entity};

/* ---- reading ---- */

/* Most answers come in one piece, so a few readers do for all that is in flight. */
static struct api_reader *reader_take(struct exchange *e)
{
    struct server *server = e->server;
    if (e->format != server->format || !server->n_readers)
        return e->format->reader_new(&handlers, e);
    struct api_reader *reader = server->readers[--server->n_readers];
    if (e->format->reader_again(reader, e) == 0)
        return reader;
    return e->format->reader_free(reader);
}

/* One that met an error is not kept: it may hold what made the error, thousands of names for one. */
static void reader_give(struct exchange *e)
{
    struct server *server = e->server;
    if (e->reader && !e->read_error && e->format == server->format && server->n_readers < READERS_KEPT)
        server->readers[server->n_readers++] = e->reader;
    else
        e->format->reader_free(e->reader);
    e->reader = NULL;
}

/* Keeps the transfer going after a reading error: the status alone may say enough. */
static int on_body(const char *data, size_t len, void *user)
{
    struct exchange *e = user;
    if (!e->reader && !e->read_error && !(e->reader = reader_take(e)))
        e->read_error = -ENOMEM;
    if (!e->read_error)
        e->read_error = e->format->reader_feed(e->reader, data, len);
    return 0;
}

/* A text of the document, kept when its reader goes. */
static const char *doc_text(struct exchange *e, const char *text)
{
    const char *copy = text && *text ? arena_str(e->arena, text) : "";
    if (!copy)
        e->read_error = -ENOMEM;
    return copy ? copy : "";
}

/* The body has ended; an answer may have none. */
static void exchange_read(struct exchange *e)
{
    if (e->reader) {
        int r = e->format->reader_end(e->reader, &e->doc);
        if (!e->read_error)
            e->read_error = r;
    }
    if (e->read_error)
        e->doc = (struct api_doc){0};
    e->doc.error_message = doc_text(e, e->doc.error_message);
    e->doc.session_id = doc_text(e, e->doc.session_id);
    reader_give(e);
}

static void exchange_unlink(struct exchange *e)
{
    if (e->prev)
        e->prev->next = e->next;
    else
        e->server->exchanges = e->next;
    if (e->next)
        e->next->prev = e->prev;
    e->prev = e->next = NULL;
}

static void on_reply(struct http_request *request, const struct http_reply *reply, void *user)
{
    struct exchange *e = user;
    struct engine *engine = e->server->engine;
    (void)request;
    exchange_read(e);
    e->outcome = reply->outcome;
    e->status = reply->status;
    e->retry_after_ms =
        reply->retry_after_ms < RETRY_AFTER_MAX_MS ? reply->retry_after_ms : RETRY_AFTER_MAX_MS;
    e->token = reply->session ? strdup(reply->session) : NULL;
    e->text = reply->error && *reply->error ? strdup(reply->error) : NULL;
    if (reply->session && !e->token && !e->read_error)
        e->read_error = -ENOMEM; /* a logon without its token is none */
    exchange_unlink(e);
    e->load = e->server->in_flight--;
    e->server->sent -= e->kind == EXCHANGE_SUBMIT;
    e->server->others -= e->kind != EXCHANGE_SUBMIT;
    engine_answered(engine, e);
    if (e->kind == EXCHANGE_SUBMIT)
        submit_flush(e->server); /* not in the turn, when all that came with it has been read */
    engine->config.on_wake(engine->config.data);
}

static void secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void exchange_destroy(struct exchange *e)
{
    arena_free(e->arena);
    buf_done(&e->path);
    buf_done(&e->body);
    free(e->tasks);
    free(e->entities);
    free(e);
}

void exchange_free_spare(struct server *server)
{
    while (server->spare) {
        struct exchange *e = server->spare;
        server->spare = e->next;
        exchange_destroy(e);
    }
    server->n_spare = 0;
    while (server->n_readers)
        server->format->reader_free(server->readers[--server->n_readers]);
}

/* An exchange of the common size is kept for the next request. */
static bool exchange_keep(struct exchange *e)
{
    struct server *server = e->server;
    bool large =
        e->size_tasks > SPARE_MAX || e->size_entities > SPARE_MAX || arena_size(e->arena) > SPARE_BYTES;
    if (large || server->n_spare >= server->settings->in_flight_max)
        return false;
    arena_reset(e->arena);
    buf_reset(&e->path);
    buf_reset(&e->body);
    *e = (struct exchange){.next = server->spare,
                           .server = server,
                           .path = e->path,
                           .body = e->body,
                           .arena = e->arena,
                           .tasks = e->tasks,
                           .size_tasks = e->size_tasks,
                           .entities = e->entities,
                           .size_entities = e->size_entities};
    server->spare = e;
    server->n_spare++;
    return true;
}

struct exchange *exchange_free(struct exchange *e)
{
    if (!e)
        return NULL;
    secret_free(e->token);
    secret_free(e->sent_token);
    free(e->text);
    e->token = e->sent_token = e->text = NULL;
    if (!e->arena || !exchange_keep(e))
        exchange_destroy(e);
    return NULL;
}

static bool exchange_is_list(enum exchange_kind kind)
{
    return kind == EXCHANGE_TASKS || kind == EXCHANGE_NAMES || kind == EXCHANGE_SWEEP ||
           kind == EXCHANGE_NAMED;
}

/* One that is empty: kept from an earlier request, or made. */
static struct exchange *exchange_take(struct server *server)
{
    struct exchange *e = server->spare;
    if (e) {
        server->spare = e->next;
        server->n_spare--;
        e->next = NULL;
        return e;
    }
    e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    *e = (struct exchange){
        .server = server, .path = BUF_INIT(16 * 1024), .body = BUF_INIT(64 * 1024), .arena = arena_new()};
    return e->arena ? e : exchange_free(e);
}

struct exchange *exchange_new_as(struct server *server, enum exchange_kind kind, enum http_method method,
                                 const struct api_format *format)
{
    struct exchange *e = exchange_take(server);
    if (!e)
        return NULL;
    e->format = format;
    e->kind = kind;
    e->serial = server->session.serial;
    if (server->token && kind != EXCHANGE_LOGON && !(e->sent_token = strdup(server->token)))
        return exchange_free(e);
    e->request = (struct http_request){.method = method,
                                       .media_type = format->media_type,
                                       .session = e->sent_token,
                                       .logon = kind == EXCHANGE_LOGON,
                                       .once = kind == EXCHANGE_SUBMIT,
                                       .body_max = exchange_is_list(kind) ? LIST_MAX : ANSWER_MAX,
                                       .on_body = on_body,
                                       .on_reply = on_reply,
                                       .user = e};
    return e;
}

struct exchange *exchange_new(struct server *server, enum exchange_kind kind, enum http_method method)
{
    return exchange_new_as(server, kind, method, server->format);
}

/* Sends it. On failure the exchange is freed and nothing was sent. */
int exchange_start(struct exchange *e)
{
    struct server *server = e->server;
    if (e->path.error || e->body.error) { /* half a request asks for something else */
        int error = e->path.error ? e->path.error : e->body.error;
        exchange_free(e);
        return error;
    }
    e->request.path = buf_str(&e->path);
    if (e->body.len)
        e->request.body = (struct bytes){e->body.data, e->body.len};
    e->started_ms = server->engine->now.mono_ms;
    int r = server->http->start(server->http, &e->request);
    if (r < 0) {
        exchange_free(e);
        return r;
    }
    e->next = server->exchanges;
    if (e->next)
        e->next->prev = e;
    server->exchanges = e;
    server->in_flight++;
    server->sent += e->kind == EXCHANGE_SUBMIT;
    server->others += e->kind != EXCHANGE_SUBMIT;
    if (e->kind == EXCHANGE_SUBMIT || e->kind == EXCHANGE_NAMES || e->kind == EXCHANGE_SOURCE)
        server->named = e->kind != EXCHANGE_SUBMIT;
    if (e->kind == EXCHANGE_SUBMIT || e->kind == EXCHANGE_SWEEP)
        server->swept = e->kind == EXCHANGE_SWEEP;
    server->last_sent_ms = e->started_ms;
    return 0;
}

/* Is the answer's body the document that was asked for? */
static bool exchange_fits(const struct exchange *e)
{
    if (e->read_error)
        return false;
    switch (e->kind) {
    case EXCHANGE_LOGON:
        return e->doc.kind == API_DOC_LOGON && e->token && *e->doc.session_id;
    case EXCHANGE_SUBMIT:
        return e->status == 202 && e->doc.kind == API_DOC_TASK && e->n_tasks == 1 && *e->tasks[0].id;
    case EXCHANGE_TASK:
        return e->doc.kind == API_DOC_TASK && e->n_tasks == 1;
    case EXCHANGE_TASKS:
        return e->doc.kind == API_DOC_TASKS;
    case EXCHANGE_NAMES:
        return e->doc.kind == API_DOC_QUERY || e->doc.kind == API_DOC_REFS;
    case EXCHANGE_SWEEP:
    case EXCHANGE_NAMED:
        return e->doc.kind == API_DOC_QUERY;
    case EXCHANGE_SOURCE:
    case EXCHANGE_LOOK:
        return e->n_entities == 1;
    case EXCHANGE_COLLECT:
        return e->doc.kind == API_DOC_TASK;
    case EXCHANGE_KEEPALIVE:
    case EXCHANGE_LOGOFF:
    case EXCHANGE_TIDY:
    case EXCHANGE_KIND_COUNT:
        break;
    }
    return true;
}

enum fault exchange_fault(const struct exchange *e)
{
    return fault_of_reply(e->kind, e->outcome, e->status, exchange_fits(e));
}

const struct fault_decision *exchange_decision(const struct exchange *e)
{
    return fault_decide(e->kind, exchange_fault(e));
}

const char *exchange_text(const struct exchange *e, struct arena *arena)
{
    struct buf text = BUF_INIT(4096);
    if (e->outcome != HTTP_ANSWERED)
        buf_printf(&text, "no answer: %.1000s", e->text && *e->text ? e->text : "the connection ended");
    else if (!e->read_error && e->doc.kind == API_DOC_ERROR && *e->doc.error_message)
        buf_printf(&text, "%.2000s", e->doc.error_message);
    else if (e->read_error || (e->status >= 200 && e->status < 300))
        buf_printf(&text, "HTTP %d with a body that is not the API's %s", e->status, e->format->name);
    else
        buf_printf(&text, "HTTP %d without an explanation", e->status);
    const char *copy = text.error ? NULL : arena_intern(arena, buf_str(&text));
    buf_done(&text);
    return copy ? copy : "out of memory";
}
