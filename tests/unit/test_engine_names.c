/* Names: read page by page, and held by the items of other runs. */
#include "engine_runs.h"

#include <errno.h>

/* ---- names across runs ---- */

static void a_younger_item_waits_then_conflicts(void **state)
{
    struct tiny *tiny = *state;
    tiny->hide = true;
    tiny->task_ms = 60000;
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 2000);
    add(tiny, B, four, 4, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 30000);
    assert_int_equal(engine_run_status(tiny->engine, B).n_wait, 1);
    assert_int_equal(tiny_state(tiny, B, 0), ITEM_QUEUED);
    assert_int_equal(tiny->clones, 4); /* the others do not wait */
    assert_true(tiny_until_over(tiny, B));
    assert_int_equal(tiny_item(tiny, B, 0)->error, ITEM_E_NAME_CONFLICT);
    assert_each_once(tiny, four, 4);
}

static void a_younger_item_skips_what_the_older_made(void **state)
{
    struct tiny *tiny = *state;
    tiny->hide = true;
    tiny->task_ms = 60000;
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    add(tiny, B, one, 1, ON_CONFLICT_SKIP);
    assert_true(tiny_until_over(tiny, A) && tiny_until_over(tiny, B));
    assert_int_equal(tiny_state(tiny, B, 0), ITEM_SKIPPED);
    assert_string_equal(tiny_item(tiny, B, 0)->job_uid, tiny_item(tiny, A, 0)->job_uid);
    assert_each_once(tiny, one, 1);
}

static void a_younger_item_takes_another_name(void **state)
{
    static const char *const renamed[] = {"One (2)"};
    struct tiny *tiny = *state;
    tiny->hide = true;
    tiny->task_ms = 60000;
    tiny_add_job(tiny, "One (2)", "by somebody else");
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    add(tiny, B, one, 1, ON_CONFLICT_RENAME);
    assert_true(tiny_until_over(tiny, A) && tiny_until_over(tiny, B));
    assert_string_equal(tiny_item(tiny, B, 0)->name, "One (3)");
    assert_each_once(tiny, one, 1);
    assert_each_once(tiny, renamed, 1);
}

/* Whoever asks for a name gets it, though a rename before it could take it. */
static void a_rename_leaves_what_the_plan_asks_for(void **state)
{
    static const char *const names[] = {"One", "One (3)", "One (2)", "One)"};
    static const char *const made[] = {"One (4)", "One (3)", "One (2)", "One)"};
    struct tiny *tiny = *state;
    tiny_add_job(tiny, "One", "by somebody else");
    struct plan *plan = tiny_plan(names, 4, ON_CONFLICT_FAIL);
    plan->clones[0].on_conflict = ON_CONFLICT_RENAME;
    tiny_add_run(tiny, A, plan, (struct engine_run_options){0});
    assert_true(tiny_until_over(tiny, A));
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(tiny_state(tiny, A, i), ITEM_SUCCEEDED);
        assert_string_equal(tiny_item(tiny, A, i)->name, made[i]);
    }
    assert_each_once(tiny, made, 4);
}

/* So too where those that it asks for are more than are asked for at first. */
static void a_rename_leaves_many_names(void **state)
{
    static const char *const renamed[] = {"One (17)"};
    struct tiny *tiny = *state;
    char text[16][16];
    const char *names[16] = {"One"};
    for (int i = 1; i < 16; i++) {
        snprintf(text[i], sizeof(text[i]), "One (%d)", i + 1);
        names[i] = text[i];
    }
    tiny_add_job(tiny, "One", "by somebody else");
    add(tiny, A, names, 16, ON_CONFLICT_RENAME);
    assert_true(tiny_until_over(tiny, A));
    assert_string_equal(tiny_item(tiny, A, 0)->name, "One (17)");
    assert_each_once(tiny, renamed, 1);
    assert_each_once(tiny, names + 1, 15);
}

