/* An item: our wish for one clone, and the machine of its life. A flat value,
 * copied by assignment; strings live in the run's arena. What to do next is
 * computed from the state (item_wish), never remembered beside it, so that
 * recovery is just loading.
 *
 *            accepted
 *               |
 *               v
 *   +------> QUEUED ----------------- cancelled, skipped --> CANCELLED SKIPPED
 *   |           | due, slot free, session open
 *   |           v  stored BEFORE the request leaves
 *   +----- SUBMITTING --------------- refused -------------> FAILED
 *   | unsent  |     | lost, 5xx, garbled, restart
 *   | busy    |     v
 *   | auth    |  IN_DOUBT ----------- job with our mark ---> SUCCEEDED
 *   +---------|--- absent  ---------- cannot be settled ---> UNKNOWN
 *   |         v     ^
 *   |      RUNNING -+ session lost, restart, task unknown
 *   +--------- | -------------------- task finished -------> SUCCEEDED FAILED
 *
 * A retry by the operator brings FAILED and CANCELLED back to QUEUED; UNKNOWN,
 * and FAILED for a task that took too long, only to IN_DOUBT: a clone may exist.
 * It waits in QUEUED (for its due moment or a slot), SUBMITTING (for the
 * answer), RUNNING (for its task) and IN_DOUBT (for a look at the server). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "model/form.h"
#include "model/kind.h"

enum item_state {
    ITEM_QUEUED,
    ITEM_SUBMITTING,
    ITEM_IN_DOUBT,
    ITEM_RUNNING,
    /* final */
    ITEM_SUCCEEDED,
    ITEM_SKIPPED,
    ITEM_FAILED,
    ITEM_CANCELLED,
    ITEM_UNKNOWN,
    ITEM_STATE_COUNT
};

/* Documented error codes of results (docs/errors.md). */
enum item_error {
    ITEM_OK,
    ITEM_E_SOURCE_NOT_FOUND,
    ITEM_E_SOURCE_AMBIGUOUS,
    ITEM_E_SOURCE_NOT_CLONABLE,
    ITEM_E_REPOSITORY_NOT_FOUND,
    ITEM_E_REPOSITORY_AMBIGUOUS,
    ITEM_E_REPOSITORY_ELSEWHERE,
    ITEM_E_BACKUP_SERVER_NOT_FOUND,
    ITEM_E_KIND_MISMATCH,
    ITEM_E_FIELD,
    ITEM_E_NAME_CONFLICT,
    ITEM_E_NAME_IN_DOUBT,
    ITEM_E_ACCESS_DENIED,
    ITEM_E_REFUSED,
    ITEM_E_TASK_FAILED,
    ITEM_E_TASK_TIMEOUT,
    ITEM_E_RUN_TIMEOUT,
    ITEM_E_ATTEMPTS,
    ITEM_E_STOPPED,
    ITEM_E_CANCELLED,
    ITEM_E_UNSETTLED,
    ITEM_E_LOOKUP,
    ITEM_ERROR_COUNT
};

struct item {
    /* durable */
    uint32_t index; /* from 0 over the whole plan */
    enum item_state state;
    enum job_kind kind;
    enum item_error error;
    int http;           /* status that came with the error, or 0 */
    unsigned attempts;  /* clone requests that may have reached the server */
    bool recovered;     /* outcome found by asking */
    bool verified;      /* the closing look found the job under id, name and mark */
    bool never_again;   /* its task ran out of time: looked up, never sent again */
    const char *name;   /* as made or to be made (a rename changes it) */
    const char *folder; /* FolderName, JobFileName or VmSuffix, by kind */
    const char *source_id, *source_name;
    const char *repository_uid;
    const char *server_id, *server_name; /* backup server */
    const char *session_id, *task_id;    /* a task is known by both together */
    const char *job_uid;                 /* urn:veeam:Job:GUID of the clone, or of the job that was there */
    const char *message;                 /* of the error, for people */
    int64_t started_ms, finished_ms;     /* wall time, 0: not yet */
    /* of this process only, monotonic milliseconds */
    uint64_t since_ms; /* when it entered its state */
    uint64_t due_ms;   /* QUEUED: not before */
    unsigned forms;    /* a bit for each clone_form in which its request was refused */
};

