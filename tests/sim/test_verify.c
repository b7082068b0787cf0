/* Scenarios of clones that are verified: looked at in the job list after they have succeeded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/parts.h"
#include "world.h"

#define EVER 100000

/* Of a large run, the first thousand are verified while the rest is still being cloned. */
static void test_verified_on_the_way(void **state)
{
    (void)state;
    struct world *world = scene_quiet(1150);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = 20;
    em->settings.tasks_max = 40;
    em->page_size = 500;
    scene_begin(world);
    for (int i = 0; i < EVER * 10 && !world->asked[REQUEST_SWEEP] && !world->failure[0]; i++)
        scene_step(world);
    assert_true(scene_count(world, ITEM_SUCCEEDED) >= 960); /* what is decided counts, stored or not */
    assert_true(scene_count(world, ITEM_SUCCEEDED) < 1150);
    scene_until(world, world->now_ms + 10000);
    size_t verified = 0;
    for (size_t i = 0; i < 1150; i++)
        verified += world->runs[0].rows[i].verified;
    assert_true(verified >= 1000);
    assert_true(scene_run(world));
    scene_free(world);
}

/* A look for one in doubt meets few pages while most others are still being made; the closing look asks for
 * no page beyond those that there are, however long pages are. */
static void test_more_to_verify_than_pages(void **state)
{
    (void)state;
    for (unsigned page_size = 12; page_size < 40; page_size++) {
        struct world *world = scene_quiet(30);
        struct em *em = &world->ems[0];
        em->settings.in_flight_initial = em->settings.in_flight_max = 30;
        em->settings.tasks_max = 40;
        em->page_size = page_size;
        world->scripts[0] = (struct sim_script){
            .kind = REQUEST_CLONE, .spoil = spoil_by_name("reply-lost"), .skip = 5, .count = 1};
        scene_begin(world);
        assert_true(scene_run(world)); /* the world fails when a page is asked for that cannot be */
        assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 30);
        scene_free(world);
    }
}

/* New jobs are on the last pages: each page is read about once, however many looks there are. What they meet
 * before the end of its task is known is not looked for again, and the last clones, whose tasks are short,
 * are looked at beside their tasks. */
static void test_pages_once(void **state)
{
    (void)state;
    struct world *world = scene_quiet(1200);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = 50;
    em->settings.tasks_max = 1200;
    em->clone_min_ms = 1;
    em->clone_max_ms = 20;
    em->page_size = 20;
    scene_begin(world);
    assert_true(scene_run(world));
    unsigned pages = (unsigned)em->n_jobs / 20 + 1;
    print_message("%u pages asked for, of %u\n", world->asked[REQUEST_SWEEP], pages);
    assert_in_range(world->asked[REQUEST_SWEEP], pages, pages + pages / 10);
    for (size_t i = 0; i < 1200; i++)
        assert_true(world->runs[0].rows[i].verified);
    scene_free(world);
}

#define BEFORE 195 /* jobs, ten pages of which the last one is not full */

static struct world *with_old_pages(size_t n_items)
{
    struct world *world = scene_quiet(n_items);
    struct em *em = &world->ems[0];
    em->page_size = 20;
    while (em->n_jobs < BEFORE)
        em_add_job(em, "filler", "Backup", 0);
    return world;
}

/* The names have told how many pages there were: only those that are new, and the last of the old ones, are
 * looked at. */
static void test_old_pages_are_left(void **state)
{
    (void)state;
    struct world *world = with_old_pages(30);
    world->ems[0].clone_min_ms = 1;
    world->ems[0].clone_max_ms = 20;
    scene_begin(world);
    assert_true(scene_run(world));
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 30);
    assert_int_equal(world->asked[REQUEST_SWEEP], 3);
    scene_free(world);
}

/* Pages that tell only whether there is a next one: all are read, those that are new as well, and what is not
 * there is known to be absent. */
