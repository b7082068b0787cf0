/* Scenarios of when the next turn is due: what may go on does so by itself, and what must wait for an answer
 * does not turn meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/parts.h"
#include "world.h"

/* The certificate is refused once: half a minute later the clone is tried again, though nothing else is due.
 */
static void test_certificate_is_refused(void **state)
{
    (void)state;
    struct world *world = scene_quiet(1);
    world->scripts[0] = (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("tls"), .count = 1};
    scene_begin(world);
    while (world->sends < 2 && !world->failure[0])
        scene_step(world);
    assert_in_range(world->now_ms - world->scripts[0].answered_ms, 30000, 31000);
    assert_true(scene_run(world));
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 1);
    scene_free(world);
}

static struct plan *plan_of_one(const struct world *world)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct plan_clone *clone = calloc(1, sizeof(*clone));
    assert_non_null(plan);
    assert_non_null(clone);
    *clone = (struct plan_clone){.source = {PLAN_REF_NAME, "T0"}, .name = "new"};
    *plan = (struct plan){.arena = arena_new(),
                          .file = "one",
                          .name = "one",
                          .server = world->ems[0].name,
                          .attempts = 1,
                          .clones = clone,
                          .n_clones = 1};
    return plan;
}

/* A preview is given up while its question for names hangs for a minute: it is forgotten with the answer, and
 * nothing turns until then. */
static void test_preview_is_given_up(void **state)
{
    (void)state;
    static const char id[] = "01KB0000000000000000000PRE";
    struct world *world = scene_quiet(1);
    world->runs[0].wish = RUN_WISH_PAUSE;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_NAMES, .spoil = spoil_by_name("request-lost"), .count = 1};
    scene_begin(world);
    struct engine_run_options options = {.id = id, .plan = plan_of_one(world), .mode = ENGINE_PREVIEW};
    assert_int_equal(engine_add_run(world->engine, &options, world_instant(world)), 0);
    world->wake = true;
    while (!world->asked[REQUEST_NAMES])
        scene_step(world);
    assert_int_equal(engine_remove_run(world->engine, id), 0);
    uint64_t turns = world->turns, from = world->now_ms;
    while (world->engine->runs->next) /* as long as it is there */
        scene_step(world);
    assert_in_range(world->now_ms - from, 50000, 70000);
    assert_in_range(world->turns - turns, 1, 10);
    scene_free(world);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificate_is_refused),
        cmocka_unit_test(test_preview_is_given_up),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
