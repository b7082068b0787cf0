/* What must be true at every moment, and at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define TURN_MS 100 /* what was decided before may leave until then */

/* The run and index of a mark; the text is a description or a body that holds one. */
struct sim_run *check_mark(struct world *world, const char *text, uint32_t *ret_index)
{
    const char *mark = strstr(text, "[jobclone:");
    char id[27] = "";
    if (!mark || sscanf(mark, "[jobclone:%26[0-9A-Z]/%u]", id, ret_index) != 2)
        return NULL;
    for (size_t i = 0; i < world->n_runs; i++)
        if (strcmp(world->runs[i].id, id) == 0 && *ret_index < world->runs[i].n_items)
            return &world->runs[i];
    return NULL;
}

static bool busy(enum item_state state)
{
    return state == ITEM_SUBMITTING || state == ITEM_RUNNING || state == ITEM_IN_DOUBT;
}

/* Unfinished tasks of a backup server, clones of one source, over all runs. */
static void check_limits(struct em *em, const struct sim_run *run, uint32_t index)
{
    struct world *world = em->world;
    unsigned tasks = 0, of_source = 0;
    for (size_t r = 0; r < world->n_runs; r++) {
        const struct sim_run *other = &world->runs[r];
        for (uint32_t i = 0; i < other->n_items && other->em == em && other->added && !other->ended; i++) {
            enum item_state state = engine_run_item(world->engine, other->id, i)->state;
            bool task = state == ITEM_SUBMITTING || state == ITEM_RUNNING;
            tasks += task && i % SIM_BACKUP_SERVERS == index % SIM_BACKUP_SERVERS;
            of_source += busy(state) && i % SIM_TEMPLATES == index % SIM_TEMPLATES;
        }
    }
    if (tasks > em->settings.tasks_max)
        world_fail(world, "%s: %u unfinished tasks on one backup server", em->name, tasks);
    if (em->settings.in_flight_per_source && of_source > em->settings.in_flight_per_source)
        world_fail(world, "%s: %u clones of one source at once", em->name, of_source);
    if (em->clones_in_flight > em->settings.in_flight_max)
        world_fail(world, "%s: %u clone requests in flight", em->name, em->clones_in_flight);
    if (run->in_flight && run->clones_in_flight > run->in_flight)
        world_fail(world, "run %c: %u clone requests in flight", run->id[25], run->clones_in_flight);
}

/* Its time counts from its start whatever happens to the daemon, and begins anew with a retry alone. */
void check_started(struct world *world, const struct sim_run *run, int64_t started_ms)
{
    bool anew = !run->started_ms || run->ended;
    if (!started_ms || (!anew && !world->skew_ms && started_ms != run->started_ms))
        world_fail(world, "run %c: its start is moved by %lld ms", run->id[25],
                   (long long)(started_ms - run->started_ms));
}

static void check_time_left(struct world *world, const struct sim_run *run, uint32_t index)
{
    int64_t spent = world_instant(world).wall_ms - run->started_ms;
    if (run->run_timeout_ms && !world->skew_ms && spent > (int64_t)run->run_timeout_ms + TURN_MS)
        world_fail(world, "run %c item %u: its request leaves though the run's time is over", run->id[25],
                   index);
}

/* Has that row a clone under way, or one that the list need not show yet? */
static bool row_has_name(const struct world *world, const struct sim_run *run, const struct item *row)
{
    int64_t settle = (int64_t)run->em->settings.settle_ms;
    return busy(row->state) ||
           (row->state == ITEM_SUCCEEDED && row->finished_ms + settle > world_instant(world).wall_ms);
}

/* No other run has the name: neither under way, nor made within `settle`. */
static void check_name(struct world *world, const struct sim_run *run, uint32_t index)
{
    const struct item *item = &run->rows[index];
    for (size_t r = 0; r < world->n_runs && !world->skew_ms; r++) {
        const struct sim_run *other = &world->runs[r];
        for (uint32_t i = 0; i < other->n_items && other != run && other->em == run->em; i++) {
            const struct item *row = &other->rows[i];
            if (other->stored[i] && row->name && strcmp(row->name, item->name) == 0 && row->server_id &&
                strcmp(row->server_id, item->server_id) == 0 && row_has_name(world, other, row))
                world_fail(world, "run %c item %u: its request leaves though item %u of run %c has the name",
                           run->id[25], index, i, other->id[25]);
        }
    }
}

