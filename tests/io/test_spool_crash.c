/* The spool under SIGKILL: before every system call with which it changes files, and around every
 * answer of its owner; started again, and killed once more while it mends that. Whatever the point, each
 * plan becomes one run, its copy is in accepted/, and nothing else is left. The calls come through the
 * linker (--wrap), the store is the real one. */
#include "spool_fixture.h"

#include <stdatomic.h>

#include "io/store_async.h"

#define STATE "state"
#define SECOND_PLAN                                                                            \
    "version: 1\nname: second\nserver: prod\ndefaults: {source: T, repository: R}\nclones:\n " \
    " - {name: c}\n"

/* ---- points ---- */

static atomic_int countdown; /* the process ends at the point that makes it 0 */

static void point(void)
{
    if (atomic_fetch_sub(&countdown, 1) == 1)
        raise(SIGKILL);
}

#define WRAP(type, name, parameters, arguments) \
    type __real_##name parameters;              \
    type __wrap_##name parameters;              \
    type __wrap_##name parameters               \
    {                                           \
        point();                                \
        return __real_##name arguments;         \
    }

WRAP(ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, renameat, (int from, const char *a, int to, const char *b), (from, a, to, b))
WRAP(int, renameat2, (int from, const char *a, int to, const char *b, unsigned flags),
     (from, a, to, b, flags))
WRAP(int, unlinkat, (int fd, const char *name, int flags), (fd, name, flags))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))

/* ---- the owner: the real store ---- */

struct owner {
    struct spool_world *world;
    struct store_sqlite *store;
    size_t n_runs, n_unfiled;
};

struct accepting {
    struct store_run run;
    spool_on_done *on_done;
    void *data;
    struct owner *owner;
    char id[ULID_LEN + 1], plan[64], file[64], server[16], hash[80];
};

static void on_added(int error, void *data)
{
    struct accepting *call = data;
    point();
    call->owner->n_runs++;
    call->on_done(error, call->data);
    free(call);
}

static void accept_in_store(const struct spool_drop *drop, char ret_run_id[ULID_LEN + 1],
                            spool_on_done *on_done, void *data, void *user)
{
    struct owner *owner = user;
    struct accepting *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    static unsigned serial;
    snprintf(call->id, sizeof(call->id), "01KB%016d%06u", (int)getpid(), serial++);
    snprintf(call->plan, sizeof(call->plan), "%s", drop->plan);
    snprintf(call->file, sizeof(call->file), "%s", drop->file);
    snprintf(call->server, sizeof(call->server), "%s", drop->server);
    snprintf(call->hash, sizeof(call->hash), "%s", drop->files->hash);
    call->on_done = on_done;
    call->data = data;
    call->owner = owner;
    call->run = (struct store_run){
        .id = call->id,
        .plan = call->plan,
        .file = call->file,
        .server = call->server,
        .hash = call->hash,
        .origin = RUN_FROM_SPOOL,
        .accepted_ms = drop->accepted_ms,
        .drop = {drop->identity.dev, drop->identity.inode, drop->identity.size, drop->identity.mtime_ns},
        .bytes = drop->files->bytes};
    memcpy(ret_run_id, call->id, sizeof(call->id));
    point();
    assert_int_equal(store_async_add_run(owner->store, &call->run, on_added, call), 0);
}

struct filing {
    spool_on_done *on_done;
    void *data;
    struct owner *owner;
};

static void on_filed(int error, void *data)
{
    struct filing call = *(struct filing *)data;
    free(data);
    point();
    call.owner->world->n_filed++;
    call.on_done(error, call.data);
}

static void file_in_store(const char *run_id, const char *filed, spool_on_done *on_done, void *data,
                          void *user)
{
    struct owner *owner = user;
    struct filing *call = malloc(sizeof(*call));
    assert_non_null(call);
    *call = (struct filing){on_done, data, owner};
    point();
    assert_int_equal(store_async_set_filed(owner->store, run_id, filed, on_filed, call), 0);
}

static void is_ready(void *user)
{
    ((struct owner *)user)->world->ready = true;
}

static const struct spool_ops ops = {accept_in_store, file_in_store, is_ready};

/* ---- one life of the daemon ---- */

static int know_run(struct store_run *row, void *data)
{
    struct owner *owner = data;
    struct store_run run = {0};
    assert_int_equal(store_sqlite_load_run(owner->store, row->id, &run), 0);
    struct spool_known known = {run.id,
                                run.file,
                                run.filed,
                                {run.drop.dev, run.drop.inode, run.drop.size, run.drop.mtime_ns},
                                &run.bytes};
    assert_int_equal(spool_know(owner->world->spool, &known), 0);
    owner->n_runs++;
    owner->world->n_filed += run.filed != NULL;
    store_run_done(&run);
    return 0;
}

static void open_all(struct owner *owner)
{
    char path[128];
    struct spool_world *world = owner->world;
    struct buf error = BUF_INIT(4096);
    snprintf(path, sizeof(path), "%s/" STATE, world->root);
    assert_int_equal(uv_loop_init(&world->loop), 0); /* the parent's is not for two */
    uv_timer_init(&world->loop, &world->timer);
    assert_int_equal(store_sqlite_open(&world->loop, path, &owner->store, &error), 0);
    assert_int_equal(spool_new(&world->loop, &world->settings, &ops, owner, &world->spool, &error), 0);
    buf_done(&error);
    assert_int_equal(store_sqlite_open_runs(owner->store, know_run, owner), 0);
    spool_start(world->spool);
    TURN_UNTIL(world, world->ready);
}

