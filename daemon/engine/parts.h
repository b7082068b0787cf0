/* What the files of this room share: the engine's inside. Nobody else includes it. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/heap.h"
#include "base/rng.h"
#include "base/table.h"
#include "codec/api.h"
#include "engine/engine.h"
#include "engine/fault.h"
#include "engine/http.h"
#include "engine/names.h"
#include "model/crowd.h"
#include "model/item.h"
#include "model/limit.h"
#include "model/plan.h"
#include "model/progress.h"
#include "model/session.h"
#include "model/settings.h"

#define CLOSING_SWEEPS_MAX 5
#define RENAMES_FIRST 5
#define SHORT_TASK_MS 1000 /* tasks that take less are short */
#define NO_SLOT UINT32_MAX
#define ANSWER_MAX ((size_t)1 << 20) /* design note 13 */
#define LIST_MAX ((size_t)256 << 20)
#define SEEN_MAX ((size_t)15 << 20) /* what may be kept of one answer */
#define READERS_KEPT 8
#define PAGES_MAX 20000 /* of one list; 2 million jobs where the server gives 100 a page */
#define PAGE_SIZE 500
#define LIST_FAILURES_MIN 3 /* in a row, of a list that is not answered, before it is given up */
#define COLLECTIONS_KEPT 40 /* as many as half of `settle` may see, see COLLECT_GAP_MS */

struct server;
struct run;

/* ---- items ---- */

struct slot {
    struct item item; /* as installed */
    uint32_t pending; /* 1 + place in the batch that is being made or written; 0: none */
    uint32_t source;  /* index into run->sources, NO_SLOT: not bound */
    uint32_t prev, next;
    bool asked;      /* a single look at its task, or at that of an earlier try, is under way */
    bool unsent;     /* SUBMITTING: could not be sent */
    bool waits;      /* QUEUED: in run->waiting */
    uint32_t round;  /* RUNNING: of single looks, in which its task was asked for last */
    const char *met; /* a job of its name and mark, seen before its task's end was known: uid, or NULL */
};

/* A list of slots of one run, in order of arrival. */
struct slots {
    uint32_t first, last;
    size_t n;
};

/* Which slot has a name, or a folder or file. */
struct taken {
    struct place {
        uint32_t slot; /* 1 + it; 0: free */
        uint32_t hash;
    } * entries; /* open addressing, power of two */
    size_t size, n;
    bool folders; /* repository_uid and folder, letter case of ASCII ignored; else server_id and name */
};

/* ---- exchanges: one request in flight ---- */

struct seen_task {
    const char *id, *message, *job_id;
    enum api_task_state state;
    bool clone, has_result, success;
};

struct seen_entity {
    const char *id, *name, *server_id, *server_name, *job_type, *description;
    enum api_entity_kind kind;
    bool can_clone;
};

struct exchange {
    struct http_request request;
    struct exchange *prev, *next; /* of the server, or of the inbox once it has ended */
    struct server *server;
    struct run *run; /* SUBMIT, TASK, NAMES, SOURCE */
    uint32_t number; /* slot, source, page, backup server or number of the list, by kind */
    enum exchange_kind kind;
    uint64_t started_ms;
    uint64_t serial;         /* session it belongs to */
    unsigned load;           /* requests that were in flight when it was answered, with itself */
    struct listing *listing; /* NAMES: the run's list that the page is of */
    unsigned reading;        /* and of which reading of it */
    const struct api_format *format;
    enum clone_form form; /* SUBMIT */
    struct buf path, body;
    /* the answer */
    struct api_reader *reader; /* while its body arrives */
    struct api_doc doc;
    int read_error;
    struct arena *arena;
    struct seen_task *tasks;
    size_t n_tasks, size_tasks;
    size_t n_taken; /* TASKS: of them, so far */
    size_t n_ended; /* TASKS: of them, ends of our own */
    struct seen_entity *entities;
    size_t n_entities, size_entities;
    size_t n_seen; /* tasks or entities that were there, kept or not */
    enum http_outcome outcome;
    int status;
    int64_t retry_after_ms;
    char *token, *text;
    char *sent_token;    /* the server's may be replaced meanwhile */
    const char *task_id; /* LOOK: the orphan; TASK, TIDY */
    const char *mark;    /* LOOK of the first clone of a kind (`number`) */
};

