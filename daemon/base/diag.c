#include "base/diag.h"

#include <errno.h>

#include "base/text.h"

void diag_done(struct diag *diag)
{
    buf_done(&diag->text);
    diag->count = 0;
}

void diag_add(struct diag *diag, const char *file, unsigned line, unsigned column, const char *format, ...)
{
    if (diag->count++ >= DIAG_MESSAGES_MAX)
        return;
    struct buf message = BUF_INIT(16 * 1024);
    va_list args;
    va_start(args, format);
    buf_vprintf(&message, format, args);
    va_end(args);
    if (file)
        text_escape(&diag->text, file);
    if (line)
        buf_printf(&diag->text, ":%u", line);
    if (line && column)
        buf_printf(&diag->text, ":%u", column);
    if (file)
        buf_add_str(&diag->text, ": ");
    text_escape(&diag->text, message.error == -ENOMEM ? "out of memory" : buf_str(&message));
    buf_add_char(&diag->text, '\n');
    buf_done(&message);
}

void diag_print(const struct diag *diag, FILE *stream)
{
    fputs(buf_str(&diag->text), stream);
    if (diag->text.error == -ENOMEM)
        fputs("out of memory\n", stream);
    if (diag->count > DIAG_MESSAGES_MAX)
        fprintf(stream, "... and %u more\n", diag->count - DIAG_MESSAGES_MAX);
}
