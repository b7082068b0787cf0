/* Names to ids, inside the engine: what a plan asks for, and who has the names that its clones are to get. */
#pragma once

#include "engine/engine.h"
#include "model/plan.h"

struct api_paging;
struct exchange;
struct run;
struct server;

/* Jobs or repositories, as they are read page by page. */
struct listing {
    bool wanted;         /* is to be read, or has been */
    bool read;           /* all of it */
    bool first_asked;    /* for its first page, which tells how many there are */
    bool twice;          /* this is its second reading */
    bool first_again;    /* whose first page is read once more, as its last */
    bool marks;          /* jobs are read whole: their marks tell something */
    unsigned reading;    /* counts the readings, each from the first page */
    unsigned restarts;   /* of them, those because the list changed meanwhile */
    unsigned pages;      /* in all, as the first page tells; 0: not known */
    uint8_t *page_state; /* enum page_state of each, from the first */
    uint64_t began_ms;   /* when this reading began */
};

/* A job that may be what the plan means by a source, or a repository. */
struct candidate {
    const char *id, *name, *server_id, *server_name;
};

/* A name or id that the plan asks for. */
struct want {
    struct plan_ref ref;
    struct candidate *candidates;
    size_t n;
};

/* A job that has a name which the run wants, or an item of another run that holds it. */
struct hit {
    const char *name, *server_id, *job_id, *description;
    uint32_t next;   /* 1 + the next of the same name; 0 ends */
    bool unfinished; /* of a run that is not in the engine */
    struct run *holder;
    const char *late_run; /* of a run that is not in the engine: its item ended with task_timeout */
    uint32_t slot;        /* of the holder, or of late_run */
};

/* A name that an item of a run holds which is not in the engine, or not any more: what becomes a hit in each
 * reading of the names. */
struct kept {
    const char *name, *server_id, *job_id;
    int64_t until_ms; /* wall time; INT64_MAX: no end is in sight */
    bool unfinished;
    bool added; /* in this reading */
    const char *late_run;
    uint32_t slot;
};

/* listing.c */
/* Answers that are still to come are of no use any more. */
void listing_done(struct listing *list);
/* It is to be read, from the first page. */
void listing_read(struct listing *list, uint64_t now_ms);
bool listing_reads(const struct listing *list);
/* How many pages there are, as far as this one tells. */
unsigned listing_total(const struct api_paging *paging, unsigned page);
/* Makes room for so many; false when memory lacks. */
bool listing_more_pages(struct listing *list, unsigned total);
bool listing_complete(const struct listing *list);
/* The page to ask for next, of those that are known of; 0: none. The second reading goes downwards: what is
 * deleted meanwhile moves others towards the first page. */
unsigned listing_unasked(const struct listing *list);
/* What people delete while a list is read moves others to pages that were read before. That hardly matters
 * within seconds; where a page was lost, or had to wait, the list is read once more, and what either reading
 * shows is there. */
bool listing_may_have_shifted(const struct listing *list, uint64_t now_ms);

/* resolve.c, bind.c: names to ids */
int resolve_begin(struct run *run);
void resolve_act(struct run *run);
unsigned resolve_share(const struct server *server); /* as watch_share */
void resolve_reply(struct run *run, struct exchange *exchange);
uint64_t resolve_due(const struct run *run);
void resolve_done(struct run *run);
void resolve_refused(struct run *run, const struct exchange *exchange, const char *why);
struct want *resolve_want(const struct run *run, const struct plan_ref *ref, bool job);
int resolve_name(struct run *run, const char *name);
bool resolve_asked(struct run *run, const char *name);
int resolve_add_hit(struct run *run, const struct hit *hit);
void bind_sources(struct run *run);
bool bind_more_names(struct run *run);
bool bind_ready(const struct run *run);
void bind_items(struct run *run);
void bind_waiting(struct run *run);
uint64_t bind_waiting_due(const struct run *run);

/* hold.c: names that items of other runs hold (contract 3) */
enum hold {
    HOLD_FREE,  /* nobody has the name */
    HOLD_THERE, /* a job has it */
    HOLD_WAIT,  /* an item that has no outcome yet wants it */
    HOLD_DOUBT, /* an item whose outcome cannot be known may have made it */
};
enum hold hold_of(const struct run *run, const struct hit *hit);
/* Has the job list shown the clone that the hit's item was given up for (task_timeout)? */
bool hold_is_shown(const struct run *run, const struct hit *hit);
/* Is a name wanted that a clone may have which was given up (task_timeout)? Its mark tells. */
bool hold_wants_marks(const struct run *run);
const char *hold_job(const struct hit *hit);
int hold_keep(struct run *run, const struct engine_run_options *options);
void hold_begin(struct run *run);
int hold_collect(struct run *run);
bool hold_ready(const struct run *run);
void hold_forget(struct run *gone);
