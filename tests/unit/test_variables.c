/* Variables in the texts of a plan: what they stand for, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "codec/variables.h"
#include "codec/yaml_node.h"

#define ACCEPTED_MS INT64_C(1795442400000) /* 2026-11-23T14:00:00Z */

static const char *const columns[] = {"tenant", "vm.name"};
static const char *const cells[] = {"Acme", "web01"};

static const struct scope everything = {.plan_name = "onboarding",
                                        .accepted_ms = ACCEPTED_MS,
                                        .for_each = true,
                                        .columns = columns,
                                        .n_columns = 2,
                                        .source = true};

static int compile(const char *text, const struct scope *scope, struct arena *arena, struct template *ret,
                   struct diag *diag)
{
    struct yaml_node node = {.kind = YAML_SCALAR, .line = 3, .column = 7, .file = "p.yaml", .text = text};
    return template_compile(&node, scope, arena, ret, diag);
}

static void expand(const char *text, const struct values *values, struct buf *ret)
{
    struct arena *arena = arena_new();
    struct template template;
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    assert_non_null(arena);
    int r = compile(text, &everything, arena, &template, &diag);
    assert_string_equal(buf_str(&diag.text), "");
    assert_int_equal(r, 0);
    assert_int_equal(template_expand(&template, values, ret), 0);
    arena_free(arena);
}

static void gives(const char *text, const char *expected)
{
    _cleanup_(buf_done) struct buf out = BUF_INIT(4096);
    struct values values = {.cells = cells, .index = 7, .source_name = "Template"};
    expand(text, &values, &out);
    assert_string_equal(buf_str(&out), expected);
}

static void refuses_in(const struct scope *scope, const char *text, const char *messages)
{
    struct arena *arena = arena_new();
    struct template template;
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    assert_non_null(arena);
    assert_int_equal(compile(text, scope, arena, &template, &diag), -EINVAL);
    assert_string_equal(buf_str(&diag.text), messages);
    arena_free(arena);
}

static void refuses(const char *text, const char *messages)
{
    refuses_in(&everything, text, messages);
}

static void values_stand_where_they_are_named(void **state)
{
    (void)state;
    gives("plain", "plain");
    gives("", "");
    gives("${tenant}", "Acme");
    gives("${tenant} on ${vm.name}!", "Acme on web01!");
    gives("${tenant}${tenant}", "AcmeAcme");
    gives("${plan.name} of ${source.name}", "onboarding of Template");
}

static void the_index_has_as_many_digits_as_asked(void **state)
{
    (void)state;
    gives("${index}", "7");
    gives("${index:01}", "7");
    gives("${index:04}", "0007");
    _cleanup_(buf_done) struct buf out = BUF_INIT(4096);
    expand("${index:02}", &(struct values){.cells = cells, .index = 12345, .source_name = ""}, &out);
    assert_string_equal(buf_str(&out), "12345");
}

static void dates_are_those_of_the_acceptance(void **state)
{
    (void)state;
    gives("${date}", "2026-11-23");
    gives("${date:%Y%m%d-%H%M}", "20261123-1400");
    gives("${date:week %V}", "week 48");
}

static void a_dollar_is_a_dollar(void **state)
{
    (void)state;
    gives("5 $", "5 $");
    gives("$tenant", "$tenant");
    gives("$${tenant}", "${tenant}");
    gives("$$${tenant}", "$${tenant}");
    gives("$$", "$$");
    gives("a}b{c", "a}b{c");
}

static void values_are_not_read_again(void **state)
{
    static const char *const sly[] = {"${plan.name}", "$"};
    _cleanup_(buf_done) struct buf out = BUF_INIT(4096);
    (void)state;
    expand("${tenant}", &(struct values){.cells = sly, .source_name = ""}, &out);
    assert_string_equal(buf_str(&out), "${plan.name}");
}

