/* JSON as a format of the wire: the document is cut into pieces as it comes, and
 * jansson, which knows trees only, reads one bounded piece at a time. So it is
 * jansson that refuses what is not JSON, not UTF-8, or has a key twice. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "codec/api.h"
#include "codec/api_json_read.h"
#include "codec/api_json_write.h"

struct api_reader {
    struct api_json_cut cut;
    struct api_json_reading reading;
    size_t lead;  /* bytes seen while nothing but a byte order mark had come */
    unsigned bom; /* of them, bytes of the mark */
    bool ended;
};

/* Whole numbers are read as doubles: one that is too large for an integer is no reason to refuse a reply. */
static int on_piece(const struct api_json_piece *piece, void *data)
{
    struct api_reader *r = data;
    json_error_t error;
    json_t *tree = json_loadb(piece->text.data, piece->text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    if (!tree)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
    int e = api_json_reading_piece(&r->reading, piece->place, piece->list, tree);
    json_decref(tree);
    return e;
}

static struct api_reader *reader_free(struct api_reader *r)
{
    if (!r)
        return NULL;
    api_json_cut_done(&r->cut);
    api_json_reading_done(&r->reading);
    free(r);
    return NULL;
}

static struct api_reader *reader_new(const struct api_handlers *handlers, void *data)
{
    struct api_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    api_json_cut_init(&r->cut, on_piece, r);
    api_json_reading_init(&r->reading, handlers, data);
    return r;
}

static int reader_again(struct api_reader *r, void *data)
{
    const struct api_handlers *handlers = r->reading.handlers;
    api_json_cut_done(&r->cut);
    api_json_reading_done(&r->reading);
    *r = (struct api_reader){0};
    api_json_cut_init(&r->cut, on_piece, r);
    api_json_reading_init(&r->reading, handlers, data);
    return 0;
}

static int reader_fail(struct api_reader *r, int error)
{
    if (!r->cut.error)
        r->cut.error = error;
    return r->cut.error;
}

/* Passes over a byte order mark at the beginning; returns how many bytes it took. */
static size_t bom_skip(struct api_reader *r, const char *data, size_t len)
{
    static const unsigned char bom[] = {0xef, 0xbb, 0xbf};
    size_t n = 0;
    while (n < len && r->lead == r->bom && r->bom < sizeof(bom) && (unsigned char)data[n] == bom[r->bom]) {
        r->bom++;
        r->lead++;
        n++;
    }
    if (n < len)
        r->lead = sizeof(bom) + 1; /* over */
    return n;
}

static bool bom_is_cut(const struct api_reader *r)
{
    return r->bom > 0 && r->bom < 3;
}

static int reader_feed(struct api_reader *r, const char *data, size_t len)
{
    if (r->ended && len)
        return reader_fail(r, -EBADMSG);
    size_t skip = bom_skip(r, data, len);
    if (skip < len && bom_is_cut(r))
        return reader_fail(r, -EBADMSG);
    return api_json_cut_feed(&r->cut, data + skip, len - skip);
}

static int reader_end(struct api_reader *r, struct api_doc *ret)
{
    if (bom_is_cut(r) || r->cut.depth > 0)
        reader_fail(r, -EBADMSG);
    r->ended = true;
    if (r->cut.error)
        return r->cut.error;
    *ret = api_json_reading_doc(&r->reading);
    return 0;
}

const struct api_format api_json = {.name = "json",
                                    .media_type = "application/json",
                                    .encode_clone = api_json_encode_clone,
                                    .reader_new = reader_new,
                                    .reader_again = reader_again,
                                    .reader_feed = reader_feed,
                                    .reader_end = reader_end,
                                    .reader_free = reader_free};
