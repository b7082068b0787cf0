/* Plans from a watched folder (product contract 4, design note 14). inotify is a
 * hint, the scan is the truth. A file is taken in these steps, each of which may be
 * the last before a crash; what follows is then done at the next start:
 *
 *   read once, decoded, judged by `spool.allow`       (in a worker)
 *   ops.accept: the run is stored, with bytes and identity
 *   its copy is written to accepted/, the original goes away    (in a worker)
 *   ops.file: the run is stored as filed, and may start
 *
 * What is not valid goes to rejected/ with its errors; what must not be read (links,
 * pipes, folders, files of several names or too large) stays where it is, untouched,
 * and only rejected/NAME.errors.txt tells of it. Files are taken in batches, each of
 * which shares its waits for the disk; memory is bounded by the batch. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/buf.h"
#include "base/ulid.h"

struct plan_files;
struct settings;
struct spool;

/* What a dropped file is known by. The device is told, not compared: its number may
 * change when the machine starts. */
struct spool_identity {
    int64_t dev, inode, size, mtime_ns;
};

/* A valid plan that is to become a run. Borrowed until the answer. */
struct spool_drop {
    const char *file;               /* its name in the spool */
    const struct plan_files *files; /* the plan's bytes, its CSV files and the hash over all */
    const char *plan, *server;
    size_t n_items;
    uid_t owner;
    struct spool_identity identity;
    int64_t accepted_ms; /* when it was read; `date` has been expanded with it */
};

/* Answers a drop or a filing: once, on the loop thread, now or later; 0, or a negative errno, after which
 * it is tried again some seconds later. */
typedef void spool_on_done(int error, void *data);

/* What the spool asks for; `user` is that of spool_new. All are called on the loop thread. */
struct spool_ops {
    /* Gives the drop a run id, stores the run durably with origin, owner and identity, then answers. */
    void (*accept)(const struct spool_drop *drop, char ret_run_id[ULID_LEN + 1], spool_on_done *on_done,
                   void *data, void *user);
    /* Stores `filed`, where the plan lies within the spool ("accepted/NAME"), with the run, then answers.
     * From then on the run may start. */
    void (*file)(const char *run_id, const char *filed, spool_on_done *on_done, void *data, void *user);
    /* The first scan is over; what lay there complete is being taken. Or something failed before that, and is
     * tried again. May be NULL. */
    void (*ready)(void *user);
};

/* Opens the folder of the settings, making it (3770, group jobclone where there is one) and the folders in
 * it when missing. 0; or negative errno with a sentence for people in `ret_error`. */
int spool_new(uv_loop_t *loop, const struct settings *settings, const struct spool_ops *ops, void *user,
              struct spool **ret, struct buf *ret_error);

/* An open run that an earlier process took from the spool; before spool_start, for each of them. With
 * `filed` NULL it was not yet filed: that is done first, from the given bytes (copied). 0 or -ENOMEM. */
struct spool_known {
    const char *run_id, *file, *filed;
    struct spool_identity identity;
    const struct buf *bytes; /* the plan's, where `filed` is NULL */
};
int spool_know(struct spool *spool, const struct spool_known *known);

/* Begins to watch. */
void spool_start(struct spool *spool);

/* Servers, limits and rules for what is read from now on (a reload); the folder stays. Copied. 0 or -ENOMEM.
 */
int spool_set_settings(struct spool *spool, const struct settings *settings);

/* A run has been finished: its name in accepted/ is free again. */
void spool_release(struct spool *spool, const char *filed);

/* Takes nothing more; on_closed follows once what is under way has been answered. */
void spool_close(struct spool *spool, void (*on_closed)(void *data), void *data);

/* ---- the end of a run ---- */

typedef int spool_write(const char *data, size_t len, void *sink);

struct spool_end {
    const char *directory; /* of the spool */
    const char *run_id, *file;
    const char *filed; /* as it was stored last */
    bool well;         /* to done/, else to failed/ */
    /* Each writes its whole text; `result_path` is where the result lies. 0 or negative errno. */
    int (*produce_result)(spool_write *write, void *sink, void *user);
    int (*produce_report)(spool_write *write, void *sink, const char *result_path, void *user);
    void *user;
};

/* Files an ended run: the plan moves to done/ or failed/, with its result and report beside; those that an
 * earlier end of the same run left are replaced. May be done again after a crash at any point. Touches
 * nothing but files, so that it may be called in any thread, one run at a time. 0 with *ret_filed (heap)
 * where the plan lies now, to be stored as `filed`; or negative errno with a sentence for people. */
int spool_finish(const struct spool_end *end, char **ret_filed, struct buf *ret_error);
