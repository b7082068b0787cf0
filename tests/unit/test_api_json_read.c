/* Replies in JSON. tests/data/api-json/NAME.STYLE.json must give the dump of the
 * same message in XML, tests/data/api/NAME.expect, or where XML has no such
 * message that of api-json/NAME.expect. Styles: v12 PascalCase with nulls, numbers
 * as text and lists in their own name; v13 lower camel and bare lists; child:
 * lists in their singular. A new dump: unit_test_api_json_read --dump FILE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#define FORMAT api_json
#define FOLDER TEST_DATA_DIR "/api-json"
#include <unistd.h>

#include "api_golden.h"

#define GUID "b0e6a3a6-d659-4dfc-9224-0ea9d92a176b"

/* ---- golden files ---- */

static void golden(const char *name)
{
    char expect_name[300], path[600];
    struct buf out = BUF_INIT(1024 * 1024);
    snprintf(expect_name, sizeof(expect_name), "%.*s.expect", (int)strcspn(name, "."), name);
    snprintf(path, sizeof(path), "%s/%s", FOLDER, expect_name);
    if (access(path, F_OK) < 0)
        snprintf(expect_name, sizeof(expect_name), "../api/%.*s.expect", (int)strcspn(name, "."), name);
    struct buf text = file_read(name), expect = file_read(expect_name);
    struct bytes bytes = {text.data, text.len};
    int r = read_pieces(bytes, text.len + 1, 0, &out);
    if (r < 0 || strcmp(buf_str(&out), buf_str(&expect)) != 0)
        fail_msg("%s (%d) gives\n%sinstead of\n%s", name, r, buf_str(&out), buf_str(&expect));
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
        const char *dot = strchr(e->d_name, '.');
        if (dot && strlen(dot) > 5 && strcmp(dot + strlen(dot) - 5, ".json") == 0) {
            golden(e->d_name);
            n++;
        }
    }
    closedir(dir);
    assert_true(n >= 75);
}

/* A file cut off anywhere is no reply; nothing is made up. */
static void cut_files_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"tasks-list.v12.json", "query-repository.v13.json",
                                        "query-task.child.json", "error-500.v12.json", "odd-tasks.v12.json"};
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

struct bad {
    const char *name, *text;
    size_t len; /* 0: strlen */
};

