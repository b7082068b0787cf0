#include "engine/fault.h"

enum fault fault_of_reply(enum exchange_kind kind, enum http_outcome outcome, int status, bool fits)
{
    bool one_task = kind == EXCHANGE_TASK || kind == EXCHANGE_TIDY;
    if (outcome == HTTP_UNSENT)
        return FAULT_UNSENT;
    if (outcome == HTTP_TLS_REFUSED)
        return FAULT_TLS;
    if (outcome == HTTP_ABORTED)
        return FAULT_ABORTED;
    if (outcome != HTTP_ANSWERED)
        return FAULT_LOST;
    if (status >= 200 && status < 300)
        return fits ? FAULT_NONE : FAULT_GARBLED;
    if (status == 401)
        return FAULT_AUTH;
    if (status == 404 || (status == 500 && one_task))
        return FAULT_ABSENT;
    if (status == 429)
        return FAULT_BUSY;
    if (status == 503)
        return FAULT_OVERLOAD;
    if (status == 501 || (status >= 300 && status < 500 && status != 408))
        return FAULT_REFUSED;
    return FAULT_SERVER;
}

/* ---- the table: shorthand first, so that a row fits a line ---- */

#define ITEM(x) .item = FAULT_ITEM_##x
#define SESSION(x) .session = FAULT_SESSION_##x
#define SERVER(x) .server = FAULT_SERVER_##x
#define TRY .attempt = true
#define REST .rest = true
#define MORE .pace = 1
#define LESS .pace = -1

/* What is the same for all requests that may be repeated. */
#define HARMLESS                                                                                       \
    [FAULT_UNSENT] = {SERVER(AWAY)}, [FAULT_TLS] = {SERVER(TLS)}, [FAULT_LOST] = {SERVER(AWAY), LESS}, \
    [FAULT_ABORTED] = {0}, [FAULT_AUTH] = {SESSION(LOST), SERVER(ANSWERS)},                            \
    [FAULT_BUSY] = {SERVER(ANSWERS), REST, LESS}, [FAULT_OVERLOAD] = {SERVER(AWAY), REST, LESS}

static const struct fault_decision logon[FAULT_COUNT] = {
    [FAULT_NONE] = {SESSION(OPEN), SERVER(ANSWERS)},
    [FAULT_UNSENT] = {SESSION(FAILED), SERVER(AWAY)},
    [FAULT_TLS] = {SESSION(FAILED), SERVER(TLS)},
    [FAULT_LOST] = {SESSION(FAILED), SERVER(AWAY)},
    [FAULT_ABORTED] = {SESSION(FAILED)},
    [FAULT_AUTH] = {SESSION(REFUSED), SERVER(ANSWERS)},
    [FAULT_ABSENT] = {SESSION(FAILED), SERVER(WRONG)},
    [FAULT_REFUSED] = {SESSION(FAILED), SERVER(WRONG)},
    [FAULT_BUSY] = {SESSION(FAILED), SERVER(ANSWERS), REST},
    [FAULT_OVERLOAD] = {SESSION(FAILED), SERVER(AWAY), REST},
    [FAULT_SERVER] = {SESSION(FAILED), SERVER(AWAY)},
    [FAULT_GARBLED] = {SESSION(FAILED), SERVER(WRONG)},
};

/* Faults while looking change no item; they move the next look. */
static const struct fault_decision look[FAULT_COUNT] = {
    HARMLESS,
    [FAULT_NONE] = {ITEM(ANSWER), SERVER(ANSWERS)},
    [FAULT_ABSENT] = {SERVER(ANSWERS)},
    [FAULT_REFUSED] = {SERVER(ANSWERS)},
    [FAULT_SERVER] = {SERVER(AWAY), LESS},
    [FAULT_GARBLED] = {SERVER(AWAY)},
};

