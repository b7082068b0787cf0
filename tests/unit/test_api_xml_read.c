/* Replies in XML: every file of tests/data/api/ gives the dump beside it, in
 * whatever pieces it comes; what is no reply is refused. A new dump:
 * unit_test_api_xml_read --dump FILE.xml > FILE.expect, then read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#define FORMAT api_xml
#define FOLDER TEST_DATA_DIR "/api"
#include "api_golden.h"

#define NS " xmlns=\"http://www.veeam.com/ent/v1.0\""
#define GUID "b0e6a3a6-d659-4dfc-9224-0ea9d92a176b"

/* ---- golden files ---- */

static void golden(const char *name)
{
    char expect_name[256];
    struct buf out = BUF_INIT(1024 * 1024);
    snprintf(expect_name, sizeof(expect_name), "%.*s.expect", (int)(strlen(name) - 4), name);
    struct buf text = file_read(name), expect = file_read(expect_name);
    struct bytes bytes = {text.data, text.len};
    assert_int_equal(read_pieces(bytes, text.len + 1, 0, &out), 0);
    if (strcmp(buf_str(&out), buf_str(&expect)) != 0)
        fail_msg("%s gives\n%sinstead of\n%s", name, buf_str(&out), buf_str(&expect));
    same_in_pieces(name, bytes, buf_str(&expect));
    buf_done(&out);
    buf_done(&text);
    buf_done(&expect);
}

static void files_give_their_dumps(void **state)
{
    (void)state;
    int n = 0;
    DIR *dir = opendir(FOLDER);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        size_t len = strlen(e->d_name);
        if (len > 4 && strcmp(e->d_name + len - 4, ".xml") == 0) {
            golden(e->d_name);
            n++;
        }
    }
    closedir(dir);
    assert_true(n >= 30);
}

/* A file cut off anywhere is no reply; nothing is made up. */
static void cut_files_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"tasks-list.xml", "query-repository.xml", "error-500.xml",
                                        "prefixes.xml"};
    struct buf out = BUF_INIT(1024 * 1024);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct buf text = file_read(names[i]);
        while (text.len && strchr(" \r\n", text.data[text.len - 1]))
            text.len--;
        for (size_t len = 1; len < text.len; len++)
            if (read_pieces((struct bytes){text.data, len}, len, 0, &out) != -EBADMSG)
                fail_msg("%s passes when cut at %zu", names[i], len);
        buf_done(&text);
    }
    buf_done(&out);
}

/* ---- no replies ---- */

static const char task_head[] = "<Task" NS "><TaskId>task-1</TaskId>";

struct bad {
    const char *name, *text;
    size_t len; /* 0: strlen */
};

