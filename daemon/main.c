/* jobcloned: reads the command line and the settings, then hands over to service.c or once.c. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "base/log.h"
#include "base/text.h"
#include "check.h"
#include "io/file_owner.h"
#include "io/settings_files.h"
#include "io/std_fds.h"
#include "model/settings.h"
#include "once.h"
#include "service.h"

#define DEFAULT_CONFIG "/etc/jobclone/jobcloned.yaml"
#define EXIT_USAGE 2

static const char help[] =
    "Usage: jobcloned [--config FILE]\n"
    "       jobcloned [--config FILE] --once PLAN [--result FILE] [--state DIR]\n"
    "       jobcloned [--config FILE] --check\n"
    "\n"
    "Clones Veeam backup jobs in bulk through Enterprise Manager, each at most once.\n"
    "Without --once and --check it is the daemon: it stays in the foreground, takes\n"
    "plans from the spool, from plans.d and from jobclonectl, and is stopped by SIGTERM.\n"
    "\n"
    "  --config FILE   settings (default " DEFAULT_CONFIG ")\n"
    "  --once PLAN     carry out one plan in the foreground and exit; started again\n"
    "                  after an interruption it goes on with the same run\n"
    "  --result FILE   write the result as JSON\n"
    "  --state DIR     state directory (default: state.directory of the settings)\n"
    "  --check         check the settings, passwords and certificate files, and exit\n"
    "  --log-level L   error, warning, info (default) or debug\n"
    "  --owners        help a daemon behind PrivateUsers= (jobclone-owners.service)\n"
    "  --version       show the version\n"
    "  --help          show this help\n"
    "\n"
    "Exit codes: 0 all well, 1 the run ended with failures, 2 usage or an invalid plan\n"
    "or setting, 3 the server cannot be reached or refuses, 4 cancelled or interrupted.\n";

struct arguments {
    const char *config;
    bool check, owners, done;
    struct once_options once;
};

static int arguments_wrong(const char *what)
{
    fprintf(stderr, "jobcloned: %s; see jobcloned --help\n", what);
    return EXIT_USAGE;
}

static int argument_unexpected(const char *word)
{
    _cleanup_(buf_done) struct buf shown = BUF_INIT(4096);
    text_escape(&shown, word);
    fprintf(stderr, "jobcloned: unexpected argument \"%s\"; see jobcloned --help\n", buf_str(&shown));
    return EXIT_USAGE;
}

static int set_log_level(const char *word)
{
    enum log_level level;
    if (log_level_parse(word, &level) < 0)
        return arguments_wrong("--log-level takes error, warning, info or debug");
    log_set_level(level);
    return 0;
}

static int take_option(struct arguments *a, int option)
{
    switch (option) {
    case 'c':
        a->config = optarg;
        return 0;
    case 'k':
        a->check = true;
        return 0;
    case 'o':
        a->once.plan_path = optarg;
        return 0;
    case 'r':
        a->once.result_path = optarg;
        return 0;
    case 's':
        a->once.state_directory = optarg;
        return 0;
    case 'l':
        return set_log_level(optarg);
    case 'w':
        a->owners = true;
        return 0;
    case 'v':
        puts("jobcloned " JOBCLONE_VERSION);
        a->done = true;
        return 0;
    case 'h':
        fputs(help, stdout);
        a->done = true;
        return 0;
    default:
        return arguments_wrong("the command line is not understood");
    }
}

static int parse_arguments(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
        {"once", required_argument, NULL, 'o'},   {"result", required_argument, NULL, 'r'},
        {"state", required_argument, NULL, 's'},  {"log-level", required_argument, NULL, 'l'},
        {"owners", no_argument, NULL, 'w'},       {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},         {0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1 && !a->done;) {
        int r = take_option(a, option);
        if (r)
            return r;
    }
    if (a->done)
        return 0;
    if (optind < argc)
        return argument_unexpected(argv[optind]);
    if (a->check && a->once.plan_path)
        return arguments_wrong(
            "--check and --once exclude each other (a plan is checked by jobclonectl check)");
    if (!a->once.plan_path && (a->once.result_path || a->once.state_directory))
        return arguments_wrong("--result and --state go with --once");
    return 0;
}

/* The helper that tells the daemon who owns a file; started by its socket. */
static int serve_owners(void)
{
    int r = file_owner_main();
    if (r < 0)
        fprintf(stderr, "jobcloned --owners: %s; it is started by jobclone-owners.socket\n", strerror(-r));
    return r < 0 ? EXIT_USAGE : 0;
}

/* Passwords and tokens must reach no core dump (product contract 6.5). */
static void forbid_dumps(void)
{
    struct rlimit none = {0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

/* Large blocks go back to the system when they are freed: a plan of 200,000 clones leaves nothing behind. By
 * itself glibc would keep ever larger ones. */
static void give_memory_back(void)
{
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}

/* Nobody got the answer: that is no success. */
static int answer_given(int code)
{
    return fflush(stdout) == 0 ? code : arguments_wrong("the answer cannot be written to standard output");
}

int main(int argc, char **argv)
{
    struct arguments a = {.config = DEFAULT_CONFIG};
    struct diag diag = DIAG_INIT;
    struct settings *settings = NULL;
    std_fds_take();
    int r = parse_arguments(argc, argv, &a);
    if (r || a.done)
        return answer_given(r);
    forbid_dumps();
    give_memory_back();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file limit is an error to report, no reason to die */
    if (a.owners)
        return serve_owners();
    r = settings_files_load(a.config, &settings, &diag);
    diag_print(&diag, stderr);
    if (r < 0 && diag.count == 0)
        fprintf(stderr, "%s: %s\n", a.config, strerror(-r));
    diag_done(&diag);
    if (r < 0)
        return EXIT_USAGE;
    if (!a.check && !a.once.plan_path)
        return service_main(a.config, settings);
    r = a.check ? answer_given(check_run(a.config, settings)) : once_run(settings, &a.once);
    settings_free(settings);
    return r;
}
