/* Which servers there are: added, changed, removed; and sessions that an earlier
 * process has left. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/parts.h"

struct server *server_free(struct server *server)
{
    while (server->exchanges) {
        struct exchange *e = server->exchanges;
        server->exchanges = e->next;
        exchange_free(e);
    }
    exchange_free_spare(server);
    free(server->held);
    sweep_stop(server);
    if (server->token)
        explicit_bzero(server->token, strlen(server->token));
    free(server->token);
    free(server->session_id);
    free(server->message);
    table_done(&server->tasks);
    free(server->task_owners);
    heap_done(&server->tidy);
    for (size_t i = 0; i < server->n_backup_servers; i++)
        progress_done(&server->backup_servers[i].progress);
    free(server->backup_servers);
    table_done(&server->backup_server_ids);
    arena_free(server->arena);
    arena_free(server->task_ids);
    free(server);
    return NULL;
}

static struct server *server_new(struct engine *engine)
{
    struct server *server = calloc(1, sizeof(*server));
    if (!server)
        return NULL;
    server->arena = arena_new();
    server->task_ids = arena_new();
    if (!server->arena || !server->task_ids) {
        arena_free(server->arena);
        arena_free(server->task_ids);
        free(server);
        return NULL;
    }
    server->engine = engine;
    server->rounds = 1; /* slots are of none */
    return server;
}

struct server *server_absent(struct engine *engine, const char *name)
{
    struct server *server = server_new(engine);
    if (!server)
        return NULL;
    struct server_settings *settings = arena_take(server->arena, sizeof(*settings));
    char *own_name = settings ? arena_take(server->arena, strlen(name) + 1) : NULL;
    if (!own_name)
        return server_free(server);
    *settings = (struct server_settings){
        .name = strcpy(own_name, name), .in_flight_initial = 1, .in_flight_max = 1, .tasks_max = 1};
    server->settings = settings;
    server->absent = true;
    limit_init(&server->limit, 1, 1);
    return server;
}

int engine_add_server(struct engine *engine, const struct server_settings *settings, struct http *http,
                      const struct api_format *format)
{
    struct server *server = server_new(engine);
    if (!server)
        return -ENOMEM;
    server->settings = settings;
    server->http = http;
    server->format = format;
    limit_init(&server->limit, settings->in_flight_initial, settings->in_flight_max);
    server->next = engine->servers;
    engine->servers = server;
    return 0;
}

int engine_set_server(struct engine *engine, const struct server_settings *settings)
{
    struct server *server = engine_find_server(engine, settings->name);
    if (!server)
        return -ENOENT;
    if (settings->in_flight_max != server->settings->in_flight_max ||
        settings->in_flight_initial != server->settings->in_flight_initial)
        limit_init(&server->limit, settings->in_flight_initial, settings->in_flight_max);
    for (size_t i = 0; i < server->n_backup_servers; i++)
        crowd_set_max(&server->backup_servers[i].crowd, settings->tasks_max);
    server->settings = settings;
    session_renewed(&server->session);
    if (server->trouble == SERVER_CREDENTIALS)
        server->trouble = SERVER_FINE;
    engine_wake(engine);
    return 0;
}

bool engine_backup_server_status(const struct engine *engine, const char *server, size_t index,
                                 struct backup_server_status *ret)
{
    const struct server *s = engine_find_server(engine, server);
    if (!s || index >= s->n_backup_servers)
        return false;
    const struct backup_server *bs = &s->backup_servers[index];
    *ret = (struct backup_server_status){.id = bs->id,
                                         .name = bs->name,
                                         .tasks = bs->unfinished,
                                         .bound = crowd_now(&bs->crowd),
                                         .max = bs->crowd.max};
    return true;
}

int engine_remove_server(struct engine *engine, const char *name)
{
    struct server **at = &engine->servers;
    while (*at && strcmp((*at)->settings->name, name) != 0)
        at = &(*at)->next;
    struct server *server = *at;
    if (!server)
        return -ENOENT;
    for (const struct run *run = engine->runs; run; run = run->next)
        if (run->server == server)
            return -EBUSY;
    for (const struct exchange *e = engine->inbox_first; e; e = e->next)
        if (e->server == server)
            return -EBUSY;
    if (server->exchanges || server->session.state == SESSION_OPENING)
        return -EBUSY;
    if (server->session.state == SESSION_OPEN) {
        server->unwanted = true;
        engine_wake(engine);
        return -EBUSY;
    }
    *at = server->next;
    server_free(server);
    return 0;
}

int engine_set_session(struct engine *engine, const char *server_name, const char *token,
                       const char *session_id, struct instant now)
{
    struct server *server = engine_find_server(engine, server_name);
    if (!server)
        return -ENOENT;
    char *own_token = strdup(token), *own_id = strdup(session_id);
    if (!own_token || !own_id) {
        free(own_token);
        free(own_id);
        return -ENOMEM;
    }
    engine->now = now;
    server_forget_token(server);
    server_open(server, own_token, own_id);
    server->last_sent_ms = now.mono_ms; /* it is not idle: its runs are added soon */
    return 0;
}
