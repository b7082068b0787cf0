/* What systemd hears, and the session that waits in its descriptor store. The
 * test plays systemd: a datagram socket as $NOTIFY_SOCKET, and a child that is
 * started with the descriptors it was given. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/notify.h"
#include "io/session_memory.h"
#include "model/settings.h"

static struct {
    char folder[64], path[96];
    int socket;
} systemd;

static int set_up(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    strcpy(systemd.folder, "/tmp/jobclone-notify-XXXXXX");
    assert_non_null(mkdtemp(systemd.folder));
    snprintf(systemd.path, sizeof(systemd.path), "%s/s", systemd.folder);
    strcpy(address.sun_path, systemd.path);
    systemd.socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(systemd.socket, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", systemd.path, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    close(systemd.socket);
    unlink(systemd.path);
    rmdir(systemd.folder);
    return 0;
}

/* The next message, "" when there is none; its descriptor, or -1. */
static const char *hear(int *ret_fd)
{
    static char text[4096];
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {text, sizeof(text) - 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(systemd.socket, &message, MSG_CMSG_CLOEXEC);
    text[n > 0 ? n : 0] = '\0';
    int fd = -1;
    struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (head && head->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    if (ret_fd)
        *ret_fd = fd;
    else if (fd >= 0)
        close(fd);
    return text;
}

static void life_is_told(void **state)
{
    (void)state;
    notify_ready();
    assert_string_equal(hear(NULL), "READY=1");
    notify_reloading(1234);
    assert_string_equal(hear(NULL), "RELOADING=1\nMONOTONIC_USEC=1234000");
    notify_stopping(5000);
    assert_string_equal(hear(NULL), "STOPPING=1\nEXTEND_TIMEOUT_USEC=5000000");
    assert_string_equal(hear(NULL), "");
}

static void status_is_told_when_it_changes(void **state)
{
    struct notify notify;
    (void)state;
    notify_init(&notify);
    notify_status(&notify, "1 run", 1000);
    assert_string_equal(hear(NULL), "STATUS=1 run");
    notify_status(&notify, "1 run", 9000);
    assert_string_equal(hear(NULL), "");
    notify_status(&notify, "2 runs", 9000);
    assert_string_equal(hear(NULL), "STATUS=2 runs");
    notify_status(&notify, "3 runs", 9100);
    assert_string_equal(hear(NULL), "");
    notify_status(&notify, "3 runs", 10000);
    assert_string_equal(hear(NULL), "STATUS=3 runs");
}

static void watchdog_is_fed_by_turns(void **state)
{
    struct notify notify;
    (void)state;
    notify_init(&notify);
    assert_int_equal(notify_turn_ms(&notify), UINT64_MAX);
    notify_turned(&notify, 1000);
    assert_string_equal(hear(NULL), "");
    setenv("WATCHDOG_USEC", "40000000", 1);
    notify_init(&notify);
    assert_int_equal(notify_turn_ms(&notify), 10000);
    notify_turned(&notify, 1000);
    assert_string_equal(hear(NULL), "WATCHDOG=1");
    notify_turned(&notify, 1001); /* a busy loop does not flood systemd */
    assert_string_equal(hear(NULL), "");
    notify_turned(&notify, 6000);
    assert_string_equal(hear(NULL), "WATCHDOG=1");
}

/* ---- the session ---- */

static struct server_settings server(const char *name, const char *url, const char *user)
{
    return (struct server_settings){.name = (char *)name, .url = (char *)url, .username = (char *)user};
}

/* Reads in a child that systemd would have started with this descriptor; the
 * exit code of the child. */
static int read_in_successor(int fd, const char *name, const struct server_settings *settings,
                             const char *token)
{
    pid_t pid = fork();
    if (pid == 0) {
        char number[16];
        struct session_memory memory = {0};
        snprintf(number, sizeof(number), "%d", (int)getpid());
        setenv("LISTEN_PID", number, 1);
        setenv("LISTEN_FDS", "1", 1);
        setenv("LISTEN_FDNAMES", name, 1);
        dup2(fd, 3);
        int r = session_memory_read(settings, &memory);
        bool same = r == 0 && strcmp(memory.token, token) == 0 && strcmp(memory.session_id, "id-1") == 0;
        session_memory_done(&memory);
        _exit(r == -ENOENT ? 2 : same ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void session_reaches_the_successor(void **state)
{
    struct server_settings prod = server("prod:1 \xc3\xa9", "https://em:9398", "LAB\\svc");
    struct server_settings other_user = server("prod:1 \xc3\xa9", "https://em:9398", "LAB\\other");
    struct server_settings other_url = server("prod:1 \xc3\xa9", "https://em2:9398", "LAB\\svc");
    struct session_memory memory = {(char *)"secret-token", (char *)"id-1"};
    char name[128];
    int fd;
    (void)state;
    assert_int_equal(session_memory_write(&prod, &memory), 0);
    assert_memory_equal(hear(NULL), "FDSTOREREMOVE=1\nFDNAME=session-", 31);
    const char *said = hear(&fd);
    assert_memory_equal(said, "FDSTORE=1\nFDNAME=session-", 25);
    assert_true(fd > 3);
    snprintf(name, sizeof(name), "%s", strchr(said, '\n') + sizeof("\nFDNAME=") - 1);
    assert_null(strchr(name, ':')); /* would split the list of names */
    assert_null(strstr(said, "secret-token"));
    assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    assert_int_equal(read_in_successor(fd, name, &prod, "secret-token"), 0);
    assert_int_equal(read_in_successor(fd, name, &prod, "secret-token"), 0); /* it can be read again */
    assert_int_equal(read_in_successor(fd, name, &other_user, "secret-token"), 2);
    assert_int_equal(read_in_successor(fd, name, &other_url, "secret-token"), 2);
    assert_int_equal(read_in_successor(fd, "control", &prod, "secret-token"), 2);
    close(fd);
}

static void garbage_in_the_store_is_no_session(void **state)
{
    struct server_settings prod = server("prod", "u", "n");
    char name[128];
    int fd;
    (void)state;
    assert_int_equal(session_memory_write(&prod, &(struct session_memory){(char *)"t", (char *)"i"}), 0);
    hear(NULL);
    snprintf(name, sizeof(name), "%s", strchr(hear(NULL), '\n') + sizeof("\nFDNAME=") - 1);
    static const char *const texts[] = {"", "u\n", "u\nn\n", "u\nn\nt\n", "u\nn\n\ni\n", "u"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fd = memfd_create("x", MFD_CLOEXEC);
        assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
        assert_int_equal(read_in_successor(fd, name, &prod, "t"), 2);
        close(fd);
    }
}

static void forgetting_takes_it_out(void **state)
{
    struct server_settings prod = server("prod", "u", "n");
    (void)state;
    session_memory_forget(&prod);
    assert_memory_equal(hear(NULL), "FDSTOREREMOVE=1\nFDNAME=session-", 31);
}

static void without_systemd_nothing_is_kept(void **state)
{
    struct server_settings prod = server("prod", "u", "n");
    struct session_memory memory;
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_false(session_memory_possible());
    assert_int_equal(session_memory_write(&prod, &(struct session_memory){(char *)"t", (char *)"i"}),
                     -EOPNOTSUPP);
    assert_int_equal(session_memory_read(&prod, &memory), -ENOENT);
    setenv("NOTIFY_SOCKET", systemd.path, 1);
    assert_int_equal(session_memory_write(&prod, &(struct session_memory){(char *)"a\nb", (char *)"i"}),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(life_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(status_is_told_when_it_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(watchdog_is_fed_by_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(session_reaches_the_successor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(garbage_in_the_store_is_no_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgetting_takes_it_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_systemd_nothing_is_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
