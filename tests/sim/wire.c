/* The wire between the engine and a model server: latency, every way to spoil a
 * request or its answer, and what must hold for each request that leaves. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

#define PAGES_EVER 1000 /* there are never so many */

/* One request on its way; the strings are copies, since the engine may crash meanwhile. */
struct flight {
    struct em *em;
    struct http_request *request;
    unsigned life, token;
    enum http_method method;
    enum sim_request kind;
    const struct spoil *spoil;
    struct sim_script *script; /* that asked for it, or NULL */
    bool aborted, json, placed;
    char *path, *body;
    struct sim_run *run; /* of a clone */
    /* the answer */
    enum http_outcome outcome;
    int status;
    int64_t retry_after_ms;
    char session[32];
    struct buf answer;
};

static const struct spoil *spoil_script(struct flight *f)
{
    for (size_t i = 0; i < SIM_SCRIPTS; i++) {
        struct sim_script *script = &f->em->world->scripts[i];
        if (script->kind != (int)f->kind || !script->count)
            continue;
        if (script->skip) {
            script->skip--;
            continue;
        }
        script->count--;
        f->script = script;
        return spoil_at(script->spoil);
    }
    return NULL;
}

static const struct spoil *spoil_choose(struct flight *f)
{
    struct em *em = f->em;
    const struct spoil *scripted = spoil_script(f);
    if (scripted)
        return scripted;
    unsigned per_mille = em->spoil_permille;
    if (f->kind == REQUEST_CLONE)
        per_mille = em->clone_spoil_permille;
    else if (f->kind == REQUEST_COLLECT)
        per_mille = em->collect_spoil_permille;
    else if (f->kind == REQUEST_TASK)
        per_mille = em->omit_permille; /* where lists leave out much, single questions go wrong as well */
    const struct spoil *drawn = world_chance(em->world, per_mille) ? spoil_draw(em->world) : spoil_at(0);
    bool refused = drawn->loses_session && f->kind == REQUEST_LOGON; /* twice would be for good */
    return refused ? spoil_at(0) : drawn;
}

/* ---- what is asked ---- */

static enum sim_request request_kind(enum http_method method, const char *path)
{
    if (strstr(path, "/sessionMngr"))
        return REQUEST_LOGON;
    if (strstr(path, "/logonSessions"))
        return method == HTTP_DELETE ? REQUEST_LOGOFF : REQUEST_KEEPALIVE;
    if (strstr(path, "action=clone"))
        return REQUEST_CLONE;
    if (strstr(path, "action=collect"))
        return REQUEST_COLLECT;
    if (method == HTTP_GET && strcmp(path, "/api/backupServers") == 0)
        return REQUEST_KEEPALIVE;
    if (strcmp(path, "/api/tasks") == 0)
        return REQUEST_TASKS;
    if (strncmp(path, "/api/tasks/", 11) == 0)
        return method == HTTP_DELETE ? REQUEST_TIDY : REQUEST_TASK;
    if (strncmp(path, "/api/jobs/", 10) == 0)
        return REQUEST_JOB;
    if (strstr(path, "&filter="))
        return REQUEST_NAMED;
    return strstr(path, "format=Entities") ? REQUEST_SWEEP : REQUEST_NAMES;
}

/* The text of an element, without entities. */
static void between(const char *body, const char *open, const char *close, char *ret, size_t size)
{
    const char *from = strstr(body, open), *to = from ? strstr(from + strlen(open), close) : NULL;
    size_t n = 0;
    for (const char *p = from ? from + strlen(open) : NULL; to && p < to && n + 1 < size; p++) {
        ret[n++] = *p;
        if (strncmp(p, "&quot;", 6) == 0)
            ret[n - 1] = '"', p += 5;
        else if (strncmp(p, "&amp;", 5) == 0)
            p += 4;
    }
    ret[n] = '\0';
}

static void filter_name(const char *path, char *ret, size_t size)
{
    const char *p = strstr(path, "&filter=");
    size_t n = 0;
    char text[256];
    for (p += strlen("&filter="); *p && *p != '&' && n + 1 < sizeof(text); p++) {
        unsigned byte = (unsigned char)*p;
        if (*p == '%' && sscanf(p + 1, "%2x", &byte) == 1)
            p += 2;
        text[n++] = (char)byte;
    }
    text[n] = '\0';
    between(text, "Name==\"", "\"", ret, size);
}