/* More than are asked for at first. */
static void a_name_beyond_many_others(void **state)
{
    static const char *const renamed[] = {"One (30)"};
    struct tiny *tiny = *state;
    char name[16];
    tiny_add_job(tiny, "One", "by somebody else");
    for (int i = 2; i < 30; i++) {
        snprintf(name, sizeof(name), "One (%d)", i);
        tiny_add_job(tiny, name, "by somebody else");
    }
    add(tiny, A, one, 1, ON_CONFLICT_RENAME);
    assert_true(tiny_until_over(tiny, A));
    assert_string_equal(tiny_item(tiny, A, 0)->name, "One (30)");
    assert_each_once(tiny, renamed, 1);
}

static void a_younger_item_gets_a_name_that_came_free(void **state)
{
    struct tiny *tiny = *state;
    tiny->task_ms = 60000;
    tiny->fail_tasks = true;
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    add(tiny, B, one, 1, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 30000);
    engine_cancel_run(tiny->engine, A, false);
    tiny->fail_tasks = false;
    assert_true(tiny_until_over(tiny, B));
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_FAILED);
    assert_int_equal(tiny_state(tiny, B, 0), ITEM_SUCCEEDED);
    assert_each_once(tiny, one, 1);
}

/* Of a run that is not in the engine: the names are read anew after a pause, what it holds is not. */
static void a_held_name_stays_held_over_a_pause(void **state)
{
    struct tiny *tiny = *state;
    const int64_t now = tiny_now(tiny).wall_ms, settle = (int64_t)tiny->settings.settle_ms;
    const struct engine_held held[] = {
        {TINY_SERVER_ID, "One", "urn:veeam:Job:other", false, now, NULL, 0},
        {TINY_SERVER_ID, "Two", "urn:veeam:Job:older", false, now - settle, NULL, 0}};
    tiny_add_run(tiny, B, tiny_plan(four, 4, ON_CONFLICT_FAIL),
                 (struct engine_run_options){.held = held, .n_held = 2});
    assert_int_equal(engine_pause_run(tiny->engine, B), 0);
    tiny_turn(tiny, 1000);
    assert_int_equal(engine_resume_run(tiny->engine, B), 0);
    assert_true(tiny_until_over(tiny, B));
    assert_int_equal(tiny_item(tiny, B, 0)->error, ITEM_E_NAME_CONFLICT);
    assert_int_equal(tiny->clones, 3);
}

static void a_name_stays_held_when_its_run_is_gone(void **state)
{
    struct tiny *tiny = *state;
    tiny->hide = true;
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    assert_true(tiny_until_over(tiny, A));
    engine_end_run(tiny->engine, A);
    tiny_turn(tiny, 10);
    tiny->deaf = true; /* the younger run has asked, but has no answer yet */
    add(tiny, B, one, 1, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 10);
    tiny->deaf = false;
    for (int i = 0; i < 100 && engine_run_status(tiny->engine, B).resolving; i++)
        tiny_turn(tiny, 1);
    assert_true(tiny_until_over(tiny, B));
    assert_int_equal(tiny_item(tiny, B, 0)->error, ITEM_E_NAME_CONFLICT);
    assert_each_once(tiny, one, 1);
}

/* What was made less than `settle` before the names were read need not be in the list, however long that
 * takes. */
static void a_held_name_is_held_while_names_are_read(void **state)
{
    static const char *const other[] = {"Other"};
    struct tiny *tiny = *state;
    add(tiny, A, other, 1, ON_CONFLICT_FAIL);
    assert_true(tiny_until_over(tiny, A)); /* there is a session */
    const int64_t made = tiny_now(tiny).wall_ms - (int64_t)tiny->settings.settle_ms + 5000;
    const struct engine_held held[] = {{TINY_SERVER_ID, "One", "urn:veeam:Job:other", false, made, NULL, 0}};
    tiny->deaf = true;
    tiny_add_run(tiny, B, tiny_plan(four, 4, ON_CONFLICT_FAIL),
                 (struct engine_run_options){.held = held, .n_held = 1});
    tiny_turn(tiny, 10);
    tiny_turn(tiny, 6000);
    tiny->deaf = false;
    assert_true(tiny_until_over(tiny, B));
    assert_int_equal(tiny_item(tiny, B, 0)->error, ITEM_E_NAME_CONFLICT);
    assert_int_equal(tiny->clones, 4);
}