static const struct bad bads[] = {
    {"cut object", "{\"Tasks\":[{", 0},
    {"cut string", "{\"TaskId\":\"task-1", 0},
    {"wrong end", "{\"Tasks\":[}]", 0},
    {"end too many", "{\"Tasks\":[]}}", 0},
    {"two roots", "{\"Tasks\":[]}{\"Tasks\":[]}", 0},
    {"text behind", "{\"Tasks\":[]}x", 0},
    {"NUL behind", "{\"Tasks\":[]}\0", sizeof("{\"Tasks\":[]}\0") - 1},
    {"NUL within", "{\"TaskId\":\"a\0b\"}", sizeof("{\"TaskId\":\"a\0b\"}") - 1},
    {"NUL escaped", "{\"TaskId\":\"a\\u0000b\"}", 0},
    {"NUL escaped in a list", "{\"Tasks\":[{\"TaskId\":\"a\\u0000b\"}]}", 0},
    {"no colon", "{\"TaskId\" \"task-1\"}", 0},
    {"two colons", "{\"TaskId\"::\"task-1\"}", 0},
    {"no key", "{:\"task-1\"}", 0},
    {"bare key", "{TaskId:\"task-1\"}", 0},
    {"number as key", "{1:2}", 0},
    {"list as key", "{\"a\":[],[]:1}", 0},
    {"key in a list", "{\"Tasks\":[\"TaskId\":1]}", 0},
    {"comma too many", "{\"TaskId\":\"task-1\",}", 0},
    {"comma too many in a list", "{\"Tasks\":[{\"TaskId\":\"task-1\"},]}", 0},
    {"comma first in a list", "{\"Tasks\":[,{\"TaskId\":\"task-1\"}]}", 0},
    {"comma alone", "{\"Tasks\":[,]}", 0},
    {"comma missing in a list", "{\"Tasks\":[{\"TaskId\":\"a\"}{\"TaskId\":\"b\"}]}", 0},
    {"comma missing among numbers", "{\"a\":[1 2]}", 0},
    {"numbers that would grow together", "{\"a\":1 2}", 0},
    {"words that would grow together", "{\"a\":tr ue}", 0},
    {"unknown word", "{\"a\":maybe}", 0},
    {"unknown word in a list that matters to nobody", "{\"a\":[1,maybe]}", 0},
    {"NaN", "{\"a\":NaN}", 0},
    {"Infinity", "{\"a\":-Infinity}", 0},
    {"hexadecimal", "{\"a\":0x10}", 0},
    {"leading zero", "{\"a\":01}", 0},
    {"plus", "{\"a\":+1}", 0},
    {"number beyond all", "{\"StatusCode\":1e999}", 0},
    {"single quotes", "{'TaskId':'task-1'}", 0},
    {"comment", "{/* c */\"TaskId\":\"task-1\"}", 0},
    {"control character", "{\"TaskId\":\"a\x01\"}", 0},
    {"line break in a string", "{\"TaskId\":\"a\nb\"}", 0},
    {"unknown escape", "{\"TaskId\":\"\\x41\"}", 0},
    {"half an escape", "{\"TaskId\":\"\\u12\"}", 0},
    {"half a pair", "{\"TaskId\":\"\\ud83d\"}", 0},
    {"second half alone", "{\"TaskId\":\"\\ude00\"}", 0},
    {"bad UTF-8", "{\"TaskId\":\"a\xff\"}", 0},
    {"bad UTF-8 in a key", "{\"a\xff\":1}", 0},
    {"bad UTF-8 where nobody looks", "{\"Tasks\":[{\"x\":{\"y\":[\"\xc3(\"]}}]}", 0},
    {"overlong UTF-8", "{\"TaskId\":\"\xc0\xaf\"}", 0},
    {"overlong in three", "{\"TaskId\":\"\xe0\x80\xaf\"}", 0},
    {"surrogate in UTF-8", "{\"TaskId\":\"\xed\xa0\x80\"}", 0},
    {"beyond Unicode", "{\"TaskId\":\"\xf4\x90\x80\x80\"}", 0},
    {"cut UTF-8", "{\"TaskId\":\"\xe2\x82\"}", 0},
    {"UTF-16", "\xff\xfe{\0}\0", 6},
    {"UTF-16 without mark", "{\0}\0", 4},
    {"half a byte order mark", "\xef\xbb", 0},
    {"half a mark, then an object", "\xef\xbb{}", 0},
    {"mark behind a blank", " \xef\xbb\xbf{}", 0},
    {"two marks", "\xef\xbb\xbf\xef\xbb\xbf{}", 0},
    {"same key twice", "{\"TaskId\":\"a\",\"TaskId\":\"b\"}", 0},
    {"same key twice in letter case", "{\"TaskId\":\"a\",\"taskId\":\"b\"}", 0},
    {"same key twice, one escaped", "{\"TaskId\":\"a\",\"Task\\u0049d\":\"b\"}", 0},
    {"same list twice", "{\"Tasks\":[],\"Tasks\":[]}", 0},
    {"same list twice in letter case", "{\"Tasks\":[],\"tasks\":[]}", 0},
    {"same key twice in an element", "{\"Tasks\":[{\"State\":\"a\",\"state\":\"b\"}]}", 0},
    {"same key twice in a link", "{\"Links\":[{\"Rel\":\"Up\",\"rel\":\"Up\"}]}", 0},
    {"same key twice where nobody looks", "{\"x\":[{\"y\":{\"z\":1,\"z\":2}}]}", 0},
    {"same key twice in a result", "{\"TaskId\":\"a\",\"Result\":{\"Success\":true,\"success\":false}}", 0},
    {"list that is a text", "{\"Tasks\":\"none\"}", 0},
    {"list that is a number", "{\"Entities\":{\"Jobs\":7}}", 0},
    {"list that is a number in its own name", "{\"Jobs\":{\"Jobs\":7}}", 0},
    {"list in an unknown wrapper", "{\"Tasks\":{\"Items\":[{\"TaskId\":\"task-1\"}]}}", 0},
    {"element that is not in a list", "{\"Jobs\":{\"UID\":\"urn:veeam:Job:" GUID "\",\"Name\":\"a\"}}", 0},
    {"element that is a number", "{\"Tasks\":[1]}", 0},
    {"element that is null", "{\"Tasks\":[null]}", 0},
    {"element that is a list", "{\"Tasks\":[[{\"TaskId\":\"task-1\"}]]}", 0},
    {"entities of an unknown name", "{\"Entities\":{\"JobList\":[{\"Name\":\"a\"}]}}", 0},
    {"entities in an unknown object", "{\"Entities\":{\"JobList\":{\"Jobs\":[{\"Name\":\"a\"}]}}}", 0},
    {"entities in their singular alone", "{\"Entities\":{\"Job\":[{\"Name\":\"a\"}]}}", 0},
    {"entities that are a text", "{\"Entities\":\"none\"}", 0},
    {"paging that is a list", "{\"Refs\":[],\"PagingInfo\":[]}", 0},
    {"result that is a text", "{\"TaskId\":\"a\",\"Result\":\"good\"}", 0},
    {"id that is an object", "{\"TaskId\":{}}", 0},
    {"id that is a list", "{\"TaskId\":[]}", 0},
    {"name that is true", "{\"Jobs\":[{\"Name\":true}]}", 0},
    {"name that is a fraction", "{\"Jobs\":[{\"Name\":1.5}]}", 0},
    {"link that is a text", "{\"TaskId\":\"a\",\"Links\":[\"x\"]}", 0},
    {"a task and tasks", "{\"TaskId\":\"a\",\"Tasks\":[{\"TaskId\":\"b\"}]}", 0},
    {"text alone", "\"TaskId\"", 0},
    {"number alone", "42", 0},
    {"null alone", "null", 0},
    {"HTML", "<html><body><h1>Bad Request<br></h1></body></html>", 0},
    {"XML", "<?xml version=\"1.0\"?><Tasks xmlns=\"http://www.veeam.com/ent/v1.0\"/>", 0},
    {"plain text", "Service Unavailable", 0},
    {"a brace in plain text", "{see the manual}", 0},
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

/* ---- what a document is ---- */

static void documents_are_known_by_their_members(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"{}", "doc other\n"},
        {"[]", "doc other\n"},
        {"[{\"taskId\":\"task-1\"}]",
         "task id=[task-1] other operation=[] result=none message=[] job=- name=-\ndoc tasks\n"},
        {"{\"Tasks\":null}", "doc tasks\n"},
        {"{\"Tasks\":{}}", "doc tasks\n"},
        {"{\"tasks\":{\"tasks\":null}}", "doc tasks\n"},
        {"{\"TASKS\":{\"TASK\":[]}}", "doc tasks\n"},
        {"{\"Refs\":null}", "doc refs\n"},
        {"{\"Refs\":[],\"PagingInfo\":{}}", "doc query page=0 size=0 pages=0 next=no\n"},
        {"{\"Refs\":null,\"Entities\":null}", "doc query\n"},
        {"{\"Entities\":[],\"PagingInfo\":null}", "doc query\n"},
        {"{\"Entities\":{\"HierarchyRoots\":[ ],\"Agents\":{ },\"Jobs\":null}}", "doc query\n"},
        {"{\"PagingInfo\":{\"PageNum\":\"2\"}}", "doc query page=2 size=0 pages=0 next=no\n"},
        {"{\"Jobs\":[]}", "doc list\n"},
        {"{\"Type\":\"Task\"}",
         "task id=[] other operation=[] result=none message=[] job=- name=-\ndoc task\n"},
        {"{\"Type\":\"LogonSession\"}", "doc logon session=[] jobs=no\n"},
        {"{\"Message\":\"alone\"}", "doc error status=0 message=[alone]\n"},
        {"{\"Message\":null,\"StatusCode\":\"503\"}", "doc error status=503 message=[]\n"},
        {"{\"Type\":\"EnterpriseManager\",\"Message\":null}", "doc other\n"},
        {" \r\n{\"Tasks\" : [ ] }\t\n", "doc tasks\n"},
        {"\xef\xbb\xbf{\"Tasks\":[]}", "doc tasks\n"},
        {"{\"big\":123456789012345678901234567890,\"Tasks\":[]}", "doc tasks\n"},
        {"{\"T\\u0061sks\":[{\"Task\\u0049d\":\"\\u0074ask-1\"}]}",
         "task id=[task-1] other operation=[] result=none message=[] job=- name=-\ndoc tasks\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct buf out = BUF_INIT(1024 * 1024);
        int r = read_pieces((struct bytes){pairs[i][0], strlen(pairs[i][0])}, 1, 0, &out);
        if (r < 0 || strcmp(buf_str(&out), pairs[i][1]) != 0)
            fail_msg("%s (%d) gives\n%s", pairs[i][0], r, buf_str(&out));
        buf_done(&out);
    }
}