/* ---- answers ---- */

static size_t serve_clone_effect(struct flight *f)
{
    char source[40] = "", name[72], description[160];
    sscanf(f->path, "/api/jobs/%36[^?]", source);
    if (f->json) {
        json_text(f->body, "JobName", name, sizeof(name));
        json_text(f->body, "Description", description, sizeof(description));
    } else {
        between(f->body, "<JobName>", "</JobName>", name, sizeof(name));
        between(f->body, "<Description>", "</Description>", description, sizeof(description));
    }
    return em_clone(f->em, source, name, description);
}

static void serve_task_made(struct flight *f, size_t place)
{
    answer_task(f->em, &f->em->tasks[place], &f->answer, true);
}

/* Whether this stops the clone is not known: here it is a matter of chance. */
static void serve_stop(struct flight *f, struct sim_task *task)
{
    struct em *em = f->em;
    if (!task->run || task->run->wish != RUN_WISH_CANCEL_TASKS)
        world_fail(em->world, "%s: task-%u was deleted while it ran", em->name, task->number);
    if (task->late ||
        rng_chance(&em->world->rng, 500)) /* nobody could wait for a late one that is not seen */
        em_stop_task(em, task);
}

static void serve_task(struct flight *f)
{
    struct em *em = f->em;
    unsigned number = (unsigned)atoi(strrchr(f->path, '-') + 1);
    struct sim_task *task = em_find_task(em, number);
    if (!task) {
        f->status = 500;
        answer_error(500, "There is no backup task with id [task-0] in current rest session", &f->answer);
    } else if (f->kind == REQUEST_TIDY) {
        if (task->end_ms > em->world->now_ms)
            serve_stop(f, task);
        task->deleted = true;
        f->status = 204;
    } else {
        answer_task(em, task, &f->answer, true);
    }
}

static void serve_job(struct flight *f)
{
    char id[40] = "";
    sscanf(f->path, "/api/jobs/%36[^?]", id);
    const struct sim_job *job = em_find_job(f->em, id);
    if (job && job_visible(f->em, job)) {
        answer_job(f->em, job, &f->answer, true);
    } else {
        f->status = 404;
        answer_error(404, "no such job", &f->answer);
    }
}

static void serve_query(struct flight *f)
{
    const char *page = strstr(f->path, "&page=");
    unsigned number = page ? (unsigned)atoi(page + 6) : 1;
    char name[72] = "";
    if (number == 0 || number > PAGES_EVER)
        world_fail(f->em->world, "%s: page %u is asked for", f->em->name, number);
    if (f->kind == REQUEST_NAMED)
        filter_name(f->path, name, sizeof(name));
    if (strstr(f->path, "type=Repository"))
        answer_repositories(f->em, number, &f->answer);
    else
        answer_jobs(f->em, strstr(f->path, "format=Entities") != NULL, *name ? name : NULL, number,
                    &f->answer);
}

static void serve_collect(struct flight *f)
{
    unsigned server = 0;
    sscanf(f->path, "/api/backupServers/bbbbbbbb-0000-0000-0000-%12u", &server);
    if (f->em->quirk == QUIRK_NO_COLLECT) {
        f->status = 403;
        answer_error(403, "Access denied", &f->answer);
        return;
    }
    f->status = 202;
    em_collect(f->em, server);
    serve_task_made(f, em_add_task(f->em));
}

static void serve_logon(struct flight *f)
{
    struct em *em = f->em;
    em_abandon(em); /* of the session before, if it was still open */
    em->session++;
    em->session_open = true;
    if (em->numbers_per_session)
        em->next_task = 1;
    snprintf(f->session, sizeof(f->session), "token-%u", em->session);
    f->status = 201;
    answer_logon(em, &f->answer);
}

static void serve_clone(struct flight *f)
{
    if (!form_is_taken(f->em, f->json, f->body)) {
        f->status = 400;
        f->em->world->forms++;
        answer_error(400, "Node [root] does not exist.", &f->answer);
        return;
    }
    f->status = 202;
    serve_task_made(f, serve_clone_effect(f));
}

