#include "io/spool_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "io/open_beneath.h"
#include "io/read_file.h"

#define GROUP "jobclone"

/* ---- opening ---- */

static int explain(struct buf *ret_error, const char *directory, const char *name, int error,
                   const char *what)
{
    buf_printf(ret_error, "spool %s%s%s: %s", directory, name[0] != '\0' ? "/" : "", name, what);
    return error;
}

/* Who may drop plans: the group, where this machine has it and we may give the folder to it. */
static void give_to_group(int fd)
{
    char text[4096];
    struct group entry, *found = NULL;
    if (getgrnam_r(GROUP, &entry, text, sizeof(text), &found) == 0 && found != NULL &&
        fchown(fd, (uid_t)-1, found->gr_gid) < 0)
        return; /* it stays with our own group: the package's tmpfiles.d sets it right */
}

/* A sandbox may forbid the setgid bit (RestrictSUIDSGID=); then the group is that of the process. */
static int set_mode(int fd, mode_t mode)
{
    if (fchmod(fd, mode) == 0 || (errno == EPERM && fchmod(fd, mode & ~(mode_t)S_ISGID) == 0))
        return 0;
    return -errno;
}

static int make_spool(const char *directory, struct buf *ret_error)
{
    if (mkdir(directory, 0700) < 0)
        return errno == EEXIST ? 0 : explain(ret_error, directory, "", -errno, strerror(errno));
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return explain(ret_error, directory, "", -errno, strerror(errno));
    give_to_group(fd);
    int r = set_mode(fd, 03770);
    close(fd);
    return r < 0 ? explain(ret_error, directory, "", r, strerror(-r)) : 0;
}

/* Somebody who may drop plans could have made it first. */
static const char *not_our_own(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return strerror(errno);
    if (st.st_uid != geteuid())
        return "it belongs to another user; remove it, the daemon makes it anew";
    if ((st.st_mode & 022) != 0)
        return "others may write there; take that from them (chmod g-w,o-w)";
    return NULL;
}

static int open_inner(int spool, const char *directory, const char *name, mode_t mode, int *ret,
                      struct buf *ret_error)
{
    bool made = mkdirat(spool, name, 0700) == 0;
    if (!made && errno != EEXIST)
        return explain(ret_error, directory, name, -errno, strerror(errno));
    int fd = openat(spool, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return explain(ret_error, directory, name, -errno,
                       errno == ELOOP || errno == ENOTDIR ? "it is no folder; remove it" : strerror(errno));
    int r = made ? set_mode(fd, mode) : 0;
    if (r < 0) {
        close(fd);
        return explain(ret_error, directory, name, r, strerror(-r));
    }
    const char *problem = not_our_own(fd);
    if (problem != NULL) {
        close(fd);
        return explain(ret_error, directory, name, -EPERM, problem);
    }
    *ret = fd;
    return 0;
}

/* With the sticky bit only the owner of a file or of the folder may take it away. */
static int check_spool(int fd, const char *directory, struct buf *ret_error)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return explain(ret_error, directory, "", -errno, strerror(errno));
    if ((st.st_mode & S_ISVTX) == 0 || st.st_uid == geteuid() || geteuid() == 0)
        return 0;
    return explain(ret_error, directory, "", -EPERM,
                   "it belongs to another user, so that the plans of others cannot be taken away; give it to "
                   "the daemon's user (chown)");
}

int spool_folders_open(const char *directory, bool make, struct spool_folders *ret, struct buf *ret_error)
{
    struct spool_folders folders = SPOOL_FOLDERS_CLOSED;
    int r = make ? make_spool(directory, ret_error) : 0;
    if (r < 0)
        return r;
    folders.spool = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folders.spool < 0)
        return explain(ret_error, directory, "", -errno, strerror(errno));
    r = check_spool(folders.spool, directory, ret_error);
    const struct {
        const char *name;
        mode_t mode;
        int *fd;
    } inner[] = {{"accepted", 02750, &folders.accepted},
                 {"done", 02750, &folders.done},
                 {"failed", 02750, &folders.failed},
                 {"rejected", 02750, &folders.rejected},
                 {".taking", 0700, &folders.taking}};
    for (size_t i = 0; i < ARRAY_SIZE(inner) && r == 0; i++)
        r = open_inner(folders.spool, directory, inner[i].name, inner[i].mode, inner[i].fd, ret_error);
    if (r < 0) {
        spool_folders_close(&folders);
        return r;
    }
    *ret = folders;
    return 0;
}

void spool_folders_close(struct spool_folders *folders)
{
    const int all[] = {folders->spool,  folders->accepted, folders->done,
                       folders->failed, folders->rejected, folders->taking};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        read_file_close(&all[i]);
    *folders = SPOOL_FOLDERS_CLOSED;
}

/* Calls for each name in the folder but . and .. ; the folder may change meanwhile. */
static void each_name(int folder,
                      void (*on_name)(const struct spool_folders *folders, int folder, const char *name),
                      const struct spool_folders *folders)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        read_file_close(&fd);
        return;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            on_name(folders, folder, entry->d_name);
    closedir(dir);
}

