/* Sets of slots by what their items are called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/parts.h"

#define MANY 20000

struct many {
    struct slot *slots;
    char (*texts)[32];
};

static struct many many_new(void)
{
    struct many many = {calloc(MANY, sizeof(*many.slots)), calloc(MANY, sizeof(*many.texts))};
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(many.texts[i], sizeof(many.texts[i]), "Tenant %06u", i);
        many.slots[i].item = (struct item){.name = many.texts[i],
                                           .folder = many.texts[i],
                                           .server_id = i % 2 ? "one" : "two",
                                           .repository_uid = "repository"};
    }
    return many;
}

static void many_done(struct many *many)
{
    free(many->slots);
    free(many->texts);
}

static void test_names_of_many(void **state)
{
    (void)state;
    struct many many = many_new();
    struct taken names = {0};
    assert_false(taken_has(&names, many.slots, "one", "Tenant 000001"));
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(taken_add(&names, many.slots, i), 0);
    assert_int_equal(names.n, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_true(taken_has(&names, many.slots, i % 2 ? "one" : "two", many.texts[i]));
        assert_false(taken_has(&names, many.slots, i % 2 ? "two" : "one", many.texts[i]));
    }
    assert_false(taken_has(&names, many.slots, "one", "tenant 000001"));
    assert_true(names.size * sizeof(*names.entries) <= (size_t)MANY * 24);
    taken_done(&names);
    assert_false(taken_has(&names, many.slots, "one", "Tenant 000001"));
    many_done(&many);
}

static void test_taken_twice_is_kept_once(void **state)
{
    (void)state;
    struct slot slots[2] = {{.item = {.name = "a", .server_id = "s"}},
                            {.item = {.name = "a", .server_id = "s"}}};
    struct taken names = {0};
    assert_int_equal(taken_add(&names, slots, 0), 0);
    assert_int_equal(taken_add(&names, slots, 1), 0);
    assert_int_equal(names.n, 1);
    taken_done(&names);
}

static void test_letter_case_of_folders(void **state)
{
    (void)state;
    struct slot slot = {.item = {.folder = "Tenant_\xc3\x89", .repository_uid = "R"}};
    struct taken folders = {.folders = true};
    assert_int_equal(taken_add(&folders, &slot, 0), 0);
    assert_true(taken_has(&folders, &slot, "R", "tENANT_\xc3\x89"));
    assert_false(taken_has(&folders, &slot, "r", "Tenant_\xc3\x89"));
    assert_false(taken_has(&folders, &slot, "R", "Tenant_\xc3\xa9"));
    assert_false(taken_has(&folders, &slot, "R", "Tenant_"));
    assert_false(taken_has(&folders, &slot, "R", "Tenant_\xc3\x89x"));
    taken_done(&folders);
    assert_true(folders.folders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_many),
        cmocka_unit_test(test_taken_twice_is_kept_once),
        cmocka_unit_test(test_letter_case_of_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
