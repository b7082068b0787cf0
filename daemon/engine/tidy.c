/* Finished tasks stay in the list that every poll reads, until each of them is deleted or their session is
 * given back. A deletion costs the server as much as a clone request, and a place among those in flight; a
 * task that stays costs a line in each list. So while clones wait for a place, tasks are deleted only if they
 * would be listed so often more that it costs more, and where tasks are short not one by one: the session is
 * drained, given back with all of them in one request, and the next one goes on. A list that nobody reads
 * stays as it is. */
#include "engine/parts.h"

enum { TIDY_STOP, TIDY_FINISHED }; /* what goes first */

#define TASKS_KEPT 500    /* may stay listed, whatever comes */
#define SESSION_MAX 40    /* times that many, before a session is changed: the list must not become longer */
#define SESSION_MIN 4     /* times what may stay, where that is given */
#define AT_LEISURE 8      /* this part of the requests in flight while no clone waits for a place */
#define DRAIN_TRIPS 3     /* to the server and back, in which no clone is sent: last clones, list, logon */
#define STRAGGLER 4       /* times as long as others take, and */
#define STRAGGLER_MS 1000 /* so much longer: such a task is not waited for */
#define POLLS_A_TASK 10   /* while one is unfinished (watch.c) */
#define LISTED_US 10      /* what a task in a list costs both sides (tests/bench, docs/PERFORMANCE.md) */
#define REQUEST_US 80     /* and a request, at least */
#define STOPS_MAX 10      /* deletions of a task that the operator wants stopped */

static size_t tasks_kept(const struct server *server)
{
    unsigned kept = server->engine->config.tasks_kept;
    return kept ? kept : TASKS_KEPT;
}

size_t tidy_queued(const struct server *server)
{
    size_t n = 0;
    for (const struct run *run = server->engine->runs; run; run = run->next)
        n += run->server == server && run->no_more == ITEM_OK ? run->count[ITEM_QUEUED] : 0;
    return n;
}

/* How many polls are still to come while clones wait: told by the clones that are accepted between two. */
static size_t polls_left(const struct server *server)
{
    return tidy_queued(server) / (server->per_poll ? server->per_poll : 1);
}

/* What a deletion costs: a request, and its time of a place if there is a clone that could have it. */
static uint64_t deletion_us(const struct server *server)
{
    uint64_t place_us = server->hungry ? server->limit.latency_us / limit_now(&server->limit) : 0;
    return place_us > REQUEST_US ? place_us : REQUEST_US;
}

/* Will what is finished by now be listed often enough to be worth its deletion? */
static bool tidy_pays(const struct server *server)
{
    return server->tidy.n > tasks_kept(server) && polls_left(server) * LISTED_US >= deletion_us(server);
}

/* ---- a new session instead ---- */

/* With fewer and fewer requests in flight answers come as soon as they can. A long list makes them late: just
 * when this is asked. */
static uint64_t drain_us(const struct server *server)
{
    const struct limit *limit = &server->limit;
    return DRAIN_TRIPS * (limit->best_us ? limit->best_us : limit->latency_us) + server->least_ms * 1000;
}

static size_t square_root(uint64_t of)
{
    uint64_t root = of, next = (of + 1) / 2;
    while (next < root) {
        root = next;
        next = (root + of / root) / 2;
    }
    return (size_t)root;
}

/* After how many tasks a change costs least: `drain / n` of each for the drain, and n tasks are listed
 * `n / 2 / per_poll` times each in the mean; the sum is least where both are equal. */
static size_t session_tasks(const struct server *server)
{
    unsigned given = server->engine->config.tasks_kept;
    size_t best = square_root(2 * drain_us(server) * server->per_poll / LISTED_US);
    if (given)
        return (size_t)given * SESSION_MIN;
    return best > TASKS_KEPT ? best : TASKS_KEPT;
}

/* What has ended, as far as the last list tells, and is still listed. */
static size_t tidy_ended(const struct server *server)
{
    return server->tidy.n + server->taking;
}

/* Does one of its tasks take far longer than others do? All clones would have to wait for its end. */
static bool tidy_straggles(const struct server *server)
{
    uint64_t now = server->engine->now.mono_ms, most_ms = STRAGGLER * server->task_ms + STRAGGLER_MS;
    for (const struct run *run = server->engine->runs; run; run = run->next) {
        const struct slots *running = &run->in_state[ITEM_RUNNING]; /* the oldest one first */
        if (run->server == server && running->n && now - run->slots[running->first].item.since_ms > most_ms)
            return true;
    }
    return false;
}

