/* The tools that every room uses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/heap.h"
#include "base/instant.h"
#include "base/table.h"
#include "base/text.h"

static void buffers_are_bounded(void **state)
{
    struct buf buf = BUF_INIT(5);
    (void)state;
    assert_int_equal(buf_add_str(&buf, "abc"), 0);
    assert_int_equal(buf_add_str(&buf, "def"), -ENOBUFS);
    assert_string_equal(buf_str(&buf), "abc");
    assert_int_equal(buf_printf(&buf, "%d", 123), -ENOBUFS);
    assert_int_equal(buf_printf(&buf, "%d", 12), 0);
    assert_string_equal(buf_str(&buf), "abc12");
    assert_int_equal(buf.error, -ENOBUFS); /* remembered: what is there is not whole */
    assert_null(buf_whole(&buf));
    buf_reset(&buf);
    assert_string_equal(buf_whole(&buf), "");
    buf_done(&buf);
    assert_string_equal(buf_str(&buf), "");
}

static void tables_keep_look_alikes_apart(void **state)
{
    static char keys[20000][16];
    struct table table = {0};
    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        snprintf(keys[i], sizeof(keys[i]), "clone-%06u", i);
        assert_int_equal(table_put(&table, keys[i], i), 0);
    }
    for (uint32_t i = 0; i < 20000; i += 2)
        table_remove(&table, keys[i]);
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(table_get(&table, keys[i]), i % 2 ? i : TABLE_NONE);
    assert_int_equal(table.live, 10000);
    table_done(&table);
}

static void arenas_intern(void **state)
{
    struct arena *arena = arena_new();
    char text[300];
    (void)state;
    const char *a = arena_intern(arena, "abc");
    assert_ptr_equal(arena_intern(arena, "abc"), a);
    assert_ptr_not_equal(arena_str(arena, "abc"), a);
    assert_null(arena_str(arena, NULL));
    for (int i = 0; i < 2000; i++) {
        memset(text, 'x', sizeof(text));
        text[i % 299] = '\0';
        assert_string_equal(arena_str(arena, text), text);
    }
    assert_string_equal(a, "abc");
    arena_free(arena);
}

static void heaps_sort(void **state)
{
    struct heap heap = {0};
    (void)state;
    assert_true(heap_due(&heap) == INSTANT_NEVER);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(heap_push(&heap, (i * 7919) % 1000, i), 0);
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(heap_pop(&heap).due_ms, i);
    heap_done(&heap);
}

static void utf8_is_strict(void **state)
{
    static const char *const bad[] = {"\x80",     "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xe2\x82", "\xff"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(text_utf8_valid(bad[i], strlen(bad[i])));
    assert_true(text_utf8_valid("h\xc3\xa9llo \xf0\x9f\x98\x80", 11));
    assert_int_equal(text_utf16_len("h\xc3\xa9 \xf0\x9f\x98\x80"), 5);
    assert_int_equal(text_utf16_prefix("a\xf0\x9f\x98\x80", 2), 1);
    assert_false(text_xml_valid("a\x01"));
    assert_false(text_xml_valid("\xef\xbf\xbf"));
    assert_true(text_xml_valid("tab\t"));
    assert_true(text_has_control("a\xc2\x85"));
}

static void file_names_are_made_safe(void **state)
{
    char *name = text_file_name("a/b:(c) \"d\". ");
    (void)state;
    assert_string_equal(name, "a_b__c_ _d_");
    free(name);
}

static void escapes_and_neighbours(void **state)
{
    static const char *const words[] = {"name", "folder", "repository"};
    struct buf buf = BUF_INIT(100);
    (void)state;
    text_escape(&buf, "a\n\x1b[0m\xff");
    assert_string_equal(buf_str(&buf), "a\\n\\x1b[0m\\xff");
    buf_done(&buf);
    assert_string_equal(text_nearest("repositry", words, 3), "repository");
    assert_string_equal(text_nearest("Name", words, 3), "name");
    assert_null(text_nearest("clone", words, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_are_bounded),    cmocka_unit_test(tables_keep_look_alikes_apart),
        cmocka_unit_test(arenas_intern),          cmocka_unit_test(heaps_sort),
        cmocka_unit_test(utf8_is_strict),         cmocka_unit_test(file_names_are_made_safe),
        cmocka_unit_test(escapes_and_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