/* Whatever stands beside it, a late text comes out as if the name had been known at once. */
static void late_texts_come_out_the_same(void **state)
{
    static const char *const texts[] = {"${source.name}",         "${tenant}${source.name}",
                                        "$${source.name}",        "${vm.name}{source.name}",
                                        "$${a} ${source.name} $", "${vm.name}${vm.name}{x}${source.name}"};
    static const char *const sly[] = {"${source.name}", "$"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_(buf_done) struct buf now = BUF_INIT(4096), late = BUF_INIT(4096), later = BUF_INIT(4096);
        expand(texts[i], &(struct values){.cells = sly, .source_name = "T ${$} $"}, &now);
        expand(texts[i], &(struct values){.cells = sly, .source_name = "", .late = true}, &late);
        assert_int_equal(variables_fill_source(buf_str(&late), "T ${$} $", &later), 0);
        assert_string_equal(buf_str(&later), buf_str(&now));
    }
}

static void uses_of_the_source_are_known(void **state)
{
    struct arena *arena = arena_new();
    struct template template;
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    (void)state;
    assert_non_null(arena);
    assert_int_equal(compile("a ${source.name}", &everything, arena, &template, &diag), 0);
    assert_true(template.source);
    assert_int_equal(compile("a $${source.name}", &everything, arena, &template, &diag), 0);
    assert_false(template.source);
    arena_free(arena);
}

static void long_texts_are_bounded(void **state)
{
    struct arena *arena = arena_new();
    struct template template;
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    _cleanup_(buf_done) struct buf out = BUF_INIT(6);
    struct values values = {.cells = cells, .source_name = ""};
    (void)state;
    assert_non_null(arena);
    assert_int_equal(compile("${tenant}${tenant}", &everything, arena, &template, &diag), 0);
    assert_int_equal(template_expand(&template, &values, &out), -ENOBUFS);
    arena_free(arena);
}

static void unknown_ones_are_refused(void **state)
{
    (void)state;
    refuses("a ${tennant}", "p.yaml:3:7: unknown variable \"${tennant}\"; did you mean \"${tenant}\"?\n");
    refuses("${bananas} ${plan.nam}",
            "p.yaml:3:7: unknown variable \"${bananas}\"; known here are plan.name, date, source.name, "
            "index, tenant, vm.name; for a literal ${ write $${\n"
            "p.yaml:3:7: unknown variable \"${plan.nam}\"; did you mean \"${plan.name}\"?\n");
    refuses("${}", "p.yaml:3:7: unknown variable \"${}\"; known here are plan.name, date, source.name, "
                   "index, tenant, vm.name; for a literal ${ write $${\n");
}

static void the_place_is_the_variables_own(void **state)
{
    struct arena *arena = arena_new();
    struct template template;
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    struct yaml_node node = {.kind = YAML_SCALAR,
                             .quoted = true,
                             .as_written = true,
                             .line = 3,
                             .column = 7,
                             .file = "p.yaml",
                             .text = "é ${index:x} ${index:y}"};
    (void)state;
    assert_non_null(arena);
    assert_int_equal(template_compile(&node, &everything, arena, &template, &diag), -EINVAL);
    assert_non_null(strstr(buf_str(&diag.text), "p.yaml:3:10: \"${index:x}\""));
    assert_non_null(strstr(buf_str(&diag.text), "p.yaml:3:21: \"${index:y}\""));
    arena_free(arena);
}

static void malformed_ones_are_refused(void **state)
{
    static const char *const widths[] = {"", "4", "0", "00", "0x", "04 ", "-4", "0999"};
    (void)state;
    refuses("${tenant", "p.yaml:3:7: a \"${\" has no \"}\"; close it, or write $${ for a literal ${\n");
    for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
        _cleanup_(buf_done) struct buf text = BUF_INIT(64), message = BUF_INIT(512);
        assert_int_equal(buf_printf(&text, "${index:%s}", widths[i]), 0);
        assert_int_equal(buf_printf(&message,
                                    "p.yaml:3:7: \"${index:%s}\" is not understood; write the digits as in "
                                    "${index:04}, up to ${index:018}\n",
                                    widths[i]),
                         0);
        refuses(buf_str(&text), buf_str(&message));
    }
}

static void what_is_not_there_is_refused(void **state)
{
    struct scope bare = {.plan_name = "p", .accepted_ms = ACCEPTED_MS};
    (void)state;
    refuses_in(
        &bare, "${index}",
        "p.yaml:3:7: \"${index}\" is known only in a clone with for_each; add for_each, or remove it\n");
    refuses_in(&bare, "${source.name}",
               "p.yaml:3:7: unknown variable \"${source.name}\"; known here are plan.name, date; for a "
               "literal ${ write $${\n");
}

