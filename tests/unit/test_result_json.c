/* The result as JSON: the exact text, and that any text in it comes through a parser whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/result_json.h"
#include "model/item.h"

#define START 1795442400000 /* 2026-11-23T14:00:00Z */

static const struct result_run run = {.run = "01KB000000000000000000000A",
                                      .plan = "tenant-onboarding",
                                      .file = "onboard.yaml",
                                      .server = "prod",
                                      .state = "failed",
                                      .started_ms = START,
                                      .finished_ms = START + 41999};

static const struct item *item_at(size_t index, void *user)
{
    return (const struct item *)user + index;
}

static const struct item *no_item(size_t index, void *user)
{
    return index < 1 ? user : NULL;
}

static int to_buf(const char *data, size_t len, void *user)
{
    return buf_add(user, data, len);
}

static int count_down(const char *data, size_t len, void *user)
{
    (void)data;
    (void)len;
    int *left = user;
    return (*left)-- > 0 ? 0 : -ENOSPC;
}

static struct buf write_items(const struct result_run *of, struct item *items, size_t n)
{
    struct buf out = BUF_INIT(1024 * 1024);
    struct result_items from = {.n = n, .item = item_at, .user = items};
    struct result_sink sink = {.write = to_buf, .user = &out};
    assert_int_equal(result_json_write(of, &from, &sink), 0);
    return out;
}

static void text_is_that_of_the_contract(void **state)
{
    (void)state;
    struct item items[] = {
        {.index = 0,
         .state = ITEM_SUCCEEDED,
         .kind = JOB_KIND_BACKUP,
         .attempts = 1,
         .verified = true,
         .name = "Tenant 01 Backup",
         .source_name = "Template Backup",
         .server_name = "vbr01",
         .task_id = "task-17",
         .job_uid = "urn:veeam:Job:1",
         .started_ms = START,
         .finished_ms = START + 1500},
        {.index = 1,
         .state = ITEM_FAILED,
         .kind = JOB_KIND_IMMEDIATE_COPY,
         .error = ITEM_E_TASK_FAILED,
         .http = 500,
         .attempts = 6,
         .recovered = true,
         .name = "b",
         .message = "Full"},
        {.index = 2, .state = ITEM_IN_DOUBT, .error = ITEM_E_TASK_TIMEOUT, .name = "c"},
        {.index = 3, .state = ITEM_CANCELLED, .error = ITEM_E_STOPPED, .name = "d"},
    };
    struct buf out = write_items(&run, items, 4);
    assert_string_equal(
        buf_str(&out),
        "{\"version\":1,\"run\":\"01KB000000000000000000000A\",\"plan\":\"tenant-onboarding\","
        "\"file\":\"onboard.yaml\",\"server\":\"prod\",\n"
        " \"state\":\"failed\",\"started\":\"2026-11-23T14:00:00Z\",\"finished\":\"2026-11-23T14:00:41Z\",\n"
        " \"totals\":{\"items\":4,\"succeeded\":1,\"skipped\":0,\"failed\":1,\"cancelled\":1,\"unknown\":0},"
        "\n"
        " \"items\":[\n"
        "  {\"index\":0,\"name\":\"Tenant 01 Backup\",\"kind\":\"Backup\",\"source\":\"Template Backup\","
        "\"backup_server\":\"vbr01\",\"state\":\"succeeded\",\"task\":\"task-17\",\"job_uid\":\"urn:veeam:"
        "Job:1\","
        "\"attempts\":1,\"recovered\":false,\"verified\":true,\"error\":null,"
        "\"started\":\"2026-11-23T14:00:00Z\",\"finished\":\"2026-11-23T14:00:01Z\"},\n"
        "  "
        "{\"index\":1,\"name\":\"b\",\"kind\":\"ImmediateBackupCopy\",\"source\":null,\"backup_server\":null,"
        "\"state\":\"failed\",\"task\":null,\"job_uid\":null,\"attempts\":6,\"recovered\":true,\"verified\":"
        "false,"
        "\"error\":{\"code\":\"task_failed\",\"message\":\"Full\",\"http\":500},\"started\":null,"
        "\"finished\":null},\n"
        "  {\"index\":2,\"name\":\"c\",\"kind\":null,\"source\":null,\"backup_server\":null,"
        "\"state\":\"running\",\"task\":null,\"job_uid\":null,\"attempts\":0,\"recovered\":false,"
        "\"verified\":false,"
        "\"error\":null,\"started\":null,\"finished\":null},\n"
        "  {\"index\":3,\"name\":\"d\",\"kind\":null,\"source\":null,\"backup_server\":null,"
        "\"state\":\"cancelled\",\"task\":null,\"job_uid\":null,\"attempts\":0,\"recovered\":false,"
        "\"verified\":false,\"error\":{\"code\":\"stopped\",\"message\":null,\"http\":null},"
        "\"started\":null,\"finished\":null}]}\n");
    buf_done(&out);
}

