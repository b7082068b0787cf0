/* Settings and passwords from the disk: order of drop-ins, what is refused, what is dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/diag.h"
#include "io/settings_files.h"
#include "model/settings.h"

#define MAIN_TEXT \
    "version: 1\nservers: {p: {url: https://em, username: u, password: {file: pw}, tls: {ca_file: ca}}}\n"

static char home[PATH_MAX];

static int set_up(void **state)
{
    (void)state;
    strcpy(home, "/tmp/jobclone-settings-XXXXXX");
    return mkdtemp(home) && chdir(home) == 0 && mkdir("main.yaml.d", 0700) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const files[] = {"main.yaml",
                                        "pw",
                                        "main.yaml.d/10.yaml",
                                        "main.yaml.d/9.yaml",
                                        "main.yaml.d/.hidden.yaml",
                                        "main.yaml.d/note.txt",
                                        "main.yaml.d/fifo.yaml"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        unlink(files[i]);
    return rmdir("main.yaml.d") == 0 && chdir("/") == 0 && rmdir(home) == 0 ? 0 : -1;
}

static void put(const char *path, const char *text, size_t len, mode_t mode)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void put_text(const char *path, const char *text)
{
    put(path, text, strlen(text), 0600);
}

static void refuses(const char *path, const char *part)
{
    struct diag diag = DIAG_INIT;
    struct settings *settings = NULL;
    assert_int_equal(settings_files_load(path, &settings, &diag), -EINVAL);
    assert_null(settings);
    if (!strstr(buf_str(&diag.text), part))
        fail_msg("\"%s\" is not in: %s", part, buf_str(&diag.text));
    diag_done(&diag);
}

static void drop_ins_come_in_name_order(void **state)
{
    (void)state;
    put_text("main.yaml", MAIN_TEXT);
    put_text("main.yaml.d/10.yaml", "limits: {runs: 10, plan_items: 10}\n");
    put_text("main.yaml.d/9.yaml", "limits: {runs: 9}\n"); /* after 10: by bytes */
    put_text("main.yaml.d/.hidden.yaml", "limits: {runs: 7}\n");
    put_text("main.yaml.d/note.txt", "not settings\n");
    struct diag diag = DIAG_INIT;
    struct settings *settings = NULL;
    int r = settings_files_load("main.yaml", &settings, &diag);
    assert_string_equal(buf_str(&diag.text), "");
    assert_int_equal(r, 0);
    assert_int_equal(settings->runs_max, 9);
    assert_int_equal(settings->plan_items, 10);
    char *here = getcwd(NULL, 0);
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/ca", here);
    assert_string_equal(settings->servers[0].ca_file, path);
    free(here);
    settings_free(settings);
}

static void unreadable_files_are_named(void **state)
{
    (void)state;
    refuses("main.yaml", "main.yaml: there is no such file");
    refuses("main.yaml.d", "main.yaml.d: cannot be read: Is a directory");
    put_text("main.yaml", MAIN_TEXT);
    assert_int_equal(mkfifo("main.yaml.d/fifo.yaml", 0600), 0); /* and it does not hang */
    refuses("main.yaml", "main.yaml.d/fifo.yaml: cannot be read");
}

static void bad_drop_in_is_named(void **state)
{
    (void)state;
    put_text("main.yaml", MAIN_TEXT);
    put_text("main.yaml.d/10.yaml", "limits:\n  runs: x\n");
    refuses("main.yaml", "main.yaml.d/10.yaml:2:9: \"runs\" must be a number");
}

static char pw[] = "pw";
static const struct server_settings by_file = {.password_file = pw};
static const struct server_settings by_credential = {.password_credential = pw};

static void gives(const struct server_settings *server, const char *expected)
{
    struct buf error = BUF_INIT(4096);
    char *password = NULL;
    int r = settings_password(server, &password, &error);
    assert_string_equal(buf_str(&error), "");
    assert_int_equal(r, 0);
    assert_string_equal(password, expected);
    free(password);
}

static void gives_not(const struct server_settings *server, int expected, const char *part)
{
    struct buf error = BUF_INIT(4096);
    char *password = NULL;
    assert_int_equal(settings_password(server, &password, &error), expected);
    assert_null(password);
    if (!strstr(buf_str(&error), part))
        fail_msg("\"%s\" is not in: %s", part, buf_str(&error));
    buf_done(&error);
}

static void one_newline_is_dropped(void **state)
{
    (void)state;
    put_text("pw", "s3 cret");
    gives(&by_file, "s3 cret");
    put_text("pw", "s3cret\n");
    gives(&by_file, "s3cret");
    put_text("pw", "s3cret\n\n");
    gives(&by_file, "s3cret\n");
}

static void unfit_password_files_are_refused(void **state)
{
    (void)state;
    char large[4097];
    memset(large, 'x', sizeof(large));
    gives_not(&by_file, -ENOENT, "pw: the password cannot be read: No such file");
    put_text("pw", "");
    gives_not(&by_file, -EINVAL, "pw: is empty");
    put_text("pw", "\n");
    gives_not(&by_file, -EINVAL, "pw: is empty");
    put("pw", "a\0b", 3, 0600);
    gives_not(&by_file, -EINVAL, "pw: holds a NUL byte");
    put("pw", large, sizeof(large), 0600);
    gives_not(&by_file, -EFBIG, "pw: is larger than 4096 bytes");
    put("pw", large, sizeof(large) - 1, 0600);
    large[sizeof(large) - 1] = '\0';
    gives(&by_file, large);
    put("pw", "x", 1, 0640);
    gives_not(&by_file, -EPERM, "chmod 600 pw");
    put("pw", "x", 1, 0604);
    gives_not(&by_file, -EPERM, "chmod 600 pw");
    unlink("pw");
    assert_int_equal(mkfifo("pw", 0600), 0);
    gives_not(&by_file, -EINVAL, "pw: is not a regular file");
}

static void credentials_come_from_their_folder(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    gives_not(&by_credential, -ENOENT, "LoadCredential=pw:PATH");
    setenv("CREDENTIALS_DIRECTORY", home, 1);
    put("pw", "x\n", 2, 0440); /* systemd guards the folder; the mode does not count */
    gives(&by_credential, "x");
    unlink("pw");
    gives_not(&by_credential, -ENOENT, home);
    unsetenv("CREDENTIALS_DIRECTORY");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(drop_ins_come_in_name_order),
        TEST(unreadable_files_are_named),
        TEST(bad_drop_in_is_named),
        TEST(one_newline_is_dropped),
        TEST(unfit_password_files_are_refused),
        TEST(credentials_come_from_their_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
