/* A result's file: whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/result_file.h"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test-result-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static void in_folder(const char *name, char ret[128])
{
    snprintf(ret, 128, "%s/%s", folder, name);
}

static size_t count_entries(bool forget)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        n++;
        if (forget)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    return n;
}

static int teardown(void **state)
{
    (void)state;
    count_entries(true);
    return rmdir(folder);
}

struct order {
    unsigned lines; /* of 10 bytes */
    int error;
};

static int produce(int (*write)(const char *data, size_t len, void *sink), void *sink, void *user)
{
    const struct order *order = user;
    for (unsigned i = 0; i < order->lines; i++) {
        char line[16];
        snprintf(line, sizeof(line), "%09u\n", i);
        int r = write(line, 10, sink);
        if (r < 0)
            return r;
    }
    return order->error;
}

static int produce_big(int (*write)(const char *data, size_t len, void *sink), void *sink, void *user)
{
    int r = write("x", 1, sink);
    return r < 0 ? r : write(user, 200000, sink);
}

static void assert_lines(const char *path, unsigned lines)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[32];
    unsigned n = 0;
    for (; fgets(line, sizeof(line), file) != NULL; n++)
        assert_int_equal(strtoul(line, NULL, 10), n);
    fclose(file);
    assert_int_equal(n, lines);
}

static void file_is_replaced_whole(void **state)
{
    (void)state;
    char path[128];
    in_folder("r.json", path);
    struct buf error = BUF_INIT(1024);
    struct order order = {.lines = 3};
    mode_t mask = umask(0077);
    assert_int_equal(result_file_write(path, produce, &order, &error), 0);
    umask(mask);
    assert_lines(path, 3);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    order.lines = 30000; /* more than is gathered */
    assert_int_equal(result_file_write(path, produce, &order, &error), 0);
    assert_lines(path, 30000);
    assert_int_equal(count_entries(false), 1);
    assert_int_equal(error.len, 0);
}

static void one_big_write_keeps_its_place(void **state)
{
    (void)state;
    char path[128];
    in_folder("big", path);
    struct buf error = BUF_INIT(1024);
    char *big = malloc(200000);
    assert_non_null(big);
    memset(big, 'y', 200000);
    assert_int_equal(result_file_write(path, produce_big, big, &error), 0);
    free(big);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fgetc(file), 'x');
    size_t n = 0;
    for (int c; (c = fgetc(file)) != EOF; n++)
        assert_int_equal(c, 'y');
    fclose(file);
    assert_int_equal(n, 200000);
}

static void failure_leaves_the_old_file(void **state)
{
    (void)state;
    char path[128];
    in_folder("r.json", path);
    struct buf error = BUF_INIT(1024);
    struct order order = {.lines = 3};
    assert_int_equal(result_file_write(path, produce, &order, &error), 0);
    order = (struct order){.lines = 30000, .error = -ECANCELED};
    assert_int_equal(result_file_write(path, produce, &order, &error), -ECANCELED);
    assert_lines(path, 3);
    assert_int_equal(count_entries(false), 1);
    assert_non_null(strstr(buf_str(&error), path));
    assert_non_null(strstr(buf_str(&error), "cannot be written"));
    buf_done(&error);
}

static void missing_folder_and_folders_are_errors(void **state)
{
    (void)state;
    char path[128];
    struct buf error = BUF_INIT(1024);
    struct order order = {.lines = 1};
    in_folder("none/r.json", path);
    assert_int_equal(result_file_write(path, produce, &order, &error), -ENOENT);
    assert_non_null(strstr(buf_str(&error), "none/r.json"));
    assert_int_equal(result_file_write(folder, produce, &order, &error), -EISDIR);
    assert_int_equal(result_file_write("", produce, &order, &error), -ENOENT);
    assert_int_equal(count_entries(false), 0);
    buf_done(&error);
}

static void links_are_followed_and_devices_kept(void **state)
{
    (void)state;
    char path[128], link[128];
    struct buf error = BUF_INIT(1024);
    struct order order = {.lines = 1};
    in_folder("real", path);
    in_folder("link", link);
    assert_int_equal(result_file_write(path, produce, &order, &error), 0);
    assert_int_equal(symlink("real", link), 0);
    order.lines = 2;
    assert_int_equal(result_file_write(link, produce, &order, &error), 0);
    assert_lines(path, 2);
    struct stat st;
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(result_file_write("/dev/null", produce, &order, &error), 0);
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

static void a_fifo_is_not_waited_for(void **state)
{
    (void)state;
    char path[128], got[64];
    struct buf error = BUF_INIT(1024);
    struct order order = {.lines = 1};
    in_folder("fifo", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(30); /* it would be waited for */
    assert_int_equal(result_file_write(path, produce, &order, &error), -ENXIO);
    assert_non_null(
        strstr(buf_str(&error), "fifo cannot be written: nobody reads from it; start its reader"));
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_int_equal(result_file_write(path, produce, &order, &error), 0);
    assert_true(read(reader, got, sizeof(got)) > 0);
    alarm(0);
    close(reader);
    buf_done(&error);
}

static void name_alone_is_the_working_folder(void **state)
{
    (void)state;
    struct buf error = BUF_INIT(1024);
    struct order order = {.lines = 1};
    int before = open(".", O_RDONLY | O_DIRECTORY);
    assert_true(before >= 0);
    assert_int_equal(chdir(folder), 0);
    int r = result_file_write("alone", produce, &order, &error);
    assert_int_equal(fchdir(before), 0);
    close(before);
    assert_int_equal(r, 0);
    char path[128];
    in_folder("alone", path);
    assert_lines(path, 1);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(file_is_replaced_whole),
        IN_FOLDER(one_big_write_keeps_its_place),
        IN_FOLDER(failure_leaves_the_old_file),
        IN_FOLDER(missing_folder_and_folders_are_errors),
        IN_FOLDER(links_are_followed_and_devices_kept),
        IN_FOLDER(a_fifo_is_not_waited_for),
        IN_FOLDER(name_alone_is_the_working_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
