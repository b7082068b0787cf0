/* When a queue of tasks moved last, against the plain rule: the latest end of a task accepted before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/progress.h"

static void a_task_waits_for_those_before_it_only(void **state)
{
    struct progress p = {0};
    (void)state;
    assert_int_equal(progress_last(&p, 99000), 0);
    progress_ended(&p, 10000, 50000);
    assert_int_equal(progress_last(&p, 9000), 0);
    assert_int_equal(progress_last(&p, 10000), 50000);
    progress_ended(&p, 20000, 60000);
    assert_int_equal(progress_last(&p, 15000), 50000);
    assert_int_equal(progress_last(&p, 25000), 60000);
    progress_ended(&p, 12000, 70000); /* the latest end counts for all after it */
    assert_int_equal(progress_last(&p, 11000), 50000);
    assert_int_equal(progress_last(&p, 25000), 70000);
    progress_done(&p);
}

static void as_the_plain_rule_has_it(void **state)
{
    struct rng rng = {3};
    struct progress p = {0};
    uint64_t accepted[300], ended[300];
    (void)state;
    for (size_t n = 0; n < 300; n++) {
        accepted[n] = rng_below(&rng, 200) * 1000;
        ended[n] = 1000000 + n;
        progress_ended(&p, accepted[n], ended[n]);
        for (uint64_t at = 0; at < 200000; at += 7000) {
            uint64_t last = 0;
            for (size_t i = 0; i <= n; i++)
                if (accepted[i] <= at && ended[i] > last)
                    last = ended[i];
            assert_int_equal(progress_last(&p, at), last);
        }
    }
    progress_done(&p);
}

static void memory_is_bounded(void **state)
{
    struct progress p = {0};
    (void)state;
    for (uint64_t i = 1; i <= 200000; i++)
        progress_ended(&p, i * 1000, i * 1000 + 500);
    assert_true(p.size <= 65536);
    assert_int_equal(progress_last(&p, 200000 * 1000), 200000500);
    assert_int_equal(progress_last(&p, 199990 * 1000), 199990500);
    progress_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_waits_for_those_before_it_only),
        cmocka_unit_test(as_the_plain_rule_has_it),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
