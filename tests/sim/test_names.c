/* Scenarios of names: what the server has is seen, though its list changes while it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
    until_page(world, PAGES); /* the repositories come after them: one place */
    shift(world);
    ends_as_taken(world);
    scene_free(world);
}

/* People delete jobs before the holder and make others behind it. */
static void replace(struct world *world, size_t first, size_t n)
{
    struct em *em = &world->ems[0];
    for (size_t i = 0; i < n; i++) {
        em->jobs[first + i].deleted = true;
        em_add_job(em, "filler", "Backup", 0);
    }
}

/* Each reading of a slow list has the holder move towards the first page: while it is on its way from the
 * last page but one, or from the second one. */
static void test_moves_in_both_readings(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct world *world = with_holder();
        world->ems[0].wire_ms = 20000;
        scene_begin(world);
        until_page(world, PAGES);
        replace(world, SIM_TEMPLATES, 1); /* to the third page, which has been read */
        until_page(world, PAGES + (way ? 2 : 3));
        if (way)
            replace(world, 1, 3); /* sources that the only item does not want */
        replace(world, SIM_TEMPLATES + 1, way ? 7 : 4);
        ends_as_taken(world);
        scene_free(world);
    }
}

/* However slow: twice, and no more; the first page once more at the end. */
static void test_slow_list(void **state)
{
    (void)state;
    struct world *world = with_holder();
    world->ems[0].wire_ms = 20000;
    scene_begin(world);
    ends_as_taken(world);
    assert_int_equal(world->asked[REQUEST_NAMES], 2 * PAGES + 2);
    scene_free(world);
}

/* The first trip reads the repositories too. The source is on the first page of jobs: the second trip reads
 * it, together with the other pages. */
static void test_all_beside_the_pages(void **state)
{
    (void)state;
    struct world *world = with_holder();
    world->ems[0].settings.in_flight_initial = world->ems[0].settings.in_flight_max = 2 * PAGES;
    scene_begin(world);
    until_page(world, PAGES + 1);
    assert_int_equal(world->asked[REQUEST_NAMES], PAGES + 1);
    assert_int_equal(world->asked[REQUEST_JOB], 1);
    ends_as_taken(world);
    assert_int_equal(world->asked[REQUEST_JOB], 1);
    scene_free(world);
}

/* A server that shows one page, whichever is asked for, has told nothing of the others: the run ends with
 * that, as with a list that cannot be read, and clones nothing. */
static void test_one_page_again_and_again(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        struct world *world = with_holder();
        world->ems[0].first_page_only = true;
        scene_begin(world);
        if (again) { /* it comes to itself in time */
            scene_until(world, 4 * MINUTE);
            world->ems[0].first_page_only = false;
            ends_as_taken(world);
        } else {
            assert_true(scene_run(world));
            assert_int_equal(world->runs[0].rows[0].error, ITEM_E_LOOKUP);
            assert_non_null(strstr(world->runs[0].rows[0].message, "another page than is asked for"));
            assert_in_range(world->now_ms, 5 * MINUTE, 7 * MINUTE); /* timeouts.unreachable */
            assert_in_range(world->asked[REQUEST_NAMES], 8, 30);
            assert_int_equal(world->sends, 0);
        }
        scene_free(world);
    }
}

/* Two names of the same stem, once it is trimmed. The first item has got its new name and is in doubt when
 * names are read again, and proven absent while they are: what it has got is not free. */
static void test_new_name_of_an_item_proven_absent(void **state)
{
    (void)state;
    struct world *world = scene_quiet(3); /* the first and the last are of one backup server */
    struct em *em = &world->ems[0];
    struct sim_run *run = &world->runs[0];
    run->stem = "A name as long as there may be, but for a digit: ";
    run->on_conflict = ON_CONFLICT_RENAME;
    em->settings.in_flight_initial = em->settings.in_flight_max = 1;
    em_add_job(em, "A name as long as there may be, but for a digit: 0", "Backup", 0);
    em_add_job(em, "A name as long as there may be, but for a digit: 2", "Backup", 0);
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .count = 1};
    scene_begin(world);
    while (!world->asked[REQUEST_CLONE])
        scene_step(world);
    assert_int_equal(engine_pause_run(world->engine, run->id), 0);
    scene_until(world, world->now_ms + 2 * MINUTE);
    assert_int_equal(run->rows[0].state, ITEM_IN_DOUBT);
    world->scripts[1] =
        (struct sim_script){.kind = REQUEST_NAMES, .spoil = spoil_by_name("429"), .count = UINT32_MAX};
    assert_int_equal(engine_resume_run(world->engine, run->id), 0);
    scene_until(world, 30 * MINUTE);
    assert_int_equal(run->rows[0].state, ITEM_QUEUED);
    world->scripts[1].count = 0;
    assert_true(scene_run(world));
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 3);
    assert_string_equal(run->rows[0].name, "A name as long as there may be, but for a digi (2)");
    assert_string_equal(run->rows[2].name, "A name as long as there may be, but for a digi (3)");
    scene_free(world);
}

