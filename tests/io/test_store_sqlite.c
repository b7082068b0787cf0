/* The store on SQLite: what it keeps, whom it keeps out, and what is left after a full disk. */
#include "store_fixture.h"

static void items_come_back_whole(void **state)
{
    struct world *world = *state;
    assert_int_equal(try_open(world), 0);
    add_run(world, RUN_A, "h");
    struct item full = full_item(),
                bare = {.index = 3, .state = ITEM_SUBMITTING, .name = "n", .source_name = "source"};
    struct store_change changes[] = {{.run_id = RUN_A, .item = &full}, {.run_id = RUN_A, .item = &bare}};
    assert_int_equal(commit(world, changes, 2), 0);
    reopen(world);
    struct arena *arena = arena_new();
    struct seen seen = {0};
    assert_int_equal(store_sqlite_load_items(world->store, RUN_A, arena, on_item, &seen), 0);
    assert_int_equal(seen.n, 2); /* by index */
    assert_same_item(&seen.items[0], &bare);
    assert_same_item(&seen.items[1], &full);
    assert_ptr_equal(seen.items[0].source_name, seen.items[1].source_name);
    /* a negative answer ends it */
    seen = (struct seen){.answer = -ECANCELED};
    assert_int_equal(store_sqlite_load_items(world->store, RUN_A, arena, on_item, &seen), -ECANCELED);
    assert_int_equal(seen.n, 1);
    /* an update replaces everything, also by null */
    struct item less = {.index = full.index, .state = ITEM_QUEUED};
    assert_int_equal(commit_item(world, RUN_A, &less), 0);
    seen = (struct seen){0};
    assert_int_equal(store_sqlite_load_items(world->store, RUN_A, arena, on_item, &seen), 0);
    assert_int_equal(seen.n, 2);
    assert_same_item(&seen.items[1], &less);
    arena_free(arena);
}

static void runs_are_found_until_they_end(void **state)
{
    struct world *world = *state;
    assert_int_equal(try_open(world), 0);
    struct store_run run = {0};
    assert_int_equal(store_sqlite_find_open_run(world->store, "onboarding", "h1", &run), -ENOENT);
    add_run(world, RUN_A, "h1");
    assert_int_equal(store_sqlite_find_open_run(world->store, "onboarding", "h2", &run), -ENOENT);
    assert_int_equal(store_sqlite_find_open_run(world->store, "other", "h1", &run), -ENOENT);
    assert_int_equal(commit_state(world, RUN_A, RUN_PAUSED, 0), 0);
    reopen(world);
    assert_int_equal(store_sqlite_find_open_run(world->store, "onboarding", "h1", &run), 0);
    assert_string_equal(run.id, RUN_A);
    assert_string_equal(run.plan, "onboarding");
    assert_string_equal(run.file, "onboard.yaml");
    assert_string_equal(run.server, "prod");
    assert_string_equal(run.hash, "h1");
    assert_int_equal(run.state, RUN_PAUSED);
    assert_true(run.accepted_ms == 1700000000123 && run.finished_ms == 0);
    assert_int_equal(run.bytes.len, 4);
    assert_memory_equal(run.bytes.data, "a\0b\n", 4);
    assert_int_equal(run.n_csv, 2);
    assert_string_equal(run.csv[0].path, "t.csv");
    assert_string_equal(buf_str(&run.csv[0].bytes), "tenant\nx\n");
    assert_string_equal(run.csv[1].path, "onboard.yaml");
    assert_int_equal(run.csv[1].bytes.len, 0);
    assert_int_equal(store_sqlite_add_run(world->store, &run), -EEXIST);
    store_run_done(&run);
    assert_int_equal(commit_state(world, RUN_A, RUN_FAILED, 1700000009000), 0);
    assert_int_equal(store_sqlite_find_open_run(world->store, "onboarding", "h1", &run), -ENOENT);
    assert_int_equal(commit_state(world, RUN_A, RUN_RUNNING, 0), 0); /* retry opens it again */
    assert_int_equal(store_sqlite_find_open_run(world->store, "onboarding", "h1", &run), 0);
    store_run_done(&run);
}

