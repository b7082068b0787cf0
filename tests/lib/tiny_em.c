#include "tiny_em.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "codec/api.h"

#define NS " xmlns=\"http://www.veeam.com/ent/v1.0\""
#define UP                                                          \
    "<Link Rel=\"Up\" Type=\"BackupServerReference\" Name=\"vbr\" " \
    "Href=\"https://em/api/backupServers/" TINY_SERVER_ID "\"/>"
#define DAY_MS ((uint64_t)24 * 3600 * 1000)

/* ---- the store ---- */

struct tiny_run *tiny_row(struct tiny *tiny, const char *id)
{
    for (size_t i = 0; i < tiny->n_runs; i++)
        if (strcmp(tiny->runs[i].id, id) == 0)
            return &tiny->runs[i];
    assert_true(tiny->n_runs < TINY_RUNS_MAX);
    struct tiny_run *run = &tiny->runs[tiny->n_runs++];
    snprintf(run->id, sizeof(run->id), "%s", id);
    return run;
}

static void row_put(struct tiny *tiny, struct tiny_run *run, const struct item *item)
{
    struct item *row = &run->rows[item->index];
    const char **texts[] = {&row->name,           &row->folder,    &row->source_id,   &row->source_name,
                            &row->repository_uid, &row->server_id, &row->server_name, &row->session_id,
                            &row->task_id,        &row->job_uid,   &row->message};
    *row = *item;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        *texts[i] = arena_intern(tiny->arena, *texts[i]);
    run->stored[item->index] = true;
}

static void store_commit(struct store *store, const struct store_change *changes, size_t n,
                         void (*on_done)(int error, void *data), void *data)
{
    struct tiny *tiny = (struct tiny *)((char *)store - offsetof(struct tiny, store));
    assert_null(tiny->on_done); /* one batch at a time */
    for (size_t i = 0; i < n; i++) {
        struct tiny_run *run = tiny_row(tiny, changes[i].run_id);
        if (changes[i].item) {
            row_put(tiny, run, changes[i].item);
        } else {
            run->state = changes[i].run_state;
            run->wish = changes[i].run_wish;
            run->finished_ms = changes[i].finished_ms;
        }
    }
    tiny->commits++;
    tiny->on_done = on_done;
    tiny->on_done_data = data;
}

/* ---- the server's answers ---- */

static void say_task(const struct tiny *tiny, int i, struct buf *ret, const char *ns)
{
    const struct tiny_task *task = &tiny->tasks[i];
    bool ended = task->end_ms <= tiny->now_ms;
    buf_printf(ret, "<Task%s><Links>", ns);
    if (ended && !task->failed)
        buf_printf(ret, "<Link Rel=\"Related\" Type=\"Job\" Href=\"https://em/api/jobs/%s?format=Entity\"/>",
                   tiny->jobs[task->job].id);
    buf_printf(ret, "</Links><TaskId>task-%d</TaskId><State>%s</State><Operation>CloneJob</Operation>", i,
               ended ? "Finished" : "Running");
    if (ended)
        buf_printf(ret, "<Result Success=\"%s\"><Message>m</Message></Result>",
                   task->failed ? "false" : "true");
    buf_add_str(ret, "</Task>");
}

static void say_job(const struct tiny_job *job, struct buf *ret, const char *ns)
{
    buf_printf(
        ret,
        "<Job%s Name=\"%s\" UID=\"urn:veeam:Job:%s\" Href=\"https://em/api/jobs/%s?format=Entity\"><Links>" UP
        "<Link Rel=\"Clone\" Href=\"https://em/api/jobs/%s?action=clone\"/></Links>"
        "<JobType>Backup</JobType><Description>%s</Description></Job>",
        ns, job->name, job->id, job->id, job->id, job->description);
}

static void say_jobs(struct tiny *tiny, const char *path, struct buf *ret)
{
    const char *at = strstr(path, "&page="); /* a filter is not heeded: the client has to match anyway */
    unsigned page = at ? (unsigned)atoi(at + 6) : 1, n = 0;
    tiny->pages += !strstr(path, "format=Entities"); /* of names */
    buf_add_str(ret, "<QueryResult" NS "><Entities><Jobs>");
    for (int i = 0; i < tiny->n_jobs; i++) {
        if (tiny->jobs[i].hidden)
            continue;
        if (n++ / tiny->page_size == page - 1)
            say_job(&tiny->jobs[i], ret, "");
    }
    buf_printf(
        ret, "</Jobs></Entities><PagingInfo PageNum=\"%u\" PageSize=\"%u\" PagesCount=\"%u\"/></QueryResult>",
        page, tiny->page_size, (n + tiny->page_size - 1) / tiny->page_size);
}