/* ---- runs ---- */

/* A distinct source of a run. */
struct source {
    const char *id, *name;
    uint32_t server; /* index into server->backup_servers */
    enum job_kind kind;
    enum { SOURCE_UNREAD, SOURCE_READING, SOURCE_READ, SOURCE_BAD } state;
    enum item_error error;
    int http;
    const char *message; /* SOURCE_BAD */
    struct slots ready;  /* QUEUED items that are due */
    unsigned busy;       /* SUBMITTING, RUNNING, IN_DOUBT */
};

/* What the operator asks for, until it is decided. */
enum run_command {
    COMMAND_NONE,
    COMMAND_PAUSE,
    COMMAND_RESUME,
    COMMAND_CANCEL,
    COMMAND_CANCEL_TASKS,
    COMMAND_RETRY,
    COMMAND_END
};

enum run_phase {
    PHASE_JOBS,
    PHASE_RENAMES,
    PHASE_REPOSITORIES,
    PHASE_SOURCES,
    PHASE_CLONING,
    PHASE_CLOSING,
    PHASE_ENDED
};

struct run {
    struct run *next;
    struct engine *engine;
    struct server *server;
    char id[27];
    struct plan *plan;
    struct retry_policy policy;
    enum engine_run_mode mode;
    enum run_phase phase;
    enum run_state state, stored_state;
    enum run_wish wish, stored_wish;
    enum run_command command;
    bool row_changed, row_batched; /* its own row is to be written; is in the batch */
    bool ending, end_stored;       /* its end is to be stored; is stored */
    bool announce;                 /* on_run is owed */
    bool gone;                     /* freed when nothing refers to it any more */
    struct {
        struct window_state state;
        bool been_open;
        uint64_t look_ms; /* looked at again */
        int64_t clock_ms; /* wall time over monotonic time, as seen last */
    } hours;
    bool resumed;
    bool resolve_again; /* names are to be read anew before anything more is sent */
    int64_t started_ms; /* wall time: it began, or began anew by a retry; stored */
    uint64_t over_ms;   /* timeouts.run is over then, or INSTANT_NEVER */
    struct slot *slots;
    size_t n;
    size_t count[ITEM_STATE_COUNT];          /* as decided */
    struct slots in_state[ITEM_STATE_COUNT]; /* as installed; QUEUED ones in their source's list instead */
    struct heap due;
    struct slots waiting; /* QUEUED: another run's item holds the name */
    unsigned released;    /* as the server's, when those were looked at last */
    size_t wait_left;     /* of them, still to be looked at */
    uint64_t wait_ms;     /* not again before */
    struct source *sources;
    size_t n_sources;
    struct table source_ids; /* to sources */
    unsigned unsent;         /* SUBMITTING items that could not be sent */
    uint32_t turn;           /* source that is asked first for a slot */
    unsigned failures;
    size_t unverified;       /* SUCCEEDED, as decided, and not seen in the job list */
    enum item_error no_more; /* why nothing more is sent; ITEM_OK: go on */
    uint32_t given_up;       /* the slot that is looked at next, then */
    /* resolving */
    struct want *jobs, *repositories;
    size_t n_jobs, n_repositories;
    struct table job_names, job_ids, repository_names, repository_ids; /* to wants */
    struct table names;    /* wanted names: to 1 + hit, 0 while nobody has it */
    struct table numbered; /* names of clones that end as those of a rename do; when they are known */
    bool numbered_known;
    struct hit *hits;
    size_t n_hits, size_hits;
    struct kept *kept;
    size_t n_kept, size_kept;
    struct taken taken_names, taken_folders;     /* of bound items */
    const char **near_jobs, **near_repositories; /* names that look like missing ones */
    size_t n_near_jobs, n_near_repositories;
    unsigned renames;  /* numbered names up to it are asked for; more when all of them have holders */
    uint32_t bound;    /* slots below it have been bound since then */
    unsigned bindings; /* as the server's, then */
    uint64_t read_ms;  /* when the names began to be read; 0: they have not */
    struct listing job_list, repository_list;
    unsigned asking; /* requests under way */
    uint64_t ask_ms; /* not before: after a failure */
    unsigned ask_failures;
    uint64_t useless_ms; /* since when nothing that can be used is answered, or nothing at all; 0: not so */
    uint64_t failed_ms;  /* when that was seen last */
    unsigned useless;    /* and how often since then */
    /* closing */
    unsigned closing_sweeps;
    uint64_t closing_ms; /* no sweep before */
};