/* ---- a clone that came after its task had been given up (task_timeout) ---- */

#define GIVEN_UP_MS (10 * MINUTE)
#define MADE_MS (15 * MINUTE)

/* The first run has ended with it, and the rival is about to be added. `settle` has not passed since. */
static struct world *given_up(enum on_conflict on_conflict)
{
    struct world *world = scene_quiet(1);
    struct em *em = &world->ems[0];
    world->runs[0].task_timeout_ms = GIVEN_UP_MS;
    em->clone_min_ms = MADE_MS;
    em->clone_max_ms = MADE_MS + 1;
    scene_begin(world);
    scene_add_rival(world, on_conflict);
    scene_until(world, 17 * MINUTE);
    assert_int_equal(world->runs[0].rows[0].error, ITEM_E_TASK_TIMEOUT);
    assert_true(world->runs[0].ended);
    return world;
}

static const struct item *rival_ends(struct world *world)
{
    scene_until(world, world->now_ms + 10000); /* what was collected is in the list */
    daemon_add_run(world, &world->runs[1]);
    bool well = scene_run(world);
    assert_string_equal(world->failure, "");
    assert_true(well);
    return &world->runs[1].rows[0];
}

/* The list shows it with its mark: the name is there, as any other. */
static void test_late_clone_is_there(void **state)
{
    (void)state;
    for (int crash = 0; crash < 2; crash++) { /* the first run is in the engine, or only in the store */
        struct world *world = given_up(ON_CONFLICT_SKIP);
        if (crash)
            daemon_crash(world);
        em_collect(&world->ems[0], 0);
        const struct item *item = rival_ends(world);
        const struct sim_job *job = NULL;
        char mark[ITEM_MARK_MAX];
        item_mark(mark, world->runs[0].id, 0);
        assert_int_equal(em_clones(&world->ems[0], mark, &job), 1);
        assert_int_equal(item->state, ITEM_SKIPPED);
        assert_non_null(strstr(item->job_uid, job->id));
        assert_int_equal(world->sends, 1);
        scene_free(world);
    }
}

static void test_late_clone_conflicts(void **state)
{
    (void)state;
    struct world *world = given_up(ON_CONFLICT_FAIL);
    em_collect(&world->ems[0], 0);
    assert_int_equal(rival_ends(world)->error, ITEM_E_NAME_CONFLICT);
    assert_int_equal(world->sends, 1);
    scene_free(world);
}

static void test_late_clone_leaves_other_names(void **state)
{
    (void)state;
    struct world *world = given_up(ON_CONFLICT_RENAME);
    em_collect(&world->ems[0], 0);
    const struct item *item = rival_ends(world);
    assert_int_equal(item->state, ITEM_SUCCEEDED);
    assert_string_equal(item->name, "Clone A 0 (2)");
    scene_free(world);
}

/* It has not been collected; a job of its name with another mark, or that of another item, tells nothing. */
static void test_name_is_in_doubt_without_the_mark(void **state)
{
    (void)state;
    for (int crash = 0; crash < 2; crash++) {
        static const char *const others[] = {NULL, "by somebody", "[jobclone:01KB0000000000000000000RNA/1]",
                                             "[jobclone:01KB0000000000000000000RNB/0]x",
                                             "[jobclone:01KB0000000000000000000RNA/0] copied by somebody"};
        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
            struct world *world = given_up(ON_CONFLICT_SKIP);
            struct em *em = &world->ems[0];
            if (others[i])
                snprintf(em_add_job(em, "Clone A 0", "Backup", 0)->description, sizeof(em->jobs->description),
                         "%s", others[i]);
            if (crash)
                daemon_crash(world);
            assert_int_equal(rival_ends(world)->error, ITEM_E_NAME_IN_DOUBT);
            scene_free(world);
        }
    }
}

/* Nor does one on another backup server. */
static void test_mark_on_another_backup_server(void **state)
{
    (void)state;
    struct world *world = given_up(ON_CONFLICT_SKIP);
    struct sim_job *job = em_add_job(&world->ems[0], "Clone A 0", "Backup", 1);
    item_mark(job->description, world->runs[0].id, 0);
    assert_int_equal(rival_ends(world)->error, ITEM_E_NAME_IN_DOUBT);
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
        cmocka_unit_test(test_moves_in_both_readings),
        cmocka_unit_test(test_slow_list),
        cmocka_unit_test(test_all_beside_the_pages),
        cmocka_unit_test(test_one_page_again_and_again),
        cmocka_unit_test(test_new_name_of_an_item_proven_absent),
        cmocka_unit_test(test_late_clone_is_there),
        cmocka_unit_test(test_late_clone_conflicts),
        cmocka_unit_test(test_late_clone_leaves_other_names),
        cmocka_unit_test(test_name_is_in_doubt_without_the_mark),
        cmocka_unit_test(test_mark_on_another_backup_server),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
