/* Clone bodies in XML: the exact bytes, the order of the documented examples
 * (wire reference 3.1), and that any text comes back whole from a parser that is
 * not ours (libxml2's tree). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/api.h"

#define HEAD \
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<JobCloneSpec xmlns=\"http://www.veeam.com/ent/v1.0\">"
#define TAIL "</JobCloneSpec>\n"
#define REPOSITORY "urn:veeam:Repository:9b4c807a-9966-4d35-b21e-7eb4a7bcae72"

/* The four of the samples; each gives fields that its kind lacks as well. */
static const struct api_clone samples[] = {
    {.kind = JOB_KIND_BACKUP,
     .name = "web-017 daily",
     .folder = "web-017 daily",
     .file = "not sent",
     .vm_suffix = "not sent",
     .repository_uid = REPOSITORY,
     .description = "batch 20261 row 17"},
    {.kind = JOB_KIND_REPLICA,
     .name = "web-017 replica",
     .folder = "not sent",
     .file = "not sent",
     .vm_suffix = "_replica",
     .repository_uid = "not sent",
     .description = "batch 20261 row 18"},
    {.kind = JOB_KIND_BACKUP_COPY,
     .name = "web-017 copy",
     .folder = "not sent",
     .file = "web-017 copy",
     .vm_suffix = "not sent",
     .repository_uid = REPOSITORY,
     .description = "batch 20261 row 19"},
    {.kind = JOB_KIND_IMMEDIATE_COPY,
     .name = "web-017 mirror",
     .folder = "not sent",
     .file = "web-017 mirror",
     .vm_suffix = "not sent",
     .repository_uid = REPOSITORY,
     .description = "batch 20261 row 20"},
};

static void encode(const struct api_clone *clone, struct buf *body)
{
    *body = BUF_INIT(1024 * 1024);
    assert_int_equal(api_xml.encode_clone(clone, body), 0);
}

static void body_is_this(const struct api_clone *clone, const char *expect)
{
    struct buf body;
    encode(clone, &body);
    assert_string_equal(buf_str(&body), expect);
    assert_int_equal(body.len, strlen(expect));
    buf_done(&body);
}

static void bodies_are_exact(void **state)
{
    (void)state;
    body_is_this(&samples[0],
                 HEAD "<BackupJobCloneInfo><JobName>web-017 daily</JobName><FolderName>web-017 daily"
                      "</FolderName><RepositoryUid>" REPOSITORY "</RepositoryUid><Description>batch "
                      "20261 row 17</Description></BackupJobCloneInfo>" TAIL);
    body_is_this(&samples[1], HEAD "<ReplicaJobCloneInfo><JobName>web-017 replica</JobName><VmSuffix>_replica"
                                   "</VmSuffix><Description>batch 20261 row 18</Description>"
                                   "</ReplicaJobCloneInfo>" TAIL);
    body_is_this(&samples[3],
                 HEAD "<ImmediateBackupCopyJobCloneInfo><JobName>web-017 mirror</JobName><Description>"
                      "batch 20261 row 20</Description><RepositoryUid>" REPOSITORY
                      "</RepositoryUid><JobFileName>web-017 mirror</JobFileName>"
                      "</ImmediateBackupCopyJobCloneInfo>" TAIL);
}

/* The table of the documentation has another order than its example. */
static void immediate_copies_have_a_second_order(void **state)
{
    (void)state;
    struct api_clone copy = samples[3];
    copy.table_order = true;
    body_is_this(&copy, HEAD "<ImmediateBackupCopyJobCloneInfo><JobName>web-017 mirror</JobName><JobFileName>"
                             "web-017 mirror</JobFileName><RepositoryUid>" REPOSITORY
                             "</RepositoryUid><Description>batch 20261 row 20</Description>"
                             "</ImmediateBackupCopyJobCloneInfo>" TAIL);
    for (size_t i = 0; i < 3; i++) { /* the other kinds have but one */
        struct api_clone other = samples[i];
        struct buf usual, table;
        encode(&other, &usual);
        other.table_order = true;
        encode(&other, &table);
        assert_string_equal(buf_str(&usual), buf_str(&table));
        buf_done(&usual);
        buf_done(&table);
    }
}

