/* The listening socket of the control interface and who is at the other end. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "io/control_parts.h"
#include "io/read_file.h"

#define PATH_LEN_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */
#define ACCEPTS_AT_ONCE 64
#define GROUPS_MAX 1024
#define REFUSED_MS 1000

/* ---- making it ---- */

static int problem(struct buf *error, const char *path, int r, const char *what)
{
    buf_add_str(error, "the control socket ");
    text_escape(error, path);
    buf_printf(error, " cannot be made: %s", what);
    return r;
}

/* Somebody answers there: a daemon that lives. */
static bool somebody_listens(const struct sockaddr_un *address)
{
    _cleanup_(read_file_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    return connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN;
}

/* What lies at the path already: nothing or a dead socket is fine. */
static int look_at_path(const struct sockaddr_un *address, struct buf *error)
{
    struct stat st;
    const char *path = address->sun_path;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : problem(error, path, -errno, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return problem(error, path, -EEXIST,
                       "something else than a socket is there; move it away or change control.socket");
    if (somebody_listens(address))
        return problem(error, path, -EADDRINUSE, "another daemon listens there; stop it first");
    return 0;
}

static int make_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    _cleanup_free_ char *folder = strndup(path, (size_t)(slash - path));
    if (!folder)
        return -ENOMEM;
    return mkdir(folder, 0755) == 0 || errno == EEXIST ? 0 : -errno;
}

/* Nobody can connect before it listens: by then it has its rights. The path has been looked at. */
static int bind_path(struct control *control, int fd)
{
    const char *path = control->address.sun_path;
    struct stat st;
    unlink(path);
    if (bind(fd, (const struct sockaddr *)&control->address, sizeof(control->address)) < 0)
        return -errno;
    int r = 0;
    if (control->group_known && chown(path, (uid_t)-1, control->group) < 0 && errno != EPERM)
        r = -errno;
    if (r == 0 && (chmod(path, 0660) < 0 || lstat(path, &st) < 0 || listen(fd, BACKLOG) < 0))
        r = -errno;
    if (r < 0) {
        unlink(path);
        return r;
    }
    control->socket_dev = st.st_dev;
    control->socket_ino = st.st_ino;
    return 0;
}

static int make_socket(struct control *control, struct buf *error)
{
    const char *path = control->options.path;
    size_t len = strlen(path);
    if (len == 0 || len > PATH_LEN_MAX) {
        buf_printf(error, "control.socket: a path of 1 to %zu bytes is possible; this one has %zu",
                   PATH_LEN_MAX, len);
        return -ENAMETOOLONG;
    }
    control->address.sun_family = AF_UNIX;
    memcpy(control->address.sun_path, path, len + 1);
    int r = make_folder(path);
    if (r < 0)
        return problem(error, path, r, strerror(-r));
    r = look_at_path(&control->address, error);
    if (r < 0)
        return r;
    _cleanup_(read_file_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = fd < 0 ? -errno : bind_path(control, fd);
    if (r < 0)
        return problem(error, path, r, strerror(-r));
    control->own_socket = true;
    control->listen_fd = fd;
    fd = -1;
    return 0;
}

static void find_group(struct control *control)
{
    const struct group *group = control->options.group ? getgrnam(control->options.group) : NULL;
    control->group_known = group != NULL;
    if (group)
        control->group = group->gr_gid;
}

int control_listen(struct control *control, struct buf *ret_error)
{
    find_group(control);
    control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (control->options.listen_fd < 0)
        return make_socket(control, ret_error);
    control->listen_fd = control->options.listen_fd;
    int flags = fcntl(control->listen_fd, F_GETFL);
    if (flags >= 0 && fcntl(control->listen_fd, F_SETFL, flags | O_NONBLOCK) == 0)
        return 0;
    int r = -errno;
    buf_printf(ret_error, "the control socket that systemd passed cannot be used: %s", strerror(-r));
    control->listen_fd = -1; /* not ours to close */
    return r;
}

void control_unlisten(struct control *control)
{
    struct stat st;
    if (control->own_socket && lstat(control->address.sun_path, &st) == 0 &&
        st.st_dev == control->socket_dev && st.st_ino == control->socket_ino)
        unlink(control->address.sun_path);
    if (control->listen_fd >= 0)
        close(control->listen_fd);
    if (control->spare_fd >= 0)
        close(control->spare_fd);
    control_close_refused(control, UINT64_MAX);
    control->listen_fd = control->spare_fd = -1;
}

int control_activated_fd(void)
{
    int n = sd_listen_fds(0);
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++)
        if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) > 0)
            return fd;
    return -1;
}

