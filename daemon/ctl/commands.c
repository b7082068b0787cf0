#include "ctl/commands.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"

#define MESSAGE_BYTES (8 * 1024)

static const char help[] =
    "Usage: jobclonectl check [--config FILE] [--scheduled] PLAN...\n"
    "\n"
    "  check            read plans and their CSV files as the daemon does and say all\n"
    "                   that is wrong with them; no server is asked\n"
    "    --config FILE  also check that each plan's server is one of these settings\n"
    "    --scheduled    judge the plans as scheduled ones, as if they lay in plans.d\n"
    "  --version        show the version\n"
    "  --help           show this help\n"
    "\n"
    "Exit codes: 0 all plans are good, 2 one is not, or wrong usage.\n";

const struct command commands[] = {
    {"check", command_check}, {"preview", NULL}, {"submit", NULL}, {"status", NULL},    {"list", NULL},
    {"show", NULL},           {"report", NULL},  {"watch", NULL},  {"pause", NULL},     {"resume", NULL},
    {"cancel", NULL},         {"retry", NULL},   {"undo", NULL},   {"schedules", NULL}, {NULL, NULL},
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

int command_wrong(const char *format, ...)
{
    _cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_BYTES), shown = BUF_INIT(4 * MESSAGE_BYTES);
    va_list args;
    va_start(args, format);
    int r = buf_vprintf(&message, format, args);
    va_end(args);
    text_escape(&shown, r < 0 ? "the command line is too long" : buf_str(&message));
    fprintf(stderr, "jobclonectl: %s; see jobclonectl --help\n", buf_str(&shown));
    return CTL_INVALID;
}