static void test_links_alone(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        struct world *world = with_old_pages(60);
        world->ems[0].links = true;
        world->json = json;
        world->scripts[0] = (struct sim_script){
            .kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .skip = 20, .count = 1};
        scene_begin(world);
        assert_true(scene_run(world));
        assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 60);
        for (size_t i = 0; i < 60; i++)
            assert_true(world->runs[0].rows[i].verified);
        scene_free(world);
    }
}

/* Jobs were deleted since the names were read: the page that was the last is not there, and all is read. */
static void test_fewer_pages(void **state)
{
    (void)state;
    struct world *world = with_old_pages(5);
    scene_begin(world);
    while (!world->sends && !world->failure[0])
        scene_step(world);
    for (size_t i = SIM_TEMPLATES; i < BEFORE; i++)
        world->ems[0].jobs[i].deleted = true;
    assert_true(scene_run(world));
    assert_in_range(world->asked[REQUEST_SWEEP], 2, 4);
    for (size_t i = 0; i < 5; i++)
        assert_true(world->runs[0].rows[i].verified);
    scene_free(world);
}

/* A look meets a job of the item's name and mark, and then its task fails: what was met tells nothing. */
static void test_met_and_failed(void **state)
{
    (void)state;
    struct world *world = scene_quiet(1);
    struct em *em = &world->ems[0];
    em->clone_min_ms = em->clone_max_ms = 800;
    em->fail_permille = 1000;
    world->chaos_until_ms = 20 * MINUTE;
    scene_begin(world);
    while (!world->sends && !world->failure[0])
        scene_step(world);
    struct sim_job *job = em_add_job(em, "Clone A 0", "Backup", 0);
    snprintf(job->description, sizeof(job->description), "[jobclone:%s/0]", world->runs[0].id);
    const struct run *run = world->engine->runs;
    while (!run->slots[0].met && !world->failure[0] && world->now_ms < MINUTE)
        scene_step(world);
    assert_non_null(run->slots[0].met);
    assert_true(scene_run(world));
    assert_int_equal(scene_count(world, ITEM_FAILED), 1);
    assert_false(world->runs[0].rows[0].verified);
    scene_free(world);
}

/* All is verified while an item is in doubt, so the look goes on; then the server wants a pause, in which the
 * doubt is settled otherwise. The look comes to its end, or the next run would have none. */
static void test_doubt_settled_in_a_pause(void **state)
{
    (void)state;
    struct world *world = with_old_pages(30);
    scene_begin(world);
    struct sim_run *next = scene_add_rival(world, ON_CONFLICT_SKIP);
    next->names = 'N';
    struct server *server = world->engine->servers;
    struct sweep *sweep = &server->sweep;
    while (!(sweep->kind == SWEEP_VERIFY && sweep->asking) && !world->failure[0])
        scene_step(world);
    world->pretends = true;
    server->in_doubt++;
    while ((sweep->verified < sweep->goal || sweep->asking) && !world->failure[0]) {
        server->busy_until_ms = sweep->verified + 20 >= sweep->goal ? world->now_ms + 500 : 0;
        scene_step(world);
    }
    assert_true(sweep->active);
    server->in_doubt--;
    world->pretends = false;
    daemon_add_run(world, next);
    assert_true(scene_run(world));
    scene_free(world);
}

/* Looks that only verify, many of them since the last doubt, do not put off the first look for what comes in
 * doubt: a session is lost just when the last clones are looked at. */
static void test_doubt_after_many_looks(void **state)
{
    (void)state;
    struct world *world = scene_quiet(5);
    struct em *em = &world->ems[0];
    em->clone_min_ms = 1;
    em->clone_max_ms = 50;
    world->chaos_until_ms = 20 * MINUTE;
    scene_begin(world);
    struct sweep *sweep = &world->engine->servers->sweep;
    sweep->finds = 8;
    while (!(sweep->active && sweep->kind == SWEEP_AHEAD) && !world->failure[0])
        scene_step(world);
    uint64_t lost_ms = world->now_ms;
    em_lose_session(em);
    assert_true(scene_run(world));
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 5);
    assert_in_range(world->now_ms - lost_ms, 0, 10000);
    scene_free(world);
}

