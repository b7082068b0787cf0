/* jobclonectl: the operator's command. This version has `check` alone. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "io/plan_files.h"
#include "io/settings_files.h"
#include "model/plan.h"
#include "model/settings.h"

#define EXIT_USAGE 2
#define PLAN_BYTES (16 * 1024 * 1024)

static const char help[] =
    "Usage: jobclonectl check [--config FILE] [--scheduled] PLAN...\n"
    "\n"
    "Reads plans as jobcloned does, and the CSV files they name, and says all that is\n"
    "wrong with them as FILE:LINE:COLUMN: message. Asks no server.\n"
    "\n"
    "  --config FILE   settings: the plan's server must be one of theirs\n"
    "  --scheduled     judge the plans as if they lay in plans.d\n"
    "  --version       show the version\n"
    "  --help          show this help\n"
    "\n"
    "Exit codes: 0 all plans are good, 2 one is not, or wrong usage.\n";

struct arguments {
    const char *config;
    bool scheduled, done;
};

static int wrong(const char *what)
{
    fprintf(stderr, "jobclonectl: %s; see jobclonectl --help\n", what);
    return EXIT_USAGE;
}

static int take_option(struct arguments *a, int option)
{
    switch (option) {
    case 'c':
        a->config = optarg;
        return 0;
    case 's':
        a->scheduled = true;
        return 0;
    case 'v':
        puts("jobclonectl " JOBCLONE_VERSION);
        a->done = true;
        return 0;
    case 'h':
        fputs(help, stdout);
        a->done = true;
        return 0;
    default:
        return wrong("the command line is not understood");
    }
}

static int parse_arguments(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"scheduled", no_argument, NULL, 's'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    for (int option; !a->done && (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int r = take_option(a, option);
        if (r)
            return r;
    }
    return 0;
}

/* Whether the folder that holds the plan is named plans.d. */
static bool lies_in_plans_d(const char *path)
{
    _cleanup_free_ char *copy = strdup(path);
    char *slash = copy ? strrchr(copy, '/') : NULL;
    if (slash)
        *slash = '\0';
    _cleanup_free_ char *folder = realpath(slash ? (*copy ? copy : "/") : ".", NULL);
    const char *last = folder ? strrchr(folder, '/') : NULL;
    return last && strcmp(last, "/plans.d") == 0;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int check_plan(const char *path, const struct settings *settings, bool scheduled)
{
    struct plan_files files;
    struct plan *plan = NULL;
    struct diag diag = DIAG_INIT;
    struct buf error = BUF_INIT(8192);
    int r = plan_files_load(path, settings ? settings->plan_bytes : PLAN_BYTES, &files, &error);
    if (r < 0)
        fprintf(stderr, "%s\n", buf_str(&error));
    else
        r = plan_files_decode(&files, settings, scheduled || lies_in_plans_d(path), now_ms(), &plan, &diag);
    if (r == -ENOMEM)
        fprintf(stderr, "%s: out of memory\n", path);
    diag_print(&diag, stderr);
    if (r == 0)
        printf("%s: %zu clone%s for server %s: ok\n", path, plan->n_clones, plan->n_clones == 1 ? "" : "s",
               plan->server);
    plan_free(plan);
    diag_done(&diag);
    buf_done(&error);
    plan_files_done(&files);
    return r < 0 ? EXIT_USAGE : 0;
}

static int check_plans(int n, char **paths, const struct arguments *a)
{
    struct settings *settings = NULL;
    struct diag diag = DIAG_INIT;
    int exit_code = 0;
    if (a->config && settings_files_load(a->config, &settings, &diag) < 0)
        exit_code = EXIT_USAGE;
    diag_print(&diag, stderr);
    diag_done(&diag);
    for (int i = 0; i < n && (!a->config || settings); i++)
        if (check_plan(paths[i], settings, a->scheduled) != 0)
            exit_code = EXIT_USAGE;
    settings_free(settings);
    return exit_code;
}

static bool is_later_command(const char *word)
{
    static const char *const words[] = {"preview", "submit", "status", "list",  "show", "report",   "watch",
                                        "pause",   "resume", "cancel", "retry", "undo", "schedules"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct arguments a = {0};
    if (argc > 1 && is_later_command(argv[1])) {
        fprintf(stderr,
                "jobclonectl: %s is not in this version, which has check alone; plans are carried out by "
                "jobcloned --once PLAN\n",
                argv[1]);
        return EXIT_USAGE;
    }
    int r = parse_arguments(argc, argv, &a);
    if (r || a.done)
        return r;
    if (optind >= argc)
        return wrong("give a command");
    if (strcmp(argv[optind], "check") != 0)
        return wrong(is_later_command(argv[optind]) ? "that command is not in this version"
                                                    : "unknown command");
    if (optind + 1 >= argc)
        return wrong("check needs at least one PLAN");
    r = check_plans(argc - optind - 1, argv + optind + 1, &a);
    if (fflush(stdout) != 0)
        return wrong("the answer cannot be written");
    return r;
}