static const struct bad bads[] = {
    {"declaration alone", "<?xml version=\"1.0\"?>", 0},
    {"cut tag", "<Tasks", 0},
    {"cut element", "<Tasks" NS "><Task>", 0},
    {"wrong end", "<Tasks" NS "></Task>", 0},
    {"two roots", "<Tasks" NS "/><Tasks" NS "/>", 0},
    {"text behind", "<Tasks" NS "/>x", 0},
    {"NUL behind", "<Tasks" NS "/>\0", sizeof("<Tasks" NS "/>\0") - 1},
    {"NUL within", "<Task" NS "><TaskId>a\0b</TaskId></Task>",
     sizeof("<Task" NS "><TaskId>a\0b</TaskId></Task>") - 1},
    {"DTD", "<!DOCTYPE Tasks><Tasks" NS "/>", 0},
    {"DTD elsewhere", "<!DOCTYPE Tasks SYSTEM \"http://127.0.0.1:9/x.dtd\"><Tasks" NS "/>", 0},
    {"file entity", "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a>", 0},
    {"entity bomb",
     "<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">"
     "<!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\">]><a>&d;&d;&d;&d;&d;</a>",
     0},
    {"parameter entity", "<!DOCTYPE a [<!ENTITY % p \"<!ENTITY q 'r'>\"> %p;]><a>&q;</a>", 0},
    {"unknown entity", "<Task" NS "><TaskId>&nbsp;</TaskId></Task>", 0},
    {"unknown entity in attribute", "<Error Message=\"&nbsp;\"" NS "/>", 0},
    {"bare ampersand", "<Task" NS "><TaskId>a & b</TaskId></Task>", 0},
    {"control character", "<Task" NS "><TaskId>a\x01</TaskId></Task>", 0},
    {"control reference", "<Task" NS "><TaskId>&#1;</TaskId></Task>", 0},
    {"bad UTF-8", "<Task" NS "><TaskId>a\xff</TaskId></Task>", 0},
    {"bad UTF-8 in attribute", "<Error Message=\"\xc3(\"" NS "/>", 0},
    {"overlong UTF-8", "<Task" NS "><TaskId>\xc0\xaf</TaskId></Task>", 0},
    {"overlong in three", "<Task" NS "><TaskId>\xe0\x80\xaf</TaskId></Task>", 0},
    {"surrogate in UTF-8", "<Task" NS "><TaskId>\xed\xa0\x80</TaskId></Task>", 0},
    {"cut UTF-8", "<Task" NS "><TaskId>\xe2\x82</TaskId></Task>", 0},
    {"Latin-1 as declared", "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><Error Message=\"\xe4\"" NS "/>",
     0},
    {"UTF-16", "\xff\xfe<\0a\0/\0>\0", 10},
    {"UTF-16 without mark", "<\0?\0x\0m\0", 8},
    {"whole UTF-16 without mark", (const char *)u"<?xml version=\"1.0\"?><Tasks/>",
     sizeof(u"<?xml version=\"1.0\"?><Tasks/>") - 2},
    {"half a mark, then a tag", "\xef\xbb<Tasks" NS "/>", 0},
    {"half a byte order mark", "\xef\xbb", 0},
    {"mark behind a blank", " \xef\xbb\xbf<Tasks" NS "/>", 0},
    {"two marks", "\xef\xbb\xbf\xef\xbb\xbf<Tasks" NS "/>", 0},
    {"undeclared prefix", "<v:Tasks/>", 0},
    {"same attribute twice", "<Error Message=\"a\" Message=\"b\"" NS "/>", 0},
    {"HTML", "<html><body><h1>Bad Request<br></h1></body></html>", 0},
    {"HTML with DOCTYPE", "<!DOCTYPE html><html></html>", 0},
    {"well-formed HTML", "<HTML><HEAD><TITLE>503</TITLE></HEAD></HTML>", 0},
    {"XHTML", "<html xmlns=\"http://www.w3.org/1999/xhtml\"><body/></html>", 0},
    {"JSON", "{\"TaskId\":\"task-1\"}", 0},
    {"JSON list", "  [1]", 0},
    {"plain text", "Service Unavailable", 0},
};

static void bad_inputs_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bads); i++) {
        struct bytes text = {bads[i].text, bads[i].len ? bads[i].len : strlen(bads[i].text)};
        struct buf out = BUF_INIT(1024 * 1024);
        int whole = read_pieces(text, text.len, 0, &out), single = read_pieces(text, 1, 0, &out);
        if (whole != -EBADMSG || single != -EBADMSG)
            fail_msg("%s: %d, byte by byte %d\n%s", bads[i].name, whole, single, buf_str(&out));
        buf_done(&out);
    }
}

/* ---- limits ---- */

/* Depth as asked, root included. */
static int read_depth(unsigned depth)
{
    struct buf text = BUF_INIT(1024 * 1024), out = BUF_INIT(1024);
    buf_add_str(&text, "<Tasks" NS ">");
    for (unsigned i = 1; i < depth; i++)
        buf_add_str(&text, "<x>");
    for (unsigned i = 1; i < depth; i++)
        buf_add_str(&text, "</x>");
    buf_add_str(&text, "</Tasks>");
    int r = read_pieces((struct bytes){text.data, text.len}, 100, 0, &out);
    buf_done(&text);
    buf_done(&out);
    return r;
}