/* ---- limits ---- */

/* `before`, `n` times `unit`, `after`. */
static int read_long(const char *before, const char *unit, size_t n, const char *after)
{
    struct buf text = BUF_INIT(32 * 1024 * 1024), out = BUF_INIT(64 * 1024 * 1024);
    buf_add_str(&text, before);
    for (size_t i = 0; i < n; i++)
        buf_add_str(&text, unit);
    assert_int_equal(buf_add_str(&text, after), 0);
    int r = read_pieces((struct bytes){text.data, text.len}, 16384, 0, &out);
    buf_done(&text);
    buf_done(&out);
    return r;
}

/* Depth as asked, root included. */
static int read_depth(const char *open, const char *close, unsigned depth)
{
    struct buf tail = BUF_INIT(1024 * 1024);
    for (unsigned i = 1; i < depth; i++)
        buf_add_str(&tail, close);
    buf_add_str(&tail, "}");
    int r = read_long("{\"x\":1", open, depth - 1, buf_str(&tail));
    buf_done(&tail);
    return r;
}

static void limits_hold_exactly(void **state)
{
    (void)state;
    assert_int_equal(read_depth(",\"a\":{\"x\":1", "}", 64), 0);
    assert_int_equal(read_depth(",\"a\":{\"x\":1", "}", 65), -EBADMSG);
    assert_int_equal(read_depth(",\"a\":[{\"x\":1", "}]", 32), 0);
    assert_int_equal(read_depth(",\"a\":[{\"x\":1", "}]", 33), -EBADMSG);
    assert_int_equal(read_long("", "[", 100000, ""), -EBADMSG);
    assert_int_equal(read_long("", "{\"a\":", 100000, ""), -EBADMSG);
    assert_int_equal(read_long("{\"Message\":\"", "a", 65536, "\"}"), 0);
    assert_int_equal(read_long("{\"Message\":\"", "a", 65537, "\"}"), -EBADMSG);
    assert_int_equal(read_long("{\"", "a", 65537, "\":1}"), -EBADMSG);
    assert_int_equal(read_long("{\"Message\":\"", "\\\"", 32768, "\"}"), 0);
    assert_int_equal(read_long("{\"Message\":\"", "\\\"", 32769, "\"}"), -EBADMSG);
    assert_int_equal(read_long("{\"Number\":", "1", 3 * 1024 * 1024, "}"), -EBADMSG);
    assert_int_equal(read_long("{\"Tasks\":[", "{\"TaskId\":\"task-1\"}, ", 200000, "{}]}"), 0);
    assert_int_equal(read_long("{\"Unknown\":[", "[[1],{\"a\":[2]}], ", 200000, "{}]}"), 0);
    assert_int_equal(read_long("{\"Tasks\":[", " ", 3 * 1024 * 1024, "]}"), 0);
}