/* ---- servers ---- */

struct backup_server {
    const char *id, *name;
    unsigned unfinished; /* tasks: SUBMITTING and RUNNING items */
    struct crowd crowd;  /* how many there may be */
    struct progress progress;
    /* doubt */
    uint64_t shown_ms;    /* the job list last showed a clone in doubt */
    uint64_t accepted_ms; /* when the last collection that was accepted was asked for, 0: never */
    uint64_t accepted[COLLECTIONS_KEPT]; /* and those before it, round and round */
    unsigned n_accepted;
    unsigned failures, refusals; /* collections not accepted in a row; of them such that will not change */
    bool asking;
    uint64_t ask_due_ms;
};

/* Jobs found by mark in a sweep, per item. */
struct found {
    const char *mark, *job_id; /* of the right name if there is one */
    unsigned exact, other;
};

#define SWEEP_AGAIN_MAX 16

enum sweep_kind {
    SWEEP_AHEAD,  /* the pages that are new since the list was read last, to meet what is about to end */
    SWEEP_VERIFY, /* until all that has succeeded is seen */
    SWEEP_FIND,   /* all pages */
    SWEEP_PROVE   /* so well that absence may be concluded */
};

struct sweep {
    bool active;
    unsigned asking; /* pages under way, also those of a sweep that was given up */
    uint64_t started_ms, due_ms;
    unsigned pages;     /* of this pass, as far as is known; 0: not even the first is read */
    unsigned known;     /* as many there were when the list was read last; 0: not known */
    bool several;       /* more than one has been told of, at any time */
    bool linked;        /* how many there are has been learned by following them upwards */
    unsigned fresh;     /* of them, the first one that was not read, or not full: new jobs are there */
    unsigned page_size; /* jobs on each but the last; 0: not known */
    bool counted;       /* the last page has told how many there are */
    unsigned first;     /* page that is asked for alone, to tell how many there are; 0: none */
    unsigned down;      /* page to ask for next, towards the first; 0: none */
    unsigned up;        /* the last page that has been asked for, or was known to be */
    unsigned again[SWEEP_AGAIN_MAX]; /* pages that were not answered, to be asked for once more */
    unsigned n_again, faults;        /* faults: how often that was so */
    unsigned read;                   /* pages */
    uint64_t again_ms;               /* not before */
    unsigned pass;
    bool marked; /* it has shown a job with a mark: this server keeps them */
    enum sweep_kind kind;
    struct arena *arena;
    struct found *found;
    size_t n_found, size_found;
    struct table marks;     /* to found */
    struct table strangers; /* names of items in doubt that a job without their mark has */
    unsigned finds;         /* looks since the last news, for their spacing */
    size_t goal, verified;  /* so many clones are to be verified, nothing else is wanted; 0: all is read */
    size_t barren;          /* pages in a row that showed none of them */
    size_t seen;            /* jobs */
    size_t jobs;            /* as many the last one had to read */
    size_t before, missed;  /* clones to verify when it began; of those, how many the last one did not show */
    unsigned failures;      /* sweeps in a row that were answered with what cannot be used, or not at all */
    uint64_t useless_ms;    /* when the first of them began */
    uint64_t retry_ms;      /* after such a one: none before */
    uint64_t ahead_ms;      /* when the last one began that looked ahead */
};

