/* A folder of plans with a real loop, and a fake service that notes what it is told. */
#pragma once

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
    bool hold;  /* it is not answered yet, but by answer_held */
    plans_on_done *held;
    void *held_data;
    bool ready, closed;
    int by_hand; /* 1: not answered */
    struct buf log;
} w;

/* ---- the fake service ---- */

static inline size_t on_open_runs(const char *plan, void *user)
{
    (void)plan;
    (void)user;
    return w.open_runs;
}

static inline void on_start(struct plans_due *due, plans_on_done *on_done, void *data, void *user)
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
    if (!w.hold) {
        on_done(w.answer, data);
        return;
    }
    w.held = on_done;
    w.held_data = data;
}

static inline void answer_held(void)
{
    w.hold = false;
    w.held(w.answer, w.held_data);
}

static inline void on_leave_out(const char *plan, int64_t due_ms, plans_on_done *on_done, void *data,
                                void *user)
{
    (void)user;
    assert_true(w.n_left_out < 64);
    struct told *told = &w.left_out[w.n_left_out++];
    snprintf(told->name, sizeof(told->name), "%s", plan);
    told->due_ms = due_ms;
    on_done(0, data);
}

static inline void on_ready(void *user)
{
    (void)user;
    w.ready = true;
}

static inline void on_log(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level;
    (void)fields;
    (void)data;
    buf_printf(&w.log, "%s\n", line);
}

static inline void on_hand(int error, void *data)
{
    (void)data;
    w.by_hand = error;
}

/* ---- files ---- */

static inline void write_file(const char *name, const char *text)
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

static inline void write_plan(const char *file, const char *name, const char *schedule, const char *clones)
{
    char text[2048];
    snprintf(text, sizeof(text), "version: 1\nname: %s\nserver: prod\n%s%s%s\nclones: %s\n", name,
             schedule ? "schedule: {calendar: " : "", schedule ? schedule : "", schedule ? "}" : "", clones);
    write_file(file, text);
}

#define CLONES "[{name: A, source: T}]"

/* ---- turning ---- */

static inline void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static inline bool never(void)
{
    return false;
}

/* Turns the loop until it is so: true; or for so long: false. */
static inline bool turn_until(bool (*so)(void), uint64_t most_ms)
{
    uint64_t end_ms = loop_now().mono_ms + most_ms;
    while (!so() && loop_now().mono_ms < end_ms)
        uv_run(&w.loop, UV_RUN_ONCE);
    return so();
}

static inline void begin(void)
{
    static const struct plans_ops ops = {
        .open_runs = on_open_runs, .start = on_start, .leave_out = on_leave_out, .ready = on_ready};
    struct server_settings server = {.name = (char[]){"prod"}};
    struct settings settings = {.servers = &server, .n_servers = 1, .plan_bytes = 65536, .plan_items = 100};
    assert_int_equal(plans_dir_new(&w.loop, w.plans, &settings, &ops, NULL, &w.dir), 0);
}

static inline void on_closed(void *data)
{
    (void)data;
    w.closed = true;
}

static inline void end(void)
{
    plans_dir_close(w.dir, on_closed, NULL);
    uv_timer_stop(&w.tick);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_true(w.closed);
}

static inline bool is_ready(void)
{
    return w.ready;
}

static inline bool has_plan(void)
{
    return plans_dir_count(w.dir) > 0;
}

static inline bool has_next(void)
{
    return has_plan() && plans_dir_info(w.dir, 0).next_ms != 0;
}

static inline bool has_error(void)
{
    return has_plan() && plans_dir_info(w.dir, 0).error;
}

static inline bool has_no_error(void)
{
    return has_plan() && plans_dir_info(w.dir, 0).name && !plans_dir_info(w.dir, 0).error;
}

static inline bool has_none(void)
{
    return !has_plan();
}

static inline bool is_renamed(void)
{
    return has_no_error() && strcmp(plans_dir_info(w.dir, 0).name, "renamed") == 0;
}

static inline bool has_started(void)
{
    return w.n_started > 0;
}

static inline bool has_started_three(void)
{
    return w.n_started >= 3;
}

static inline bool has_left_out_three(void)
{
    return w.n_left_out >= 3;
}

static inline bool hand_answered(void)
{
    return w.by_hand != 1;
}

/* ---- around each test ---- */

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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