/* A node is a bracket, a colon or a comma: 1 + 2 * n - 1 of them. */
static int read_members(unsigned n)
{
    struct buf text = BUF_INIT(1024 * 1024), out = BUF_INIT(1024);
    for (unsigned i = 0; i < n; i++)
        buf_printf(&text, "%s\"m%u\":0", i ? "," : "{", i);
    buf_add_str(&text, "}");
    int r = read_pieces((struct bytes){text.data, text.len}, 16384, 0, &out);
    buf_done(&text);
    buf_done(&out);
    return r;
}

static void nodes_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(read_members(2048), 0);
    assert_int_equal(read_members(2049), -EBADMSG);
    /* however much an object holds in lists, it is the open part that counts */
    assert_int_equal(read_long("{\"Jobs\":[{\"JobInfo\":{\"Includes\":[", "{\"Name\":\"vm\",\"Order\":1},",
                               50000, "{}]},\"Name\":\"job\"}]}"),
                     0);
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
    static const char text[] = "{\"Tasks\":[{},{},{},{}]}";
    static const struct api_handlers handlers = {.on_task = stop_at_second};
    struct api_reader *reader = api_json.reader_new(&handlers, &calls);
    assert_non_null(reader);
    assert_int_equal(api_json.reader_feed(reader, text, strlen(text)), -ECANCELED);
    assert_int_equal(api_json.reader_feed(reader, text, strlen(text)), -ECANCELED);
    assert_int_equal(api_json.reader_end(reader, &doc), -ECANCELED);
    assert_int_equal(calls, 2);
    assert_null(api_json.reader_free(reader));
}