/* What lies in the spool is renamed in once more, so that nobody waits until it has been quiet for long. */
static void nudge(const struct spool_world *world)
{
    static const char *const names[] = {"one.yaml", "two.yaml", "bad.yaml"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (there(world, names[i])) {
            assert_int_equal(rename(at(world, names[i]), at(world, ".aside")), 0);
            assert_int_equal(rename(at(world, ".aside"), at(world, names[i])), 0);
        }
}

static bool settled(const struct owner *owner)
{
    const struct spool_world *world = owner->world;
    return owner->n_runs == world->n_filed && store_sqlite_idle(owner->store) && !there(world, "one.yaml") &&
           !there(world, "two.yaml") && !there(world, "bad.yaml");
}

struct checked {
    struct spool_world *world;
    unsigned one, two, others;
};

static int check_run(struct store_run *run, void *data)
{
    struct checked *checked = data;
    bool is_one = strcmp(run->plan, "good") == 0;
    checked->one += is_one;
    checked->two += strcmp(run->plan, "second") == 0;
    assert_non_null(run->filed);
    assert_string_equal(run->filed, is_one ? "accepted/one.yaml" : "accepted/two.yaml");
    assert_string_equal(content(checked->world, run->filed), is_one ? GOOD_PLAN : SECOND_PLAN);
    return 0;
}

static void check_all(struct owner *owner)
{
    struct spool_world *world = owner->world;
    struct checked checked = {.world = world};
    assert_int_equal(store_sqlite_list_runs(owner->store, 100, check_run, &checked), 0);
    assert_int_equal(checked.one, 1);
    assert_int_equal(checked.two, 1);
    assert_int_equal(count_names(world, "accepted"), 2);
    assert_int_equal(count_names(world, "rejected"), 2);
    assert_string_equal(content(world, "rejected/bad.yaml"), "bad");
    assert_int_equal(count_names(world, ".taking"), 0);
    assert_int_equal(count_names(world, ""), 4);
}

/* One life, in a process of its own; true when it ended by itself. */
static bool live(struct spool_world *world, bool first, int kill_at, bool check)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct owner owner = {.world = world};
        open_all(&owner);
        atomic_store(&countdown, kill_at);
        if (first) {
            drop(world, "one.yaml", GOOD_PLAN);
            drop(world, "bad.yaml", "bad");
            drop(world, "two.yaml", SECOND_PLAN);
        } else {
            nudge(world);
        }
        TURN_UNTIL(world, settled(&owner));
        atomic_store(&countdown, 0);
        if (check)
            check_all(&owner);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return false;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

static void no_crash_loses_or_doubles_a_plan(void **state)
{
    struct spool_world *world = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s/" STATE, world->root);
    int n = 1;
    for (bool ended = false; !ended; n++) {
        ended = live(world, true, n, false);
        if (!ended)
            live(world, false, 1 + n * 7 % 23, false);
        live(world, false, 0, true);
        remove_tree(path);
        remove_tree(world->directory);
    }
    printf("%d points\n", n - 2);
    assert_true(n > 25);
}

/* ---- the end of a run ---- */

static int produce_result(spool_write *write, void *sink, void *user)
{
    (void)user;
    static const char text[] = "{\"version\":1,\"run\":\"01KB0000000000000000000001\"}\n";
    return write(text, strlen(text), sink);
}

static int produce_report(spool_write *write, void *sink, const char *result_path, void *user)
{
    (void)user;
    return write(result_path, strlen(result_path), sink);
}

/* True when it was not killed. */
static bool end_run(struct spool_world *world, const char *filed, bool well, int kill_at)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct spool_end end = {world->directory,
                                "01KB0000000000000000000001",
                                "a.yaml",
                                filed,
                                well,
                                produce_result,
                                produce_report,
                                NULL};
        struct buf error = BUF_INIT(4096);
        char *now = NULL;
        atomic_store(&countdown, kill_at);
        _exit(spool_finish(&end, &now, &error) == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return !WIFSIGNALED(status);
}

static void make_folders(struct spool_world *world)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct owner owner = {.world = world};
        open_all(&owner);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void no_crash_spoils_an_end(void **state)
{
    struct spool_world *world = *state;
    make_folders(world);
    put(at(world, "done/a.yaml"), "somebody else's");
    int n = 1;
    for (bool ended = false; !ended; n++) {
        put(at(world, "accepted/a.yaml"), "ours");
        ended = end_run(world, "accepted/a.yaml", false, n);
        end_run(world, "accepted/a.yaml", false, 0); /* its place had not been stored */
        assert_string_equal(content(world, "failed/a.yaml"), "ours");
        assert_non_null(strstr(content(world, "failed/a.report.txt"), "failed/a.result.json"));
        assert_int_equal(count_names(world, "failed"), 3);
        assert_int_equal(count_names(world, "accepted"), 0);
        /* retried, and well this time */
        ended = end_run(world, "failed/a.yaml", true, n) && ended;
        end_run(world, "failed/a.yaml", true, 0);
        assert_int_equal(count_names(world, "failed"), 0);
        assert_int_equal(count_names(world, "done"), 4);
        assert_string_equal(content(world, "done/a.01KB0000000000000000000001.yaml"), "ours");
        assert_string_equal(content(world, "done/a.yaml"), "somebody else's");
        remove_tree(at(world, "done/a.01KB0000000000000000000001.yaml"));
        remove_tree(at(world, "done/a.01KB0000000000000000000001.result.json"));
        remove_tree(at(world, "done/a.01KB0000000000000000000001.report.txt"));
    }
    printf("%d points\n", n - 2);
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SPOOL(no_crash_loses_or_doubles_a_plan),
        IN_SPOOL(no_crash_spoils_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
