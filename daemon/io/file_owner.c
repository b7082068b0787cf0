/* One question is one connection: a byte with the descriptor beside it; the answer
 * is two numbers. Neither side waits for the other longer than TIMEOUT_S. */
#include "io/file_owner.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "io/read_file.h"

#define TIMEOUT_S 5
#define IDLE_MS 60000
#define OVERFLOW_ID 65534 /* what the kernel shows for owners that it hides */

struct answer {
    uint32_t uid, gid;
};

static void set_timeout(int fd)
{
    struct timeval limit = {.tv_sec = TIMEOUT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

/* ---- asking ---- */

static int send_file(int to, int fd)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof(control.space)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    return sendmsg(to, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int file_owner_ask(const char *socket_path, int fd, uid_t *ret_uid, gid_t *ret_gid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct answer answer;
    if (strlen(socket_path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, socket_path);
    _cleanup_(read_file_close) int to = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (to < 0)
        return -errno;
    set_timeout(to);
    if (connect(to, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -EHOSTDOWN;
    int r = send_file(to, fd);
    if (r < 0 || recv(to, &answer, sizeof(answer), 0) != sizeof(answer))
        return -EHOSTDOWN;
    *ret_uid = answer.uid;
    *ret_gid = answer.gid;
    return 0;
}

/* Are there owners that the kernel hides from this process? */
static bool owners_hidden(void)
{
    unsigned long first, outside, count;
    FILE *map = fopen("/proc/self/uid_map", "re");
    if (!map)
        return false;
    bool all = fscanf(map, "%lu %lu %lu", &first, &outside, &count) == 3 && first == 0 && count >= UINT32_MAX;
    (void)fclose(map);
    return !all;
}

int file_owner_stat(int fd, struct stat *ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((st.st_uid == OVERFLOW_ID || st.st_gid == OVERFLOW_ID) && owners_hidden()) {
        int r = file_owner_ask(FILE_OWNER_SOCKET, fd, &st.st_uid, &st.st_gid);
        if (r < 0)
            return r;
    }
    *ret = st;
    return 0;
}

/* ---- answering ---- */

/* The room for one descriptor has, for its alignment, room for two. */
static size_t descriptors_of(struct msghdr *message, int *ret, size_t size)
{
    size_t n = 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t came = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < came && n < size; i++)
            memcpy(&ret[n++], CMSG_DATA(head) + i * sizeof(int), sizeof(int));
    }
    return n;
}

/* The one descriptor that came along, or -1: then whatever came is closed. */
static int receive_file(int from)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof(control.space)};
    int fds[sizeof(control.space) / sizeof(int)];
    ssize_t len = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
    size_t n = len < 0 ? 0 : descriptors_of(&message, fds, ARRAY_SIZE(fds));
    if (len == 1 && n == 1 && !(message.msg_flags & MSG_CTRUNC))
        return fds[0];
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
    return -1;
}

static void answer_one(int client)
{
    struct stat st;
    set_timeout(client);
    _cleanup_(read_file_close) int fd = receive_file(client);
    if (fd < 0 || fstat(fd, &st) < 0)
        return; /* the end of the connection is the answer */
    struct answer answer = {st.st_uid, st.st_gid};
    if (send(client, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
        return; /* it has left */
}

int file_owner_serve(int listen_fd, int idle_ms)
{
    for (;;) {
        struct pollfd wait = {.fd = listen_fd, .events = POLLIN};
        int n = poll(&wait, 1, idle_ms);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        _cleanup_(read_file_close) int client = n < 0 ? -1 : accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0)
            answer_one(client);
    }
}

int file_owner_main(void)
{
    return sd_listen_fds(1) == 1 ? file_owner_serve(SD_LISTEN_FDS_START, IDLE_MS) : -ENOTCONN;
}
