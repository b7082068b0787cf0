/* Scheduled plans of a folder (plans.d; product contract 3 and 4). inotify is a hint, the scan is
 * the truth: at the start, every minute, and soon after anything has changed. A file that is good
 * replaces its plan at once; one that is not leaves the last good version of it running, and says
 * so. What is due is handed to `ops`.
 *
 * Files are read and calendars asked in the loop's thread pool, one at a time. At its due time a plan is read
 * anew, so that its CSV files are those of now; if they are not good then, the last good version is carried
 * out, with theirs. A plan is known by its name, not by its file's: its due times go on when the file is
 * renamed. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "model/schedule.h"

struct plan;
struct plan_files;
struct plans_dir;
struct settings;

/* A due time that has come, or a run that was asked for by hand. Borrowed until the call returns; plan and
 * files may be taken out by leaving NULL, and zeroes (plan_files_done). */
struct plans_due {
    const char *name;         /* of the plan */
    int64_t due_ms;           /* wall time; 0: by hand */
    int64_t accepted_ms;      /* with which `date` was expanded: the due time, or the moment of the wish */
    struct plan *plan;        /* decoded and good */
    struct plan_files *files; /* with their hash */
};

/* Answers once, on the loop thread, now or later: 0 when it is durable; -EEXIST when that due time was seen
 * before; another negative errno: it is tried again some seconds later (not what was asked for by hand). */
typedef void plans_on_done(int error, void *data);

/* What the service does; `user` is that of plans_dir_new. Called on the loop thread. */
struct plans_ops {
    /* Runs of a plan that are open and came from here. One at a time is carried out: with `overlap: queue`
     * `start` may be called while there is one, and its run waits until that one has ended. */
    size_t (*open_runs)(const char *plan, void *user);
    /* Becomes a run. */
    void (*start)(struct plans_due *due, plans_on_done *on_done, void *data, void *user);
    /* A due time that is left out is stored, so that it does not come again. */
    void (*leave_out)(const char *plan, int64_t due_ms, plans_on_done *on_done, void *data, void *user);
    /* The first scan is over. May be NULL. */
    void (*ready)(void *user);
};

/* `directory` and what is needed of the settings (limits, names of servers) are copied. 0 or -ENOMEM. */
int plans_dir_new(uv_loop_t *loop, const char *directory, const struct settings *settings,
                  const struct plans_ops *ops, void *user, struct plans_dir **ret);

/* The last due time of a plan that was decided, as stored; before plans_dir_start, for each. 0 or -ENOMEM. */
int plans_dir_know(struct plans_dir *dir, const char *plan, int64_t decided_ms);

/* Begins to watch. */
void plans_dir_start(struct plans_dir *dir);

/* Other limits or servers (a reload): all plans are read anew. 0 or -ENOMEM. */
int plans_dir_set_settings(struct plans_dir *dir, const struct settings *settings);

/* The clock was set: looks at everything anew. (Within a minute it notices by itself.) */
void plans_dir_clock_set(struct plans_dir *dir);

/* Carries out a plan once, now, as ops->start with due_ms 0; on_done is that of start, or gets -EINVAL when
 * it is not good, -EBUSY when it may not run beside one that is open, or -ENOTUNIQ when another file has got
 * its name meanwhile. 0; -ENOENT when there is no such
 * plan; -EALREADY while another wish for it is under way. */
int plans_dir_run(struct plans_dir *dir, const char *plan, plans_on_done *on_done, void *data);

/* For people; borrowed until the loop turns. */
struct plans_info {
    const char *name;     /* of the plan, or NULL when the file was never good */
    const char *file;     /* path */
    const char *server;   /* or NULL when it was never good */
    const char *calendar; /* its expressions, or NULL when it has no schedule */
    const char *error;    /* why the file as it is now is not used: lines of messages; or NULL */
    int64_t next_ms;      /* when it is carried out next; 0: not known, or never */
};

size_t plans_dir_count(const struct plans_dir *dir);
struct plans_info plans_dir_info(const struct plans_dir *dir, size_t index);

/* Nothing is started any more; on_closed is called when all handles are closed and the memory is freed. */
void plans_dir_close(struct plans_dir *dir, void (*on_closed)(void *data), void *data);
