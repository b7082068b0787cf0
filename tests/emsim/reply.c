#include "reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A body that comes slowly or ends too early. */
struct drip {
    char *data;
    size_t len, cut; /* announced, really sent */
    uint64_t byte_ms;
    void (*wait)(void *data, uint64_t ms);
    void *wait_data;
};

static ssize_t drip_read(void *state, uint64_t pos, char *buf, size_t max)
{
    struct drip *drip = state;
    if (pos >= drip->cut)
        return drip->cut < drip->len ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    size_t n = drip->cut - (size_t)pos;
    if (drip->byte_ms) {
        drip->wait(drip->wait_data, drip->byte_ms);
        n = 1;
    }
    n = n < max ? n : max;
    memcpy(buf, drip->data + pos, n);
    return (ssize_t)n;
}

static void drip_free(void *state)
{
    struct drip *drip = state;
    free(drip->data);
    free(drip);
}

static const char HTML[] =
    "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>";

/* Changes the text as the fate wants; 0 or a negative errno. */
static int disfigure(struct call *call)
{
    struct buf *buf = &call->out.buf;
    int r = 0;
    if (call->fate.fault == FAULT_HTML) {
        buf_reset(buf);
        r = buf_add_str(buf, HTML);
    }
    if (call->fate.fault == FAULT_GARBLE)
        for (size_t i = buf->len / 4; i < buf->len; i += 7)
            buf->data[i] = (char)(0x80 | (i & 0x7f));
    for (uint64_t i = 0; i < call->fate.big_body_bytes && r == 0; i++)
        r = buf_add_char(buf, i % 80 == 79 ? '\n' : ' ');
    return r;
}

static struct MHD_Response *make_response(struct call *call, void (*wait)(void *, uint64_t), void *data)
{
    size_t len = call->status == 204 ? 0 : call->out.buf.len;
    if (call->status == 204)
        buf_reset(&call->out.buf);
    bool truncate = call->fate.fault == FAULT_TRUNCATE;
    char *text = len ? buf_take(&call->out.buf) : calloc(1, 1);
    if (!text)
        return NULL;
    if (!len || (!truncate && !call->fate.slow_body_ms)) {
        struct MHD_Response *response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
        if (!response)
            free(text);
        return response;
    }
    struct drip *drip = calloc(1, sizeof(*drip));
    if (!drip) {
        free(text);
        return NULL;
    }
    *drip = (struct drip){text, len, truncate ? len / 2 : len, call->fate.slow_body_ms, wait, data};
    struct MHD_Response *response = MHD_create_response_from_callback(len, 4096, drip_read, drip, drip_free);
    if (!response)
        drip_free(drip);
    return response;
}

static void add_headers(struct call *call, struct MHD_Response *response)
{
    const char *type = call->fate.fault == FAULT_HTML                    ? "text/html"
                       : call->plain_json || call->out.format != OUT_XML ? "application/json"
                                                                         : "application/xml";
    char text[128];
    if (call->status != 204)
        MHD_add_response_header(response, "Content-Type", type);
    if (call->status == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Basic Realm=RestSvc");
    if (call->status == 503 || call->status == 429) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)call->fate.retry_after_s);
        if (call->fate.retry_after_s)
            MHD_add_response_header(response, "Retry-After", text);
    }
    if (call->token) {
        snprintf(text, sizeof(text), "X-RestSvcSessionId=%s; Path=/api;", call->token);
        MHD_add_response_header(response, "X-RestSvcSessionId", call->token);
        MHD_add_response_header(response, "Set-Cookie", text);
    }
}

enum MHD_Result reply_send(struct call *call, void (*wait)(void *data, uint64_t ms), void *data)
{
    if (call->fate.fault == FAULT_LOSE_REQUEST || call->fate.fault == FAULT_LOSE_ANSWER ||
        disfigure(call) < 0)
        return MHD_NO;
    struct MHD_Response *response = make_response(call, wait, data);
    if (!response)
        return MHD_NO;
    add_headers(call, response);
    enum MHD_Result result = MHD_queue_response(call->connection, call->status, response);
    MHD_destroy_response(response);
    return result;
}
