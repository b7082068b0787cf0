/* Inputs made to cost as much as possible, read by every parser of foreign bytes:
 * each ends within its time and memory. Replies come in pieces, as they do from the
 * network, and only the longest piece holds up the loop; files are read as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "codec/api.h"
#include "codec/plan_yaml.h"
#include "codec/settings_yaml.h"
#include "meter.h"
#include "model/plan.h"
#include "model/settings.h"

#define PIECE ((size_t)16 * 1024)
#define REPLY_BYTES ((size_t)8 << 20)
#define PLAN_BYTES ((size_t)16 << 20) /* limits.plan_bytes */
#define SLOW_BYTES ((size_t)1 << 20)  /* of a plan or CSV in a build with sanitizers */
#define PLAN_ITEMS 200000
#define SETTINGS_BYTES ((size_t)1 << 20)
#define REPLY_MS 50
#define REPLY_MIB 16
#define SETTINGS_MS 50
#define SETTINGS_MIB 16
/* A whole plan or CSV of the largest size, whatever is in it; not read on the loop. */
#define PLAN_MS 1500
#define PLAN_MIB 256

/* `head`, then `unit` again and again ("@" in it: a running number), then `tail`. */
struct bomb {
    const char *name, *head, *unit, *tail;
};

static size_t plan_bytes(void)
{
    return meter_slowness() > 1 ? SLOW_BYTES : PLAN_BYTES;
}

/* Some units in one piece, for speed; the numbered ones from `number` on. */
static struct buf units(const char *unit, unsigned *number)
{
    struct buf block = BUF_INIT(8192);
    const char *at = strchr(unit, '@');
    while (block.len < 4096) {
        int r = at ? buf_printf(&block, "%.*s%u%s", (int)(at - unit), unit, (*number)++, at + 1)
                   : buf_add_str(&block, unit);
        assert_int_equal(r, 0);
    }
    return block;
}

static struct buf make(const struct bomb *bomb, size_t bytes)
{
    struct buf text = BUF_INIT(bytes);
    unsigned number = 0;
    assert_int_equal(buf_add_str(&text, bomb->head), 0);
    while (text.len < bytes - 8192 - strlen(bomb->tail)) {
        _cleanup_(buf_done) struct buf block = units(bomb->unit, &number);
        assert_int_equal(buf_add(&text, block.data, block.len), 0);
    }
    assert_int_equal(buf_add_str(&text, bomb->tail), 0);
    return text;
}

static void judge(const char *name, double ms, double mib, double ms_max, double mib_max)
{
    print_message("%-28s %8.1f ms %7.1f MiB\n", name, ms, mib);
    if (ms > ms_max * meter_slowness() || mib > mib_max)
        fail_msg("%s: %.1f ms, %.1f MiB", name, ms, mib);
}

/* ---- replies ---- */

#define TASKS "<Tasks xmlns='http://www.veeam.com/ent/v1.0'>"

