/* The end of a run: result and report are written first, then the plan moves to
 * them. The result beside a name says by its run id whose the name is, so that doing it
 * all again after a crash finds what is there already. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "io/open_beneath.h"
#include "io/read_file.h"
#include "io/result_file.h"
#include "io/spool_folder.h"

#define RESULT ".result.json"
#define REPORT ".report.txt"
#define HEAD_BYTES 256 /* of a result: more than its first two keys */

/* One place where the plan may lie. */
struct place {
    int folder;
    const char *folder_name;
    char name[SPOOL_NAME_SIZE], result[SPOOL_NAME_SIZE], report[SPOOL_NAME_SIZE];
};

static struct place place_of(int folder, const char *folder_name, const char *name)
{
    struct place place = {.folder = folder, .folder_name = folder_name};
    snprintf(place.name, sizeof(place.name), "%s", name);
    spool_name_beside(name, RESULT, place.result);
    spool_name_beside(name, REPORT, place.report);
    return place;
}

static bool is_there(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* True when the result that lies there is that of this run. */
static bool is_ours(const struct place *place, const char *run_id)
{
    char head[HEAD_BYTES + 1], wanted[64];
    _cleanup_(read_file_close) int fd = open_beneath(place->folder, place->result, false);
    ssize_t n = fd >= 0 ? read(fd, head, HEAD_BYTES) : -1;
    if (n < 0)
        return false;
    head[n] = '\0';
    snprintf(wanted, sizeof(wanted), "\"run\":\"%s\"", run_id);
    return strstr(head, wanted) != NULL;
}

static bool is_free(const struct place *place)
{
    char sibling[SPOOL_NAME_SIZE];
    spool_name_sibling(place->name, sibling);
    return !is_there(place->folder, place->name) && !is_there(place->folder, sibling) &&
           !is_there(place->folder, place->result) && !is_there(place->folder, place->report);
}

/* Ours from an earlier end; else the plan's own name when it is free; else that with the run id. */
static struct place choose_place(const struct spool_end *end, int folder, const char *folder_name)
{
    char with_id[SPOOL_NAME_SIZE];
    spool_name_with_id(end->file, end->run_id, with_id);
    struct place plain = place_of(folder, folder_name, end->file),
                 other = place_of(folder, folder_name, with_id);
    if (is_ours(&plain, end->run_id))
        return plain;
    return !is_ours(&other, end->run_id) && is_free(&plain) ? plain : other;
}

/* ---- result and report ---- */

struct producing {
    const struct spool_end *end;
    const char *result_path; /* NULL: the result itself */
};

static int produce(int (*write)(const char *data, size_t len, void *sink), void *sink, void *user)
{
    const struct producing *p = user;
    if (p->result_path == NULL)
        return p->end->produce_result(write, sink, p->end->user);
    return p->end->produce_report(write, sink, p->result_path, p->end->user);
}

static int write_texts(const struct spool_end *end, const struct place *place, struct buf *ret_error)
{
    struct buf result = BUF_INIT(16 * 1024), report = BUF_INIT(16 * 1024);
    int r = buf_printf(&result, "%s/%s/%s", end->directory, place->folder_name, place->result);
    if (r == 0)
        r = buf_printf(&report, "%s/%s/%s", end->directory, place->folder_name, place->report);
    if (r < 0)
        buf_printf(ret_error, "spool %s: %s", end->directory, strerror(-r));
    struct producing p = {.end = end};
    if (r == 0)
        r = result_file_write(buf_str(&result), produce, &p, ret_error);
    p.result_path = buf_str(&result);
    if (r == 0)
        r = result_file_write(buf_str(&report), produce, &p, ret_error);
    buf_done(&result);
    buf_done(&report);
    return r;
}

/* ---- the plan ---- */

/* Moves the plan to where its result is; one that a person has removed stays away. */
static int move_plan(const struct spool_folders *folders, const struct spool_end *end,
                     const struct place *place)
{
    if (renameat(folders->spool, end->filed, place->folder, place->name) == 0)
        return 0;
    return errno == ENOENT ? 0 : -errno;
}

/* What an earlier end of this run left under another name or in the other folder. */
static void remove_older(const struct spool_end *end, int folder, const char *folder_name,
                         const struct place *now)
{
    char with_id[SPOOL_NAME_SIZE];
    spool_name_with_id(end->file, end->run_id, with_id);
    const char *const names[] = {end->file, with_id};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct place old = place_of(folder, folder_name, names[i]);
        if ((folder == now->folder && strcmp(old.name, now->name) == 0) || !is_ours(&old, end->run_id))
            continue;
        unlinkat(folder, old.report, 0);
        unlinkat(folder, old.result, 0); /* last: until then it says whose they are */
    }
}

static int sync_all(const struct spool_folders *folders)
{
    const int all[] = {folders->accepted, folders->done, folders->failed};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (fsync(all[i]) < 0)
            return -errno;
    return 0;
}

static int finish(const struct spool_folders *folders, const struct spool_end *end, char **ret_filed,
                  struct buf *ret_error)
{
    struct place place =
        end->well ? choose_place(end, folders->done, "done") : choose_place(end, folders->failed, "failed");
    int r = write_texts(end, &place, ret_error);
    if (r < 0)
        return r;
    r = move_plan(folders, end, &place);
    remove_older(end, folders->done, "done", &place);
    remove_older(end, folders->failed, "failed", &place);
    if (r == 0)
        r = sync_all(folders);
    if (r == 0 && asprintf(ret_filed, "%s/%s", place.folder_name, place.name) < 0)
        r = -ENOMEM;
    if (r < 0)
        buf_printf(ret_error, "spool %s/%s cannot be moved to %s/: %s", end->directory, end->filed,
                   place.folder_name, strerror(-r));
    return r;
}

int spool_finish(const struct spool_end *end, char **ret_filed, struct buf *ret_error)
{
    struct spool_folders folders;
    int r = spool_folders_open(end->directory, false, &folders, ret_error);
    if (r < 0)
        return r;
    *ret_filed = NULL;
    r = finish(&folders, end, ret_filed, ret_error);
    spool_folders_close(&folders);
    return r;
}
