#include "model/session.h"

#define SESSION_REFUSALS_MAX 2
#define SESSION_YOUNG_MS 5000
#define SESSION_WAIT_MIN_MS 500
#define SESSION_WAIT_MAX_MS 30000

static uint64_t session_wait(unsigned failures)
{
    uint64_t wait = SESSION_WAIT_MIN_MS;
    while (--failures > 0 && wait < SESSION_WAIT_MAX_MS)
        wait *= 2;
    return wait < SESSION_WAIT_MAX_MS ? wait : SESSION_WAIT_MAX_MS;
}

bool session_wants_logon(const struct session *session, uint64_t now_ms)
{
    return session->state == SESSION_CLOSED && now_ms >= session->due_ms;
}

void session_opening(struct session *session)
{
    session->state = SESSION_OPENING;
}

void session_opened(struct session *session, uint64_t now_ms)
{
    session->state = SESSION_OPEN;
    session->serial++;
    session->refusals = 0;
    session->opened_ms = now_ms;
}

void session_refused(struct session *session, uint64_t now_ms)
{
    session->refusals++;
    session->state = session->refusals >= SESSION_REFUSALS_MAX ? SESSION_REFUSED : SESSION_CLOSED;
    session->due_ms = now_ms + SESSION_WAIT_MIN_MS;
}

void session_failed(struct session *session, uint64_t now_ms)
{
    session->failures++;
    session->state = SESSION_CLOSED;
    session->due_ms = now_ms + session_wait(session->failures);
}

void session_ended(struct session *session)
{
    session->state = SESSION_CLOSED;
    session->failures = 0;
    session->due_ms = 0;
}

void session_renewed(struct session *session)
{
    session->refusals = 0;
    if (session->state == SESSION_REFUSED)
        session_ended(session);
}

bool session_lost(struct session *session, uint64_t serial, uint64_t now_ms)
{
    if (session->state != SESSION_OPEN || session->serial != serial)
        return false;
    session->failures = now_ms - session->opened_ms < SESSION_YOUNG_MS ? session->failures + 1 : 0;
    session->state = SESSION_CLOSED;
    session->due_ms = session->failures > 1 ? now_ms + session_wait(session->failures - 1) : now_ms;
    return true;
}
