/* The store's queue: order, shared transactions, lists, pages, due times, forgetting, older files. */
#include "store_fixture.h"

#include "io/store_async.h"

#define RUN_C "01KB000000000000000000000C"

/* What the callbacks saw, in order. */
struct told {
    int errors[64];
    size_t n;
    struct store_run runs[64];
    size_t n_runs;
    struct item items[64];
    size_t n_items;
};

static void on_told(int error, void *data)
{
    struct told *told = data;
    assert_true(told->n < 64);
    told->errors[told->n++] = error;
}

static void on_runs(int error, struct store_run *runs, size_t n, void *data)
{
    struct told *told = data;
    on_told(error, told);
    for (size_t i = 0; i < n; i++) {
        told->runs[told->n_runs++] = runs[i];
        runs[i] = (struct store_run){0};
    }
}

static void on_items(int error, const struct item *items, size_t n, void *data)
{
    struct told *told = data;
    on_told(error, told);
    for (size_t i = 0; i < n; i++)
        told->items[told->n_items++] = items[i]; /* numbers only: the strings are the call's */
}

static void told_done(struct told *told)
{
    for (size_t i = 0; i < told->n_runs; i++)
        store_run_done(&told->runs[i]);
    *told = (struct told){0};
}

static void settle(struct world *world)
{
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_true(store_sqlite_idle(world->store));
}

struct made {
    char id[32], plan[16], file[16], server[8], hash[8];
    struct store_run run;
};

static struct store_run *make(struct made *made, const char *id)
{
    *made = (struct made){.plan = "nightly", .file = "n.yaml", .server = "prod", .hash = "h"};
    snprintf(made->id, sizeof(made->id), "%s", id);
    made->run = (struct store_run){.id = made->id,
                                   .plan = made->plan,
                                   .file = made->file,
                                   .server = made->server,
                                   .hash = made->hash,
                                   .origin = RUN_FROM_SPOOL,
                                   .owned = true,
                                   .owner = 4000000000u,
                                   .accepted_ms = 1700000000123,
                                   .totals.items = 7,
                                   .drop = {1, INT64_MAX, 3, 4}};
    return &made->run;
}

static void what_is_told_is_stored(void **state)
{
    struct world *world = *state;
    struct told told = {0};
    struct made made;
    assert_int_equal(try_open(world), 0);
    assert_int_equal(store_async_add_run(world->store, make(&made, RUN_A), on_told, &told), 0);
    assert_int_equal(told.n, 0); /* never before it returns */
    assert_false(store_sqlite_idle(world->store));
    settle(world);
    assert_int_equal(store_async_set_filed(world->store, RUN_A, "n.01.yaml", on_told, &told), 0);
    assert_int_equal(store_async_set_filed(world->store, RUN_B, "n.01.yaml", on_told, &told), 0);
    assert_int_equal(store_async_load_run(world->store, RUN_B, on_runs, &told), 0);
    settle(world);
    assert_int_equal(told.n, 4);
    assert_int_equal(told.errors[0], 0);
    assert_int_equal(told.errors[1], 0);
    assert_int_equal(told.errors[2], -ENOENT);
    assert_int_equal(told.errors[3], -ENOENT);
    told.n = 0;
    assert_int_equal(store_async_set_wish(world->store, RUN_A, RUN_PAUSED, RUN_WISH_PAUSE, on_told, &told),
                     0);
    assert_int_equal(store_async_set_wish(world->store, RUN_B, RUN_QUEUED, RUN_WISH_CANCEL, on_told, &told),
                     0);
    settle(world);
    assert_int_equal(told.n, 2);
    assert_int_equal(told.errors[0], 0);
    assert_int_equal(told.errors[1], -ENOENT);
    reopen(world);
    assert_int_equal(store_async_load_run(world->store, RUN_A, on_runs, &told), 0);
    settle(world);
    assert_int_equal(told.n_runs, 1);
    const struct store_run *run = &told.runs[0];
    assert_string_equal(run->id, RUN_A);
    assert_string_equal(run->filed, "n.01.yaml");
    assert_int_equal(run->state, RUN_PAUSED);
    assert_int_equal(run->wish, RUN_WISH_PAUSE);
    assert_int_equal(run->origin, RUN_FROM_SPOOL);
    assert_string_equal(run_origin_name(run->origin), "spool");
    assert_true(run->owned && run->owner == 4000000000u);
    assert_int_equal(run->totals.items, 7);
    assert_true(run->drop.dev == 1 && run->drop.inode == INT64_MAX && run->drop.size == 3 &&
                run->drop.mtime_ns == 4);
    assert_int_equal(run->started_ms, 0);
    told_done(&told);
}

