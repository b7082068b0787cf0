#include "base/buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_done(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){.max = buf->max};
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->error = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

static int buf_fail(struct buf *buf, int error)
{
    if (buf->error == 0)
        buf->error = error;
    return error;
}

/* Makes room for `more` bytes and the NUL. */
static int buf_reserve(struct buf *buf, size_t more)
{
    if (more > buf->max || buf->len > buf->max - more)
        return buf_fail(buf, -ENOBUFS);
    size_t need = buf->len + more + 1;
    if (need <= buf->size)
        return 0;
    size_t size = buf->size ? buf->size : 64;
    while (size < need)
        size = size > SIZE_MAX / 2 ? need : size * 2;
    char *data = realloc(buf->data, size);
    if (!data)
        return buf_fail(buf, -ENOMEM);
    buf->data = data;
    buf->size = size;
    return 0;
}

int buf_add(struct buf *buf, const void *data, size_t len)
{
    int r = buf_reserve(buf, len);
    if (r < 0)
        return r;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return 0;
}

int buf_add_str(struct buf *buf, const char *str)
{
    return buf_add(buf, str, strlen(str));
}

int buf_add_char(struct buf *buf, char c)
{
    return buf_add(buf, &c, 1);
}

int buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    size_t room = buf->size - buf->len; /* mostly it fits, and is formatted but once */
    int n = vsnprintf(room ? buf->data + buf->len : NULL, room, format, args);
    int r = n < 0 ? buf_fail(buf, -EINVAL) : buf_reserve(buf, (size_t)n);
    if (r == 0 && (size_t)n >= room)
        vsnprintf(buf->data + buf->len, (size_t)n + 1, format, again);
    if (r == 0)
        buf->len += (size_t)n;
    else if (room)
        buf->data[buf->len] = '\0';
    va_end(again);
    return r;
}

int buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int r = buf_vprintf(buf, format, args);
    va_end(args);
    return r;
}

const char *buf_str(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}

const char *buf_whole(const struct buf *buf)
{
    return buf->error ? NULL : buf_str(buf);
}

char *buf_take(struct buf *buf)
{
    if (!buf->data && buf_reserve(buf, 0) < 0)
        return NULL;
    buf->data[buf->len] = '\0';
    char *data = buf->data;
    *buf = (struct buf){.max = buf->max};
    return data;
}
