/* What the control socket tells of runs, servers and schedules, as values. The
 * service fills them, codec/control_json writes them, docs/control-api.md has
 * them for people. All strings are borrowed for the call; times are wall time
 * in milliseconds, 0: not yet. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_ID_LEN 26 /* a run's id: a ULID */

/* Items of a run by the words of results; their sum is `items` once it has been expanded. */
struct control_counts {
    size_t items;
    size_t pending, running, in_doubt; /* in doubt ones are not among the running */
    size_t succeeded, skipped, failed, cancelled, unknown;
};

struct control_run {
    const char *id, *plan, *file, *server;
    const char *origin;  /* "once", "spool", "control" or "schedule" */
    const char *state;   /* run_state_name: queued running paused succeeded failed cancelled */
    const char *phase;   /* what a running one does: "resolving", "cloning", "waiting", "verifying",
                            "cancelling";   or NULL */
    const char *trouble; /* what keeps it from going on, a sentence for people, or NULL */
    int64_t accepted_ms, started_ms, finished_ms;
    struct control_counts counts;
};

struct control_backup_server {
    const char *name;
    unsigned tasks, tasks_limit, tasks_max; /* unfinished ones; limit: as many as it bears at present */
};

struct control_server {
    const char *name, *url;
    const char *state;   /* "fine", "unreachable", "tls", "credentials", "wrong" */
    const char *session; /* "closed", "opening", "open", "refused" */
    const char *message; /* what was seen last when it is not fine, or NULL */
    int64_t unreachable_ms,
        probe_ms;     /* since when it does not answer, when it is tried next; 0: it answers, now */
    int64_t rests_ms; /* nothing is sent before, as it asked; 0: it did not */
    unsigned in_flight, in_flight_limit, in_flight_max; /* limit: as many as it bears at present */
    unsigned tasks, tasks_max; /* unfinished ones of all its backup servers; at most of each */
    const struct control_backup_server *backup_servers; /* those that runs have met */
    size_t n_backup_servers;
};

struct control_status {
    const char *version;
    int64_t started_ms, reloaded_ms;
    const char *state_directory, *spool_directory;
    const char *trouble; /* of the daemon itself (a full disk, a broken reload), or NULL */
    size_t running, queued, paused;
    unsigned runs_max;
    size_t plan_bytes;
    unsigned plan_items;
    const struct control_server *servers;
    size_t n_servers;
};

struct control_schedule {
    const char *name;     /* of the plan */
    const char *file;     /* in plans.d */
    const char *server;   /* or NULL when it was never good */
    const char *calendar; /* its expressions, or NULL */
    const char *error;    /* why the file as it is now is not used, or NULL */
    int64_t next_ms;
    int64_t last_ms;                   /* when its last run was accepted */
    const char *last_run, *last_state; /* or NULL */
};

/* What would become of one item. */
struct control_preview_item {
    uint32_t index;
    const char *action; /* "create", "skip", "conflict" or "error" */
    const char *name;   /* with on_conflict rename: the name it would get */
    const char *kind;   /* or NULL, as all that is not known */
    const char *source, *source_id;
    const char *repository_uid;
    const char *backup_server;
    const char *job_uid; /* skip, conflict: the job that is there */
    const char *code;    /* error, conflict: of docs/errors.md */
    const char *message;
};

struct control_preview {
    const char *plan, *file, *server;
    size_t n_items;
    /* Asked in order, once each; the strings are good until the next call. 0 or a negative errno. */
    int (*item)(size_t index, struct control_preview_item *ret, void *data);
    void *data;
};

/* An item that ended badly, told to watchers as it happens. */
struct control_failure {
    const char *run;
    uint32_t index;
    const char *name, *state; /* "failed" or "unknown" */
    const char *code, *message;
    int http; /* or 0 */
};

/* Finding a run by its id or a part of it: begin with the part, offer every id, judge in the end. */
struct control_find {
    const char *part;                  /* upper case, as control hands it out; borrowed */
    size_t n;                          /* ids that have the part */
    char found[3][CONTROL_ID_LEN + 1]; /* the first of them */
};

/* Offers an id; counts it when it has the part. */
void control_find_offer(struct control_find *find, const char *id);