/* `before`, `n` times `unit`, `after`. */
static int read_long(const char *before, const char *unit, size_t n, const char *after)
{
    struct buf text = BUF_INIT(32 * 1024 * 1024), out = BUF_INIT(1024 * 1024);
    buf_add_str(&text, before);
    for (size_t i = 0; i < n; i++)
        buf_add_str(&text, unit);
    assert_int_equal(buf_add_str(&text, after), 0);
    int r = read_pieces((struct bytes){text.data, text.len}, 16384, 0, &out);
    buf_done(&text);
    buf_done(&out);
    return r;
}

static void limits_hold_exactly(void **state)
{
    (void)state;
    assert_int_equal(read_depth(64), 0);
    assert_int_equal(read_depth(65), -EBADMSG);
    assert_int_equal(read_depth(100000), -EBADMSG);
    assert_int_equal(read_long("<Error" NS " Message=\"", "a", 65536, "\"/>"), 0);
    assert_int_equal(read_long("<Error" NS " Message=\"", "a", 65537, "\"/>"), -EBADMSG);
    assert_int_equal(read_long("<Error" NS " Unknown=\"", "a", 65537, "\"/>"), -EBADMSG);
    assert_int_equal(read_long(task_head, "a", 65536, "</Task>"), 0);
    assert_int_equal(read_long(task_head, "a", 65537, "</Task>"), -EBADMSG);
    assert_int_equal(read_long("<Task" NS "><State>", "\xe2\x82\xac", 21845, "</State></Task>"), 0);
    assert_int_equal(read_long("<Task" NS "><State>", "\xe2\x82\xac", 21846, "</State></Task>"), -EBADMSG);
    assert_int_equal(read_long("<Task" NS "><State><![CDATA[", "a", 65537, "]]></State></Task>"), -EBADMSG);
    assert_int_equal(read_long("<Tasks" NS "><!--", "a", 3 * 1024 * 1024, "--></Tasks>"), -EBADMSG);
    assert_int_equal(read_long("<Tasks" NS " ", " ", 3 * 1024 * 1024, "></Tasks>"), -EBADMSG);
    assert_int_equal(read_long("<Tasks" NS ">", "<x/>\n", 200000, "</Tasks>"), 0);
}

/* Elements with `n` attributes, or `n` elements of as many names. */
static int read_many(const char *unit, unsigned n, const char *before, const char *after)
{
    struct buf text = BUF_INIT(1024 * 1024), out = BUF_INIT(1024 * 1024);
    buf_add_str(&text, before);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(
            buf_printf(&text, "%.*s%u%s", (int)strcspn(unit, "*"), unit, i, strchr(unit, '*') + 1), 0);
    buf_add_str(&text, after);
    int r = read_pieces((struct bytes){text.data, text.len}, 16384, 0, &out);
    buf_done(&text);
    buf_done(&out);
    return r;
}

static void what_takes_square_time_is_refused(void **state)
{
    (void)state;
    assert_int_equal(read_many(" a*=''", 64, "<Tasks" NS "><x", "/></Tasks>"), 0);
    assert_int_equal(read_many(" a*=''", 65, "<Tasks" NS "><x", "/></Tasks>"), -EBADMSG);
    assert_int_equal(read_many(" xmlns:a*='b'", 64, "<Tasks" NS "><x", "/></Tasks>"), 0);
    assert_int_equal(read_many(" xmlns:a*='b'", 65, "<Tasks" NS "><x", "/></Tasks>"), -EBADMSG);
    assert_int_equal(read_many("<a*/>", 4000, "<Tasks" NS ">", "</Tasks>"), 0);
    assert_int_equal(read_many("<a*/>", 5000, "<Tasks" NS ">", "</Tasks>"), -EBADMSG);
}

/* ---- handlers and life ---- */

static int stop_at_second(const struct api_task *task, void *data)
{
    (void)task;
    int *calls = data;
    return ++*calls == 2 ? -ECANCELED : 0;
}

