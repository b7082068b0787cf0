/* New files of a folder, many at a time: all are written first, then synced by
 * several threads, so that few journal commits and flushes of the disk serve them
 * all. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "io/file_sink.h"
#include "io/read_file.h"
#include "io/spool_folder.h"

int spool_batch_init(struct spool_batch *batch, int folder)
{
    *batch = (struct spool_batch){.folder = folder, .files = calloc(SPOOL_BATCH_MAX, sizeof(*batch->files))};
    return batch->files != NULL ? 0 : -ENOMEM;
}

static int write_temporary(struct spool_batch *batch, struct spool_new_file *file, const void *data,
                           size_t len)
{
    unlinkat(batch->folder, file->temporary, 0); /* of a write that was cut off */
    file->fd =
        openat(batch->folder, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return -errno;
    int r = file_write_all(file->fd, data, len);
    if (r == 0 && fchmod(file->fd, 0640) < 0)
        r = -errno;
    if (r == 0) /* a start only: what it says of errors, fsync says too */
        sync_file_range(file->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return r;
}

size_t spool_batch_add(struct spool_batch *batch, const char *id, const char *name, const void *data,
                       size_t len)
{
    struct spool_new_file *file = &batch->files[batch->n];
    *file = (struct spool_new_file){.fd = -1};
    snprintf(file->temporary, sizeof(file->temporary), ".%s-%zu.tmp", id, batch->n);
    snprintf(file->name, sizeof(file->name), "%s", name);
    file->error = write_temporary(batch, file, data, len);
    return batch->n++;
}

#define SYNC_THREADS 8

struct share {
    struct spool_batch *batch;
    size_t first;
    uv_thread_t thread;
    bool runs;
};

static void sync_share(void *data)
{
    const struct share *share = data;
    for (size_t i = share->first; i < share->batch->n; i += SYNC_THREADS) {
        struct spool_new_file *file = &share->batch->files[i];
        if (file->error == 0 && fsync(file->fd) < 0)
            file->error = -errno;
    }
}

static void sync_files(struct spool_batch *batch)
{
    struct share shares[SYNC_THREADS];
    for (size_t i = 0; i < SYNC_THREADS; i++) {
        shares[i] = (struct share){.batch = batch, .first = i};
        shares[i].runs =
            i > 0 && i < batch->n && uv_thread_create(&shares[i].thread, sync_share, &shares[i]) == 0;
    }
    for (size_t i = 0; i < SYNC_THREADS; i++)
        if (!shares[i].runs)
            sync_share(&shares[i]);
    for (size_t i = 0; i < SYNC_THREADS; i++)
        if (shares[i].runs)
            uv_thread_join(&shares[i].thread);
}

static void name_file(struct spool_batch *batch, struct spool_new_file *file)
{
    if (file->fd >= 0 && close(file->fd) < 0 && file->error == 0)
        file->error = -errno;
    file->fd = -1;
    if (file->error == 0 && renameat(batch->folder, file->temporary, batch->folder, file->name) < 0)
        file->error = -errno;
    if (file->error < 0)
        unlinkat(batch->folder, file->temporary, 0);
}

void spool_batch_write(struct spool_batch *batch)
{
    sync_files(batch);
    for (size_t i = 0; i < batch->n; i++)
        name_file(batch, &batch->files[i]);
    int r = batch->n > 0 && fsync(batch->folder) < 0 ? -errno : 0;
    for (size_t i = 0; i < batch->n && r < 0; i++)
        if (batch->files[i].error == 0)
            batch->files[i].error = r;
}

int spool_batch_error(const struct spool_batch *batch, size_t index)
{
    return batch->files[index].error;
}

void spool_batch_done(struct spool_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        read_file_close(&batch->files[i].fd);
    free(batch->files);
    *batch = (struct spool_batch){0};
}