static void serve_in_session(struct flight *f)
{
    switch (f->kind) {
    case REQUEST_CLONE:
        serve_clone(f);
        break;
    case REQUEST_COLLECT:
        serve_collect(f);
        break;
    case REQUEST_TASKS:
        f->status = f->em->quirk == QUIRK_NO_LIST ? 405 : 200;
        if (f->status == 200)
            answer_tasks(f->em, &f->answer);
        break;
    case REQUEST_TASK:
    case REQUEST_TIDY:
        serve_task(f);
        break;
    case REQUEST_JOB:
        serve_job(f);
        break;
    case REQUEST_NAMES:
    case REQUEST_SWEEP:
    case REQUEST_NAMED:
        serve_query(f);
        break;
    case REQUEST_KEEPALIVE:
        answer_sessions(f->em, &f->answer);
        break;
    case REQUEST_LOGOFF:
        f->status = 204;
        em_log_off(f->em, f->path);
        break;
    case REQUEST_LOGON:
    case REQUEST_COUNT:
        break;
    }
}

static void serve(struct flight *f)
{
    struct em *em = f->em;
    em_settle_tasks(em);
    if (em->session_open && em->world->now_ms - em->last_request_ms > 15 * MINUTE)
        em_lose_session(em);
    f->status = 200;
    if (f->kind == REQUEST_LOGON) {
        serve_logon(f);
    } else if (!em->session_open || f->token != em->session) {
        f->status = 401;
        answer_error(401, "Unauthorized", &f->answer);
    } else {
        em->last_request_ms = em->world->now_ms;
        serve_in_session(f);
    }
    if (f->kind == REQUEST_LOGON)
        em->last_request_ms = em->world->now_ms;
    if (f->json)
        json_of_xml(&f->answer, em->world->seed);
}

/* ---- the flight ---- */

static void flight_free(struct flight *f)
{
    buf_done(&f->answer);
    free(f->path);
    free(f->body);
    free(f);
}

static bool flight_unknown(const struct flight *f)
{
    bool refused = f->status == 429 || f->status == 401 ||
                   (f->status >= 300 && f->status < 500 && f->status != 408) || f->status == 501;
    bool accepted = f->status == 202 && !f->spoil->garbles;
    return f->outcome == HTTP_LOST || (f->outcome == HTTP_ANSWERED && !refused && !accepted);
}

static void flight_note(struct flight *f)
{
    struct em *em = f->em;
    bool answered = f->outcome == HTTP_ANSWERED && !f->aborted;
    if (f->kind == REQUEST_CLONE) {
        em->clones_in_flight--;
        f->run->clones_in_flight--;
        em->world->doubts += f->aborted || flight_unknown(f);
    }
    em->logons_in_flight -= f->kind == REQUEST_LOGON;
    em->polls_in_flight -= f->kind == REQUEST_TASKS;
    if (f->kind == REQUEST_COLLECT)
        em->collects_in_flight[strstr(f->path, "000000000001?") != NULL]--;
    if (answered && f->status == 401 && f->token == em->known_session)
        em->knows_loss = true;
    if (answered && f->kind == REQUEST_LOGON && f->status == 201 && !f->spoil->after) {
        em->known_session = (unsigned)atoi(f->session + strlen("token-"));
        em->knows_loss = false;
    }
    bool refused = answered && f->status >= 300 && f->status != 401 && f->status != 429 && f->status != 408 &&
                   (f->status < 500 || f->status == 501);
    em->refused_collections += refused && f->kind == REQUEST_COLLECT;
    em->refused_lists += refused && f->kind == REQUEST_TASKS;
    em->unread_lists +=
        f->kind == REQUEST_SWEEP && (!answered || f->status != 200 || f->spoil != spoil_at(0));
}

static void flight_script(const struct flight *f)
{
    struct sim_script *script = f->script;
    if (!script)
        return;
    const struct world *world = f->em->world;
    script->answered++;
    script->answered_ms = world->now_ms;
    script->before = engine_run_item(world->engine, world->runs[0].id, 0)->state;
    script->outcome = f->outcome;
    script->status = f->status;
    script->fits = !f->spoil->body && !(f->spoil->garbles && f->answer.len);
    script->retry_after_ms = f->retry_after_ms;
}