static void missing_texts_are_left_out(void **state)
{
    (void)state;
    struct api_clone clone = {.kind = JOB_KIND_REPLICA, .name = "n", .vm_suffix = ""};
    body_is_this(&clone, HEAD
                 "<ReplicaJobCloneInfo><JobName>n</JobName><VmSuffix></VmSuffix></ReplicaJobCloneInfo>" TAIL);
}

static void special_characters_are_escaped(void **state)
{
    (void)state;
    struct api_clone clone = {.kind = JOB_KIND_REPLICA, .name = "<a> & \"b\" 'c' ]]>\t\r\n\xe2\x82\xac"};
    body_is_this(&clone, HEAD "<ReplicaJobCloneInfo><JobName>&lt;a&gt; &amp; &quot;b&quot; &apos;c&apos; "
                              "]]&gt;&#9;&#13;&#10;\xe2\x82\xac</JobName></ReplicaJobCloneInfo>" TAIL);
}

/* ---- against libxml2's tree ---- */

static xmlDocPtr tree(const char *data, size_t len)
{
    xmlDocPtr doc = xmlReadMemory(data, (int)len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOBLANKS);
    assert_non_null(doc);
    assert_string_equal((const char *)xmlDocGetRootElement(doc)->name, "JobCloneSpec");
    return doc;
}

/* "Element: Child=text;Child=text;", in the order of the document. */
static struct buf tree_text(xmlDocPtr doc)
{
    struct buf out = BUF_INIT(1024 * 1024);
    xmlNodePtr info = xmlFirstElementChild(xmlDocGetRootElement(doc));
    assert_non_null(info);
    assert_null(xmlNextElementSibling(info));
    buf_printf(&out, "%s: ", (const char *)info->name);
    for (xmlNodePtr n = xmlFirstElementChild(info); n; n = xmlNextElementSibling(n)) {
        assert_non_null(n->ns);
        assert_string_equal((const char *)n->ns->href, "http://www.veeam.com/ent/v1.0");
        xmlChar *text = xmlNodeGetContent(n);
        buf_printf(&out, "%s=%s;", (const char *)n->name, (const char *)text);
        xmlFree(text);
    }
    return out;
}

static void bodies_say_what_the_samples_say(void **state)
{
    (void)state;
    static const char *const files[] = {"clone-backup", "clone-replica", "clone-backup-copy",
                                        "clone-immediate-copy"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/api/%s.xml", TEST_DATA_DIR, files[i]);
        xmlDocPtr sample = xmlReadFile(path, NULL, XML_PARSE_NONET | XML_PARSE_NOBLANKS);
        assert_non_null(sample);
        struct buf body;
        encode(&samples[i], &body);
        xmlDocPtr ours = tree(body.data, body.len);
        struct buf expect = tree_text(sample), got = tree_text(ours);
        assert_string_equal(buf_str(&got), buf_str(&expect));
        buf_done(&expect);
        buf_done(&got);
        buf_done(&body);
        xmlFreeDoc(sample);
        xmlFreeDoc(ours);
    }
}

/* One character that XML can carry, mostly a dangerous one. */
static void add_random_char(struct buf *text, unsigned *seed)
{
    static const char *const dangerous[] = {"&",
                                            "<",
                                            ">",
                                            "\"",
                                            "'",
                                            "\t",
                                            "\n",
                                            "\r",
                                            " ",
                                            "]]>",
                                            "<![CDATA[",
                                            "&amp;",
                                            "&#x;",
                                            "<!--",
                                            "\x7f",
                                            "\xc2\x85",
                                            "\xe2\x80\xa8",
                                            "\xee\x80\x80",
                                            "\xef\xbf\xbd",
                                            "\xf0\x9f\x98\x80",
                                            "\xf4\x8f\xbf\xbf"};
    unsigned dice = (unsigned)rand_r(seed);
    if (dice % 3 == 0)
        buf_add_char(text, (char)(' ' + (dice >> 8) % 95));
    else
        buf_add_str(text, dangerous[(dice >> 8) % ARRAY_SIZE(dangerous)]);
}

