/* Several runs in one engine, and what operators ask of them. */
#include "engine_runs.h"

#include <errno.h>

/* ---- the life of a run ---- */

static void a_run_is_over_then_ended_then_gone(void **state)
{
    struct tiny *tiny = *state;
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    assert_true(tiny_until_over(tiny, A));
    assert_each_once(tiny, four, 4);
    struct run_status status = engine_run_status(tiny->engine, A);
    assert_int_equal(status.state, RUN_SUCCEEDED);
    assert_false(status.ended);
    assert_int_equal(tiny_row(tiny, A)->state, RUN_RUNNING); /* its result is not written yet */
    assert_int_equal(engine_remove_run(tiny->engine, A), -EBUSY);
    assert_int_equal(engine_end_run(tiny->engine, A), 0);
    tiny_turn(tiny, 10);
    assert_true(engine_run_status(tiny->engine, A).ended);
    assert_int_equal(tiny_row(tiny, A)->state, RUN_SUCCEEDED);
    assert_true(tiny_row(tiny, A)->finished_ms > 0);
    assert_int_equal(engine_end_run(tiny->engine, A), -EALREADY);
    assert_int_equal(engine_remove_run(tiny->engine, A), 0);
    assert_int_equal(engine_remove_run(tiny->engine, A), -ENOENT);
    tiny_turn(tiny, 10);
    assert_null(engine_run_item(tiny->engine, A, 0));
}

static void a_run_is_there_once(void **state)
{
    struct tiny *tiny = *state;
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    struct engine_run_options options = {.id = A, .plan = tiny_plan(one, 1, ON_CONFLICT_FAIL)};
    assert_int_equal(engine_add_run(tiny->engine, &options, (struct instant){0}), -EEXIST);
}

static void two_runs_share_a_server(void **state)
{
    static const char *const others[] = {"Five", "Six"};
    struct tiny *tiny = *state;
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    add(tiny, B, others, 2, ON_CONFLICT_FAIL);
    assert_true(tiny_until_over(tiny, A) && tiny_until_over(tiny, B));
    assert_each_once(tiny, four, 4);
    assert_each_once(tiny, others, 2);
    assert_int_equal(tiny->logons, 1);
}

static void an_idle_session_is_given_back(void **state)
{
    struct tiny *tiny = *state;
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    assert_true(tiny_until_over(tiny, A));
    assert_string_equal(tiny->session_token, "token-1");
    tiny_turn(tiny, 120000);
    assert_int_equal(tiny->logoffs, 1);
    assert_string_equal(tiny->session_token, "");
    add(tiny, B, four, 4, ON_CONFLICT_SKIP);
    assert_true(tiny_until_over(tiny, B));
    assert_int_equal(tiny->logons, 2);
}

/* ---- pause and resume ---- */

static void a_paused_run_sends_nothing(void **state)
{
    struct tiny *tiny = *state;
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    assert_int_equal(engine_pause_run(tiny->engine, A), 0);
    assert_int_equal(engine_resume_run(tiny->engine, A), -EBUSY);
    tiny_turn(tiny, 3600000);
    assert_int_equal(tiny->clones, 0);
    assert_int_equal(engine_run_status(tiny->engine, A).state, RUN_PAUSED);
    assert_int_equal(tiny_row(tiny, A)->wish, RUN_WISH_PAUSE);
    assert_int_equal(engine_pause_run(tiny->engine, A), -EALREADY);
    assert_int_equal(engine_resume_run(tiny->engine, A), 0);
    assert_true(tiny_until_over(tiny, A));
    assert_each_once(tiny, four, 4);
    assert_int_equal(engine_resume_run(tiny->engine, A), -EINVAL);
}

static void names_are_read_anew_after_a_pause(void **state)
{
    struct tiny *tiny = *state;
    tiny->settings.tasks_max = 1;
    tiny->task_ms = 60000;
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 5000);
    assert_int_equal(tiny->clones, 1);
    assert_int_equal(engine_pause_run(tiny->engine, A), 0);
    tiny_turn(tiny, 90000); /* the session is still there */
    assert_int_equal(tiny->clones, 1);
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_SUCCEEDED); /* what ran was watched */
    tiny_add_job(tiny, "Two", "made by somebody else");
    assert_int_equal(engine_resume_run(tiny->engine, A), 0);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny->clones, 3);
    assert_each_once(tiny, four, 4);
    assert_int_equal(tiny_item(tiny, A, 1)->error, ITEM_E_NAME_CONFLICT);
    assert_int_equal(engine_run_status(tiny->engine, A).state, RUN_FAILED);
}

