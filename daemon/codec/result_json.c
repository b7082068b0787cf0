#include "codec/result_json.h"

#include <errno.h>
#include <stdbool.h>

#include "base/buf.h"
#include "codec/json_out.h"
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

static int add_member(struct buf *out, const char *key, const char *text)
{
    int r = buf_add_str(out, key);
    return r < 0 ? r : json_out_add_text(out, text);
}

static int add_time(struct buf *out, const char *key, int64_t wall_ms)
{
    int r = buf_add_str(out, key);
    return r < 0 ? r : json_out_add_time(out, wall_ms);
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