static struct buf random_text(unsigned *seed)
{
    struct buf text = BUF_INIT(64 * 1024);
    for (unsigned n = (unsigned)rand_r(seed) % 40; n; n--)
        add_random_char(&text, seed);
    return text;
}

static void random_texts_come_back_whole(void **state)
{
    (void)state;
    unsigned seed = 4711;
    for (int round = 0; round < 3000; round++) {
        struct buf name = random_text(&seed), folder = random_text(&seed), uid = random_text(&seed),
                   about = random_text(&seed), body, expect = BUF_INIT(1024 * 1024);
        struct api_clone clone = {.kind = JOB_KIND_BACKUP,
                                  .name = buf_str(&name),
                                  .folder = buf_str(&folder),
                                  .repository_uid = buf_str(&uid),
                                  .description = buf_str(&about)};
        encode(&clone, &body);
        /* no blank nodes removed here: a text of blanks alone counts */
        xmlDocPtr doc = xmlReadMemory(body.data, (int)body.len, NULL, NULL, XML_PARSE_NONET);
        assert_non_null(doc);
        struct buf got = tree_text(doc);
        buf_printf(&expect, "BackupJobCloneInfo: JobName=%s;FolderName=%s;RepositoryUid=%s;Description=%s;",
                   clone.name, clone.folder, clone.repository_uid, clone.description);
        assert_string_equal(buf_str(&got), buf_str(&expect));
        xmlFreeDoc(doc);
        struct buf *const all[] = {&name, &folder, &uid, &about, &body, &expect, &got};
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
            buf_done(all[i]);
    }
}

/* ---- what cannot be sent ---- */

static void refused(const struct api_clone *clone, int error)
{
    struct buf body = BUF_INIT(4096);
    assert_int_equal(buf_add_str(&body, "before"), 0);
    assert_int_equal(api_xml.encode_clone(clone, &body), error);
    assert_string_equal(buf_str(&body), "before");
    assert_int_equal(body.len, 6);
    buf_done(&body);
}

static void texts_that_xml_cannot_carry_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"\x01",         "a\x08",        "\x1f",         "\x0b",
                                        "\xff",         "\xc3",         "\xc0\x80",     "\x80",
                                        "\xed\xa0\x80", "\xef\xbf\xbe", "\xef\xbf\xbf", "\xf4\x90\x80\x80"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct api_clone name = samples[0], about = samples[1], file = samples[2], uid = samples[3];
        name.name = about.description = file.file = uid.repository_uid = texts[i];
        refused(&name, -EINVAL);
        refused(&about, -EINVAL);
        refused(&file, -EINVAL);
        refused(&uid, -EINVAL);
        struct api_clone lacks = samples[1]; /* a field that is not sent may hold anything */
        struct buf body;
        lacks.folder = texts[i];
        encode(&lacks, &body);
        buf_done(&body);
    }
}

static void clones_without_kind_or_name_are_refused(void **state)
{
    (void)state;
    refused(&(struct api_clone){.kind = JOB_KIND_UNKNOWN, .name = "n"}, -EINVAL);
    refused(&(struct api_clone){.kind = JOB_KIND_COUNT, .name = "n"}, -EINVAL);
    refused(&(struct api_clone){.kind = JOB_KIND_BACKUP}, -EINVAL);
}

static void full_buffers_stay_as_they_were(void **state)
{
    (void)state;
    struct buf whole;
    encode(&samples[0], &whole);
    for (size_t max = 0; max < whole.len; max++) {
        struct buf body = BUF_INIT(max);
        assert_int_equal(api_xml.encode_clone(&samples[0], &body), -ENOBUFS);
        assert_int_equal(body.len, 0);
        buf_done(&body);
    }
    buf_done(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_exact),
        cmocka_unit_test(immediate_copies_have_a_second_order),
        cmocka_unit_test(missing_texts_are_left_out),
        cmocka_unit_test(special_characters_are_escaped),
        cmocka_unit_test(bodies_say_what_the_samples_say),
        cmocka_unit_test(random_texts_come_back_whole),
        cmocka_unit_test(texts_that_xml_cannot_carry_are_refused),
        cmocka_unit_test(clones_without_kind_or_name_are_refused),
        cmocka_unit_test(full_buffers_stay_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