static void flight_reply(struct world *world, void *data)
{
    struct flight *f = data;
    if (f->life == world->life) {
        flight_note(f);
        flight_script(f);
        if (f->outcome == HTTP_ANSWERED && f->answer.len)
            f->request->on_body(f->answer.data, f->answer.len, f->request->user);
        struct http_reply reply = {.outcome = f->aborted ? HTTP_ABORTED : f->outcome,
                                   .status = f->status,
                                   .session = f->session[0] ? f->session : NULL,
                                   .retry_after_ms = f->retry_after_ms ? f->retry_after_ms : -1,
                                   .error = f->outcome == HTTP_ANSWERED ? "" : f->spoil->name};
        world_say(world, "%s: answer to %s: %s%d", f->em->name, f->path,
                  f->outcome == HTTP_ANSWERED ? "" : "none ", f->status);
        f->request->on_reply(f->request, &reply, f->request->user);
    }
    flight_free(f);
}

static void flight_late(struct world *world, void *data)
{
    (void)world;
    struct flight *f = data; /* a copy of its own, without a request */
    if (form_is_taken(f->em, f->json, f->body))
        serve_clone_effect(f);
    flight_free(f);
}

static void flight_delay(struct flight *f)
{
    struct world *world = f->em->world;
    struct flight *late = calloc(1, sizeof(*late));
    if (!late || !(late->path = strdup(f->path)) || !(late->body = strdup(f->body)))
        abort();
    late->em = f->em;
    late->json = f->json;
    late->answer = BUF_INIT(1);
    world_at(world, world->now_ms + world_below(world, f->em->delay_max_ms), flight_late, late);
}

/* What the spoil does to a request that was or was not served. */
static void flight_spoil(struct flight *f)
{
    const struct spoil *spoil = f->spoil;
    struct world *world = f->em->world;
    if (spoil->outcome != HTTP_ANSWERED)
        f->outcome = spoil->outcome;
    if (spoil->garbles && f->answer.len) {
        f->answer.len = 1 + world_below(world, f->answer.len - 1);
    } else if (spoil->status && !(spoil->status == 200 && f->status >= 300)) {
        /* a 400 for an immediate copy is final in JSON, but not in XML */
        f->status = spoil->status == 400 && world->alike ? 405 : spoil->status;
        answer_error(f->status, "simulated", &f->answer);
        if (f->json)
            json_of_xml(&f->answer, world->seed);
    }
    if (spoil->body) {
        buf_reset(&f->answer);
        buf_add_str(&f->answer, f->json && spoil->body[0] == '{' ? "<Task/>" : spoil->body);
    }
    if (spoil->after)
        f->session[0] = '\0';
    f->retry_after_ms = spoil->retry_after_ms;
}

/* The request is served, or not. */
static void flight_serve(struct world *world, void *data)
{
    struct flight *f = data;
    uint64_t back = 2 + world_below(world, f->em->wire_ms);
    f->outcome = HTTP_ANSWERED;
    if (f->placed)
        places_leave(&f->em->load);
    if (f->script)
        f->script->logons = world->asked[REQUEST_LOGON];
    if (f->spoil->loses_session)
        em_lose_session(f->em);
    bool refused = f->spoil->loses_session && f->kind == REQUEST_LOGON;
    bool down = world->now_ms < f->em->down_until_ms;
    bool spoiled = f->spoil->outcome || f->spoil->status || f->spoil->garbles;
    if (down) {
        f->outcome = HTTP_UNSENT;
    } else if (f->spoil->late && f->kind == REQUEST_CLONE && f->em->session_open) {
        flight_delay(f);
    } else if (refused) {
        f->status = 401;
    } else if (!spoiled || f->spoil->after) {
        serve(f);
    }
    if (!down && spoiled)
        flight_spoil(f);
    if (f->spoil->slow)
        back = 60000;
    if (f->run && f->outcome != HTTP_UNSENT && f->outcome != HTTP_TLS_REFUSED) {
        uint32_t index;
        if (check_mark(world, f->body, &index))
            f->run->arrived[index]++;
    }
    world_at(world, world->now_ms + back, flight_reply, f);
}

/* The request arrives: where the server has so many places it waits for one, or is refused. */
static void flight_arrive(struct world *world, void *data)
{
    struct flight *f = data;
    struct em *em = f->em;
    uint64_t end = world->now_ms;
    if (em->places) {
        uint64_t takes = em->service_ms * 3 / 4 + world_below(world, em->service_ms / 2);
        f->placed = places_take(&em->load, em->places, 4 * em->places, world->now_ms, takes, &end);
        if (!f->placed)
            f->spoil = spoil_at(spoil_by_name("500-before"));
        em->refused_by_load += !f->placed;
    }
    if (end > world->now_ms)
        world_at(world, end, flight_serve, f);
    else
        flight_serve(world, f);
}