static void handler_stops_the_reading(void **state)
{
    (void)state;
    int calls = 0;
    struct api_doc doc;
    static const char text[] = "<Tasks" NS "><Task/><Task/><Task/><Task/></Tasks>";
    static const struct api_handlers handlers = {.on_task = stop_at_second};
    struct api_reader *reader = api_xml.reader_new(&handlers, &calls);
    assert_non_null(reader);
    assert_int_equal(api_xml.reader_feed(reader, text, strlen(text)), -ECANCELED);
    assert_int_equal(api_xml.reader_feed(reader, text, strlen(text)), -ECANCELED);
    assert_int_equal(api_xml.reader_end(reader, &doc), -ECANCELED);
    assert_int_equal(calls, 2);
    assert_null(api_xml.reader_free(reader));
}

/* A task is told as soon as it is complete, not at the end. */
static void tasks_are_told_at_once(void **state)
{
    (void)state;
    int calls = 0;
    static const char text[] = "<Tasks" NS "><Task></Task> ";
    static const struct api_handlers handlers = {.on_task = stop_at_second};
    struct api_reader *reader = api_xml.reader_new(&handlers, &calls);
    assert_int_equal(api_xml.reader_feed(reader, text, strlen(text)), 0);
    assert_int_equal(calls, 1);
    api_xml.reader_free(reader);
}

static void readers_may_have_no_handlers(void **state)
{
    (void)state;
    static const struct api_handlers none = {0};
    static const char text[] = "<Tasks" NS "><Task/></Tasks>";
    const struct api_handlers *const all[] = {&none, NULL};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct api_doc doc;
        struct api_reader *reader = api_xml.reader_new(all[i], NULL);
        assert_int_equal(api_xml.reader_feed(reader, text, strlen(text)), 0);
        assert_int_equal(api_xml.reader_end(reader, &doc), 0);
        assert_int_equal(doc.kind, API_DOC_TASKS);
        assert_int_equal(api_xml.reader_end(reader, &doc), 0);
        assert_int_equal(api_xml.reader_feed(reader, text, strlen(text)), -EBADMSG);
        api_xml.reader_free(reader);
    }
    assert_null(api_xml.reader_free(NULL));
}

static void nothing_is_an_empty_document(void **state)
{
    (void)state;
    static const char *const texts[] = {"", " ", "\r\n\t ", "\xef\xbb\xbf", "\xef\xbb\xbf \n"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct buf out = BUF_INIT(1024);
        assert_int_equal(read_pieces((struct bytes){texts[i], strlen(texts[i])}, 1, 0, &out), 0);
        assert_string_equal(buf_str(&out), "doc empty\n");
        buf_done(&out);
    }
}

/* Random damage: an answer of some kind, never a crash, and the same in other pieces. */
static void damage_is_survived(void **state)
{
    (void)state;
    unsigned seed = 20261124;
    struct buf text = file_read("tasks-list.xml"), out = BUF_INIT(1024 * 1024), again = BUF_INIT(1024 * 1024);
    int refused = 0;
    for (int round = 0; round < 2000; round++) {
        size_t at = (size_t)rand_r(&seed) % text.len;
        char kept = text.data[at];
        text.data[at] = (char)rand_r(&seed);
        buf_reset(&out);
        buf_reset(&again);
        int a = read_pieces((struct bytes){text.data, text.len}, text.len, 0, &out);
        int b = read_pieces((struct bytes){text.data, text.len}, 7, 0, &again);
        assert_int_equal(a, b);
        if (a == 0)
            assert_string_equal(buf_str(&out), buf_str(&again));
        refused += a < 0;
        text.data[at] = kept;
    }
    assert_true(refused > 500);
    buf_done(&text);
    buf_done(&out);
    buf_done(&again);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--dump") == 0)
        return dump_file(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_give_their_dumps),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(bad_inputs_are_refused),
        cmocka_unit_test(limits_hold_exactly),
        cmocka_unit_test(what_takes_square_time_is_refused),
        cmocka_unit_test(handler_stops_the_reading),
        cmocka_unit_test(tasks_are_told_at_once),
        cmocka_unit_test(readers_may_have_no_handlers),
        cmocka_unit_test(nothing_is_an_empty_document),
        cmocka_unit_test(damage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