struct server {
    struct server *next;
    struct engine *engine;
    const struct server_settings *settings;
    struct http *http;
    const struct api_format *format;
    struct form_memory form; /* of immediate copies */
    struct session session;
    char *token, *session_id;
    struct arena *arena;    /* ids and names of its backup servers */
    struct arena *task_ids; /* of the present session */
    struct exchange *exchanges;
    struct exchange *spare; /* for the next requests */
    unsigned n_spare;
    struct api_reader *readers[READERS_KEPT]; /* of its format, for the next answers */
    unsigned n_readers;
    unsigned in_flight; /* exchanges that have been sent */
    struct run *last;   /* that was asked last whether it has a clone to send, or NULL */
    unsigned submits;   /* clone requests: decided, being stored, held, sent */
    unsigned sent;      /* of them, those in flight */
    struct held {
        struct run *run;
        uint32_t slot;
    } * held; /* stored, to be sent as soon as there is room */
    size_t n_held, size_held;
    unsigned others;   /* exchanges in flight that are none */
    bool named;        /* of clone requests and questions for names the last one was a question */
    bool swept;        /* of clone requests and pages of a sweep the last one was a page */
    bool hungry;       /* more clone requests would have been sent if there had been room */
    unsigned bindings; /* counts items that got their name */
    unsigned released; /* counts items that hold their name no longer, or in another way */
    struct limit limit;
    uint64_t last_sent_ms;
    uint64_t busy_until_ms; /* Retry-After of 429 or 503 */
    uint64_t rest_told_ms;  /* the log has told of it: not again before */
    /* trouble */
    uint64_t unreachable_ms, probe_ms;
    uint64_t failed_ms;  /* the last failure that counted */
    bool probing;        /* a sign of life is awaited */
    uint64_t back_ms;    /* end of the last outage, or rest, that was worth the name; may be to come */
    unsigned long_rests; /* such ones, since doubt arose or the list of jobs was not answered */
    unsigned probes;
    enum server_trouble trouble;
    char *message;
    bool logged_off;
    bool unwanted; /* to be removed: its session is given back at once */
    bool absent;   /* stands for one that is gone; it is of one run and in no list, so it is never asked */
    /* tasks of this session */
    struct table tasks; /* id to place in task_owners */
    struct task_owner {
        const char *id;
        enum {
            TASK_OWNED,
            TASK_TIDY, /* finished: may be deleted */
            TASK_DONE,
            TASK_STOP, /* unfinished: to be deleted by the operator's wish */
            TASK_STOPPED,
            TASK_ORPHAN,
            TASK_LOOKING
        } state;
        struct run *run;
        uint32_t slot;
        uint32_t listed; /* number of the last list that had it */
        unsigned stops;  /* deletions of it that have failed */
    } * task_owners;
    size_t n_task_owners, size_task_owners;
    struct heap tidy;       /* places in task_owners of tasks to delete */
    unsigned tidying;       /* deletions under way */
    bool rolling;           /* nothing is sent until the session can be changed for a new one */
    size_t accepted;        /* clone requests since the last list */
    size_t per_poll;        /* so many between two lists, smoothed */
    bool polling, unlisted; /* unlisted: GET /tasks is not served at present */
    bool list_refused;      /* and in a way that will not change */
    uint64_t unlisted_until_ms;
    unsigned poll_failures;
    uint64_t poll_ms;      /* when it was polled last */
    uint64_t polled_ms;    /* when the last list came */
    uint32_t lists;        /* that have been asked for */
    uint64_t listed_ms;    /* start of the last whole list, 0: none in this session */
    size_t orphans;        /* unfinished clone tasks without owner in it */
    size_t orphans_listed; /* as far as the list that is being taken has shown them */
    size_t n_listed;       /* how many tasks it had */
    size_t taking;         /* tasks of the list that has come and are still to be taken */
    uint64_t task_ms;      /* how long tasks take, smoothed; 0: not known */
    uint64_t least_ms;     /* and at least */
    unsigned singles, looks;
    uint32_t rounds; /* of single looks at all tasks that need one */
    /* doubt */
    struct backup_server *backup_servers;
    size_t n_backup_servers;
    struct table backup_server_ids;
    size_t in_doubt;
    unsigned naming; /* queries by name under way */
    struct sweep sweep;
    uint64_t doubt_ms; /* when doubt is to be looked at again */
    bool mark_lost[JOB_KIND_COUNT], read_back[JOB_KIND_COUNT];
    struct held to_read[JOB_KIND_COUNT]; /* clones whose marks are to be read back */
};

