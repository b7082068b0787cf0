/* The one log sink of the process. Lower layers return errors instead of
 * logging; only engine, io and the programs log. Secrets never come here. */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Messages above this level are dropped; the default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* Replaces the sink (standard error); NULL restores it. The line carries no
 * newline and no control characters. */
void log_set_sink(void (*sink)(enum log_level level, const char *line, void *data), void *data);

/* 0, or -EINVAL for an unknown word (error, warning, info, debug). */
int log_level_parse(const char *word, enum log_level *ret_level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