void check_sends_clone(struct em *em, const char *body)
{
    struct world *world = em->world;
    uint32_t index = 0;
    struct sim_run *run = check_mark(world, body, &index);
    if (!run)
        return;
    world->sends++;
    if (!run->stored[index] || run->rows[index].state != ITEM_SUBMITTING)
        world_fail(world, "run %c item %u: its request leaves before it is stored", run->id[25], index);
    if (run->ended || run->state == RUN_PAUSED || run->wish >= RUN_WISH_CANCEL)
        world_fail(world, "run %c item %u: its request leaves though the run is %s", run->id[25], index,
                   run->ended                     ? "ended"
                   : run->wish >= RUN_WISH_CANCEL ? "cancelled"
                                                  : "paused");
    if (!window_at(&run->window, world_instant(world).wall_ms).open)
        world_fail(world, "run %c item %u: its request leaves though the window is closed", run->id[25],
                   index);
    check_time_left(world, run, index);
    check_name(world, run, index);
    check_limits(em, run, index);
}

/* The diagram of model/item.h as stored rows may follow it; SUBMITTING and RUNNING
 * become IN_DOUBT by a restart without being stored as such. */
static bool row_may(enum item_state from, const struct item *to)
{
    static const unsigned next[ITEM_STATE_COUNT] = {
        [ITEM_QUEUED] = 1u << ITEM_SUBMITTING | 1u << ITEM_FAILED | 1u << ITEM_CANCELLED |
                        1u << ITEM_SKIPPED | 1u << ITEM_SUCCEEDED,
        [ITEM_SUBMITTING] = 1u << ITEM_QUEUED | 1u << ITEM_RUNNING | 1u << ITEM_IN_DOUBT | 1u << ITEM_FAILED |
                            1u << ITEM_SUCCEEDED | 1u << ITEM_UNKNOWN | 1u << ITEM_CANCELLED,
        [ITEM_RUNNING] = 1u << ITEM_QUEUED | 1u << ITEM_IN_DOUBT | 1u << ITEM_FAILED | 1u << ITEM_SUCCEEDED |
                         1u << ITEM_UNKNOWN | 1u << ITEM_CANCELLED,
        [ITEM_IN_DOUBT] = 1u << ITEM_QUEUED | 1u << ITEM_FAILED | 1u << ITEM_SUCCEEDED | 1u << ITEM_UNKNOWN |
                          1u << ITEM_CANCELLED,
        [ITEM_SUCCEEDED] = 1u << ITEM_SUCCEEDED,
        [ITEM_FAILED] =
            1u << ITEM_SUCCEEDED | /* a task that timed out and ended after all; the others: a retry */
            1u << ITEM_QUEUED | 1u << ITEM_IN_DOUBT,
        [ITEM_CANCELLED] = 1u << ITEM_QUEUED,
        [ITEM_UNKNOWN] = 1u << ITEM_IN_DOUBT,
    };
    return from == to->state || (next[from] >> to->state & 1u);
}

static void check_succeeded(struct world *world, const struct sim_run *run, const struct item *to)
{
    char mark[ITEM_MARK_MAX];
    const struct sim_job *job = NULL;
    item_mark(mark, run->id, to->index);
    int n = em_clones(run->em, mark, &job);
    const char *id = to->job_uid ? strrchr(to->job_uid, ':') : NULL;
    if (n != 1 || job->done_ms > world->now_ms || !id || strcmp(id + 1, job->id) != 0)
        world_fail(world, "run %c item %u is stored as succeeded (%s): %d clones are there", run->id[25],
                   to->index, to->job_uid ? to->job_uid : "no id", n);
}

/* An item is stored. */
void check_logs_off(struct em *em)
{
    struct world *world = em->world;
    bool goes_on = false;
    em->known_session = 0;
    for (size_t r = 0; r < world->n_runs; r++) {
        const struct sim_run *run = &world->runs[r];
        for (uint32_t i = 0; i < run->n_items && run->em == em && run->added && !run->ended; i++) {
            enum item_state state = run->stored[i] ? run->rows[i].state : ITEM_QUEUED;
            goes_on |= state == ITEM_QUEUED;
            if (state == ITEM_SUBMITTING || state == ITEM_RUNNING || state == ITEM_IN_DOUBT)
                world_fail(world, "run %c item %u: its session is given back", run->id[25], i);
        }
    }
    world->changed_sessions += goes_on;
}