static void a_pause_outlives_a_restart(void **state)
{
    struct tiny *tiny = *state;
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    engine_pause_run(tiny->engine, A);
    tiny_turn(tiny, 1000);
    tiny_restart(tiny);
    tiny_add_run(tiny, A, tiny_plan(four, 4, ON_CONFLICT_FAIL), (struct engine_run_options){.resumed = true});
    tiny_turn(tiny, 3600000);
    assert_int_equal(tiny->clones, 0);
    assert_int_equal(engine_resume_run(tiny->engine, A), 0);
    assert_true(tiny_until_over(tiny, A));
    assert_each_once(tiny, four, 4);
}

/* ---- cancel ---- */

static void a_cancel_awaits_what_runs(void **state)
{
    struct tiny *tiny = *state;
    tiny->settings.tasks_max = 2;
    tiny->task_ms = 60000;
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 5000);
    assert_int_equal(engine_cancel_run(tiny->engine, A, false), 0);
    tiny_turn(tiny, 100);
    assert_int_equal(tiny_row(tiny, A)->wish, RUN_WISH_CANCEL);
    assert_int_equal(engine_cancel_run(tiny->engine, A, false), -EALREADY);
    assert_int_equal(engine_pause_run(tiny->engine, A), -EINVAL);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny->clones, 2);
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_SUCCEEDED);
    assert_int_equal(tiny_state(tiny, A, 1), ITEM_SUCCEEDED);
    assert_int_equal(tiny_state(tiny, A, 2), ITEM_CANCELLED);
    assert_int_equal(tiny_state(tiny, A, 3), ITEM_CANCELLED);
    assert_int_equal(engine_run_status(tiny->engine, A).state, RUN_CANCELLED);
}

static void a_cancelled_doubt_is_settled_but_not_sent_again(void **state)
{
    struct tiny *tiny = *state;
    tiny->lose_replies = 1;
    tiny->fail_tasks = true; /* it comes to nothing */
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 2000);
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_IN_DOUBT);
    assert_int_equal(engine_cancel_run(tiny->engine, A, false), 0);
    tiny_turn(tiny, 60000);
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_IN_DOUBT);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_CANCELLED);
    assert_int_equal(tiny->clones, 1);
}

static void a_cancel_outlives_a_restart(void **state)
{
    struct tiny *tiny = *state;
    tiny->deaf = true;
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    engine_cancel_run(tiny->engine, A, false);
    tiny_turn(tiny, 100);
    tiny_restart(tiny);
    tiny->deaf = false;
    tiny_row(tiny, A)->stored[2] = false; /* as if the crash had come before the last items */
    tiny_row(tiny, A)->stored[3] = false;
    tiny_add_run(tiny, A, tiny_plan(four, 4, ON_CONFLICT_FAIL), (struct engine_run_options){.resumed = true});
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny->clones, 0);
    assert_int_equal(engine_run_status(tiny->engine, A).state, RUN_CANCELLED);
}

static void stopped_tasks_are_deleted_and_their_items_settled(void **state)
{
    struct tiny *tiny = *state;
    tiny->task_ms = 3600000;
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 2000);
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_RUNNING);
    tiny->jobs[1].hidden = true; /* the job is not there before the task has ended, and it never will */
    tiny->jobs[1].name[0] = '\0';
    assert_int_equal(engine_cancel_run(tiny->engine, A, false), 0);
    tiny_turn(tiny, 1000);
    assert_int_equal(engine_cancel_run(tiny->engine, A, true), 0); /* not gently any more */
    tiny_turn(tiny, 1000);
    assert_int_equal(tiny->deletes, 1);
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_IN_DOUBT);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_CANCELLED);
    assert_int_equal(tiny->clones, 1);
}

/* ---- retry ---- */

