/* Server-sent events from the bytes of a stream. Pure. */
#pragma once

#include <stddef.h>

#include "base/buf.h"

#define EVENTS_ID_LEN 64

struct events {
    struct buf line, data;
    char event[32];
    char id[EVENTS_ID_LEN]; /* of the last event; "": none */
    void (*on_event)(const char *event, const char *data, size_t len, void *user);
    void *user;
};

void events_init(struct events *events,
                 void (*on_event)(const char *event, const char *data, size_t len, void *user), void *user);

/* What has begun is forgotten: the stream is another one. The id stays. */
void events_restart(struct events *events);

/* Takes the next bytes and calls on_event for each whole event. 0, or -ENOBUFS for a line or an event of
 * over a megabyte, or -ENOMEM. */
int events_feed(struct events *events, const char *data, size_t len);

void events_done(struct events *events);
