/* The model server: the truth about clones, and every way to spoil an answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "world.h"

enum spoil {
    SPOIL_NONE,
    SPOIL_UNSENT,
    SPOIL_REQUEST_LOST,
    SPOIL_REPLY_LOST,
    SPOIL_LATE,
    SPOIL_500_BEFORE,
    SPOIL_500_AFTER,
    SPOIL_503,
    SPOIL_429,
    SPOIL_GARBLED
};

/* One request on its way; the strings are copies, since the engine may crash meanwhile. */
struct flight {
    struct http_request *request;
    unsigned life, token;
    enum http_method method;
    enum spoil spoil;
    bool aborted;
    char *path, *body;
    /* the answer */
    enum http_outcome outcome;
    int status;
    char session[32];
    struct buf answer;
};

static void flight_reply(struct world *world, void *data)
{
    struct flight *f = data;
    bool clone = strstr(f->path, "action=clone") != NULL;
    if (f->life == world->life) {
        world->in_flight--;
        world->clones_in_flight -= clone;
        world->logons_in_flight -= strstr(f->path, "sessionMngr") != NULL;
        if (f->outcome == HTTP_ANSWERED && f->answer.len)
            f->request->on_body(f->answer.data, f->answer.len, f->request->user);
        struct http_reply reply = {.outcome = f->aborted ? HTTP_ABORTED : f->outcome,
                                   .status = f->status,
                                   .session = f->session[0] ? f->session : NULL,
                                   .retry_after_ms = -1,
                                   .error = f->outcome == HTTP_ANSWERED ? "" : "simulated"};
        world->doubts +=
            clone && (reply.outcome == HTTP_LOST || f->status >= 500 || f->spoil == SPOIL_GARBLED);
        world_say(world, "answer to %s: outcome %d status %d", f->path, (int)reply.outcome, f->status);
        f->request->on_reply(f->request, &reply, f->request->user);
    }
    buf_done(&f->answer);
    free(f->path);
    free(f->body);
    free(f);
}

/* ---- effects ---- */

static void between(const char *body, const char *open, const char *close, char *ret, size_t size)
{
    const char *from = strstr(body, open), *to = from ? strstr(from, close) : NULL;
    ret[0] = '\0';
    if (to)
        snprintf(ret, size, "%.*s", (int)(to - from - (int)strlen(open)), from + strlen(open));
}

int fake_server_clones(const struct world *world, const char *mark, const char **ret_id)
{
    int n = 0;
    for (int i = 0; i < world->n_jobs; i++) {
        if (!world->jobs[i].template_ && strstr(world->jobs[i].description, mark)) {
            *ret_id = world->jobs[i].id;
            n++;
        }
    }
    return n;
}

/* Carries the clone out, now or late. Returns the task's number. */
static int take_effect(struct world *world, const char *path, const char *body)
{
    char source[40] = "";
    sscanf(path, "/api/jobs/%36[^?]", source);
    const struct sim_job *template_ = NULL;
    for (int i = 0; i < world->n_jobs; i++)
        if (strcmp(world->jobs[i].id, source) == 0)
            template_ = &world->jobs[i];
    if (!template_ || world->n_jobs == SIM_JOBS_MAX || world->n_tasks == SIM_TASKS_MAX) {
        world_fail(world, "the model server is full or asked for an unknown source %s", source);
        return -1;
    }
    struct sim_task *task = &world->tasks[world->n_tasks];
    *task = (struct sim_task){.session = world->session, .job = -1, .clone = true};
    task->end_ms = world->now_ms + 500 + rng_below(&world->rng, 59000);
    bool hangs =
        world_chance(world, 10); /* and fails in the end: `settle` promises no more than the longest clone */
    if (hangs)
        task->end_ms += 3 * 3600 * 1000;
    if (!hangs && !world_chance(world, 60)) {
        struct sim_job *job = &world->jobs[world->n_jobs];
        *job = (struct sim_job){.type = template_->type, .done_ms = task->end_ms};
        snprintf(job->id, sizeof(job->id), "dddddddd-0000-0000-0000-%012d", world->n_jobs);
        snprintf(job->server, sizeof(job->server), "%s", template_->server);
        between(body, "<JobName>", "</JobName>", job->name, sizeof(job->name));
        between(body, "<Description>", "</Description>", job->description, sizeof(job->description));
        const char *first;
        if (fake_server_clones(world, strstr(job->description, "[jobclone:"), &first))
            world_fail(world, "cloned twice: %s", job->description);
        task->job = world->n_jobs++;
        world_say(world, "takes effect: %s as task-%d", job->description, world->n_tasks);
    }
    return world->n_tasks++;
}

