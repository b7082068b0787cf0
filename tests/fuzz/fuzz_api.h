/* Replies in a format (FORMAT is defined before), in pieces whose length the first
 * byte gives; a second reader fed all at once must see the same. */
#pragma once

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/api.h"

static void see(uint64_t *sum, const char *text)
{
    if (text && !text_utf8_valid(text, strlen(text)))
        abort();
    for (; text && *text; text++)
        *sum = (*sum ^ (unsigned char)*text) * 1099511628211u;
    *sum += text ? 1 : 2;
}

static int on_task(const struct api_task *task, void *sum)
{
    const char *const texts[] = {task->id, task->operation, task->message, task->job_id, task->job_name};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        see(sum, texts[i]);
    return 0;
}

static int on_entity(const struct api_entity *entity, void *sum)
{
    const char *const texts[] = {entity->id,        entity->uid,         entity->name,       entity->job_type,
                                 entity->server_id, entity->server_name, entity->description};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        see(sum, texts[i]);
    return 0;
}

static int read_pieces(const char *data, size_t len, size_t piece, uint64_t *sum)
{
    static const struct api_handlers handlers = {.on_task = on_task, .on_entity = on_entity};
    struct api_doc doc;
    struct api_reader *reader = FORMAT.reader_new(&handlers, sum);
    for (size_t i = 0; reader && i < len; i += piece)
        if (FORMAT.reader_feed(reader, data + i, len - i < piece ? len - i : piece) < 0)
            break;
    int r = reader ? FORMAT.reader_end(reader, &doc) : 0;
    if (r == 0 && reader) {
        see(sum, doc.error_message);
        see(sum, doc.session_id);
    }
    FORMAT.reader_free(reader);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint64_t in_pieces = 0, at_once = 0;
    if (len == 0)
        return 0;
    int a = read_pieces((const char *)data + 1, len - 1, (size_t)data[0] + 1, &in_pieces);
    int b = read_pieces((const char *)data + 1, len - 1, len, &at_once);
    if (a != b || (a == 0 && in_pieces != at_once))
        abort();
    return 0;
}
