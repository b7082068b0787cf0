/* Scenarios of a server that is gone from the settings while a run is open, and of the operator who cancels
 * that run: what has never left needs no server, the rest waits for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "world.h"

#define ITEMS 40
#define EVER 100000

static size_t count_moving(const struct world *world)
{
    return scene_count(world, ITEM_SUBMITTING) + scene_count(world, ITEM_RUNNING) +
           scene_count(world, ITEM_IN_DOUBT);
}

static unsigned requests(const struct world *world)
{
    unsigned n = 0;
    for (int kind = 0; kind < REQUEST_COUNT; kind++)
        n += world->asked[kind];
    return n;
}

static struct world *begin(bool gone)
{
    struct world *world = scene_quiet(ITEMS);
    world->ems[0].gone = gone;
    world->items_at_once = 15;
    scene_begin(world);
    return world;
}

/* The daemon begins anew with other settings. */
static void restart(struct world *world, bool gone)
{
    world->ems[0].gone = gone;
    daemon_crash(world);
}

/* The wish is stored with the run, then it acts if it can. */
static void cancel(struct world *world)
{
    assert_true(world->runs[0].blocked);
    world->runs[0].wish = RUN_WISH_CANCEL;
    daemon_add_run(world, &world->runs[0]);
}

/* It ends without the server, through a crash at the given commit. */
static void ends_alone(struct world *world, unsigned commit, bool late)
{
    struct sim_run *run = &world->runs[0];
    size_t succeeded = scene_count(world, ITEM_SUCCEEDED);
    unsigned asked = requests(world), crashes = world->crashes;
    world->crash_commit = world->commits + commit;
    world->crash_late = late;
    cancel(world);
    assert_false(run->blocked);
    assert_true(scene_run(world));
    assert_int_equal(world->crashes, crashes + 1);
    assert_int_equal(run->state, RUN_CANCELLED);
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), succeeded);
    assert_int_equal(scene_count(world, ITEM_CANCELLED), ITEMS - succeeded);
    assert_int_equal(requests(world), asked);
}

static void test_run_that_has_never_begun(void **state)
{
    (void)state;
    for (unsigned commit = 1; commit <= 3; commit++) {
        for (int late = 0; late < 2; late++) {
            struct world *world = begin(true);
            restart(world, true);
            ends_alone(world, commit, late);
            assert_int_equal(requests(world), 0);
            scene_free(world);
        }
    }
}

/* Some of its clones are made; the others have never left. */
static void test_run_with_nothing_under_way(void **state)
{
    (void)state;
    for (unsigned commit = 1; commit <= 3; commit++) {
        for (int late = 0; late < 2; late++) {
            struct world *world = begin(false);
            for (int i = 0; i < EVER && scene_count(world, ITEM_SUCCEEDED) < 5; i++)
                scene_step(world);
            assert_int_equal(engine_pause_run(world->engine, world->runs[0].id), 0);
            scene_until(world, world->now_ms + 30 * MINUTE);
            assert_int_equal(count_moving(world), 0);
            assert_in_range(scene_count(world, ITEM_QUEUED), 1, ITEMS - 5);
            restart(world, true);
            ends_alone(world, commit, late);
            scene_free(world);
        }
    }
}

/* The wish waits for the server, through another restart; then doubt is settled and nothing more is sent. */
static void test_run_in_doubt(void **state)
{
    (void)state;
    for (size_t succeeded = 0; succeeded < 30; succeeded += 3) {
        struct world *world = begin(false);
        struct sim_run *run = &world->runs[0];
        for (int i = 0; i < EVER && (scene_count(world, ITEM_SUCCEEDED) < succeeded || !count_moving(world));
             i++)
            scene_step(world);
        restart(world, true);
        size_t moving = count_moving(world), queued = scene_count(world, ITEM_QUEUED);
        unsigned sends = world->sends, asked = requests(world);
        assert_true(moving > 0);
        cancel(world);
        assert_true(run->blocked);
        restart(world, true);
        assert_true(run->blocked);
        scene_until(world, world->now_ms + 30 * MINUTE);
        assert_int_equal(count_moving(world), moving);
        assert_int_equal(scene_count(world, ITEM_QUEUED), queued);
        assert_int_equal(requests(world), asked);
        restart(world, false);
        assert_false(run->blocked);
        assert_true(scene_run(world));
        assert_int_equal(run->state, RUN_CANCELLED);
        assert_int_equal(world->sends, sends);
        assert_in_range(scene_count(world, ITEM_CANCELLED), queued, queued + moving);
        scene_free(world);
    }
}

/* As after data that were lost and are collected anew. */
static void hide_clones(struct em *em)
{
    for (size_t i = 0; i < em->n_tasks; i++)
        em->tasks[i].job = -1; /* no task shows its job any more */
    for (size_t i = 0; i < em->n_jobs; i++)
        if (em->jobs[i].made_by_clone)
            em->jobs[i].visible_ms = em->world->now_ms + 15 * MINUTE;
}

/* The server is back while the first run, cancelled without it, still waits for its end to be stored: what it
 * has made, which the server does not show yet, is not made once more by another run. */
static void test_its_names_are_held(void **state)
{
    (void)state;
    struct world *world = scene_quiet(ITEMS);
    struct sim_run *run = &world->runs[0], *rival = scene_add_rival(world, ON_CONFLICT_FAIL);
    daemon_start(world);
    daemon_add_run(world, run);
    for (int i = 0; i < EVER && scene_count(world, ITEM_SUCCEEDED) < 5; i++)
        scene_step(world);
    assert_int_equal(engine_pause_run(world->engine, run->id), 0);
    while (count_moving(world) || run->state != RUN_PAUSED)
        assert_true(scene_step(world));
    size_t made = scene_count(world, ITEM_SUCCEEDED);
    restart(world, true);
    hide_clones(&world->ems[0]);
    cancel(world);
    daemon_bring_back(world, &world->ems[0]);
    daemon_add_run(world, rival);
    assert_true(scene_run(world));
    assert_int_equal(run->state, RUN_CANCELLED);
    size_t failed = 0;
    for (size_t i = 0; i < ITEMS; i++)
        failed += rival->rows[i].error == ITEM_E_NAME_CONFLICT;
    assert_int_equal(failed, made);
    scene_free(world);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_that_has_never_begun),
        cmocka_unit_test(test_run_with_nothing_under_way),
        cmocka_unit_test(test_run_in_doubt),
        cmocka_unit_test(test_its_names_are_held),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
