/* One server: its session, its reachability, and who gets which answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/parts.h"

#define PROBE_MIN_MS 500
#define PROBE_MAX_MS 30000
#define BUSY_MS 1000
#define PAGES_AT_ONCE 8             /* or half of what the server bears, if that is more */
#define OUTAGE_MS 60000             /* shorter ones, and shorter rests, move no deadline */
#define TOLD_REST_MS 5000           /* shorter rests are no news, */
#define TOLD_AGAIN_MS 60000         /* nor are those that follow so soon */
#define LONG_RESTS_MAX 10           /* after so many in one doubt no more */
#define IDLE_MAX_MS (9 * 60 * 1000) /* well below the 15 idle minutes of wire reference 2.4 */
#define LOGOFF_MS (60 * 1000)       /* without work a session is given back */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint32_t server_backup_server(struct server *server, const char *id, const char *name)
{
    uint32_t known = table_get(&server->backup_server_ids, id);
    if (known != TABLE_NONE)
        return known;
    size_t n = server->n_backup_servers;
    struct backup_server *all = realloc(server->backup_servers, (n + 1) * sizeof(*all));
    if (!all)
        return NO_SLOT;
    server->backup_servers = all;
    all[n] = (struct backup_server){.id = arena_intern(server->arena, id),
                                    .name = arena_intern(server->arena, name)};
    if (!all[n].id || !all[n].name || table_put(&server->backup_server_ids, all[n].id, (uint32_t)n) < 0)
        return NO_SLOT;
    crowd_init(&all[n].crowd, server->settings->tasks_max);
    return (uint32_t)server->n_backup_servers++;
}

/* ---- reachability ---- */

static void server_say(struct server *server, const struct exchange *e)
{
    free(server->message);
    server->message = strdup(exchange_text(e, e->arena));
}

/* All requests that were under way when it went tell the same: one failure. */
static void server_fail(struct server *server, const struct exchange *e)
{
    uint64_t now = server->engine->now.mono_ms;
    bool known = server->unreachable_ms && e->started_ms <= server->failed_ms;
    server_say(server, e);
    if (known)
        return;
    server->failed_ms = now;
    if (!server->unreachable_ms) {
        server->unreachable_ms = now ? now : 1;
        server->probes = 0;
        log_event(LOG_LEVEL_WARNING,
                  &(struct log_fields){.kind = LOG_KIND_SERVER_TROUBLE, .server = server->settings->name},
                  "server %s does not answer: %s", server->settings->name,
                  server->message ? server->message : "");
    }
    if (server->trouble == SERVER_FINE)
        server->trouble = SERVER_UNREACHABLE;
    uint64_t wait = PROBE_MIN_MS;
    for (unsigned i = 0; i < server->probes && wait < PROBE_MAX_MS; i++)
        wait *= 2;
    server->probes++;
    server->probe_ms = now + min_u64(wait, PROBE_MAX_MS);
}

static void server_back(struct server *server)
{
    uint64_t now = server->engine->now.mono_ms;
    if (server->unreachable_ms)
        log_event(LOG_LEVEL_INFO,
                  &(struct log_fields){.kind = LOG_KIND_SERVER_FINE, .server = server->settings->name},
                  "server %s answers again", server->settings->name);
    if (server->unreachable_ms && now - server->unreachable_ms >= OUTAGE_MS &&
        server->long_rests <= LONG_RESTS_MAX)
        server->back_ms = max_u64(server->back_ms, now);
    server->unreachable_ms = server->probe_ms = 0;
    if (server->trouble == SERVER_UNREACHABLE || server->trouble == SERVER_TLS)
        server->trouble = SERVER_FINE;
}

/* Nothing moves meanwhile: people should know why. */
static void server_tell_rest(struct server *server, const struct exchange *e, uint64_t wait)
{
    uint64_t now = server->engine->now.mono_ms;
    if (wait < TOLD_REST_MS || now < server->rest_told_ms)
        return;
    server->rest_told_ms = now + max_u64(wait, TOLD_AGAIN_MS);
    log_warning("server %s is busy (HTTP %d): nothing is sent for %llu s, as it asked",
                server->settings->name, e->status, (unsigned long long)(wait + 999) / 1000);
}

/* It wants to be left alone; the longest such wish holds. A long one is time in which it could not be asked,
 * like an outage; but where one thing is asked for and never answered with more than that, again and again,
 * nothing waits for it without end. */
