/* The spool's folders on disk: opening them, new files in them that are there whole
 * or not at all, and taking a dropped file away without ever taking another. Not
 * bound to a thread; one user at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "io/spool.h"
#include "io/spool_name.h"

/* Descriptors; -1 when closed. `taking` is private: what is on its way out goes through it. */
struct spool_folders {
    int spool, accepted, done, failed, rejected, taking;
};

#define SPOOL_FOLDERS_CLOSED ((struct spool_folders){-1, -1, -1, -1, -1, -1})

/* Opens all, making those in the spool that are missing, and the spool itself if `make`. 0; or negative errno
 * with a sentence for people. The folders in it must be the daemon's own, writable by nobody else. */
int spool_folders_open(const char *directory, bool make, struct spool_folders *ret, struct buf *ret_error);
void spool_folders_close(struct spool_folders *folders);

/* Removes what writes that were cut off have left behind. */
void spool_folders_tidy(const struct spool_folders *folders);

struct spool_identity spool_identity_of(const struct stat *st);

/* Equal but for the device. */
bool spool_identity_same(const struct spool_identity *a, const struct spool_identity *b);

/* True when the file there is regular and has exactly these bytes. */
bool spool_file_equals(int folder, const char *name, const struct buf *bytes);

/* Takes the file away from the spool when it still is the one of that identity and bytes; one that has come
 * in its place meanwhile stays in the spool. `id` names what is on its way. The folders are to be synced
 * (spool_folders_sync) before anybody is told. 0, or negative errno when it may still be there. */
int spool_take_away(const struct spool_folders *folders, const char *name, const char *id,
                    const struct spool_identity *identity, const struct buf *bytes);

/* Makes all that was taken away so far gone for good. */
int spool_folders_sync(const struct spool_folders *folders);

/* Puts back into the spool whatever an earlier process left on its way. */
void spool_put_all_back(const struct spool_folders *folders);

/* ---- new files ---- */

#define SPOOL_BATCH_MAX 256

/* New files of one folder that share the waits for the disk. */
struct spool_batch {
    int folder;
    size_t n;
    struct spool_new_file {
        int fd, error;
        char temporary[64], name[SPOOL_NAME_SIZE];
    } * files; /* SPOOL_BATCH_MAX */
};

int spool_batch_init(struct spool_batch *batch, int folder);

/* Writes the bytes to a temporary file made from `id` and `n` (0640). Returns its index for
 * spool_batch_error, also after an error that only it will tell. At most SPOOL_BATCH_MAX. */
size_t spool_batch_add(struct spool_batch *batch, const char *id, const char *name, const void *data,
                       size_t len);

/* Syncs all, gives them their names (replacing what has them), syncs the folder. */
void spool_batch_write(struct spool_batch *batch);

/* 0 when that file is there for good. */
int spool_batch_error(const struct spool_batch *batch, size_t index);

void spool_batch_done(struct spool_batch *batch);
