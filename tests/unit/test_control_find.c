/* Finding a run by a part of its id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/control.h"

#define A "01KB0000000000000000000AAA"
#define B "01KB0000000000000000000BBB"

static struct control_find find(const char *part)
{
    struct control_find f = {.part = part};
    control_find_offer(&f, A);
    control_find_offer(&f, B);
    return f;
}

static void test_a_part_finds_its_run(void **state)
{
    (void)state;
    struct control_find f = find("0AAA");
    assert_int_equal(f.n, 1);
    assert_string_equal(f.found[0], A);
    f = find(B);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.found[0], B);
}

static void test_none_and_several(void **state)
{
    (void)state;
    assert_int_equal(find("CCC").n, 0);
    struct control_find f = find("01KB");
    assert_int_equal(f.n, 2);
    assert_string_equal(f.found[1], B);
}

static void test_many_are_counted_and_three_kept(void **state)
{
    (void)state;
    struct control_find f = {.part = "01"};
    for (int i = 0; i < 10; i++)
        control_find_offer(&f, A);
    assert_int_equal(f.n, 10);
    assert_string_equal(f.found[2], A);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_part_finds_its_run),
        cmocka_unit_test(test_none_and_several),
        cmocka_unit_test(test_many_are_counted_and_three_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