static void server_busy(struct server *server, const struct exchange *e)
{
    uint64_t now = server->engine->now.mono_ms;
    uint64_t wait = e->retry_after_ms > 0 ? (uint64_t)e->retry_after_ms : BUSY_MS;
    bool another = now >= server->busy_until_ms;
    server->busy_until_ms = max_u64(server->busy_until_ms, now + wait);
    server_tell_rest(server, e, wait);
    if (wait < OUTAGE_MS)
        return;
    if (!server->in_doubt && !server->sweep.failures)
        server->long_rests = 0;
    server->long_rests += another;
    if (server->long_rests <= LONG_RESTS_MAX)
        server->back_ms = max_u64(server->back_ms, server->busy_until_ms);
}

/* What the answer says about the server itself (fault.h). */
static void server_note(struct server *server, const struct exchange *e,
                        const struct fault_decision *decision)
{
    uint64_t now = server->engine->now.mono_ms;
    if (decision->rest)
        server_busy(server, e);
    switch (decision->server) {
    case FAULT_SERVER_NONE:
        break;
    case FAULT_SERVER_ANSWERS:
        server_back(server);
        break;
    case FAULT_SERVER_AWAY:
    case FAULT_SERVER_WRONG:
        server_fail(server, e);
        break;
    case FAULT_SERVER_TLS:
        server_say(server, e);
        server->trouble = SERVER_TLS;
        server->probe_ms = now + PROBE_MAX_MS;
        break;
    }
}

uint64_t server_gate(const struct server *server)
{
    return max_u64(server->probe_ms, server->busy_until_ms);
}

bool server_ready(const struct server *server)
{
    uint64_t now = server->engine->now.mono_ms;
    return server->session.state == SESSION_OPEN && !server->engine->closing && !server->unreachable_ms &&
           now >= server_gate(server);
}

bool server_room(const struct server *server)
{
    return server->sent + server->others < limit_now(&server->limit);
}

unsigned server_pages(const struct server *server)
{
    unsigned half = limit_now(&server->limit) / 2;
    return half > PAGES_AT_ONCE ? half : PAGES_AT_ONCE;
}

/* ---- session ---- */

/* What its list of tasks told is gone with it: a task of nobody may have ended just now, and nothing else
 * would show its clone before the next collection. So doubt begins anew (docs/ARCHITECTURE.md, "Doubt"). */
static void server_doubt_again(struct server *server)
{
    for (size_t i = 0; server->in_doubt && watch_has_orphans(server) && i < server->n_backup_servers; i++)
        server->backup_servers[i].shown_ms = server->engine->now.mono_ms;
}

/* Tasks that were accepted in this very turn are gone too: another session may give their ids again. */
static void server_session_gone(struct server *server)
{
    struct engine *engine = server->engine;
    struct item_event gone = {.kind = ITEM_EVENT_TASK_GONE};
    server_doubt_again(server);
    for (struct run *run = engine->runs; run; run = run->next) {
        if (run->server != server)
            continue;
        for (size_t i = run->in_state[ITEM_RUNNING].n, at = run->in_state[ITEM_RUNNING].first; i > 0; i--) {
            engine_emit(engine, run, (uint32_t)at, &gone);
            at = run->slots[at].next;
        }
    }
    for (size_t i = 0; i < engine->n_batch; i++) {
        const struct pending *p = &engine->batch[i];
        if (p->run->server == server && p->next.state == ITEM_RUNNING)
            engine_emit(engine, p->run, p->slot, &gone);
    }
    watch_forget(server);
}

static void server_tell_session(struct server *server)
{
    const struct engine_config *config = &server->engine->config;
    if (config->on_session)
        config->on_session(server->settings->name, server->token, server->session_id, config->data);
}

/* Takes token and session id over: the session is open. */
void server_open(struct server *server, char *token, char *session_id)
{
    server->token = token;
    server->session_id = session_id;
    session_opened(&server->session, server->engine->now.mono_ms);
    server->rolling = false;
    server->trouble = SERVER_FINE;
    server->poll_failures = 0;
    for (int i = 0; i < JOB_KIND_COUNT; i++)
        server->read_back[i] = false;
    look_forget(server, NULL);
    server_tell_session(server);
}

void server_forget_token(struct server *server)
{
    if (!server->token)
        return;
    explicit_bzero(server->token, strlen(server->token));
    free(server->token);
    server->token = NULL;
    free(server->session_id);
    server->session_id = NULL;
    server_tell_session(server);
}

static void server_auth(struct server *server, const struct exchange *e)
{
    if (!session_lost(&server->session, e->serial, server->engine->now.mono_ms))
        return;
    log_info("server %s: the session has ended; logging on again", server->settings->name);
    server_forget_token(server);
    server_session_gone(server);
}

