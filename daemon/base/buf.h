/* A byte buffer that grows up to a limit chosen at creation. It is always
 * followed by a NUL that does not count, so `data` may be used as a string. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* Bytes that belong to somebody else. */
struct bytes {
    const char *data;
    size_t len;
};

struct buf {
    char *data;  /* NULL until something was added */
    size_t len;  /* bytes used */
    size_t size; /* bytes allocated */
    size_t max;  /* most bytes it may hold */
    int error;   /* of the first addition that failed, until it is reset; 0: none */
};

#define BUF_INIT(limit) ((struct buf){.max = (limit)})

/* Frees the memory; the limit stays, the buffer can be used again. */
void buf_done(struct buf *buf);

/* Empties without freeing. */
void buf_reset(struct buf *buf);

/* Each returns 0, -ENOBUFS when the limit would be passed, or -ENOMEM; after an
 * error the buffer is as before. */
int buf_add(struct buf *buf, const void *data, size_t len);
int buf_add_str(struct buf *buf, const char *str);
int buf_add_char(struct buf *buf, char c);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *buf, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* The content as a string, "" when empty. Borrowed until the next change. */
const char *buf_str(const struct buf *buf);

/* The content as a string, or NULL when an addition has failed: for what must be whole. */
const char *buf_whole(const struct buf *buf);

/* Gives the content away as a NUL-ended heap string (caller frees); NULL when
 * out of memory. The buffer is empty afterwards. */
char *buf_take(struct buf *buf);
