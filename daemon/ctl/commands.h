/* The commands of jobclonectl. */
#pragma once

#define CTL_OK 0
#define CTL_INVALID 2 /* usage, or an invalid plan or setting */

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command; an exit code. NULL: not in this version */
};

/* NULL-named at the end. */
extern const struct command commands[];

/* The command of that name, or NULL. */
const struct command *command_find(const char *name);

/* Writes the help to standard output; CTL_OK. */
int command_help(void);

/* One line on standard error that points to the help; CTL_INVALID. */
int command_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* check [--config FILE] [--scheduled] PLAN...: offline, the daemon's own parser. */
int command_check(int argc, char **argv);
