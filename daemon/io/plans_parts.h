/* What the files of plans_dir share. Nobody else includes it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "io/plan_files.h"
#include "io/plans_dir.h"
#include "model/schedule.h"

#define PLANS_MAX 1000 /* files */

struct settings;

/* By which a change of a file is seen. */
struct plans_signature {
    uint64_t dev, inode, size;
    int64_t mtime_ns, ctime_ns;
};

bool plans_signature_same(const struct plans_signature *a, const struct plans_signature *b);

/* A file as it was read. */
struct plans_version {
    struct plans_signature signature;
    char *error;             /* messages, when it is not good */
    struct plan *plan;       /* NULL when it is not */
    struct plan_files files; /* likewise */
};

void plans_version_done(struct plans_version *version);

/* Reads and judges a plan; `now_ms` is what `date` shows. 0, also when it is not good; or -ENOMEM. In a
 * worker. */
int plans_read(const char *path, const struct settings *settings, int64_t now_ms, struct plans_version *ret);

/* The same with bytes that were read before (copied). */
int plans_read_kept(const struct plan_files *kept, const struct settings *settings, int64_t now_ms,
                    struct plans_version *ret);

/* ---- a scan, in a worker ---- */

struct plans_seen {
    char *file;                       /* its name */
    struct plans_signature signature; /* known before the scan, or found by it */
    bool known, there, changed;
    struct plans_version version; /* when it has changed */
};

struct plans_scan {
    const char *directory;
    const struct settings *settings;
    int64_t now_ms;
    struct plans_seen *seen; /* the known ones first */
    size_t n, size;
    bool unstable; /* a file was written a moment ago: look again soon */
    bool too_many;
    int error;                     /* why the folder could not be read, or 0; nothing has changed then */
    struct plans_signature folder; /* of the folder, dev and inode alone */
};

/* Adds a file; NULL when out of memory. The name is copied. */
struct plans_seen *plans_scan_add(struct plans_scan *scan, const char *file);
void plans_scan_run(struct plans_scan *scan);
void plans_scan_done(struct plans_scan *scan);

/* What is needed of the settings; settings_free. NULL when out of memory. */
struct settings *plans_settings_copy(const struct settings *settings);

/* ---- plans as the loop knows them ---- */

enum plans_firing {
    FIRING_NOT,
    FIRING_WANTED,  /* to be read */
    FIRING_READING, /* in a worker */
    FIRING_ASKED    /* ops->start has not answered yet */
};

/* One file. */
struct plans_entry {
    char *file, *path;
    struct plans_signature signature;
    char *error; /* why it is not used as it is now, or NULL */
    char *clash; /* why its plan is not used: another file has that name; or NULL */
    /* the last good version; name NULL: there was none */
    struct arena *arena; /* of the following, but for kept */
    const char *name, *server, *calendar;
    struct schedule schedule;
    struct plan_files kept;
    /* its next due time */
    bool look;            /* the calendar is to be asked */
    uint64_t look_ms;     /* monotonic, not before */
    bool calendar_failed; /* and that was said */
    struct schedule_step step;
    enum plans_firing firing;
    uint64_t fire_ms;    /* monotonic, not before */
    int64_t fire_due_ms; /* 0: by hand */
    const void *asked;   /* what ops->start owes, or NULL */
    plans_on_done *on_hand;
    void *hand_data;
};

/* The last due time that was decided, for each plan that ever had one. */
struct plans_known {
    struct plans_known *next;
    int64_t decided_ms;
    char name[];
};

struct plans_job;

struct plans_dir {
    uv_loop_t *loop;
    const struct plans_ops *ops;
    void *user;
    char *directory;
    struct settings *settings, *next_settings; /* those to come when no job is under way */
    uv_timer_t timer;
    uv_fs_event_t hints;
    bool hints_on;
    struct plans_signature folder; /* that hints are for */
    struct plans_entry **entries;  /* by file name */
    size_t n_entries;
    struct plans_known *known;
    struct plans_job *job; /* under way, or NULL */
    uint64_t scan_ms;      /* monotonic: next scan */
    bool scanned;          /* the first scan is over */
    int folder_error;      /* as said last */
    bool too_many;         /* likewise */
    int64_t clock_ms;      /* wall over monotonic time, as seen last */
    size_t answers;        /* that ops owe */
    bool closing;
    unsigned handles; /* not closed yet */
    void (*on_closed)(void *data);
    void *closed_data;
};

/* plans_entry.c */
struct plans_entry *plans_find(const struct plans_dir *dir, const char *name);
int plans_decide(struct plans_dir *dir, const char *name, int64_t decided_ms);
int64_t plans_decided(const struct plans_dir *dir, const char *name);
/* Takes over what a scan has found. 0 or -ENOMEM: then the rest comes with the next scan. */
int plans_apply(struct plans_dir *dir, struct plans_scan *scan);
void plans_entries_free(struct plans_dir *dir);
void plans_leave_out(struct plans_dir *dir, const char *name, int64_t due_ms);

/* plans_fire.c: carrying out */
void plans_fire_read(struct plans_dir *dir, struct plans_entry *entry, struct plans_version *version,
                     int64_t accepted_ms);
void plans_hand_end(struct plans_entry *entry, int error);
/* Another file has its plan's name: who wants it by hand hears so, if it has not been read yet. */
void plans_fire_clash(struct plans_entry *entry);

/* plans_dir.c */
void plans_turn(struct plans_dir *dir);
void plans_maybe_closed(struct plans_dir *dir);
