/* Reading dropped files and judging them, a batch at a time. What is not valid is
 * rejected here at once; what is valid goes back to the loop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "base/ulid.h"
#include "io/file_owner.h"
#include "io/loop.h"
#include "io/open_beneath.h"
#include "io/read_file.h"
#include "io/spool_parts.h"
#include "model/plan.h"
#include "model/settings.h"

struct spool_taken *spool_taken_free(struct spool_taken *taken)
{
    if (taken == NULL)
        return NULL;
    plan_files_done(&taken->files);
    free(taken->file);
    free(taken->plan);
    free(taken->server);
    free(taken);
    return NULL;
}

/* What one batch needs. */
struct reader {
    const struct spool_folders *folders;
    const struct settings *rules;
    struct rng *rng;
    struct spool_ids *ids;
    struct spool_batch rejected;
    size_t bytes; /* read so far */
};

/* Keeps an outcome with its text. */
static void judge(struct spool_take *take, enum spool_outcome outcome, const char *text)
{
    take->outcome = outcome;
    free(take->text);
    take->text = strdup(text);
}

static void fail(struct spool_take *take, int error)
{
    judge(take, SPOOL_FAILED, strerror(-error));
    take->error = error;
}

/* ---- reading ---- */

/* Why a file of that kind must not be read, or NULL. */
static const char *kind_problem(const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return "it is a symbolic link, which is never followed; put the plan itself here";
    if (S_ISDIR(st->st_mode))
        return "it is a folder; put the plans in it here, one by one";
    if (!S_ISREG(st->st_mode))
        return "it is no regular file and is never read; put a plan file here";
    if (st->st_nlink > 1)
        return "it has several names (hard links), so that others may change it; put a copy here";
    return NULL;
}

/* Errors that say nothing about the file: it is tried again. */
static bool is_passing(int error)
{
    return error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -EHOSTDOWN;
}

static void judge_error(struct spool_take *take, int error)
{
    if (is_passing(error)) {
        fail(take, error);
        return;
    }
    switch (-error) {
    case ENOENT:
        take->outcome = SPOOL_GONE;
        break;
    case EAGAIN: /* openat2 and a rename at the same time */
        take->outcome = SPOOL_BUSY;
        break;
    case EACCES:
    case EPERM:
        judge(take, SPOOL_UNTOUCHED,
              "it cannot be read: permission is denied; make it readable for the daemon (chmod g+r)");
        break;
    case ELOOP:
        judge(take, SPOOL_UNTOUCHED,
              "it is a symbolic link, which is never followed; put the plan itself here");
        break;
    case EFBIG:
        judge(take, SPOOL_UNTOUCHED,
              "it is larger than limits.plan_bytes of the settings allow; split it, or raise the limit");
        break;
    default: /* of this file alone: the others need not wait */
        judge(take, SPOOL_UNTOUCHED, strerror(-error));
        break;
    }
}

static bool look(struct spool_take *take, const struct stat *st)
{
    take->identity = spool_identity_of(st);
    take->ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
    const char *problem = kind_problem(st);
    if (problem != NULL)
        judge(take, SPOOL_UNTOUCHED, problem);
    return problem == NULL;
}

/* The bytes of a file that stays the same while it is read. */
static bool read_whole(const struct reader *reader, struct spool_take *take, struct buf *ret,
                       struct stat *ret_st)
{
    struct stat st;
    if (fstatat(reader->folders->spool, take->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        judge_error(take, -errno);
        return false;
    }
    if (!look(take, &st)) /* such a thing is not even opened */
        return false;
    _cleanup_(read_file_close) int fd = open_beneath(reader->folders->spool, take->name, false);
    int r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0 && !look(take, &st))
        return false;
    if (r == 0)
        r = read_file(fd, ret);
    if (r == 0)
        r = file_owner_stat(fd, ret_st);
    if (r < 0) {
        judge_error(take, r);
        return false;
    }
    struct spool_identity after = spool_identity_of(ret_st);
    if (spool_identity_same(&after, &take->identity) && (size_t)after.size == ret->len)
        return true;
    take->outcome = SPOOL_BUSY;
    return false;
}

/* ---- CSV files ---- */

struct csv_place {
    int folder;
    uid_t owner;
    int passing; /* an error that says nothing about the plan */
};

/* A CSV file beneath the spool must be the plan owner's or root's. */
static int open_csv(const char *path, void *data)
{
    struct csv_place *place = data;
    struct stat st;
    int fd = open_beneath(place->folder, path, false);
    if (fd < 0)
        return fd;
    int r = file_owner_stat(fd, &st);
    if (r == 0)
        r = !S_ISREG(st.st_mode)                          ? -ENOTSUP
            : st.st_uid != 0 && st.st_uid != place->owner ? -EPERM
            : st.st_nlink > 1                             ? -EMLINK
                                                          : 0;
    if (r < 0)
        close(fd);
    if (is_passing(r))
        place->passing = r;
    return r < 0 ? r : fd;
}

