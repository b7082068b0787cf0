#include "life.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/arena.h"
#include "base/rng.h"
#include "io/store_sqlite.h"
#include "model/item.h"

#define ITEMS 48
#define RUNS_MAX 16
#define BATCH_MAX 16

enum step_kind { STEP_OPEN, STEP_ADD, STEP_ITEMS, STEP_RUN, STEP_END, STEP_FORGET };

/* `stage` is what the items from `first` on come to. */
struct step {
    enum step_kind kind;
    unsigned run, first, n;
    uint8_t stage;
};

/* Stages of an item: no row yet, sent, running, made, verified. */
enum { STAGE_NONE, STAGE_SENT, STAGE_RUNNING, STAGE_MADE, STAGE_VERIFIED };

/* What should be stored. */
struct model {
    struct model_run {
        bool there;
        enum run_state state;
        uint8_t stages[ITEMS];
    } runs[RUNS_MAX];
};

struct life {
    const char *folder;
    unsigned n_runs;
    struct step *steps;
    size_t n, size;
    struct rng rng;
    uv_loop_t loop;
    struct store_sqlite *store;
    struct model model; /* of what was acknowledged */
    size_t acknowledged;
    unsigned failures;
    int last_failure, answer;
};

/* ---- the script ---- */

static void add_step(struct life *life, struct step step)
{
    if (life->n == life->size) {
        life->size = life->size > 0 ? life->size * 2 : 64;
        struct step *steps = realloc(life->steps, life->size * sizeof(*steps));
        if (steps == NULL)
            abort(); /* a test without memory proves nothing */
        life->steps = steps;
    }
    life->steps[life->n++] = step;
}

/* Items of a run go on in groups: sent together, accepted and made in smaller ones. */
static void script_items(struct life *life, unsigned run)
{
    for (unsigned first = 0; first < ITEMS;) {
        unsigned n = 1 + (unsigned)rng_below(&life->rng, BATCH_MAX);
        if (n > ITEMS - first)
            n = ITEMS - first;
        add_step(life, (struct step){STEP_ITEMS, run, first, n, STAGE_SENT});
        for (uint8_t stage = STAGE_RUNNING; stage <= STAGE_MADE; stage++) {
            unsigned half = (unsigned)rng_below(&life->rng, n + 1);
            if (half > 0)
                add_step(life, (struct step){STEP_ITEMS, run, first, half, stage});
            if (half < n)
                add_step(life, (struct step){STEP_ITEMS, run, first + half, n - half, stage});
        }
        first += n;
    }
    for (unsigned first = 0; first < ITEMS; first += BATCH_MAX)
        add_step(life, (struct step){STEP_ITEMS, run, first, BATCH_MAX, STAGE_VERIFIED});
}

static void script(struct life *life)
{
    add_step(life, (struct step){.kind = STEP_OPEN});
    for (unsigned run = 0; run < life->n_runs; run++) {
        add_step(life, (struct step){.kind = STEP_ADD, .run = run});
        add_step(life, (struct step){.kind = STEP_RUN, .run = run});
        script_items(life, run);
        add_step(life, (struct step){.kind = STEP_END, .run = run});
        if (rng_below(&life->rng, 3) == 0)
            add_step(life, (struct step){.kind = STEP_OPEN});
        if (run >= 2 && rng_below(&life->rng, 2) == 0)
            add_step(life, (struct step){.kind = STEP_FORGET, .run = run - 2});
    }
}

struct life *life_new(uint64_t seed, unsigned runs, const char *folder)
{
    struct life *life = calloc(1, sizeof(*life));
    if (life == NULL)
        return NULL;
    life->folder = folder;
    life->n_runs = runs < RUNS_MAX ? runs : RUNS_MAX;
    life->rng.state = seed;
    if (uv_loop_init(&life->loop) < 0)
        abort();
    script(life);
    return life;
}

struct life *life_free(struct life *life)
{
    life_close(life);
    uv_run(&life->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&life->loop) < 0)
        abort();
    free(life->steps);
    free(life);
    return NULL;
}

size_t life_steps(const struct life *life)
{
    return life->n;
}

