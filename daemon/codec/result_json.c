#include "codec/result_json.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/text.h"
#include "model/item.h"

#define ITEM_BYTES_MAX (16 * 1024 * 1024)

int result_totals_count(const struct result_items *items, struct result_totals *ret)
{
    struct result_totals totals = {.items = items->n};
    for (size_t i = 0; i < items->n; i++) {
        const struct item *item = items->item(i, items->user);
        if (item == NULL)
            return -EIO;
        switch (item->state) {
        case ITEM_SUCCEEDED:
            totals.succeeded++;
            break;
        case ITEM_SKIPPED:
            totals.skipped++;
            break;
        case ITEM_FAILED:
            totals.failed++;
            break;
        case ITEM_CANCELLED:
            totals.cancelled++;
            break;
        case ITEM_UNKNOWN:
            totals.unknown++;
            break;
        case ITEM_QUEUED:
        case ITEM_SUBMITTING:
        case ITEM_IN_DOUBT:
        case ITEM_RUNNING:
        case ITEM_STATE_COUNT:
            totals.open++;
            break;
        }
    }
    *ret = totals;
    return 0;
}

/* One character of a string; C1 controls and DEL are escaped too, so that a
 * result may be shown on a terminal. */
static int add_char(struct buf *out, uint32_t code, const char *data, size_t len)
{
    switch (code) {
    case '"':
        return buf_add_str(out, "\\\"");
    case '\\':
        return buf_add_str(out, "\\\\");
    case '\n':
        return buf_add_str(out, "\\n");
    case '\r':
        return buf_add_str(out, "\\r");
    case '\t':
        return buf_add_str(out, "\\t");
    default:
        if (code < 0x20 || (code >= 0x7f && code < 0xa0))
            return buf_printf(out, "\\u%04x", (unsigned)code);
        return buf_add(out, data, len);
    }
}

/* A JSON string, or null for NULL. */
static int add_string(struct buf *out, const char *text)
{
    if (text == NULL)
        return buf_add_str(out, "null");
    int r = buf_add_char(out, '"');
    for (size_t left = strlen(text); left > 0 && r == 0;) {
        uint32_t code = 0;
        size_t len = text_utf8_next(text, left, &code);
        r = len > 0 ? add_char(out, code, text, len) : buf_add_str(out, "\xef\xbf\xbd");
        len += len == 0;
        text += len;
        left -= len;
    }
    return r < 0 ? r : buf_add_char(out, '"');
}

static int add_member(struct buf *out, const char *key, const char *text)
{
    int r = buf_add_str(out, key);
    return r < 0 ? r : add_string(out, text);
}

static int add_time(struct buf *out, const char *key, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[64];
    if (wall_ms <= 0 || gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return add_member(out, key, NULL);
    return add_member(out, key, text);
}

static int add_error(struct buf *out, const struct item *item)
{
    if (item->error == ITEM_OK || !item_state_final(item->state)) /* not the last word yet */
        return buf_add_str(out, ",\"error\":null");
    int r = add_member(out, ",\"error\":{\"code\":", item_error_name(item->error));
    if (r == 0)
        r = add_member(out, ",\"message\":", item->message);
    if (r == 0)
        r = item->http != 0 ? buf_printf(out, ",\"http\":%d}", item->http)
                            : buf_add_str(out, ",\"http\":null}");
    return r;
}

static int add_outcome(struct buf *out, const struct item *item)
{
    int r = buf_printf(out, ",\"attempts\":%u,\"recovered\":%s,\"verified\":%s", item->attempts,
                       item->recovered ? "true" : "false", item->verified ? "true" : "false");
    if (r == 0)
        r = add_error(out, item);
    if (r == 0)
        r = add_time(out, ",\"started\":", item->started_ms);
    if (r == 0)
        r = add_time(out, ",\"finished\":", item->finished_ms);
    return r < 0 ? r : buf_add_char(out, '}');
}

static int add_item(struct buf *out, const struct item *item)
{
    const char *kind = job_kind_name(item->kind);
    const struct {
        const char *key, *text;
    } members[] = {
        {",\"name\":", item->name},
        {",\"kind\":", kind[0] != '\0' ? kind : NULL},
        {",\"source\":", item->source_name},
        {",\"backup_server\":", item->server_name},
        {",\"state\":", item_result_name(item->state)},
        {",\"task\":", item->task_id},
        {",\"job_uid\":", item->job_uid},
    };
    int r = buf_printf(out, "{\"index\":%u", item->index);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && r == 0; i++)
        r = add_member(out, members[i].key, members[i].text);
    return r < 0 ? r : add_outcome(out, item);
}

static int add_head(struct buf *out, const struct result_run *run, const struct result_totals *totals)
{
    int r = add_member(out, "{\"version\":1,\"run\":", run->run);
    if (r == 0)
        r = add_member(out, ",\"plan\":", run->plan);
    if (r == 0)
        r = add_member(out, ",\"file\":", run->file);
    if (r == 0)
        r = add_member(out, ",\"server\":", run->server);
    if (r == 0)
        r = add_member(out, ",\n \"state\":", run->state);
    if (r == 0)
        r = add_time(out, ",\"started\":", run->started_ms);
    if (r == 0)
        r = add_time(out, ",\"finished\":", run->finished_ms);
    if (r == 0)
        r = buf_printf(out,
                       ",\n \"totals\":{\"items\":%zu,\"succeeded\":%zu,\"skipped\":%zu,\"failed\":%zu,"
                       "\"cancelled\":%zu,\"unknown\":%zu},\n \"items\":[",
                       totals->items, totals->succeeded, totals->skipped, totals->failed, totals->cancelled,
                       totals->unknown);
    return r;
}

static int send(struct buf *out, const struct result_sink *sink)
{
    int r = out->len > 0 ? sink->write(out->data, out->len, sink->user) : 0;
    buf_reset(out);
    return r;
}

static int write_items(struct buf *out, const struct result_items *items, const struct result_sink *sink)
{
    for (size_t i = 0; i < items->n; i++) {
        const struct item *item = items->item(i, items->user);
        if (item == NULL)
            return -EIO;
        int r = buf_add_str(out, i > 0 ? ",\n  " : "\n  ");
        if (r == 0)
            r = add_item(out, item);
        if (r == 0)
            r = send(out, sink);
        if (r < 0)
            return r;
    }
    return 0;
}

int result_json_write(const struct result_run *run, const struct result_items *items,
                      const struct result_sink *sink)
{
    struct result_totals totals;
    int r = result_totals_count(items, &totals);
    if (r < 0)
        return r;
    struct buf out = BUF_INIT(ITEM_BYTES_MAX);
    r = add_head(&out, run, &totals);
    if (r == 0)
        r = send(&out, sink);
    if (r == 0)
        r = write_items(&out, items, sink);
    if (r == 0)
        r = buf_add_str(&out, "]}\n");
    if (r == 0)
        r = send(&out, sink);
    buf_done(&out);
    return r;
}