/* ---- judging ---- */

static struct spool_taken *make_taken(struct spool_take *take, struct plan_files *files,
                                      const struct plan *plan, uid_t owner, int64_t accepted_ms)
{
    struct spool_taken *taken = calloc(1, sizeof(*taken));
    if (taken == NULL)
        return NULL;
    plan_files_hash(files);
    *taken = (struct spool_taken){.file = strdup(take->name),
                                  .identity = take->identity,
                                  .owner = owner,
                                  .files = *files,
                                  .plan = strdup(plan->name),
                                  .server = strdup(plan->server),
                                  .n_items = plan->n_clones,
                                  .accepted_ms = accepted_ms};
    *files = (struct plan_files){0};
    taken->files.open_csv = NULL;
    taken->files.sealed = true;
    if (taken->file == NULL || taken->plan == NULL || taken->server == NULL || taken->files.hash[0] == '\0')
        return spool_taken_free(taken);
    return taken;
}

static size_t bytes_of(const struct plan_files *files)
{
    size_t n = files->bytes.len;
    for (size_t i = 0; i < files->n_csv; i++)
        n += files->csv[i].bytes.len;
    return n;
}

/* Decodes and judges what was read. */
static void judge_plan(struct reader *reader, struct spool_take *take, struct plan_files *files,
                       const struct stat *st)
{
    int64_t now = loop_now().wall_ms;
    struct csv_place place = {reader->folders->spool, st->st_uid, 0};
    struct diag diag = DIAG_INIT;
    struct plan *plan = NULL;
    files->open_csv = open_csv;
    files->open_csv_data = &place;
    int r = plan_files_decode(files, reader->rules, false, now, &plan, &diag);
    reader->bytes += bytes_of(files);
    if (r == 0 && spool_allowed(reader->rules, reader->ids, st->st_uid, st->st_gid, plan, &diag)) {
        take->taken = make_taken(take, files, plan, st->st_uid, now);
        take->outcome = SPOOL_VALID;
        if (take->taken == NULL)
            fail(take, -ENOMEM);
    } else if (place.passing < 0 || r == -ENOMEM) {
        fail(take, place.passing < 0 ? place.passing : r);
    } else if (diag.count > 0) {
        ulid_make(take->id, now, reader->rng);
        take->bytes = files->bytes;
        files->bytes = BUF_INIT(0);
        spool_reject(&reader->rejected, take, &diag);
    } else {
        fail(take, -EINVAL);
    }
    plan_free(plan);
    diag_done(&diag);
}

static void take_one(struct reader *reader, struct spool_take *take)
{
    struct stat st;
    struct plan_files files = {.path = strdup(take->name),
                               .bytes = BUF_INIT(reader->rules->plan_bytes),
                               .plan_bytes = reader->rules->plan_bytes};
    if (files.path == NULL)
        fail(take, -ENOMEM);
    else if (read_whole(reader, take, &files.bytes, &st))
        judge_plan(reader, take, &files, &st);
    plan_files_done(&files);
    if (take->outcome == SPOOL_UNTOUCHED && take->text != NULL)
        spool_note_write(reader->folders, take->name, take->text);
}

/* The copies are there for good before an original goes. */
static void finish_rejected(const struct reader *reader, struct spool_take *take)
{
    int r = spool_batch_error(&reader->rejected, take->copy);
    if (r == 0)
        r = spool_batch_error(&reader->rejected, take->errors);
    if (r == 0)
        r = spool_take_away(reader->folders, take->name, take->id, &take->identity, &take->bytes);
    if (r < 0)
        fail(take, r);
    buf_done(&take->bytes);
}

void spool_take_work(struct spool_takes *takes, const struct spool_folders *folders,
                     const struct settings *rules, struct rng *rng)
{
    struct reader reader = {.folders = folders, .rules = rules, .rng = rng, .ids = spool_ids_new(rules)};
    int r = spool_batch_init(&reader.rejected, folders->rejected);
    for (size_t i = 0; i < takes->n && r == 0 && reader.ids != NULL && reader.bytes < SPOOL_TAKE_BYTES; i++)
        take_one(&reader, &takes->all[i]);
    if (r == 0)
        spool_batch_write(&reader.rejected);
    for (size_t i = 0; i < takes->n; i++)
        if (takes->all[i].outcome == SPOOL_REJECTED)
            finish_rejected(&reader, &takes->all[i]);
    spool_batch_done(&reader.rejected);
    spool_ids_free(reader.ids);
}

void spool_takes_done(struct spool_takes *takes)
{
    for (size_t i = 0; i < takes->n; i++) {
        struct spool_take *take = &takes->all[i];
        free(take->name);
        free(take->text);
        buf_done(&take->bytes);
        spool_taken_free(take->taken);
    }
    takes->n = 0;
}