void check_row(struct sim_run *run, const struct item *from, const struct item *to, struct world *world)
{
    if (!row_may(from->state, to))
        world_fail(world, "run %c item %u: stored as %s after %s", run->id[25], to->index,
                   item_state_name(to->state), item_state_name(from->state));
    if (to->attempts > run->attempts)
        world_fail(world, "run %c item %u: try number %u of %u", run->id[25], to->index, to->attempts,
                   run->attempts);
    if (item_state_final(to->state) && to->attempts > run->arrived[to->index] + world->crashes)
        world_fail(world, "run %c item %u: %u tries, but only %u requests may have arrived", run->id[25],
                   to->index, to->attempts, run->arrived[to->index]);
    if (to->state == ITEM_SUCCEEDED)
        check_succeeded(world, run, to);
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Memory and store agree whenever nothing is on its way between them. */
static void check_memory(struct world *world, const struct sim_run *run)
{
    for (uint32_t i = 0; i < run->n_items; i++) {
        const struct item *item = engine_run_item(world->engine, run->id, i), *row = &run->rows[i];
        if (!run->stored[i] && item->state == ITEM_QUEUED)
            continue;
        bool doubt_of_restart = item->state == ITEM_IN_DOUBT && busy(row->state);
        if (!run->stored[i] || (item->state != row->state && !doubt_of_restart) ||
            item->attempts != row->attempts || item->error != row->error ||
            !same(item->job_uid, row->job_uid) || !same(item->task_id, row->task_id))
            world_fail(world, "run %c item %u: %s in memory, %s in the store", run->id[25], i,
                       item_state_name(item->state),
                       run->stored[i] ? item_state_name(row->state) : "nothing");
    }
}

void check_step(struct world *world)
{
    if (world->commits_in_flight || world->store_failed || world->wake)
        return;
    for (size_t i = 0; i < world->n_runs; i++)
        if (world->runs[i].added && !world->runs[i].ended && !world->runs[i].blocked)
            check_memory(world, &world->runs[i]);
}

/* May an item of this run be unknown? Only where the server or a person took the proof away. */
static bool may_be_unknown(const struct sim_run *run, const struct item *item)
{
    const struct em *em = run->em;
    if (em->unread_lists >= 3 && item->message && strstr(item->message, "the list of jobs cannot be read"))
        return true;
    return em->quirk != QUIRK_NONE || em->refused_collections >= 3 || em->collect_spoil_permille >= 500 ||
           em->refused_lists || em->hanging || em->meddled || run->run_timeout_ms;
}

static void check_end_item(struct world *world, const struct sim_run *run, uint32_t index)
{
    const struct item *item = &run->rows[index];
    char mark[ITEM_MARK_MAX];
    const struct sim_job *job = NULL;
    item_mark(mark, run->id, index);
    int clones = em_clones(run->em, mark, &job);
    bool late = item->error == ITEM_E_TASK_TIMEOUT;
    const char *name = item_state_name(item->state);
    if (!run->stored[index] || !item_state_final(item->state))
        world_fail(world, "run %c item %u ended as %s", run->id[25], index, name);
    else if (item->state == ITEM_UNKNOWN && !may_be_unknown(run, item))
        world_fail(world, "run %c item %u is unknown though everything could be asked", run->id[25], index);
    else if (item->state != ITEM_SUCCEEDED && item->state != ITEM_UNKNOWN && clones && !late)
        world_fail(world, "run %c item %u is called %s but a clone is there", run->id[25], index, name);
    else if (item->state == ITEM_SUCCEEDED && !item->verified && run->em->quirk == QUIRK_NONE &&
             !run->em->meddled && !run->alone && run->em->unread_lists < 3)
        world_fail(world, "run %c item %u succeeded, but was never seen in the list", run->id[25], index);
}

void check_end(struct world *world)
{
    for (size_t r = 0; r < world->n_runs; r++)
        for (uint32_t i = 0; i < world->runs[r].n_items && !world->failure[0]; i++)
            check_end_item(world, &world->runs[r], i);
}