static void dates_are_bounded(void **state)
{
    static const char *const formats[] = {"", "%n",
                                          "0123456789012345678901234567890123456789012345678901234567890%Y"};
    (void)state;
    gives("${date:012345678901234567890123456789012345678901234567890123456789%Y}",
          "0123456789012345678901234567890123456789012345678901234567892026");
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        _cleanup_(buf_done) struct buf text = BUF_INIT(128), message = BUF_INIT(512);
        assert_int_equal(buf_printf(&text, "${date:%s}", formats[i]), 0);
        assert_int_equal(buf_printf(&message,
                                    "p.yaml:3:7: the date format \"%s\" gives nothing, control characters or "
                                    "more than 64 characters; use one like ${date:%%Y-%%m-%%d}\n",
                                    formats[i]),
                         0);
        refuses(buf_str(&text), buf_str(&message));
    }
}

static void refuses_date(const char *format, const char *conversion)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(128), message = BUF_INIT(512);
    assert_int_equal(buf_printf(&text, "${date:%s}", format), 0);
    assert_int_equal(
        buf_printf(
            &message,
            "p.yaml:3:7: the date format \"%s\" has \"%s\", which is no conversion of strftime; %% takes "
            "one of ABCDFGHIMPRSTUVWXYZabcdeghjklmnprstuwxyz%%, and a literal %% is written %%%%\n",
            format, conversion),
        0);
    refuses(buf_str(&text), buf_str(&message));
}

static void conversions_of_dates_are_known(void **state)
{
    (void)state;
    refuses_date("%Q", "%Q");
    refuses_date("%", "%");
    refuses_date("%Y-%m-%", "%");
    refuses_date("%%%f", "%f");
    refuses_date("%Y%-5J%m", "%-5J");
    refuses_date("%EQ", "%EQ");
    refuses_date("%Od%OY", "%OY");
    refuses_date("%\xc3\xa9", "%\xc3\xa9");
    refuses_date("%E", "%E");
    gives("${date:100%%}", "100%");
    gives("${date:%-d.%_m.%Ey %5Y %^a}", "23.11.26 02026 MON");
}

/* strftime copies what it does not know: exactly that is refused. */
static void conversions_are_those_of_strftime(void **state)
{
    (void)state;
    for (char c = '!'; c <= '~'; c++) {
        char format[] = {'%', c, '\0'}, text[16], out[256];
        time_t seconds = (time_t)(ACCEPTED_MS / 1000);
        struct tm tm;
        snprintf(text, sizeof(text), "${date:%s}", format);
        if (c == '}' || c == 'n' || c == 't' || strchr("EO_-^#+0123456789", c))
            continue; /* the end, control characters, or only the beginning of a conversion */
        assert_non_null(gmtime_r(&seconds, &tm));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        assert_true(strftime(out, sizeof(out), format, &tm) > 0);
#pragma GCC diagnostic pop
        struct arena *arena = arena_new();
        struct template template;
        _cleanup_(diag_done) struct diag diag = DIAG_INIT;
        assert_int_equal(compile(text, &everything, arena, &template, &diag) < 0, strcmp(out, format) == 0);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stand_where_they_are_named),
        cmocka_unit_test(the_index_has_as_many_digits_as_asked),
        cmocka_unit_test(dates_are_those_of_the_acceptance),
        cmocka_unit_test(a_dollar_is_a_dollar),
        cmocka_unit_test(values_are_not_read_again),
        cmocka_unit_test(late_texts_come_out_the_same),
        cmocka_unit_test(uses_of_the_source_are_known),
        cmocka_unit_test(long_texts_are_bounded),
        cmocka_unit_test(unknown_ones_are_refused),
        cmocka_unit_test(the_place_is_the_variables_own),
        cmocka_unit_test(malformed_ones_are_refused),
        cmocka_unit_test(what_is_not_there_is_refused),
        cmocka_unit_test(dates_are_bounded),
        cmocka_unit_test(conversions_of_dates_are_known),
        cmocka_unit_test(conversions_are_those_of_strftime),
    };
    setenv("TZ", "UTC", 1); /* the expected dates are of this zone */
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
