/* A file has two sizes and contents: as the program sees it, and what is safe. A
 * sync makes the changes since the last one safe. The first sync of a new file syncs
 * the folder too, as SQLite does, and with it all names. */
#include "disk.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define FILES_MAX 16
#define SECTOR 512
#define SYNCS_MAX 4096

struct image {
    bool there;
    unsigned char *data;
    size_t len, size;
};

/* A change that is not safe yet: bytes at an offset, or a new size (`data` NULL). */
struct change {
    size_t offset, len;
    unsigned char *data;
};

struct file {
    char name[128];
    struct image now, safe;
    struct change *changes;
    size_t n_changes, size_changes;
    bool renewed; /* deleted or made anew, and that is not safe */
};

struct handle {
    sqlite3_file base;
    struct file *file;
};

static struct {
    struct file files[FILES_MAX];
    size_t n_files;
    struct rng rng;
    enum disk_trouble trouble;
    uint64_t at, last, calls, syncs;
    uint64_t sync_calls[SYNCS_MAX];
    bool troubled, dead;
    sqlite3_vfs vfs, *below;
} disk;

static void *must(void *memory)
{
    if (memory == NULL)
        abort(); /* a test without memory proves nothing */
    return memory;
}

/* ---- images ---- */

static void image_resize(struct image *image, size_t len)
{
    if (len > image->size) {
        image->size = len * 2;
        image->data = must(realloc(image->data, image->size));
    }
    if (len > image->len)
        memset(image->data + image->len, 0, len - image->len);
    image->len = len;
}

static void image_write(struct image *image, size_t offset, const unsigned char *data, size_t len)
{
    if (offset + len > image->len)
        image_resize(image, offset + len);
    memcpy(image->data + offset, data, len);
}

static void image_apply(struct image *image, const struct change *change)
{
    if (change->data == NULL)
        image_resize(image, change->len);
    else
        image_write(image, change->offset, change->data, change->len);
}

static void image_copy(struct image *to, const struct image *from)
{
    to->there = from->there;
    image_resize(to, 0);
    if (from->len > 0)
        image_write(to, 0, from->data, from->len);
}

static void changes_forget(struct file *file)
{
    for (size_t i = 0; i < file->n_changes; i++)
        free(file->changes[i].data);
    file->n_changes = 0;
}

static void changes_add(struct file *file, size_t offset, const void *data, size_t len)
{
    if (file->n_changes == file->size_changes) {
        file->size_changes = file->size_changes > 0 ? file->size_changes * 2 : 16;
        file->changes = must(realloc(file->changes, file->size_changes * sizeof(*file->changes)));
    }
    struct change change = {.offset = offset, .len = len};
    if (data != NULL) {
        change.data = must(malloc(len));
        memcpy(change.data, data, len);
    }
    file->changes[file->n_changes++] = change;
}

static struct file *file_of(const char *name)
{
    for (size_t i = 0; i < disk.n_files; i++)
        if (strcmp(disk.files[i].name, name) == 0)
            return &disk.files[i];
    if (disk.n_files == FILES_MAX || strlen(name) >= sizeof(disk.files[0].name))
        abort();
    struct file *file = &disk.files[disk.n_files++];
    *file = (struct file){0};
    memcpy(file->name, name, strlen(name) + 1);
    return file;
}

/* ---- trouble ---- */

/* Counts a call that changes the disk; 0, or the result code that it gets. */
static int disk_judge(int when_full, int when_broken)
{
    if (disk.dead)
        return SQLITE_IOERR;
    disk.calls++;
    if (disk.trouble == DISK_WELL || disk.at == 0 || disk.calls < disk.at || disk.calls > disk.last)
        return SQLITE_OK;
    disk.troubled = true;
    disk.dead = disk.trouble == DISK_CUT;
    return disk.dead ? SQLITE_IOERR : disk.trouble == DISK_FULL ? when_full : when_broken;
}

void disk_trouble(enum disk_trouble trouble, uint64_t at, uint64_t calls)
{
    disk.trouble = trouble;
    disk.at = at;
    disk.last = calls > 0 ? at + calls - 1 : UINT64_MAX;
    disk.calls = disk.syncs = 0;
    disk.troubled = false;
}

uint64_t disk_calls(void)
{
    return disk.calls;
}

uint64_t disk_syncs(void)
{
    return disk.syncs;
}

void disk_sync_calls(uint64_t *ret, size_t n)
{
    memcpy(ret, disk.sync_calls, n * sizeof(*ret));
}

