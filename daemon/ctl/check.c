/* jobclonectl check: reads plans as the daemon does, asks no server. */
#include <getopt.h>
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
    const char *config;
    bool scheduled, help;
    struct settings *settings;
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

static int check_loaded(const struct check *check, struct plan_files *files)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct diag diag = DIAG_INIT;
    struct plan *plan = NULL;
    bool scheduled = check->scheduled || lies_in_plans(check, files->path);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    int r = plan_files_decode(files, check->settings, scheduled, now_ms, &plan, &diag);
    if (r < 0 && diag.count == 0)
        diag_add(&diag, files->path, 0, 0, "cannot be checked: %s; free some memory and try again",
                 strerror(-r));
    if (r == 0)
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
    r = r < 0 ? CTL_INVALID : check_loaded(check, &files);
    plan_files_done(&files);
    return r;
}

static int load_settings(struct check *check)
{
    struct diag diag = DIAG_INIT;
    int r = settings_files_load(check->config, &check->settings, &diag);
    if (r < 0 && diag.count == 0)
        diag_add(&diag, check->config, 0, 0, "cannot be read: %s; free some memory and try again",
                 strerror(-r));
    diag_print(&diag, stderr);
    diag_done(&diag);
    return r < 0 ? CTL_INVALID : CTL_OK;
}

static int parse(int argc, char **argv, struct check *check)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"scheduled", no_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    optind = 0; /* begin anew: main has read its own options */
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (option == 'c')
            check->config = optarg;
        else if (option == 's')
            check->scheduled = true;
        else if (option == 'h')
            check->help = true;
        else if (option == ':')
            return command_wrong("check: option \"%s\" needs a value", argv[optind - 1]);
        else
            return command_wrong("check: unknown option \"%s\"", argv[optind - 1]);
    }
    return optind < argc || check->help ? CTL_OK : command_wrong("check: no plan is given");
}

int command_check(int argc, char **argv)
{
    struct check check = {0};
    int r = parse(argc, argv, &check);
    if (r == CTL_OK && check.help)
        return command_help();
    if (r == CTL_OK && check.config)
        r = load_settings(&check);
    if (r != CTL_OK)
        return r;
    for (int i = optind; i < argc; i++)
        if (check_plan(&check, argv[i]) != CTL_OK)
            r = CTL_INVALID;
    settings_free(check.settings);
    return r;
}