static void a_retry_repeats_what_failed_only(void **state)
{
    struct tiny *tiny = *state;
    tiny_add_job(tiny, "Two", "by somebody else");
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(engine_retry_run(tiny->engine, A), -EINVAL); /* not ended yet */
    engine_end_run(tiny->engine, A);
    tiny_turn(tiny, 10);
    tiny->jobs[1].name[0] = '\0'; /* the other one is gone */
    assert_int_equal(engine_retry_run(tiny->engine, A), 0);
    tiny_turn(tiny, 1);
    assert_true(tiny_until_over(tiny, A));
    assert_each_once(tiny, four, 4);
    assert_int_equal(tiny->clones, 4);
    assert_int_equal(engine_run_status(tiny->engine, A).state, RUN_SUCCEEDED);
    assert_int_equal(tiny_item(tiny, A, 1)->attempts, 1);
    engine_end_run(tiny->engine, A);
    tiny_turn(tiny, 10);
    assert_int_equal(engine_retry_run(tiny->engine, A), -EALREADY); /* nothing to repeat */
}

static void an_ended_run_can_be_loaded_and_retried(void **state)
{
    struct tiny *tiny = *state;
    tiny->fail_tasks = true;
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(engine_run_status(tiny->engine, A).state, RUN_FAILED);
    engine_end_run(tiny->engine, A);
    tiny_turn(tiny, 10);
    tiny_restart(tiny);
    tiny->fail_tasks = false;
    tiny_add_run(tiny, A, tiny_plan(four, 4, ON_CONFLICT_FAIL),
                 (struct engine_run_options){.mode = ENGINE_ENDED_RUN, .resumed = true});
    tiny_turn(tiny, 60000);
    assert_int_equal(tiny->clones, 12); /* three tries of each, then nothing by itself */
    assert_int_equal(engine_retry_run(tiny->engine, A), 0);
    tiny_turn(tiny, 1);
    assert_true(tiny_until_over(tiny, A));
    assert_each_once(tiny, four, 4);
    assert_int_equal(tiny_item(tiny, A, 0)->attempts, 1);
}

/* An item that ended as unknown may exist: it is looked for first. */
static void an_unknown_item_is_looked_for_before_it_is_sent(void **state)
{
    struct tiny *tiny = *state;
    struct plan *plan = tiny_plan(one, 1, ON_CONFLICT_FAIL);
    plan->run_timeout_ms = 60000;
    tiny->hide = tiny->stale = true;
    tiny->lose_replies = 1;
    tiny->task_ms = 120000;
    tiny_add_run(tiny, A, plan, (struct engine_run_options){0});
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_UNKNOWN);
    engine_end_run(tiny->engine, A);
    tiny_turn(tiny, 600000);
    tiny->stale = false;
    assert_int_equal(engine_retry_run(tiny->engine, A), 0);
    tiny_turn(tiny, 10);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny->clones, 1);
    assert_int_equal(tiny_item(tiny, A, 0)->attempts, 1);
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_SUCCEEDED);
    assert_true(tiny_item(tiny, A, 0)->recovered);
}

/* ---- its time ---- */

static void add_with_time(struct tiny *tiny, int64_t started_ms)
{
    struct plan *plan = tiny_plan(four, 4, ON_CONFLICT_FAIL);
    plan->run_timeout_ms = 60000;
    tiny_add_run(tiny, A, plan, (struct engine_run_options){.resumed = true, .started_ms = started_ms});
}

/* What an earlier process has spent counts, unless a clock that was set makes nonsense of it. */
static void the_time_goes_on_from_the_start(void **state)
{
    struct tiny *tiny = *state;
    int64_t now = tiny_now(tiny).wall_ms, years = (int64_t)365 * 24 * 3600 * 1000;
    const struct {
        int64_t started_ms;
        uint64_t left_ms;
    } cases[] = {{0, 60000},         {now, 60000},       {now - 59999, 1},          {now - 60000, 0},
                 {now - years, 0},   {now + 1, 60000},   {now + years, 60000},      {-now, 60000},
                 {INT64_MIN, 60000}, {INT64_MAX, 60000}, {now - 11 * years, 60000}, {1, 60000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        tiny_restart(tiny);
        add_with_time(tiny, cases[i].started_ms);
        struct run_status status = engine_run_status(tiny->engine, A);
        bool counts = cases[i].left_ms < 60000;
        assert_int_equal(status.over_ms, tiny_now(tiny).mono_ms + cases[i].left_ms);
        assert_int_equal(status.started_ms, counts ? cases[i].started_ms : now);
    }
}

static void a_time_that_is_over_ends_the_run_unasked(void **state)
{
    struct tiny *tiny = *state;
    tiny->deaf = true;
    add_with_time(tiny, tiny_now(tiny).wall_ms - 60000);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny_item(tiny, A, 3)->error, ITEM_E_RUN_TIMEOUT);
    assert_int_equal(tiny->clones, 0);
}

