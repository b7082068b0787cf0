#include "io/plan_files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/plan_yaml.h"
#include "io/calendar.h"
#include "io/open_beneath.h"
#include "io/read_file.h"
#include "io/zones.h"
#include "model/plan.h"
#include "model/settings.h"

#define PLAN_BYTES (16 * 1024 * 1024)
#define PLAN_ITEMS 200000

/* ---- reading ---- */

static const char *problem_of(int r)
{
    if (r == -EFBIG)
        return "it is larger than limits.plan_bytes of the settings allow; split it, or raise the limit";
    if (r == -ENOTSUP || r == -EISDIR)
        return "it is no regular file; name a plan file";
    if (r == -ENOENT)
        return "there is no such file; look at the path";
    if (r == -EACCES)
        return "permission is denied; make it readable for this user";
    return strerror(-r);
}

int plan_files_load(const char *path, size_t plan_bytes, struct plan_files *ret, struct buf *ret_error)
{
    *ret = (struct plan_files){.bytes = BUF_INIT(plan_bytes), .plan_bytes = plan_bytes};
    _cleanup_(read_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int r = fd < 0 ? -errno : read_file(fd, &ret->bytes);
    ret->path = strdup(path);
    if (r == 0 && !ret->path)
        r = -ENOMEM;
    if (r < 0) {
        text_escape(ret_error, path);
        buf_printf(ret_error, ": cannot be read: %s", problem_of(r));
    }
    return r;
}

/* ---- CSV files ---- */

static int open_folder(const char *plan_path)
{
    const char *slash = strrchr(plan_path, '/');
    _cleanup_free_ char *folder = slash ? strndup(plan_path, (size_t)(slash + 1 - plan_path)) : strdup(".");
    if (!folder)
        return -ENOMEM;
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static struct plan_csv_file *find_csv(const struct plan_files *files, const char *path)
{
    for (size_t i = 0; i < files->n_csv; i++)
        if (strcmp(files->csv[i].path, path) == 0)
            return &files->csv[i];
    return NULL;
}

int plan_files_keep_csv(struct plan_files *files, const char *path, struct buf *bytes)
{
    if (find_csv(files, path))
        return -EEXIST;
    struct plan_csv_file *csv = reallocarray(files->csv, files->n_csv + 1, sizeof(*csv));
    if (!csv)
        return -ENOMEM;
    files->csv = csv;
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    csv[files->n_csv++] = (struct plan_csv_file){.path = copy, .bytes = *bytes};
    *bytes = BUF_INIT(files->plan_bytes);
    return 0;
}

static int open_csv(const struct plan_files *files, const char *path)
{
    if (files->open_csv)
        return files->open_csv(path, files->open_csv_data);
    _cleanup_(read_file_close) int folder = open_folder(files->path);
    return folder < 0 ? folder : open_beneath(folder, path, true);
}

static int read_new(struct plan_files *files, const char *path)
{
    _cleanup_(buf_done) struct buf bytes = BUF_INIT(files->plan_bytes);
    _cleanup_(read_file_close) int fd = open_csv(files, path);
    int r = fd < 0 ? fd : read_file(fd, &bytes);
    return r < 0 ? r : plan_files_keep_csv(files, path, &bytes);
}

int plan_files_read_csv(const char *path, struct buf *ret, void *data)
{
    struct plan_files *files = data;
    if (!find_csv(files, path)) {
        int r = files->sealed ? -ENOENT : read_new(files, path);
        if (r < 0)
            return r;
    }
    const struct plan_csv_file *csv = find_csv(files, path);
    if (!csv)
        return -ENOENT;
    int r = buf_add(ret, buf_str(&csv->bytes), csv->bytes.len);
    return r == -ENOBUFS ? -EFBIG : r;
}

/* ---- the digest ---- */

/* Its length first, so that no two sets of files give the same stream. */
static void digest_bytes(EVP_MD_CTX *digest, const char *data, size_t len)
{
    unsigned char length[8];
    for (unsigned i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)len >> (8 * i));
    EVP_DigestUpdate(digest, length, sizeof(length));
    EVP_DigestUpdate(digest, data, len);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct plan_csv_file *)a)->path, ((const struct plan_csv_file *)b)->path);
}

void plan_files_hash(struct plan_files *files)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    files->hash[0] = '\0';
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1) {
        if (files->n_csv)
            qsort(files->csv, files->n_csv, sizeof(*files->csv), by_path);
        digest_bytes(digest, buf_str(&files->bytes), files->bytes.len);
        for (size_t i = 0; i < files->n_csv; i++) {
            digest_bytes(digest, files->csv[i].path, strlen(files->csv[i].path));
            digest_bytes(digest, buf_str(&files->csv[i].bytes), files->csv[i].bytes.len);
        }
        EVP_DigestFinal_ex(digest, sum, &len);
    }
    EVP_MD_CTX_free(digest);
    for (unsigned i = 0; i < len && i < PLAN_FILES_HASH_LEN / 2; i++) {
        files->hash[2 * i] = "0123456789abcdef"[sum[i] >> 4];
        files->hash[2 * i + 1] = "0123456789abcdef"[sum[i] & 15];
        files->hash[2 * i + 2] = '\0';
    }
}

/* ---- decoding ---- */

static int find_zone(const char *name, struct arena *arena, struct zone *ret, const char **ret_near)
{
    int r = zones_find(name, arena, ret);
    if (name && (r == -ENOENT || r == -EINVAL))
        *ret_near = zones_near(name, arena);
    return r;
}

int plan_files_decode(struct plan_files *files, const struct settings *settings, bool scheduled,
                      int64_t accepted_ms, struct plan **ret, struct diag *diag)
{
    struct plan_yaml_options options = {.file = files->path,
                                        .plan_bytes = settings ? settings->plan_bytes : PLAN_BYTES,
                                        .plan_items = settings ? settings->plan_items : PLAN_ITEMS,
                                        .accepted_ms = accepted_ms,
                                        .scheduled = scheduled,
                                        .read_csv = plan_files_read_csv,
                                        .data = files,
                                        .find_zone = find_zone,
                                        .check_calendar = files->checked ? NULL : calendar_check};
    _cleanup_free_ const char **servers = NULL;
    if (settings) {
        servers = calloc(settings->n_servers + 1, sizeof(*servers));
        if (!servers)
            return -ENOMEM;
        for (size_t i = 0; i < settings->n_servers; i++)
            servers[i] = settings->servers[i].name;
        options.servers = servers;
    }
    return plan_yaml_decode((struct bytes){buf_str(&files->bytes), files->bytes.len}, &options, ret, diag);
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
