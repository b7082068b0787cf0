/* What the tests of several runs share: a tiny server for each test, two runs and some names. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the first four before it */

#include <cmocka.h>

#include "tiny_em.h"

#define A "01KB000000000000000000000A"
#define B "01KB000000000000000000000B"

static const char *const one[] = {"One"};
static const char *const four[] = {"One", "Two", "Three", "Four"};

static inline int setup(void **state)
{
    struct tiny *tiny = malloc(sizeof(*tiny));
    assert_non_null(tiny);
    tiny_init(tiny);
    *state = tiny;
    return 0;
}

static inline int teardown(void **state)
{
    tiny_done(*state);
    free(*state);
    return 0;
}

static inline void add(struct tiny *tiny, const char *id, const char *const *names, size_t n,
                       enum on_conflict on_conflict)
{
    tiny_add_run(tiny, id, tiny_plan(names, n, on_conflict), (struct engine_run_options){0});
}

static inline void assert_each_once(const struct tiny *tiny, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(tiny_named(tiny, names[i]), 1);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