/* ---- the engine ---- */

enum page_state { PAGE_UNASKED, PAGE_ASKED, PAGE_READ };

struct pending {
    struct run *run;
    uint32_t slot;
    struct item next;
};

struct engine {
    struct engine_config config;
    struct rng rng;
    struct instant now;
    struct server *servers;
    struct run *runs;
    struct exchange *inbox_first, *inbox_last;
    struct pending *batch;
    size_t n_batch, size_batch;
    struct store_change *changes;
    size_t size_changes;
    size_t n_rows; /* runs in the batch */
    bool writing, written;
    int write_error;
    uint64_t failing_ms, retry_ms;
    int failing_error;
    bool stopping, closing;
    bool leaving; /* closing: sessions with unfinished tasks are left open */
};

/* engine.c */
void engine_emit(struct engine *engine, struct run *run, uint32_t slot, const struct item_event *event);
/* What was decided or seen cannot be kept, and without it something might be done wrong: says so and
 * ends the process. A restart recovers from what is stored. */
_Noreturn void engine_out_of_memory(void);
void engine_wake(struct engine *engine);
/* An answer waits for the next turn, which takes the exchange over. */
void engine_answered(struct engine *engine, struct exchange *exchange);
const struct item *slot_decided(const struct engine *engine, const struct slot *slot);

/* slots.c */
void slots_add(struct run *run, struct slots *list, uint32_t slot);
void slots_remove(struct run *run, struct slots *list, uint32_t slot);
void slot_enlist(struct run *run, uint32_t slot, uint64_t now_ms);
void slot_delist(struct run *run, uint32_t slot);

/* taken.c */
bool taken_has(const struct taken *taken, const struct slot *slots, const char *scope, const char *text);
int taken_add(struct taken *taken, const struct slot *slots, uint32_t slot);
void taken_done(struct taken *taken);

/* exchange.c */
struct exchange *exchange_new(struct server *server, enum exchange_kind kind, enum http_method method);
/* In another format than the server's. */
struct exchange *exchange_new_as(struct server *server, enum exchange_kind kind, enum http_method method,
                                 const struct api_format *format);
int exchange_start(struct exchange *exchange);
struct exchange *exchange_free(struct exchange *exchange);
void exchange_free_spare(struct server *server);
enum fault exchange_fault(const struct exchange *exchange);
const struct fault_decision *exchange_decision(const struct exchange *exchange);
/* A sentence for people about a failed exchange; in the arena. */
const char *exchange_text(const struct exchange *exchange, struct arena *arena);

/* server.c */
/* Nothing is asked of it before: it is away, or has said when to come again. Monotonic. */
uint64_t server_gate(const struct server *server);
bool server_ready(const struct server *server);
/* May one more request be in flight? */
bool server_room(const struct server *server);
/* How many pages of one list may be asked for at once. */
unsigned server_pages(const struct server *server);
/* False when there is more in it than one turn takes: to be called again in the next. */
bool server_reply(struct exchange *exchange);
void server_act(struct server *server);
uint64_t server_due(const struct server *server);
bool server_has_work(const struct server *server);
/* Items that wait for their answer or task, or are in doubt. */
bool server_has_tasks(const struct server *server);
/* Is no item there in flight or running, neither as decided nor as stored? */
bool server_rests(const struct server *server);
bool server_wants_logoff(const struct server *server); /* while closing */
void server_open(struct server *server, char *token, char *session_id);
void server_forget_token(struct server *server);
uint32_t server_backup_server(struct server *server, const char *id, const char *name);
struct server *server_free(struct server *server);
/* Stands for a server that is not there, for one run, which frees it. NULL when out of memory. */
struct server *server_absent(struct engine *engine, const char *name);
struct server *engine_find_server(const struct engine *engine, const char *name);

/* command.c: what the operator asks for */
void command_decide(struct run *run);
void command_drop_gone(struct engine *engine);
/* Is anything of it under way: an answer, a commit? */
bool run_referred(const struct run *run);
/* Frees it; it is in no list, and nothing refers to it. What it stands for in its server's counters goes too.
 */
void run_drop(struct run *run);
void command_announce(struct engine *engine);

