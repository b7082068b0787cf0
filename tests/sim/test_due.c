/* Scenarios of when the next turn is due: what may go on does so by itself, and what must wait for an answer
 * does not turn meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "world.h"

/* The certificate is refused once: half a minute later the clone is tried again, though nothing else is due.
 */
static void test_certificate_is_refused(void **state)
{
    (void)state;
    struct world *world = scene_quiet(1);
    world->scripts[0] = (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("tls"), .count = 1};
    scene_begin(world);
    while (world->sends < 2 && !world->failure[0])
        scene_step(world);
    assert_in_range(world->now_ms - world->scripts[0].answered_ms, 30000, 31000);
    assert_true(scene_run(world));
    assert_int_equal(scene_count(world, ITEM_SUCCEEDED), 1);
    scene_free(world);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificate_is_refused),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