static int job_of_path(const struct tiny *tiny, const char *path)
{
    const char *id = path + strlen("/api/jobs/");
    size_t len = strcspn(id, "?");
    for (int i = 0; i < tiny->n_jobs; i++)
        if (strlen(tiny->jobs[i].id) == len && strncmp(id, tiny->jobs[i].id, len) == 0)
            return i;
    return -1;
}

static void copy_element(const struct bytes *body, const char *element, char *ret, size_t size)
{
    char open[32], *text = strndup(body->data, body->len);
    assert_non_null(text);
    snprintf(open, sizeof(open), "<%s>", element);
    const char *at = strstr(text, open);
    const char *end = at ? strchr(at + strlen(open), '<') : NULL;
    snprintf(ret, size, "%.*s", at && end ? (int)(end - at - (long)strlen(open)) : 0,
             at ? at + strlen(open) : "");
    free(text);
}

static void make_clone(struct tiny *tiny, const struct http_request *request, struct buf *ret)
{
    struct tiny_job *job = &tiny->jobs[tiny->n_jobs];
    struct tiny_task *task = &tiny->tasks[tiny->n_tasks];
    assert_true(tiny->n_jobs < TINY_JOBS_MAX && tiny->n_tasks < TINY_JOBS_MAX);
    *task = (struct tiny_task){
        .job = tiny->n_jobs, .end_ms = tiny->now_ms + tiny->task_ms, .failed = tiny->fail_tasks};
    *job = (struct tiny_job){.hidden = tiny->hide || tiny->fail_tasks};
    snprintf(job->id, sizeof(job->id), "eeeeeeee-0000-0000-0000-%012d", tiny->n_jobs);
    copy_element(&request->body, "JobName", job->name, sizeof(job->name));
    copy_element(&request->body, "Description", job->description, sizeof(job->description));
    if (tiny->fail_tasks)
        job->name[0] = job->description[0] = '\0';
    tiny->n_jobs++;
    tiny->clones++;
    say_task(tiny, tiny->n_tasks++, ret, NS);
}

static int answer_get(struct tiny *tiny, const char *path, struct buf *ret)
{
    if (strcmp(path, "/api/tasks") == 0) {
        buf_add_str(ret, "<Tasks" NS ">");
        for (int i = 0; i < tiny->n_tasks; i++)
            if (!tiny->tasks[i].deleted)
                say_task(tiny, i, ret, "");
        buf_add_str(ret, "</Tasks>");
    } else if (strncmp(path, "/api/query?type=Job", 19) == 0) {
        say_jobs(tiny, path, ret);
    } else if (strncmp(path, "/api/query?type=Repository", 26) == 0) {
        buf_add_str(
            ret, "<QueryResult" NS
                 "><Refs><Ref UID=\"urn:veeam:Repository:aaaaaaaa-0000-0000-0000-000000000001\" Name=\"R\" "
                 "Type=\"RepositoryReference\"><Links>" UP "</Links></Ref></Refs></QueryResult>");
    } else if (strncmp(path, "/api/jobs/", 10) == 0) {
        int job = job_of_path(tiny, path);
        if (job < 0)
            return 404;
        say_job(&tiny->jobs[job], ret, NS);
    } else {
        buf_add_str(ret, "<LogonSessions" NS "/>");
    }
    return 200;
}

static int answer_delete(struct tiny *tiny, const char *path)
{
    if (strncmp(path, "/api/tasks/task-", 16) == 0) {
        tiny->tasks[atoi(path + 16)].deleted = true;
        tiny->deletes++;
    } else {
        tiny->logoffs++;
        tiny->session = 0;
    }
    return 204;
}

/* The server forgets the session and with it its tasks. */
static void log_on(struct tiny *tiny, struct buf *ret)
{
    tiny->session = ++tiny->logons;
    for (int i = 0; i < tiny->n_tasks; i++)
        tiny->tasks[i].deleted = true;
    buf_printf(ret,
               "<LogonSession" NS
               "><Links><Link Type=\"JobReferenceList\" Rel=\"Down\" Href=\"/api/jobs\"/></Links>"
               "<UserName>u</UserName><SessionId>session-%u</SessionId></LogonSession>",
               tiny->session);
}

