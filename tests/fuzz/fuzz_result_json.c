/* Results: whatever the server's texts are, the file is JSON with these items. Input: name and
 * message, with a zero between them. */
#include "fuzz.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/result_json.h"
#include "model/item.h"

#define ITEMS 2

static const struct item *item_at(size_t index, void *user)
{
    struct item *item = user;
    item->index = (uint32_t)index;
    return item;
}

static int write_buf(const char *data, size_t len, void *user)
{
    return buf_add(user, data, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *texts = calloc(1, len + 2);
    struct buf out = BUF_INIT((size_t)64 << 20);
    if (!texts)
        return 0;
    memcpy(texts, data, len);
    const char *message = texts + strlen(texts) + 1;
    struct item item = {.state = ITEM_FAILED,
                        .error = ITEM_E_REFUSED,
                        .name = texts,
                        .source_name = message,
                        .server_name = message,
                        .task_id = texts,
                        .message = message};
    struct result_run run = {
        .run = "01", .plan = texts, .file = message, .server = "prod", .state = "failed", .started_ms = 1};
    struct result_items items = {ITEMS, item_at, &item};
    struct result_sink sink = {write_buf, &out};
    if (result_json_write(&run, &items, &sink) < 0)
        abort();
    json_t *root = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_array_size(json_object_get(root, "items")) != ITEMS)
        abort();
    json_decref(root);
    buf_done(&out);
    free(texts);
    return 0;
}
