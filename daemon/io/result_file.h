/* A file that is there whole or not at all: results and reports. */
#pragma once

#include <stddef.h>

#include "base/buf.h"

/* Could it be written as things are: is the folder there, may we write into it? 0, or a negative errno and
 * a sentence for people. Nothing is changed. */
int result_file_check(const char *path, struct buf *ret_error);

/* Writes what `produce` gives to its `write` function (with its `sink`) to the
 * path: into a new file of the same folder (0640), synced, then renamed over the
 * path, and the folder synced. A link is followed first; a device or pipe is
 * written straight, without waiting for somebody who opens it (-ENXIO). 0, or negative errno (also that of
 * `produce`), after which the old file is as it was; `ret_error` then gets a sentence for people. */
int result_file_write(const char *path,
                      int (*produce)(int (*write)(const char *data, size_t len, void *sink), void *sink,
                                     void *user),
                      void *user, struct buf *ret_error);