static void late_effect(struct world *world, void *data)
{
    struct flight *f = data; /* a copy of its own, without a request */
    take_effect(world, f->path, f->body);
    free(f->path);
    free(f->body);
    free(f);
}

void fake_server_collect(struct world *world)
{
    for (int i = 0; i < world->n_jobs; i++)
        if (!world->jobs[i].visible_ms && world->jobs[i].done_ms <= world->now_ms)
            world->jobs[i].visible_ms = world->now_ms + 1 + rng_below(&world->rng, 9000);
}

void fake_server_lose_session(struct world *world)
{
    if (world->session_open) {
        world->lost_sessions++;
        world_say(world, "the session is lost");
    }
    world->session_open = false;
}

/* A task that ends in its session puts its job into the database. */
static void tasks_settle(struct world *world)
{
    for (int i = 0; i < world->n_tasks; i++) {
        struct sim_task *t = &world->tasks[i];
        if (t->job >= 0 && t->end_ms <= world->now_ms && t->session == world->session &&
            world->session_open && !world->jobs[t->job].visible_ms)
            world->jobs[t->job].visible_ms = t->end_ms ? t->end_ms : 1;
    }
}

/* ---- requests ---- */

static void serve_logon(struct world *world, struct flight *f)
{
    world->session++;
    world->session_open = true;
    snprintf(f->session, sizeof(f->session), "token-%u", world->session);
    f->status = 201;
    answer_logon(world, &f->answer);
}

static void serve_clone(struct world *world, struct flight *f)
{
    unsigned index = 0;
    char description[128];
    between(f->body, "<Description>", "</Description>", description, sizeof(description));
    const char *slash = strrchr(description, '/');
    if (slash)
        sscanf(slash, "/%u", &index);
    if (f->life == world->life &&
        (index >= world->n_items || !world->stored[index] || world->rows[index].state != ITEM_SUBMITTING))
        world_fail(world, "item %u: its request left before it was stored", index);
    int task = take_effect(world, f->path, f->body);
    f->status = 202;
    if (task >= 0)
        answer_task(world, task, &f->answer, true);
}

static void serve_task(struct world *world, struct flight *f)
{
    int id = atoi(strrchr(f->path, '-') + 1);
    struct sim_task *t = id >= 0 && id < world->n_tasks ? &world->tasks[id] : NULL;
    if (!t || t->deleted || t->session != world->session) {
        f->status = 500;
        buf_printf(&f->answer,
                   "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" Message=\"There is no backup task with id "
                   "[task-%d] in current rest session\" StatusCode=\"500\"/>",
                   id);
    } else if (f->method == HTTP_DELETE) {
        if (t->end_ms > world->now_ms)
            world_fail(world, "task-%d was deleted while it ran", id);
        t->deleted = true;
        f->status = 204;
    } else {
        answer_task(world, id, &f->answer, true);
    }
}

static void serve_job(struct world *world, struct flight *f)
{
    char id[40] = "";
    sscanf(f->path, "/api/jobs/%36[^?]", id);
    for (int i = 0; i < world->n_jobs; i++) {
        if (strcmp(world->jobs[i].id, id) == 0 && job_visible(world, &world->jobs[i])) {
            answer_job(&world->jobs[i], &f->answer, true);
            return;
        }
    }
    f->status = 404;
}

static void serve_query(struct world *world, struct flight *f)
{
    const char *page = strstr(f->path, "&page=");
    if (strstr(f->path, "type=Repository"))
        answer_repositories(&f->answer);
    else
        answer_jobs(world, strstr(f->path, "format=Entities") != NULL, page ? (unsigned)atoi(page + 6) : 1,
                    &f->answer);
}

static void serve(struct world *world, struct flight *f)
{
    tasks_settle(world);
    f->status = 200;
    if (strstr(f->path, "sessionMngr")) {
        serve_logon(world, f);
    } else if (!world->session_open || f->token != world->session) {
        f->status = 401;
    } else if (strstr(f->path, "action=clone")) {
        serve_clone(world, f);
    } else if (strstr(f->path, "action=collect")) {
        f->status = 202;
        fake_server_collect(world);
        world->tasks[world->n_tasks % SIM_TASKS_MAX] =
            (struct sim_task){.session = world->session, .job = -1, .end_ms = world->now_ms};
        answer_task(world, world->n_tasks % SIM_TASKS_MAX, &f->answer, true);
    } else if (strcmp(f->path, "/api/tasks") == 0) {
        answer_tasks(world, &f->answer);
    } else if (strncmp(f->path, "/api/tasks/", 11) == 0) {
        serve_task(world, f);
    } else if (strncmp(f->path, "/api/jobs/", 10) == 0) {
        serve_job(world, f);
    } else if (strncmp(f->path, "/api/query", 10) == 0) {
        serve_query(world, f);
    } else if (f->method == HTTP_DELETE) {
        f->status = 204;
        world->session_open = false;
    }
}