static int answer(struct tiny *tiny, const struct http_request *request, struct buf *ret)
{
    char token[32];
    snprintf(token, sizeof(token), "token-%u", tiny->session);
    if (request->logon) {
        log_on(tiny, ret);
        return 201;
    }
    if (!request->session || !tiny->session || strcmp(request->session, token) != 0)
        return 401;
    if (request->method == HTTP_GET)
        return answer_get(tiny, request->path, ret);
    if (request->method == HTTP_DELETE)
        return answer_delete(tiny, request->path);
    if (strstr(request->path, "action=collect")) {
        for (int i = 0; i < tiny->n_jobs && !tiny->stale; i++)
            tiny->jobs[i].hidden = !tiny->jobs[i].name[0];
        buf_add_str(ret, "<Task" NS "><TaskId>task-c</TaskId><State>Finished</State>"
                         "<Operation>CollectingBackupServer</Operation></Task>");
        return 202;
    }
    make_clone(tiny, request, ret);
    return 202;
}

/* ---- the ports ---- */

static int http_start(struct http *http, struct http_request *request)
{
    struct tiny *tiny = (struct tiny *)((char *)http - offsetof(struct tiny, http));
    assert_true(tiny->n_flights < TINY_FLIGHTS_MAX);
    tiny->flights[tiny->n_flights++] = request;
    if (tiny->n_flights > tiny->flights_most)
        tiny->flights_most = tiny->n_flights;
    return 0;
}

static void http_abort(struct http *http, struct http_request *request)
{
    (void)http;
    (void)request;
}

static void give_answer(struct tiny *tiny, struct http_request *request)
{
    char token[32];
    struct buf body = BUF_INIT((size_t)1 << 20);
    bool clone = strstr(request->path, "action=clone") != NULL;
    struct http_reply reply = {.outcome = HTTP_ANSWERED, .retry_after_ms = -1, .error = ""};
    reply.status = answer(tiny, request, &body);
    snprintf(token, sizeof(token), "token-%u", tiny->session);
    reply.session = request->logon ? token : NULL;
    if (clone && reply.status == 202 && tiny->lose_replies) {
        tiny->lose_replies--;
        reply = (struct http_reply){.outcome = HTTP_LOST, .retry_after_ms = -1, .error = "reset"};
    } else if (body.len) {
        request->on_body(body.data, body.len, request->user);
    }
    request->on_reply(request, &reply, request->user);
    buf_done(&body);
}

static void deliver(struct tiny *tiny)
{
    struct http_request *due[TINY_FLIGHTS_MAX];
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < tiny->n_flights; i++) {
        bool clone = strstr(tiny->flights[i]->path, "action=clone") != NULL;
        if (tiny->deaf || (clone && tiny->hold_clones))
            tiny->flights[kept++] = tiny->flights[i];
        else
            due[n++] = tiny->flights[i];
    }
    tiny->n_flights = kept;
    for (size_t i = 0; i < n; i++)
        give_answer(tiny, due[i]);
    if (tiny->on_done) {
        void (*on_done)(int error, void *data) = tiny->on_done;
        tiny->on_done = NULL;
        on_done(0, tiny->on_done_data);
    }
}

/* ---- turning ---- */

struct instant tiny_now(const struct tiny *tiny)
{
    return (struct instant){tiny->now_ms, 1790000000000 + (int64_t)tiny->now_ms};
}

void tiny_turn(struct tiny *tiny, uint64_t for_ms)
{
    uint64_t until = tiny->now_ms + for_ms;
    for (int i = 0; i < 1000000; i++) {
        engine_advance(tiny->engine, tiny_now(tiny));
        tiny->wake = false;
        deliver(tiny);
        uint64_t due = engine_next_due(tiny->engine);
        if (tiny->wake || due <= tiny->now_ms)
            tiny->now_ms += due <= tiny->now_ms; /* a loop turns no faster than this */
        else if (due <= until)
            tiny->now_ms = due;
        else
            break;
        if (tiny->now_ms > until)
            break;
    }
    if (tiny->now_ms < until)
        tiny->now_ms = until;
}

bool tiny_until_over(struct tiny *tiny, const char *id)
{
    for (uint64_t end = tiny->now_ms + DAY_MS; tiny->now_ms < end; tiny_turn(tiny, 100))
        if (engine_run_status(tiny->engine, id).over)
            return true;
    return false;
}

static void on_wake(void *data)
{
    ((struct tiny *)data)->wake = true;
}

static void on_run(const char *run_id, void *data)
{
    (void)run_id;
    ((struct tiny *)data)->announced++;
}

static void on_session(const char *server, const char *token, const char *session_id, void *data)
{
    struct tiny *tiny = data;
    assert_string_equal(server, "tiny");
    snprintf(tiny->session_token, sizeof(tiny->session_token), "%s", token ? token : "");
    snprintf(tiny->session_id, sizeof(tiny->session_id), "%s", session_id ? session_id : "");
}