/* What was made while a run was paused, by one that is gone when it goes on, is not in the list yet. */
static void a_name_is_learned_from_a_run_that_goes(void **state)
{
    static const char *const renamed[] = {"One (2)"};
    static const enum on_conflict ways[] = {ON_CONFLICT_FAIL, ON_CONFLICT_SKIP, ON_CONFLICT_RENAME};
    struct tiny *tiny = *state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        tiny_done(tiny);
        tiny_init(tiny);
        tiny->hide = true;
        add(tiny, A, one, 1, ON_CONFLICT_FAIL);
        add(tiny, B, four, 4, ways[i]);
        engine_pause_run(tiny->engine, B);
        assert_true(tiny_until_over(tiny, A));
        engine_end_run(tiny->engine, A);
        tiny_turn(tiny, 10);
        assert_int_equal(engine_remove_run(tiny->engine, A), 0);
        tiny_turn(tiny, 10);
        engine_resume_run(tiny->engine, B);
        assert_true(tiny_until_over(tiny, B));
        assert_each_once(tiny, four, 4);
        if (ways[i] == ON_CONFLICT_RENAME)
            assert_each_once(tiny, renamed, 1);
        assert_int_equal(tiny->clones, ways[i] == ON_CONFLICT_RENAME ? 5 : 4);
    }
}

/* A run that was interrupted is settled by looking only, and lets go of what it did not make. */
static void an_interrupted_run_is_looked_at(void **state)
{
    static const char *const two[] = {"One", "Two"};
    struct tiny *tiny = *state;
    tiny->hide = tiny->stale = true;
    tiny->task_ms = 60000;
    tiny->lose_replies = 1;
    tiny->settings.in_flight_initial = tiny->settings.in_flight_max = 1;
    add(tiny, A, two, 2, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 300);
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_IN_DOUBT);
    unsigned clones = tiny->clones;
    tiny_restart(tiny);
    tiny->stale = false;
    tiny_row(tiny, A)->stored[1] = false; /* the second had not left */
    tiny_add_run(tiny, A, tiny_plan(two, 2, ON_CONFLICT_FAIL),
                 (struct engine_run_options){.mode = ENGINE_LOOK, .resumed = true});
    add(tiny, B, two, 2, ON_CONFLICT_SKIP);
    assert_true(tiny_until_over(tiny, B));
    assert_int_equal(tiny_state(tiny, B, 0), ITEM_SKIPPED);
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_SUCCEEDED);
    assert_int_equal(tiny_state(tiny, A, 1), ITEM_QUEUED);
    assert_true(tiny->clones <= clones + 1); /* only the second, for the younger run */
    assert_each_once(tiny, one, 1);
    assert_int_equal(engine_pause_run(tiny->engine, A), -EINVAL);
    assert_int_equal(engine_remove_run(tiny->engine, A), 0);
    tiny_turn(tiny, 10);
}

static void pages_are_read_side_by_side(void **state)
{
    struct tiny *tiny = *state;
    char name[32];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "Filler %d", i);
        tiny_add_job(tiny, name, "");
    }
    tiny_add_job(tiny, "Four", "the last of the last page");
    tiny->page_size = 7;
    tiny->flights_most = 0;
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 20);
    assert_int_equal(tiny->pages, 9);
    assert_true(tiny->flights_most >= 4);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny_item(tiny, A, 3)->error, ITEM_E_NAME_CONFLICT);
    assert_int_equal(tiny->clones, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_younger_item_waits_then_conflicts),
        test(a_younger_item_skips_what_the_older_made),
        test(a_younger_item_takes_another_name),
        test(a_rename_leaves_what_the_plan_asks_for),
        test(a_rename_leaves_many_names),
        test(a_name_beyond_many_others),
        test(a_younger_item_gets_a_name_that_came_free),
        test(a_name_stays_held_when_its_run_is_gone),
        test(a_held_name_stays_held_over_a_pause),
        test(a_held_name_is_held_while_names_are_read),
        test(a_name_is_learned_from_a_run_that_goes),
        test(an_interrupted_run_is_looked_at),
        test(pages_are_read_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
