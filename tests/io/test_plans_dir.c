/* plans.d with a real loop, a real folder and the real systemd-analyze; the service is a fake
 * that notes what it is told. */
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
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "io/loop.h"
#include "io/plan_files.h"
#include "io/plans_dir.h"
#include "model/plan.h"
#include "model/settings.h"

#define DAY INT64_C(86400000)
#define EVERY_SECOND "'*:*:*'"

struct told {
    char name[64];
    int64_t due_ms;
    char clone[128];  /* name of its first clone */
    char bytes[1024]; /* of the plan */
};

static struct {
    uv_loop_t loop;
    uv_timer_t tick;
    char folder[64], plans[128];
    struct plans_dir *dir;
    struct told started[64], left_out[64];
    size_t n_started, n_left_out;
    size_t open_runs;
    int answer; /* to start */
    bool ready, closed;
    int by_hand; /* 1: not answered */
    struct buf log;
} w;

/* ---- the fake service ---- */

static size_t on_open_runs(const char *plan, void *user)
{
    (void)plan;
    (void)user;
    return w.open_runs;
}

static void on_start(struct plans_due *due, plans_on_done *on_done, void *data, void *user)
{
    (void)user;
    assert_true(w.n_started < 64);
    struct told *told = &w.started[w.n_started++];
    snprintf(told->name, sizeof(told->name), "%s", due->name);
    snprintf(told->clone, sizeof(told->clone), "%s", due->plan->clones[0].name);
    snprintf(told->bytes, sizeof(told->bytes), "%s", buf_str(&due->files->bytes));
    told->due_ms = due->due_ms;
    assert_int_equal(strlen(due->files->hash), PLAN_FILES_HASH_LEN);
    assert_true(due->due_ms == 0 || due->due_ms == due->accepted_ms);
    on_done(w.answer, data);
}

static void on_leave_out(const char *plan, int64_t due_ms, plans_on_done *on_done, void *data, void *user)
{
    (void)user;
    assert_true(w.n_left_out < 64);
    struct told *told = &w.left_out[w.n_left_out++];
    snprintf(told->name, sizeof(told->name), "%s", plan);
    told->due_ms = due_ms;
    on_done(0, data);
}

static void on_ready(void *user)
{
    (void)user;
    w.ready = true;
}

static void on_log(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level;
    (void)fields;
    (void)data;
    buf_printf(&w.log, "%s\n", line);
}

static void on_hand(int error, void *data)
{
    (void)data;
    w.by_hand = error;
}

/* ---- files ---- */

static void write_file(const char *name, const char *text)
{
    char path[256], temporary[512];
    snprintf(path, sizeof(path), "%s/%s", w.plans, name);
    snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    FILE *file = fopen(temporary, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(temporary, path), 0);
}

static void write_plan(const char *file, const char *name, const char *schedule, const char *clones)
{
    char text[2048];
    snprintf(text, sizeof(text), "version: 1\nname: %s\nserver: prod\n%s%s%s\nclones: %s\n", name,
             schedule ? "schedule: {calendar: " : "", schedule ? schedule : "", schedule ? "}" : "", clones);
    write_file(file, text);
}

#define CLONES "[{name: A, source: T}]"

/* ---- turning ---- */

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static bool never(void)
{
    return false;
}

/* Turns the loop until it is so: true; or for so long: false. */
static bool turn_until(bool (*so)(void), uint64_t most_ms)
{
    uint64_t end_ms = loop_now().mono_ms + most_ms;
    while (!so() && loop_now().mono_ms < end_ms)
        uv_run(&w.loop, UV_RUN_ONCE);
    return so();
}

static void begin(void)
{
    static const struct plans_ops ops = {
        .open_runs = on_open_runs, .start = on_start, .leave_out = on_leave_out, .ready = on_ready};
    struct server_settings server = {.name = (char[]){"prod"}};
    struct settings settings = {.servers = &server, .n_servers = 1, .plan_bytes = 65536, .plan_items = 100};
    assert_int_equal(plans_dir_new(&w.loop, w.plans, &settings, &ops, NULL, &w.dir), 0);
}

static void on_closed(void *data)
{
    (void)data;
    w.closed = true;
}

static void end(void)
{
    plans_dir_close(w.dir, on_closed, NULL);
    uv_timer_stop(&w.tick);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_true(w.closed);
}

static bool is_ready(void)
{
    return w.ready;
}

static bool has_plan(void)
{
    return plans_dir_count(w.dir) > 0;
}

static bool has_next(void)
{
    return has_plan() && plans_dir_info(w.dir, 0).next_ms != 0;
}

static bool has_error(void)
{
    return has_plan() && plans_dir_info(w.dir, 0).error;
}

static bool has_no_error(void)
{
    return has_plan() && plans_dir_info(w.dir, 0).name && !plans_dir_info(w.dir, 0).error;
}

static bool has_none(void)
{
    return !has_plan();
}

static bool has_started(void)
{
    return w.n_started > 0;
}

static bool has_started_three(void)
{
    return w.n_started >= 3;
}

static bool has_left_out_three(void)
{
    return w.n_left_out >= 3;
}

static bool hand_answered(void)
{
    return w.by_hand != 1;
}

/* ---- the tests ---- */

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

/* ---- around each test ---- */

static int set_up(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    w.log = BUF_INIT(1024 * 1024);
    snprintf(w.folder, sizeof(w.folder), "/tmp/jobclone-plans-XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    snprintf(w.plans, sizeof(w.plans), "%s/plans.d", w.folder);
    assert_int_equal(mkdir(w.plans, 0755), 0);
    log_set_sink(on_log, NULL);
    assert_int_equal(uv_loop_init(&w.loop), 0);
    uv_timer_init(&w.loop, &w.tick);
    uv_timer_start(&w.tick, on_tick, 10, 10);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    if (w.dir && !w.closed) /* the test has failed */
        plans_dir_close(w.dir, on_closed, NULL);
    uv_close((uv_handle_t *)&w.tick, NULL);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w.loop), 0);
    log_set_sink(NULL, NULL);
    buf_done(&w.log);
    snprintf(command, sizeof(command), "rm -r %s", w.folder);
    return system(command) == 0 ? 0 : -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_due_is_started_once_each),
        TEST(changes_take_effect),
        TEST(a_broken_edit_leaves_the_last_good_version),
        TEST(a_plan_that_was_never_good_is_said),
        TEST(a_half_written_file_is_not_judged),
        TEST(overlap_leaves_out_or_lets_one_wait),
        TEST(downtime_is_caught_up),
        TEST(downtime_is_passed_over),
        TEST(a_due_time_that_was_seen_is_over),
        TEST(what_could_not_be_stored_is_tried_again),
        TEST(by_hand),
        TEST(csv_files_are_those_of_the_due_time),
        TEST(one_name_belongs_to_one_file),
        TEST(a_folder_may_come_later),
        TEST(a_reload_judges_anew),
        TEST(it_may_be_closed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
