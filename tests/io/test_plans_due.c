/* What is due: started, left out, caught up, tried again; and plans by hand. Due times are in real time,
 * calendars are asked of the real systemd-analyze. */
#include "plans_fixture.h"

#include <fcntl.h>

static void what_is_due_is_started_once_each(void **state)
{
    (void)state;
    write_plan("a.yaml", "often", EVERY_SECOND, CLONES);
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_started_three, 30000));
    for (size_t i = 0; i < w.n_started; i++) {
        assert_string_equal(w.started[i].name, "often");
        assert_int_equal(w.started[i].due_ms % 1000, 0);
        assert_true(i == 0 || w.started[i].due_ms > w.started[i - 1].due_ms);
    }
    assert_int_equal(w.n_left_out, 1); /* from then on its due times count */
    assert_true(w.left_out[0].due_ms < w.started[0].due_ms);
    plans_dir_clock_set(w.dir); /* it looks anew, and repeats nothing */
    size_t before = w.n_started;
    turn_until(never, 1500);
    assert_true(w.n_started == before || w.started[before].due_ms > w.started[before - 1].due_ms);
    end();
}

static void overlap_leaves_out_or_lets_one_wait(void **state)
{
    (void)state;
    write_plan("a.yaml", "often", EVERY_SECOND, CLONES);
    w.open_runs = 1;
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_left_out_three, 30000));
    assert_int_equal(w.n_started, 0);
    write_plan("a.yaml", "often", EVERY_SECOND ", overlap: queue", CLONES);
    assert_true(turn_until(has_started, 30000));
    w.open_runs = 2;
    w.n_started = w.n_left_out = 0;
    assert_true(turn_until(has_left_out_three, 30000));
    assert_int_equal(w.n_started, 0);
    end();
}

static void downtime(bool catch_up)
{
    write_plan("a.yaml", "nightly", catch_up ? "'00:00 UTC', catch_up: true" : "'00:00 UTC'", CLONES);
    begin();
    int64_t midnight = loop_now().wall_ms / DAY * DAY;
    bool close_by = loop_now().wall_ms - midnight < 120000 || midnight + DAY - loop_now().wall_ms < 120000;
    assert_int_equal(plans_dir_know(w.dir, "nightly", midnight - 5 * DAY), 0);
    plans_dir_start(w.dir);
    assert_true(turn_until(has_next, 30000));
    turn_until(catch_up ? has_started : never, catch_up ? 30000 : 1500);
    if (!close_by) { /* else it is due in earnest */
        assert_int_equal(w.n_started, catch_up);
        assert_int_equal(w.n_left_out, !catch_up);
        assert_int_equal(catch_up ? w.started[0].due_ms : w.left_out[0].due_ms, midnight);
    }
    end();
}

static void downtime_is_caught_up(void **state)
{
    (void)state;
    downtime(true);
}

static void downtime_is_passed_over(void **state)
{
    (void)state;
    downtime(false);
    assert_non_null(strstr(buf_str(&w.log), "missed"));
}

static void a_due_time_that_was_seen_is_over(void **state)
{
    (void)state;
    write_plan("a.yaml", "often", EVERY_SECOND, CLONES);
    w.answer = -EEXIST;
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_started_three, 30000));
    assert_true(w.started[1].due_ms > w.started[0].due_ms);
    end();
}

static void what_could_not_be_stored_is_tried_again(void **state)
{
    (void)state;
    write_plan("a.yaml", "often", "'*:*:0/30'", CLONES);
    begin();
    assert_int_equal(plans_dir_know(w.dir, "often", loop_now().wall_ms - 45000), 0);
    w.answer = -ENOSPC;
    plans_dir_start(w.dir);
    assert_true(turn_until(has_started, 30000));
    int64_t due_ms = w.started[0].due_ms;
    w.answer = 0;
    w.n_started = 0;
    assert_true(turn_until(has_started, 30000));
    assert_int_equal(w.started[0].due_ms, due_ms);
    assert_non_null(strstr(buf_str(&w.log), "tried again"));
    end();
}

/* Its run is being stored, on a slow disk, when the file gets another plan's name. */
static void renamed_while_it_becomes_a_run(void **state)
{
    (void)state;
    write_plan("a.yaml", "often", EVERY_SECOND, CLONES);
    w.hold = true;
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_started, 30000));
    write_plan("a.yaml", "renamed", EVERY_SECOND, CLONES);
    assert_true(turn_until(is_renamed, 30000));
    answer_held();
    w.n_started = 0;
    assert_true(turn_until(has_started, 10000));
    assert_string_equal(w.started[0].name, "renamed");
    end();
}

