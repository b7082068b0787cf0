#include "io/spool_watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#define READS_MAX 4 /* in one turn of the loop */

struct spool_watch {
    uv_poll_t poll;
    int fd;
    bool closed;
    void (*on_hint)(enum spool_hint hint, const char *name, void *data);
    void *data;
};

static void tell(struct spool_watch *watch, const struct inotify_event *event)
{
    static const struct {
        uint32_t mask;
        enum spool_hint hint;
    } hints[] = {{IN_CREATE, SPOOL_HINT_CREATED},           {IN_OPEN, SPOOL_HINT_OPENED},
                 {IN_MODIFY, SPOOL_HINT_MODIFIED},          {IN_CLOSE_NOWRITE, SPOOL_HINT_CLOSED},
                 {IN_CLOSE_WRITE, SPOOL_HINT_COMPLETE},     {IN_MOVED_TO, SPOOL_HINT_COMPLETE},
                 {IN_ATTRIB, SPOOL_HINT_CHANGED},           {IN_Q_OVERFLOW, SPOOL_HINT_MISSED},
                 {IN_DELETE_SELF, SPOOL_HINT_GONE},         {IN_MOVE_SELF, SPOOL_HINT_GONE},
                 {IN_UNMOUNT | IN_IGNORED, SPOOL_HINT_GONE}};
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]) && !watch->closed; i++) {
        bool of_name = hints[i].hint != SPOOL_HINT_MISSED && hints[i].hint != SPOOL_HINT_GONE;
        if ((event->mask & hints[i].mask) != 0 && (event->len > 0 || !of_name))
            watch->on_hint(hints[i].hint, of_name ? event->name : NULL, watch->data);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct spool_watch *watch = poll->data;
    _Alignas(struct inotify_event) char buffer[16 * 1024];
    (void)events;
    if (status < 0) {
        watch->on_hint(SPOOL_HINT_MISSED, NULL, watch->data);
        return;
    }
    for (unsigned reads = 0; reads < READS_MAX && !watch->closed; reads++) {
        ssize_t n = read(watch->fd, buffer, sizeof(buffer));
        if (n <= 0)
            return; /* nothing more for now */
        for (char *at = buffer; at < buffer + n && !watch->closed;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;
            tell(watch, event);
            at += sizeof(*event) + event->len;
        }
    }
}

int spool_watch_new(uv_loop_t *loop, const char *directory,
                    void (*on_hint)(enum spool_hint hint, const char *name, void *data), void *data,
                    struct spool_watch **ret)
{
    const uint32_t mask = IN_CREATE | IN_OPEN | IN_MODIFY | IN_CLOSE_NOWRITE | IN_CLOSE_WRITE | IN_MOVED_TO |
                          IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
    struct spool_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return -ENOMEM;
    *watch =
        (struct spool_watch){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .on_hint = on_hint, .data = data};
    int r = watch->fd < 0 || inotify_add_watch(watch->fd, directory, mask) < 0 ? -errno : 0;
    if (r == 0)
        r = uv_poll_init(loop, &watch->poll, watch->fd);
    if (r < 0) {
        if (watch->fd >= 0)
            close(watch->fd);
        free(watch);
        return r;
    }
    watch->poll.data = watch;
    uv_poll_start(&watch->poll, UV_READABLE, on_poll);
    *ret = watch;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct spool_watch *watch = handle->data;
    close(watch->fd);
    free(watch);
}

struct spool_watch *spool_watch_close(struct spool_watch *watch)
{
    if (watch != NULL && !watch->closed) {
        watch->closed = true;
        uv_close((uv_handle_t *)&watch->poll, on_closed);
    }
    return NULL;
}