/* A clone came after its task had been given up, and somebody copied it with its mark: the look for another
 * run's clones, which reads but the last page, meets the copy alone, and that tells nothing. */
static void test_copy_on_the_last_page(void **state)
{
    (void)state;
    struct world *world = with_old_pages(2);
    struct em *em = &world->ems[0];
    struct sim_run *run = &world->runs[0], *next = scene_add_rival(world, ON_CONFLICT_FAIL);
    next->names = 'N';
    em->settings.in_flight_initial = em->settings.in_flight_max = 1;
    em->meddled = 1;
    run->task_timeout_ms = 10 * MINUTE;
    daemon_start(world);
    daemon_add_run(world, run);
    while (!world->clones && !world->failure[0])
        scene_step(world);
    assert_int_equal(engine_pause_run(world->engine, run->id), 0);
    struct sim_task *task = &em->tasks[em->n_tasks - 1];
    size_t clone = (size_t)task->job;
    task->end_ms = em->jobs[clone].done_ms = world->now_ms + 30 * MINUTE;
    scene_until(world, world->now_ms + 31 * MINUTE);
    em->jobs[clone].visible_ms = world->now_ms;
    assert_int_equal(run->rows[0].error, ITEM_E_TASK_TIMEOUT);
    for (size_t i = SIM_TEMPLATES; i < SIM_TEMPLATES + 20;
         i++) /* then the clone is on a page that is known */
        em->jobs[i].deleted = true;
    for (int i = 0; i < 40; i++)
        em_add_job(em, "filler", "Backup", 0);
    struct sim_job *copy = em_add_job(em, "copied by a person", "Backup", 0);
    memcpy(copy->description, em->jobs[clone].description, sizeof(copy->description));
    daemon_add_run(world, next);
    while (!next->ended && !world->failure[0])
        scene_step(world);
    assert_string_equal(world->failure, ""); /* it fails when another's job is taken for an item's */
    assert_true(next->rows[0].verified);
    assert_int_equal(run->rows[0].state, ITEM_FAILED);
    assert_int_equal(engine_resume_run(world->engine, run->id), 0);
    assert_true(scene_run(world));
    assert_int_equal(run->rows[0].state, ITEM_SUCCEEDED);
    scene_free(world);
}

/* An interrupted run that is only looked at has many clones to verify: meeting them is not what the look for
 * another run's clone was begun for, which goes on to that one. */
static void test_clones_of_a_run_that_is_looked_at(void **state)
{
    (void)state;
    struct world *world = scene_quiet(100);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = 2;
    em->newest_first = true;
    em->page_size = 4;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_SWEEP, .spoil = spoil_by_name("500-before"), .count = EVER};
    scene_begin(world);
    while (scene_count(world, ITEM_SUCCEEDED) < 100 && !world->failure[0])
        scene_step(world);
    world->runs[0].looked_at = true;
    world->scripts[0].count = 0;
    daemon_crash(world);
    struct sim_run *next = scene_add_rival(world, ON_CONFLICT_FAIL);
    next->names = 'N';
    next->n_items = 1;
    daemon_add_run(world, next);
    while (!next->ended && !world->failure[0])
        scene_step(world);
    assert_string_equal(world->failure, "");
    assert_true(next->rows[0].verified);
    scene_free(world);
}

