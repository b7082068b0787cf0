#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ident.h"

static uint32_t find_user(const struct world *world, const char *authorization)
{
    char text[512];
    if (!authorization || strncasecmp(authorization, "Basic ", 6) != 0 ||
        ident_base64_decode(authorization + 6, text, sizeof(text)) < 0)
        return WORLD_NONE;
    char *colon = strchr(text, ':');
    if (!colon)
        return WORLD_NONE;
    *colon = 0;
    for (size_t i = 0; i < world->n_users; i++)
        if (strcasecmp(world->users[i].name, text) == 0 && strcmp(world->users[i].password, colon + 1) == 0)
            return (uint32_t)i;
    return WORLD_NONE;
}

static int session_add(struct world *world, const struct session *session)
{
    int r = world_room((void **)&world->sessions, &world->size_sessions, world->n_sessions, sizeof(*session));
    if (r == 0)
        r = table_put(&world->session_by_token, session->token, (uint32_t)world->n_sessions);
    if (r == 0)
        r = table_put(&world->session_by_id, session->id, (uint32_t)world->n_sessions);
    if (r == 0)
        world->sessions[world->n_sessions++] = *session;
    return r;
}

int session_logon(struct world *world, const char *authorization, uint32_t *ret_session)
{
    uint32_t user = find_user(world, authorization);
    if (user == WORLD_NONE)
        return -EACCES;
    char token[25], id[GUID_LEN + 1];
    int r = ident_token(token);
    if (r < 0)
        return r;
    ident_guid(id, "LogonSession", token, "");
    struct session s = {.token = arena_str(world->arena, token),
                        .id = arena_str(world->arena, id),
                        .user = user,
                        .used_ms = world->now_ms,
                        .open = true};
    if (!s.token || !s.id)
        return -ENOMEM;
    r = session_add(world, &s);
    if (r < 0)
        return r;
    world->logons++;
    if (++world->sessions_open > world->sessions_open_max)
        world->sessions_open_max = world->sessions_open;
    *ret_session = (uint32_t)(world->n_sessions - 1);
    return 0;
}

uint32_t session_of_token(struct world *world, const char *token)
{
    uint32_t index = token ? table_get(&world->session_by_token, token) : WORLD_NONE;
    if (index == WORLD_NONE || !world->sessions[index].open)
        return WORLD_NONE;
    world->sessions[index].used_ms = world->now_ms;
    return index;
}

uint32_t session_of_id(const struct world *world, const char *id)
{
    uint32_t index = table_get(&world->session_by_id, id);
    return index != WORLD_NONE && world->sessions[index].open ? index : WORLD_NONE;
}

void session_close(struct world *world, uint32_t session)
{
    struct session *s = &world->sessions[session];
    if (!s->open)
        return;
    s->open = false;
    world->sessions_open--;
    free(s->tasks);
    s->tasks = NULL;
    s->n_tasks = s->size_tasks = 0;
}

void session_close_all(struct world *world)
{
    for (size_t i = 0; i < world->n_sessions; i++)
        session_close(world, (uint32_t)i);
}

void session_expire_idle(struct world *world)
{
    if (!world->sessions_open)
        return;
    for (size_t i = 0; i < world->n_sessions; i++)
        if (world->sessions[i].open &&
            world->now_ms - world->sessions[i].used_ms >= world->behaviour.session_idle_ms)
            session_close(world, (uint32_t)i);
}

int session_add_task(struct world *world, uint32_t session, uint32_t work, uint64_t *ret_number)
{
    struct session *s = &world->sessions[session];
    int r = world_room((void **)&s->tasks, &s->size_tasks, s->n_tasks, sizeof(*s->tasks));
    if (r < 0)
        return r;
    s->tasks[s->n_tasks++] = work;
    *ret_number = s->n_tasks;
    return 0;
}

/* The place of "task-N", or NULL. */
static uint32_t *task_slot(const struct world *world, uint32_t session, const char *task_id)
{
    const struct session *s = &world->sessions[session];
    if (strncasecmp(task_id, "task-", 5) != 0 || strspn(task_id + 5, "0123456789") != strlen(task_id + 5))
        return NULL;
    unsigned long long number = strtoull(task_id + 5, NULL, 10);
    if (number == 0 || number > s->n_tasks || s->tasks[number - 1] == WORLD_NONE)
        return NULL;
    return &s->tasks[number - 1];
}

uint32_t session_task(const struct world *world, uint32_t session, const char *task_id)
{
    const uint32_t *slot = task_slot(world, session, task_id);
    return slot ? *slot : WORLD_NONE;
}

bool session_remove_task(struct world *world, uint32_t session, const char *task_id)
{
    uint32_t *slot = task_slot(world, session, task_id);
    if (!slot)
        return false;
    if (world->works[*slot].phase == WORK_RUNNING)
        world->deleted_running++;
    *slot = WORLD_NONE;
    return true;
}