/* ---- who ---- */

static bool in_group(int fd, gid_t group)
{
    gid_t groups[GROUPS_MAX];
    socklen_t len = sizeof(groups);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
        return false;
    for (size_t i = 0; i < len / sizeof(groups[0]); i++)
        if (groups[i] == group)
            return true;
    return false;
}

bool control_peer_may(const struct control *control, int fd, uid_t *ret_uid)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    *ret_uid = (uid_t)-1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    *ret_uid = peer.uid;
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    return control->group_known && (peer.gid == control->group || in_group(fd, control->group));
}

/* ---- accepting ---- */

void control_send_raw(int fd, int how, const char *status, const char *code, const char *message)
{
    char body[512], answer[1024];
    int len = snprintf(body, sizeof(body), "{\"code\":\"%s\",\"message\":\"%s\"}\n", code, message);
    int n = snprintf(answer, sizeof(answer),
                     "HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\n"
                     "Retry-After: 1\r\nContent-Length: %d\r\n\r\n%s",
                     status, len, body);
    if (send(fd, answer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        errno = 0; /* it has left, or takes nothing: closing is all that can be done */
    shutdown(fd, how);
}

static void refuse(struct control *control, int fd, bool may)
{
    struct refusal *refusal = &control->refused[control->next_refused++ % CONTROL_REFUSED_KEPT];
    char message[256];
    snprintf(message, sizeof(message),
             "only root, the daemon's own user and members of group %s may use this socket",
             control->options.group ? control->options.group : "root");
    if (may)
        control_send_raw(fd, SHUT_WR, "503 Service Unavailable", "busy",
                         "too many connections to the control socket; try again soon");
    else
        control_send_raw(fd, SHUT_WR, "403 Forbidden", "forbidden", message);
    if (refusal->fd >= 0)
        close(refusal->fd);
    *refusal = (struct refusal){fd, uv_now(control->loop)};
}

bool control_close_refused(struct control *control, uint64_t now_ms)
{
    bool others = false;
    for (size_t i = 0; i < CONTROL_REFUSED_KEPT; i++) {
        struct refusal *refusal = &control->refused[i];
        if (refusal->fd >= 0 && now_ms - refusal->since_ms >= REFUSED_MS) {
            close(refusal->fd);
            refusal->fd = -1;
        }
        others |= refusal->fd >= 0;
    }
    return others;
}

/* No descriptor is left: those sent away and the spare one make room for one client to be told so. */
static bool accept_spare(struct control *control)
{
    control_close_refused(control, UINT64_MAX);
    if (control->spare_fd < 0)
        return false;
    close(control->spare_fd);
    int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        control_send_raw(fd, SHUT_RDWR, "503 Service Unavailable", "busy",
                         "the daemon has no descriptor left; try again soon");
    if (fd >= 0)
        close(fd);
    control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

bool control_accept(struct control *control)
{
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        uid_t uid;
        int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE) && accept_spare(control))
            continue;
        if (fd < 0)
            return errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS;
        bool may = control_peer_may(control, fd, &uid);
        if (!may || control->n_connections >= control->options.connections_max)
            refuse(control, fd, may);
        else /* closes it when it fails */
            MHD_add_connection(control->http, fd, (const struct sockaddr *)&control->address,
                               sizeof(control->address));
    }
    return true;
}