/* Twice in a row before any session: it is not what the settings say it is. */
static void server_wrong(struct server *server, const struct exchange *e)
{
    if (server->session.serial || server->session.failures < 2)
        return;
    struct buf why = BUF_INIT(4096);
    buf_printf(&why,
               "the logon was answered without a session (%s): is the URL that of the Enterprise Manager "
               "REST API (default port 9398), not of its web page?",
               exchange_text(e, e->arena));
    free(server->message);
    server->message = strdup(buf_str(&why));
    buf_done(&why);
    server->trouble = SERVER_WRONG;
}

static void server_logged_on(struct server *server, struct exchange *e)
{
    char *session_id = strdup(e->doc.session_id);
    if (!session_id) {
        session_failed(&server->session, server->engine->now.mono_ms);
        return;
    }
    server_forget_token(server);
    server_open(server, TAKE_PTR(e->token), session_id);
    if (!e->doc.lists_jobs)
        log_warning("server %s: user %s sees no jobs; cloning needs the role Portal Administrator",
                    server->settings->name, server->settings->username);
    log_info("server %s: logged on as %s", server->settings->name, server->settings->username);
}

static void server_logon_reply(struct server *server, struct exchange *e,
                               const struct fault_decision *decision)
{
    uint64_t now = server->engine->now.mono_ms;
    switch (decision->session) {
    case FAULT_SESSION_OPEN:
        server_logged_on(server, e);
        break;
    case FAULT_SESSION_REFUSED:
        session_refused(&server->session, now);
        server_say(server, e);
        if (server->session.state == SESSION_REFUSED)
            server->trouble = SERVER_CREDENTIALS;
        break;
    case FAULT_SESSION_FAILED:
        session_failed(&server->session, now);
        if (decision->server == FAULT_SERVER_WRONG)
            server_wrong(server, e);
        break;
    case FAULT_SESSION_LOST:
    case FAULT_SESSION_NONE:
        break;
    }
}

static void server_logon(struct server *server)
{
    struct exchange *e = exchange_new(server, EXCHANGE_LOGON, HTTP_POST);
    if (!e)
        return;
    buf_printf(&e->path, "/api/sessionMngr/?v=%s", server->settings->api_version);
    if (exchange_start(e) == 0)
        session_opening(&server->session);
}

/* A sign of life; of those after trouble every other one asks for something else, should that one resource be
 * the trouble. */
static void server_keep_alive(struct server *server)
{
    struct exchange *e = exchange_new(server, EXCHANGE_KEEPALIVE, HTTP_GET);
    bool other = server->unreachable_ms && server->probes % 2 == 0;
    if (!e)
        return;
    buf_add_str(&e->path, other ? "/api/backupServers" : "/api/logonSessions");
    server->probing = exchange_start(e) == 0;
}

static void server_log_off(struct server *server)
{
    struct exchange *e = exchange_new(server, EXCHANGE_LOGOFF, HTTP_DELETE);
    server->logged_off = true;
    if (!e)
        return;
    buf_printf(&e->path, "/api/logonSessions/%s", server->session_id);
    exchange_start(e);
}

/* ---- answers ---- */

static bool server_route(struct exchange *e, const struct fault_decision *decision)
{
    switch (e->kind) {
    case EXCHANGE_LOGON:
        server_logon_reply(e->server, e, decision);
        break;
    case EXCHANGE_SUBMIT:
        submit_reply(e);
        break;
    case EXCHANGE_TASKS:
    case EXCHANGE_TASK:
        return watch_reply(e);
    case EXCHANGE_TIDY:
        tidy_reply(e);
        break;
    case EXCHANGE_NAMES:
    case EXCHANGE_SOURCE:
        resolve_reply(e->run, e);
        break;
    case EXCHANGE_SWEEP:
        sweep_reply(e);
        break;
    case EXCHANGE_NAMED:
        look_named(e);
        break;
    case EXCHANGE_LOOK:
        look_reply(e);
        break;
    case EXCHANGE_COLLECT:
        doubt_collected(e);
        break;
    case EXCHANGE_KEEPALIVE:
        e->server->probing = false;
        break;
    case EXCHANGE_LOGOFF:
    case EXCHANGE_KIND_COUNT:
        break;
    }
    return true;
}

bool server_reply(struct exchange *e)
{
    const struct fault_decision *decision = exchange_decision(e);
    if (e->n_taken) /* the rest of it */
        return server_route(e, decision);
    server_note(e->server, e, decision);
    if (decision->pace < 0)
        limit_bad(&e->server->limit, e->started_ms, e->server->engine->now.mono_ms);
    if (decision->session == FAULT_SESSION_LOST)
        server_auth(e->server, e);
    return server_route(e, decision);
}

