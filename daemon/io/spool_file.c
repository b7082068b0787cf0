/* Filing of accepted plans: the copy first, then the original goes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/spool_parts.h"

/* Its own name where that is free, or taken by its own copy from before a crash; else with the run id. */
static void choose_name(struct spool_taken *taken, int accepted)
{
    struct stat st;
    bool there = fstatat(accepted, taken->file, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (taken->plain && (!there || spool_file_equals(accepted, taken->file, &taken->files.bytes)))
        snprintf(taken->filed, sizeof(taken->filed), "%s", taken->file);
    else
        spool_name_with_id(taken->file, taken->run_id, taken->filed);
}

void spool_file_work(struct spool_taken *const *all, size_t n, const struct spool_folders *folders)
{
    struct spool_batch batch;
    int r = spool_batch_init(&batch, folders->accepted);
    for (size_t i = 0; i < n && r == 0; i++) {
        choose_name(all[i], folders->accepted);
        spool_batch_add(&batch, all[i]->run_id, all[i]->filed, buf_str(&all[i]->files.bytes),
                        all[i]->files.bytes.len);
    }
    if (r == 0)
        spool_batch_write(&batch);
    for (size_t i = 0; i < n; i++) {
        all[i]->error = r < 0 ? r : spool_batch_error(&batch, i);
        if (all[i]->error == 0)
            all[i]->error = spool_take_away(folders, all[i]->file, all[i]->run_id, &all[i]->identity,
                                            &all[i]->files.bytes);
    }
    spool_batch_done(&batch);
    r = spool_folders_sync(folders);
    for (size_t i = 0; i < n && r < 0; i++)
        if (all[i]->error == 0)
            all[i]->error = r;
}
