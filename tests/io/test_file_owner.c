/* Owners that the kernel hides: a helper process, and a child behind a wall of its own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/file_owner.h"

static struct {
    char folder[64], socket[96], file[96];
    pid_t helper;
} bench;

static int set_up(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(bench.folder, "/tmp/jobclone-owner-XXXXXX");
    assert_non_null(mkdtemp(bench.folder));
    snprintf(bench.socket, sizeof(bench.socket), "%s/s", bench.folder);
    snprintf(bench.file, sizeof(bench.file), "%s/f", bench.folder);
    close(open(bench.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    strcpy(address.sun_path, bench.socket);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    bench.helper = fork();
    if (bench.helper == 0)
        _exit(file_owner_serve(fd, 20000) == 0 ? 0 : 1);
    close(fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kill(bench.helper, SIGKILL);
    waitpid(bench.helper, NULL, 0);
    unlink(bench.socket);
    unlink(bench.file);
    rmdir(bench.folder);
    return 0;
}

static void helper_tells_the_owner(void **state)
{
    uid_t uid = 1;
    gid_t gid = 1;
    struct stat st;
    (void)state;
    if (geteuid() == 0)
        assert_int_equal(chown(bench.file, 12345, 23456), 0);
    int fd = open(bench.file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(file_owner_ask(bench.socket, fd, &uid, &gid), 0);
        assert_int_equal(uid, st.st_uid);
        assert_int_equal(gid, st.st_gid);
    }
    close(fd);
}

/* What PrivateUsers= does: only root is mapped; the file's owner looks like nobody. */
static int ask_behind_a_wall(void)
{
    struct stat st;
    uid_t uid;
    gid_t gid;
    if (unshare(CLONE_NEWUSER) < 0)
        return 77;
    int map = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
    if (map < 0 || write(map, "0 0 1", 5) != 5)
        return 77;
    close(map);
    int fd = open(bench.file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != 65534)
        return 1;
    if (file_owner_ask(bench.socket, fd, &uid, &gid) < 0 || uid != 12345)
        return 2;
    return file_owner_stat(fd, &st) == -EHOSTDOWN ? 0 : 3; /* no helper at its real place here */
}

static void hidden_owner_is_asked_for(void **state)
{
    int status = 0;
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(bench.file, 12345, 23456), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(ask_behind_a_wall());
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void nobody_is_asked_without_a_wall(void **state)
{
    struct stat st;
    (void)state;
    if (geteuid() == 0)
        assert_int_equal(chown(bench.file, 65534, 65534), 0); /* really nobody's */
    int fd = open(bench.file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_owner_stat(fd, &st), 0);
    if (geteuid() == 0)
        assert_int_equal(st.st_uid, 65534);
    close(fd);
}

static void helper_bears_bad_clients(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uid_t uid;
    gid_t gid;
    (void)state;
    strcpy(address.sun_path, bench.socket);
    for (int kind = 0; kind < 2; kind++) {
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        if (kind == 0)
            assert_int_equal(send(fd, "no file", 7, 0), 7);
        close(fd);
    }
    int fd = open(bench.file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_owner_ask(bench.socket, fd, &uid, &gid), 0);
    close(fd);
}

static size_t open_in_helper(void)
{
    char path[64];
    size_t n = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)bench.helper);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

/* Sends that many descriptors in one message. The answer's length: 0 when there is none. */
static ssize_t send_files(int file, size_t n)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    union {
        char space[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    char answer[16];
    struct iovec part = {answer, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(n * sizeof(int));
    answer[0] = 0;
    for (size_t i = 0; i < n; i++)
        memcpy(CMSG_DATA(head) + i * sizeof(int), &file, sizeof(file));
    strcpy(address.sun_path, bench.socket);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(sendmsg(fd, &message, 0), 1);
    ssize_t len = recv(fd, answer, sizeof(answer), 0);
    close(fd);
    return len < 0 ? 0 : len;
}

/* Two fit where there is room for one. */
static void helper_keeps_no_descriptor(void **state)
{
    (void)state;
    int file = open(bench.file, O_RDONLY | O_CLOEXEC);
    size_t before = open_in_helper();
    for (size_t n = 2; n <= 8; n++)
        assert_int_equal(send_files(file, n), 0);
    assert_true(send_files(file, 1) > 0);
    for (int i = 0; i < 500 && open_in_helper() > before; i++)
        usleep(10000); /* it answers before it closes */
    assert_int_equal(open_in_helper(), before);
    close(file);
}

static void no_helper_is_an_error(void **state)
{
    uid_t uid;
    gid_t gid;
    (void)state;
    int fd = open(bench.file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_owner_ask("/nonexistent/s", fd, &uid, &gid), -EHOSTDOWN);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(helper_tells_the_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hidden_owner_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_asked_without_a_wall, set_up, tear_down),
        cmocka_unit_test_setup_teardown(helper_bears_bad_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(helper_keeps_no_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_helper_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
