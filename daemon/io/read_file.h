/* Reading a file that somebody else named: regular files only, bounded. */
#pragma once

struct buf;

/* Cleanup: closes a descriptor unless it is negative. */
void read_file_close(const int *fd);

/* Appends all that is left of an open file. It should have been opened with O_NONBLOCK, since
 * opening a FIFO would wait for ever; the type is looked at before a byte is read. 0; -EISDIR or
 * -ENOTSUP when it is no regular file; -EFBIG when it is longer than the buffer may get; another
 * negative errno. The descriptor stays open. */
int read_file(int fd, struct buf *ret);
