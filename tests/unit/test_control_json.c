/* The JSON of the control socket: what is written, and what bodies are taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/control_json.h"

#define PLAN_BYTES 64

/* Each document must be JSON, and this text. */
static void is_text(const struct buf *out, const char *expected)
{
    json_t *json = json_loads(buf_str(out), JSON_REJECT_DUPLICATES, NULL);
    assert_string_equal(buf_str(out), expected);
    assert_non_null(json);
    json_decref(json);
}

#define RUN_TEXT                                                                                             \
    "{\"run\":\"01KB\",\"plan\":\"p\\u001b[31m\",\"file\":\"p.yaml\",\"server\":\"prod\",\"origin\":"        \
    "\"spool\","                                                                                             \
    "\"state\":\"running\",\"phase\":\"cloning\",\"trouble\":null,\"accepted\":\"2026-11-23T14:00:00Z\","    \
    "\"started\":\"2026-11-23T14:00:01Z\",\"finished\":null,\"totals\":{\"items\":9,\"pending\":1,"          \
    "\"running\":2,\"in_doubt\":3,\"succeeded\":1,\"skipped\":0,\"failed\":1,\"cancelled\":0,\"unknown\":1}" \
    "}"

static const struct control_run run = {.id = "01KB",
                                       .plan = "p\033[31m",
                                       .file = "p.yaml",
                                       .server = "prod",
                                       .origin = "spool",
                                       .state = "running",
                                       .phase = "cloning",
                                       .accepted_ms = 1795442400000,
                                       .started_ms = 1795442401999,
                                       .counts = {9, 1, 2, 3, 1, 0, 1, 0, 1}};

static void runs_are_written(void **state)
{
    (void)state;
    _cleanup_(buf_done) struct buf out = BUF_INIT(4096), list = BUF_INIT(4096), none = BUF_INIT(4096);
    assert_int_equal(control_json_run(&out, &run), 0);
    is_text(&out, RUN_TEXT);
    const struct control_run two[] = {run, run};
    assert_int_equal(control_json_runs(&list, two, 2, true), 0);
    is_text(&list, "{\"runs\":[" RUN_TEXT "," RUN_TEXT "],\"more\":true}");
    assert_int_equal(control_json_runs(&none, NULL, 0, false), 0);
    is_text(&none, "{\"runs\":[],\"more\":false}");
}

static void the_status_is_written(void **state)
{
    (void)state;
    _cleanup_(buf_done) struct buf out = BUF_INIT(4096);
    const struct control_backup_server backup_servers[] = {{"vbr01", 3, 40, 200}, {"vbr\n2", 0, 200, 200}};
    const struct control_server server = {.name = "prod",
                                          .url = "https://em:9398",
                                          .state = "unreachable",
                                          .session = "closed",
                                          .message = "no \"route\"",
                                          .in_flight = 1,
                                          .in_flight_limit = 8,
                                          .in_flight_max = 64,
                                          .unreachable_ms = 1795442400000,
                                          .probe_ms = 1795442430000,
                                          .rests_ms = 1795442460000,
                                          .backup_servers = backup_servers,
                                          .n_backup_servers = 2,
                                          .tasks = 3,
                                          .tasks_max = 200};
    const struct control_status status = {.version = "1.0",
                                          .started_ms = 1795442400000,
                                          .state_directory = "/s",
                                          .running = 1,
                                          .queued = 2,
                                          .paused = 3,
                                          .runs_max = 4,
                                          .plan_bytes = 5,
                                          .plan_items = 6,
                                          .servers = &server,
                                          .n_servers = 1};
    assert_int_equal(control_json_status(&out, &status), 0);
    is_text(
        &out,
        "{\"version\":\"1.0\",\"started\":\"2026-11-23T14:00:00Z\",\"reloaded\":null,"
        "\"state_directory\":\"/s\",\"spool_directory\":null,\"trouble\":null,"
        "\"runs\":{\"running\":1,\"queued\":2,\"paused\":3,\"max\":4},"
        "\"limits\":{\"plan_bytes\":5,\"plan_items\":6},\"servers\":[{\"server\":\"prod\","
        "\"url\":\"https://em:9398\",\"state\":\"unreachable\",\"session\":\"closed\","
        "\"message\":\"no \\\"route\\\"\",\"unreachable\":{\"since\":\"2026-11-23T14:00:00Z\","
        "\"next_probe\":\"2026-11-23T14:00:30Z\"},\"rests_until\":\"2026-11-23T14:01:00Z\","
        "\"in_flight\":{\"now\":1,\"limit\":8,\"max\":64},\"tasks\":{\"now\":3,\"max\":200},"
        "\"backup_servers\":[{\"backup_server\":\"vbr01\",\"tasks\":{\"now\":3,\"limit\":40,"
        "\"max\":200}},{\"backup_server\":\"vbr\\n2\",\"tasks\":{\"now\":0,\"limit\":200,\"max\":200}}]}]}");
}

