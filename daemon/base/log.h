/* The one log sink of the process. Lower layers return errors instead of
 * logging; only engine, io and the programs log. Secrets never come here. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* What has happened, for programs that read the log: one identifier each in the
 * journal (io/journal), with a text in systemd/jobclone.catalog. */
enum log_kind {
    LOG_KIND_NONE, /* a line for people alone */
    LOG_KIND_READY,
    LOG_KIND_RELOADED,
    LOG_KIND_RELOAD_REFUSED,
    LOG_KIND_STOPPING,
    LOG_KIND_RUN_ACCEPTED,
    LOG_KIND_RUN_STARTED,
    LOG_KIND_RUN_CHANGED, /* paused, resumed, cancelled, begun anew */
    LOG_KIND_RUN_ENDED,
    LOG_KIND_ITEM, /* one of its items has changed its state */
    LOG_KIND_PLAN_REJECTED,
    LOG_KIND_SCHEDULE,
    LOG_KIND_SERVER_TROUBLE,
    LOG_KIND_SERVER_FINE,
    LOG_KIND_STATE_TROUBLE, /* the state or a result cannot be written */
    LOG_KIND_COUNT
};

/* What a message is about, beside its text; what does not apply stays NULL. */
struct log_fields {
    enum log_kind kind;
    const char *run, *plan, *server, *task;
    const uint32_t *item;  /* its index */
    const char *from, *to; /* states */
    const char *fault;     /* code of an error */
};

/* Messages above this level are dropped; the default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* Would a message of this level be shown? */
bool log_shows(enum log_level level);

/* Replaces the sink (standard error); NULL restores it. The line carries no newline and no
 * control characters; `fields` is never NULL; both are borrowed for the call. */
void log_set_sink(void (*sink)(enum log_level level, const char *line, const struct log_fields *fields,
                               void *data),
                  void *data);

/* 0, or -EINVAL for an unknown word (error, warning, info, debug). */
int log_level_parse(const char *word, enum log_level *ret_level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line with its fields. */
void log_event(enum log_level level, const struct log_fields *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
