/* A store in a folder of its own, for the tests of the store. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "io/store_sqlite.h"
#include "model/item.h"

#define RUN_A "01KB000000000000000000000A"
#define RUN_B "01KB000000000000000000000B"

struct world {
    char directory[64];
    uv_loop_t loop;
    struct store_sqlite *store;
    struct buf error;
    int done_calls, done_error;
};

static inline void path_of(const struct world *world, const char *name, char ret[128])
{
    snprintf(ret, 128, "%s/state/%s", world->directory, name);
}

static inline int try_open(struct world *world)
{
    char directory[128];
    path_of(world, "", directory);
    directory[strlen(directory) - 1] = '\0';
    buf_reset(&world->error);
    return store_sqlite_open(&world->loop, directory, &world->store, &world->error);
}

static inline int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    snprintf(world->directory, sizeof(world->directory), "/tmp/test-store-XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    assert_int_equal(uv_loop_init(&world->loop), 0);
    world->error = BUF_INIT(4096);
    *state = world;
    return 0;
}

static inline int teardown(void **state)
{
    struct world *world = *state;
    store_sqlite_close(world->store);
    assert_int_equal(uv_run(&world->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    static const char *const names[] = {"jobclone.db", "jobclone.db-wal", "jobclone.db-shm",
                                        "jobclone.db-journal", "lock"};
    char path[128];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_of(world, names[i], path);
        unlink(path);
    }
    path_of(world, "", path);
    rmdir(path);
    assert_int_equal(rmdir(world->directory), 0);
    buf_done(&world->error);
    free(world);
    return 0;
}

static inline void reopen(struct world *world)
{
    world->store = store_sqlite_close(world->store);
    assert_int_equal(try_open(world), 0);
}

static inline void on_done(int error, void *data)
{
    struct world *world = data;
    world->done_calls++;
    world->done_error = error;
}

static inline int commit(struct world *world, const struct store_change *changes, size_t n)
{
    struct store *port = store_sqlite_port(world->store);
    world->done_calls = 0;
    world->done_error = 1;
    port->commit(port, changes, n, on_done, world);
    if (world->done_calls != 0) /* never before it returns */
        return 1;
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->done_calls, 1);
    return world->done_error;
}

static inline int commit_step(struct world *world, const char *run_id, enum item_state from,
                              const struct item *item)
{
    struct store_change change = {.run_id = run_id, .item = item, .from = (int)from};
    return commit(world, &change, 1);
}

/* The first change of an item. */
static inline int commit_item(struct world *world, const char *run_id, const struct item *item)
{
    return commit_step(world, run_id, ITEM_QUEUED, item);
}

static inline int commit_state(struct world *world, const char *run_id, enum run_state state,
                               int64_t finished_ms)
{
    struct store_change change = {.run_id = run_id, .run_state = state, .finished_ms = finished_ms};
    return commit(world, &change, 1);
}

static inline void add_run(struct world *world, const char *id, const char *hash)
{
    char run_id[32], plan[] = "onboarding", file[] = "onboard.yaml", server[] = "prod", digest[80],
                     csv_path[] = "t.csv";
    snprintf(run_id, sizeof(run_id), "%s", id);
    snprintf(digest, sizeof(digest), "%s", hash);
    struct store_csv csv[2] = {{.path = csv_path, .bytes = BUF_INIT(64)},
                               {.path = file, .bytes = BUF_INIT(64)}};
    struct store_run run = {.id = run_id,
                            .plan = plan,
                            .file = file,
                            .server = server,
                            .hash = digest,
                            .state = RUN_QUEUED,
                            .accepted_ms = 1700000000123,
                            .bytes = BUF_INIT(64),
                            .csv = csv,
                            .n_csv = 2};
    assert_int_equal(buf_add(&run.bytes, "a\0b\n", 4), 0);
    assert_int_equal(buf_add_str(&csv[0].bytes, "tenant\nx\n"), 0);
    assert_int_equal(store_sqlite_add_run(world->store, &run), 0);
    buf_done(&run.bytes);
    buf_done(&csv[0].bytes);
}

struct seen {
    struct item items[64];
    char runs[64][32];
    char names[64][32];
    size_t n;
    int answer;
};

static inline int on_item(const struct item *item, void *data)
{
    struct seen *seen = data;
    assert_true(seen->n < 64);
    seen->items[seen->n++] = *item;
    return seen->answer;
}

static inline int on_name(const char *run_id, const struct item *item, void *data)
{
    struct seen *seen = data;
    snprintf(seen->runs[seen->n], sizeof(seen->runs[0]), "%s", run_id);
    snprintf(seen->names[seen->n], sizeof(seen->names[0]), "%s/%s", item->server_name, item->name);
    return on_item(item, seen);
}

static inline struct item full_item(void)
{
    return (struct item){.index = 4000000000u,
                         .state = ITEM_FAILED,
                         .kind = JOB_KIND_IMMEDIATE_COPY,
                         .error = ITEM_E_LOOKUP,
                         .http = 500,
                         .attempts = 4000000001u,
                         .recovered = true,
                         .verified = true,
                         .never_again = true,
                         .name = "Žluťoučký 'job'\n",
                         .folder = "folder",
                         .source_id = "source-id",
                         .source_name = "source",
                         .repository_uid = "urn:veeam:Repository:1",
                         .server_id = "server-id",
                         .server_name = "vbr01",
                         .session_id = "session",
                         .task_id = "task-1",
                         .job_uid = "urn:veeam:Job:1",
                         .message = "",
                         .started_ms = 1700000000001,
                         .finished_ms = 1700000000002};
}

static inline void assert_same_item(const struct item *a, const struct item *b)
{
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->error, b->error);
    assert_int_equal(a->http, b->http);
    assert_int_equal(a->attempts, b->attempts);
    assert_int_equal(a->recovered, b->recovered);
    assert_int_equal(a->verified, b->verified);
    assert_int_equal(a->never_again, b->never_again);
    assert_true(a->started_ms == b->started_ms && a->finished_ms == b->finished_ms);
    const char *const texts[][2] = {{a->name, b->name},
                                    {a->folder, b->folder},
                                    {a->source_id, b->source_id},
                                    {a->source_name, b->source_name},
                                    {a->repository_uid, b->repository_uid},
                                    {a->server_id, b->server_id},
                                    {a->server_name, b->server_name},
                                    {a->session_id, b->session_id},
                                    {a->task_id, b->task_id},
                                    {a->job_uid, b->job_uid},
                                    {a->message, b->message}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(texts[i][0] == NULL, texts[i][1] == NULL);
        if (texts[i][0] != NULL)
            assert_string_equal(texts[i][0], texts[i][1]);
    }
}