/* ---- the port ---- */

static void start_clone(struct flight *f)
{
    struct em *em = f->em;
    struct world *world = em->world;
    uint32_t index;
    f->run = check_mark(world, f->body, &index);
    if (!f->run) {
        world_fail(world, "%s: a clone request without a mark", em->name);
        f->run = &world->runs[0];
    }
    f->run->clones_in_flight++;
    check_sends_clone(em, f->body);
}

static void start_checks(struct flight *f)
{
    struct em *em = f->em;
    struct world *world = em->world;
    em->clones_in_flight += f->kind == REQUEST_CLONE;
    em->logons_in_flight += f->kind == REQUEST_LOGON;
    em->polls_in_flight += f->kind == REQUEST_TASKS;
    if (f->kind == REQUEST_CLONE)
        start_clone(f);
    if (engine_server_status(world->engine, em->name).since_ms && f->kind != REQUEST_LOGON &&
        f->kind != REQUEST_LOGOFF && f->kind != REQUEST_KEEPALIVE)
        world_fail(world, "%s: something but a probe leaves though the server is away", em->name);
    if (em->logons_in_flight > 1)
        world_fail(world, "%s: two logons at once", em->name);
    if (f->kind == REQUEST_LOGON && em->known_session && !em->knows_loss)
        world_fail(world, "%s: a logon though nothing has told that the session is gone", em->name);
    if (f->kind == REQUEST_LOGOFF)
        check_logs_off(em);
    if (f->kind == REQUEST_TASKS) {
        if (em->polls_in_flight > 1)
            world_fail(world, "%s: two polls of the tasks at once", em->name);
        if (em->polled && world->now_ms - em->polled_ms < em->settings.poll_interval_ms)
            world_fail(world, "%s: tasks polled before it was due", em->name);
        em->polled = true;
        em->polled_ms = world->now_ms;
    }
    if (f->kind == REQUEST_COLLECT) {
        unsigned server = strstr(f->path, "000000000001?") != NULL;
        if (em->collects_in_flight[server]++)
            world_fail(world, "%s: two collections of one backup server at once", em->name);
    }
}

static int wire_start(struct http *http, struct http_request *request)
{
    struct em *em = (struct em *)((char *)http - offsetof(struct em, http));
    struct world *world = em->world;
    bool logs_off = request->method == HTTP_DELETE && strstr(request->path, "/logonSessions");
    if (em->start_permille && !logs_off && world_chance(world, em->start_permille))
        return -ENOMEM;
    struct flight *f = calloc(1, sizeof(*f));
    if (!f)
        abort();
    f->em = em;
    f->request = request;
    f->life = world->life;
    f->method = request->method;
    f->json = strcmp(request->media_type, "application/json") == 0;
    f->token = request->session ? (unsigned)atoi(request->session + strlen("token-")) : 0;
    f->path = strdup(request->path);
    f->body = strndup(request->body.data ? request->body.data : "", request->body.len);
    if (!f->path || !f->body)
        abort();
    f->answer = BUF_INIT((size_t)1 << 22);
    f->kind = request_kind(f->method, f->path);
    f->spoil = spoil_choose(f);
    request->port = f;
    world->requests++;
    world->asked[f->kind]++;
    if (world->scripts[0].answered && !world->next_ms)
        world->next_ms = world->now_ms;
    if (world->scripts[0].answered && !world->next_work_ms && f->kind != REQUEST_LOGON &&
        f->kind != REQUEST_KEEPALIVE)
        world->next_work_ms = world->now_ms;
    static const char *const methods[] = {[HTTP_GET] = "GET", [HTTP_POST] = "POST", [HTTP_DELETE] = "DELETE"};
    world_say(world, "%s: %s %s%s%s", em->name, methods[f->method], f->path,
              f->spoil == spoil_at(0) ? "" : ", will be ", f->spoil == spoil_at(0) ? "" : f->spoil->name);
    start_checks(f);
    world_at(world, world->now_ms + 2 + world_below(world, em->wire_ms), flight_arrive, f);
    return 0;
}

static void wire_abort(struct http *http, struct http_request *request)
{
    (void)http;
    ((struct flight *)request->port)->aborted = true;
}

void wire_init(struct em *em)
{
    em->http = (struct http){wire_start, wire_abort};
}
