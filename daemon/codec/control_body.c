/* The bodies of requests on the control socket. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/control_json.h"

#define VALUES_MAX \
    4096 /* a document may have so many: what jansson builds of one is much larger than its text */
#define CSV_MAX 256
#define NAME_MAX_BYTES 4096

/* No more values and nesting than any good body has, seen before anything is built. */
static bool too_many_values(struct bytes body)
{
    size_t n = 0;
    bool in_string = false;
    for (size_t i = 0; i < body.len && n <= VALUES_MAX; i++) {
        char c = body.data[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string)
            n += c == ',' || c == '[' || c == '{';
    }
    return n > VALUES_MAX;
}

static int parse(struct bytes body, json_t **ret, struct buf *ret_error)
{
    json_error_t error;
    if (too_many_values(body)) {
        buf_add_str(ret_error, "the body has too many values; see docs/control-api.md for what it may hold");
        return -EINVAL;
    }
    *ret = json_loadb(body.data ? body.data : "", body.len, JSON_REJECT_DUPLICATES, &error);
    if (*ret && json_is_object(*ret))
        return 0;
    if (*ret)
        buf_add_str(ret_error, "the body must be a JSON object");
    else if (json_error_code(&error) == json_error_out_of_memory)
        return -ENOMEM;
    else {
        buf_printf(ret_error, "the body is no good JSON: line %d column %d: ", error.line, error.column);
        text_escape(ret_error, error.text);
    }
    return -EINVAL;
}

static int known_members(json_t *object, const char *const *known, size_t n, const char *where,
                         struct buf *ret_error)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (i < n && strcmp(known[i], key) != 0)
            i++;
        if (i < n)
            continue;
        buf_printf(ret_error, "unknown member \"");
        text_escape(ret_error, key);
        buf_printf(ret_error, "\" in %s", where);
        return -EINVAL;
    }
    return 0;
}

/* A string member without NUL characters. */
static int get_string(json_t *object, const char *key, const char *where, const char **ret, size_t *ret_len,
                      struct buf *ret_error)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) {
        buf_printf(ret_error, "\"%s\" in %s must be a string", key, where);
        return -EINVAL;
    }
    *ret = json_string_value(value);
    *ret_len = json_string_length(value);
    return 0;
}

static int get_name(json_t *object, const char *key, const char *where, char **ret, struct buf *ret_error)
{
    const char *text;
    size_t len;
    int r = get_string(object, key, where, &text, &len, ret_error);
    if (r < 0)
        return r;
    if (len == 0 || len > NAME_MAX_BYTES || text_has_control(text)) {
        buf_printf(ret_error, "\"%s\" in %s must be a name of 1 to %d bytes without control characters", key,
                   where, NAME_MAX_BYTES);
        return -EINVAL;
    }
    *ret = strdup(text);
    return *ret ? 0 : -ENOMEM;
}

static int get_file(json_t *object, const char *key, const char *where, size_t plan_bytes, struct buf *ret,
                    struct buf *ret_error)
{
    const char *text;
    size_t len;
    int r = get_string(object, key, where, &text, &len, ret_error);
    if (r < 0)
        return r;
    *ret = BUF_INIT(plan_bytes);
    r = buf_add(ret, text, len);
    if (r == -ENOBUFS) {
        buf_printf(ret_error, "\"%s\" in %s has %zu bytes, more than limits.plan_bytes (%zu) of the settings",
                   key, where, len, plan_bytes);
        return -EFBIG;
    }
    return r;
}

static int take_csv(json_t *list, size_t plan_bytes, struct control_plan *plan, struct buf *ret_error)
{
    static const char *const known[] = {"path", "text"};
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > CSV_MAX) {
        buf_printf(ret_error, "\"csv\" must be an array of at most %d files", CSV_MAX);
        return -EINVAL;
    }
    plan->csv = calloc(n ? n : 1, sizeof(*plan->csv));
    if (!plan->csv)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        json_t *file = json_array_get(list, i);
        plan->n_csv++;
        if (!json_is_object(file)) {
            buf_add_str(ret_error, "a file of \"csv\" must be an object");
            return -EINVAL;
        }
        r = known_members(file, known, ARRAY_SIZE(known), "a file of \"csv\"", ret_error);
        if (r == 0)
            r = get_name(file, "path", "a file of \"csv\"", &plan->csv[i].path, ret_error);
        if (r == 0)
            r = get_file(file, "text", plan->csv[i].path, plan_bytes, &plan->csv[i].bytes, ret_error);
    }
    return r;
}

int control_json_decode_plan(struct bytes body, size_t plan_bytes, struct control_plan *ret,
                             struct buf *ret_error)
{
    static const char *const known[] = {"file", "plan", "csv"};
    _cleanup_(json_decrefp) json_t *root = NULL;
    *ret = (struct control_plan){0};
    int r = parse(body, &root, ret_error);
    if (r == 0)
        r = known_members(root, known, ARRAY_SIZE(known), "the body", ret_error);
    if (r == 0)
        r = get_name(root, "file", "the body", &ret->file, ret_error);
    if (r == 0)
        r = get_file(root, "plan", "the body", plan_bytes, &ret->bytes, ret_error);
    json_t *csv = json_object_get(root, "csv");
    if (r == 0 && csv)
        r = take_csv(csv, plan_bytes, ret, ret_error);
    return r;
}

int control_json_decode_cancel(struct bytes body, bool *ret_stop_tasks, struct buf *ret_error)
{
    static const char *const known[] = {"stop_tasks"};
    _cleanup_(json_decrefp) json_t *root = NULL;
    *ret_stop_tasks = false;
    if (body.len == 0)
        return 0;
    int r = parse(body, &root, ret_error);
    if (r == 0)
        r = known_members(root, known, ARRAY_SIZE(known), "the body", ret_error);
    json_t *value = json_object_get(root, "stop_tasks");
    if (r == 0 && value && !json_is_boolean(value)) {
        buf_add_str(ret_error, "\"stop_tasks\" in the body must be true or false");
        r = -EINVAL;
    }
    if (r == 0)
        *ret_stop_tasks = json_is_true(value);
    return r;
}

void control_plan_done(struct control_plan *plan)
{
    for (size_t i = 0; i < plan->n_csv; i++) {
        free(plan->csv[i].path);
        buf_done(&plan->csv[i].bytes);
    }
    free(plan->csv);
    free(plan->file);
    buf_done(&plan->bytes);
    *plan = (struct control_plan){0};
}
