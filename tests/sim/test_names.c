/* Scenarios of names: what the server has is seen, though its list changes while it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "world.h"

#define PER_PAGE 4
#define PAGES 4

/* Alone on the last page is a job of the name that the only item wants. */
static struct world *with_holder(void)
{
    struct world *world = scene_quiet(1);
    struct em *em = &world->ems[0];
    em->page_size = PER_PAGE;
    em->settings.in_flight_initial = em->settings.in_flight_max = 1; /* one page after another */
    while (em->n_jobs < (size_t)PER_PAGE * (PAGES - 1))
        em_add_job(em, "filler", "Backup", 0);
    em_add_job(em, "Clone A 0", "Backup", 0);
    return world;
}

/* As many jobs as before, but each page begins one later; the holder comes to stand on a page before its own.
 */
static void shift(struct world *world)
{
    world->ems[0].jobs[SIM_TEMPLATES].deleted = true;
    em_add_job(&world->ems[0], "filler", "Backup", 0);
}

static void until_page(struct world *world, unsigned pages)
{
    while (world->asked[REQUEST_NAMES] < pages && !world->failure[0])
        scene_step(world);
}

static void ends_as_taken(struct world *world)
{
    assert_true(scene_run(world));
    assert_int_equal(world->runs[0].rows[0].state, ITEM_FAILED);
    assert_int_equal(world->runs[0].rows[0].error, ITEM_E_NAME_CONFLICT);
    assert_int_equal(world->sends, 0);
}

/* A list that came at once is read once. */
static void test_quick_list(void **state)
{
    (void)state;
    struct world *world = with_holder();
    scene_begin(world);
    ends_as_taken(world);
    assert_int_equal(world->asked[REQUEST_NAMES], PAGES + 1); /* and the repositories */
    scene_free(world);
}

/* The last page is lost, and is read a minute after the others: meanwhile the holder has moved to one of
 * those. */
static void test_page_lost_while_they_shift(void **state)
{
    (void)state;
    struct world *world = with_holder();
    world->scripts[0] = (struct sim_script){
        .kind = REQUEST_NAMES, .spoil = spoil_by_name("reply-timed-out"), .skip = PAGES - 1, .count = 1};
    scene_begin(world);
    until_page(world, PAGES);
    shift(world);
    ends_as_taken(world);
    scene_free(world);
}

/* However slow: twice, and no more. */
static void test_slow_list(void **state)
{
    (void)state;
    struct world *world = with_holder();
    world->ems[0].wire_ms = 20000;
    scene_begin(world);
    ends_as_taken(world);
    assert_int_equal(world->asked[REQUEST_NAMES], 2 * PAGES + 1);
    scene_free(world);
}

/* Its source is on the first page: the second trip reads it, together with the other pages. */
static void test_source_beside_the_pages(void **state)
{
    (void)state;
    struct world *world = with_holder();
    world->ems[0].settings.in_flight_initial = world->ems[0].settings.in_flight_max = 2 * PAGES;
    scene_begin(world);
    until_page(world, PAGES);
    assert_int_equal(world->asked[REQUEST_NAMES], PAGES);
    assert_int_equal(world->asked[REQUEST_JOB], 1);
    ends_as_taken(world);
    assert_int_equal(world->asked[REQUEST_JOB], 1);
    scene_free(world);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quick_list),
        cmocka_unit_test(test_page_lost_while_they_shift),
        cmocka_unit_test(test_slow_list),
        cmocka_unit_test(test_source_beside_the_pages),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