/* What cannot be listed or read fails the items that need it. */
static const struct fault_decision names[FAULT_COUNT] = {
    HARMLESS,
    [FAULT_NONE] = {ITEM(ANSWER), SERVER(ANSWERS)},
    [FAULT_ABSENT] = {ITEM(FAIL), SERVER(ANSWERS)},
    [FAULT_REFUSED] = {ITEM(FAIL), SERVER(ANSWERS)},
    [FAULT_SERVER] = {SERVER(AWAY), LESS},
    [FAULT_GARBLED] = {SERVER(AWAY)},
};

static const struct fault_decision submit[FAULT_COUNT] = {
    [FAULT_NONE] = {ITEM(ANSWER), TRY, SERVER(ANSWERS), MORE},
    [FAULT_UNSENT] = {ITEM(BACK), SERVER(AWAY)},
    [FAULT_TLS] = {ITEM(BACK), SERVER(TLS)},
    [FAULT_LOST] = {ITEM(DOUBT), TRY, LESS},
    [FAULT_ABORTED] = {ITEM(DOUBT), TRY},
    [FAULT_AUTH] = {ITEM(BACK), SESSION(LOST), SERVER(ANSWERS)},
    [FAULT_ABSENT] = {ITEM(FAIL), TRY, SERVER(ANSWERS), MORE},
    [FAULT_REFUSED] = {ITEM(FAIL), TRY, SERVER(ANSWERS), MORE},
    [FAULT_BUSY] = {ITEM(LATER), SERVER(ANSWERS), REST, LESS},
    [FAULT_OVERLOAD] = {ITEM(DOUBT), TRY, REST, LESS},
    [FAULT_SERVER] = {ITEM(DOUBT), TRY, LESS},
    [FAULT_GARBLED] = {ITEM(DOUBT), TRY},
};

static const struct fault_decision task[FAULT_COUNT] = {
    HARMLESS,
    [FAULT_NONE] = {ITEM(ANSWER), SERVER(ANSWERS)},
    [FAULT_ABSENT] = {ITEM(DOUBT), SERVER(ANSWERS)},
    [FAULT_REFUSED] = {SERVER(ANSWERS)},
    [FAULT_SERVER] = {SERVER(AWAY), LESS},
    [FAULT_GARBLED] = {SERVER(AWAY)},
};

/* A backup server that cannot be reached is no trouble of the Enterprise Manager. */
static const struct fault_decision collect[FAULT_COUNT] = {
    HARMLESS,
    [FAULT_NONE] = {SERVER(ANSWERS)},
    [FAULT_ABSENT] = {SERVER(ANSWERS)},
    [FAULT_REFUSED] = {SERVER(ANSWERS)},
    [FAULT_SERVER] = {0},
    [FAULT_GARBLED] = {0},
};

/* Nothing that is said to these matters to an item. */
static const struct fault_decision aside[FAULT_COUNT] = {
    HARMLESS,
    [FAULT_NONE] = {SERVER(ANSWERS)},
    [FAULT_ABSENT] = {SERVER(ANSWERS)},
    [FAULT_REFUSED] = {SERVER(ANSWERS)},
    [FAULT_SERVER] = {SERVER(AWAY), LESS},
    [FAULT_GARBLED] = {SERVER(AWAY)},
};

static const struct fault_decision logoff[FAULT_COUNT] = {{0}};

static const struct fault_decision *const table[EXCHANGE_KIND_COUNT] = {
    [EXCHANGE_LOGON] = logon,     [EXCHANGE_KEEPALIVE] = aside, [EXCHANGE_LOGOFF] = logoff,
    [EXCHANGE_SUBMIT] = submit,   [EXCHANGE_TASKS] = look,      [EXCHANGE_TASK] = task,
    [EXCHANGE_TIDY] = aside,      [EXCHANGE_NAMES] = names,     [EXCHANGE_SOURCE] = names,
    [EXCHANGE_SWEEP] = look,      [EXCHANGE_NAMED] = look,      [EXCHANGE_LOOK] = look,
    [EXCHANGE_COLLECT] = collect,
};

const struct fault_decision *fault_decide(enum exchange_kind kind, enum fault fault)
{
    return &table[kind][fault];
}
