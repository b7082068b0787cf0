/* Scenarios of a run that is cancelled with its unfinished tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "world.h"

/* Four tasks run when it is cancelled; the first deletion is answered like that. What becomes of a clone
 * whose task is deleted is a matter of chance. */
static void stops(const char *answer)
{
    struct world *world = scene_quiet(4);
    struct em *em = &world->ems[0];
    em->clone_min_ms = 9 * MINUTE;
    em->clone_max_ms = 9 * MINUTE + 1;
    world->scripts[0] = (struct sim_script){.kind = REQUEST_TIDY, .spoil = spoil_by_name(answer), .count = 1};
    scene_begin(world);
    while (scene_count(world, ITEM_RUNNING) < 4 && !world->failure[0])
        scene_step(world);
    assert_int_equal(engine_cancel_run(world->engine, world->runs[0].id, true), 0);
    scene_until(world, world->now_ms + 2 * MINUTE);
    assert_int_equal(world->scripts[0].answered, 1);
    assert_int_equal(world->asked[REQUEST_TIDY], 5);
    for (size_t i = 0; i < em->n_tasks; i++)
        assert_true(em->tasks[i].deleted || !em->tasks[i].clone);
    assert_true(scene_run(world));
    assert_int_equal(world->asked[REQUEST_TIDY], 5);
    assert_int_equal(scene_count(world, ITEM_CANCELLED) + scene_count(world, ITEM_SUCCEEDED), 4);
    scene_free(world);
}

/* What was not carried out, or perhaps not, is asked for again. */
static void test_deletions_that_fail(void **state)
{
    (void)state;
    static const char *const answers[] = {"unsent",   "request-lost", "reply-lost", "429",
                                          "429-wait", "503-before",   "502-after"};
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++)
        stops(answers[i]);
}

/* A server that never deletes what runs is not asked without end: each failure makes all else wait. */
static void test_deletions_that_always_fail(void **state)
{
    (void)state;
    struct world *world = scene_quiet(4);
    struct em *em = &world->ems[0];
    em->clone_min_ms = 9 * MINUTE;
    em->clone_max_ms = 9 * MINUTE + 1;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_TIDY, .spoil = spoil_by_name("503-before"), .count = UINT32_MAX};
    scene_begin(world);
    while (scene_count(world, ITEM_RUNNING) < 4 && !world->failure[0])
        scene_step(world);
    assert_int_equal(engine_cancel_run(world->engine, world->runs[0].id, true), 0);
    assert_true(scene_run(world));
    assert_int_equal(world->asked[REQUEST_TIDY], 40);
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 4); /* they went on, and were found */
    scene_free(world);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deletions_that_fail),
        cmocka_unit_test(test_deletions_that_always_fail),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
