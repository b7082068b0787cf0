/* Good plans: what they expand to. The bad ones are in test_bad_inputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "codec/plan_yaml.h"
#include "model/plan.h"

#define HEAD "version: 1\nname: p\nserver: s\n"
#define GUID "01234567-89AB-CDEF-0123-456789abcdef"

static int give_csv(const char *path, struct buf *ret, void *data)
{
    return strcmp(path, "t.csv") == 0 ? buf_add_str(ret, data) : -ENOENT;
}

static struct plan *plan_of(const char *text, const char *csv)
{
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    _cleanup_(buf_done) struct buf data = BUF_INIT(4096);
    struct plan *plan = NULL;
    assert_int_equal(buf_add_str(&data, csv), 0);
    struct plan_yaml_options options = {
        .file = "p.yaml", .plan_bytes = 65536, .plan_items = 10, .read_csv = give_csv, .data = data.data};
    int r = plan_yaml_decode((struct bytes){text, strlen(text)}, &options, &plan, &diag);
    assert_string_equal(buf_str(&diag.text), "");
    assert_int_equal(r, 0);
    return plan;
}

static void defaults_hold_unless_a_clone_gives_its_own(void **state)
{
    (void)state;
    struct plan *plan =
        plan_of(HEAD "defaults: {source: T, repository: R, folder: f, on_conflict: skip}\n"
                     "clones:\n  - name: 007\n  - {name: no, repository: S, on_conflict: rename}\n"
                     "  - {name: c, kind: Replica, vm_suffix: _x}\n",
                "-");
    assert_int_equal(plan->n_clones, 3);
    assert_int_equal(plan->attempts, 6);
    assert_int_equal(plan->task_timeout_ms, 30 * 60000);
    assert_string_equal(plan->clones[0].name, "007");
    assert_string_equal(plan->clones[0].repository.text, "R");
    assert_false(plan->clones[0].own_repository);
    assert_true(plan->clones[1].own_repository);
    assert_int_equal(plan->clones[1].on_conflict, ON_CONFLICT_RENAME);
    assert_string_equal(plan->clones[1].name, "no");
    assert_int_equal(plan->clones[2].repository.by, PLAN_REF_NONE); /* a Replica has none: ignored */
    assert_null(plan->clones[2].folder);
    plan_free(plan);
}

static void csv_rows_become_clones(void **state)
{
    (void)state;
    struct plan *plan =
        plan_of(HEAD "clones:\n  - for_each: {csv: t.csv, delimiter: ';'}\n    source: T\n"
                     "    name: '${a} ${index:03} $${a} ${plan.name}'\n    description: '${b}'\n",
                "\xef\xbb\xbf"
                "a;b\r\nx; y \r\n\r\n\"z;\";\"\"\"q\"\"\"");
    assert_int_equal(plan->n_clones, 2);
    assert_string_equal(plan->clones[0].name, "x 000 ${a} p");
    assert_string_equal(plan->clones[0].description, " y ");
    assert_string_equal(plan->clones[1].name, "z; 001 ${a} p");
    assert_string_equal(plan->clones[1].description, "\"q\"");
    plan_free(plan);
}

static void source_by_id_is_filled_in_later(void **state)
{
    (void)state;
    const char *problem = NULL;
    struct plan *plan = plan_of(HEAD "clones:\n  - for_each: {list: [{v: '${source.name}$'}]}\n"
                                     "    source: {uid: 'urn:veeam:Job:" GUID "'}\n"
                                     "    name: '$${x} ${v}${source.name}'\n",
                                "-");
    struct plan_clone *clone = &plan->clones[0];
    assert_true(clone->late);
    assert_string_equal(clone->source.text, "01234567-89ab-cdef-0123-456789abcdef");
    assert_int_equal(
        plan_clone_fill_source(clone, "a name that makes it much too long", plan->arena, &problem), -EINVAL);
    assert_non_null(strstr(problem, "at most 50"));
    assert_true(clone->late);
    assert_int_equal(plan_clone_fill_source(clone, "Job", plan->arena, &problem), 0);
    assert_string_equal(clone->name, "${x} ${source.name}$Job");
    assert_false(clone->late);
    plan_free(plan);
}

static void a_window_has_its_zone(void **state)
{
    (void)state;
    struct plan *plan = plan_of(HEAD "window: {from: '22:00', to: 24:00, timezone: UTC}\n"
                                     "clones: [{source: T, name: A}]\n",
                                "-");
    assert_true(plan->window.given);
    assert_int_equal(plan->window.from_min, 22 * 60);
    assert_int_equal(plan->window.to_min, 24 * 60);
    assert_string_equal(plan->window.zone.name, "UTC");
    plan_free(plan);
}

static void a_named_source_is_filled_in_at_once(void **state)
{
    (void)state;
    struct plan *plan =
        plan_of(HEAD "stop_after_failures: 10%\nclones: [{source: T, name: '${source.name} 2'}]\n", "-");
    assert_string_equal(plan->clones[0].name, "T 2");
    assert_false(plan->clones[0].late);
    assert_int_equal(plan->stop_percent, 10);
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_unless_a_clone_gives_its_own),
        cmocka_unit_test(csv_rows_become_clones),
        cmocka_unit_test(source_by_id_is_filled_in_later),
        cmocka_unit_test(a_window_has_its_zone),
        cmocka_unit_test(a_named_source_is_filled_in_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
