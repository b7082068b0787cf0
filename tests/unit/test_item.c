/* The item's machine: every transition that is drawn, and none that is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/item.h"

static const struct retry_policy policy = {.attempts = 3, .initial_ms = 2000, .max_ms = 9000};

static struct item step(struct item item, struct item_event event, bool *changed)
{
    struct rng rng = {1};
    return item_step(&item, &event, &policy, (struct instant){1000, 5000}, &rng, changed);
}

/* What each state does with each event; anything not listed changes nothing. */
static const struct {
    enum item_state from;
    enum item_event_kind event;
    enum item_state to;
} transitions[] = {
    {ITEM_QUEUED, ITEM_EVENT_SUBMIT, ITEM_SUBMITTING},
    {ITEM_QUEUED, ITEM_EVENT_FAIL, ITEM_FAILED},
    {ITEM_QUEUED, ITEM_EVENT_SKIP, ITEM_SKIPPED},
    {ITEM_QUEUED, ITEM_EVENT_CANCEL, ITEM_CANCELLED},
    {ITEM_QUEUED, ITEM_EVENT_FOUND, ITEM_SUCCEEDED},
    {ITEM_SUBMITTING, ITEM_EVENT_ACCEPTED, ITEM_RUNNING},
    {ITEM_SUBMITTING, ITEM_EVENT_UNSENT, ITEM_QUEUED},
    {ITEM_SUBMITTING, ITEM_EVENT_AUTH, ITEM_QUEUED},
    {ITEM_SUBMITTING, ITEM_EVENT_BUSY, ITEM_QUEUED},
    {ITEM_SUBMITTING, ITEM_EVENT_REFUSED, ITEM_FAILED},
    {ITEM_SUBMITTING, ITEM_EVENT_FORM, ITEM_QUEUED},
    {ITEM_SUBMITTING, ITEM_EVENT_LOST, ITEM_IN_DOUBT},
    {ITEM_SUBMITTING, ITEM_EVENT_TASK_GONE, ITEM_IN_DOUBT},
    {ITEM_RUNNING, ITEM_EVENT_TASK_OK, ITEM_SUCCEEDED},
    {ITEM_RUNNING, ITEM_EVENT_TASK_FAILED, ITEM_QUEUED},
    {ITEM_RUNNING, ITEM_EVENT_TASK_GONE, ITEM_IN_DOUBT},
    {ITEM_RUNNING, ITEM_EVENT_TASK_LATE, ITEM_IN_DOUBT},
    {ITEM_IN_DOUBT, ITEM_EVENT_FOUND, ITEM_SUCCEEDED},
    {ITEM_IN_DOUBT, ITEM_EVENT_ABSENT, ITEM_QUEUED},
    {ITEM_IN_DOUBT, ITEM_EVENT_UNSETTLED, ITEM_UNKNOWN},
    {ITEM_IN_DOUBT, ITEM_EVENT_REFUSED, ITEM_FAILED},
    {ITEM_SUCCEEDED, ITEM_EVENT_VERIFIED, ITEM_SUCCEEDED},
    {ITEM_FAILED, ITEM_EVENT_RETRY, ITEM_QUEUED},
    {ITEM_CANCELLED, ITEM_EVENT_RETRY, ITEM_QUEUED},
    {ITEM_UNKNOWN, ITEM_EVENT_RETRY, ITEM_IN_DOUBT},
};

static void every_pair(void **state)
{
    (void)state;
    for (int from = 0; from < ITEM_STATE_COUNT; from++) {
        for (int event = 0; event <= ITEM_EVENT_RETRY; event++) {
            bool changed, listed = false;
            enum item_state to = (enum item_state)from;
            for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++) {
                if ((int)transitions[i].from == from && (int)transitions[i].event == event) {
                    listed = true;
                    to = transitions[i].to;
                }
            }
            struct item item = {.state = (enum item_state)from, .attempts = 1};
            struct item next = step(item, (struct item_event){.kind = (enum item_event_kind)event}, &changed);
            assert_int_equal(changed, listed);
            assert_int_equal(next.state, to);
        }
    }
}

