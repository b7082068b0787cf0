/* Every file of tests/data/bad is refused with exactly the messages beside it,
 * read from the disk as the programs do: settings-*.yaml as settings with their
 * drop-ins, scheduled-*.yaml as plans of plans.d, all else as one-shot plans,
 * which know the servers prod and lab. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "io/plan_files.h"
#include "io/settings_files.h"
#include "model/plan.h"
#include "model/settings.h"

#define PLAN_BYTES 4096
#define PLAN_ITEMS 12
#define CASES_MIN 190
#define ACCEPTED_MS INT64_C(1795442400000)

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static int wanted(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && strcmp(entry->d_name + len - 5, ".yaml") == 0;
}

static int judge_settings(const char *name, struct diag *diag)
{
    struct settings *settings = NULL;
    int r = settings_files_load(name, &settings, diag);
    settings_free(settings);
    return r;
}

static int judge_plan(const char *name, struct diag *diag)
{
    char prod[] = "prod", lab[] = "lab";
    struct server_settings servers[] = {{.name = prod}, {.name = lab}};
    struct settings settings = {
        .servers = servers, .n_servers = 2, .plan_bytes = PLAN_BYTES, .plan_items = PLAN_ITEMS};
    struct plan_files files;
    struct plan *plan = NULL;
    _cleanup_(buf_done) struct buf error = BUF_INIT(4096);
    int r = plan_files_load(name, PLAN_BYTES, &files, &error);
    assert_string_equal(buf_str(&error), "");
    assert_int_equal(r, 0);
    r = plan_files_decode(&files, &settings, begins(name, "scheduled-"), ACCEPTED_MS, &plan, diag);
    plan_free(plan);
    plan_files_done(&files);
    return r;
}

static void read_expected(const char *name, struct buf *ret)
{
    char path[512], chunk[4096];
    snprintf(path, sizeof(path), "%.*s.expect", (int)strlen(name) - 5, name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s is missing", path);
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), file)) > 0;)
        assert_int_equal(buf_add(ret, chunk, n), 0);
    fclose(file);
}

/* True when the file is refused as expected. */
static bool judge(const char *name)
{
    struct diag diag = DIAG_INIT;
    _cleanup_(buf_done) struct buf expected = BUF_INIT(256 * 1024);
    int r = begins(name, "settings-") ? judge_settings(name, &diag) : judge_plan(name, &diag);
    read_expected(name, &expected);
    bool good = r == -EINVAL && strcmp(buf_str(&expected), buf_str(&diag.text)) == 0;
    if (!good)
        print_error("%s: returned %d; expected:\n%sbut it said:\n%s", name, r, buf_str(&expected),
                    buf_str(&diag.text));
    diag_done(&diag);
    return good;
}

static void every_bad_input_is_refused(void **state)
{
    (void)state;
    struct dirent **entries;
    unsigned wrong = 0;
    assert_int_equal(chdir(TEST_DATA_DIR "/bad"), 0);
    int n = scandir(".", &entries, wanted, alphasort);
    assert_true(n >= CASES_MIN);
    for (int i = 0; i < n; i++) {
        wrong += judge(entries[i]->d_name) ? 0 : 1;
        free(entries[i]);
    }
    free(entries);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_bad_input_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