/* In one transaction, and yet each for itself. */
static void neighbours_do_not_harm_each_other(void **state)
{
    struct world *world = *state;
    struct told told = {0};
    struct made made[4];
    assert_int_equal(try_open(world), 0);
    make(&made[0], RUN_A);
    make(&made[1], RUN_A); /* there is one of that id */
    make(&made[2], RUN_B);
    make(&made[3], RUN_C)->due_ms = 5;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(store_async_add_run(world->store, &made[i].run, on_told, &told), 0);
    /* the first was begun at once, the others wait and go together */
    assert_int_equal(store_async_skip_due(world->store, "nightly", 5, on_told, &told), 0);
    struct item item = {.index = 2, .state = ITEM_SUBMITTING};
    assert_int_equal(commit_item(world, RUN_B, &item), 0);
    assert_int_equal(told.n, 5);
    static const int wanted[] = {0, -EEXIST, 0, 0, -EEXIST};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(told.errors[i], wanted[i]);
    assert_int_equal(store_async_open_runs(world->store, on_runs, &told), 0);
    settle(world);
    assert_int_equal(told.n_runs, 3);
    assert_string_equal(told.runs[0].id, RUN_A); /* in order of acceptance */
    assert_string_equal(told.runs[2].id, RUN_C);
    assert_int_equal(told.runs[2].bytes.len, 0);
    told_done(&told);
}

static void a_batch_among_others_stays_whole(void **state)
{
    struct world *world = *state;
    struct told told = {0};
    struct made made[2];
    assert_int_equal(try_open(world), 0);
    assert_int_equal(store_async_add_run(world->store, make(&made[0], RUN_A), on_told, &told), 0);
    struct item item = {.index = 0, .state = ITEM_SUBMITTING};
    struct store_change strange[] = {{.run_id = RUN_A, .item = &item}, {.run_id = RUN_C, .item = &item}};
    assert_int_equal(store_async_add_run(world->store, make(&made[1], RUN_B), on_told, &told), 0);
    assert_int_equal(commit(world, strange, 2), -ENOENT);
    assert_int_equal(store_async_load_items(world->store, RUN_A, 0, 10, on_items, &told), 0);
    assert_int_equal(store_async_list_runs(world->store, 10, on_runs, &told), 0);
    settle(world);
    assert_int_equal(told.n_items, 0);
    assert_int_equal(told.n_runs, 2);
    told_done(&told);
}

/* What does not fit takes nothing with it that does. */
static void a_full_disk_hits_only_what_is_too_big(void **state)
{
    struct world *world = *state;
    struct told told = {0};
    struct made made[3];
    assert_int_equal(try_open(world), 0);
    for (size_t i = 0; i < 3; i++) {
        static const char *const ids[] = {RUN_A, RUN_B, RUN_C};
        struct store_run *run = make(&made[i], ids[i]);
        run->bytes = BUF_INIT(1 << 20);
        for (size_t k = 0; k < (i == 1 ? 400 * 1024 : 10); k++)
            assert_int_equal(buf_add_char(&run->bytes, 'x'), 0);
    }
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 256 * 1024;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(store_async_list_runs(world->store, 1, on_runs, &told), 0); /* so that the three wait */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(store_async_add_run(world->store, &made[i].run, on_told, &told), 0);
    settle(world);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(told.errors[1], 0);
    assert_int_equal(told.errors[2], -ENOSPC);
    assert_int_equal(told.errors[3], 0);
    assert_int_equal(store_async_add_run(world->store, &made[1].run, on_told, &told), 0);
    settle(world);
    assert_int_equal(told.errors[4], 0);
    for (size_t i = 0; i < 3; i++)
        buf_done(&made[i].run.bytes);
    told_done(&told);
}

