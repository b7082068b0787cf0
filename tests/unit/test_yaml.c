/* YAML trees: what is read, what is refused, and where the messages point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "codec/yaml_get.h"
#include "codec/yaml_node.h"

static const struct yaml_limits limits = {.bytes = 64 * 1024, .nodes = 100};

struct fixture {
    struct arena *arena;
    struct diag diag;
    struct yaml_node *root;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.arena = arena_new(), .diag = DIAG_INIT};
    *state = &f;
    return f.arena ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_free(f->arena);
    diag_done(&f->diag);
    return 0;
}

static int read_bytes(struct fixture *f, const char *text, size_t len)
{
    return yaml_read((struct bytes){text, len}, "f.yaml", &limits, f->arena, &f->root, &f->diag);
}

static void reads(struct fixture *f, const char *text)
{
    int r = read_bytes(f, text, strlen(text));
    assert_string_equal(buf_str(&f->diag.text), "");
    assert_int_equal(r, 0);
}

/* The file is refused and `message` is among the messages. */
static void refuses(struct fixture *f, const char *text, const char *message)
{
    diag_done(&f->diag);
    assert_int_equal(read_bytes(f, text, strlen(text)), -EINVAL);
    if (!strstr(buf_str(&f->diag.text), message))
        fail_msg("\"%s\" is not in: %s", message, buf_str(&f->diag.text));
}

static void said(struct fixture *f, const char *text)
{
    assert_string_equal(buf_str(&f->diag.text), text);
    diag_done(&f->diag);
}

static void tree_has_texts_and_places(void **state)
{
    struct fixture *f = *state;
    reads(f, "a: 1\nb:\n  - x\n  - 'é y'\nc: {d: \"\"}\n");
    assert_int_equal(f->root->kind, YAML_MAPPING);
    assert_int_equal(f->root->n, 3);
    const struct yaml_node *a = yaml_child(f->root, "a");
    assert_string_equal(a->text, "1");
    assert_string_equal(a->file, "f.yaml");
    assert_false(a->quoted);
    assert_int_equal(a->line, 1);
    assert_int_equal(a->column, 4);
    const struct yaml_node *b = yaml_child(f->root, "b");
    assert_int_equal(b->key_line, 2);
    assert_int_equal(b->key_column, 1);
    assert_int_equal(b->n, 2);
    assert_null(b->first->key);
    assert_string_equal(b->first->next->text, "é y");
    assert_true(b->first->next->quoted);
    assert_int_equal(b->first->next->line, 4);
    assert_null(b->first->next->next);
    assert_true(yaml_child(yaml_child(f->root, "c"), "d")->quoted);
    assert_null(yaml_child(f->root, "d"));
    assert_null(yaml_child(a, "d"));
    assert_null(yaml_child(NULL, "d"));
}

static void byte_order_mark_and_line_ends_do_not_matter(void **state)
{
    struct fixture *f = *state;
    reads(f, "\xEF\xBB\xBF"
             "a: 1\r\nb: 2\r\n");
    assert_int_equal(f->root->first->key_column, 1);
    assert_string_equal(f->root->first->text, "1");
    assert_int_equal(f->root->first->next->key_line, 2);
}

static void strictness(void **state)
{
    struct fixture *f = *state;
    refuses(f, "a: &x 1\nb: *x\n", "f.yaml:1:4: anchors");
    refuses(f, "a: &x 1\nb: *x\n", "f.yaml:2:4: aliases");
    refuses(f, "a: 1\n*x : 2\n", "f.yaml:2:1: aliases");
    refuses(f, "a: !!str 1\n", "f.yaml:1:4: tags");
    refuses(f, "a: !x [1]\n", "f.yaml:1:4: tags");
    refuses(f, "a: !x {}\n", "f.yaml:1:4: tags");
    refuses(f, "a: 1\n---\nb: 1\n", "f.yaml:2:1: a second document");
    refuses(f, "a: 1\n---\n{[\n", "f.yaml:2:1: a second document");
    refuses(f, "{a: 1}: b\n", "a key must be a simple text");
    refuses(f, "a: 1\nb: [1\n", "not valid YAML");
    refuses(f, "a: \"\\x01\"\n", "f.yaml:1:4: the text has a character");
    refuses(f, "a: \"\\0\"\n", "f.yaml:1:4: the text has a character");
    refuses(f, "a: 1\nbc: \xFF\n", "f.yaml:2:5: not readable as text");
    refuses(f, "", "f.yaml:1:1: the file is empty");
    refuses(f, "# only words\n", "f.yaml:1:1: the file is empty");
    refuses(f, "---\n", "the file is empty");
}

static void all_duplicates_are_said_at_once(void **state)
{
    struct fixture *f = *state;
    refuses(f, "a: 1\nb: {x: 1, x: 2}\na: 3\n", "f.yaml:2:11: duplicate key \"x\": it is already in line 2");
    assert_int_equal(f->diag.count, 2);
    assert_non_null(
        strstr(buf_str(&f->diag.text), "f.yaml:3:1: duplicate key \"a\": it is already in line 1"));
}

static void repeat(struct buf *out, const char *part, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(buf_add_str(out, part), 0);
}