static void spoil_after(struct world *world, struct flight *f)
{
    if (f->spoil == SPOIL_REPLY_LOST) {
        f->outcome = HTTP_LOST;
    } else if (f->spoil == SPOIL_500_AFTER) {
        f->status = 500;
        buf_reset(&f->answer);
    } else if (f->spoil == SPOIL_GARBLED && f->answer.len) {
        f->answer.len = rng_below(&world->rng, f->answer.len);
    }
}

/* The request arrives. */
static void flight_arrive(struct world *world, void *data)
{
    struct flight *f = data;
    uint64_t back = 5 + rng_below(&world->rng, 400);
    f->outcome = HTTP_ANSWERED;
    if (world->now_ms < world->down_until_ms || f->spoil == SPOIL_UNSENT) {
        f->outcome = HTTP_UNSENT;
    } else if (f->spoil == SPOIL_REQUEST_LOST) {
        f->outcome = HTTP_LOST;
        back = 60000;
    } else if (f->spoil == SPOIL_500_BEFORE || f->spoil == SPOIL_503 || f->spoil == SPOIL_429) {
        f->status = f->spoil == SPOIL_503 ? 503 : f->spoil == SPOIL_429 ? 429 : 500;
    } else if (f->spoil == SPOIL_LATE && strstr(f->path, "action=clone")) {
        struct flight *late = calloc(1, sizeof(*late));
        if (!late || !(late->path = strdup(f->path)) || !(late->body = strdup(f->body)))
            abort();
        world_at(world, world->now_ms + rng_below(&world->rng, 120000), late_effect, late);
        f->outcome = HTTP_LOST;
        back = 60000;
    } else {
        serve(world, f);
        spoil_after(world, f);
    }
    world_at(world, world->now_ms + back, flight_reply, f);
}

static enum spoil spoil_choose(struct world *world)
{
    if (!world_chance(world, 120))
        return SPOIL_NONE;
    return (enum spoil)(1 + rng_below(&world->rng, SPOIL_GARBLED));
}

static int fake_start(struct http *http, struct http_request *request)
{
    struct world *world = (struct world *)((char *)http - offsetof(struct world, http));
    struct flight *f = calloc(1, sizeof(*f));
    if (!f)
        abort();
    f->request = request;
    f->life = world->life;
    f->method = request->method;
    f->token = request->session ? (unsigned)atoi(request->session + strlen("token-")) : 0;
    f->path = strdup(request->path);
    f->body = strndup(request->body.data ? request->body.data : "", request->body.len);
    f->answer = BUF_INIT((size_t)1 << 20);
    f->spoil = spoil_choose(world);
    request->port = f;
    bool clone = strstr(f->path, "action=clone") != NULL;
    world->requests++;
    world_say(world, "%s %s",
              request->method == HTTP_GET    ? "GET"
              : request->method == HTTP_POST ? "POST"
                                             : "DELETE",
              f->path);
    world->in_flight++;
    world->clones_in_flight += clone;
    if (world->clones_in_flight > world->server.in_flight_max)
        world_fail(world, "%u clone requests in flight", world->clones_in_flight);
    world->logons_in_flight += request->logon;
    if (world->logons_in_flight > 1)
        world_fail(world, "two logons at once");
    if (clone)
        world_say(world, "sends %s (spoil %d): %s", f->path, (int)f->spoil, strstr(f->body, "<Description>"));
    world_at(world, world->now_ms + 5 + rng_below(&world->rng, 300), flight_arrive, f);
    return 0;
}

static void fake_abort(struct http *http, struct http_request *request)
{
    (void)http;
    ((struct flight *)request->port)->aborted = true;
}

static void add_template(struct world *world, const char *name, const char *type, int server)
{
    struct sim_job *job = &world->jobs[world->n_jobs];
    *job = (struct sim_job){.type = type, .visible_ms = 1, .template_ = true};
    snprintf(job->id, sizeof(job->id), "eeeeeeee-0000-0000-0000-%012d", world->n_jobs++);
    snprintf(job->name, sizeof(job->name), "%s", name);
    snprintf(job->server, sizeof(job->server), "bbbbbbbb-0000-0000-0000-00000000000%d", server);
}

void fake_server_init(struct world *world)
{
    world->http = (struct http){fake_start, fake_abort};
    add_template(world, "T0", "Backup", 1);
    add_template(world, "T1", "Replica", 1);
    add_template(world, "T2", "BackupCopy", 2);
    add_template(world, "T3", "ImmediateBackupCopy", 2);
    for (int i = 0; i < 5; i++)
        add_template(world, "filler", "Backup", 1);
}
