/* The password of a server. Every buffer that held it is wiped. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "io/read_file.h"
#include "io/settings_files.h"
#include "model/settings.h"

#define PASSWORD_BYTES_MAX 4096

/* Reads to the end or until `size` is full. Returns the length or a negative errno. */
static ssize_t read_full(int fd, char *data, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, data + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static int take(const char *data, size_t len, char **ret, const char *path, struct buf *ret_error)
{
    if (len > PASSWORD_BYTES_MAX) {
        buf_printf(ret_error, "%s: is larger than %d bytes; it should hold the password alone", path,
                   PASSWORD_BYTES_MAX);
        return -EFBIG;
    }
    if (len > 0 && data[len - 1] == '\n')
        len--;
    if (len == 0 || memchr(data, '\0', len)) {
        buf_printf(ret_error, "%s: %s; write the password into it as one line of text", path,
                   len == 0 ? "is empty" : "holds a NUL byte");
        return -EINVAL;
    }
    *ret = strndup(data, len);
    if (!*ret)
        buf_printf(ret_error, "%s: out of memory; free some and reload", path);
    return *ret ? 0 : -ENOMEM;
}

static int check_file(const struct stat *st, bool guarded, const char *path, struct buf *ret_error)
{
    if (!S_ISREG(st->st_mode)) {
        buf_printf(ret_error, "%s: is not a regular file; put the password into a regular file", path);
        return -EINVAL;
    }
    if (guarded && (st->st_mode & 077) != 0) {
        buf_printf(ret_error, "%s: group or others have access to the password; run: chmod 600 %s", path,
                   path);
        return -EPERM;
    }
    return 0;
}

static int say_failed(const char *path, int error, struct buf *ret_error)
{
    const char *remedy = error == -ENOENT   ? "write the password into it"
                         : error == -EACCES ? "make it readable for the daemon's user alone"
                                            : "look at the disk and the path";
    buf_printf(ret_error, "%s: the password cannot be read: %s; %s", path, strerror(-error), remedy);
    return error;
}

/* `guarded`: its mode counts. Credentials lie in a folder of their own that systemd guards. */
static int read_password(const char *path, bool guarded, char **ret, struct buf *ret_error)
{
    _cleanup_(read_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return say_failed(path, -errno, ret_error);
    int r = check_file(&st, guarded, path, ret_error);
    if (r < 0)
        return r;
    char data[PASSWORD_BYTES_MAX + 1]; /* one more shows that it is too long */
    ssize_t len = read_full(fd, data, sizeof(data));
    if (len < 0)
        r = say_failed(path, (int)len, ret_error);
    else
        r = take(data, (size_t)len, ret, path, ret_error);
    explicit_bzero(data, sizeof(data));
    return r;
}

int settings_password(const struct server_settings *server, char **ret_password, struct buf *ret_error)
{
    if (server->password_file)
        return read_password(server->password_file, true, ret_password, ret_error);
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!folder || !*folder) {
        buf_printf(ret_error,
                   "credential %s: $CREDENTIALS_DIRECTORY is not set; start through systemd with "
                   "LoadCredential=%s:PATH, or use {file: PATH} in the settings",
                   server->password_credential, server->password_credential);
        return -ENOENT;
    }
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, server->password_credential) < 0) {
        path = NULL;
        buf_add_str(ret_error, "out of memory; free some and reload");
        return -ENOMEM;
    }
    return read_password(path, false, ret_password, ret_error);
}
