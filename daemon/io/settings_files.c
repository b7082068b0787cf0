#include "io/settings_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "codec/settings_yaml.h"
#include "io/read_file.h"
#include "model/settings.h"

#define FILE_BYTES_MAX (2 * 1024 * 1024) /* above the codec's limit, so that it says what is too large */
#define FILES_MAX 1000

struct loaded {
    char *path;
    struct buf text;
};

struct loaded_files {
    struct loaded *files;
    size_t n;
};

static void loaded_files_done(struct loaded_files *loaded)
{
    for (size_t i = 0; i < loaded->n; i++) {
        free(loaded->files[i].path);
        buf_done(&loaded->files[i].text);
    }
    free(loaded->files);
}

/* ---- one file ---- */

static int read_regular(const char *path, struct buf *ret)
{
    /* O_NONBLOCK: a FIFO in this place must not stop the start for ever */
    _cleanup_(read_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd < 0 ? -errno : read_file(fd, ret);
}

static void say_unreadable(const char *path, int error, struct diag *diag)
{
    if (error == -ENOENT)
        diag_add(diag, path, 0, 0, "there is no such file; create it, or name another with --config");
    else if (error == -EACCES)
        diag_add(diag, path, 0, 0, "may not be read by this user; give it read permission");
    else if (error == -EFBIG)
        diag_add(diag, path, 0, 0, "is larger than %d bytes; split it into drop-ins", FILE_BYTES_MAX);
    else
        diag_add(diag, path, 0, 0, "cannot be read: %s; put a regular file in its place", strerror(-error));
}

/* Takes over the path. 0, also when the file cannot be read (then diag says so); -ENOMEM. */
static int load_file(struct loaded_files *loaded, char *path, struct diag *diag)
{
    struct loaded *files = path ? reallocarray(loaded->files, loaded->n + 1, sizeof(*files)) : NULL;
    if (!files) {
        free(path);
        return -ENOMEM;
    }
    loaded->files = files;
    struct loaded *file = &files[loaded->n++];
    *file = (struct loaded){.path = path, .text = BUF_INIT(FILE_BYTES_MAX)};
    int r = read_regular(path, &file->text);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        say_unreadable(path, r, diag);
    return 0;
}

/* ---- drop-ins ---- */

static int is_drop_in(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot && strcmp(dot, ".yaml") == 0;
}

/* By bytes, so that the order does not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static char *join(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static int load_entries(struct loaded_files *loaded, const char *folder, struct dirent **entries, int n,
                        struct diag *diag)
{
    if (n > FILES_MAX) {
        diag_add(diag, folder, 0, 0, "holds more than %d drop-ins; merge some of them", FILES_MAX);
        return 0;
    }
    int r = 0;
    for (int i = 0; i < n && r == 0; i++)
        r = load_file(loaded, join(folder, entries[i]->d_name), diag);
    return r;
}

static int load_drop_ins(struct loaded_files *loaded, const char *main_file, struct diag *diag)
{
    _cleanup_free_ char *folder = NULL;
    if (asprintf(&folder, "%s.d", main_file) < 0) {
        folder = NULL;
        return -ENOMEM;
    }
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, is_drop_in, by_name);
    if (n < 0 && errno == ENOENT)
        return 0;
    if (n < 0 && errno == ENOMEM)
        return -ENOMEM;
    if (n < 0) {
        diag_add(diag, folder, 0, 0, "cannot be listed: %s; make it a folder that this user may read",
                 strerror(errno));
        return 0;
    }
    int r = load_entries(loaded, folder, entries, n, diag);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return r;
}

/* ---- the whole ---- */

static int make_absolute(char **path, const char *here)
{
    if (!*path || **path == '/')
        return 0;
    char *absolute = join(here, *path);
    if (!absolute)
        return -ENOMEM;
    free(*path);
    *path = absolute;
    return 0;
}

/* The main file may be named relative to the working directory; what it names must not stay so. */
static int make_paths_absolute(struct settings *settings)
{
    _cleanup_free_ char *here = getcwd(NULL, 0);
    if (!here)
        return errno == ENOMEM ? -ENOMEM : 0; /* gone: the paths stay as they are and opening them says why */
    for (size_t i = 0; i < settings->n_servers; i++)
        if (make_absolute(&settings->servers[i].ca_file, here) < 0 ||
            make_absolute(&settings->servers[i].password_file, here) < 0)
            return -ENOMEM;
    return 0;
}

static int decode(const struct loaded_files *loaded, struct settings **ret, struct diag *diag)
{
    _cleanup_free_ struct settings_source *sources = calloc(loaded->n, sizeof(*sources));
    if (!sources)
        return -ENOMEM;
    for (size_t i = 0; i < loaded->n; i++)
        sources[i] = (struct settings_source){
            .file = loaded->files[i].path,
            .text = {.data = buf_str(&loaded->files[i].text), .len = loaded->files[i].text.len}};
    struct settings *settings;
    int r = settings_yaml_decode(sources, loaded->n, &settings, diag);
    if (r < 0)
        return r;
    r = make_paths_absolute(settings);
    if (r < 0)
        settings_free(settings);
    else
        *ret = settings;
    return r;
}

int settings_files_load(const char *path, struct settings **ret, struct diag *diag)
{
    _cleanup_(loaded_files_done) struct loaded_files loaded = {0};
    unsigned before = diag->count;
    int r = load_file(&loaded, strdup(path), diag);
    if (r == 0)
        r = load_drop_ins(&loaded, path, diag);
    if (r < 0)
        return r;
    if (diag->count != before)
        return -EINVAL;
    return decode(&loaded, ret, diag);
}