static void on_transition(const char *run_id, const struct item *from, const struct item *to, void *data)
{
    const struct item *row = &tiny_row(data, run_id)->rows[to->index];
    (void)from;
    assert_int_equal(row->state, to->state); /* stored before it is true */
}

static void start_engine(struct tiny *tiny)
{
    struct engine_config config = {.store = &tiny->store,
                                   .seed = 1,
                                   .open_in_outage = tiny->open_in_outage,
                                   .on_wake = on_wake,
                                   .on_transition = on_transition,
                                   .on_run = on_run,
                                   .on_session = on_session,
                                   .data = tiny};
    tiny->engine = engine_new(&config);
    assert_non_null(tiny->engine);
    assert_int_equal(engine_add_server(tiny->engine, &tiny->settings, &tiny->http, &api_xml), 0);
}

void tiny_restart(struct tiny *tiny)
{
    engine_free(tiny->engine);
    tiny->n_flights = 0;
    tiny->on_done = NULL;
    start_engine(tiny);
}

void tiny_init(struct tiny *tiny)
{
    static char name[] = "tiny", username[] = "u", version[] = "latest";
    *tiny = (struct tiny){.now_ms = 1000, .page_size = 500, .task_ms = 300};
    tiny->settings = (struct server_settings){.name = name,
                                              .username = username,
                                              .api_version = version,
                                              .in_flight_initial = 4,
                                              .in_flight_max = 8,
                                              .tasks_max = 10,
                                              .poll_interval_ms = 100,
                                              .poll_max_ms = 1000,
                                              .settle_ms = 1200000,
                                              .unreachable_ms = 300000,
                                              .request_ms = 60000,
                                              .keepalive_ms = 300000};
    tiny->http = (struct http){http_start, http_abort};
    tiny->store.commit = store_commit;
    tiny->arena = arena_new();
    assert_non_null(tiny->arena);
    tiny_add_job(tiny, "T", "");
    start_engine(tiny);
}

void tiny_done(struct tiny *tiny)
{
    engine_free(tiny->engine);
    arena_free(tiny->arena);
}

int tiny_add_job(struct tiny *tiny, const char *name, const char *description)
{
    struct tiny_job *job = &tiny->jobs[tiny->n_jobs];
    *job = (struct tiny_job){0};
    snprintf(job->id, sizeof(job->id), "eeeeeeee-0000-0000-0000-%012d", tiny->n_jobs);
    snprintf(job->name, sizeof(job->name), "%s", name);
    snprintf(job->description, sizeof(job->description), "%s", description);
    return tiny->n_jobs++;
}

struct plan *tiny_plan(const char *const *names, size_t n, enum on_conflict on_conflict)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct plan_clone *clones = calloc(n, sizeof(*clones));
    assert_true(plan && clones && n <= TINY_ITEMS_MAX);
    *plan = (struct plan){.arena = arena_new(),
                          .file = "tiny.yaml",
                          .name = "tiny",
                          .server = "tiny",
                          .attempts = 3,
                          .retry_initial_ms = 1000,
                          .retry_max_ms = 4000,
                          .task_timeout_ms = 1800000,
                          .clones = clones,
                          .n_clones = n};
    for (size_t i = 0; i < n; i++)
        clones[i] = (struct plan_clone){.source = {PLAN_REF_NAME, "T"},
                                        .repository = {PLAN_REF_NAME, "R"},
                                        .name = names[i],
                                        .on_conflict = on_conflict};
    return plan;
}

void tiny_add_run(struct tiny *tiny, const char *id, struct plan *plan, struct engine_run_options options)
{
    struct item stored[TINY_ITEMS_MAX];
    struct tiny_run *row = tiny_row(tiny, id);
    options.id = id;
    options.plan = plan;
    options.stored = stored;
    for (size_t i = 0; i < plan->n_clones && options.resumed; i++)
        if (row->stored[i])
            stored[options.n_stored++] = row->rows[i];
    if (options.resumed) {
        options.wish = row->wish;
        options.state = row->state;
    }
    assert_int_equal(engine_add_run(tiny->engine, &options, tiny_now(tiny)), 0);
}

const struct item *tiny_item(const struct tiny *tiny, const char *id, size_t index)
{
    const struct item *item = engine_run_item(tiny->engine, id, index);
    assert_non_null(item);
    return item;
}

enum item_state tiny_state(const struct tiny *tiny, const char *id, size_t index)
{
    return tiny_item(tiny, id, index)->state;
}

int tiny_named(const struct tiny *tiny, const char *name)
{
    int n = 0;
    for (int i = 0; i < tiny->n_jobs; i++)
        n += strcmp(tiny->jobs[i].name, name) == 0;
    return n;
}