/* Who keeps it open in an outage hears first whether there is one. */
static void or_only_once_the_server_answers(void **state)
{
    struct tiny *tiny = *state;
    tiny->open_in_outage = tiny->deaf = true;
    tiny_restart(tiny);
    add_with_time(tiny, tiny_now(tiny).wall_ms - 60000);
    tiny_turn(tiny, 3600000);
    assert_int_equal(tiny_state(tiny, A, 3), ITEM_QUEUED);
    tiny->deaf = false;
    tiny_restart(tiny);
    add_with_time(tiny, tiny_now(tiny).wall_ms - 60000);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny_item(tiny, A, 3)->error, ITEM_E_RUN_TIMEOUT);
    assert_int_equal(tiny->clones, 0);
}

/* A closed window leaves nothing to ask. */
static void a_closed_window_keeps_nothing_open(void **state)
{
    struct tiny *tiny = *state;
    struct plan *plan = tiny_plan(four, 4, ON_CONFLICT_FAIL);
    unsigned minute = (unsigned)(tiny_now(tiny).wall_ms / 60000 % 1440);
    plan->window = (struct window){
        .given = true, .from_min = (minute + 60) % 1440, .to_min = (minute + 120) % 1440, .zone = zone_utc};
    plan->run_timeout_ms = 60000;
    tiny->open_in_outage = tiny->deaf = true;
    tiny_restart(tiny);
    tiny_add_run(tiny, A, plan, (struct engine_run_options){0});
    tiny_turn(tiny, 61000);
    assert_int_equal(engine_run_status(tiny->engine, A).state, RUN_FAILED);
    assert_int_equal(tiny->clones, 0);
}

/* ---- preview ---- */

static void a_preview_reads_only(void **state)
{
    static const char *const three[] = {"One", "Two", "T"};
    struct tiny *tiny = *state;
    struct plan *plan = tiny_plan(three, 3, ON_CONFLICT_SKIP);
    plan->clones[1].source.text = "Nobody";
    tiny_add_run(tiny, A, plan, (struct engine_run_options){.mode = ENGINE_PREVIEW});
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_QUEUED);
    assert_string_equal(tiny_item(tiny, A, 0)->source_id, "eeeeeeee-0000-0000-0000-000000000000");
    assert_int_equal(tiny_item(tiny, A, 1)->error, ITEM_E_SOURCE_NOT_FOUND);
    assert_int_equal(tiny_state(tiny, A, 2), ITEM_SKIPPED);
    assert_int_equal(tiny->clones, 0);
    assert_int_equal(tiny->commits, 0);
    assert_int_equal(engine_remove_run(tiny->engine, A), 0);
    tiny_turn(tiny, 10);
    assert_null(engine_run_item(tiny->engine, A, 0));
}

/* ---- sessions across restarts ---- */

static void tasks_live_on_with_their_session(void **state)
{
    struct tiny *tiny = *state;
    char token[32], session_id[40];
    tiny->task_ms = 60000;
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 5000);
    assert_int_equal(tiny_state(tiny, A, 3), ITEM_RUNNING);
    memcpy(token, tiny->session_token, sizeof(token));
    memcpy(session_id, tiny->session_id, sizeof(session_id));
    tiny_restart(tiny);
    assert_int_equal(engine_set_session(tiny->engine, "other", token, session_id, (struct instant){0}),
                     -ENOENT);
    assert_int_equal(
        engine_set_session(tiny->engine, "tiny", token, session_id, (struct instant){tiny->now_ms, 0}), 0);
    tiny_add_run(tiny, A, tiny_plan(four, 4, ON_CONFLICT_FAIL), (struct engine_run_options){.resumed = true});
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(tiny_state(tiny, A, i), ITEM_RUNNING);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny->logons, 1);
    assert_int_equal(tiny->clones, 4);
    for (size_t i = 0; i < 4; i++)
        assert_false(tiny_item(tiny, A, i)->recovered);
}

