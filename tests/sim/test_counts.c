/* Scenarios of what the engine counts beside its items. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/parts.h"
#include "world.h"

static struct plan *plan_of_two(const struct world *world)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct plan_clone *clones = calloc(2, sizeof(*clones));
    assert_non_null(plan);
    assert_non_null(clones);
    for (size_t i = 0; i < 2; i++)
        clones[i] = (struct plan_clone){.source = {PLAN_REF_NAME, "T0"}, .name = i ? "B" : "A"};
    *plan = (struct plan){.arena = arena_new(),
                          .file = "two",
                          .name = "two",
                          .server = world->ems[0].name,
                          .attempts = 1,
                          .clones = clones,
                          .n_clones = 2};
    return plan;
}

/* A run is refused whose state is damaged: it has an item that its plan lacks. What was taken over of it by
 * then, a task of the present session, counts no more; that task is nobody's when it ends. */
static void test_run_that_cannot_be_added(void **state)
{
    (void)state;
    struct world *world = scene_quiet(2);
    struct em *em = &world->ems[0];
    em->clone_min_ms = 5 * MINUTE;
    em->clone_max_ms = 5 * MINUTE + 1;
    scene_begin(world);
    while (scene_count(world, ITEM_RUNNING) < 2 && !world->failure[0])
        scene_step(world);
    struct item stored[2] = {world->runs[0].rows[0], {.index = 7, .state = ITEM_FAILED}};
    struct sim_task *task = &em->tasks[em_add_task(em)];
    char id[32];
    snprintf(id, sizeof(id), "task-%u", task->number);
    task->job = em->tasks[0].job;
    task->clone = true;
    task->end_ms = world->now_ms + MINUTE;
    stored[0].task_id = id;
    struct engine_run_options options = {
        .id = "01KB0000000000000000000TWO", .plan = plan_of_two(world), .stored = stored, .n_stored = 2};
    assert_int_equal(engine_add_run(world->engine, &options, world_instant(world)), -EINVAL);
    check_counts(world);
    assert_string_equal(world->failure, "");
    assert_true(scene_run(world));
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 2);
    scene_free(world);
}

/* The linker's --wrap: there is no memory for what a commit is given. */
static struct engine *lacks_memory;

void *__wrap_realloc(void *old, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    if (!lacks_memory || old != lacks_memory->changes)
        return __real_realloc(old, size);
    lacks_memory = NULL;
    return NULL;
}

/* A cancelled run, whose items all change at once: nothing of it is forgotten, and no later than a second
 * after it is stored. */
static void test_commit_without_memory(void **state)
{
    (void)state;
    struct world *world = scene_quiet(20);
    const struct sim_run *run = &world->runs[0];
    scene_begin(world);
    while (!world->asked[REQUEST_LOGON])
        scene_step(world);
    scene_until(world, world->now_ms + 50); /* its row is stored */
    lacks_memory = world->engine;
    assert_int_equal(engine_cancel_run(world->engine, run->id, false), 0);
    scene_until(world, world->now_ms + 1200);
    assert_null(lacks_memory);
    assert_int_equal(run->wish, RUN_WISH_CANCEL);
    assert_int_equal(scene_count(world, ITEM_CANCELLED), 20);
    assert_true(scene_run(world));
    scene_free(world);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_that_cannot_be_added),
        cmocka_unit_test(test_commit_without_memory),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
