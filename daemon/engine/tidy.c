/* Finished tasks stay in the list that every poll reads, until each of them is deleted or their session is
 * given back. A deletion costs the server as much as a clone request, and a place among those in flight; a
 * task that stays costs a line in each list. So while clones wait for a place, tasks are deleted only if they
 * would be listed many times more, and where tasks are short not one by one: the session is drained, given
 * back with all of them in one request, and the next one goes on. A list that nobody reads stays as it is. */
#include "engine/parts.h"

enum { TIDY_STOP, TIDY_FINISHED }; /* what goes first */

#define TASKS_KEPT 500 /* may stay listed, whatever comes */
#define WORTH_POLLS 10 /* listed so often, a task costs as much as its deletion */
#define AT_LEISURE 8   /* this part of the requests in flight while no clone waits for a place */
#define DRAIN_TRIPS 3  /* to the server and back, in which no clone is sent: last clones, list, logon */
#define DRAIN_GAIN 4   /* so many times what the drain costs must be saved by it */
#define ROLL_MIN 4     /* times what may stay listed */
#define ROLL_MAX 40    /* the list must not grow beyond for the sake of a new session */

static size_t tasks_kept(const struct server *server)
{
    unsigned kept = server->engine->config.tasks_kept;
    return kept ? kept : TASKS_KEPT;
}

static bool server_has_running(const struct server *server)
{
    for (const struct run *run = server->engine->runs; run; run = run->next)
        if (run->server == server && run->count[ITEM_SUBMITTING] + run->count[ITEM_RUNNING])
            return true;
    return server->in_doubt > 0;
}

static size_t server_queued(const struct server *server)
{
    size_t n = 0;
    for (const struct run *run = server->engine->runs; run; run = run->next)
        n += run->server == server && run->no_more == ITEM_OK ? run->count[ITEM_QUEUED] : 0;
    return n;
}

/* Will what is finished by now be listed often enough to be worth its deletion? The polls to come are told
 * by the clones that are accepted between two of them. */
static bool tidy_pays(const struct server *server)
{
    return server->tidy.n > tasks_kept(server) &&
           server_queued(server) / (server->per_poll ? server->per_poll : 1) >= WORTH_POLLS;
}

/* From how many finished tasks on a new session is cheaper than their deletion. */
static size_t tidy_roll_at(const struct server *server)
{
    uint64_t trip_us = server->limit.latency_us > 1000 ? server->limit.latency_us : 1000;
    uint64_t lost = limit_now(&server->limit) * (DRAIN_TRIPS + server->least_ms * 1000 / trip_us);
    size_t least = tasks_kept(server) * ROLL_MIN;
    return lost * DRAIN_GAIN > least ? lost * DRAIN_GAIN : least;
}

static bool tidy_may_roll(const struct server *server)
{
    return tidy_roll_at(server) <= tasks_kept(server) * ROLL_MAX && !server->in_doubt;
}

void tidy_decide(struct server *server)
{
    if (server->rolling)
        server->rolling = !server->in_doubt;
    else
        server->rolling = server->hungry && tidy_pays(server) && tidy_may_roll(server) &&
                          server->tidy.n >= tidy_roll_at(server);
}

bool tidy_rolls(const struct server *server)
{
    if (!server->rolling || server->in_flight || server->in_doubt)
        return false;
    for (const struct run *run = server->engine->runs; run; run = run->next)
        if (run->server == server && (run->count[ITEM_SUBMITTING] + run->count[ITEM_RUNNING] ||
                                      run->in_state[ITEM_SUBMITTING].n + run->in_state[ITEM_RUNNING].n))
            return false;
    return true;
}

unsigned tidy_share(const struct server *server)
{
    if (!tidy_pays(server) || server->rolling || tidy_may_roll(server))
        return 0;
    size_t over = server->tidy.n - tasks_kept(server);
    unsigned half = (limit_now(&server->limit) + 1) / 2;
    return over < half ? (unsigned)over : half;
}

/* How many deletions may be in flight. What the operator wants stopped goes at once. */
static unsigned tidy_most(const struct server *server)
{
    unsigned limit = limit_now(&server->limit), share = tidy_share(server), leisure = limit / AT_LEISURE + 1;
    if (heap_due(&server->tidy) == TIDY_STOP)
        return limit;
    if (server->rolling || !server->tidy.n || (!share && !server_has_running(server)))
        return 0;
    return server->hungry || share > leisure ? share : leisure;
}

bool tidy_wanted(const struct server *server)
{
    return server->tidying < tidy_most(server) && server_room(server);
}

void tidy_add(struct server *server, const struct task_owner *owner)
{
    heap_push(&server->tidy, owner->state == TASK_STOP ? TIDY_STOP : TIDY_FINISHED,
              (uint32_t)(owner - server->task_owners));
}

void tidy_act(struct server *server)
{
    while (tidy_wanted(server)) {
        struct task_owner *owner = &server->task_owners[heap_pop(&server->tidy).value];
        owner->state = owner->state == TASK_STOP ? TASK_STOPPED : TASK_DONE;
        struct exchange *e = exchange_new(server, EXCHANGE_TIDY, HTTP_DELETE);
        if (!e)
            return;
        buf_printf(&e->path, "/api/tasks/%s", owner->id);
        if (exchange_start(e) < 0)
            return;
        server->tidying++;
    }
}

void tidy_reply(struct exchange *e)
{
    e->server->tidying--;
}