bool disk_troubled(void)
{
    return disk.troubled;
}

/* ---- power ---- */

static bool toss(void)
{
    return (rng_next(&disk.rng) >> 32 & 1) != 0;
}

static void change_survives_torn(struct image *image, const struct change *change)
{
    for (size_t done = 0; done < change->len;) {
        size_t offset = change->offset + done, len = SECTOR - offset % SECTOR;
        if (len > change->len - done)
            len = change->len - done;
        if (toss())
            image_write(image, offset, change->data + done, len);
        done += len;
    }
}

static void change_survives(struct image *image, const struct change *change, enum disk_loss loss)
{
    if (loss == DISK_TEARS && change->data != NULL)
        change_survives_torn(image, change);
    else if (loss == DISK_KEEPS || (loss != DISK_FORGETS && toss()))
        image_apply(image, change);
}

static void file_power_on(struct file *file, enum disk_loss loss)
{
    bool news = loss == DISK_KEEPS || (loss != DISK_FORGETS && toss());
    if (file->renewed && news) { /* the folder was written: the old content is gone */
        file->safe.there = file->now.there;
        image_resize(&file->safe, 0);
    }
    if (!file->renewed || news)
        for (size_t i = 0; i < file->n_changes; i++)
            change_survives(&file->safe, &file->changes[i], loss);
    changes_forget(file);
    file->renewed = false;
    image_copy(&file->now, &file->safe);
}

void disk_power_on(enum disk_loss loss)
{
    for (size_t i = 0; i < disk.n_files; i++)
        file_power_on(&disk.files[i], loss);
    disk.dead = false;
    disk_trouble(DISK_WELL, 0, 0);
}

/* ---- a file, as SQLite calls it ---- */

static struct file *file_in(sqlite3_file *handle)
{
    return ((struct handle *)handle)->file;
}

static int disk_close(sqlite3_file *handle)
{
    (void)handle;
    return SQLITE_OK;
}

static int disk_read(sqlite3_file *handle, void *data, int len, sqlite3_int64 offset)
{
    const struct image *image = &file_in(handle)->now;
    size_t at = (size_t)offset, want = (size_t)len;
    if (disk.dead)
        return SQLITE_IOERR_READ;
    size_t have = at >= image->len ? 0 : image->len - at < want ? image->len - at : want;
    if (have > 0)
        memcpy(data, image->data + at, have);
    memset((char *)data + have, 0, want - have);
    return have < want ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int disk_write(sqlite3_file *handle, const void *data, int len, sqlite3_int64 offset)
{
    struct file *file = file_in(handle);
    bool before = disk.troubled;
    int rc = disk_judge(SQLITE_FULL, SQLITE_IOERR_WRITE);
    size_t done = (size_t)len;
    if (rc != SQLITE_OK && (before || disk.trouble == DISK_BROKEN))
        return rc;
    if (rc != SQLITE_OK && disk.trouble == DISK_FULL) /* when power fails here, chance decides how much */
        done /= 2;
    image_write(&file->now, (size_t)offset, data, done);
    changes_add(file, (size_t)offset, data, done);
    return rc;
}

static int disk_truncate(sqlite3_file *handle, sqlite3_int64 size)
{
    struct file *file = file_in(handle);
    int rc = disk_judge(SQLITE_OK, SQLITE_IOERR_TRUNCATE);
    if (rc != SQLITE_OK)
        return rc;
    image_resize(&file->now, (size_t)size);
    changes_add(file, 0, NULL, (size_t)size);
    return SQLITE_OK;
}

/* The folder is synced: it knows what is deleted and what is new, but nothing of the bytes. */
static void names_make_safe(void)
{
    for (size_t i = 0; i < disk.n_files; i++) {
        struct file *file = &disk.files[i];
        if (!file->renewed)
            continue;
        image_resize(&file->safe, 0);
        file->safe.there = file->now.there;
        file->renewed = false;
    }
}

static void file_make_safe(struct file *file)
{
    if (file->renewed)
        names_make_safe();
    for (size_t i = 0; i < file->n_changes; i++)
        image_apply(&file->safe, &file->changes[i]);
}

static int disk_sync(sqlite3_file *handle, int flags)
{
    (void)flags;
    struct file *file = file_in(handle);
    int rc = disk_judge(SQLITE_OK, SQLITE_IOERR_FSYNC);
    if (disk.dead)
        return rc;
    if (disk.syncs == SYNCS_MAX)
        abort();
    disk.sync_calls[disk.syncs++] = disk.calls;
    if (rc == SQLITE_OK)
        file_make_safe(file);
    changes_forget(file); /* after a failure too: the kernel takes what it could not write for written */
    return rc;
}

static int disk_file_size(sqlite3_file *handle, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)file_in(handle)->now.len;
    return SQLITE_OK;
}

