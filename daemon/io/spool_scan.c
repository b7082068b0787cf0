/* The truth about the spool: every plan file in it, as it is now. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "io/read_file.h"
#include "io/spool_entries.h"
#include "io/spool_parts.h"

static int add_found(struct spool_scan *scan, int folder, const char *name)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0; /* gone again */
    if (scan->n == SPOOL_ENTRIES_MAX) {
        scan->cut = true;
        return 0;
    }
    if (scan->n == scan->size) {
        size_t size = scan->size > 0 ? scan->size * 2 : 64;
        struct spool_found *found = reallocarray(scan->found, size, sizeof(*found));
        if (found == NULL)
            return -ENOMEM;
        scan->found = found;
        scan->size = size;
    }
    struct spool_found *found = &scan->found[scan->n];
    *found = (struct spool_found){.name = strdup(name),
                                  .regular = S_ISREG(st.st_mode),
                                  .identity = spool_identity_of(&st),
                                  .ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec};
    if (found->name == NULL)
        return -ENOMEM;
    scan->n++;
    return 0;
}

static int read_folder(struct spool_scan *scan, int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        int r = -errno;
        read_file_close(&fd);
        return r;
    }
    int r = 0;
    while (r == 0) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            r = -errno;
            break;
        }
        if (spool_name_is_plan(entry->d_name))
            r = add_found(scan, folder, entry->d_name);
    }
    closedir(dir);
    return r;
}

static int by_age(const void *a, const void *b)
{
    const struct spool_found *x = a, *y = b;
    if (x->identity.mtime_ns != y->identity.mtime_ns)
        return x->identity.mtime_ns < y->identity.mtime_ns ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Removed, renamed, or another one put (or mounted) in its place. */
static bool is_stale(const char *directory, int folder)
{
    struct stat now, open;
    return fstat(folder, &open) < 0 || stat(directory, &now) < 0 || now.st_dev != open.st_dev ||
           now.st_ino != open.st_ino;
}

void spool_scan_work(struct spool_scan *scan, const char *directory, const struct spool_folders *folders)
{
    *scan = (struct spool_scan){0};
    if (is_stale(directory, folders->spool)) {
        scan->error = -ESTALE;
        return;
    }
    spool_put_all_back(folders);
    scan->error = read_folder(scan, folders->spool);
    if (scan->n > 0)
        qsort(scan->found, scan->n, sizeof(*scan->found), by_age);
}

void spool_scan_done(struct spool_scan *scan)
{
    for (size_t i = 0; i < scan->n; i++)
        free(scan->found[i].name);
    free(scan->found);
    *scan = (struct spool_scan){0};
}
