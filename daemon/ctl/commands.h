/* The commands of jobclonectl: what each takes, and where it is carried out. */
#pragma once

#include <stdbool.h>

/* Exit codes (product contract 5). */
#define CTL_OK 0
#define CTL_FAILURES 1    /* the run ended with failures; a preview with conflicts or errors */
#define CTL_INVALID 2     /* usage, or an invalid plan or setting */
#define CTL_UNREACHABLE 3 /* the daemon cannot be reached, or refuses or fails */
#define CTL_INTERRUPTED 4 /* cancelled, or a signal ended the waiting */

#define CTL_SOCKET_DEFAULT "/run/jobclone/control.sock"

/* Options that a command may have, besides --socket, --json and --help. */
enum ctl_option {
    CTL_CONFIG = 1,
    CTL_SCHEDULED = 2,
    CTL_WAIT = 4,
    CTL_ITEMS = 8,
    CTL_STOP_TASKS = 16,
};

/* The command line as read. */
struct ctl {
    const char *socket;
    const char *config; /* or NULL */
    bool json, help, scheduled, wait, items, stop_tasks;
    char **words; /* what is no option */
    int n_words;
};

struct command {
    const char *name;
    const char *word; /* what its words are, for messages: "plan", "run"; NULL: it takes none */
    int words_min, words_max;
    unsigned options;            /* enum ctl_option, or-ed */
    int (*run)(struct ctl *ctl); /* an exit code; NULL: not in this version */
};

/* NULL-named at the end. */
extern const struct command commands[];

/* The command of that name, or NULL. */
const struct command *command_find(const char *name);

/* Reads what follows the command's name; CTL_OK, or CTL_INVALID after a message. */
int command_parse(const struct command *command, int argc, char **argv, struct ctl *ctl);

/* Writes the help to standard output; CTL_OK. */
int command_help(void);

/* One line on standard error that points to the help; CTL_INVALID. */
int command_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line "jobclonectl: ..." on standard error, control characters escaped. */
void command_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* check.c: offline, the daemon's own parser */
int command_check(struct ctl *ctl);
/* show.c: what the daemon has */
int command_status(struct ctl *ctl);
int command_list(struct ctl *ctl);
int command_show(struct ctl *ctl);
int command_report(struct ctl *ctl);
int command_schedules(struct ctl *ctl);
/* submit.c: plans that travel to the daemon */
int command_preview(struct ctl *ctl);
int command_submit(struct ctl *ctl);
/* change.c: what changes a run */
int command_pause(struct ctl *ctl);
int command_resume(struct ctl *ctl);
int command_cancel(struct ctl *ctl);
int command_retry(struct ctl *ctl);
/* watch.c */
int command_watch(struct ctl *ctl);
/* doctor.c: works without the daemon */
int command_doctor(struct ctl *ctl);
