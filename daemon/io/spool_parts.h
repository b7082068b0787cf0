/* What the files of the spool share: its own state, on the loop thread, and the jobs
 * that it gives to a worker thread, one at a time. While a job is under way the
 * folders and rules are its; it logs nothing. Private to the spool. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/rng.h"
#include "base/table.h"
#include "io/plan_files.h"
#include "io/spool.h"
#include "io/spool_entries.h"
#include "io/spool_folder.h"
#include "io/spool_watch.h"

struct diag;
struct plan;
struct settings;

#define SPOOL_TAKE_MAX 128                 /* files in one batch */
#define SPOOL_TAKE_BYTES (8 * 1024 * 1024) /* read in one batch, but for the last file */

/* ---- scan ---- */

struct spool_found {
    char *name;
    struct spool_identity identity;
    int64_t ctime_ns;
    bool regular;
};

struct spool_scan {
    struct spool_found *found; /* oldest first */
    size_t n, size;
    bool cut;  /* there were more than may be known at a time */
    int error; /* -ESTALE: the folder is no longer the one that was opened; or why it cannot be read */
};

void spool_scan_work(struct spool_scan *scan, const char *directory, const struct spool_folders *folders);
void spool_scan_done(struct spool_scan *scan);

/* ---- take ---- */

/* A valid plan on its way into the store and accepted/. */
struct spool_taken {
    struct spool_taken *next;
    char *file; /* its name in the spool */
    struct spool_identity identity;
    uid_t owner;
    struct plan_files files;
    char *plan, *server;
    size_t n_items;
    int64_t accepted_ms;
    char run_id[ULID_LEN + 1];   /* once accepted */
    bool plain;                  /* its own name is free in accepted/, as far as the loop knows */
    char filed[SPOOL_NAME_SIZE]; /* its name there */
    int error;                   /* of accepting or filing */
    struct spool *spool;
    struct spool_drop drop; /* of it, while it is being accepted */
};

struct spool_taken *spool_taken_free(struct spool_taken *taken); /* takes NULL; returns NULL */

enum spool_outcome {
    SPOOL_LATER,     /* the batch was full; not looked at */
    SPOOL_GONE,      /* not there any more */
    SPOOL_BUSY,      /* changed while it was read */
    SPOOL_UNTOUCHED, /* must not or cannot be read; `text` says why */
    SPOOL_REJECTED,  /* not valid; `text` is where the errors are */
    SPOOL_FAILED,    /* could not be read or rejected now; `text` says why */
    SPOOL_VALID,
};

struct spool_take {
    char *name;
    enum spool_outcome outcome;
    int error;  /* FAILED */
    char *text; /* NULL when memory is out */
    struct spool_identity identity;
    int64_t ctime_ns;
    struct spool_taken *taken; /* VALID */
    /* of a plan that is not valid, until the batch is written */
    struct buf bytes;
    size_t copy, errors;
    char id[ULID_LEN + 1];
};

struct spool_takes {
    struct spool_take all[SPOOL_TAKE_MAX];
    size_t n;
};

void spool_take_work(struct spool_takes *takes, const struct spool_folders *folders,
                     const struct settings *rules, struct rng *rng);
void spool_takes_done(struct spool_takes *takes);

/* ---- spool.allow ---- */

/* Those of the settings that matter here: names of servers, limits, rules. NULL: out of memory. Freed by
 * settings_free. */
struct settings *spool_rules_copy(const struct settings *settings);

struct spool_ids; /* the users and groups of the rules as numbers */

struct spool_ids *spool_ids_new(const struct settings *rules); /* NULL: out of memory */
struct spool_ids *spool_ids_free(struct spool_ids *ids);       /* takes NULL; returns NULL */

/* May this owner have this plan carried out? If not, says why. */
bool spool_allowed(const struct settings *rules, const struct spool_ids *ids, uid_t owner, gid_t group,
                   const struct plan *plan, struct diag *diag);

/* ---- rejected/ ---- */

/* Adds plan and errors to the batch of rejected/; `take->id` has been set. */
void spool_reject(struct spool_batch *batch, struct spool_take *take, const struct diag *diag);

/* Writes, or takes back, the note about a name that was left untouched. */
void spool_note_write(const struct spool_folders *folders, const char *name, const char *text);
void spool_note_remove(const struct spool_folders *folders, const char *name);

/* ---- file ---- */

/* Gives each its copy in accepted/, takes the originals away; sets `filed` or `error` of each. At most
 * SPOOL_BATCH_MAX. */
void spool_file_work(struct spool_taken *const *all, size_t n, const struct spool_folders *folders);

/* ---- the spool itself ---- */

#define SPOOL_QUIET_MS 2000      /* unchanged for so long: complete */
#define SPOOL_LOOK_MS 1000       /* between scans while something is to be seen twice */
#define SPOOL_SCAN_MS 60000      /* between scans otherwise */
#define SPOOL_BLIND_SCAN_MS 5000 /* the same without inotify */
#define SPOOL_RETRY_MS 2000      /* after something failed */

/* What it is waiting for. */
enum spool_phase {
    SPOOL_IDLE,
    SPOOL_SCANNING,  /* the worker */
    SPOOL_READING,   /* the worker */
    SPOOL_ACCEPTING, /* ops.accept, for all of the batch */
    SPOOL_FILING,    /* the worker */
    SPOOL_STORING,   /* ops.file, for all of the batch */
};

struct spool {
    uv_loop_t *loop;
    const struct spool_ops *ops;
    void *user;
    char *directory;
    struct settings *rules, *next_rules;
    struct rng rng;
    struct spool_folders folders; /* closed while the spool is away */
    struct spool_watch *watch;
    uv_timer_t timer;
    struct spool_entries entries;
    struct table claims; /* names in accepted/ of open runs; keys are ours */
    enum spool_phase phase;
    uv_work_t work;
    struct spool_scan scan;
    struct spool_takes takes;
    struct spool_taken *unfiled, *last_unfiled; /* accepted, not stored as filed */
    struct spool_taken *batch[SPOOL_BATCH_MAX]; /* of the phase */
    size_t n_batch, unanswered;
    uint64_t scan_ms, retry_ms; /* not before (monotonic) */
    bool lost;                  /* the folder is to be opened anew */
    int told;                   /* the error last logged; 0: all was well since */
    bool started, ready, closing;
    void (*on_closed)(void *data);
    void *closed_data;
};

/* Does what is due, if it is idle. */
void spool_next(struct spool *spool);

/* Gives the worker a job; `done` follows on the loop thread. */
void spool_give(struct spool *spool, enum spool_phase phase, uv_work_cb work, uv_after_work_cb done);

/* Something failed: nothing is tried for a while; logged unless it was the last time as well. */
void spool_trouble(struct spool *spool, const char *name, int error, const char *text);

void spool_on_hint(enum spool_hint hint, const char *name, void *data);
void spool_merge_scan(struct spool *spool);

void spool_begin_take(struct spool *spool);
void spool_begin_file(struct spool *spool);
void spool_add_unfiled(struct spool *spool, struct spool_taken *taken);

/* Claims a name in accepted/: 0; -EEXIST when an open run has it; -ENOMEM. */
int spool_claim(struct spool *spool, const char *name);
void spool_unclaim(struct spool *spool, const char *name);