static const struct bomb replies[] = {
    {"xml: nesting", "", "<a>", ""},
    {"xml: nesting with names", "", "<a@>", ""},
    {"xml: namespaces, nested", "", "<a xmlns:x@='y'>", ""},
    {"xml: one tag of attributes", "<a", " a@=''", "/>"},
    {"xml: tags of attributes", TASKS, "<a b0='' b1='' b2='' b3='' b4='' b5='' b6='' b7=''/>", ""},
    {"xml: one tag of namespaces", "<a", " xmlns:a@='b'", "/>"},
    {"xml: as many names", TASKS, "<a@/>", "</Tasks>"},
    {"xml: as many attributes", TASKS, "<a b@=''/>", "</Tasks>"},
    {"xml: long attribute", "<a b='", "x", "'/>"},
    {"xml: long attribute of &amp;", "<a b='", "&amp;", "'/>"},
    {"xml: long text", "<a>", "x", "</a>"},
    {"xml: text of references", "<a>", "&#65;", "</a>"},
    {"xml: long name", "<", "x", "/>"},
    {"xml: long comment", "<!--", "x", "--><a/>"},
    {"xml: comments", "<a>", "<!---->", "</a>"},
    {"xml: instructions", "<a>", "<?a b?>", "</a>"},
    {"xml: long instruction", "<?a ", "x", "?><a/>"},
    {"xml: CDATA", "<a><![CDATA[", "x", "]]></a>"},
    {"xml: empty CDATA", "<a>", "<![CDATA[]]>", "</a>"},
    {"xml: entities", "<!DOCTYPE a [<!ENTITY a0 'x'>", "<!ENTITY a@ '&a0;&a0;'>", "]><a>&a9;</a>"},
    {"xml: unknown entities", "<a>", "&a;", "</a>"},
    {"xml: blanks before", "", " ", "<a/>"},
    {"xml: blanks in a tag", "<a", " ", "/>"},
    {"xml: blanks after", "<a/>", "\n", ""},
    {"xml: brackets", "<a>", "]]", "</a>"},
    {"xml: HTML", "<html><body>", "<p>x<br>", ""},
    {"xml: tasks", TASKS, "<Task><TaskId>task-@</TaskId></Task>", "</Tasks>"},
    {"xml: empty tasks", TASKS, "<Task/>", "</Tasks>"},
    {"xml: links of one task", TASKS "<Task><Links>", "<Link Rel='Related' Href='/api/jobs/@'/>",
     "</Links></Task></Tasks>"},
};

static const struct bomb json_replies[] = {
    {"json: nesting [", "", "[", ""},
    {"json: nesting {", "", "{\"a\":", ""},
    {"json: lists in lists", "{\"x\":[", "[[[[[[[[[[[[1]]]]]]]]]]]],", "1]}"},
    {"json: values", "{\"a\":[", "1,", "1]}"},
    {"json: empty objects", "[", "{},", "{}]"},
    {"json: empty tasks", "{\"Tasks\":[", "{},", "{}]}"},
    {"json: members", "{\"a\":0", ",\"k@\":{}", "}"},
    {"json: members of a task", "{\"Tasks\":[{\"a\":0", ",\"k@\":\"v\"", "}]}"},
    {"json: as many members", "{\"x\":[",
     "{\"a@\":{},\"b\":{},\"c\":{},\"d\":{},\"e\":{},\"f\":{},\"g\":{},\"h\":{}},", "1]}"},
    {"json: lists of an object", "{\"a\":0", ",\"k@\":[1,2,3]", "}"},
    {"json: same key", "{\"a\":0", ",\"a\":0", "}"},
    {"json: colons", "{\"a\"", ":", "}"},
    {"json: long text", "{\"Message\":\"", "x", "\"}"},
    {"json: long key", "{\"", "x", "\":1}"},
    {"json: texts", "{\"x\":[", "\"\\u20ac\\ud83d\\ude00\",", "1]}"},
    {"json: escapes", "{\"Message\":\"", "\\u0041", "\"}"},
    {"json: keys of escapes", "{\"a\":0", ",\"\\u0041\\u0041\\u0041\\u0041@\":0", "}"},
    {"json: long number", "{\"StatusCode\":", "9", "}"},
    {"json: long fraction", "{\"StatusCode\":0.", "7", "}"},
    {"json: numbers", "{\"x\":[", "1e308,0.1234567890123456789,", "1]}"},
    {"json: blanks", "{\"Tasks\":[", " ", "]}"},
    {"json: not UTF-8", "{\"x\":[", "\"\xff\",", "1]}"},
    {"json: tasks", "{\"Tasks\":[", "{\"TaskId\":\"task-@\",\"State\":\"Running\"},", "{}]}"},
    {"json: links of one task", "{\"Tasks\":[{\"Links\":[", "{\"Rel\":\"Related\",\"Href\":\"/api/jobs/@\"},",
     "{}]}]}"},
    {"json: machines of one job", "{\"Jobs\":[{\"Includes\":{\"ObjectInJobs\":[",
     "{\"Name\":\"vm@\",\"Order\":1},", "{}]}}]}"},
};