/* ---- what a step makes of the model ---- */

static void model_apply(struct model *model, const struct step *step)
{
    struct model_run *run = &model->runs[step->run];
    switch (step->kind) {
    case STEP_OPEN:
        break;
    case STEP_ADD:
        *run = (struct model_run){.there = true, .state = RUN_QUEUED};
        break;
    case STEP_RUN:
        run->state = RUN_RUNNING;
        break;
    case STEP_ITEMS:
        memset(run->stages + step->first, step->stage, step->n);
        break;
    case STEP_END:
        run->state = RUN_SUCCEEDED;
        break;
    case STEP_FORGET:
        for (unsigned i = 0; i <= step->run; i++)
            model->runs[i] = (struct model_run){0};
        break;
    }
}

/* ---- values ---- */

static void run_id(unsigned run, char ret[27])
{
    snprintf(ret, 27, "01KB%022u", run);
}

static int64_t finished_ms(unsigned run)
{
    return 1000 * ((int64_t)run + 1);
}

/* The texts of an item; their room is the caller's. */
struct texts {
    char name[64], task[64], job[64];
};

static const enum item_state states[] = {ITEM_QUEUED, ITEM_SUBMITTING, ITEM_RUNNING, ITEM_SUCCEEDED,
                                         ITEM_SUCCEEDED};

static struct item item_at(unsigned run, unsigned index, uint8_t stage, struct texts *texts)
{
    snprintf(texts->name, sizeof(texts->name), "Tenant %u of run %u", index, run);
    snprintf(texts->task, sizeof(texts->task), "task-%u", index);
    snprintf(texts->job, sizeof(texts->job), "urn:veeam:Job:%08u-%04u", index, run);
    return (struct item){.index = index,
                         .state = states[stage],
                         .kind = JOB_KIND_BACKUP,
                         .attempts = 1,
                         .verified = stage == STAGE_VERIFIED,
                         .name = texts->name,
                         .folder = "a folder with a name of some length",
                         .source_id = "7f6c2f6c-9f1f-4a5e-8d7b-000000000001",
                         .source_name = "Template Backup",
                         .repository_uid = "urn:veeam:Repository:7f6c2f6c-9f1f-4a5e-8d7b-000000000002",
                         .server_id = "7f6c2f6c-9f1f-4a5e-8d7b-000000000003",
                         .server_name = "vbr01",
                         .task_id = stage >= STAGE_RUNNING ? texts->task : NULL,
                         .job_uid = stage >= STAGE_MADE ? texts->job : NULL,
                         .started_ms = 1700000000000 + index,
                         .finished_ms = stage >= STAGE_MADE ? 1700000001000 + index : 0};
}

/* The bytes of a plan: some pages of the database. */
static int plan_bytes(unsigned run, struct buf *ret)
{
    *ret = BUF_INIT(64 * 1024);
    int r = 0;
    for (unsigned i = 0; i < 400 && r == 0; i++)
        r = buf_printf(ret, "  - {name: Tenant %u of run %u}\n", i, run);
    return r;
}

/* ---- playing ---- */

static int open_store(struct life *life)
{
    struct buf error = BUF_INIT(4096);
    int r = store_sqlite_open(&life->loop, life->folder, &life->store, &error);
    if (r < 0 && error.len == 0)
        abort(); /* people must be told */
    buf_done(&error);
    return r;
}

void life_close(struct life *life)
{
    life->store = store_sqlite_close(life->store);
}

static void on_done(int error, void *data)
{
    ((struct life *)data)->answer = error;
}

static int commit(struct life *life, const struct store_change *changes, size_t n)
{
    struct store *port = store_sqlite_port(life->store);
    life->answer = 1;
    port->commit(port, changes, n, on_done, life);
    uv_run(&life->loop, UV_RUN_DEFAULT);
    return life->answer > 0 ? -EPROTO : life->answer;
}

