#include "io/read_file.h"

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

#define CHUNK_BYTES 65536

void read_file_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

int read_file(int fd, struct buf *ret)
{
    char chunk[CHUNK_BYTES];
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -ENOTSUP;
    if ((uintmax_t)status.st_size > ret->max)
        return -EFBIG;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        int r = buf_add(ret, chunk, (size_t)n);
        if (r < 0)
            return r == -ENOBUFS ? -EFBIG : r;
    }
}