static void schedules_and_failures_are_written(void **state)
{
    (void)state;
    _cleanup_(buf_done) struct buf out = BUF_INIT(4096), event = BUF_INIT(4096), error = BUF_INIT(4096);
    const struct control_schedule two[] = {{.name = "a", .file = "a.yaml", .error = "broken"},
                                           {.name = "b",
                                            .file = "b.yaml",
                                            .server = "prod",
                                            .calendar = "daily",
                                            .next_ms = 1795442400000,
                                            .last_ms = 1795442400000,
                                            .last_run = "01KB",
                                            .last_state = "failed"}};
    assert_int_equal(control_json_schedules(&out, two, 2), 0);
    is_text(&out,
            "{\"schedules\":[{\"name\":\"a\",\"file\":\"a.yaml\",\"server\":null,\"calendar\":null,"
            "\"error\":\"broken\",\"next\":null,\"last\":null},{\"name\":\"b\",\"file\":\"b.yaml\","
            "\"server\":\"prod\",\"calendar\":\"daily\",\"error\":null,\"next\":\"2026-11-23T14:00:00Z\","
            "\"last\":{\"run\":\"01KB\",\"state\":\"failed\",\"accepted\":\"2026-11-23T14:00:00Z\"}}]}");
    const struct control_failure failure = {"01KB", 7, "n", "failed", "refused", "no", 400};
    assert_int_equal(control_json_failure(&event, &failure), 0);
    is_text(&event, "{\"run\":\"01KB\",\"index\":7,\"name\":\"n\",\"state\":\"failed\",\"code\":\"refused\","
                    "\"message\":\"no\",\"http\":400}");
    assert_int_equal(control_json_error(&error, "busy", "later\n"), 0);
    is_text(&error, "{\"code\":\"busy\",\"message\":\"later\\n\"}");
}

static int preview_item(size_t index, struct control_preview_item *ret, void *data)
{
    (void)data;
    *ret = (struct control_preview_item){.index = (uint32_t)index, .action = "create", .name = "a"};
    if (index == 1)
        *ret = (struct control_preview_item){
            .index = 1, .action = "conflict", .name = "b", .code = "name_conflict", .message = "m"};
    return index == 2 ? -EIO : 0;
}

static void a_preview_is_written_and_counted(void **state)
{
    (void)state;
    _cleanup_(buf_done) struct buf out = BUF_INIT(4096), small = BUF_INIT(64);
    struct control_preview preview = {
        .plan = "p", .file = "p.yaml", .server = "prod", .n_items = 2, .item = preview_item};
#define UNKNOWN                                                                                              \
    "\"kind\":null,\"source\":null,\"source_id\":null,\"repository_uid\":null,\"backup_server\":null,\"job_" \
    "uid\":null,"
    assert_int_equal(control_json_preview(&out, &preview), 0);
    is_text(&out, "{\"plan\":\"p\",\"file\":\"p.yaml\",\"server\":\"prod\",\"items\":[{\"index\":0,"
                  "\"action\":\"create\",\"name\":\"a\"," UNKNOWN "\"error\":null},{\"index\":1,"
                  "\"action\":\"conflict\",\"name\":\"b\"," UNKNOWN
                  "\"error\":{\"code\":\"name_conflict\",\"message\":\"m\"}}],"
                  "\"totals\":{\"items\":2,\"create\":1,\"skip\":0,\"conflict\":1,\"error\":0}}");
    assert_int_equal(control_json_preview(&small, &preview), -ENOBUFS);
    preview.n_items = 3;
    assert_int_equal(control_json_preview(&out, &preview), -EIO);
}

static void a_plan_is_read(void **state)
{
    (void)state;
    static const char text[] =
        "{\"file\":\"p.yaml\",\"plan\":\"version: 1\\n\","
        "\"csv\":[{\"path\":\"a/t.csv\",\"text\":\"\"},{\"path\":\"u.csv\",\"text\":\"\\u017e\"}]}";
    _cleanup_(buf_done) struct buf error = BUF_INIT(4096);
    struct control_plan plan;
    assert_int_equal(control_json_decode_plan((struct bytes){text, strlen(text)}, PLAN_BYTES, &plan, &error),
                     0);
    assert_string_equal(plan.file, "p.yaml");
    assert_string_equal(buf_str(&plan.bytes), "version: 1\n");
    assert_int_equal(plan.n_csv, 2);
    assert_string_equal(plan.csv[0].path, "a/t.csv");
    assert_string_equal(buf_str(&plan.csv[0].bytes), "");
    assert_string_equal(buf_str(&plan.csv[1].bytes), "\xc5\xbe");
    control_plan_done(&plan);
}

#define LONG "0123456789012345678901234567890123456789012345678901234567890123456789"

