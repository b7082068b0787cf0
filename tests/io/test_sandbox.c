/* What systemd's RestrictSUIDSGID= takes from the daemon: openat2, and the setgid bit. Each test is a
 * process of its own under such a filter. */
#include "spool_fixture.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "io/open_beneath.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))

static void restrict_us(void)
{
    struct sock_filter rules[] = {
        LOAD(nr),
        UNLESS(SYS_openat2, 1),
        RETURN(SECCOMP_RET_ERRNO | ENOSYS),
        UNLESS(SYS_fchmod, 4),
        LOAD(args[1]),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, S_ISGID),
        UNLESS(S_ISGID, 1),
        RETURN(SECCOMP_RET_ERRNO | EPERM),
        RETURN(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]), rules};
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* In a child; a failed assertion there ends it with another status. */
static void under_filter(struct spool_world *world, void (*test)(struct spool_world *world))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        restrict_us();
        assert_int_equal(uv_loop_init(&world->loop), 0);
        uv_timer_init(&world->loop, &world->timer);
        test(world);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void assert_opens(int folder, const char *path, int wanted)
{
    for (int links = 0; links < 2; links++) {
        int fd = open_beneath(folder, path, links != 0);
        assert_int_equal(fd < 0 ? fd : 0, wanted);
        if (fd >= 0)
            close(fd);
    }
}

static void open_paths(struct spool_world *world)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/a", world->root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/a/b", world->root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/a/b/file", world->root);
    put(path, "x");
    snprintf(path, sizeof(path), "%s/a/link", world->root);
    assert_int_equal(symlink("b/file", path), 0);
    snprintf(path, sizeof(path), "%s/a/way", world->root);
    assert_int_equal(symlink("b", path), 0);
    int folder = open(world->root, O_PATH | O_DIRECTORY);
    assert_opens(folder, "a/b/file", 0);
    assert_opens(folder, "./a//b/./file", 0);
    assert_opens(folder, "a/b/none", -ENOENT);
    assert_opens(folder, "a/none/file", -ENOENT);
    assert_opens(folder, "a/b/file/x", -ENOTDIR);
    assert_opens(folder, "/etc/passwd", -EXDEV);
    assert_opens(folder, "a/../../etc", -EXDEV);
    assert_opens(folder, "..", -EXDEV);
    assert_opens(folder, "a/link", -ELOOP);
    assert_opens(folder, "a/way/file", -ENOTDIR);
    assert_opens(folder, "", -ENOENT);
}

static void nothing_leads_out_without_openat2(void **state)
{
    under_filter(*state, open_paths);
}

static void take_plans(struct spool_world *world)
{
    struct stat st;
    start(world);
    drop(world, "a.yaml", GOOD_PLAN);
    assert_int_equal(symlink("/etc/passwd", at(world, "link.yaml")), 0);
    TURN_UNTIL(world, world->n_filed == 1 && there(world, "rejected/link.errors.txt"));
    assert_int_equal(stat(at(world, "accepted"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    spool_shut(world);
}

static void plans_are_taken_without_both(void **state)
{
    under_filter(*state, take_plans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SPOOL(nothing_leads_out_without_openat2),
        IN_SPOOL(plans_are_taken_without_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