/* ---- acting ---- */

bool server_has_work(const struct server *server)
{
    for (const struct run *r = server->engine->runs; r; r = r->next)
        if (r->server == server && run_under_way(r))
            return true;
    return server->in_doubt > 0;
}

bool server_has_tasks(const struct server *server)
{
    if (server->in_doubt)
        return true;
    for (const struct run *r = server->engine->runs; r; r = r->next)
        if (r->server == server && r->count[ITEM_SUBMITTING] + r->count[ITEM_RUNNING])
            return true;
    return false;
}

bool server_rests(const struct server *server)
{
    for (const struct run *run = server->engine->runs; run; run = run->next)
        if (run->server == server && (run->count[ITEM_SUBMITTING] + run->count[ITEM_RUNNING] ||
                                      run->in_state[ITEM_SUBMITTING].n + run->in_state[ITEM_RUNNING].n))
            return false;
    return true;
}

bool server_wants_logoff(const struct server *server)
{
    return server->session.state == SESSION_OPEN && !server->logged_off &&
           !(server->engine->leaving && server_has_tasks(server));
}

static uint64_t server_keepalive_due(const struct server *server)
{
    if (server->session.state != SESSION_OPEN || !server_has_work(server) || server->in_flight)
        return INSTANT_NEVER;
    return server->last_sent_ms + min_u64(server->settings->keepalive_ms, IDLE_MAX_MS);
}

static void server_close(struct server *server)
{
    if (!server_wants_logoff(server) || server->in_flight)
        return;
    server_log_off(server);
    server_forget_token(server);
}

static uint64_t server_idle_due(const struct server *server)
{
    if (server->session.state != SESSION_OPEN || server_has_work(server) || server->in_flight ||
        !server_rests(server))
        return INSTANT_NEVER;
    return server->unwanted ? 0 : server->last_sent_ms + LOGOFF_MS;
}

/* Nothing is to be done in it any more: the session is given back, and the next work logs on anew. */
static void server_give_back(struct server *server)
{
    server->rolling = false;
    server_log_off(server);
    server->logged_off = false;
    server_forget_token(server);
    session_ended(&server->session);
    watch_forget(server);
}

/* After trouble one harmless request tries whether the server is back; nothing else leaves until it is. A
 * server that has said when to come again is not tried before. */
static uint64_t server_probe_due(const struct server *server)
{
    bool may = server->session.state == SESSION_OPEN && server->unreachable_ms && !server->probing &&
               server->in_flight < server->settings->in_flight_max; /* one may hang for long */
    return may ? server_gate(server) : INSTANT_NEVER;
}

static void server_probe(struct server *server)
{
    if (server->engine->now.mono_ms >= server_probe_due(server))
        server_keep_alive(server);
}

void server_act(struct server *server)
{
    uint64_t now = server->engine->now.mono_ms;
    submit_flush(server);
    if (server->engine->closing) {
        server_close(server);
        return;
    }
    if (server_has_work(server) && now >= server_gate(server) && session_wants_logon(&server->session, now)) {
        server_logon(server);
        return;
    }
    server_probe(server);
    if (now >= server_keepalive_due(server))
        server_keep_alive(server);
    if (now >= server_idle_due(server) || tidy_rolls(server))
        server_give_back(server);
    if (!server_ready(server))
        return;
    if (server_room(server))
        watch_act(server);
    if (server_room(server))
        doubt_act(server);
    submit_flush(server); /* into the place that was kept for what turned out not to be due */
}

uint64_t server_due(const struct server *server)
{
    if (server->engine->closing)
        return INSTANT_NEVER;
    uint64_t gate = server_gate(server), due = INSTANT_NEVER;
    if (server->session.state == SESSION_CLOSED && server_has_work(server))
        due = server->session.due_ms > gate ? server->session.due_ms : gate;
    if (server->session.state == SESSION_OPEN && server->unreachable_ms) { /* nothing but probes */
        due = server_probe_due(server);
    } else if (server->session.state == SESSION_OPEN &&
               server_room(server)) { /* else an answer comes first */
        due = min_u64(watch_due(server), doubt_due(server));
        if (due < gate)
            due = gate;
        if (gate > server->engine->now.mono_ms && server_has_work(server)) /* clones wait for that alone */
            due = min_u64(due, gate);
    }
    return min_u64(due, min_u64(server_keepalive_due(server), server_idle_due(server)));
}
