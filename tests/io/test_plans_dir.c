/* plans.d: files that come, change, break and go. */
#include "plans_fixture.h"

static void changes_take_effect(void **state)
{
    (void)state;
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(is_ready, 30000));
    assert_int_equal(plans_dir_count(w.dir), 0);
    write_plan("a.yaml", "nightly", "02:00 Europe/Prague", CLONES);
    assert_true(turn_until(has_next, 30000));
    struct plans_info info = plans_dir_info(w.dir, 0);
    assert_string_equal(info.name, "nightly");
    assert_string_equal(info.server, "prod");
    assert_string_equal(info.calendar, "02:00 Europe/Prague");
    assert_true(info.next_ms > loop_now().wall_ms && info.next_ms <= loop_now().wall_ms + DAY + 3600000);
    write_plan("a.yaml", "nightly", EVERY_SECOND, CLONES);
    assert_true(turn_until(has_started, 30000));
    char path[256];
    snprintf(path, sizeof(path), "%s/a.yaml", w.plans);
    unlink(path);
    assert_true(turn_until(has_none, 30000));
    assert_non_null(strstr(buf_str(&w.log), "is gone"));
    end();
}

static void a_broken_edit_leaves_the_last_good_version(void **state)
{
    (void)state;
    write_plan("a.yaml", "often", EVERY_SECOND, CLONES);
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_started, 30000));
    write_plan("a.yaml", "often", EVERY_SECOND, "[{name: B, sorce: T}]");
    assert_true(turn_until(has_error, 30000));
    assert_non_null(strstr(plans_dir_info(w.dir, 0).error, "did you mean \"source\"?"));
    assert_non_null(strstr(buf_str(&w.log), "its last good version goes on"));
    size_t before = w.n_started;
    w.n_started = 0;
    assert_true(turn_until(has_started_three, 30000));
    assert_true(before > 0);
    assert_string_equal(w.started[w.n_started - 1].clone, "A");
    write_plan("a.yaml", "often", EVERY_SECOND, "[{name: B, source: T}]");
    assert_true(turn_until(has_no_error, 30000));
    w.n_started = 0;
    assert_true(turn_until(has_started_three, 30000));
    assert_string_equal(w.started[2].clone, "B");
    end();
}

static void a_plan_that_was_never_good_is_said(void **state)
{
    (void)state;
    write_file("a.yaml", "name: [\n");
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_error, 30000));
    assert_null(plans_dir_info(w.dir, 0).name);
    assert_non_null(strstr(buf_str(&w.log), "it is not used"));
    assert_int_equal(plans_dir_run(w.dir, "a", on_hand, NULL), -ENOENT);
    end();
}

/* An editor that writes in place, slowly; but never so slowly that it may be taken to be at its end, or the
 * machine was too busy for this test. */
static void a_half_written_file_is_not_judged(void **state)
{
    char path[256];
    uint64_t last_ms = 0, gap_ms = 0;
    (void)state;
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(is_ready, 30000));
    snprintf(path, sizeof(path), "%s/a.yaml", w.plans);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    for (int i = 0; i < 8; i++) {
        fputs(i == 0 ? "version: 1\nname: p\nserver: prod\nclones:\n" : "  - {name: A${x}, ", file);
        fflush(file);
        uint64_t now_ms = loop_now().mono_ms;
        gap_ms = last_ms && now_ms - last_ms > gap_ms ? now_ms - last_ms : gap_ms;
        last_ms = now_ms;
        turn_until(never, 200);
    }
    gap_ms = loop_now().mono_ms - last_ms > gap_ms ? loop_now().mono_ms - last_ms : gap_ms;
    rewind(file);
    assert_int_equal(ftruncate(fileno(file), 0), 0);
    fputs("version: 1\nname: p\nserver: prod\nclones: " CLONES "\n", file);
    fclose(file);
    assert_true(turn_until(has_plan, 30000));
    assert_string_equal(plans_dir_info(w.dir, 0).name, "p");
    if (gap_ms < 800)
        assert_null(strstr(buf_str(&w.log), "not good"));
    end();
}

