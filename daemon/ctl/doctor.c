#include "ctl/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "base/text.h"
#include "io/settings_files.h"
#include "model/settings.h"

#define MESSAGE_BYTES ((size_t)64 * 1024)
#define CONFIG_DEFAULT "/etc/jobclone/jobcloned.yaml"

static const char *const words[] = {"ok", "warn", "fail"};

static void print_finding(const struct doctor *doctor, enum finding finding, const char *check,
                          const char *message)
{
    static const char *const colors[] = {"\033[32m", "\033[33m", "\033[31m"};
    printf("%s%-4s%s  %-9s %s\n", doctor->color ? colors[finding] : "", words[finding],
           doctor->color ? "\033[0m" : "", check, message);
    fflush(stdout); /* a look at a server may take a while */
}

void doctor_note(struct doctor *doctor, enum finding finding, int code, const char *check, const char *format,
                 ...)
{
    _cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_BYTES), shown = BUF_INIT(4 * MESSAGE_BYTES);
    va_list args;
    va_start(args, format);
    buf_vprintf(&message, format, args);
    va_end(args);
    text_escape(&shown, buf_str(&message));
    if (doctor->findings)
        json_array_append_new(doctor->findings, json_pack("{s:s,s:s,s:s}", "check", check, "finding",
                                                          words[finding], "message", buf_str(&shown)));
    else
        print_finding(doctor, finding, check, buf_str(&shown));
    doctor->warnings += finding == FINDING_WARN;
    doctor->failures += finding == FINDING_FAIL;
    if (finding == FINDING_FAIL && code > doctor->code)
        doctor->code = code;
}

/* Each mistake is a finding of its own. */
static void note_mistakes(struct doctor *doctor, struct diag *diag)
{
    _cleanup_free_ char *text = strdup(buf_str(&diag->text));
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
        if (*line)
            doctor_note(doctor, FINDING_FAIL, CTL_INVALID, "settings", "%s", line);
}

static struct settings *check_settings(struct doctor *doctor, const char *path)
{
    struct settings *settings = NULL;
    struct diag diag = DIAG_INIT;
    int r = settings_files_load(path, &settings, &diag);
    if (r < 0 && diag.count == 0)
        doctor_note(doctor, FINDING_FAIL, CTL_INVALID, "settings", "%s: cannot be read: %s", path,
                    strerror(-r));
    if (r < 0)
        note_mistakes(doctor, &diag);
    else
        doctor_note(doctor, FINDING_OK, 0, "settings", "%s: %zu server%s", path, settings->n_servers,
                    settings->n_servers == 1 ? "" : "s");
    diag_done(&diag);
    return settings;
}

static void finish(struct doctor *doctor)
{
    if (doctor->findings) {
        json_t *all = json_pack("{s:O}", "findings", doctor->findings);
        json_dumpf(all, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(all);
        json_decref(doctor->findings);
    } else if (doctor->failures > 0) {
        printf("\n%u to be mended, %u to be looked at\n", doctor->failures, doctor->warnings);
    } else if (doctor->warnings > 0) {
        printf("\nnothing to be mended, %u to be looked at\n", doctor->warnings);
    }
}

int command_doctor(struct ctl *ctl)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct doctor doctor = {.ctl = ctl, .findings = ctl->json ? json_array() : NULL};
    doctor.color = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 && !(no_color && *no_color);
    struct settings *settings = check_settings(&doctor, ctl->config ? ctl->config : CONFIG_DEFAULT);
    doctor.settings = settings;
    doctor_local(&doctor);
    for (size_t i = 0; settings && i < settings->n_servers; i++)
        doctor_server(&doctor, &settings->servers[i]);
    finish(&doctor);
    settings_free(settings);
    return doctor.code;
}
