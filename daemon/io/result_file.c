#include "io/result_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "io/file_sink.h"

static int
fill(int fd, int (*produce)(int (*write)(const char *data, size_t len, void *sink), void *sink, void *user),
     void *user)
{
    struct file_sink sink;
    file_sink_init(&sink, fd);
    int r = produce(file_sink_write, &sink, user);
    if (r == 0)
        r = file_sink_flush(&sink);
    file_sink_done(&sink);
    return r > 0 ? -EINVAL : r;
}

/* Opens the folder of the path; *ret_name is the path's last part. */
static int open_folder(const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    if (name[0] == '\0')
        return path[0] == '\0' ? -ENOENT : -EISDIR;
    _cleanup_free_ char *folder = slash == NULL   ? strdup(".")
                                  : slash == path ? strdup("/")
                                                  : strndup(path, (size_t)(slash - path));
    if (folder == NULL)
        return -ENOMEM;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *ret_name = name;
    return fd < 0 ? -errno : fd;
}

/* A new file beside the target, of a name that nobody else takes. */
static int open_temporary(int folder, char ret_name[64])
{
    for (unsigned i = 0; i < 100; i++) {
        struct buf name = BUF_INIT(63);
        int r = buf_printf(&name, ".jobclone-%ld-%u.tmp", (long)getpid(), i);
        if (r == 0)
            memcpy(ret_name, buf_str(&name), name.len + 1);
        buf_done(&name);
        if (r < 0)
            return r;
        int fd = openat(folder, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd < 0 ? -errno : fd;
    }
    return -EEXIST;
}

static int replace(const char *path,
                   int (*produce)(int (*write)(const char *data, size_t len, void *sink), void *sink,
                                  void *user),
                   void *user)
{
    const char *name = NULL;
    char temporary[64];
    int folder = open_folder(path, &name);
    if (folder < 0)
        return folder;
    int fd = open_temporary(folder, temporary);
    int r = fd < 0 ? fd : fill(fd, produce, user);
    if (r == 0 && (fchmod(fd, 0640) < 0 || fsync(fd) < 0))
        r = -errno;
    if (fd >= 0 && close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && renameat(folder, temporary, folder, name) < 0)
        r = -errno;
    if (r < 0 && fd >= 0)
        unlinkat(folder, temporary, 0);
    if (r == 0 && fsync(folder) < 0)
        r = -errno;
    close(folder);
    return r;
}

/* Opening a FIFO that nobody reads would wait for ever; once open, its reader is waited for. */
static int open_straight(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0)
        return fd;
    int r = -errno;
    close(fd);
    return r;
}

static int write_straight(const char *path,
                          int (*produce)(int (*write)(const char *data, size_t len, void *sink), void *sink,
                                         void *user),
                          void *user)
{
    int fd = open_straight(path);
    if (fd < 0)
        return fd;
    int r = fill(fd, produce, user);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

int result_file_write(const char *path,
                      int (*produce)(int (*write)(const char *data, size_t len, void *sink), void *sink,
                                     void *user),
                      void *user, struct buf *ret_error)
{
    struct stat st;
    int r;
    bool there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode))
        r = -EISDIR;
    else if (there && !S_ISREG(st.st_mode)) /* /dev/stdout, /dev/null: never renamed over */
        r = write_straight(path, produce, user);
    else {
        _cleanup_free_ char *real = there ? realpath(path, NULL) : NULL;
        r = replace(real != NULL ? real : path, produce, user);
    }
    if (r == -ENXIO)
        buf_printf(ret_error, "%s cannot be written: nobody reads from it; start its reader, or name a file",
                   path);
    else if (r < 0)
        buf_printf(ret_error, "%s cannot be written: %s", path, strerror(-r));
    return r;
}

static int check_folder(const char *path)
{
    const char *name = NULL;
    int folder = open_folder(path, &name);
    if (folder < 0)
        return folder;
    int r = faccessat(folder, ".", W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
    close(folder);
    return r;
}

int result_file_check(const char *path, struct buf *ret_error)
{
    struct stat st;
    int r = 0;
    bool there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode))
        r = -EISDIR;
    else if (there && !S_ISREG(st.st_mode))
        r = faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 ? -errno : 0;
    else {
        _cleanup_free_ char *real = there ? realpath(path, NULL) : NULL;
        r = check_folder(real != NULL ? real : path);
    }
    if (r < 0)
        buf_printf(ret_error,
                   "the result cannot be written to \"%s\": %s; name a file in a folder that is there", path,
                   strerror(-r));
    return r;
}