const char *item_state_name(enum item_state state);  /* the machine's own words */
const char *item_result_name(enum item_state state); /* the words of results: in doubt is "running" */
const char *item_error_name(enum item_error error);  /* "task_failed"; "" for ITEM_OK */
bool item_state_final(enum item_state state);

enum item_wish { ITEM_WISH_NONE, ITEM_WISH_SUBMIT, ITEM_WISH_WATCH, ITEM_WISH_RESOLVE };
enum item_wish item_wish(enum item_state state);

enum item_event_kind {
    ITEM_EVENT_SUBMIT,      /* it got a slot: its request may leave once this is stored */
    ITEM_EVENT_ACCEPTED,    /* 202 with a task */
    ITEM_EVENT_UNSENT,      /* no byte of the request left */
    ITEM_EVENT_AUTH,        /* 401: not carried out */
    ITEM_EVENT_BUSY,        /* 429: not carried out */
    ITEM_EVENT_REFUSED,     /* other 4xx, 501: final */
    ITEM_EVENT_FORM,        /* 400: nothing was made, and the request can be written in another form */
    ITEM_EVENT_LOST,        /* outcome unknown */
    ITEM_EVENT_TASK_OK,     /* its task finished well */
    ITEM_EVENT_TASK_FAILED, /* its task finished badly: no clone was made */
    ITEM_EVENT_TASK_GONE,   /* session lost, daemon restarted, or the server does not know the task */
    ITEM_EVENT_TASK_LATE,   /* timeouts.task is over */
    ITEM_EVENT_FOUND,       /* a job with our mark is there */
    ITEM_EVENT_ABSENT,      /* proven: no job with our mark, and none can come */
    ITEM_EVENT_UNSETTLED,   /* cannot be settled */
    ITEM_EVENT_FAIL,        /* before anything was sent: error and message given */
    ITEM_EVENT_SKIP,        /* the name is there already and the plan says skip */
    ITEM_EVENT_CANCEL,      /* nothing more is to be sent: error says why */
    ITEM_EVENT_VERIFIED,    /* the closing look found the job */
    ITEM_EVENT_RETRY,       /* the operator reopens its run */
};

struct item_event {
    enum item_event_kind kind;
    enum item_error error;            /* REFUSED, FORM, FAIL, CANCEL, UNSETTLED */
    int http;                         /* REFUSED, FORM, LOST: status or 0 */
    uint64_t wait_ms;                 /* BUSY: Retry-After, or 0 */
    enum clone_form form;             /* FORM: the one that was refused */
    const char *session_id, *task_id; /* ACCEPTED */
    const char *job_uid;              /* TASK_OK, FOUND, SKIP; may be NULL for TASK_OK */
    const char *message;              /* in the run's arena, or NULL */
    bool no_more;                     /* ABSENT, TASK_FAILED, FORM: the run sends nothing more (cancelled) */
};

struct retry_policy {
    unsigned attempts;           /* tries in all */
    uint64_t initial_ms, max_ms; /* wait after the first try, and at most */
};

struct rng;

/* The wait before try number `attempts + 1`: initial doubled for every earlier
 * try, at most max, and of that a random share between a half and the whole. */
uint64_t retry_wait(const struct retry_policy *policy, unsigned attempts, struct rng *rng);

/* The next value of an item. Pure. An event that does not fit the state
 * (a late answer, a second cancel) changes nothing: *ret_changed tells. */
struct item item_step(const struct item *item, const struct item_event *event,
                      const struct retry_policy *policy, struct instant now, struct rng *rng,
                      bool *ret_changed);

/* Writes the mark "[jobclone:RUN/INDEX]" (wire reference 8.4; contract 3). */
#define ITEM_MARK_MAX 64
void item_mark(char ret[ITEM_MARK_MAX], const char *run_id, uint32_t index);

/* True when the description ends in the mark, alone or after a blank. */
bool item_mark_matches(const char *description, const char *run_id, uint32_t index);

/* The mark at the end of a description taken apart: true with the run's id
 * (26 characters and NUL) and index, or false when there is none. */
bool item_mark_parse(const char *description, char ret_run[27], uint32_t *ret_index);
