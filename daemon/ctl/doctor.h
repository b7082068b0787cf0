/* jobclonectl doctor: is everything as jobcloned needs it? Each finding is a line
 * that says what, where, and what to do about it. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "ctl/commands.h"

struct server_settings;
struct settings;

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL };

struct doctor {
    const struct ctl *ctl;
    const struct settings *settings; /* NULL: not good */
    json_t *findings;                /* with --json, printed in the end */
    bool color;
    int code; /* the exit code so far */
    unsigned warnings, failures;
};

/* A finding of the named check. `code` is the exit code that it stands for when it is FINDING_FAIL. */
void doctor_note(struct doctor *doctor, enum finding finding, int code, const char *check, const char *format,
                 ...) __attribute__((format(printf, 5, 6)));

/* doctor_local.c: state, spool, inotify, clock, the daemon itself */
void doctor_local(struct doctor *doctor);

/* doctor_server.c: name, certificate, pin, version, clock, logon, role */
void doctor_server(struct doctor *doctor, const struct server_settings *server);
