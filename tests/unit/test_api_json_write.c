/* Clone bodies in JSON: the exact bytes, what the samples say, and that any text
 * comes back whole; and that both formats say the same of any clone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/api.h"

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

static void encode(const struct api_format *format, const struct api_clone *clone, struct buf *body)
{
    *body = BUF_INIT(1024 * 1024);
    assert_int_equal(format->encode_clone(clone, body), 0);
}

static void body_is_this(const struct api_clone *clone, const char *expect)
{
    struct buf body;
    encode(&api_json, clone, &body);
    assert_string_equal(buf_str(&body), expect);
    buf_done(&body);
}

static void bodies_are_exact(void **state)
{
    (void)state;
    body_is_this(&samples[0],
                 "{\"BackupJobCloneInfo\":{\"JobName\":\"web-017 daily\",\"FolderName\":\"web-017 "
                 "daily\",\"RepositoryUid\":\"" REPOSITORY "\",\"Description\":\"batch 20261 row 17\"}}");
    body_is_this(&samples[1], "{\"ReplicaJobCloneInfo\":{\"JobName\":\"web-017 replica\",\"VmSuffix\":"
                              "\"_replica\",\"Description\":\"batch 20261 row 18\"}}");
    struct api_clone odd = {.kind = JOB_KIND_REPLICA, .name = "\"\\/\t\r\n\xe2\x82\xac\xf0\x9f\x98\x80"};
    body_is_this(&odd, "{\"ReplicaJobCloneInfo\":{\"JobName\":\"\\\"\\\\/\\t\\r\\n\xe2\x82\xac\xf0\x9f\x98"
                       "\x80\"}}");
    struct api_clone empty = {.kind = JOB_KIND_REPLICA, .name = "n", .vm_suffix = ""};
    body_is_this(&empty, "{\"ReplicaJobCloneInfo\":{\"JobName\":\"n\",\"VmSuffix\":\"\"}}");
}

static void bodies_say_what_the_samples_say(void **state)
{
    (void)state;
    static const char *const files[] = {"clone-backup", "clone-replica", "clone-backup-copy",
                                        "clone-immediate-copy"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/api-json/bodies/%s.json", TEST_DATA_DIR, files[i]);
        json_t *sample = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(sample);
        struct buf body;
        encode(&api_json, &samples[i], &body);
        json_t *ours = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
        assert_true(json_equal(sample, ours));
        json_decref(sample);
        json_decref(ours);
        buf_done(&body);
    }
}

/* ---- both formats ---- */

/* One character that XML can carry, mostly a dangerous one. */
static void add_random_char(struct buf *text, unsigned *seed)
{
    static const char *const dangerous[] = {
        "&",
        "<",
        ">",
        "\"",
        "'",
        "\t",
        "\n",
        "\r",
        " ",
        "]]>",
        "\\",
        "\\u0000",
        "\\\"",
        "/",
        "\x7f",
        "\xc2\x85",
        "\xe2\x80\xa8",
        "\xef\xbf\xbd",
        "{",
        "},",
        "\xf0\x9f\x98\x80",
    };
    unsigned dice = (unsigned)rand_r(seed);
    if (dice % 3 == 0)
        buf_add_char(text, (char)(' ' + (dice >> 8) % 95));
    else
        buf_add_str(text, dangerous[(dice >> 8) % ARRAY_SIZE(dangerous)]);
}

static const char *random_text(struct buf *text, unsigned *seed)
{
    *text = BUF_INIT(64 * 1024);
    for (unsigned n = (unsigned)rand_r(seed) % 40; n; n--)
        add_random_char(text, seed);
    return rand_r(seed) % 10 ? buf_str(text) : NULL;
}