static void attempts_count_what_may_have_arrived(void **state)
{
    bool changed;
    struct item item = {.state = ITEM_QUEUED};
    (void)state;
    item = step(item, (struct item_event){.kind = ITEM_EVENT_SUBMIT}, &changed);
    assert_int_equal(item.attempts, 1);
    item = step(item, (struct item_event){.kind = ITEM_EVENT_AUTH}, &changed);
    assert_int_equal(item.attempts, 0);
    item = step(item, (struct item_event){.kind = ITEM_EVENT_SUBMIT}, &changed);
    item = step(item, (struct item_event){.kind = ITEM_EVENT_LOST}, &changed);
    item = step(item, (struct item_event){.kind = ITEM_EVENT_ABSENT}, &changed);
    assert_int_equal(item.attempts, 1);
    assert_int_equal(item.state, ITEM_QUEUED);
    assert_true(item.due_ms > 1000);
}

/* A refused form is a try that counts; the next is stored as SUBMITTING before it may leave. */
static void another_form_is_another_try(void **state)
{
    bool changed;
    (void)state;
    const struct item_event submit = {.kind = ITEM_EVENT_SUBMIT};
    struct item_event refused = {
        .kind = ITEM_EVENT_FORM, .form = CLONE_FORM_EXAMPLE, .error = ITEM_E_REFUSED, .http = 400};
    struct item item = {.state = ITEM_QUEUED};
    item = step(item, submit, &changed);
    item = step(item, refused, &changed);
    assert_int_equal(item.state, ITEM_QUEUED);
    assert_int_equal(item.attempts, 1);
    assert_int_equal(item.forms, 1u << CLONE_FORM_EXAMPLE);
    assert_int_equal(item.due_ms, 1000); /* at once */
    item = step(item, submit, &changed);
    refused.form = CLONE_FORM_TABLE;
    item = step(item, refused, &changed);
    assert_int_equal(item.state, ITEM_QUEUED);
    assert_int_equal(item.forms, 1u << CLONE_FORM_EXAMPLE | 1u << CLONE_FORM_TABLE);
    item = step(item, submit, &changed);
    assert_int_equal(item.attempts, 3);
    refused.form = CLONE_FORM_JSON; /* the policy's last try */
    refused.message = "no";
    item = step(item, refused, &changed);
    assert_int_equal(item.state, ITEM_FAILED);
    assert_int_equal(item.error, ITEM_E_REFUSED);
    assert_int_equal(item.http, 400);
    assert_string_equal(item.message, "no");
    assert_int_equal(item.attempts, 3);
    item = step(item, (struct item_event){.kind = ITEM_EVENT_RETRY}, &changed); /* all anew */
    assert_int_equal(item.state, ITEM_QUEUED);
    assert_int_equal(item.forms, 0);
}

static void no_other_form_when_nothing_more_is_sent(void **state)
{
    bool changed;
    (void)state;
    struct item item = {.state = ITEM_SUBMITTING, .attempts = 1};
    const struct item_event refused = {.kind = ITEM_EVENT_FORM, .error = ITEM_E_REFUSED, .no_more = true};
    assert_int_equal(step(item, refused, &changed).state, ITEM_FAILED);
    item.never_again = true;
    assert_int_equal(step(item, (struct item_event){.kind = ITEM_EVENT_FORM}, &changed).state, ITEM_FAILED);
}

static void the_last_try_fails(void **state)
{
    bool changed;
    (void)state;
    struct item running = {.state = ITEM_RUNNING, .attempts = 3};
    struct item next =
        step(running, (struct item_event){.kind = ITEM_EVENT_TASK_FAILED, .message = "no"}, &changed);
    assert_int_equal(next.state, ITEM_FAILED);
    assert_int_equal(next.error, ITEM_E_TASK_FAILED);
    assert_string_equal(next.message, "no");
    struct item doubt = {.state = ITEM_IN_DOUBT, .attempts = 3};
    next = step(doubt, (struct item_event){.kind = ITEM_EVENT_ABSENT}, &changed);
    assert_int_equal(next.error, ITEM_E_ATTEMPTS);
}

static void a_late_task_is_never_sent_again(void **state)
{
    bool changed;
    (void)state;
    struct item item = {.state = ITEM_RUNNING, .attempts = 1};
    item = step(item, (struct item_event){.kind = ITEM_EVENT_TASK_LATE}, &changed);
    assert_true(item.never_again);
    item = step(item, (struct item_event){.kind = ITEM_EVENT_ABSENT}, &changed);
    assert_int_equal(item.state, ITEM_FAILED);
    assert_int_equal(item.error, ITEM_E_TASK_TIMEOUT);
    item = step(item, (struct item_event){.kind = ITEM_EVENT_FOUND, .job_uid = "urn"}, &changed);
    assert_int_equal(item.state, ITEM_SUCCEEDED);
    assert_true(item.recovered);
}