static void replies_in_pieces(const struct api_format *format, const struct bomb *bombs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_(buf_done) struct buf text = make(&bombs[i], REPLY_BYTES);
        struct api_doc doc;
        struct meter all, piece;
        double longest = 0;
        meter_start(&all);
        struct api_reader *reader = format->reader_new(NULL, NULL);
        assert_non_null(reader);
        for (size_t at = 0; at < text.len; at += PIECE) {
            piece.began_ms = 0;
            piece.heap = all.heap;
            double before = meter_ms(&piece);
            int r =
                format->reader_feed(reader, text.data + at, text.len - at < PIECE ? text.len - at : PIECE);
            double took = meter_ms(&piece) - before;
            longest = took > longest ? took : longest;
            if (r < 0)
                break;
        }
        format->reader_end(reader, &doc);
        judge(bombs[i].name, longest, meter_heap_mib(&all), REPLY_MS, REPLY_MIB);
        format->reader_free(reader);
    }
}

static void replies_in_xml(void **state)
{
    (void)state;
    replies_in_pieces(&api_xml, replies, ARRAY_SIZE(replies));
}

static void replies_in_json(void **state)
{
    (void)state;
    replies_in_pieces(&api_json, json_replies, ARRAY_SIZE(json_replies));
}

/* ---- files in YAML ---- */

#define PLAN_HEAD "version: 1\nname: bomb\nserver: prod\nclones:\n"
#define PLAN_CLONE PLAN_HEAD "  - {source: T, repository: R, name: '"

static const struct bomb files[] = {
    {"yaml: nesting [", "", "[", ""},
    {"yaml: nesting {", "", "{a: ", ""},
    {"yaml: nesting -", "", "- ", ""},
    {"yaml: nesting ?", "", "? ", ""},
    {"yaml: nesting by blanks", "a:\n", "  - - - -\n", ""},
    {"yaml: directives", "", "%TAG !a@! x\n", "--- a\n"},
    {"yaml: directives, CR", "", "%TAG !a@! x\r", "--- a\n"},
    {"yaml: directives, NEL", "", "%TAG !a@! x\xc2\x85", "--- a\n"},
    {"yaml: directives, second", "a: 1\n...\n", "%TAG !a@! x\n", "--- a\n"},
    {"yaml: comments", "", "#\n", ""},
    {"yaml: long comment", "#", "x", ""},
    {"yaml: empty lines", "", "\n", ""},
    {"yaml: aliases", "a: [", "*a,", "]"},
    {"yaml: anchors", "a: [", "&a b,", "]"},
    {"yaml: laughs", "a0: &a0 [x]\n", "a@: &b [*a0, *a0]\n", ""},
    {"yaml: duplicate keys", "", "a: 1\n", ""},
    {"yaml: keys", "", "a@: 1\n", ""},
    {"yaml: values", "a: [", "b,", "]"},
    {"yaml: commas", "[", ",", "]"},
    {"yaml: colons", "a", ":", ""},
    {"yaml: long plain text", "a: ", "x", ""},
    {"yaml: long quoted text", "a: \"", "x", "\""},
    {"yaml: quotes without an end", "a: \"", "x", ""},
    {"yaml: escapes", "a: \"", "\\u0041", "\""},
    {"yaml: block text", "a: |\n", " x\n", ""},
    {"yaml: folded text", "a: >\n", " x\n\n", ""},
    {"yaml: tabs", "a:", "\t", ""},
    {"yaml: documents", "", "---\n", ""},
    {"yaml: not UTF-8", "a: ", "\xff", ""},
};

static const struct bomb plans[] = {
    {"plan: clones that are none", PLAN_HEAD, "- b\n", ""},
    {"plan: empty clones", PLAN_HEAD, "- {}\n", ""},
    {"plan: clones of one name", PLAN_HEAD, "- {source: a, name: b}\n", ""},
    {"plan: clones", PLAN_HEAD, "- {source: a, repository: b, name: c@}\n", ""},
    {"plan: variables", PLAN_CLONE, "${date}", "'}\n"},
    {"plan: unknown variables", PLAN_CLONE, "${a}", "'}\n"},
    {"plan: variables without an end", PLAN_CLONE, "${", "'}\n"},
    {"plan: literal ${", PLAN_CLONE, "$${", "'}\n"},
    {"plan: for_each of for_each", PLAN_HEAD,
     "- {for_each: {count: 200000}, source: a, repository: b, name: '${index}'}\n", ""},
};