/* May the session be changed rather than its tasks be deleted? */
static bool tidy_may_roll(const struct server *server)
{
    size_t tasks = session_tasks(server);
    if (server->in_doubt || tasks > tasks_kept(server) * SESSION_MAX || tidy_straggles(server))
        return false;
    return server->engine->config.tasks_kept || 2 * drain_us(server) / tasks < deletion_us(server);
}

/* Is it worth it now, with what is still to come? */
static bool tidy_roll_pays(const struct server *server)
{
    uint64_t saved_us = tidy_ended(server) * polls_left(server) * LISTED_US;
    return server->engine->config.tasks_kept ? polls_left(server) > 0 : saved_us >= 2 * drain_us(server);
}

void tidy_decide(struct server *server)
{
    if (server->rolling)
        server->rolling = !server->in_doubt && !tidy_straggles(server);
    else
        server->rolling = server->hungry && tidy_ended(server) >= session_tasks(server) &&
                          tidy_may_roll(server) && tidy_roll_pays(server);
}

bool tidy_rolls(const struct server *server)
{
    return server->rolling && !server->in_flight && !server->in_doubt && server_rests(server);
}

unsigned tidy_share(const struct server *server)
{
    if (!tidy_pays(server) || server->rolling || (server->hungry && tidy_may_roll(server)))
        return 0;
    size_t over = server->tidy.n - tasks_kept(server);
    unsigned half = (limit_now(&server->limit) + 1) / 2;
    return over < half ? (unsigned)over : half;
}

/* No clone waits for a place: will the list be read often enough, until all that wait for a task's end have
 * been accepted and the last task has ended? It will take as long as others did, or, where it has taken
 * longer, as long again. */
static bool tidy_pays_at_leisure(const struct server *server)
{
    uint64_t since_ms = watch_youngest_ms(server), age_ms = server->engine->now.mono_ms - since_ms;
    uint64_t left_ms = age_ms < server->task_ms / 2 ? server->task_ms - age_ms : age_ms;
    uint64_t interval_ms = server->task_ms / POLLS_A_TASK;
    if (interval_ms < server->settings->poll_interval_ms)
        interval_ms = server->settings->poll_interval_ms;
    uint64_t polls = polls_left(server) + left_ms / (interval_ms + 1);
    return since_ms && polls * LISTED_US >= REQUEST_US;
}

/* How many deletions may be in flight. What the operator wants stopped goes at once. */
static unsigned tidy_most(const struct server *server)
{
    unsigned limit = limit_now(&server->limit), share = tidy_share(server), leisure = limit / AT_LEISURE + 1;
    if (heap_due(&server->tidy) == TIDY_STOP)
        return limit;
    if (server->rolling || !server->tidy.n || (!share && !tidy_pays_at_leisure(server)))
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
        e->task_id = arena_str(e->arena, owner->id); /* without it it is not deleted again */
        buf_printf(&e->path, "/api/tasks/%s", owner->id);
        if (exchange_start(e) < 0)
            return;
        server->tidying++;
    }
}

/* Was it not carried out, or is that not known? What has been deleted already does no harm. */
static bool tidy_failed(enum fault fault)
{
    return fault == FAULT_UNSENT || fault == FAULT_TLS || fault == FAULT_LOST || fault == FAULT_BUSY ||
           fault == FAULT_OVERLOAD || fault == FAULT_SERVER;
}

/* A task that stays listed costs a line; one that the operator wants stopped would make its clone. */
void tidy_reply(struct exchange *e)
{
    struct server *server = e->server;
    server->tidying--;
    if (!e->task_id || e->serial != server->session.serial || !tidy_failed(exchange_fault(e)))
        return;
    uint32_t at = table_get(&server->tasks, e->task_id);
    struct task_owner *owner = at == TABLE_NONE ? NULL : &server->task_owners[at];
    if (!owner || owner->state != TASK_STOPPED || ++owner->stops >= STOPS_MAX)
        return; /* that session is gone, its end has been seen, or the server does not want to */
    owner->state = TASK_STOP;
    tidy_add(server, owner);
}
