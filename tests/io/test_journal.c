/* Entries for the journal, and the catalog that explains them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/journal.h"

static const char *field(const struct journal_entry *entry, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < entry->n; i++) {
        const char *text = buf_str(&entry->fields[i]);
        if (strncmp(text, name, len) == 0 && text[len] == '=')
            return text + len + 1;
    }
    return NULL;
}

static void all_fields_are_there(void **state)
{
    const uint32_t item = 0;
    const struct log_fields fields = {.kind = LOG_KIND_ITEM,
                                      .run = "01KB",
                                      .plan = "nightly",
                                      .server = "prod",
                                      .task = "task-17",
                                      .item = &item,
                                      .from = "running",
                                      .to = "failed",
                                      .fault = "task_failed"};
    struct journal_entry entry;
    (void)state;
    assert_int_equal(journal_entry_make(LOG_LEVEL_WARNING, "item 0 failed", &fields, &entry), 0);
    assert_string_equal(field(&entry, "MESSAGE"), "item 0 failed");
    assert_string_equal(field(&entry, "PRIORITY"), "4");
    assert_string_equal(field(&entry, "MESSAGE_ID"), journal_message_id(LOG_KIND_ITEM));
    assert_string_equal(field(&entry, "RUN"), "01KB");
    assert_string_equal(field(&entry, "ITEM"), "0");
    assert_string_equal(field(&entry, "PLAN"), "nightly");
    assert_string_equal(field(&entry, "SERVER"), "prod");
    assert_string_equal(field(&entry, "TASK"), "task-17");
    assert_string_equal(field(&entry, "FROM"), "running");
    assert_string_equal(field(&entry, "TO"), "failed");
    assert_string_equal(field(&entry, "FAULT"), "task_failed");
    journal_entry_done(&entry);
}

static void what_does_not_apply_is_left_out(void **state)
{
    struct journal_entry entry;
    (void)state;
    assert_int_equal(journal_entry_make(LOG_LEVEL_INFO, "hello", &(struct log_fields){0}, &entry), 0);
    assert_int_equal(entry.n, 2);
    assert_string_equal(field(&entry, "PRIORITY"), "6");
    assert_null(field(&entry, "MESSAGE_ID"));
    journal_entry_done(&entry);
}

static void foreign_text_makes_no_second_field(void **state)
{
    struct journal_entry entry;
    const struct log_fields fields = {.kind = LOG_KIND_ITEM, .task = "task\nPRIORITY=0"};
    (void)state;
    assert_int_equal(journal_entry_make(LOG_LEVEL_DEBUG, "x", &fields, &entry), 0);
    assert_string_equal(field(&entry, "TASK"), "task\\nPRIORITY=0");
    assert_string_equal(field(&entry, "PRIORITY"), "7");
    journal_entry_done(&entry);
}

static char *read_catalog(void)
{
    static char text[65536];
    FILE *file = fopen(TEST_DATA_DIR "/../../systemd/jobclone.catalog", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void catalog_has_each_kind_once(void **state)
{
    const char *catalog = read_catalog();
    size_t entries = 0;
    (void)state;
    for (int kind = LOG_KIND_NONE + 1; kind < LOG_KIND_COUNT; kind++) {
        char head[64];
        const char *id = journal_message_id((enum log_kind)kind);
        assert_non_null(id);
        assert_int_equal(strlen(id), 32);
        snprintf(head, sizeof(head), "\n-- %s\nSubject: ", id);
        const char *found = strstr(catalog, head);
        if (!found)
            fail_msg("kind %d has no entry", kind);
        assert_null(strstr(found + 1, head));
    }
    for (const char *at = catalog; (at = strstr(at, "\n-- ")) != NULL; at++)
        entries++;
    assert_int_equal(entries, LOG_KIND_COUNT - 1);
}

static void connected_means_this_very_stream(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    assert_false(journal_connected());
    setenv("JOURNAL_STREAM", "1:2", 1);
    assert_false(journal_connected());
    setenv("JOURNAL_STREAM", "nonsense", 1);
    assert_false(journal_connected());
    unsetenv("JOURNAL_STREAM");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields_are_there),
        cmocka_unit_test(what_does_not_apply_is_left_out),
        cmocka_unit_test(foreign_text_makes_no_second_field),
        cmocka_unit_test(catalog_has_each_kind_once),
        cmocka_unit_test(connected_means_this_very_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