/* A task is told as soon as the next begins, not at the end. */
static void tasks_are_told_at_once(void **state)
{
    (void)state;
    int calls = 0;
    static const char text[] = "{\"Tasks\":[{\"TaskId\":\"task-1\"},";
    static const struct api_handlers handlers = {.on_task = stop_at_second};
    struct api_reader *reader = api_json.reader_new(&handlers, &calls);
    assert_int_equal(api_json.reader_feed(reader, text, strlen(text)), 0);
    assert_int_equal(calls, 1);
    api_json.reader_free(reader);
}

static void readers_may_have_no_handlers(void **state)
{
    (void)state;
    static const struct api_handlers none = {0};
    static const char text[] = "{\"Tasks\":[{}]}";
    const struct api_handlers *const all[] = {&none, NULL};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct api_doc doc;
        struct api_reader *reader = api_json.reader_new(all[i], NULL);
        assert_int_equal(api_json.reader_feed(reader, text, strlen(text)), 0);
        assert_int_equal(api_json.reader_end(reader, &doc), 0);
        assert_int_equal(doc.kind, API_DOC_TASKS);
        assert_int_equal(api_json.reader_end(reader, &doc), 0);
        assert_int_equal(api_json.reader_feed(reader, text, strlen(text)), -EBADMSG);
        api_json.reader_free(reader);
    }
    assert_null(api_json.reader_free(NULL));
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
    unsigned seed = 20261126;
    struct buf text = file_read("tasks-list.v13.json"), out = BUF_INIT(1024 * 1024),
               again = BUF_INIT(1024 * 1024);
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
        cmocka_unit_test(documents_are_known_by_their_members),
        cmocka_unit_test(limits_hold_exactly),
        cmocka_unit_test(nodes_are_bounded),
        cmocka_unit_test(handler_stops_the_reading),
        cmocka_unit_test(tasks_are_told_at_once),
        cmocka_unit_test(readers_may_have_no_handlers),
        cmocka_unit_test(nothing_is_an_empty_document),
        cmocka_unit_test(damage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
