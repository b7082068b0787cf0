/* A plan and its CSV files from the disk: what is read, kept, hashed and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "io/plan_files.h"
#include "io/settings_files.h"
#include "model/plan.h"
#include "model/settings.h"

#define PLAN_BYTES 4096
#define CONFIG_DIR TEST_DATA_DIR "/../../config"

static const char PLAN[] = "version: 1\nname: p\nserver: prod\nclones:\n"
                           "  - for_each: {csv: t.csv}\n    source: T\n    name: '${tenant}'\n";

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

/* A folder of its own for each test, which is the working directory. */
static int set_up(void **state)
{
    char folder[] = "/tmp/plan-files-XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) < 0 || mkdir("in", 0700) < 0 || mkdir("in/sub", 0700) < 0)
        return -1;
    *state = strdup(folder);
    write_file("in/p.yaml", PLAN);
    write_file("in/t.csv", "tenant\na\nb\n");
    write_file("in/sub/t.csv", "tenant\nc\n");
    write_file("secret.csv", "tenant\nsecret\n");
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"in/p.yaml", "in/t.csv",    "in/sub/t.csv",   "in/link.csv",
                                        "in/fifo",   "secret.csv",  "in/up",          "in/inside.csv",
                                        "in/q.yaml", "in/long.csv", "in/absolute.csv"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        unlink(files[i]);
    int r = rmdir("in/sub") < 0 || rmdir("in") < 0 || chdir("/") < 0 || rmdir(*state) < 0 ? -1 : 0;
    free(*state);
    return r;
}

static void load(struct plan_files *files, const char *path)
{
    _cleanup_(buf_done) struct buf error = BUF_INIT(4096);
    int r = plan_files_load(path, PLAN_BYTES, files, &error);
    assert_string_equal(buf_str(&error), "");
    assert_int_equal(r, 0);
}

static void csv_is(struct plan_files *files, const char *path, int result, const char *text)
{
    _cleanup_(buf_done) struct buf bytes = BUF_INIT(PLAN_BYTES);
    assert_int_equal(plan_files_read_csv(path, &bytes, files), result);
    assert_string_equal(buf_str(&bytes), text);
}

static void a_sealed_plan_opens_no_file(void **state)
{
    (void)state;
    struct plan_files files;
    struct buf bytes = BUF_INIT(PLAN_BYTES);
    load(&files, "in/p.yaml");
    assert_int_equal(buf_add_str(&bytes, "tenant\nz\n"), 0);
    assert_int_equal(plan_files_keep_csv(&files, "sub/t.csv", &bytes), 0);
    files.sealed = true;
    csv_is(&files, "sub/t.csv", 0, "tenant\nz\n");
    csv_is(&files, "t.csv", -ENOENT, "");
    assert_int_equal(plan_files_keep_csv(&files, "sub/t.csv", &bytes), -EEXIST);
    plan_files_done(&files);
}

static void a_plan_and_its_csv_are_read(void **state)
{
    struct plan_files files;
    struct plan *plan = NULL;
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    (void)state;
    load(&files, "in/p.yaml");
    assert_string_equal(buf_str(&files.bytes), PLAN);
    assert_int_equal(plan_files_decode(&files, NULL, false, 0, &plan, &diag), 0);
    assert_string_equal(buf_str(&diag.text), "");
    assert_int_equal(plan->n_clones, 2);
    assert_string_equal(plan->clones[1].name, "b");
    assert_int_equal(files.n_csv, 1);
    assert_string_equal(files.csv[0].path, "t.csv");
    plan_free(plan);
    plan_files_done(&files);
}

static void what_was_read_once_is_kept(void **state)
{
    struct plan_files files;
    (void)state;
    load(&files, "in/p.yaml");
    csv_is(&files, "t.csv", 0, "tenant\na\nb\n");
    write_file("in/t.csv", "tenant\nother\n");
    csv_is(&files, "t.csv", 0, "tenant\na\nb\n");
    assert_int_equal(unlink("in/t.csv"), 0);
    csv_is(&files, "t.csv", 0, "tenant\na\nb\n");
    csv_is(&files, "sub/t.csv", 0, "tenant\nc\n");
    assert_int_equal(files.n_csv, 2);
    plan_files_done(&files);
}

static void links_do_not_lead_out(void **state)
{
    _cleanup_free_ char *absolute = NULL;
    struct plan_files files;
    assert_true(asprintf(&absolute, "%s/secret.csv", (const char *)*state) > 0);
    assert_int_equal(symlink("../secret.csv", "in/link.csv"), 0);
    assert_int_equal(symlink(absolute, "in/absolute.csv"), 0);
    assert_int_equal(symlink("..", "in/up"), 0);
    assert_int_equal(symlink("sub/t.csv", "in/inside.csv"), 0);
    load(&files, "in/p.yaml");
    csv_is(&files, "link.csv", -EXDEV, "");
    csv_is(&files, "absolute.csv", -EXDEV, "");
    csv_is(&files, "up/secret.csv", -EXDEV, "");
    csv_is(&files, "../secret.csv", -EXDEV, "");
    csv_is(&files, "inside.csv", 0, "tenant\nc\n");
    assert_int_equal(files.n_csv, 1);
    plan_files_done(&files);
}