/* Puts a plan there that was written long ago, so that the next scan takes it. */
static void move_old_plan(const char *file, const char *name)
{
    static const struct timespec long_ago[] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    char aside[256], path[256];
    write_plan(".aside", name, NULL, CLONES);
    snprintf(aside, sizeof(aside), "%s/.aside", w.plans);
    snprintf(path, sizeof(path), "%s/%s", w.plans, file);
    assert_int_equal(utimensat(AT_FDCWD, aside, long_ago, 0), 0);
    assert_int_equal(rename(aside, path), 0);
}

static bool is_alone(void)
{
    return plans_dir_count(w.dir) == 1 && has_no_error();
}

/* The wish comes while the scan is under way that finds the other file. */
static void by_hand_in_a_clash(void **state)
{
    struct server_settings server = {.name = (char[]){"prod"}};
    struct settings settings = {.servers = &server, .n_servers = 1, .plan_bytes = 65536, .plan_items = 100};
    char path[256];
    (void)state;
    write_plan("b.yaml", "twin", NULL, CLONES);
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_plan, 30000));
    move_old_plan("a.yaml", "twin");
    assert_int_equal(plans_dir_set_settings(w.dir, &settings), 0);
    w.by_hand = 1;
    assert_int_equal(plans_dir_run(w.dir, "twin", on_hand, NULL), 0);
    assert_true(turn_until(hand_answered, 10000));
    assert_int_equal(w.by_hand, -ENOTUNIQ);
    assert_int_equal(w.n_started, 0);
    snprintf(path, sizeof(path), "%s/a.yaml", w.plans);
    unlink(path);
    assert_true(turn_until(is_alone, 30000));
    w.by_hand = 1;
    assert_int_equal(plans_dir_run(w.dir, "twin", on_hand, NULL), 0);
    assert_true(turn_until(hand_answered, 30000));
    assert_int_equal(w.by_hand, 0);
    assert_int_equal(w.n_started, 1);
    end();
}

static void by_hand(void **state)
{
    (void)state;
    write_plan("a.yaml", "rare", NULL, "[{name: 'A ${date:%Y}', source: T}]");
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_plan, 30000));
    assert_int_equal(plans_dir_run(w.dir, "other", on_hand, NULL), -ENOENT);
    w.by_hand = 1;
    assert_int_equal(plans_dir_run(w.dir, "rare", on_hand, NULL), 0);
    assert_int_equal(plans_dir_run(w.dir, "rare", on_hand, NULL), -EALREADY);
    assert_true(turn_until(hand_answered, 30000));
    assert_int_equal(w.by_hand, 0);
    assert_int_equal(w.n_started, 1);
    assert_int_equal(w.started[0].due_ms, 0);
    w.open_runs = 1;
    w.by_hand = 1;
    assert_int_equal(plans_dir_run(w.dir, "rare", on_hand, NULL), 0);
    assert_true(turn_until(hand_answered, 30000));
    assert_int_equal(w.by_hand, -EBUSY);
    assert_int_equal(w.n_left_out, 0);
    w.by_hand = 1;
    w.open_runs = 0;
    assert_int_equal(plans_dir_run(w.dir, "rare", on_hand, NULL), 0);
    end(); /* with the wish under way */
    assert_int_equal(w.by_hand, -ENOENT);
}

static void csv_files_are_those_of_the_due_time(void **state)
{
    char folder[256];
    (void)state;
    snprintf(folder, sizeof(folder), "%s/data", w.plans);
    assert_int_equal(mkdir(folder, 0755), 0);
    write_file("data/t.csv", "t\nfirst\n");
    write_plan("a.yaml", "often", EVERY_SECOND, "[{for_each: {csv: data/t.csv}, name: '${t}', source: T}]");
    begin();
    plans_dir_start(w.dir);
    assert_true(turn_until(has_started, 30000));
    assert_string_equal(w.started[0].clone, "first");
    write_file("data/t.csv", "t\nsecond\n");
    w.n_started = 0;
    assert_true(turn_until(has_started_three, 30000));
    assert_string_equal(w.started[2].clone, "second");
    write_file("data/t.csv", "other\nthird\n");
    w.n_started = 0;
    assert_true(turn_until(has_started_three, 30000));
    assert_string_equal(w.started[2].clone, "first"); /* the version that the plan was read with */
    assert_non_null(strstr(buf_str(&w.log), "its last good version is carried out"));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_due_is_started_once_each),
        TEST(overlap_leaves_out_or_lets_one_wait),
        TEST(downtime_is_caught_up),
        TEST(downtime_is_passed_over),
        TEST(a_due_time_that_was_seen_is_over),
        TEST(what_could_not_be_stored_is_tried_again),
        TEST(renamed_while_it_becomes_a_run),
        TEST(by_hand),
        TEST(by_hand_in_a_clash),
        TEST(csv_files_are_those_of_the_due_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