static void cancelled_doubt_is_not_sent_again(void **state)
{
    bool changed;
    (void)state;
    struct item item = {.state = ITEM_IN_DOUBT, .attempts = 1};
    item = step(item, (struct item_event){.kind = ITEM_EVENT_ABSENT, .no_more = true}, &changed);
    assert_int_equal(item.state, ITEM_CANCELLED);
}

static void a_retry_gives_fresh_attempts(void **state)
{
    bool changed;
    (void)state;
    struct item item = {.state = ITEM_UNKNOWN, .error = ITEM_E_UNSETTLED, .attempts = 3};
    item = step(item, (struct item_event){.kind = ITEM_EVENT_RETRY}, &changed);
    struct item found = step(item, (struct item_event){.kind = ITEM_EVENT_FOUND, .job_uid = "urn"}, &changed);
    assert_int_equal(found.state, ITEM_SUCCEEDED);
    assert_int_equal(found.attempts, 1);
    struct item absent = step(item, (struct item_event){.kind = ITEM_EVENT_ABSENT}, &changed);
    assert_int_equal(absent.state, ITEM_QUEUED);
    struct item late = {
        .state = ITEM_FAILED, .error = ITEM_E_TASK_TIMEOUT, .attempts = 1, .never_again = true};
    late = step(late, (struct item_event){.kind = ITEM_EVENT_RETRY}, &changed);
    assert_int_equal(late.state, ITEM_IN_DOUBT);
    late = step(late, (struct item_event){.kind = ITEM_EVENT_ABSENT}, &changed);
    assert_int_equal(late.error, ITEM_E_TASK_TIMEOUT); /* never sent again */
}

static void waits_grow_to_a_limit(void **state)
{
    struct rng rng = {7};
    (void)state;
    for (int i = 0; i < 200; i++) {
        uint64_t first = retry_wait(&policy, 1, &rng), third = retry_wait(&policy, 3, &rng);
        assert_in_range(first, 1000, 2000);
        assert_in_range(third, 4000, 8000);
        assert_in_range(retry_wait(&policy, 40, &rng), 4500, 9000);
    }
}

static void marks(void **state)
{
    char mark[ITEM_MARK_MAX], run[27];
    uint32_t index;
    (void)state;
    item_mark(mark, "01KB0000000000000000000000", 17);
    assert_string_equal(mark, "[jobclone:01KB0000000000000000000000/17]");
    assert_true(
        item_mark_matches("text [jobclone:01KB0000000000000000000000/17]", "01KB0000000000000000000000", 17));
    assert_true(item_mark_matches(mark, "01KB0000000000000000000000", 17));
    assert_false(
        item_mark_matches("x[jobclone:01KB0000000000000000000000/17]", "01KB0000000000000000000000", 17));
    assert_false(item_mark_matches("[jobclone:01KB0000000000000000000000/17] later",
                                   "01KB0000000000000000000000", 17));
    assert_false(item_mark_matches(mark, "01KB0000000000000000000000", 7));
    assert_true(item_mark_parse("a [jobclone:01KB0000000000000000000000/9]", run, &index));
    assert_string_equal(run, "01KB0000000000000000000000");
    assert_int_equal(index, 9);
    assert_false(item_mark_parse("no mark", run, &index));
    assert_false(item_mark_parse("[jobclone:/9]", run, &index));
    assert_false(item_mark_parse("[jobclone:01KB0000000000000000000000/9x]", run, &index));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair),
        cmocka_unit_test(attempts_count_what_may_have_arrived),
        cmocka_unit_test(another_form_is_another_try),
        cmocka_unit_test(no_other_form_when_nothing_more_is_sent),
        cmocka_unit_test(the_last_try_fails),
        cmocka_unit_test(a_late_task_is_never_sent_again),
        cmocka_unit_test(cancelled_doubt_is_not_sent_again),
        cmocka_unit_test(a_retry_gives_fresh_attempts),
        cmocka_unit_test(waits_grow_to_a_limit),
        cmocka_unit_test(marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
