#include "ctl/events.h"

#include <stdio.h>
#include <string.h>

#define EVENT_BYTES ((size_t)1024 * 1024)

void events_init(struct events *events,
                 void (*on_event)(const char *event, const char *data, size_t len, void *user), void *user)
{
    *events = (struct events){
        .line = BUF_INIT(EVENT_BYTES), .data = BUF_INIT(EVENT_BYTES), .on_event = on_event, .user = user};
}

void events_restart(struct events *events)
{
    buf_reset(&events->line);
    buf_reset(&events->data);
    events->event[0] = '\0';
}

/* "field: value", a comment, or the empty line that ends an event. */
static int take_line(struct events *events)
{
    const char *line = buf_str(&events->line), *colon = strchr(line, ':');
    const char *value = colon ? colon + 1 + (colon[1] == ' ') : "";
    int r = 0;
    if (!*line && events->data.len > 0) {
        events->on_event(*events->event ? events->event : "message", events->data.data, events->data.len,
                         events->user);
        buf_reset(&events->data);
    }
    if (!*line)
        events->event[0] = '\0';
    else if (strncmp(line, "event:", 6) == 0)
        snprintf(events->event, sizeof(events->event), "%s", value);
    else if (strncmp(line, "id:", 3) == 0)
        snprintf(events->id, sizeof(events->id), "%s", value);
    else if (strncmp(line, "data:", 5) == 0)
        r = events->data.len > 0 ? buf_add_char(&events->data, '\n') : 0;
    if (r == 0 && strncmp(line, "data:", 5) == 0)
        r = buf_add_str(&events->data, value);
    buf_reset(&events->line);
    return r;
}

int events_feed(struct events *events, const char *data, size_t len)
{
    int r = 0;
    while (len > 0 && r == 0) {
        const char *newline = memchr(data, '\n', len);
        size_t n = newline ? (size_t)(newline - data) : len;
        r = buf_add(&events->line, data, n);
        if (r == 0 && newline && events->line.len > 0 && events->line.data[events->line.len - 1] == '\r')
            events->line.data[--events->line.len] = '\0';
        if (r == 0 && newline)
            r = take_line(events);
        n += newline != NULL;
        data += n;
        len -= n;
    }
    return r;
}

void events_done(struct events *events)
{
    buf_done(&events->line);
    buf_done(&events->data);
}