static void bad_plans_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *body, *reason;
        int result;
    } rows[] = {
        {"", "no good JSON: line 1 column 0: '[' or '{' expected near end of file", -EINVAL},
        {"[]", "must be a JSON object", -EINVAL},
        {"{\"plan\":\"\"}", "\"file\" in the body must be a string", -EINVAL},
        {"{\"file\":\"\",\"plan\":\"\"}", "\"file\" in the body must be a name", -EINVAL},
        {"{\"file\":\"a\\u001b\",\"plan\":\"\"}", "without control characters", -EINVAL},
        {"{\"file\":\"a\",\"plan\":3}", "\"plan\" in the body must be a string", -EINVAL},
        {"{\"file\":\"a\",\"plan\":\"\\u0000\"}", "no good JSON", -EINVAL},
        {"{\"file\":\"a\",\"plan\":\"\xff\"}", "no good JSON", -EINVAL},
        {"{\"file\":\"a\",\"file\":\"b\",\"plan\":\"\"}", "duplicate", -EINVAL},
        {"{\"file\":\"a\",\"plan\":\"\",\"pl\\u001ban\":1}", "unknown member \"pl\\x1ban\" in the body",
         -EINVAL},
        {"{\"file\":\"a\",\"plan\":\"" LONG "\"}", "\"plan\" in the body has 70 bytes", -EFBIG},
        {"{\"file\":\"a\",\"plan\":\"\",\"csv\":{}}", "\"csv\" must be an array", -EINVAL},
        {"{\"file\":\"a\",\"plan\":\"\",\"csv\":[1]}", "must be an object", -EINVAL},
        {"{\"file\":\"a\",\"plan\":\"\",\"csv\":[{\"path\":\"t\"}]}", "\"text\" in t must be a string",
         -EINVAL},
        {"{\"file\":\"a\",\"plan\":\"\",\"csv\":[{\"path\":\"t\",\"text\":\"\",\"x\":1}]}", "unknown member",
         -EINVAL},
        {"{\"file\":\"a\",\"plan\":\"\",\"csv\":[{\"path\":\"t\",\"text\":\"" LONG "\"}]}",
         "\"text\" in t has 70 bytes", -EFBIG},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_(buf_done) struct buf error = BUF_INIT(4096);
        struct control_plan plan;
        struct bytes body = {rows[i].body, strlen(rows[i].body)};
        assert_int_equal(control_json_decode_plan(body, PLAN_BYTES, &plan, &error), rows[i].result);
        if (!strstr(buf_str(&error), rows[i].reason))
            fail_msg("row %zu: \"%s\" lacks \"%s\"", i, buf_str(&error), rows[i].reason);
        control_plan_done(&plan);
    }
}

/* Small texts that would become large trees. */
static void a_body_of_many_values_is_refused_before_it_is_built(void **state)
{
    (void)state;
    for (int nested = 0; nested < 2; nested++) {
        _cleanup_(buf_done) struct buf body = BUF_INIT(1 << 20), error = BUF_INIT(4096);
        struct control_plan plan;
        buf_add_str(&body, "{\"csv\":[\"\\\",,,,\"");
        for (int i = 0; i < 100000; i++)
            buf_add_str(&body, nested ? ",[" : ",0");
        assert_int_equal(
            control_json_decode_plan((struct bytes){body.data, body.len}, PLAN_BYTES, &plan, &error),
            -EINVAL);
        assert_non_null(strstr(buf_str(&error), "too many values"));
        control_plan_done(&plan);
    }
}

static void a_cancel_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int result;
        bool stop_tasks;
    } rows[] = {
        {"", 0, false},
        {"{}", 0, false},
        {"{\"stop_tasks\":true}", 0, true},
        {"{\"stop_tasks\":false}", 0, false},
        {"{\"stop_tasks\":1}", -EINVAL, false},
        {"{\"stop_task\":true}", -EINVAL, false},
        {"true", -EINVAL, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_(buf_done) struct buf error = BUF_INIT(4096);
        bool stop_tasks = true;
        struct bytes body = {rows[i].body, strlen(rows[i].body)};
        assert_int_equal(control_json_decode_cancel(body, &stop_tasks, &error), rows[i].result);
        assert_int_equal(stop_tasks, rows[i].stop_tasks);
        assert_int_equal(error.len > 0, rows[i].result < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_are_written),
        cmocka_unit_test(the_status_is_written),
        cmocka_unit_test(schedules_and_failures_are_written),
        cmocka_unit_test(a_preview_is_written_and_counted),
        cmocka_unit_test(a_plan_is_read),
        cmocka_unit_test(bad_plans_are_refused_with_a_reason),
        cmocka_unit_test(a_body_of_many_values_is_refused_before_it_is_built),
        cmocka_unit_test(a_cancel_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
