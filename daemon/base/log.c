#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"

static struct {
    enum log_level level;
    void (*sink)(enum log_level level, const char *line, const struct log_fields *fields, void *data);
    void *data;
} sink = {.level = LOG_LEVEL_INFO};

static const char *const level_words[] = {"error", "warning", "info", "debug"};

void log_set_level(enum log_level level)
{
    sink.level = level;
}

bool log_shows(enum log_level level)
{
    return level <= sink.level;
}

void log_set_sink(void (*fn)(enum log_level level, const char *line, const struct log_fields *fields,
                             void *data),
                  void *data)
{
    sink.sink = fn;
    sink.data = data;
}

int log_level_parse(const char *word, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_SIZE(level_words); i++) {
        if (strcmp(word, level_words[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

static void log_emit(enum log_level level, const struct log_fields *fields, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Without memory there is still something to say, though cut off. */
static const char *log_poor(char *line, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static const char *log_poor(char *line, size_t size, const char *format, va_list args)
{
    vsnprintf(line, size, format, args);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?';
    return line;
}

static void log_emit(enum log_level level, const struct log_fields *fields, const char *format, va_list args)
{
    struct buf raw = BUF_INIT(16 * 1024), line = BUF_INIT(64 * 1024);
    char poor[1024];
    va_list again;
    va_copy(again, args);
    buf_vprintf(&raw, format, args);
    text_escape(&line, buf_str(&raw));
    bool lost = raw.error == -ENOMEM || line.error == -ENOMEM;
    const char *text = lost ? log_poor(poor, sizeof(poor), format, again) : buf_str(&line);
    va_end(again);
    if (sink.sink)
        sink.sink(level, text, fields, sink.data);
    else
        fprintf(stderr, "%s: %s\n", level_words[level], text);
    buf_done(&raw);
    buf_done(&line);
}

void log_line(enum log_level level, const char *format, ...)
{
    if (!log_shows(level))
        return;
    va_list args;
    va_start(args, format);
    log_emit(level, &(struct log_fields){0}, format, args);
    va_end(args);
}

void log_event(enum log_level level, const struct log_fields *fields, const char *format, ...)
{
    if (!log_shows(level))
        return;
    va_list args;
    va_start(args, format);
    log_emit(level, fields, format, args);
    va_end(args);
}