/* Each field of the XML body is in the JSON one, with that text, and no other. */
static void same_fields(const struct buf *xml, const struct buf *json)
{
    xmlDocPtr doc = xmlReadMemory(xml->data, (int)xml->len, NULL, NULL, XML_PARSE_NONET);
    json_t *root = json_loadb(json->data, json->len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(doc);
    assert_non_null(root);
    assert_int_equal(json_object_size(root), 1);
    xmlNodePtr info = xmlFirstElementChild(xmlDocGetRootElement(doc));
    json_t *object = json_object_get(root, (const char *)info->name);
    assert_non_null(object);
    size_t n = 0;
    for (xmlNodePtr field = xmlFirstElementChild(info); field; field = xmlNextElementSibling(field), n++) {
        xmlChar *text = xmlNodeGetContent(field);
        const char *ours = json_string_value(json_object_get(object, (const char *)field->name));
        assert_non_null(ours);
        assert_string_equal(ours, (const char *)text);
        xmlFree(text);
    }
    assert_int_equal(json_object_size(object), n);
    xmlFreeDoc(doc);
    json_decref(root);
}

static void both_formats_say_the_same(void **state)
{
    (void)state;
    unsigned seed = 4712;
    for (int round = 0; round < 3000; round++) {
        struct buf texts[5], name, xml, json;
        random_text(&name, &seed);
        struct api_clone clone = {.kind = (enum job_kind)(1 + rand_r(&seed) % (JOB_KIND_COUNT - 1)),
                                  .name = buf_str(&name),
                                  .folder = random_text(&texts[0], &seed),
                                  .file = random_text(&texts[1], &seed),
                                  .vm_suffix = random_text(&texts[2], &seed),
                                  .repository_uid = random_text(&texts[3], &seed),
                                  .description = random_text(&texts[4], &seed),
                                  .table_order = rand_r(&seed) % 2};
        encode(&api_xml, &clone, &xml);
        encode(&api_json, &clone, &json);
        same_fields(&xml, &json);
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
            buf_done(&texts[i]);
        buf_done(&name);
        buf_done(&xml);
        buf_done(&json);
    }
}

/* ---- what cannot be sent ---- */

static void refused(const struct api_clone *clone, int error)
{
    struct buf body = BUF_INIT(4096);
    assert_int_equal(buf_add_str(&body, "before"), 0);
    assert_int_equal(api_json.encode_clone(clone, &body), error);
    assert_string_equal(buf_str(&body), "before");
    assert_int_equal(body.len, 6);
    buf_done(&body);
}

static void what_xml_cannot_carry_is_refused_too(void **state)
{
    (void)state;
    static const char *const texts[] = {"\x01", "a\x08", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xef\xbf\xbe"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct api_clone name = samples[0], about = samples[1], file = samples[2], uid = samples[3];
        name.name = about.description = file.file = uid.repository_uid = texts[i];
        refused(&name, -EINVAL);
        refused(&about, -EINVAL);
        refused(&file, -EINVAL);
        refused(&uid, -EINVAL);
    }
    refused(&(struct api_clone){.kind = JOB_KIND_UNKNOWN, .name = "n"}, -EINVAL);
    refused(&(struct api_clone){.kind = JOB_KIND_COUNT, .name = "n"}, -EINVAL);
    refused(&(struct api_clone){.kind = JOB_KIND_BACKUP}, -EINVAL);
}

static void full_buffers_stay_as_they_were(void **state)
{
    (void)state;
    struct buf whole;
    encode(&api_json, &samples[0], &whole);
    for (size_t max = 0; max < whole.len; max++) {
        struct buf body = BUF_INIT(max);
        assert_int_equal(api_json.encode_clone(&samples[0], &body), -ENOBUFS);
        assert_int_equal(body.len, 0);
        buf_done(&body);
    }
    buf_done(&whole);
}

static void formats_are_known_by_their_settings(void **state)
{
    (void)state;
    assert_ptr_equal(api_format_of(SETTINGS_FORMAT_XML), &api_xml);
    assert_ptr_equal(api_format_of(SETTINGS_FORMAT_JSON), &api_json);
    assert_string_equal(api_xml.media_type, "application/xml");
    assert_string_equal(api_json.media_type, "application/json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_exact),
        cmocka_unit_test(bodies_say_what_the_samples_say),
        cmocka_unit_test(both_formats_say_the_same),
        cmocka_unit_test(what_xml_cannot_carry_is_refused_too),
        cmocka_unit_test(full_buffers_stay_as_they_were),
        cmocka_unit_test(formats_are_known_by_their_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