static void batch_is_all_or_nothing(void **state)
{
    struct world *world = *state;
    assert_int_equal(try_open(world), 0);
    add_run(world, RUN_A, "h");
    struct item item = {.index = 0, .state = ITEM_SUBMITTING};
    struct store_change strange_item[] = {{.run_id = RUN_A, .item = &item}, {.run_id = RUN_B, .item = &item}};
    assert_int_equal(commit(world, strange_item, 2), -ENOENT);
    struct store_change strange_run[] = {{.run_id = RUN_A, .item = &item},
                                         {.run_id = RUN_B, .run_state = RUN_PAUSED}};
    assert_int_equal(commit(world, strange_run, 2), -ENOENT);
    struct arena *arena = arena_new();
    struct seen seen = {0};
    assert_int_equal(store_sqlite_load_items(world->store, RUN_A, arena, on_item, &seen), 0);
    assert_int_equal(seen.n, 0);
    assert_int_equal(commit(world, strange_item, 1), 0);
    assert_int_equal(commit(world, NULL, 0), 0);
    assert_int_equal(store_sqlite_load_items(world->store, RUN_A, arena, on_item, &seen), 0);
    assert_int_equal(seen.n, 1);
    arena_free(arena);
}

/* Asks the closed file as another program would. */
static void ask(struct world *world, const char *sql, char ret[256])
{
    char path[128];
    path_of(world, "jobclone.db", path);
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    ret[0] = '\0';
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        snprintf(ret, 256, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void history_keeps_transitions(void **state)
{
    struct world *world = *state;
    assert_int_equal(try_open(world), 0);
    add_run(world, RUN_A, "h");
    struct item item = {.index = 7, .state = ITEM_SUBMITTING, .attempts = 1};
    assert_int_equal(commit_item(world, RUN_A, &item), 0);
    assert_int_equal(commit_item(world, RUN_B, &item), -ENOENT);
    assert_int_equal(commit_item(world, RUN_A, &item), 0); /* once more after a failure: nothing is added */
    item.state = ITEM_RUNNING;
    item.task_id = "task-9";
    assert_int_equal(commit_step(world, RUN_A, ITEM_SUBMITTING, &item), 0);
    item.state = ITEM_FAILED;
    item.error = ITEM_E_TASK_FAILED;
    item.http = 500;
    assert_int_equal(commit_step(world, RUN_A, ITEM_RUNNING, &item), 0);
    item.verified = true; /* no transition */
    assert_int_equal(commit_step(world, RUN_A, ITEM_FAILED, &item), 0);
    world->store = store_sqlite_close(world->store);
    char answer[256];
    ask(world,
        "SELECT group_concat(idx || ':' || from_state || '>' || to_state || ' ' || attempts || ' ' || error "
        "|| ' ' ||"
        " http || ' ' || coalesce(task, '-') || (wall_ms > 1700000000000), ', ') FROM history ORDER BY seq",
        answer);
    assert_string_equal(answer, "7:0>1 1 0 0 -1, 7:1>3 1 0 0 task-91, 7:3>6 1 14 500 task-91");
}

static void held_names_are_those_of_others(void **state)
{
    struct world *world = *state;
    assert_int_equal(try_open(world), 0);
    add_run(world, RUN_A, "h1");
    add_run(world, RUN_B, "h2");
    const char *const names[] = {"queued", "submitting", "doubt", "running", "old", "new", "failed"};
    const enum item_state states[] = {ITEM_QUEUED,    ITEM_SUBMITTING, ITEM_IN_DOUBT, ITEM_RUNNING,
                                      ITEM_SUCCEEDED, ITEM_SUCCEEDED,  ITEM_FAILED};
    for (uint32_t i = 0; i < 7; i++) {
        struct item item = {.index = i,
                            .state = states[i],
                            .name = names[i],
                            .server_name = "vbr01",
                            .finished_ms = i == 4   ? 1000
                                           : i >= 5 ? 1001
                                                    : 0};
        assert_int_equal(commit_item(world, RUN_A, &item), 0);
    }
    struct seen seen = {0};
    assert_int_equal(store_sqlite_held_names(world->store, "prod", RUN_B, 1000, on_name, &seen), 0);
    assert_int_equal(seen.n, 4);
    static const char *const wanted[] = {"vbr01/submitting", "vbr01/doubt", "vbr01/running", "vbr01/new"};
    for (size_t i = 0; i < 4; i++) {
        size_t found = 0;
        for (size_t k = 0; k < seen.n; k++)
            found += strcmp(seen.names[k], wanted[i]) == 0;
        assert_int_equal(found, 1);
        assert_string_equal(seen.runs[i], RUN_A);
    }
    seen = (struct seen){0};
    assert_int_equal(store_sqlite_held_names(world->store, "prod", RUN_A, 0, on_name, &seen), 0);
    assert_int_equal(store_sqlite_held_names(world->store, "lab", RUN_B, 0, on_name, &seen), 0);
    assert_int_equal(seen.n, 0);
    seen.answer = -ECANCELED;
    assert_int_equal(store_sqlite_held_names(world->store, "prod", RUN_B, 0, on_name, &seen), -ECANCELED);
    assert_int_equal(seen.n, 1);
}

static void prune_forgets_old_ended_runs(void **state)
{
    struct world *world = *state;
    assert_int_equal(try_open(world), 0);
    add_run(world, RUN_A, "h1");
    add_run(world, RUN_B, "h2");
    struct item item = {.index = 0, .state = ITEM_FAILED, .finished_ms = 5};
    assert_int_equal(commit_item(world, RUN_A, &item), 0);
    assert_int_equal(commit_item(world, RUN_B, &item), 0);
    assert_int_equal(commit_state(world, RUN_A, RUN_FAILED, 1000), 0);
    assert_int_equal(store_sqlite_prune(world->store, 1000), 0); /* not before */
    struct arena *arena = arena_new();
    struct seen seen = {0};
    assert_int_equal(store_sqlite_load_items(world->store, RUN_A, arena, on_item, &seen), 0);
    assert_int_equal(seen.n, 1);
    assert_int_equal(store_sqlite_prune(world->store, 1001), 0);
    assert_int_equal(store_sqlite_load_items(world->store, RUN_A, arena, on_item, &seen), 0);
    assert_int_equal(seen.n, 1); /* nothing more */
    assert_int_equal(store_sqlite_load_items(world->store, RUN_B, arena, on_item, &seen), 0);
    assert_int_equal(seen.n, 2); /* the open run stays */
    arena_free(arena);
    world->store = store_sqlite_close(world->store);
    char answer[256];
    ask(world,
        "SELECT (SELECT count(*) FROM runs) || (SELECT count(*) FROM plan_files) || (SELECT count(*) FROM "
        "items)"
        " || (SELECT count(*) FROM history)",
        answer);
    assert_string_equal(answer, "1311");
}

static void second_opener_is_refused(void **state)
{
    struct world *world = *state;
    assert_int_equal(try_open(world), 0);
    struct store_sqlite *first = world->store;
    assert_int_equal(try_open(world), -EBUSY);
    assert_non_null(strstr(buf_str(&world->error), "in use by another process"));
    assert_non_null(strstr(buf_str(&world->error), world->directory));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int r = try_open(world);
        _exit(r == -EBUSY ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    world->store = first;
    reopen(world); /* a close gives it free */
}

static void modes_keep_others_out(void **state)
{
    struct world *world = *state;
    mode_t mask = umask(0077);
    assert_int_equal(try_open(world), 0);
    umask(0);
    reopen(world);
    add_run(world, RUN_A, "h");
    umask(mask);
    static const struct {
        const char *name;
        mode_t mode;
    } files[] = {{".", 0710}, {"jobclone.db", 0600}, {"jobclone.db-wal", 0600}, {"lock", 0600}};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        struct stat st;
        path_of(world, files[i].name, path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, files[i].mode);
    }
}

static void strange_files_are_refused(void **state)
{
    struct world *world = *state;
    char answer[256], path[128];
    assert_int_equal(try_open(world), 0);
    add_run(world, RUN_A, "h");
    world->store = store_sqlite_close(world->store);
    ask(world, "PRAGMA user_version", answer);
    assert_string_equal(answer, "3");
    ask(world, "PRAGMA user_version = 99", answer);
    assert_int_equal(try_open(world), -EPROTO);
    assert_non_null(strstr(buf_str(&world->error), "newer jobclone"));
    ask(world, "PRAGMA user_version = 3", answer);
    ask(world, "PRAGMA application_id = 5", answer);
    assert_int_equal(try_open(world), -EBADMSG);
    assert_non_null(strstr(buf_str(&world->error), "not a state file"));
    path_of(world, "jobclone.db", path);
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(write(fd, "garbage ", 8), 8);
    close(fd);
    assert_int_equal(try_open(world), -EBADMSG);
    assert_non_null(strstr(buf_str(&world->error), "jobclone.db is damaged"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0); /* never followed */
    assert_int_equal(try_open(world), -ELOOP);
}

/* The write-ahead log may not grow past the limit, as on a full disk. */
static void full_disk_is_survived(void **state)
{
    struct world *world = *state;
    assert_int_equal(try_open(world), 0);
    add_run(world, RUN_A, "h");
    static struct item items[2000];
    static struct store_change changes[2000];
    for (uint32_t i = 0; i < 2000; i++) {
        items[i] = full_item();
        items[i].index = i;
        changes[i] = (struct store_change){.run_id = RUN_A, .item = &items[i]};
    }
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 128 * 1024;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int first = commit(world, changes, 2000), second = commit(world, changes, 2000);
    int small_batch = commit(world, changes, 5);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(first, -ENOSPC);
    assert_int_equal(second, -ENOSPC);
    assert_int_equal(small_batch, 0); /* what fits is written */
    for (size_t i = 0; i < 5; i++)    /* these are written */
        changes[i].from = (int)items[i].state;
    assert_int_equal(commit(world, changes, 2000), 0);
    reopen(world);
    char answer[256];
    world->store = store_sqlite_close(world->store);
    ask(world, "SELECT count(*) || ' ' || (SELECT count(*) FROM history) FROM items", answer);
    assert_string_equal(answer, "2000 2000");
}

static void is_refused(struct world *world, const char *directory, int error, const char *sentence)
{
    buf_reset(&world->error);
    assert_int_equal(store_sqlite_open(&world->loop, directory, &world->store, &world->error), error);
    assert_string_equal(buf_str(&world->error), sentence);
}

/* Each with what to do. */
static void directories_that_cannot_be_are_said(void **state)
{
    struct world *world = *state;
    is_refused(
        world, "/nonexistent/state", -ENOENT,
        "state directory /nonexistent/state: cannot be created: No such file or directory; make the folder "
        "in which it is to lie, or name another with --state or state.directory");
    is_refused(
        world, "/dev/null", -ENOTDIR,
        "state directory /dev/null: cannot be opened: Not a directory; move what is in the way, or name "
        "another with --state or state.directory");
    char lock[128], sentence[512];
    snprintf(lock, sizeof(lock), "%s/lock", world->directory);
    assert_int_equal(mkdir(lock, 0700), 0);
    snprintf(sentence, sizeof(sentence),
             "state directory %s: its file `lock` cannot be opened: Is a directory; move what is in the way, "
             "or name "
             "another with --state or state.directory",
             world->directory);
    is_refused(world, world->directory, -EISDIR, sentence);
    assert_int_equal(rmdir(lock), 0);
}

static void states_have_the_words_of_the_contract(void **state)
{
    (void)state;
    static const char *const words[] = {"queued", "running", "paused", "succeeded", "failed", "cancelled"};
    for (int i = RUN_QUEUED; i <= RUN_CANCELLED; i++)
        assert_string_equal(run_state_name((enum run_state)i), words[i]);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(items_come_back_whole),
        IN_WORLD(runs_are_found_until_they_end),
        IN_WORLD(batch_is_all_or_nothing),
        IN_WORLD(history_keeps_transitions),
        IN_WORLD(held_names_are_those_of_others),
        IN_WORLD(prune_forgets_old_ended_runs),
        IN_WORLD(second_opener_is_refused),
        IN_WORLD(modes_keep_others_out),
        IN_WORLD(strange_files_are_refused),
        IN_WORLD(full_disk_is_survived),
        IN_WORLD(directories_that_cannot_be_are_said),
        cmocka_unit_test(states_have_the_words_of_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
