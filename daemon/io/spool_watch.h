/* The hints of inotify about one folder, on the loop. */
#pragma once

#include <uv.h>

enum spool_hint {
    SPOOL_HINT_CREATED,  /* a name has appeared */
    SPOOL_HINT_OPENED,   /* somebody has opened it */
    SPOOL_HINT_MODIFIED, /* somebody has written to it */
    SPOOL_HINT_CLOSED,   /* closed, and had not been open for writing */
    SPOOL_HINT_COMPLETE, /* closed after writing, or renamed in */
    SPOOL_HINT_CHANGED,  /* its owner, mode or number of names has changed */
    SPOOL_HINT_MISSED,   /* some hints were lost; no name */
    SPOOL_HINT_GONE,     /* the folder itself was removed, renamed or unmounted; no name */
};

struct spool_watch;

/* 0, or negative errno: too many watchers on this machine, out of memory, ... */
int spool_watch_new(uv_loop_t *loop, const char *directory,
                    void (*on_hint)(enum spool_hint hint, const char *name, void *data), void *data,
                    struct spool_watch **ret);

/* No hint comes any more; its memory goes with the loop's next turn. Takes NULL; returns NULL. May be called
 * from on_hint. */
struct spool_watch *spool_watch_close(struct spool_watch *watch);
