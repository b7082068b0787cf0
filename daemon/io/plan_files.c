#include "io/plan_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/plan_yaml.h"
#include "io/sha256.h"
#include "model/settings.h"

#define CHUNK_BYTES (64 * 1024)
#define ITEMS_DEFAULT 200000
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) /* a FIFO must not hold us up */

_Static_assert(PLAN_FILES_HASH_LEN == 2 * SHA256_LEN, "the hash is a SHA-256 in hex");

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* ---- one file ---- */

static int read_bytes(int fd, struct buf *ret)
{
    char chunk[CHUNK_BYTES];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        int r = buf_add(ret, chunk, (size_t)n);
        if (r < 0)
            return r == -ENOBUFS ? -EFBIG : r;
    }
}

/* A regular file that fits: else -EINVAL, -EISDIR or -EFBIG before memory is taken. */
static int read_regular(int fd, struct buf *ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if ((uint64_t)st.st_size > ret->max)
        return -EFBIG;
    return read_bytes(fd, ret);
}

static int say_failed(const struct plan_files *files, int error, struct buf *ret_error)
{
    text_escape(ret_error, files->path);
    if (error == -EFBIG)
        buf_printf(ret_error, ": the plan is larger than %zu bytes; split it, or raise limits.plan_bytes",
                   files->plan_bytes);
    else if (error == -EINVAL || error == -EISDIR)
        buf_add_str(ret_error, ": the plan is not a regular file; name a file");
    else if (error == -ENOENT)
        buf_add_str(ret_error, ": there is no such plan; look at the path");
    else
        buf_printf(ret_error, ": the plan cannot be read: %s; look at the path and its permissions",
                   strerror(-error));
    return error;
}

int plan_files_load(const char *path, size_t plan_bytes, struct plan_files *ret, struct buf *ret_error)
{
    *ret = (struct plan_files){.path = strdup(path), .bytes = BUF_INIT(plan_bytes), .plan_bytes = plan_bytes};
    if (!ret->path) {
        buf_add_str(ret_error, "out of memory; free some and try again");
        return -ENOMEM;
    }
    _cleanup_(close_fd) int fd = open(path, OPEN_FLAGS);
    int r = fd < 0 ? -errno : read_regular(fd, &ret->bytes);
    return r < 0 ? say_failed(ret, r, ret_error) : 0;
}

/* ---- CSV files ---- */

/* The folder of the plan. */
static int open_folder(const char *plan_path)
{
    const char *slash = strrchr(plan_path, '/');
    if (!slash)
        return open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_free_ char *folder = strndup(plan_path, (size_t)(slash - plan_path) + 1);
    if (!folder) {
        errno = ENOMEM;
        return -1;
    }
    return open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* For systems without openat2: step by step, no links at all. */
static int open_stepwise(int folder, const char *path)
{
    _cleanup_(close_fd) int at = dup(folder);
    _cleanup_free_ char *copy = strdup(path);
    if (at < 0 || !copy)
        return -1;
    char *rest = NULL, *step = strtok_r(copy, "/", &rest);
    while (step && strcmp(step, "..") != 0) {
        char *next = strtok_r(NULL, "/", &rest);
        int fd = openat(at, step, (next ? O_PATH | O_DIRECTORY | O_CLOEXEC : OPEN_FLAGS) | O_NOFOLLOW);
        if (fd < 0 || !next)
            return fd;
        close(at);
        at = fd;
        step = next;
    }
    errno = EXDEV;
    return -1;
}

static int open_beneath(int folder, const char *path)
{
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, folder, path, &how, sizeof(how));
    return fd < 0 && errno == ENOSYS ? open_stepwise(folder, path) : (int)fd;
}

static int read_beneath(const struct plan_files *files, const char *path, struct buf *ret)
{
    _cleanup_(close_fd) int folder = open_folder(files->path);
    if (folder < 0)
        return -errno;
    _cleanup_(close_fd) int fd = open_beneath(folder, path);
    return fd < 0 ? -errno : read_regular(fd, ret);
}