/* run.c */
/* Has the item succeeded, and not been seen in the job list? */
bool run_unverified(const struct item *item);
/* What results call the job of that id, in the plan's arena; NULL when out of memory. */
const char *run_job_uid(struct run *run, const char *job_id);
void run_decide(struct run *run);
/* Its time begins now, or went on from that moment, wall time, which is stored (0: none is). */
void run_begin_time(struct run *run, int64_t started_ms);
void run_end_early(struct run *run, enum item_error why);
bool run_under_way(const struct run *run);
uint64_t run_due(const struct run *run);
struct run *run_free(struct run *run);
uint32_t run_source(struct run *run, const struct candidate *job);
void run_end(struct run *run);
struct run *engine_find_run(const struct engine *engine, const char *id);

/* hours.c: the window */
void hours_look(struct run *run);
bool hours_waits(const struct run *run);
uint64_t hours_due(const struct run *run);

/* submit.c: slots and clone requests */
void submit_decide(struct server *server);
void submit_hold(struct run *run, uint32_t slot);
void submit_flush(struct server *server);
void submit_reply(struct exchange *exchange);

/* watch.c: tasks */
void watch_owner(struct server *server, const char *task_id, struct run *run, uint32_t slot);
void watch_stop_tasks(struct run *run);
void watch_disown(struct run *run);
void watch_task_end(struct server *server, const char *task_id);
void watch_forget(struct server *server);
/* Are there tasks of the session that may be the clone of a lost answer? */
bool watch_has_orphans(const struct server *server);
/* A list with this task arrives: notes that it is there, and tells whether more of it may matter. */
bool watch_lists(struct exchange *exchange, const struct api_task *task);
void watch_act(struct server *server);
/* How many requests in flight a poll needs for itself now; tidy_share and doubt_share likewise. */
unsigned watch_share(const struct server *server);
bool watch_reply(struct exchange *exchange); /* false: there is more in it, for the next turn */
void watch_timeouts(struct run *run);
uint64_t watch_youngest_ms(const struct server *server); /* when the youngest task was accepted; 0: none is */
uint64_t watch_due(const struct server *server);

/* tidy.c: finished tasks */
void tidy_add(struct server *server, const struct task_owner *owner);
void tidy_decide(struct server *server);
size_t tidy_queued(const struct server *server); /* clones that wait for their request */
unsigned tidy_share(const struct server *server);
bool tidy_wanted(const struct server *server);
void tidy_act(struct server *server);
void tidy_reply(struct exchange *exchange);
bool tidy_rolls(const struct server *server); /* the session may be given back now for a new one */

/* doubt.c, look.c, sweep.c */
void doubt_unread(struct server *server, uint64_t at, bool answered);
void doubt_collected(struct exchange *exchange);
void doubt_act(struct server *server);
uint64_t doubt_due(const struct server *server);
unsigned doubt_share(const struct server *server);
void look_reply(struct exchange *exchange);
void look_named(struct exchange *exchange);
void look_success(struct server *server, struct run *run, uint32_t slot);
bool look_by_name(struct server *server);
bool look_wants_back(const struct server *server);
void look_back_act(struct server *server);
void look_forget(struct server *server, const struct run *run);
/* How many clones are to be verified. */
size_t sweep_unverified(const struct server *server);
/* The names were read from so many pages: there new jobs are to be looked for. */
void sweep_expect(struct server *server, unsigned pages);
void sweep_schedule(struct server *server);
void sweep_begin(struct server *server, enum sweep_kind kind);
void sweep_act(struct server *server);
bool sweep_wants(const struct server *server);   /* to ask for a page */
uint64_t sweep_due(const struct server *server); /* when it wants the next one */
void sweep_reply(struct exchange *exchange);
void sweep_done(struct server *server);
void sweep_succeeded(struct run *run, const struct item *item);
/* The uid of the item's job, if it is one that a sweep has met; else NULL. */
const char *sweep_met(const struct run *run, uint32_t slot, const char *job_id);
/* It has succeeded with the job that was met: that is verified. */
void sweep_recall(struct run *run, uint32_t slot);
void sweep_stop(struct server *server);
