#include "codec/json_out.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

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

/* Bytes at the beginning that are written as they are. */
static size_t plain_len(const char *text)
{
    size_t n = 0;
    while (text[n] >= ' ' && text[n] < 0x7f && text[n] != '"' && text[n] != '\\')
        n++;
    return n;
}

int json_out_add_text(struct buf *buf, const char *text)
{
    if (!text)
        return buf_add_str(buf, "null");
    int r = buf_add_char(buf, '"');
    for (size_t left = strlen(text); left > 0 && r == 0;) {
        uint32_t code = 0;
        size_t len = plain_len(text);
        if (len > 0)
            r = buf_add(buf, text, len);
        else if ((len = text_utf8_next(text, left, &code)) > 0)
            r = add_char(buf, code, text, len);
        else
            r = buf_add_str(buf, "\xef\xbf\xbd");
        len += len == 0;
        text += len;
        left -= len;
    }
    return r < 0 ? r : buf_add_char(buf, '"');
}

int json_out_add_time(struct buf *buf, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[64];
    if (wall_ms <= 0 || !gmtime_r(&seconds, &tm) ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return json_out_add_text(buf, NULL);
    return json_out_add_text(buf, text);
}

static void note(struct json_out *out, int r)
{
    if (out->error == 0)
        out->error = r;
}

/* What goes before a value. Nothing more is written after an error. */
static bool begin(struct json_out *out, const char *key)
{
    if (out->comma)
        note(out, buf_add_char(out->buf, ','));
    out->comma = true;
    if (key && out->error == 0)
        note(out, json_out_add_text(out->buf, key));
    if (key && out->error == 0)
        note(out, buf_add_char(out->buf, ':'));
    return out->error == 0;
}

void json_out_open(struct json_out *out, const char *key, char bracket)
{
    if (begin(out, key))
        note(out, buf_add_char(out->buf, bracket));
    out->comma = false;
}

void json_out_close(struct json_out *out, char bracket)
{
    if (out->error == 0)
        note(out, buf_add_char(out->buf, bracket));
    out->comma = true;
}

void json_out_str(struct json_out *out, const char *key, const char *text)
{
    if (begin(out, key))
        note(out, json_out_add_text(out->buf, text));
}

void json_out_num(struct json_out *out, const char *key, int64_t number)
{
    if (begin(out, key))
        note(out, buf_printf(out->buf, "%" PRId64, number));
}

void json_out_bool(struct json_out *out, const char *key, bool value)
{
    if (begin(out, key))
        note(out, buf_add_str(out->buf, value ? "true" : "false"));
}

void json_out_null(struct json_out *out, const char *key)
{
    json_out_str(out, key, NULL);
}

void json_out_time(struct json_out *out, const char *key, int64_t wall_ms)
{
    if (begin(out, key))
        note(out, json_out_add_time(out->buf, wall_ms));
}
