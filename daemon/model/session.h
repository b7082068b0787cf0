/* One logon session per server: when to log on, when to stop trying. Pure.
 *
 *   CLOSED --logon sent--> OPENING --201--> OPEN --401, lost--> CLOSED
 *                             | 401 twice
 *                             v
 *                          REFUSED (until new credentials: an account must not be locked)  */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum session_state { SESSION_CLOSED, SESSION_OPENING, SESSION_OPEN, SESSION_REFUSED };

struct session {
    enum session_state state;
    uint64_t serial;    /* of the present session; what a 401 speaks about */
    unsigned refusals;  /* logons refused in a row */
    unsigned failures;  /* logons failed otherwise, or sessions that died young, in a row */
    uint64_t opened_ms; /* monotonic */
    uint64_t due_ms;    /* CLOSED: no logon before */
};

/* True when a logon should be sent now. Never while one is under way. */
bool session_wants_logon(const struct session *session, uint64_t now_ms);

void session_opening(struct session *session);
void session_opened(struct session *session, uint64_t now_ms);
/* 401 to a logon: tried at most twice. */
void session_refused(struct session *session, uint64_t now_ms);
/* A logon failed in another way: again after a growing wait. */
void session_failed(struct session *session, uint64_t now_ms);
/* It was logged off. */
void session_ended(struct session *session);
/* New credentials: what was refused before counts no more. */
void session_renewed(struct session *session);
/* A 401 to a request of session `serial`: true when it closed the present one;
 * false when that one is gone already. */
bool session_lost(struct session *session, uint64_t serial, uint64_t now_ms);