static int disk_lock(sqlite3_file *handle, int level)
{
    (void)handle;
    (void)level;
    return SQLITE_OK;
}

static int disk_check_lock(sqlite3_file *handle, int *ret)
{
    (void)handle;
    *ret = 0;
    return SQLITE_OK;
}

static int disk_control(sqlite3_file *handle, int op, void *data)
{
    (void)handle;
    (void)op;
    (void)data;
    return SQLITE_NOTFOUND;
}

static int disk_sector(sqlite3_file *handle)
{
    (void)handle;
    return 4096;
}

/* As the VFS of Unix says by default. */
static int disk_characteristics(sqlite3_file *handle)
{
    (void)handle;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_file_size,
    .xLock = disk_lock,
    .xUnlock = disk_lock,
    .xCheckReservedLock = disk_check_lock,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector,
    .xDeviceCharacteristics = disk_characteristics,
};

/* ---- the VFS ---- */

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *handle, int flags, int *ret_flags)
{
    (void)vfs;
    handle->pMethods = NULL;
    struct file *file = file_of(name != NULL ? name : "");
    if (disk.dead)
        return SQLITE_CANTOPEN;
    if (!file->now.there) {
        /* the database itself is made by the store, on the real disk */
        bool made = (flags & SQLITE_OPEN_CREATE) != 0 || (flags & SQLITE_OPEN_MAIN_DB) != 0;
        int rc = made ? disk_judge(SQLITE_FULL, SQLITE_CANTOPEN) : SQLITE_CANTOPEN;
        if (rc != SQLITE_OK)
            return rc;
        changes_forget(file);
        image_resize(&file->now, 0);
        file->now.there = true;
        if ((flags & SQLITE_OPEN_MAIN_DB) != 0)
            file->safe.there = true; /* the store has synced the folder */
        else
            file->renewed = true;
    }
    ((struct handle *)handle)->file = file;
    handle->pMethods = &methods;
    if (ret_flags != NULL)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    struct file *file = file_of(name);
    int rc = disk_judge(SQLITE_OK, SQLITE_IOERR_DELETE);
    if (rc != SQLITE_OK)
        return rc;
    if (!file->now.there)
        return SQLITE_IOERR_DELETE_NOENT;
    changes_forget(file);
    file->now.there = false;
    image_resize(&file->now, 0);
    file->renewed = true;
    if (sync)
        names_make_safe();
    return SQLITE_OK;
}

static int disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    (void)vfs;
    (void)flags;
    *ret = file_of(name)->now.there;
    return disk.dead ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

static int disk_full_path(sqlite3_vfs *vfs, const char *name, int len, char *ret)
{
    (void)vfs;
    sqlite3_snprintf(len, ret, "%s", name);
    return SQLITE_OK;
}

int disk_begin(uint64_t seed)
{
    memset(&disk, 0, sizeof(disk));
    disk.rng.state = seed;
    disk.below = sqlite3_vfs_find(NULL);
    if (disk.below == NULL)
        return -ENOMEM;
    disk.vfs = *disk.below;
    disk.vfs.iVersion = 1;
    disk.vfs.szOsFile = sizeof(struct handle);
    disk.vfs.mxPathname = (int)sizeof(disk.files[0].name) - 16;
    disk.vfs.pNext = NULL;
    disk.vfs.zName = "disk";
    disk.vfs.xOpen = disk_open;
    disk.vfs.xDelete = disk_delete;
    disk.vfs.xAccess = disk_access;
    disk.vfs.xFullPathname = disk_full_path;
    return sqlite3_vfs_register(&disk.vfs, 1) == SQLITE_OK ? 0 : -ENOMEM;
}

void disk_end(void)
{
    sqlite3_vfs_unregister(&disk.vfs);
    sqlite3_vfs_register(disk.below, 1);
    for (size_t i = 0; i < disk.n_files; i++) {
        changes_forget(&disk.files[i]);
        free(disk.files[i].changes);
        free(disk.files[i].now.data);
        free(disk.files[i].safe.data);
    }
}
