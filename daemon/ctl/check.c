/* jobclonectl check: reads plans as the daemon does, asks no server. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "base/text.h"
#include "ctl/commands.h"
#include "io/calendar.h"
#include "io/plan_files.h"
#include "io/settings_files.h"
#include "model/plan.h"
#include "model/settings.h"

#define PLAN_BYTES_DEFAULT (16 * 1024 * 1024)

struct check {
    const struct ctl *ctl;
    struct settings *settings;
    json_t *plans; /* with --json, printed in the end */
};

/* In a folder named plans.d, or in that of the settings. */
static bool lies_in_plans(const struct check *check, const char *path)
{
    _cleanup_free_ char *real = realpath(path, NULL);
    char *slash = real ? strrchr(real, '/') : NULL;
    if (!slash)
        return false;
    *slash = '\0';
    const char *name = strrchr(real, '/');
    if (name && strcmp(name, "/plans.d") == 0)
        return true;
    _cleanup_free_ char *plans = check->settings ? realpath(check->settings->plans_directory, NULL) : NULL;
    return plans && strcmp(plans, real) == 0;
}

/* "; next Mon 2026-03-30 02:00:00 CEST". Nothing when systemd does not answer: the expressions were good a
 * moment ago. */
static void add_next(struct buf *line, const struct schedule *schedule, int64_t now_ms)
{
    _cleanup_(buf_done) struct buf problem = BUF_INIT(4096);
    struct schedule_dues dues;
    struct tm tm;
    char text[64];
    if (!schedule->given || calendar_dues(schedule, now_ms, now_ms, &dues, &problem) < 0)
        return;
    if (dues.next_ms == SCHEDULE_NEVER) {
        buf_add_str(line, "; it is never due");
        return;
    }
    zone_tm(&schedule->calendars[0].zone, dues.next_ms, &tm);
    strftime(text, sizeof(text), "%a %F %T %Z", &tm);
    buf_printf(line, "; next %s", text);
}

static void print_good(const char *path, const struct plan *plan, int64_t now_ms)
{
    _cleanup_(buf_done) struct buf line = BUF_INIT(64 * 1024);
    text_escape(&line, path);
    buf_printf(&line, ": %zu clone%s, server ", plan->n_clones, plan->n_clones == 1 ? "" : "s");
    text_escape(&line, plan->server);
    buf_add_str(&line, ": ok");
    add_next(&line, &plan->schedule, now_ms);
    printf("%s\n", buf_str(&line));
}

/* For --json: the same as is said, a message a string. */
static void note_json(const struct check *check, const char *path, const struct plan *plan,
                      const char *errors)
{
    json_t *messages = json_array();
    _cleanup_(buf_done) struct buf file = BUF_INIT(64 * 1024);
    text_escape(&file, path); /* it need not be UTF-8 */
    _cleanup_free_ char *text = strdup(errors);
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
        if (*line)
            json_array_append_new(messages, json_string(line));
    json_t *one = json_pack("{s:s,s:b,s:o}", "file", buf_str(&file), "ok", plan != NULL, "errors", messages);
    if (plan) {
        json_object_set_new(one, "plan", json_string(plan->name));
        json_object_set_new(one, "server", json_string(plan->server));
        json_object_set_new(one, "clones", json_integer((json_int_t)plan->n_clones));
    }
    json_array_append_new(check->plans, one);
}

static int check_loaded(const struct check *check, struct plan_files *files)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct diag diag = DIAG_INIT;
    struct plan *plan = NULL;
    bool scheduled = check->ctl->scheduled || lies_in_plans(check, files->path);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    int r = plan_files_decode(files, check->settings, scheduled, now_ms, &plan, &diag);
    if (r < 0 && diag.count == 0)
        diag_add(&diag, files->path, 0, 0, "cannot be checked: %s; free some memory and try again",
                 strerror(-r));
    if (check->plans)
        note_json(check, files->path, plan, buf_str(&diag.text));
    else if (r == 0)
        print_good(files->path, plan, now_ms);
    diag_print(&diag, stderr);
    diag_done(&diag);
    plan_free(plan);
    return r < 0 ? CTL_INVALID : CTL_OK;
}

static int check_plan(const struct check *check, const char *path)
{
    struct plan_files files;
    _cleanup_(buf_done) struct buf error = BUF_INIT(64 * 1024);
    size_t plan_bytes = check->settings ? check->settings->plan_bytes : PLAN_BYTES_DEFAULT;
    int r = plan_files_load(path, plan_bytes, &files, &error);
    if (r < 0)
        fprintf(stderr, "%s\n", buf_str(&error));
    if (r < 0 && check->plans)
        note_json(check, path, NULL, buf_str(&error));
    r = r < 0 ? CTL_INVALID : check_loaded(check, &files);
    plan_files_done(&files);
    return r;
}

static int load_settings(struct check *check)
{
    struct diag diag = DIAG_INIT;
    int r = settings_files_load(check->ctl->config, &check->settings, &diag);
    if (r < 0 && diag.count == 0)
        diag_add(&diag, check->ctl->config, 0, 0, "cannot be read: %s; free some memory and try again",
                 strerror(-r));
    diag_print(&diag, stderr);
    diag_done(&diag);
    return r < 0 ? CTL_INVALID : CTL_OK;
}

int command_check(struct ctl *ctl)
{
    struct check check = {.ctl = ctl};
    int r = ctl->config ? load_settings(&check) : CTL_OK;
    if (r != CTL_OK)
        return r;
    if (ctl->json)
        check.plans = json_array();
    for (int i = 0; i < ctl->n_words; i++)
        if (check_plan(&check, ctl->words[i]) != CTL_OK)
            r = CTL_INVALID;
    settings_free(check.settings);
    if (check.plans) {
        json_t *all = json_pack("{s:o}", "plans", check.plans);
        json_dumpf(all, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(all);
    }
    return r;
}