static void decode_settings(const struct buf *text)
{
    const struct settings_source source = {"bomb.yaml", {text->data, text->len}};
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    struct settings *settings = NULL;
    if (settings_yaml_decode(&source, 1, &settings, &diag) == 0)
        settings_free(settings);
}

static int read_csv(const char *path, struct buf *ret, void *data)
{
    const struct buf *csv = data;
    (void)path;
    return buf_add(ret, buf_str(csv), csv->len);
}

static void decode_plan(struct bytes text, struct buf *csv)
{
    struct plan_yaml_options options = {.file = "bomb.yaml",
                                        .plan_bytes = PLAN_BYTES,
                                        .plan_items = PLAN_ITEMS,
                                        .accepted_ms = INT64_C(1795442400000),
                                        .read_csv = read_csv,
                                        .data = csv};
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    struct plan *plan = NULL;
    if (plan_yaml_decode(text, &options, &plan, &diag) == 0)
        plan_free(plan);
}

static void settings_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_(buf_done) struct buf text = make(&files[i], SETTINGS_BYTES);
        struct meter meter;
        meter_start(&meter);
        decode_settings(&text);
        judge(files[i].name, meter_ms(&meter), meter_heap_mib(&meter), SETTINGS_MS, SETTINGS_MIB);
    }
}

static void plan_file(const struct bomb *bomb)
{
    _cleanup_(buf_done) struct buf text = make(bomb, plan_bytes()), csv = BUF_INIT(1024);
    struct meter meter;
    meter_start(&meter);
    decode_plan((struct bytes){text.data, text.len}, &csv);
    judge(bomb->name, meter_ms(&meter), meter_heap_mib(&meter), PLAN_MS, PLAN_MIB);
}

static void plan_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        plan_file(&files[i]);
    for (size_t i = 0; i < ARRAY_SIZE(plans); i++)
        plan_file(&plans[i]);
}

/* ---- CSV ---- */

static const struct bomb csvs[] = {
    {"csv: rows", "a,b\n", "x@,y\n", ""},
    {"csv: columns", "", "a@,", ""},
    {"csv: columns of a row", "a\n", "x,", ""},
    {"csv: long cell", "a\n", "x", ""},
    {"csv: long quoted cell", "a\n\"", "x", "\"\n"},
    {"csv: lines of one cell", "a\n\"", "\n", "\"\n"},
    {"csv: quotes", "a\n\"", "\"\"", "\"\n"},
    {"csv: quotes without an end", "a\n", "\"", ""},
    {"csv: stray quotes", "a\n", "x\"\n", ""},
    {"csv: empty lines", "a\n", "\n", ""},
    {"csv: carriage returns", "a\n", "\r", ""},
    {"csv: empty cells", "a\n", "\"\"\n", ""},
    {"csv: long header", "", "x", ""},
    {"csv: not UTF-8", "a\n", "\xff\n", ""},
    {"csv: dollars", "a\n", "$", ""},
};

static void csv_files(void **state)
{
    static const char plan[] = PLAN_HEAD "  - {for_each: {csv: rows.csv}, source: '${a}', repository: R, "
                                         "name: '${a} ${index} ${source.name}', description: '${a}'}\n";
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(csvs); i++) {
        _cleanup_(buf_done) struct buf csv = make(&csvs[i], plan_bytes());
        struct meter meter;
        meter_start(&meter);
        decode_plan((struct bytes){plan, sizeof(plan) - 1}, &csv);
        judge(csvs[i].name, meter_ms(&meter), meter_heap_mib(&meter), PLAN_MS, PLAN_MIB);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replies_in_xml), cmocka_unit_test(replies_in_json),
                                       cmocka_unit_test(settings_files), cmocka_unit_test(plan_files),
                                       cmocka_unit_test(csv_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
