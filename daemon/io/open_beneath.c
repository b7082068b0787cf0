#include "io/open_beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int open_part(int folder, const char *part, size_t len, bool last)
{
    char name[NAME_MAX + 1];
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    if (len == 2 && memcmp(part, "..", 2) == 0)
        return -EXDEV;
    memcpy(name, part, len);
    name[len] = '\0';
    int fd = openat(folder, name, last ? FLAGS | O_NOFOLLOW : O_PATH | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

/* Part by part, none of which may be a link. systemd's RestrictSUIDSGID= leaves no
 * openat2. */
static int walk(int folder, const char *path)
{
    int at = folder;
    if (*path == '/')
        return -EXDEV;
    for (;;) {
        size_t len = strcspn(path, "/");
        const char *rest = path + len + strspn(path + len, "/");
        int fd = open_part(at, path, len, *rest == '\0');
        if (at != folder)
            close(at);
        if (fd < 0 || *rest == '\0')
            return fd;
        at = fd;
        path = rest;
    }
}

int open_beneath(int folder, const char *path, bool links)
{
    struct open_how how = {.flags = FLAGS,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (links ? 0 : RESOLVE_NO_SYMLINKS)};
    long fd = syscall(SYS_openat2, folder, path, &how, sizeof(how));
    if (fd < 0 && errno == ENOSYS)
        return walk(folder, path);
    return fd < 0 ? -errno : (int)fd;
}