static void tidy_name(const struct spool_folders *folders, int folder, const char *name)
{
    (void)folders;
    size_t len = strlen(name);
    if (name[0] == '.' && len > 4 && strcmp(name + len - 4, ".tmp") == 0)
        unlinkat(folder, name, 0);
}

void spool_folders_tidy(const struct spool_folders *folders)
{
    const int all[] = {folders->accepted, folders->done, folders->failed, folders->rejected};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        each_name(all[i], tidy_name, folders);
}

/* ---- files ---- */

struct spool_identity spool_identity_of(const struct stat *st)
{
    return (struct spool_identity){(int64_t)st->st_dev, (int64_t)st->st_ino, st->st_size,
                                   (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec};
}

bool spool_identity_same(const struct spool_identity *a, const struct spool_identity *b)
{
    return a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static bool fd_equals(int fd, const struct buf *bytes)
{
    _cleanup_(buf_done) struct buf there = BUF_INIT(bytes->len);
    return read_file(fd, &there) == 0 && there.len == bytes->len &&
           memcmp(buf_str(&there), buf_str(bytes), bytes->len) == 0;
}

bool spool_file_equals(int folder, const char *name, const struct buf *bytes)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return false; /* not even opened */
    _cleanup_(read_file_close) int fd = open_beneath(folder, name, false);
    return fd >= 0 && fd_equals(fd, bytes);
}

/* 1: it is that file; 0: another; -ENOENT: none. */
static int is_that(int folder, const char *name, const struct spool_identity *identity,
                   const struct buf *bytes)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    struct spool_identity there = spool_identity_of(&st);
    return S_ISREG(st.st_mode) && spool_identity_same(&there, identity) &&
           spool_file_equals(folder, name, bytes);
}

/* The name under which a file is on its way: "ID.NAME", cut at the end of the stem when too long. */
static void name_on_way(const char *name, const char *id, char ret[SPOOL_NAME_SIZE])
{
    char with_id[SPOOL_NAME_SIZE];
    if (strlen(name) + ULID_LEN + 1 <= NAME_MAX) {
        snprintf(ret, SPOOL_NAME_SIZE, "%s.%s", id, name);
        return;
    }
    spool_name_with_id(name, id, with_id); /* shorter by what may lie beside it, so that it fits */
    size_t stem = strlen(with_id) - ULID_LEN - 1 - strlen(strrchr(with_id, '.'));
    snprintf(ret, SPOOL_NAME_SIZE, "%s.%.*s%s", id, (int)stem, with_id, strrchr(with_id, '.'));
}

/* Without replacing. Some network file systems know no RENAME_NOREPLACE. */
static int move_back(const struct spool_folders *folders, const char *on_way, const char *name)
{
    if (renameat2(folders->taking, on_way, folders->spool, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (linkat(folders->taking, on_way, folders->spool, name, 0) < 0)
        return -errno;
    return unlinkat(folders->taking, on_way, 0) < 0 ? -errno : 0;
}

/* Another has come under that name since: this one gets the id added. */
static void put_back(const struct spool_folders *folders, const char *on_way, const char *name,
                     const char *id)
{
    char other[SPOOL_NAME_SIZE];
    if (move_back(folders, on_way, name) != -EEXIST)
        return;
    spool_name_with_id(name, id, other);
    move_back(folders, on_way, other);
}

int spool_take_away(const struct spool_folders *folders, const char *name, const char *id,
                    const struct spool_identity *identity, const struct buf *bytes)
{
    char on_way[SPOOL_NAME_SIZE];
    name_on_way(name, id, on_way);
    if (is_that(folders->taking, on_way, identity, bytes) > 0) /* a crash came just here */
        return unlinkat(folders->taking, on_way, 0) < 0 ? -errno : 0;
    if (is_that(folders->spool, name, identity, bytes) <= 0)
        return 0;
    /* The name may be given to another file at any moment, so it is moved first and looked at then. */
    if (renameat(folders->spool, name, folders->taking, on_way) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (is_that(folders->taking, on_way, identity, bytes) > 0)
        return unlinkat(folders->taking, on_way, 0) < 0 ? -errno : 0;
    put_back(folders, on_way, name, id);
    return 0;
}

int spool_folders_sync(const struct spool_folders *folders)
{
    return fsync(folders->taking) < 0 || fsync(folders->spool) < 0 ? -errno : 0;
}

static void put_name_back(const struct spool_folders *folders, int folder, const char *name)
{
    char id[ULID_LEN + 1];
    (void)folder;
    if (strlen(name) <= ULID_LEN + 1)
        return;
    snprintf(id, sizeof(id), "%s", name);
    put_back(folders, name, name + ULID_LEN + 1, id);
}

void spool_put_all_back(const struct spool_folders *folders)
{
    each_name(folders->taking, put_name_back, folders);
}
