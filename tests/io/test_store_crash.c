/* The store under SIGKILL: acknowledged batches stay, others are whole or absent. */
#include "store_fixture.h"

#define KILL_BATCH 20

/* The child: batch k sets `attempts` of all its items to k, and says so once acknowledged. */
static void commit_until_killed(struct world *world, int acknowledge)
{
    if (try_open(world) < 0)
        _exit(1);
    for (unsigned k = 1;; k++) {
        struct item items[KILL_BATCH];
        struct store_change changes[KILL_BATCH];
        for (uint32_t i = 0; i < KILL_BATCH; i++) {
            items[i] = full_item();
            items[i].index = i;
            items[i].attempts = k;
            changes[i] = (struct store_change){.run_id = RUN_A, .item = &items[i]};
        }
        if (commit(world, changes, KILL_BATCH) != 0 || write(acknowledge, &k, sizeof(k)) != sizeof(k))
            _exit(1);
    }
}

static unsigned kill_after(struct world *world, unsigned acknowledged)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipe_fds[0]);
        uv_loop_init(&world->loop); /* the parent's is not for two */
        commit_until_killed(world, pipe_fds[1]);
    }
    close(pipe_fds[1]);
    unsigned last = 0, k = 0;
    while (last < acknowledged && read(pipe_fds[0], &k, sizeof(k)) == sizeof(k))
        last = k;
    usleep(acknowledged * 137 % 1000); /* somewhere within the next one */
    kill(child, SIGKILL);
    while (read(pipe_fds[0], &k, sizeof(k)) == sizeof(k))
        last = k;
    close(pipe_fds[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return last;
}

static void acknowledged_batches_survive_a_kill(void **state)
{
    struct world *world = *state;
    assert_int_equal(try_open(world), 0);
    add_run(world, RUN_A, "h");
    for (unsigned round = 0; round < 12; round++) {
        world->store = store_sqlite_close(world->store);
        unsigned last = kill_after(world, 1 + round * 7);
        assert_true(last > round * 7);
        assert_int_equal(try_open(world), 0);
        struct arena *arena = arena_new();
        struct seen seen = {0};
        assert_int_equal(store_sqlite_load_items(world->store, RUN_A, arena, on_item, &seen), 0);
        assert_int_equal(seen.n, KILL_BATCH);
        for (size_t i = 0; i < KILL_BATCH; i++) /* one batch whole: the last told of, or the one after it */
            assert_int_equal(seen.items[i].attempts, seen.items[0].attempts);
        assert_in_range(seen.items[0].attempts, last, last + 1);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(acknowledged_batches_survive_a_kill, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
