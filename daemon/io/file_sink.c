#include "io/file_sink.h"

#include <errno.h>
#include <unistd.h>

#define GATHERED_BYTES ((size_t)64 * 1024)

int file_write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

void file_sink_init(struct file_sink *sink, int fd)
{
    *sink = (struct file_sink){.fd = fd, .gathered = BUF_INIT(GATHERED_BYTES)};
}

int file_sink_write(const char *data, size_t len, void *user)
{
    struct file_sink *sink = user;
    if (len <= GATHERED_BYTES - sink->gathered.len)
        return buf_add(&sink->gathered, data, len);
    int r = file_sink_flush(sink);
    return r < 0 ? r : file_write_all(sink->fd, data, len);
}

int file_sink_flush(struct file_sink *sink)
{
    int r = file_write_all(sink->fd, buf_str(&sink->gathered), sink->gathered.len);
    buf_reset(&sink->gathered);
    return r;
}

void file_sink_done(struct file_sink *sink)
{
    buf_done(&sink->gathered);
}
