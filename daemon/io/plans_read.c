/* Reading the folder and its plans; runs in worker threads and touches nothing but its arguments. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "io/plans_parts.h"
#include "model/plan.h"
#include "model/settings.h"

#define ERROR_BYTES (64 * 1024)
#define SETTLED_NS INT64_C(1000000000) /* not written for so long: it is whole, as far as can be told */

bool plans_signature_same(const struct plans_signature *a, const struct plans_signature *b)
{
    return a->dev == b->dev && a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct plans_signature signature_of(const struct stat *st)
{
    return (struct plans_signature){.dev = st->st_dev,
                                    .inode = st->st_ino,
                                    .size = (uint64_t)st->st_size,
                                    .mtime_ns = ns_of(st->st_mtim),
                                    .ctime_ns = ns_of(st->st_ctim)};
}

/* ---- one plan ---- */

void plans_version_done(struct plans_version *version)
{
    free(version->error);
    plan_free(version->plan);
    plan_files_done(&version->files);
    *version = (struct plans_version){0};
}

static int version_refuse(struct plans_version *version, struct buf *text)
{
    plan_free(version->plan);
    version->plan = NULL;
    plan_files_done(&version->files);
    version->error = buf_take(text);
    return version->error ? 0 : -ENOMEM;
}

static int version_decode(struct plans_version *version, const struct settings *settings, int64_t now_ms)
{
    _cleanup_(diag_done) struct diag diag = DIAG_INIT;
    int r = plan_files_decode(&version->files, settings, true, now_ms, &version->plan, &diag);
    if (r == -EINVAL)
        return version_refuse(version, &diag.text);
    if (r == 0)
        plan_files_hash(&version->files);
    return r;
}

int plans_read(const char *path, const struct settings *settings, int64_t now_ms, struct plans_version *ret)
{
    _cleanup_(buf_done) struct buf error = BUF_INIT(ERROR_BYTES);
    struct stat st;
    *ret = (struct plans_version){0};
    if (stat(path, &st) == 0)
        ret->signature = signature_of(&st);
    int r = plan_files_load(path, settings->plan_bytes, &ret->files, &error);
    if (r == -ENOMEM)
        return r;
    return r < 0 ? version_refuse(ret, &error) : version_decode(ret, settings, now_ms);
}

static int copy_bytes(struct buf *to, const struct buf *from)
{
    *to = BUF_INIT(from->max);
    return buf_add(to, buf_str(from), from->len);
}

int plans_read_kept(const struct plan_files *kept, const struct settings *settings, int64_t now_ms,
                    struct plans_version *ret)
{
    *ret = (struct plans_version){
        .files = {
            .path = strdup(kept->path), .plan_bytes = kept->plan_bytes, .sealed = true, .checked = true}};
    int r = ret->files.path ? copy_bytes(&ret->files.bytes, &kept->bytes) : -ENOMEM;
    for (size_t i = 0; i < kept->n_csv && r == 0; i++) {
        _cleanup_(buf_done) struct buf bytes = {0};
        r = copy_bytes(&bytes, &kept->csv[i].bytes);
        if (r == 0)
            r = plan_files_keep_csv(&ret->files, kept->csv[i].path, &bytes);
    }
    return r < 0 ? -ENOMEM : version_decode(ret, settings, now_ms);
}

/* ---- the folder ---- */

struct plans_seen *plans_scan_add(struct plans_scan *scan, const char *file)
{
    if (scan->n == scan->size) {
        size_t size = scan->size ? scan->size * 2 : 16;
        struct plans_seen *all = reallocarray(scan->seen, size, sizeof(*all));
        if (!all)
            return NULL;
        scan->seen = all;
        scan->size = size;
    }
    char *copy = strdup(file);
    if (!copy)
        return NULL;
    struct plans_seen *seen = &scan->seen[scan->n++];
    *seen = (struct plans_seen){.file = copy};
    return seen;
}

void plans_scan_done(struct plans_scan *scan)
{
    for (size_t i = 0; i < scan->n; i++) {
        free(scan->seen[i].file);
        plans_version_done(&scan->seen[i].version);
    }
    free(scan->seen);
    *scan = (struct plans_scan){0};
}

static int is_plan(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static struct plans_seen *scan_find(struct plans_scan *scan, const char *file)
{
    for (size_t i = 0; i < scan->n; i++)
        if (strcmp(scan->seen[i].file, file) == 0)
            return &scan->seen[i];
    return plans_scan_add(scan, file);
}

static int scan_file(struct plans_scan *scan, const char *file)
{
    char path[8192];
    struct stat st;
    struct plans_signature signature = {0};
    if (snprintf(path, sizeof(path), "%s/%s", scan->directory, file) >= (int)sizeof(path))
        return 0;
    struct plans_seen *seen = scan_find(scan, file);
    if (!seen)
        return -ENOMEM;
    seen->there = true;
    if (stat(path, &st) == 0) {
        signature = signature_of(&st);
        int64_t age_ns = scan->now_ms * 1000000 - signature.mtime_ns;
        if (llabs(age_ns) < SETTLED_NS) { /* further ahead: the clock was set back */
            scan->unstable = true;
            seen->there = seen->known; /* a new one is not there yet */
            return 0;
        }
    }
    if (seen->known && plans_signature_same(&seen->signature, &signature))
        return 0;
    seen->changed = true;
    return plans_read(path, scan->settings, scan->now_ms, &seen->version);
}

void plans_scan_run(struct plans_scan *scan)
{
    struct dirent **entries = NULL;
    struct stat st;
    int n = scandir(scan->directory, &entries, is_plan, alphasort);
    scan->error = n < 0 ? -errno : 0;
    if (stat(scan->directory, &st) == 0)
        scan->folder = (struct plans_signature){.dev = st.st_dev, .inode = st.st_ino};
    scan->too_many = n > PLANS_MAX;
    for (int i = 0; i < n; i++) {
        if (scan->error == 0 && i < PLANS_MAX)
            scan->error = scan_file(scan, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

/* ---- settings ---- */

struct settings *plans_settings_copy(const struct settings *settings)
{
    struct settings *copy = calloc(1, sizeof(*copy));
    if (!copy)
        return NULL;
    copy->plan_bytes = settings->plan_bytes;
    copy->plan_items = settings->plan_items;
    copy->servers = calloc(settings->n_servers ? settings->n_servers : 1, sizeof(*copy->servers));
    bool ok = copy->servers != NULL;
    for (size_t i = 0; i < settings->n_servers && ok; i++) {
        copy->servers[i].name = strdup(settings->servers[i].name);
        copy->n_servers++;
        ok = copy->servers[i].name != NULL;
    }
    if (!ok) {
        settings_free(copy);
        return NULL;
    }
    return copy;
}