static void only_regular_files_that_fit_are_read(void **state)
{
    char text[PLAN_BYTES + 2];
    struct plan_files files;
    (void)state;
    memset(text, 'x', sizeof(text));
    text[PLAN_BYTES + 1] = '\0';
    write_file("in/long.csv", text);
    assert_int_equal(mkfifo("in/fifo", 0600), 0);
    load(&files, "in/p.yaml");
    csv_is(&files, "long.csv", -EFBIG, "");
    csv_is(&files, "sub", -EISDIR, "");
    csv_is(&files, "nowhere.csv", -ENOENT, "");
    _cleanup_(buf_done) struct buf bytes = BUF_INIT(PLAN_BYTES);
    assert_true(plan_files_read_csv("fifo", &bytes, &files) < 0);
    text[PLAN_BYTES] = '\0';
    write_file("in/long.csv", text);
    csv_is(&files, "long.csv", 0, text);
    plan_files_done(&files);
}

static void load_fails(const char *path, int result)
{
    struct plan_files files;
    _cleanup_(buf_done) struct buf error = BUF_INIT(4096);
    assert_int_equal(plan_files_load(path, PLAN_BYTES, &files, &error), result);
    assert_int_equal(strncmp(buf_str(&error), path, strlen(path)), 0); /* says which */
    assert_non_null(strstr(buf_str(&error), "; "));                    /* and what to do */
    plan_files_done(&files);
}

static void plans_that_cannot_be_read_say_why(void **state)
{
    char text[PLAN_BYTES + 2];
    (void)state;
    memset(text, '#', sizeof(text));
    text[PLAN_BYTES + 1] = '\0';
    write_file("in/q.yaml", text);
    load_fails("in/q.yaml", -EFBIG);
    load_fails("in/nowhere.yaml", -ENOENT);
    load_fails("in", -EISDIR);
}

static void hash_of(struct plan_files *files, const char *plan, const char *csv, char *ret)
{
    write_file("in/q.yaml", plan);
    write_file("in/t.csv", csv);
    load(files, "in/q.yaml");
    csv_is(files, "t.csv", 0, csv);
    plan_files_hash(files);
    memcpy(ret, files->hash, sizeof(files->hash));
    plan_files_done(files);
}

static void the_hash_tells_contents_apart(void **state)
{
    char hash[5][PLAN_FILES_HASH_LEN + 1];
    struct plan_files files;
    (void)state;
    hash_of(&files, "ab", "c", hash[0]);
    hash_of(&files, "ab", "c", hash[1]);
    hash_of(&files, "a", "bc", hash[2]);
    hash_of(&files, "ab", "d", hash[3]);
    hash_of(&files, "aB", "c", hash[4]);
    assert_int_equal(strlen(hash[0]), PLAN_FILES_HASH_LEN);
    assert_int_equal(strspn(hash[0], "0123456789abcdef"), PLAN_FILES_HASH_LEN);
    assert_string_equal(hash[0], hash[1]);
    for (size_t i = 2; i < ARRAY_SIZE(hash); i++)
        assert_string_not_equal(hash[0], hash[i]);
}

static void the_order_of_reading_does_not_count(void **state)
{
    char first[PLAN_FILES_HASH_LEN + 1];
    struct plan_files files;
    (void)state;
    load(&files, "in/p.yaml");
    csv_is(&files, "t.csv", 0, "tenant\na\nb\n");
    csv_is(&files, "sub/t.csv", 0, "tenant\nc\n");
    plan_files_hash(&files);
    memcpy(first, files.hash, sizeof(first));
    plan_files_done(&files);
    load(&files, "in/p.yaml");
    csv_is(&files, "sub/t.csv", 0, "tenant\nc\n");
    csv_is(&files, "t.csv", 0, "tenant\na\nb\n");
    plan_files_hash(&files);
    assert_string_equal(files.hash, first);
    plan_files_done(&files);
}

/* The samples under config/ are true: with the sample settings they are good plans. */
static void the_samples_are_good(void **state)
{
    static const struct {
        const char *path;
        size_t n;
        bool scheduled;
    } samples[] = {{CONFIG_DIR "/plans/first.yaml", 3, false},
                   {CONFIG_DIR "/plans/onboarding.yaml", 15, false},
                   {CONFIG_DIR "/plans.d/nightly.yaml", 5, true}};
    struct settings *settings = NULL;
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    (void)state;
    assert_int_equal(settings_files_load(CONFIG_DIR "/jobcloned.yaml", &settings, &diag), 0);
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        struct plan_files files;
        struct plan *plan = NULL;
        load(&files, samples[i].path);
        assert_int_equal(plan_files_decode(&files, settings, samples[i].scheduled, 0, &plan, &diag), 0);
        assert_int_equal(plan->n_clones, samples[i].n);
        plan_free(plan);
        plan_files_done(&files);
    }
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_plan_and_its_csv_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sealed_plan_opens_no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_read_once_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_do_not_lead_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_regular_files_that_fit_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plans_that_cannot_be_read_say_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_hash_tells_contents_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_order_of_reading_does_not_count, set_up, tear_down),
        cmocka_unit_test(the_samples_are_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