static const struct plan_csv_file *find(const struct plan_files *files, const char *path)
{
    for (size_t i = 0; i < files->n_csv; i++)
        if (strcmp(files->csv[i].path, path) == 0)
            return &files->csv[i];
    return NULL;
}

/* Takes the bytes over. */
static int keep(struct plan_files *files, const char *path, struct buf *bytes)
{
    struct plan_csv_file *csv = reallocarray(files->csv, files->n_csv + 1, sizeof(*csv));
    if (!csv)
        return -ENOMEM;
    files->csv = csv;
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    csv[files->n_csv++] = (struct plan_csv_file){.path = copy, .bytes = *bytes};
    *bytes = (struct buf){.max = bytes->max};
    return 0;
}

int plan_files_read_csv(const char *path, struct buf *ret, void *data)
{
    struct plan_files *files = data;
    if (!find(files, path)) {
        _cleanup_(buf_done) struct buf bytes = BUF_INIT(files->plan_bytes);
        int r = read_beneath(files, path, &bytes);
        if (r == 0)
            r = keep(files, path, &bytes);
        if (r < 0)
            return r;
    }
    const struct plan_csv_file *csv = find(files, path);
    if (!csv)
        return -ENOENT;
    int r = buf_add(ret, buf_str(&csv->bytes), csv->bytes.len);
    return r == -ENOBUFS ? -EFBIG : r;
}

/* ---- the whole ---- */

static int by_path(const void *a, const void *b)
{
    const struct plan_csv_file *left = a, *right = b;
    return strcmp(left->path, right->path);
}

/* With its length, so that no two sets of files look alike. */
static void add_bytes(struct sha256 *sha, const struct buf *bytes)
{
    unsigned char len[8];
    for (size_t i = 0; i < sizeof(len); i++)
        len[i] = (unsigned char)((uint64_t)bytes->len >> 8 * i);
    sha256_add(sha, len, sizeof(len));
    sha256_add(sha, buf_str(bytes), bytes->len);
}

void plan_files_hash(struct plan_files *files)
{
    struct sha256 sha;
    sha256_init(&sha);
    add_bytes(&sha, &files->bytes);
    if (files->n_csv)
        qsort(files->csv, files->n_csv, sizeof(*files->csv), by_path);
    for (size_t i = 0; i < files->n_csv; i++) {
        sha256_add(&sha, files->csv[i].path, strlen(files->csv[i].path) + 1);
        add_bytes(&sha, &files->csv[i].bytes);
    }
    sha256_hex(&sha, files->hash);
}

static const char **server_names(const struct settings *settings)
{
    const char **names = calloc(settings->n_servers + 1, sizeof(*names));
    for (size_t i = 0; names && i < settings->n_servers; i++)
        names[i] = settings->servers[i].name;
    return names;
}

int plan_files_decode(struct plan_files *files, const struct settings *settings, bool scheduled,
                      int64_t accepted_ms, struct plan **ret, struct diag *diag)
{
    _cleanup_free_ const char **servers = settings ? server_names(settings) : NULL;
    if (settings && !servers)
        return -ENOMEM;
    struct plan_yaml_options options = {.file = files->path,
                                        .plan_bytes = files->plan_bytes,
                                        .plan_items = settings ? settings->plan_items : ITEMS_DEFAULT,
                                        .accepted_ms = accepted_ms,
                                        .scheduled = scheduled,
                                        .servers = servers,
                                        .read_csv = plan_files_read_csv,
                                        .data = files};
    struct bytes text = {.data = buf_str(&files->bytes), .len = files->bytes.len};
    return plan_yaml_decode(text, &options, ret, diag);
}

void plan_files_done(struct plan_files *files)
{
    for (size_t i = 0; i < files->n_csv; i++) {
        free(files->csv[i].path);
        buf_done(&files->csv[i].bytes);
    }
    free(files->csv);
    free(files->path);
    buf_done(&files->bytes);
    *files = (struct plan_files){0};
}