static void a_dead_session_leaves_doubt(void **state)
{
    struct tiny *tiny = *state;
    tiny->task_ms = 60000;
    add(tiny, A, four, 4, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 5000);
    tiny_restart(tiny);
    tiny->session = 0; /* it has expired meanwhile */
    engine_set_session(tiny->engine, "tiny", "token-1", "session-1", (struct instant){tiny->now_ms, 0});
    tiny_add_run(tiny, A, tiny_plan(four, 4, ON_CONFLICT_FAIL), (struct engine_run_options){.resumed = true});
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny->logons, 2);
    assert_int_equal(tiny->clones, 4);
    assert_each_once(tiny, four, 4);
    assert_true(tiny_item(tiny, A, 0)->recovered);
}

static void tasks_of_another_session_are_doubt(void **state)
{
    struct tiny *tiny = *state;
    tiny->task_ms = 60000;
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 5000);
    tiny_row(tiny, A)->rows[0].session_id = "session-0"; /* its number means another task now */
    tiny_restart(tiny);
    engine_set_session(tiny->engine, "tiny", "token-1", "session-1", (struct instant){tiny->now_ms, 0});
    tiny_add_run(tiny, A, tiny_plan(one, 1, ON_CONFLICT_FAIL), (struct engine_run_options){.resumed = true});
    assert_int_equal(tiny_state(tiny, A, 0), ITEM_IN_DOUBT);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(tiny->clones, 1);
}

static void leaving_keeps_a_session_with_tasks(void **state)
{
    struct tiny *tiny = *state;
    tiny->task_ms = 60000;
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    tiny_turn(tiny, 5000);
    engine_leave(tiny->engine);
    tiny_turn(tiny, 5000);
    assert_true(engine_idle(tiny->engine));
    assert_int_equal(tiny->logoffs, 0);
    assert_string_equal(tiny->session_token, "token-1");
}

static void leaving_logs_off_without_tasks(void **state)
{
    struct tiny *tiny = *state;
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    assert_true(tiny_until_over(tiny, A));
    engine_leave(tiny->engine);
    tiny_turn(tiny, 5000);
    assert_true(engine_idle(tiny->engine));
    assert_int_equal(tiny->logoffs, 1);
    assert_string_equal(tiny->session_token, "");
}

/* ---- servers ---- */

static void a_server_is_removed_when_nothing_needs_it(void **state)
{
    struct tiny *tiny = *state;
    add(tiny, A, one, 1, ON_CONFLICT_FAIL);
    assert_true(tiny_until_over(tiny, A));
    assert_int_equal(engine_remove_server(tiny->engine, "tiny"), -EBUSY);
    engine_end_run(tiny->engine, A);
    tiny_turn(tiny, 10);
    engine_remove_run(tiny->engine, A);
    tiny_turn(tiny, 10);
    assert_int_equal(engine_remove_server(tiny->engine, "tiny"), -EBUSY); /* logs off first */
    tiny_turn(tiny, 100);
    assert_int_equal(tiny->logoffs, 1);
    assert_int_equal(engine_remove_server(tiny->engine, "tiny"), 0);
    assert_int_equal(engine_remove_server(tiny->engine, "tiny"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_run_is_over_then_ended_then_gone),
        test(a_run_is_there_once),
        test(two_runs_share_a_server),
        test(an_idle_session_is_given_back),
        test(a_paused_run_sends_nothing),
        test(names_are_read_anew_after_a_pause),
        test(a_pause_outlives_a_restart),
        test(a_cancel_awaits_what_runs),
        test(a_cancelled_doubt_is_settled_but_not_sent_again),
        test(a_cancel_outlives_a_restart),
        test(stopped_tasks_are_deleted_and_their_items_settled),
        test(a_retry_repeats_what_failed_only),
        test(an_ended_run_can_be_loaded_and_retried),
        test(an_unknown_item_is_looked_for_before_it_is_sent),
        test(the_time_goes_on_from_the_start),
        test(a_time_that_is_over_ends_the_run_unasked),
        test(or_only_once_the_server_answers),
        test(a_closed_window_keeps_nothing_open),
        test(a_preview_reads_only),
        test(tasks_live_on_with_their_session),
        test(a_dead_session_leaves_doubt),
        test(tasks_of_another_session_are_doubt),
        test(leaving_keeps_a_session_with_tasks),
        test(leaving_logs_off_without_tasks),
        test(a_server_is_removed_when_nothing_needs_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