static void bounds_hold_exactly(void **state)
{
    struct fixture *f = *state;
    struct buf text = BUF_INIT(128 * 1024);
    repeat(&text, "[", YAML_DEPTH_MAX);
    repeat(&text, "]", YAML_DEPTH_MAX);
    reads(f, buf_str(&text));
    buf_reset(&text);
    repeat(&text, "[", YAML_DEPTH_MAX + 1);
    repeat(&text, "]", YAML_DEPTH_MAX + 1);
    refuses(f, buf_str(&text), "f.yaml:1:33: nested more than 32");
    buf_reset(&text);
    repeat(&text, "- a\n", limits.nodes - 1);
    diag_done(&f->diag);
    reads(f, buf_str(&text));
    assert_int_equal(f->root->n, limits.nodes - 1);
    repeat(&text, "- a\n", 1);
    refuses(f, buf_str(&text), "f.yaml:100:3: the file has too many values");
    buf_reset(&text);
    repeat(&text, "#", limits.bytes + 1);
    refuses(f, buf_str(&text), "f.yaml: the file is larger than 65536 bytes");
    buf_done(&text);
}

static void unknown_keys(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"timeouts", "format", NULL};
    reads(f, "timeoust: 1\nzzz: 2\nformat: x\n");
    assert_true(yaml_check_keys(f->root, "a server", keys, &f->diag));
    said(f, "f.yaml:1:1: unknown key \"timeoust\" in a server; did you mean \"timeouts\"?\n"
            "f.yaml:2:1: unknown key \"zzz\" in a server; remove it (known are: timeouts and format)\n");
    assert_false(yaml_check_keys(f->root->first, "a server", keys, &f->diag));
    said(f, "f.yaml:1:11: a server must be a mapping; write it as \"key: value\" pairs\n");
}

static void numbers(void **state)
{
    struct fixture *f = *state;
    reads(f,
          "good: 64\nquoted: '8'\nunit: 8s\nbig: 99999999999999999999\nneg: -1\nhigh: 65\nnone:\nl: [1]\n");
    uint64_t n = 7;
    assert_true(yaml_get_number(f->root, "good", 1, 64, &n, &f->diag));
    assert_int_equal(n, 64);
    assert_false(yaml_get_number(f->root, "absent", 1, 64, &n, &f->diag));
    assert_false(yaml_get_number(NULL, "good", 1, 64, &n, &f->diag));
    assert_int_equal(f->diag.count, 0);
    static const char *const bad[] = {"quoted", "unit", "big", "neg", "high", "none", "l"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(yaml_get_number(f->root, bad[i], 1, 64, &n, &f->diag));
        assert_int_equal(f->diag.count, i + 1);
    }
    assert_int_equal(n, 64);
}

static void durations(void **state)
{
    struct fixture *f = *state;
    reads(f, "a: 500ms\nb: 2s\nc: 5m\nd: 1h\ne: 90d\nf: 5\ng: 5 m\nh: 1.5h\ni: m\nj: 300000000000d\n");
    static const uint64_t good[] = {500, 2000, 300000, 3600000, UINT64_C(7776000000)};
    for (size_t i = 0; i < 5; i++) {
        char key[2] = {(char)('a' + i), 0};
        uint64_t ms = 0;
        assert_true(yaml_get_duration(f->root, key, 0, UINT64_MAX, &ms, &f->diag));
        assert_int_equal(ms, good[i]);
    }
    for (unsigned i = 5; i < 10; i++) {
        char key[2] = {(char)('a' + i), 0};
        uint64_t ms = 1;
        assert_false(yaml_get_duration(f->root, key, 0, UINT64_MAX, &ms, &f->diag));
        assert_int_equal(ms, 1);
        assert_int_equal(f->diag.count, i - 4);
    }
    diag_done(&f->diag);
    uint64_t ms;
    assert_false(yaml_get_duration(f->root, "d", 0, 14 * 60000, &ms, &f->diag));
    said(f, "f.yaml:4:4: \"d\" is 1h; it must be from 0s to 14m\n");
}

static void words_texts_and_kinds(void **state)
{
    struct fixture *f = *state;
    static const char *const words[] = {"xml", "json", NULL};
    reads(f, "w: json\nbad: yaml\nyes: yes\ntrue: true\nno: no\nm: {}\ns: []\nseven: 007\n");
    unsigned word = 9;
    assert_true(yaml_get_word(f->root, "w", words, &word, &f->diag));
    assert_int_equal(word, 1);
    bool flag = false;
    assert_true(yaml_get_bool(f->root, "true", &flag, &f->diag));
    assert_true(flag);
    const char *text;
    assert_true(yaml_get_text(f->root, "no", &text, &f->diag));
    assert_string_equal(text, "no");
    assert_true(yaml_get_text(f->root, "seven", &text, &f->diag));
    assert_string_equal(text, "007");
    struct yaml_node *node;
    assert_true(yaml_get_mapping(f->root, "m", &node, &f->diag));
    assert_true(yaml_get_sequence(f->root, "s", &node, &f->diag));
    assert_int_equal(f->diag.count, 0);
    assert_false(yaml_get_word(f->root, "bad", words, &word, &f->diag));
    said(f, "f.yaml:2:6: \"bad\" cannot be \"yaml\"; it must be xml or json\n");
    assert_false(yaml_get_bool(f->root, "yes", &flag, &f->diag));
    said(f, "f.yaml:3:6: \"yes\" must be true or false; write one of them, without quotes\n");
    assert_false(yaml_get_text(f->root, "m", &text, &f->diag));
    assert_false(yaml_get_mapping(f->root, "s", &node, &f->diag));
    assert_false(yaml_get_sequence(f->root, "m", &node, &f->diag));
    assert_int_equal(f->diag.count, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(tree_has_texts_and_places),
        TEST(byte_order_mark_and_line_ends_do_not_matter),
        TEST(strictness),
        TEST(all_duplicates_are_said_at_once),
        TEST(bounds_hold_exactly),
        TEST(unknown_keys),
        TEST(numbers),
        TEST(durations),
        TEST(words_texts_and_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