static int play_items(struct life *life, const struct step *step)
{
    char id[27];
    struct item items[BATCH_MAX];
    struct texts texts[BATCH_MAX];
    struct store_change changes[BATCH_MAX];
    run_id(step->run, id);
    for (unsigned i = 0; i < step->n; i++) {
        items[i] = item_at(step->run, step->first + i, step->stage, &texts[i]);
        changes[i] = (struct store_change){
            .run_id = id,
            .item = &items[i],
            .from = (int)states[life->model.runs[step->run].stages[step->first + i]],
        };
    }
    return commit(life, changes, step->n);
}

static int play_add(struct life *life, unsigned number)
{
    char id[27], plan[] = "life", file[] = "life.yaml", server[] = "prod", hash[] = "0123456789abcdef";
    run_id(number, id);
    struct store_run run = {
        .id = id, .plan = plan, .file = file, .server = server, .hash = hash, .accepted_ms = 1};
    int r = plan_bytes(number, &run.bytes);
    if (r == 0)
        r = store_sqlite_add_run(life->store, &run);
    buf_done(&run.bytes);
    return r;
}

static int play_run(struct life *life, unsigned number)
{
    char id[27];
    run_id(number, id);
    struct store_change change = {.run_id = id, .run_state = RUN_RUNNING};
    return commit(life, &change, 1);
}

static int play_end(struct life *life, unsigned number)
{
    char id[27];
    run_id(number, id);
    return store_sqlite_end_run(life->store, id, RUN_SUCCEEDED, finished_ms(number));
}

static int play_step(struct life *life, const struct step *step)
{
    switch (step->kind) {
    case STEP_OPEN:
        life_close(life);
        return open_store(life);
    case STEP_ADD:
        return play_add(life, step->run);
    case STEP_RUN:
        return play_run(life, step->run);
    case STEP_ITEMS:
        return play_items(life, step);
    case STEP_END:
        return play_end(life, step->run);
    case STEP_FORGET:
        return store_sqlite_prune(life->store, finished_ms(step->run) + 1);
    }
    return -EINVAL;
}

void life_begin(struct life *life)
{
    life_close(life);
    life->model = (struct model){0};
    life->acknowledged = life->failures = 0;
    life->last_failure = 0;
}

int life_play(struct life *life, unsigned retries)
{
    while (life->acknowledged < life->n) {
        const struct step *step = &life->steps[life->acknowledged];
        int r = play_step(life, step);
        for (unsigned i = 0; i < retries && r < 0; i++) {
            life->failures++;
            life->last_failure = r;
            r = play_step(life, step);
        }
        if (r < 0) {
            life->failures++;
            life->last_failure = r;
            return r;
        }
        model_apply(&life->model, step);
        life->acknowledged++;
    }
    return 0;
}

size_t life_acknowledged(const struct life *life)
{
    return life->acknowledged;
}

unsigned life_failures(const struct life *life)
{
    return life->failures;
}

int life_last_failure(const struct life *life)
{
    return life->last_failure;
}

/* ---- comparing ---- */

struct comparison {
    const struct model_run *run;
    unsigned number;
    size_t seen;
    struct buf *reason;
};

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static int compare_item(const struct item *item, void *data)
{
    struct comparison *c = data;
    struct texts texts;
    c->seen++;
    if (item->index >= ITEMS)
        return buf_printf(c->reason, "run %u has an item %u", c->number, item->index), -EBADMSG;
    struct item want = item_at(c->number, item->index, c->run->stages[item->index], &texts);
    if (c->run->stages[item->index] == STAGE_NONE || item->state != want.state ||
        item->verified != want.verified || item->attempts != want.attempts ||
        item->started_ms != want.started_ms || item->finished_ms != want.finished_ms ||
        !same_text(item->name, want.name) || !same_text(item->task_id, want.task_id) ||
        !same_text(item->job_uid, want.job_uid) || !same_text(item->repository_uid, want.repository_uid))
        return buf_printf(c->reason, "run %u item %u is %s, not at stage %u; ", c->number, item->index,
                          item_state_name(item->state), c->run->stages[item->index]),
               -EBADMSG;
    return 0;
}

