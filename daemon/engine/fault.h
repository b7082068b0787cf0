/* What the world did, sorted, and what follows from it. This is the one place
 * that reads transport outcomes and status codes, and the one table that says
 * what each fault of each request means to item, session and server. The table
 * is printed in docs/ARCHITECTURE.md; tests/unit/test_fault walks all of it
 * through a real engine and holds the printed one to it. */
#pragma once

#include <stdbool.h>

#include "engine/http.h"

enum exchange_kind {
    EXCHANGE_LOGON,
    EXCHANGE_KEEPALIVE,
    EXCHANGE_LOGOFF,
    EXCHANGE_SUBMIT, /* per item; the only one that may not be repeated */
    EXCHANGE_TASKS,
    EXCHANGE_TASK,    /* per item: a task that the list lacks */
    EXCHANGE_TIDY,    /* deletes a finished task */
    EXCHANGE_NAMES,   /* a page of jobs or repositories, for a run that resolves */
    EXCHANGE_SOURCE,  /* a source's entity */
    EXCHANGE_SWEEP,   /* a page of all jobs with descriptions */
    EXCHANGE_NAMED,   /* per item: jobs of the name of an item in doubt */
    EXCHANGE_LOOK,    /* one job: an orphan's, or the first clone of a kind */
    EXCHANGE_COLLECT, /* per backup server */
    EXCHANGE_KIND_COUNT
};

enum fault {
    FAULT_NONE,     /* 2xx with the document that was asked for */
    FAULT_UNSENT,   /* name or connect: no byte of the request left */
    FAULT_TLS,      /* certificate, name or pin: no byte of the request left */
    FAULT_LOST,     /* it may have arrived, no whole answer came */
    FAULT_ABORTED,  /* given up by us */
    FAULT_AUTH,     /* 401 */
    FAULT_ABSENT,   /* 404; 500 to a question for one task (wire reference 4.2) */
    FAULT_REFUSED,  /* other 4xx but 408 and 429; 501; redirects, which are never followed */
    FAULT_BUSY,     /* 429 */
    FAULT_OVERLOAD, /* 503 */
    FAULT_SERVER,   /* other 5xx, 408 */
    FAULT_GARBLED,  /* 2xx with a body that is not the API's, or another document */
    FAULT_COUNT
};

enum fault_item {
    FAULT_ITEM_NONE,   /* as it was */
    FAULT_ITEM_ANSWER, /* what the answer says */
    FAULT_ITEM_BACK,   /* QUEUED: it was not carried out */
    FAULT_ITEM_LATER,  /* the same, after a wait */
    FAULT_ITEM_FAIL,   /* FAILED */
    FAULT_ITEM_DOUBT,  /* IN_DOUBT */
};

enum fault_session {
    FAULT_SESSION_NONE,
    FAULT_SESSION_OPEN,
    FAULT_SESSION_LOST,    /* one logon follows, however many requests saw it */
    FAULT_SESSION_REFUSED, /* after two in a row no logon follows */
    FAULT_SESSION_FAILED,  /* a logon follows after a growing wait */
};

enum fault_server {
    FAULT_SERVER_NONE,    /* says nothing about it */
    FAULT_SERVER_ANSWERS, /* reachable */
    FAULT_SERVER_AWAY,    /* unreachable: probed with a growing wait, nothing else is sent meanwhile */
    FAULT_SERVER_TLS,     /* not to be trusted: no byte of a request leaves; tried again after 30 s */
    FAULT_SERVER_WRONG,   /* no Enterprise Manager API, when the first logons say so twice; else as AWAY */
};

/* What follows from one fault of one kind of request. */
struct fault_decision {
    enum fault_item item;
    bool attempt; /* it counts as one of the item's tries */
    enum fault_session session;
    enum fault_server server;
    bool rest; /* nothing is sent until Retry-After is over, or for a second */
    int pace;  /* of requests at once: 1 more, -1 half as many */
};

/* Sorts an answer. `fits`: its body was read well and is the document asked for (matters for 2xx only). */
enum fault fault_of_reply(enum exchange_kind kind, enum http_outcome outcome, int status, bool fits);

const struct fault_decision *fault_decide(enum exchange_kind kind, enum fault fault);
