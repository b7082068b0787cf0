/* Every tests/data/bad-plans/NAME.yaml is refused with exactly the messages of
 * NAME.expect; scheduled-NAME.yaml as a file of plans.d. BAD_PLANS_SHOW=1 prints what it gives, to write new
 * ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "codec/plan_yaml.h"
#include "model/plan.h"

#define FOLDER TEST_DATA_DIR "/bad-plans/"
#define FILE_BYTES (64 * 1024)
#define ITEMS 20

static int read_file(const char *path, struct buf *ret)
{
    char chunk[4096];
    size_t n;
    int r = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    while (r == 0 && (n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        r = buf_add(ret, chunk, n);
    fclose(file);
    return r == -ENOBUFS ? -EFBIG : r;
}

static int read_csv(const char *path, struct buf *ret, void *data)
{
    char whole[4096];
    (void)data;
    snprintf(whole, sizeof(whole), FOLDER "%s", path);
    return read_file(whole, ret);
}

static int check_calendar(const char *expression, struct buf *ret_problem)
{
    if (strcmp(expression, "Mon..Fri 02:00") == 0)
        return 0;
    buf_add_str(ret_problem, "not known to this test");
    return -EINVAL;
}

static void check_one(const char *path)
{
    static const char *const servers[] = {"prod", "staging", NULL};
    _cleanup_(buf_done) struct buf text = BUF_INIT(FILE_BYTES), expected = BUF_INIT(FILE_BYTES);
    struct plan_yaml_options options = {.file = strrchr(path, '/') + 1,
                                        .plan_bytes = FILE_BYTES,
                                        .plan_items = ITEMS,
                                        .servers = servers,
                                        .scheduled = strncmp(strrchr(path, '/') + 1, "scheduled-", 10) == 0,
                                        .check_calendar = check_calendar,
                                        .read_csv = read_csv};
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    struct plan *plan = NULL;
    char expect[4096];
    snprintf(expect, sizeof(expect), "%.*sexpect", (int)(strlen(path) - strlen("yaml")), path);
    assert_int_equal(read_file(path, &text), 0);
    int r = plan_yaml_decode((struct bytes){buf_str(&text), text.len}, &options, &plan, &diag);
    plan_free(r == 0 ? plan : NULL);
    if (getenv("BAD_PLANS_SHOW"))
        printf("== %s\n%s", options.file, buf_str(&diag.text));
    if (r != -EINVAL)
        fail_msg("%s is not refused (%d)", options.file, r);
    if (read_file(expect, &expected) < 0)
        fail_msg("there is no %s", expect);
    if (strcmp(buf_str(&expected), buf_str(&diag.text)) != 0)
        fail_msg("%s gives\n%sinstead of\n%s", options.file, buf_str(&diag.text), buf_str(&expected));
}

static void bad_plans_are_refused_with_their_messages(void **state)
{
    glob_t found;
    (void)state;
    assert_int_equal(glob(FOLDER "*.yaml", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_one(found.gl_pathv[i]);
    globfree(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bad_plans_are_refused_with_their_messages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