/* Runs end, and previews, more often than the list can be read: the looks go on, and doubt is settled. */
static void test_looks_outlive_runs(void **state)
{
    (void)state;
    struct world *world = with_old_pages(1);
    world->ems[0].page_size = 4;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .count = 1};
    scene_begin(world);
    struct sim_run *other = scene_add_rival(world, ON_CONFLICT_FAIL);
    other->looked_at = other->ended = true;
    while (world->sends < 2 && !world->failure[0] && world->now_ms < 60 * MINUTE) {
        daemon_add_run(world, other);
        engine_remove_run(world->engine, other->id);
        scene_until(world, world->now_ms + 4000);
    }
    assert_in_range(world->now_ms, 20 * MINUTE, 23 * MINUTE);
    other->added = false;
    other->n_items = 0;
    assert_true(scene_run(world));
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 1);
    scene_free(world);
}

/* Where no look can verify, one is made for each thousand clones and a few at the end, not one after another.
 */
static void test_nothing_can_be_verified(void **state)
{
    (void)state;
    struct world *world = scene_quiet(1200);
    struct em *em = &world->ems[0];
    em->quirk = QUIRK_NO_DESCRIPTIONS;
    em->settings.in_flight_initial = em->settings.in_flight_max = 20;
    em->settings.tasks_max = 40;
    em->page_size = 500;
    scene_begin(world);
    assert_true(scene_run(world));
    scene_until(world, world->now_ms + 10 * MINUTE);
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 1200);
    assert_in_range(world->asked[REQUEST_SWEEP], 12, 24); /* three pages each */
    scene_free(world);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

/* A run of which some clones fail, so that its closing look reads the whole list, of 60 pages and more: every
 * tenth of them is not answered, or with what is none. Returns how many were asked for. */
static unsigned pages_fail(const char *spoil)
{
    struct world *world = scene_quiet(40);
    struct em *em = &world->ems[0];
    em->settings.in_flight_initial = em->settings.in_flight_max = 8;
    em->page_size = 4;
    em->fail_permille = 300;
    world->runs[0].attempts = 1;
    world->chaos_until_ms = UINT64_MAX;
    for (int i = 0; i < 200; i++)
        em_add_job(em, "filler", "Backup", 0);
    scene_begin(world);
    unsigned failed = 0;
    for (int i = 0; i < EVER && !world->failure[0] && !world->runs[0].ended; i++) {
        if (world->asked[REQUEST_SWEEP] / 10 > failed) {
            world->scripts[0] =
                (struct sim_script){.kind = REQUEST_SWEEP, .spoil = spoil_by_name(spoil), .count = 1};
            failed = world->asked[REQUEST_SWEEP] / 10;
        }
        scene_step(world);
    }
    assert_true(failed > 5);
    assert_true(scene_run(world));
    for (size_t i = 0; i < 40; i++)
        if (world->runs[0].rows[i].state == ITEM_SUCCEEDED)
            assert_true(world->runs[0].rows[i].verified);
    unsigned asked = world->asked[REQUEST_SWEEP];
    scene_free(world);
    return asked;
}

/* A page that fails is asked for once more; the look does not begin anew, or it would hardly ever end. */
static void test_pages_fail(void **state)
{
    (void)state;
    static const char *const spoils[] = {"reply-lost", "500-after", "503-before", "garbled", "cut-off"};
    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
        unsigned asked = pages_fail(spoils[i]);
        print_message("%s: %u pages asked for\n", spoils[i], asked);
        assert_in_range(asked, 60, 90);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_fail),
        cmocka_unit_test(test_verified_on_the_way),
        cmocka_unit_test(test_more_to_verify_than_pages),
        cmocka_unit_test(test_pages_once),
        cmocka_unit_test(test_old_pages_are_left),
        cmocka_unit_test(test_links_alone),
        cmocka_unit_test(test_fewer_pages),
        cmocka_unit_test(test_met_and_failed),
        cmocka_unit_test(test_doubt_settled_in_a_pause),
        cmocka_unit_test(test_doubt_after_many_looks),
        cmocka_unit_test(test_copy_on_the_last_page),
        cmocka_unit_test(test_clones_of_a_run_that_is_looked_at),
        cmocka_unit_test(test_looks_outlive_runs),
        cmocka_unit_test(test_nothing_can_be_verified),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
