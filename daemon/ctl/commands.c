#include "ctl/commands.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"

#define MESSAGE_BYTES (8 * 1024)
#define WORDS_MANY 1000000

static const char help[] =
    "Usage: jobclonectl [--socket PATH] [--json] COMMAND ...\n"
    "\n"
    "Plans\n"
    "  check PLAN...      read plans and their CSV files as the daemon does and say all that\n"
    "                     is wrong with them; neither daemon nor server is asked\n"
    "    --config FILE      also check that each plan's server is one of these settings\n"
    "    --scheduled        judge the plans as scheduled ones, as if they lay in plans.d\n"
    "  preview PLAN       what would become of each item; reads only\n"
    "  submit PLAN        carry a plan out; prints the id of its run\n"
    "    --wait             show progress and wait until it ends; a signal ends the wait alone\n"
    "    --scheduled        PLAN is one of plans.d: carry it out once, now\n"
    "\n"
    "Runs (RUN: an id, or a part of one that no other run has)\n"
    "  list               open runs, and the newest ended ones\n"
    "  show RUN           how it stands; --items: every item too\n"
    "  report RUN         the report\n"
    "  watch [RUN]        live progress of all runs, or of one until it ends\n"
    "  pause RUN          start nothing more for now; what runs is awaited\n"
    "  resume RUN         go on\n"
    "  cancel RUN         start nothing more; --stop-tasks: delete its unfinished tasks too\n"
    "  retry RUN          open an ended run again for what failed\n"
    "\n"
    "The daemon\n"
    "  status             servers, sessions, runs, limits\n"
    "  schedules          next times, last results\n"
    "  doctor             is all as the daemon needs it: settings, rights, room, clock, and each\n"
    "                     server's name, certificate, logon and role; --config FILE\n"
    "\n"
    "  --socket PATH      the control socket (default " CTL_SOCKET_DEFAULT ")\n"
    "  --json             print what the daemon answers (docs/control-api.md)\n"
    "  --version          show the version\n"
    "  --help             show this help\n"
    "\n"
    "Exit codes: 0 all well, 1 failures, or a preview with conflicts or errors, 2 wrong usage or\n"
    "an invalid plan, 3 the daemon cannot be reached or refuses, 4 cancelled or interrupted.\n";

const struct command commands[] = {
    {"check", "plan", 1, WORDS_MANY, CTL_CONFIG | CTL_SCHEDULED, command_check},
    {"preview", "plan", 1, 1, 0, command_preview},
    {"submit", "plan", 1, 1, CTL_WAIT | CTL_SCHEDULED, command_submit},
    {"status", NULL, 0, 0, 0, command_status},
    {"list", NULL, 0, 0, 0, command_list},
    {"show", "run", 1, 1, CTL_ITEMS, command_show},
    {"report", "run", 1, 1, 0, command_report},
    {"watch", "run", 0, 1, 0, command_watch},
    {"pause", "run", 1, 1, 0, command_pause},
    {"resume", "run", 1, 1, 0, command_resume},
    {"cancel", "run", 1, 1, CTL_STOP_TASKS, command_cancel},
    {"retry", "run", 1, 1, 0, command_retry},
    {"undo", "run", 1, 1, 0, NULL},
    {"schedules", NULL, 0, 0, 0, command_schedules},
    {"doctor", NULL, 0, 0, CTL_CONFIG, command_doctor},
    {0},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

int command_help(void)
{
    fputs(help, stdout);
    return CTL_OK;
}

static void say(const char *format, va_list args, const char *end)
{
    _cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_BYTES), shown = BUF_INIT(4 * MESSAGE_BYTES);
    va_list copy;
    va_copy(copy, args);
    int r = buf_vprintf(&message, format, copy);
    va_end(copy);
    text_escape(&shown, r < 0 ? "a text is too long to be shown" : buf_str(&message));
    fprintf(stderr, "jobclonectl: %s%s\n", buf_str(&shown), end);
}

int command_wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args, "; see jobclonectl --help");
    va_end(args);
    return CTL_INVALID;
}

void command_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args, "");
    va_end(args);
}

/* ---- the command line behind the command ---- */

static const struct option options[] = {
    {"socket", required_argument, NULL, 'S'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {"config", required_argument, NULL, CTL_CONFIG},
    {"wait", no_argument, NULL, CTL_WAIT},
    {"scheduled", no_argument, NULL, CTL_SCHEDULED},
    {"items", no_argument, NULL, CTL_ITEMS},
    {"stop-tasks", no_argument, NULL, CTL_STOP_TASKS},
    {0},
};

static bool take_option(const struct command *command, int option, struct ctl *ctl)
{
    if (option == 'S')
        ctl->socket = optarg;
    else if (option == 'j')
        ctl->json = true;
    else if (option == 'h')
        ctl->help = true;
    else if (!(command->options & (unsigned)option))
        return false;
    else if (option == CTL_CONFIG)
        ctl->config = optarg;
    ctl->wait |= option == CTL_WAIT;
    ctl->scheduled |= option == CTL_SCHEDULED;
    ctl->items |= option == CTL_ITEMS;
    ctl->stop_tasks |= option == CTL_STOP_TASKS;
    return true;
}

static int check_words(const struct command *command, const struct ctl *ctl)
{
    if (ctl->n_words < command->words_min)
        return command_wrong("%s: no %s is given", command->name, command->word);
    if (ctl->n_words > command->words_max && command->words_max > 0)
        return command_wrong("%s: one %s at a time, not also \"%s\"", command->name, command->word,
                             ctl->words[command->words_max]);
    if (ctl->n_words > command->words_max)
        return command_wrong("%s takes no \"%s\"", command->name, ctl->words[0]);
    for (int i = 0; i < ctl->n_words; i++)
        if (!*ctl->words[i])
            return command_wrong("%s: an empty word is no %s", command->name, command->word);
    return CTL_OK;
}

int command_parse(const struct command *command, int argc, char **argv, struct ctl *ctl)
{
    optind = 0; /* begin anew: main has read its own options */
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (option == ':')
            return command_wrong("%s: option \"%s\" needs a value", command->name, argv[optind - 1]);
        if (option == '?' || !take_option(command, option, ctl))
            return command_wrong("%s: unknown option \"%s\"", command->name, argv[optind - 1]);
    }
    ctl->words = argv + optind;
    ctl->n_words = argc - optind;
    return ctl->help ? CTL_OK : check_words(command, ctl);
}
