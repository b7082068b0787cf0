/* Ten thousand plans at once, into the real store: each taken once, in bounded batches, without holding up
 * the loop. Prints its figures. */
#include "spool_fixture.h"

#include "io/store_async.h"

#define MANY 10000
#define IN_FLIGHT_MAX 128

struct owner {
    struct spool_world *world;
    struct store_sqlite *store;
    size_t n_accepted, n_filed, in_flight, in_flight_max;
    bool ready, in_order;
    uint64_t idle_ns, busy_max_ns, turned_ns;
    uv_prepare_t prepare;
};

struct call {
    struct store_run run;
    spool_on_done *on_done;
    void *data;
    struct owner *owner;
    bool files;
    char id[ULID_LEN + 1];
};

static void on_stored(int error, void *data)
{
    struct call *call = data;
    assert_int_equal(error, 0);
    if (call->files)
        call->owner->n_filed++;
    else
        call->owner->in_flight--;
    call->on_done(error, call->data);
    free(call->run.file);
    free(call);
}

static void accept_many(const struct spool_drop *drop, char ret_run_id[ULID_LEN + 1], spool_on_done *on_done,
                        void *data, void *user)
{
    static char plan[] = "good", server[] = "prod", hash[] = "h";
    struct owner *owner = user;
    struct call *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    *call = (struct call){.on_done = on_done, .data = data, .owner = owner};
    if (owner->in_order) {
        char name[32];
        snprintf(name, sizeof(name), "p%05zu.yaml", owner->n_accepted);
        assert_string_equal(drop->file, name);
    }
    snprintf(call->id, sizeof(call->id), "01KB00000000000000%08zu", owner->n_accepted++);
    call->run = (struct store_run){.id = call->id,
                                   .plan = plan,
                                   .file = strdup(drop->file),
                                   .server = server,
                                   .hash = hash,
                                   .accepted_ms = drop->accepted_ms,
                                   .bytes = drop->files->bytes};
    memcpy(ret_run_id, call->id, sizeof(call->id));
    if (++owner->in_flight > owner->in_flight_max)
        owner->in_flight_max = owner->in_flight;
    assert_int_equal(store_async_add_run(owner->store, &call->run, on_stored, call), 0);
}

static void file_many(const char *run_id, const char *filed, spool_on_done *on_done, void *data, void *user)
{
    struct owner *owner = user;
    struct call *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    *call = (struct call){.on_done = on_done, .data = data, .owner = owner, .files = true};
    assert_int_equal(store_async_set_filed(owner->store, run_id, filed, on_stored, call), 0);
}

static void is_ready(void *user)
{
    ((struct owner *)user)->ready = true;
}

static const struct spool_ops ops = {accept_many, file_many, is_ready};

/* Once in every turn of the loop: how long did it last, but for the waiting? */
static void on_prepare(uv_prepare_t *prepare)
{
    struct owner *owner = prepare->data;
    uint64_t idle = uv_metrics_idle_time(prepare->loop), now = uv_hrtime();
    uint64_t busy = now - owner->turned_ns - (idle - owner->idle_ns);
    if (owner->turned_ns != 0 && busy > owner->busy_max_ns)
        owner->busy_max_ns = busy;
    owner->idle_ns = idle;
    owner->turned_ns = now;
}

static void open_owner(struct owner *owner, struct spool_world *world)
{
    char path[128];
    struct buf error = BUF_INIT(4096);
    *owner = (struct owner){.world = world};
    assert_int_equal(uv_loop_configure(&world->loop, UV_METRICS_IDLE_TIME), 0);
    snprintf(path, sizeof(path), "%s/state", world->root);
    assert_int_equal(store_sqlite_open(&world->loop, path, &owner->store, &error), 0);
    assert_int_equal(spool_new(&world->loop, &world->settings, &ops, owner, &world->spool, &error), 0);
    buf_done(&error);
    uv_prepare_init(&world->loop, &owner->prepare);
    owner->prepare.data = owner;
    uv_prepare_start(&owner->prepare, on_prepare);
}

static void make_many(const struct spool_world *world, const char *folder)
{
    for (unsigned i = 0; i < MANY; i++) {
        char path[200];
        snprintf(path, sizeof(path), "%s/p%05u.yaml", folder, i);
        put(path, GOOD_PLAN);
    }
    (void)world;
}

static int count_run(struct store_run *run, void *data)
{
    size_t *n = data;
    assert_non_null(run->filed);
    (*n)++;
    return 0;
}

static void finish(struct owner *owner, const char *what, uint64_t begin_ms)
{
    struct spool_world *world = owner->world;
    size_t n = 0;
    TURN_UNTIL(world, owner->n_filed == MANY);
    printf("%s: %d plans in %.1f s, at most %zu at a time, longest turn of the loop %.1f ms\n", what, MANY,
           (double)(loop_now().mono_ms - begin_ms) / 1000, owner->in_flight_max,
           (double)owner->busy_max_ns / 1e6);
    assert_in_range(owner->in_flight_max, 1, IN_FLIGHT_MAX);
    assert_int_equal(owner->n_accepted, MANY);
    assert_int_equal(count_names(world, "accepted"), MANY);
    assert_int_equal(count_names(world, ""), 4);
    uv_close((uv_handle_t *)&owner->prepare, NULL);
    spool_shut(world);
    assert_int_equal(store_sqlite_open_runs(owner->store, count_run, &n), 0);
    assert_int_equal(n, MANY);
    store_sqlite_close(owner->store);
}

static void many_at_once_are_taken_once(void **state)
{
    struct spool_world *world = *state;
    struct owner owner;
    char aside[128];
    snprintf(aside, sizeof(aside), "%s/many", world->root);
    assert_int_equal(mkdir(aside, 0700), 0);
    make_many(world, aside);
    open_owner(&owner, world);
    spool_start(world->spool);
    TURN_UNTIL(world, owner.ready);
    owner.in_order = true;
    uint64_t begin = loop_now().mono_ms;
    for (unsigned i = 0; i < MANY; i++) {
        char from[200], name[32];
        snprintf(name, sizeof(name), "p%05u.yaml", i);
        snprintf(from, sizeof(from), "%s/%s", aside, name);
        assert_int_equal(rename(from, at(world, name)), 0);
    }
    owner.turned_ns = 0;
    finish(&owner, "renamed in", begin);
}

/* More hints than the kernel keeps; those that are lost are found by the scan. */
static void many_written_are_taken_once(void **state)
{
    struct spool_world *world = *state;
    struct owner owner;
    open_owner(&owner, world);
    spool_start(world->spool);
    TURN_UNTIL(world, owner.ready);
    uint64_t begin = loop_now().mono_ms;
    make_many(world, world->directory);
    owner.turned_ns = 0;
    finish(&owner, "written", begin);
}

static void many_that_lie_there_are_taken_once(void **state)
{
    struct spool_world *world = *state;
    struct owner owner;
    assert_int_equal(mkdir(world->directory, 0700), 0);
    make_many(world, world->directory);
    open_owner(&owner, world);
    owner.in_order = true;
    uint64_t begin = loop_now().mono_ms;
    spool_start(world->spool);
    finish(&owner, "found", begin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SPOOL(many_at_once_are_taken_once),
        IN_SPOOL(many_written_are_taken_once),
        IN_SPOOL(many_that_lie_there_are_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