static void lists_are_newest_first_and_bounded(void **state)
{
    struct world *world = *state;
    struct told told = {0};
    assert_int_equal(try_open(world), 0);
    add_run(world, RUN_A, "1");
    add_run(world, RUN_B, "2");
    add_run(world, RUN_C, "3");
    assert_int_equal(store_async_list_runs(world->store, 2, on_runs, &told), 0);
    assert_int_equal(store_async_find_runs(world->store, "0c", 9, on_runs, &told), 0);
    assert_int_equal(store_async_find_runs(world->store, "01kb0", 2, on_runs, &told), 0);
    assert_int_equal(store_async_find_runs(world->store, "%", 9, on_runs, &told), 0);
    settle(world);
    static const char *const wanted[] = {RUN_C, RUN_B, RUN_C, RUN_C, RUN_B};
    assert_int_equal(told.n_runs, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(told.runs[i].id, wanted[i]);
    assert_false(told.runs[0].owned);
    assert_null(told.runs[0].filed);
    told_done(&told);
}

static void an_end_counts_the_outcomes(void **state)
{
    struct world *world = *state;
    struct told told = {0};
    struct made made;
    assert_int_equal(try_open(world), 0);
    make(&made, RUN_A)->due_ms = 1000;
    assert_int_equal(store_sqlite_add_run(world->store, &made.run), 0);
    struct store_change change = {
        .run_id = RUN_A, .run_state = RUN_RUNNING, .run_wish = RUN_WISH_CANCEL_TASKS, .started_ms = 555};
    assert_int_equal(commit(world, &change, 1), 0);
    for (uint32_t i = 0; i < 7; i++) {
        static const enum item_state states[] = {ITEM_SUCCEEDED, ITEM_SUCCEEDED, ITEM_SKIPPED,  ITEM_FAILED,
                                                 ITEM_CANCELLED, ITEM_UNKNOWN,   ITEM_SUCCEEDED};
        struct item item = {.index = i, .state = states[i]};
        assert_int_equal(commit_item(world, RUN_A, &item), 0);
    }
    assert_int_equal(store_async_list_runs(world->store, 1, on_runs, &told), 0);
    settle(world);
    assert_int_equal(told.runs[0].wish, RUN_WISH_CANCEL_TASKS);
    assert_int_equal(told.runs[0].started_ms, 555);
    assert_int_equal(told.runs[0].totals.succeeded, 0); /* not before the end */
    assert_int_equal(commit_state(world, RUN_A, RUN_FAILED, 1234), 0);
    assert_int_equal(store_async_list_runs(world->store, 1, on_runs, &told), 0);
    settle(world);
    const struct store_totals *totals = &told.runs[1].totals;
    assert_true(told.runs[1].started_ms == 555 && told.runs[1].finished_ms == 1234);
    assert_true(totals->items == 7 && totals->succeeded == 3 && totals->skipped == 1 && totals->failed == 1 &&
                totals->cancelled == 1 && totals->unknown == 1);
    change.started_ms = 5555;
    assert_int_equal(commit(world, &change, 1), 0); /* retry */
    assert_int_equal(store_async_list_runs(world->store, 1, on_runs, &told), 0);
    settle(world);
    assert_int_equal(told.runs[2].totals.succeeded, 0);
    assert_int_equal(told.runs[2].totals.items, 7);
    assert_int_equal(told.runs[2].started_ms, 5555);
    told_done(&told);
}

static void items_come_in_pages(void **state)
{
    struct world *world = *state;
    struct told told = {0};
    assert_int_equal(try_open(world), 0);
    add_run(world, RUN_A, "1");
    for (uint32_t i = 0; i < 5; i++) {
        struct item item = {.index = i * 10, .state = ITEM_SUCCEEDED, .name = "n"};
        assert_int_equal(commit_item(world, RUN_A, &item), 0);
    }
    assert_int_equal(store_async_load_items(world->store, RUN_A, 0, 2, on_items, &told), 0);
    assert_int_equal(store_async_load_items(world->store, RUN_A, 11, 2, on_items, &told), 0);
    assert_int_equal(store_async_load_items(world->store, RUN_A, 31, 2, on_items, &told), 0);
    assert_int_equal(store_async_load_items(world->store, RUN_A, 41, 2, on_items, &told), 0);
    assert_int_equal(store_async_load_items(world->store, RUN_A, 0, 0, on_items, &told), 0);
    assert_int_equal(store_async_load_items(world->store, RUN_B, 0, 2, on_items, &told), 0);
    settle(world);
    assert_int_equal(told.n, 6);
    assert_int_equal(told.n_items, 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(told.items[i].index, i * 10);
}

struct dues {
    char text[512];
};

static int on_due(const struct store_due *due, void *data)
{
    struct dues *dues = data;
    size_t len = strlen(dues->text);
    snprintf(dues->text + len, sizeof(dues->text) - len, "%s %lld %s %s; ", due->plan, (long long)due->due_ms,
             due->run != NULL ? due->run : "-", run_state_name(due->state));
    return 0;
}

static void a_due_time_is_seen_once(void **state)
{
    struct world *world = *state;
    struct told told = {0};
    struct made made[3];
    assert_int_equal(try_open(world), 0);
    make(&made[0], RUN_A)->due_ms = 2000;
    make(&made[1], RUN_B)->due_ms = 2000; /* the clock went back */
    assert_int_equal(store_async_add_run(world->store, &made[0].run, on_told, &told), 0);
    assert_int_equal(store_async_add_run(world->store, &made[1].run, on_told, &told), 0);
    assert_int_equal(store_async_skip_due(world->store, "nightly", 1000, on_told, &told), 0);
    assert_int_equal(store_async_skip_due(world->store, "weekly", 3000, on_told, &told), 0);
    settle(world);
    static const int wanted[] = {0, -EEXIST, 0, 0};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(told.errors[i], wanted[i]);
    assert_int_equal(commit_state(world, RUN_A, RUN_FAILED, 2500), 0);
    reopen(world);
    struct dues dues = {""};
    assert_int_equal(store_sqlite_load_dues(world->store, on_due, &dues), 0);
    assert_string_equal(dues.text, "nightly 2000 " RUN_A " failed; weekly 3000 - queued; ");
    /* nothing of run B is left of the refused transaction */
    struct store_run run;
    assert_int_equal(store_sqlite_load_run(world->store, RUN_B, &run), -ENOENT);
}

static int count_rows(sqlite3 *db, const char *table)
{
    char sql[64];
    sqlite3_stmt *stmt = NULL;
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int n = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

static void assert_rows(struct world *world, int runs, int items, int history, int schedules)
{
    char path[128];
    sqlite3 *db = NULL;
    world->store = store_sqlite_close(world->store);
    path_of(world, "jobclone.db", path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(count_rows(db, "runs"), runs);
    assert_int_equal(count_rows(db, "items"), items);
    assert_int_equal(count_rows(db, "history"), history);
    assert_int_equal(count_rows(db, "schedules"), schedules);
    sqlite3_close(db);
    assert_int_equal(try_open(world), 0);
}

/* More rows than one piece takes. */
static void old_things_are_forgotten_in_pieces(void **state)
{
    struct world *world = *state;
    struct told told = {0};
    struct made made;
    static struct item items[6000];
    static struct store_change changes[6000];
    assert_int_equal(try_open(world), 0);
    make(&made, RUN_A)->due_ms = 10;
    assert_int_equal(store_sqlite_add_run(world->store, &made.run), 0);
    add_run(world, RUN_B, "2");
    for (uint32_t i = 0; i < 6000; i++) {
        items[i] = (struct item){.index = i, .state = ITEM_FAILED};
        changes[i] = (struct store_change){.run_id = RUN_A, .item = &items[i]};
    }
    assert_int_equal(commit(world, changes, 6000), 0);
    assert_int_equal(commit_item(world, RUN_B, &items[0]), 0);
    assert_int_equal(commit_state(world, RUN_A, RUN_FAILED, 1000), 0);
    assert_int_equal(store_async_skip_due(world->store, "nightly", 20, on_told, &told), 0);
    assert_int_equal(store_async_prune(world->store, 1000, on_told, &told), 0);
    settle(world);
    assert_rows(world, 2, 6001, 6001, 1); /* the earlier due time went, the last stays */
    assert_int_equal(store_async_prune(world->store, 1001, on_told, &told), 0);
    settle(world);
    assert_int_equal(told.n, 3);
    assert_int_equal(told.errors[2], 0);
    assert_rows(world, 1, 1, 1, 1);
    /* transitions of an open run go by their own age, its items stay */
    assert_int_equal(store_async_prune(world->store, INT64_MAX, on_told, &told), 0);
    settle(world);
    assert_rows(world, 1, 1, 0, 1);
}

struct read {
    struct told *told;
    size_t runs;
};

static int count_run(struct store_run *run, void *data)
{
    (void)run;
    ((struct read *)data)->runs++;
    return 0;
}

static int work_read(struct store_sqlite *store, void *data)
{
    return store_sqlite_list_runs(store, 10, count_run, data) < 0 ? -EIO : -ECANCELED;
}

static void on_read(int error, void *data)
{
    struct read *read = data;
    on_told(error, read->told);
}

static void a_reading_job_sees_what_was_written_before_it(void **state)
{
    struct world *world = *state;
    struct told told = {0};
    struct read read = {&told, 0};
    struct made made;
    assert_int_equal(try_open(world), 0);
    assert_int_equal(store_async_add_run(world->store, make(&made, RUN_A), on_told, &told), 0);
    assert_int_equal(store_async_read(world->store, work_read, on_read, &read), 0);
    settle(world);
    assert_int_equal(told.n, 2);
    assert_int_equal(told.errors[1], -ECANCELED);
    assert_int_equal(read.runs, 1);
}

static void fill_from_file(const char *path, const char *sql_path)
{
    static char sql[32768];
    FILE *file = fopen(sql_path, "r");
    assert_non_null(file);
    size_t len = fread(sql, 1, sizeof(sql) - 1, file);
    fclose(file);
    sql[len] = '\0';
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_file_of_step_1_is_brought_up(void **state)
{
    struct world *world = *state;
    struct told told = {0};
    char path[128];
    path_of(world, "", path);
    assert_int_equal(mkdir(path, 0700), 0);
    path_of(world, "jobclone.db", path);
    fill_from_file(path, TEST_DATA_DIR "/state/step1.sql");
    assert_int_equal(try_open(world), 0);
    assert_int_equal(store_async_list_runs(world->store, 9, on_runs, &told), 0);
    assert_int_equal(store_async_load_run(world->store, "01M8AJ4JARPDV2SNAVA9QEK3T3", on_runs, &told), 0);
    assert_int_equal(
        store_async_load_items(world->store, "01M8AJ4JARPDV2SNAVA9QEK3T3", 0, 9, on_items, &told), 0);
    settle(world);
    assert_int_equal(told.n_runs, 3);
    assert_string_equal(told.runs[0].plan, "interrupted");
    assert_int_equal(told.runs[0].state, RUN_RUNNING);
    assert_int_equal(told.runs[0].totals.succeeded, 0);
    assert_int_equal(told.runs[0].origin, RUN_FROM_ONCE);
    assert_false(told.runs[0].owned);
    const struct store_totals *ended = &told.runs[1].totals;
    assert_true(ended->items == 3 && ended->succeeded == 2 && ended->failed == 1);
    assert_int_equal(told.runs[2].n_csv, 1);
    assert_string_equal(buf_str(&told.runs[2].csv[0].bytes), "tenant\nAlice\nBob\n");
    assert_int_equal(told.n_items, 3);
    assert_int_equal(told.items[1].state, ITEM_RUNNING);
    told_done(&told);
    reopen(world); /* and stays so */
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(what_is_told_is_stored),
        IN_WORLD(neighbours_do_not_harm_each_other),
        IN_WORLD(a_batch_among_others_stays_whole),
        IN_WORLD(a_full_disk_hits_only_what_is_too_big),
        IN_WORLD(lists_are_newest_first_and_bounded),
        IN_WORLD(an_end_counts_the_outcomes),
        IN_WORLD(items_come_in_pages),
        IN_WORLD(a_due_time_is_seen_once),
        IN_WORLD(old_things_are_forgotten_in_pieces),
        IN_WORLD(a_reading_job_sees_what_was_written_before_it),
        IN_WORLD(a_file_of_step_1_is_brought_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