static int compare_head(struct life *life, struct comparison *c, const char *id)
{
    struct store_run run = {0};
    struct buf bytes;
    int r = store_sqlite_load_run(life->store, id, &run);
    if (r == -ENOENT || !c->run->there) {
        bool same = r == -ENOENT && !c->run->there;
        store_run_done(&run);
        return same ? 0
                    : (buf_printf(c->reason, "run %u is%s there; ", c->number, r == 0 ? "" : " not"),
                       -EBADMSG);
    }
    if (r == 0)
        r = plan_bytes(c->number, &bytes);
    if (r < 0)
        return buf_printf(c->reason, "run %u cannot be read: %s; ", c->number, strerror(-r)), r;
    bool same = run.state == c->run->state && run.bytes.len == bytes.len &&
                memcmp(run.bytes.data, bytes.data, bytes.len) == 0;
    if (!same)
        buf_printf(c->reason, "run %u is %s, not %s, or its plan differs; ", c->number,
                   run_state_name(run.state), run_state_name(c->run->state));
    buf_done(&bytes);
    store_run_done(&run);
    return same ? 0 : -EBADMSG;
}

static int compare_run(struct life *life, const struct model *model, unsigned number, struct buf *reason)
{
    char id[27];
    struct comparison c = {.run = &model->runs[number], .number = number, .reason = reason};
    run_id(number, id);
    int r = compare_head(life, &c, id);
    struct arena *arena = arena_new();
    if (r == 0)
        r = store_sqlite_load_items(life->store, id, arena, compare_item, &c);
    arena_free(arena);
    size_t rows = 0;
    for (unsigned i = 0; i < ITEMS; i++)
        rows += c.run->stages[i] != STAGE_NONE;
    if (r == 0 && rows != c.seen) {
        buf_printf(reason, "run %u has %zu items, not %zu; ", number, c.seen, rows);
        r = -EBADMSG;
    }
    return r;
}

/* Runs before `from` are left out: they are being forgotten, piece by piece. */
static bool compare(struct life *life, const struct model *model, unsigned from, struct buf *reason)
{
    int r = 0;
    for (unsigned run = from; run < life->n_runs && r == 0; run++)
        r = compare_run(life, model, run, reason);
    return r == 0;
}

/* SQLite's own judgement, and the history: one row for each change of a state. */
static bool check_inside(struct life *life, const struct model *model, bool exact, struct buf *reason)
{
    char path[128];
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int64_t want = 0, have = -1;
    snprintf(path, sizeof(path), "%s/jobclone.db", life->folder);
    bool whole = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
                 sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL) == SQLITE_OK &&
                 sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL) == SQLITE_OK &&
                 sqlite3_step(stmt) == SQLITE_ROW &&
                 strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
    sqlite3_finalize(stmt);
    stmt = NULL;
    if (sqlite3_prepare_v2(db, "SELECT count(*) FROM history", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        have = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    for (unsigned run = 0; run < life->n_runs; run++)
        for (unsigned i = 0; i < ITEMS; i++)
            want += model->runs[run].stages[i] < STAGE_VERIFIED ? model->runs[run].stages[i] : STAGE_MADE;
    if (!whole)
        buf_add_str(reason, "SQLite finds the file damaged; ");
    if (exact && have != want)
        buf_printf(reason, "the history has %lld rows, not %lld; ", (long long)have, (long long)want);
    return whole && (!exact || have == want);
}

bool life_check(struct life *life, bool *ret_next, struct buf *ret_reason)
{
    struct model next = life->model;
    const struct step *step = life->acknowledged < life->n ? &life->steps[life->acknowledged] : NULL;
    bool forgetting = step != NULL && step->kind == STEP_FORGET;
    life_close(life);
    *ret_next = false;
    int r = open_store(life);
    if (r < 0) {
        buf_printf(ret_reason, "the store cannot be opened: %s", strerror(-r));
        return false;
    }
    if (step != NULL)
        model_apply(&next, step);
    bool same = compare(life, &life->model, forgetting ? step->run + 1 : 0, ret_reason);
    if (!same && step != NULL && compare(life, &next, 0, ret_reason))
        same = *ret_next = true;
    life_close(life);
    return same && check_inside(life, *ret_next ? &next : &life->model, !forgetting, ret_reason);
}
