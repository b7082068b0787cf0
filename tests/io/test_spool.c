/* The spool: what is taken, what waits, what is rejected, what is left alone. */
#include "spool_fixture.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

/* The linker's --wrap: a disk that takes its time. */
static atomic_bool slow_disk;
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    if (atomic_load(&slow_disk))
        usleep(200 * 1000);
    return __real_fsync(fd);
}

static void a_file_moved_in_is_taken(void **state)
{
    struct spool_world *world = *state;
    start(world);
    drop(world, "onboard.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 1);
    const struct spool_run *run = &world->runs[0];
    assert_string_equal(run->file, "onboard.yaml");
    assert_string_equal(run->filed, "accepted/onboard.yaml");
    assert_string_equal(run->plan, "good");
    assert_string_equal(run->server, "prod");
    assert_string_equal(buf_str(&run->bytes), GOOD_PLAN);
    assert_int_equal(run->n_items, 2);
    assert_int_equal(run->owner, getuid());
    assert_int_equal(strlen(run->hash), PLAN_FILES_HASH_LEN);
    assert_int_equal(run->identity.size, strlen(GOOD_PLAN));
    assert_false(there(world, "onboard.yaml"));
    assert_string_equal(content(world, "accepted/onboard.yaml"), GOOD_PLAN);
    assert_int_equal(count_names(world, "accepted"), 1);
    assert_int_equal(count_names(world, ""), 4); /* the target folders */
    /* a copy dropped later is a new run; its name is taken as long as the first is open */
    drop(world, "onboard.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 2);
    assert_string_equal(world->runs[1].filed, "accepted/onboard.01KB0000000000000000000002.yaml");
    spool_release(world->spool, "accepted/onboard.yaml");
    assert_int_equal(unlink(at(world, "accepted/onboard.yaml")), 0);
    drop(world, "onboard.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 3);
    assert_string_equal(world->runs[2].filed, "accepted/onboard.yaml");
    assert_string_equal(buf_str(&world->log), "");
}

static void modes_are_those_of_the_contract(void **state)
{
    struct spool_world *world = *state;
    mode_t mask = umask(0077);
    start(world);
    drop(world, "a.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 1);
    umask(mask);
    static const struct {
        const char *name;
        mode_t mode;
    } files[] = {{"", 03770},         {"accepted", 02750}, {"done", 02750},          {"failed", 02750},
                 {"rejected", 02750}, {".taking", 0700},   {"accepted/a.yaml", 0640}};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct stat st;
        assert_int_equal(stat(at(world, files[i].name), &st), 0);
        assert_int_equal(st.st_mode & 07777, files[i].mode);
    }
}

static void what_lay_there_before_is_found(void **state)
{
    struct spool_world *world = *state;
    assert_int_equal(mkdir(world->directory, 0700), 0);
    put(at(world, "b.yml"), GOOD_PLAN);
    put(at(world, ".hidden.yaml"), GOOD_PLAN);
    put(at(world, "c.yaml.tmp"), GOOD_PLAN);
    put(at(world, "d.yaml.part"), GOOD_PLAN);
    put(at(world, "e.yaml~"), GOOD_PLAN);
    put(at(world, "tenants.csv"), "tenant\n");
    uint64_t begin = loop_now().mono_ms;
    start(world);
    assert_int_equal(world->n_runs, 0); /* somebody may still be writing it */
    TURN_UNTIL(world, world->n_filed == 1);
    assert_true(loop_now().mono_ms - begin >= 2000);
    assert_string_equal(world->runs[0].filed, "accepted/b.yml");
    assert_int_equal(count_names(world, ""), 4 + 4);
}

static void a_file_that_is_being_written_waits(void **state)
{
    struct spool_world *world = *state;
    start(world);
    int fd = open(at(world, "slow.yaml"), O_WRONLY | O_CREAT, 0644);
    int opened_only = open(at(world, "empty.yaml"), O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0 && opened_only >= 0);
    size_t half = strlen(GOOD_PLAN) / 2;
    assert_int_equal(write(fd, GOOD_PLAN, half), half);
    drop(world, "other.yaml", GOOD_PLAN);
    turn_for(world, 4500); /* longer than what the scan calls unchanged */
    assert_int_equal(world->n_filed, 1);
    assert_string_equal(world->runs[0].file, "other.yaml");
    assert_int_equal(count_names(world, "rejected"), 0);
    assert_int_equal(write(fd, GOOD_PLAN + half, strlen(GOOD_PLAN) - half), strlen(GOOD_PLAN) - half);
    assert_int_equal(write(opened_only, GOOD_PLAN, strlen(GOOD_PLAN)), strlen(GOOD_PLAN));
    close(fd);
    close(opened_only);
    TURN_UNTIL(world, world->n_filed == 3);
    assert_string_equal(content(world, "accepted/slow.yaml"), GOOD_PLAN);
    assert_string_equal(content(world, "accepted/empty.yaml"), GOOD_PLAN);
}

/* A file made without ever being open under this name, as by linkat() of an unnamed one. */
static void a_file_linked_in_is_taken(void **state)
{
    struct spool_world *world = *state;
    char aside[128];
    start(world);
    snprintf(aside, sizeof(aside), "%s/aside", world->root);
    put(aside, GOOD_PLAN);
    assert_int_equal(link(aside, at(world, "linked.yaml")), 0);
    assert_int_equal(unlink(aside), 0);
    TURN_UNTIL(world, world->n_filed == 1);
}

static size_t count_lines(const struct spool_world *world)
{
    size_t n = 0;
    for (size_t i = 0; i < world->log.len; i++)
        n += world->log.data[i] == '\n';
    return n;
}

static void rejected_plans_say_why(void **state)
{
    struct spool_world *world = *state;
    start(world);
    drop(world, "bad.yaml", "version: 1\nnam: x\n");
    TURN_UNTIL(world, there(world, "rejected/bad.yaml") && !there(world, "bad.yaml"));
    assert_string_equal(content(world, "rejected/bad.yaml"), "version: 1\nnam: x\n");
    assert_non_null(strstr(content(world, "rejected/bad.errors.txt"), "bad.yaml:2:1: "));
    TURN_UNTIL(world, count_lines(world) == 1);
    assert_non_null(strstr(buf_str(&world->log), "bad.yaml is not valid: see"));
    /* the same once more makes no heap of copies; another one does not replace it */
    drop(world, "bad.yaml", "version: 1\nnam: x\n");
    TURN_UNTIL(world, !there(world, "bad.yaml"));
    drop(world, "bad.yaml", "");
    TURN_UNTIL(world, count_names(world, "rejected") == 4 && !there(world, "bad.yaml"));
    drop(world, "bad.yml", "x\n");
    TURN_UNTIL(world, count_names(world, "rejected") == 6 && !there(world, "bad.yml"));
    assert_string_equal(content(world, "rejected/bad.yaml"), "version: 1\nnam: x\n");
    assert_non_null(strstr(content(world, "rejected/bad.errors.txt"), "bad.yaml:2:1: "));
    struct stat st;
    assert_int_equal(stat(at(world, "rejected/bad.errors.txt"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(world->n_runs, 0);
}

static void bind_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
}

static void strange_things_are_left_alone(void **state)
{
    struct spool_world *world = *state;
    char aside[128], secret[128];
    start(world);
    snprintf(aside, sizeof(aside), "%s/aside", world->root);
    snprintf(secret, sizeof(secret), "%s/secret.yaml", world->root);
    put(secret, GOOD_PLAN);
    assert_int_equal(symlink(secret, at(world, "link.yaml")), 0);
    assert_int_equal(mkfifo(at(world, "fifo.yaml"), 0666), 0);
    assert_int_equal(mkdir(at(world, "folder.yaml"), 0755), 0);
    assert_int_equal(link(secret, at(world, "hard.yaml")), 0);
    bind_socket(at(world, "socket.yaml"));
    bool device = mknod(at(world, "device.yaml"), S_IFCHR | 0666, makedev(1, 3)) == 0; /* root may */
    size_t n = device ? 7 : 6;
    int fd = open(aside, O_WRONLY | O_CREAT, 0644);
    assert_int_equal(ftruncate(fd, 64 * 1024 + 1), 0);
    close(fd);
    assert_int_equal(rename(aside, at(world, "large.yaml")), 0);
    drop(world, "good.yaml", GOOD_PLAN);
    TURN_UNTIL(world, count_names(world, "rejected") == n && world->n_filed == 1 && count_lines(world) == n);
    static const char *const names[] = {"link", "fifo", "folder", "hard", "socket", "large", "device"};
    static const char *const reasons[] = {"symbolic link",  "no regular file", "it is a folder",
                                          "hard links",     "no regular file", "limits.plan_bytes",
                                          "no regular file"};
    for (size_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s.yaml", names[i]);
        assert_true(there(world, name));
        assert_non_null(strstr(buf_str(&world->log), name));
        snprintf(name, sizeof(name), "rejected/%s.errors.txt", names[i]);
        assert_non_null(strstr(content(world, name), reasons[i]));
        assert_non_null(strstr(content(world, name), "left where it is"));
    }
    /* nobody has the pipe open for reading */
    assert_int_equal(open(at(world, "fifo.yaml"), O_WRONLY | O_NONBLOCK), -1);
    assert_int_equal(errno, ENXIO);
    /* each is told of once, and looked at again when it changes */
    size_t logged = world->log.len;
    turn_for(world, 2500);
    assert_int_equal(world->log.len, logged);
    assert_int_equal(unlink(secret), 0);
    assert_int_equal(chmod(at(world, "hard.yaml"), 0600),
                     0); /* else the next scan sees it, within a minute */
    TURN_UNTIL(world, world->n_filed == 2);
    assert_string_equal(world->runs[1].file, "hard.yaml");
    assert_false(there(world, "rejected/hard.errors.txt"));
}

/* The notes about what is left go with it. */
static void notes_do_not_stay(void **state)
{
    struct spool_world *world = *state;
    start(world);
    drop(world, "x.yaml", "bad: ");
    TURN_UNTIL(world, count_names(world, "rejected") == 2 && !there(world, "x.yaml"));
    assert_int_equal(symlink("/dev/null", at(world, "x.yaml")), 0);
    assert_int_equal(symlink("/dev/null", at(world, "y.yaml")), 0);
    TURN_UNTIL(world, there(world, "rejected/y.errors.txt"));
    TURN_UNTIL(world, there(world, "rejected/x.yaml.errors.txt"));
    assert_null(strstr(content(world, "rejected/x.errors.txt"), "symbolic"));
    assert_int_equal(unlink(at(world, "x.yaml")), 0);
    drop(world, "y.yaml", GOOD_PLAN); /* replaces the link */
    TURN_UNTIL(world, world->n_filed == 1);
    assert_false(there(world, "rejected/y.errors.txt"));
    spool_shut(world);
    put(at(world, "z.yaml"), GOOD_PLAN); /* so that it scans twice */
    start(world);
    TURN_UNTIL(world, world->n_filed == 2);
}

/* The plan comes when the note is there, but before the spool knows that it has been written. */
static void a_note_that_comes_late_does_not_stay(void **state)
{
    struct spool_world *world = *state;
    start(world);
    atomic_store(&slow_disk, true);
    assert_int_equal(symlink("/dev/null", at(world, "y.yaml")), 0);
    for (uint64_t end = loop_now().mono_ms + 60000;
         !there(world, "rejected/y.errors.txt") && loop_now().mono_ms < end;)
        uv_run(&world->loop, UV_RUN_NOWAIT);
    drop(world, "y.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 1);
    atomic_store(&slow_disk, false);
    assert_false(there(world, "rejected/y.errors.txt"));
}

static void long_and_odd_names_are_kept(void **state)
{
    struct spool_world *world = *state;
    char longest[256], with_id[300];
    memset(longest, 'n', 250);
    memcpy(longest + 250, ".yaml", 6);
    start(world);
    drop(world, longest, GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 1);
    drop(world, longest, GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 2);
    snprintf(with_id, sizeof(with_id), "accepted/%.*s.%s.yaml", 255 - 12 - 27, longest, world->runs[1].id);
    assert_string_equal(world->runs[1].filed, with_id);
    drop(world, "a b\n\xc5\xbe\xff.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 3);
    assert_string_equal(content(world, "accepted/a b\n\xc5\xbe\xff.yaml"), GOOD_PLAN);
    drop(world, longest, "bad");
    TURN_UNTIL(world, count_names(world, "rejected") == 2 && !there(world, longest));
}

#define CSV_PLAN                                                                             \
    "version: 1\nname: csv\nserver: prod\nclones:\n  - {for_each: {csv: t.csv}, source: T, " \
    "repository: R, name: '${tenant}'}\n"

static void csv_files_belong_to_the_owner(void **state)
{
    struct spool_world *world = *state;
    char outside[128];
    start(world);
    snprintf(outside, sizeof(outside), "%s/outside.csv", world->root);
    put(outside, "tenant\nsecret\n");
    drop(world, "p.yaml", CSV_PLAN);
    TURN_UNTIL(world, there(world, "rejected/p.errors.txt") && !there(world, "p.yaml"));
    assert_non_null(strstr(content(world, "rejected/p.errors.txt"), "no file \"t.csv\""));
    assert_int_equal(symlink(outside, at(world, "t.csv")), 0);
    drop(world, "q.yaml", CSV_PLAN);
    TURN_UNTIL(world, there(world, "rejected/q.errors.txt") && !there(world, "q.yaml"));
    assert_int_equal(unlink(at(world, "t.csv")), 0);
    assert_int_equal(link(outside, at(world, "t.csv")), 0);
    drop(world, "r.yaml", CSV_PLAN);
    TURN_UNTIL(world, there(world, "rejected/r.errors.txt") && !there(world, "r.yaml"));
    assert_non_null(strstr(content(world, "rejected/r.errors.txt"), "hard links"));
    assert_int_equal(unlink(at(world, "t.csv")), 0);
    put(at(world, "t.csv"), "tenant\nx\ny\nz\n");
    drop(world, "s.yaml", CSV_PLAN);
    TURN_UNTIL(world, world->n_filed == 1);
    assert_int_equal(world->runs[0].n_items, 3);
    assert_int_equal(world->runs[0].n_csv, 1);
    assert_true(there(world, "t.csv")); /* it stays */
    if (getuid() != 0)
        return; /* only root can give files away */
    assert_int_equal(chown(at(world, "t.csv"), 4711, 0), 0);
    drop(world, "t.yaml", CSV_PLAN);
    TURN_UNTIL(world, there(world, "rejected/t.errors.txt") && !there(world, "t.yaml"));
    assert_non_null(
        strstr(content(world, "rejected/t.errors.txt"), "neither to the plan's owner nor to root"));
}

static void a_foreign_folder_is_refused(void **state)
{
    struct spool_world *world = *state;
    struct buf error = BUF_INIT(4096);
    assert_int_equal(mkdir(world->directory, 0700), 0);
    assert_int_equal(mkdir(at(world, "done"), 0700), 0);
    assert_int_equal(chmod(at(world, "done"), 0770), 0);
    assert_int_equal(
        spool_new(&world->loop, &world->settings, &spool_world_ops, world, &world->spool, &error), -EPERM);
    assert_non_null(strstr(buf_str(&error), "/spool/done: others may write there"));
    buf_reset(&error);
    assert_int_equal(rmdir(at(world, "done")), 0);
    assert_int_equal(symlink("/tmp", at(world, "done")), 0);
    assert_true(spool_new(&world->loop, &world->settings, &spool_world_ops, world, &world->spool, &error) <
                0);
    assert_non_null(strstr(buf_str(&error), "/spool/done: it is no folder"));
    world->spool = NULL;
    buf_done(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SPOOL(a_file_moved_in_is_taken),
        IN_SPOOL(modes_are_those_of_the_contract),
        IN_SPOOL(what_lay_there_before_is_found),
        IN_SPOOL(a_file_that_is_being_written_waits),
        IN_SPOOL(a_file_linked_in_is_taken),
        IN_SPOOL(rejected_plans_say_why),
        IN_SPOOL(strange_things_are_left_alone),
        IN_SPOOL(notes_do_not_stay),
        IN_SPOOL(a_note_that_comes_late_does_not_stay),
        IN_SPOOL(long_and_odd_names_are_kept),
        IN_SPOOL(csv_files_belong_to_the_owner),
        IN_SPOOL(a_foreign_folder_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
