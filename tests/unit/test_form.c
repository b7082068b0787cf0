/* Forms of an immediate copy: each once for an item, until one was accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/form.h"

#define SESSION 7
#define BIT(form) (1u << CLONE_FORM_##form)
#define ALL (BIT(EXAMPLE) | BIT(TABLE) | BIT(JSON))

static void the_order_is_example_table_json(void **state)
{
    (void)state;
    struct form_memory memory = {0};
    unsigned refused = 0;
    static const enum clone_form order[] = {CLONE_FORM_EXAMPLE, CLONE_FORM_TABLE, CLONE_FORM_JSON};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        enum clone_form form = form_pick(&memory, SESSION, refused);
        assert_int_equal(form, order[i]);
        assert_true(form_left(&memory, SESSION, refused));
        form_refused(&memory, SESSION, form);
        refused |= 1u << form;
    }
    assert_int_equal(refused, ALL);
    assert_false(form_left(&memory, SESSION, refused));
    /* that item was refused for another reason: the next begins anew */
    assert_int_equal(form_pick(&memory, SESSION, 0), CLONE_FORM_EXAMPLE);
}

static void others_begin_where_one_was_refused(void **state)
{
    (void)state;
    struct form_memory memory = {0};
    form_refused(&memory, SESSION, CLONE_FORM_EXAMPLE);
    assert_int_equal(form_pick(&memory, SESSION, 0), CLONE_FORM_TABLE);
    form_refused(&memory, SESSION, CLONE_FORM_EXAMPLE); /* one that was under way as well */
    assert_int_equal(form_pick(&memory, SESSION, 0), CLONE_FORM_TABLE);
    form_refused(&memory, SESSION, CLONE_FORM_TABLE);
    assert_int_equal(form_pick(&memory, SESSION, 0), CLONE_FORM_JSON);
    /* one that has not been tried in the first form is, when it is refused in the rest */
    assert_int_equal(form_pick(&memory, SESSION, BIT(TABLE) | BIT(JSON)), CLONE_FORM_EXAMPLE);
    assert_true(form_left(&memory, SESSION, BIT(TABLE) | BIT(JSON)));
}

static void what_was_accepted_is_kept_for_the_session(void **state)
{
    (void)state;
    struct form_memory memory = {0};
    form_accepted(&memory, SESSION, CLONE_FORM_TABLE);
    assert_int_equal(form_pick(&memory, SESSION, 0), CLONE_FORM_TABLE);
    assert_false(form_left(&memory, SESSION, BIT(TABLE))); /* the form is not the reason */
    assert_true(form_left(&memory, SESSION, BIT(EXAMPLE)));
    form_refused(&memory, SESSION, CLONE_FORM_TABLE);
    assert_int_equal(form_pick(&memory, SESSION, 0), CLONE_FORM_TABLE);
    /* refused in the form that proved good meanwhile, but already in line: not the same form twice */
    assert_int_equal(form_pick(&memory, SESSION, BIT(TABLE)), CLONE_FORM_JSON);
    /* another session knows nothing */
    assert_int_equal(form_pick(&memory, SESSION + 1, 0), CLONE_FORM_EXAMPLE);
    assert_true(form_left(&memory, SESSION + 1, BIT(TABLE)));
    form_refused(&memory, SESSION + 1, CLONE_FORM_EXAMPLE);
    assert_int_equal(form_pick(&memory, SESSION + 1, 0), CLONE_FORM_TABLE);
    assert_true(form_left(&memory, SESSION + 1, BIT(TABLE)));
}

static void the_usual_server_takes_the_first(void **state)
{
    (void)state;
    struct form_memory memory = {0};
    form_accepted(&memory, SESSION, CLONE_FORM_EXAMPLE);
    assert_false(form_left(&memory, SESSION, BIT(EXAMPLE)));
    assert_int_equal(form_pick(&memory, SESSION, 0), CLONE_FORM_EXAMPLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_example_table_json),
        cmocka_unit_test(others_begin_where_one_was_refused),
        cmocka_unit_test(what_was_accepted_is_kept_for_the_session),
        cmocka_unit_test(the_usual_server_takes_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
