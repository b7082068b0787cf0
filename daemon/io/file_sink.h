/* Bytes into an open file: all of them, and small pieces in few writes. */
#pragma once

#include <stddef.h>

#include "base/buf.h"

struct file_sink {
    int fd; /* the caller's */
    struct buf gathered;
};

/* Writes all of it, however many calls that takes. 0 or a negative errno, after which some of it may be
 * there. */
int file_write_all(int fd, const char *data, size_t len);

void file_sink_init(struct file_sink *sink, int fd);

/* Takes a piece; `user` is the sink. 0 or a negative errno. What was taken is in the file after
 * file_sink_flush only. */
int file_sink_write(const char *data, size_t len, void *user);

/* 0 or a negative errno. */
int file_sink_flush(struct file_sink *sink);

/* Frees what was gathered and not flushed; the file stays open. */
void file_sink_done(struct file_sink *sink);