static size_t count_log(const char *words)
{
    size_t n = 0;
    for (const char *at = buf_str(&w.log); (at = strstr(at, words)); at++)
        n++;
    return n;
}

/* The plan's own file stays as it is. */
static void a_csv_file_that_comes_later_mends_its_plan(void **state)
{
    (void)state;
    write_plan("a.yaml", "often", EVERY_SECOND, "[{for_each: {csv: t.csv}, name: '${t}', source: T}]");
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_error, 30000));
    write_file("other.csv", "a hint to look again\n");
    turn_until(never, 1000);
    assert_int_equal(count_log("is not good"), 1); /* said once */
    write_file("t.csv", "t\nlate\n");
    assert_true(turn_until(has_started, 30000));
    assert_string_equal(w.started[0].clone, "late");
    end();
}

static bool has_both(void)
{
    return plans_dir_count(w.dir) == 2 && plans_dir_info(w.dir, 1).name;
}

static void one_name_belongs_to_one_file(void **state)
{
    char path[256];
    (void)state;
    write_plan("a.yaml", "twin", "daily", "[{name: A, source: T}]");
    write_plan("b.yml", "twin", EVERY_SECOND, "[{name: B, source: T}]");
    write_plan(".hidden.yaml", "hidden", EVERY_SECOND, CLONES);
    write_plan("note.txt", "note", EVERY_SECOND, CLONES);
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_both, 30000));
    assert_null(plans_dir_info(w.dir, 0).error);
    assert_non_null(strstr(plans_dir_info(w.dir, 1).error, "a.yaml"));
    turn_until(never, 2500);
    assert_int_equal(w.n_started, 0);
    snprintf(path, sizeof(path), "%s/a.yaml", w.plans);
    unlink(path);
    assert_true(turn_until(has_started, 30000));
    assert_string_equal(w.started[0].clone, "B");
    end();
}

static void a_folder_may_come_later(void **state)
{
    (void)state;
    assert_int_equal(rmdir(w.plans), 0);
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(is_ready, 30000));
    assert_non_null(strstr(buf_str(&w.log), "cannot be read"));
    assert_int_equal(mkdir(w.plans, 0755), 0);
    write_plan("a.yaml", "nightly", "daily", CLONES);
    plans_dir_clock_set(w.dir);
    turn_until(never, 1200); /* else it may still be written */
    struct server_settings server = {.name = (char[]){"prod"}};
    struct settings settings = {.servers = &server, .n_servers = 1, .plan_bytes = 65536, .plan_items = 100};
    assert_int_equal(plans_dir_set_settings(w.dir, &settings), 0); /* a reload looks at once */
    assert_true(turn_until(has_next, 30000));
    assert_non_null(strstr(buf_str(&w.log), "can be read again"));
    end();
}

static void a_reload_judges_anew(void **state)
{
    (void)state;
    write_plan("a.yaml", "nightly", "daily", CLONES);
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_next, 30000));
    struct server_settings server = {.name = (char[]){"other"}};
    struct settings settings = {.servers = &server, .n_servers = 1, .plan_bytes = 65536, .plan_items = 100};
    assert_int_equal(plans_dir_set_settings(w.dir, &settings), 0);
    assert_true(turn_until(has_error, 30000));
    assert_non_null(strstr(plans_dir_info(w.dir, 0).error, "there is no server \"prod\""));
    end();
}

static void it_may_be_closed_at_any_time(void **state)
{
    (void)state;
    write_plan("a.yaml", "often", EVERY_SECOND, CLONES);
    begin();
    plans_dir_start(w.dir); /* the scan is under way */
    end();
    assert_int_equal(w.n_started, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_take_effect),
        TEST(a_broken_edit_leaves_the_last_good_version),
        TEST(a_plan_that_was_never_good_is_said),
        TEST(a_half_written_file_is_not_judged),
        TEST(a_csv_file_that_comes_later_mends_its_plan),
        TEST(one_name_belongs_to_one_file),
        TEST(a_folder_may_come_later),
        TEST(a_reload_judges_anew),
        TEST(it_may_be_closed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