static void run_without_times_and_items(void **state)
{
    (void)state;
    struct result_run paused = {.run = "r", .plan = "p", .file = "f", .server = "s", .state = "paused"};
    struct buf out = write_items(&paused, NULL, 0);
    json_t *root = json_loads(buf_str(&out), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_true(json_is_null(json_object_get(root, "started")));
    assert_true(json_is_null(json_object_get(root, "finished")));
    assert_true(json_is_array(json_object_get(root, "items")));
    assert_int_equal(json_array_size(json_object_get(root, "items")), 0);
    json_decref(root);
    buf_done(&out);
}

/* All characters below 256 and some above come back as they were. */
static void strings_come_back_whole(void **state)
{
    (void)state;
    char text[1024];
    size_t len = 0;
    for (unsigned c = 1; c < 256; c++) {
        if (c >= 0x80)
            text[len++] = (char)(0xc0 | (c >> 6));
        text[len++] = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
    }
    strcpy(text + len, "\xe2\x82\xac\xf0\x9f\x98\x80");
    struct item item = {.state = ITEM_FAILED,
                        .error = ITEM_E_REFUSED,
                        .name = text,
                        .message = "a\xff"
                                   "b\xc3"};
    struct buf out = write_items(&run, &item, 1);
    for (size_t i = 0; i < out.len; i++) /* nothing that acts on a terminal */
        assert_true((unsigned char)out.data[i] >= 0x20 || out.data[i] == '\n');
    json_t *root = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    json_t *first = json_array_get(json_object_get(root, "items"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), text);
    assert_string_equal(json_string_value(json_object_get(json_object_get(first, "error"), "message")),
                        "a\xef\xbf\xbd"
                        "b\xef\xbf\xbd");
    json_decref(root);
    buf_done(&out);
}

static void totals_count_every_state(void **state)
{
    (void)state;
    struct item items[ITEM_STATE_COUNT * 2];
    for (int i = 0; i < ITEM_STATE_COUNT * 2; i++)
        items[i] = (struct item){.index = (uint32_t)i, .state = (enum item_state)(i % ITEM_STATE_COUNT)};
    struct result_items from = {.n = ITEM_STATE_COUNT * 2 - 1, .item = item_at, .user = items};
    struct result_totals totals;
    assert_int_equal(result_totals_count(&from, &totals), 0);
    assert_int_equal(totals.items, 17);
    assert_int_equal(totals.succeeded, 2);
    assert_int_equal(totals.skipped, 2);
    assert_int_equal(totals.failed, 2);
    assert_int_equal(totals.cancelled, 2);
    assert_int_equal(totals.unknown, 1);
    assert_int_equal(totals.open, 8);
}

static void errors_are_forwarded(void **state)
{
    (void)state;
    struct item items[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    struct result_items from = {.n = 3, .item = item_at, .user = items};
    int left;
    struct result_sink sink = {.write = count_down, .user = &left};
    for (int writes = 0; writes < 5; writes++) { /* head, three items, end */
        left = writes;
        assert_int_equal(result_json_write(&run, &from, &sink), -ENOSPC);
    }
    left = 5;
    assert_int_equal(result_json_write(&run, &from, &sink), 0);
    from.item = no_item;
    left = 100;
    assert_int_equal(result_json_write(&run, &from, &sink), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_that_of_the_contract), cmocka_unit_test(run_without_times_and_items),
        cmocka_unit_test(strings_come_back_whole),      cmocka_unit_test(totals_count_every_state),
        cmocka_unit_test(errors_are_forwarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
