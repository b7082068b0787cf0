/* The memory file holds four lines: URL, user, token, session id. Its name in the
 * store is made from the server's name, since the store takes no colon and few
 * characters besides letters. */
#include "io/session_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "io/read_file.h"
#include "model/settings.h"

#define MEMORY_MAX 16384
#define NAME_DIGITS 16

struct store_name {
    char text[sizeof("session-") + NAME_DIGITS];
};

static void wipe_buf(struct buf *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->size);
    buf_done(buf);
}

static void free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void session_memory_done(struct session_memory *memory)
{
    free_secret(memory->token);
    free(memory->session_id);
    *memory = (struct session_memory){0};
}

static struct store_name store_name(const struct server_settings *server)
{
    struct store_name name = {"session-"};
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)server->name, strlen(server->name), hash);
    for (size_t i = 0; i < NAME_DIGITS / 2; i++)
        snprintf(name.text + sizeof("session-") - 1 + 2 * i, 3, "%02x", hash[i]);
    return name;
}

bool session_memory_possible(void)
{
    const char *socket = getenv("NOTIFY_SOCKET");
    return socket && *socket;
}

/* ---- reading ---- */

/* The next line, ended in place; NULL when there is none. */
static char *next_line(char **rest)
{
    char *line = *rest, *end = strchr(line, '\n');
    if (!end)
        return NULL;
    *end = '\0';
    *rest = end + 1;
    return line;
}

static int parse(char *text, const struct server_settings *server, struct session_memory *ret)
{
    const char *url = next_line(&text), *user = url ? next_line(&text) : NULL;
    const char *token = user ? next_line(&text) : NULL, *id = token ? next_line(&text) : NULL;
    if (!id || !*token || strcmp(url, server->url) != 0 || strcmp(user, server->username) != 0)
        return -ENOENT;
    struct session_memory memory = {strdup(token), strdup(id)};
    if (!memory.token || !memory.session_id) {
        session_memory_done(&memory);
        return -ENOMEM;
    }
    *ret = memory;
    return 0;
}

static int read_memory(int fd, const struct server_settings *server, struct session_memory *ret)
{
    struct buf text = BUF_INIT(MEMORY_MAX);
    int r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : read_file(fd, &text);
    if (r == 0 && text.data)
        r = parse(text.data, server, ret);
    else if (r == 0)
        r = -ENOENT;
    wipe_buf(&text);
    return r;
}

int session_memory_read(const struct server_settings *server, struct session_memory *ret)
{
    char **names = NULL;
    struct store_name name = store_name(server);
    int n = sd_listen_fds_with_names(0, &names), r = -ENOENT;
    for (int i = 0; i < n; i++) {
        if (r == -ENOENT && strcmp(names[i], name.text) == 0)
            r = read_memory(SD_LISTEN_FDS_START + i, server, ret);
        free(names[i]);
    }
    free(names);
    return n < 0 ? -ENOENT : r;
}

/* ---- writing ---- */

static int fill(int fd, const struct server_settings *server, const struct session_memory *memory)
{
    struct buf text = BUF_INIT(MEMORY_MAX);
    if (strchr(memory->token, '\n') || (memory->session_id && strchr(memory->session_id, '\n')))
        return -EINVAL;
    int r = buf_printf(&text, "%s\n%s\n%s\n%s\n", server->url, server->username, memory->token,
                       memory->session_id ? memory->session_id : "");
    if (r == 0 && write(fd, text.data, text.len) != (ssize_t)text.len)
        r = -EIO;
    wipe_buf(&text);
    if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        r = -errno;
    return r;
}

static int keep(int fd, const char *name)
{
    _cleanup_free_ char *state = NULL;
    if (asprintf(&state, "FDSTORE=1\nFDNAME=%s", name) < 0) {
        state = NULL;
        return -ENOMEM;
    }
    int r = sd_pid_notify_with_fds(0, 0, state, &fd, 1);
    return r < 0 ? r : r == 0 ? -EOPNOTSUPP : 0;
}

int session_memory_write(const struct server_settings *server, const struct session_memory *memory)
{
    if (!session_memory_possible())
        return -EOPNOTSUPP;
    struct store_name name = store_name(server);
    _cleanup_(read_file_close) int fd = memfd_create(name.text, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r = fd < 0 ? -errno : fill(fd, server, memory);
    if (r < 0)
        return r;
    session_memory_forget(server); /* the store would keep both under one name */
    return keep(fd, name.text);
}

void session_memory_forget(const struct server_settings *server)
{
    struct store_name name = store_name(server);
    sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name.text);
}
