/* Scenarios of single questions for tasks, whose answers come late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/parts.h"
#include "world.h"

/* Whether an item's clone request or its question is under way. */
static bool under_way(const struct world *world, enum exchange_kind kind, uint32_t slot)
{
    for (const struct exchange *e = world->engine->servers->exchanges; e; e = e->next)
        if (e->kind == kind && e->run && e->number == slot)
            return true;
    return false;
}

/* The first tasks fail, and the list lacks them: one is asked for, which is answered a minute later. Then the
 * list tells how it ended, and its item is sent again. `ret_slot` gets the item whose second request is under
 * way beside the question for the first one's task. */
static struct world *asked_and_sent_again(const char *answer, bool slow_clones, uint32_t *ret_slot)
{
    struct world *world = scene_quiet(6);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = 6;
    em->clone_min_ms = em->clone_max_ms = 300;
    em->fail_permille = em->omit_permille = 1000;
    world->chaos_until_ms = 60 * MINUTE;
    world->scripts[0] = (struct sim_script){.kind = REQUEST_TASK, .spoil = spoil_by_name(answer), .count = 1};
    scene_begin(world);
    while (!world->asked[REQUEST_TASK] && !world->failure[0])
        scene_step(world);
    for (*ret_slot = 0; !under_way(world, EXCHANGE_TASK, *ret_slot); ++*ret_slot) {
    }
    scene_until(world, world->now_ms + 600); /* the question has arrived */
    em->fail_permille = em->omit_permille = 0;
    em->clone_min_ms = 5 * MINUTE;
    em->clone_max_ms = 5 * MINUTE + 1;
    if (slow_clones)
        world->scripts[1] =
            (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("slow-answer"), .count = 99};
    while (!under_way(world, EXCHANGE_SUBMIT, *ret_slot) && !world->failure[0])
        scene_step(world);
    assert_true(under_way(world, EXCHANGE_TASK, *ret_slot));
    return world;
}

/* Others that are stored but have not left go back to the queue; what is under way does not. */
static void test_sent_again_beside_its_question(void **state)
{
    (void)state;
    uint32_t slot;
    struct world *world = asked_and_sent_again("slow-answer", true, &slot);
    while (!world->engine->servers->n_held && !world->failure[0])
        scene_step(world);
    assert_int_equal(engine_pause_run(world->engine, world->runs[0].id), 0);
    scene_until(world, world->now_ms + 500);
    assert_true(under_way(world, EXCHANGE_SUBMIT, slot));
    assert_int_equal(world->runs[0].rows[slot].state, ITEM_SUBMITTING);
    world->scripts[1].count = 0;
    assert_int_equal(engine_resume_run(world->engine, world->runs[0].id), 0);
    assert_true(scene_run(world)); /* the world fails when one is cloned twice */
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 6);
    scene_free(world);
}

/* The server does not know the first task any more: that says nothing of the second one. */
static void test_task_of_an_earlier_try_is_gone(void **state)
{
    (void)state;
    for (int slow = 0; slow < 2; slow++) {
        uint32_t slot;
        struct world *world = asked_and_sent_again("slow-500", slow, &slot);
        const struct sim_run *run = &world->runs[0];
        while (under_way(world, EXCHANGE_TASK, slot) && !world->failure[0])
            scene_step(world);
        scene_until(world, world->now_ms + 500);
        assert_int_equal(run->rows[slot].state, slow ? ITEM_SUBMITTING : ITEM_RUNNING);
        assert_true(scene_run(world));
        assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 6);
        assert_false(run->rows[slot].recovered);
        scene_free(world);
    }
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sent_again_beside_its_question),
        cmocka_unit_test(test_task_of_an_earlier_try_is_gone),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
