#include "model/item.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"

static const char *const state_names[ITEM_STATE_COUNT] = {
    [ITEM_QUEUED] = "queued",   [ITEM_SUBMITTING] = "submitting", [ITEM_IN_DOUBT] = "in-doubt",
    [ITEM_RUNNING] = "running", [ITEM_SUCCEEDED] = "succeeded",   [ITEM_SKIPPED] = "skipped",
    [ITEM_FAILED] = "failed",   [ITEM_CANCELLED] = "cancelled",   [ITEM_UNKNOWN] = "unknown",
};

static const char *const error_names[ITEM_ERROR_COUNT] = {
    [ITEM_OK] = "",
    [ITEM_E_SOURCE_NOT_FOUND] = "source_not_found",
    [ITEM_E_SOURCE_AMBIGUOUS] = "source_ambiguous",
    [ITEM_E_SOURCE_NOT_CLONABLE] = "source_not_clonable",
    [ITEM_E_REPOSITORY_NOT_FOUND] = "repository_not_found",
    [ITEM_E_REPOSITORY_AMBIGUOUS] = "repository_ambiguous",
    [ITEM_E_REPOSITORY_ELSEWHERE] = "repository_elsewhere",
    [ITEM_E_BACKUP_SERVER_NOT_FOUND] = "backup_server_not_found",
    [ITEM_E_KIND_MISMATCH] = "kind_mismatch",
    [ITEM_E_FIELD] = "field",
    [ITEM_E_NAME_CONFLICT] = "name_conflict",
    [ITEM_E_NAME_IN_DOUBT] = "name_in_doubt",
    [ITEM_E_ACCESS_DENIED] = "access_denied",
    [ITEM_E_REFUSED] = "refused",
    [ITEM_E_TASK_FAILED] = "task_failed",
    [ITEM_E_TASK_TIMEOUT] = "task_timeout",
    [ITEM_E_RUN_TIMEOUT] = "run_timeout",
    [ITEM_E_ATTEMPTS] = "attempts",
    [ITEM_E_STOPPED] = "stopped",
    [ITEM_E_CANCELLED] = "cancelled",
    [ITEM_E_UNSETTLED] = "unsettled",
    [ITEM_E_LOOKUP] = "lookup",
};

const char *item_state_name(enum item_state state)
{
    return state_names[state];
}

const char *item_result_name(enum item_state state)
{
    if (state == ITEM_QUEUED)
        return "pending";
    return state == ITEM_SUBMITTING || state == ITEM_IN_DOUBT ? "running" : state_names[state];
}

const char *item_error_name(enum item_error error)
{
    return error_names[error];
}

bool item_state_final(enum item_state state)
{
    return state >= ITEM_SUCCEEDED;
}

enum item_wish item_wish(enum item_state state)
{
    if (state == ITEM_QUEUED)
        return ITEM_WISH_SUBMIT;
    if (state == ITEM_RUNNING)
        return ITEM_WISH_WATCH;
    return state == ITEM_IN_DOUBT ? ITEM_WISH_RESOLVE : ITEM_WISH_NONE;
}

uint64_t retry_wait(const struct retry_policy *policy, unsigned attempts, struct rng *rng)
{
    uint64_t wait = policy->initial_ms;
    for (unsigned i = 1; i < attempts && wait < policy->max_ms; i++)
        wait *= 2;
    if (wait > policy->max_ms)
        wait = policy->max_ms;
    return wait - rng_below(rng, wait / 2 + 1);
}

/* What one step works with; `next` is the item being built. */
struct step {
    struct item *next;
    const struct item_event *event;
    const struct retry_policy *policy;
    struct instant now;
    struct rng *rng;
};

/* The one place where a state is entered. */
static bool step_enter(const struct step *s, enum item_state state)
{
    s->next->state = state;
    s->next->since_ms = s->now.mono_ms;
    if (item_state_final(state))
        s->next->finished_ms = s->now.wall_ms;
    return true;
}

static bool step_end_badly(const struct step *s, enum item_state state, enum item_error error)
{
    s->next->error = error;
    s->next->http = s->event->http ? s->event->http : s->next->http;
    if (s->event->message)
        s->next->message = s->event->message;
    return step_enter(s, state);
}

static bool step_requeue(const struct step *s, uint64_t wait_ms)
{
    s->next->due_ms = s->now.mono_ms + wait_ms;
    s->next->session_id = s->next->task_id = NULL;
    return step_enter(s, ITEM_QUEUED);
}

static bool step_succeed(const struct step *s, bool recovered)
{
    s->next->job_uid = s->event->job_uid;
    if (!s->next->attempts) /* those before a retry are not counted, but there was one */
        s->next->attempts = 1;
    s->next->recovered = recovered;
    s->next->error = ITEM_OK;
    s->next->http = 0;
    s->next->message = NULL;
    return step_enter(s, ITEM_SUCCEEDED);
}

static bool step_may_retry(const struct step *s)
{
    return !s->event->no_more && !s->next->never_again && s->next->attempts < s->policy->attempts;
}

static bool step_queued(const struct step *s)
{
    if (s->event->kind == ITEM_EVENT_SUBMIT) {
        s->next->attempts++;
        if (!s->next->started_ms)
            s->next->started_ms = s->now.wall_ms;
        return step_enter(s, ITEM_SUBMITTING);
    }
    if (s->event->kind == ITEM_EVENT_FAIL)
        return step_end_badly(s, ITEM_FAILED, s->event->error);
    if (s->event->kind == ITEM_EVENT_SKIP) {
        s->next->job_uid = s->event->job_uid;
        return step_enter(s, ITEM_SKIPPED);
    }
    if (s->event->kind == ITEM_EVENT_CANCEL)
        return step_end_badly(s, s->event->error == ITEM_E_RUN_TIMEOUT ? ITEM_FAILED : ITEM_CANCELLED,
                              s->event->error);
    if (s->event->kind == ITEM_EVENT_FOUND)
        return step_succeed(s, true);
    return false;
}

/* Back to QUEUED for a request that was not carried out: it does not count as a try. */
static bool step_not_tried(const struct step *s, uint64_t wait_ms)
{
    s->next->attempts--;
    return step_requeue(s, wait_ms);
}

static bool step_submitting(const struct step *s)
{
    const struct item_event *e = s->event;
    if (e->kind == ITEM_EVENT_ACCEPTED) {
        s->next->session_id = e->session_id;
        s->next->task_id = e->task_id;
        return step_enter(s, ITEM_RUNNING);
    }
    if (e->kind == ITEM_EVENT_UNSENT || e->kind == ITEM_EVENT_AUTH)
        return step_not_tried(s, 0);
    if (e->kind == ITEM_EVENT_BUSY) {
        uint64_t wait = retry_wait(s->policy, 1, s->rng);
        return step_not_tried(s, e->wait_ms > wait ? e->wait_ms : wait);
    }
    if (e->kind == ITEM_EVENT_FORM && step_may_retry(s)) { /* a try like any other: stored, then sent */
        s->next->forms |= 1u << e->form;
        return step_requeue(s, 0);
    }
    if (e->kind == ITEM_EVENT_REFUSED || e->kind == ITEM_EVENT_FORM)
        return step_end_badly(s, ITEM_FAILED, e->error);
    if (e->kind == ITEM_EVENT_LOST || e->kind == ITEM_EVENT_TASK_GONE) {
        s->next->http = e->http;
        return step_enter(s, ITEM_IN_DOUBT);
    }
    return false;
}

static bool step_running(const struct step *s)
{
    const struct item_event *e = s->event;
    if (e->kind == ITEM_EVENT_TASK_OK)
        return step_succeed(s, false);
    if (e->kind == ITEM_EVENT_TASK_FAILED) {
        s->next->message = e->message;
        if (step_may_retry(s))
            return step_requeue(s, retry_wait(s->policy, s->next->attempts, s->rng));
        return step_end_badly(s, ITEM_FAILED, ITEM_E_TASK_FAILED);
    }
    if (e->kind == ITEM_EVENT_TASK_GONE)
        return step_enter(s, ITEM_IN_DOUBT);
    if (e->kind == ITEM_EVENT_TASK_LATE) {
        s->next->never_again = true;
        return step_enter(s, ITEM_IN_DOUBT);
    }
    return false;
}

static bool step_in_doubt(const struct step *s)
{
    const struct item_event *e = s->event;
    if (e->kind == ITEM_EVENT_FOUND)
        return step_succeed(s, true);
    if (e->kind == ITEM_EVENT_UNSETTLED)
        return step_end_badly(s, ITEM_UNKNOWN, e->error);
    if (e->kind == ITEM_EVENT_REFUSED) /* another job has the name now: a person must decide */
        return step_end_badly(s, ITEM_FAILED, e->error);
    if (e->kind != ITEM_EVENT_ABSENT)
        return false;
    if (s->next->never_again)
        return step_end_badly(s, ITEM_FAILED, ITEM_E_TASK_TIMEOUT);
    if (e->no_more)
        return step_end_badly(s, ITEM_CANCELLED, ITEM_E_CANCELLED);
    if (step_may_retry(s))
        return step_requeue(s, retry_wait(s->policy, s->next->attempts, s->rng));
    return step_end_badly(s, ITEM_FAILED, ITEM_E_ATTEMPTS);
}

/* Nothing of the earlier tries counts any more, but for the doubt they left. */
static bool step_retry(const struct step *s)
{
    struct item *next = s->next;
    bool late = next->state == ITEM_FAILED && next->error == ITEM_E_TASK_TIMEOUT;
    bool doubt = late || next->state == ITEM_UNKNOWN;
    if (!doubt && next->state != ITEM_FAILED && next->state != ITEM_CANCELLED)
        return false;
    next->error = ITEM_OK;
    next->http = 0;
    next->message = NULL;
    next->finished_ms = 0;
    next->attempts = 0; /* fresh ones, should what is in doubt be proven absent */
    if (doubt)
        return step_enter(s, ITEM_IN_DOUBT);
    next->started_ms = 0;
    next->never_again = false;
    next->forms = 0;
    return step_requeue(s, 0);
}

static bool step_final(const struct step *s)
{
    if (s->event->kind == ITEM_EVENT_RETRY)
        return step_retry(s);
    if (s->event->kind == ITEM_EVENT_VERIFIED && s->next->state == ITEM_SUCCEEDED && !s->next->verified)
        return s->next->verified = true;
    if (s->event->kind == ITEM_EVENT_FOUND && s->next->error == ITEM_E_TASK_TIMEOUT)
        return step_succeed(s, true); /* it ended after all */
    return false;
}

struct item item_step(const struct item *item, const struct item_event *event,
                      const struct retry_policy *policy, struct instant now, struct rng *rng,
                      bool *ret_changed)
{
    struct item next = *item;
    struct step s = {&next, event, policy, now, rng};
    bool changed = false;
    switch (item->state) {
    case ITEM_QUEUED:
        changed = step_queued(&s);
        break;
    case ITEM_SUBMITTING:
        changed = step_submitting(&s);
        break;
    case ITEM_RUNNING:
        changed = step_running(&s);
        break;
    case ITEM_IN_DOUBT:
        changed = step_in_doubt(&s);
        break;
    case ITEM_SUCCEEDED:
    case ITEM_SKIPPED:
    case ITEM_FAILED:
    case ITEM_CANCELLED:
    case ITEM_UNKNOWN:
    case ITEM_STATE_COUNT:
        changed = step_final(&s);
        break;
    }
    *ret_changed = changed;
    return next;
}

void item_mark(char ret[ITEM_MARK_MAX], const char *run_id, uint32_t index)
{
    snprintf(ret, ITEM_MARK_MAX, "[jobclone:%.26s/%u]", run_id, index);
}

bool item_mark_matches(const char *description, const char *run_id, uint32_t index)
{
    char mark[ITEM_MARK_MAX];
    item_mark(mark, run_id, index);
    size_t len = strlen(description), n = strlen(mark);
    if (len < n || strcmp(description + len - n, mark) != 0)
        return false;
    return len == n || description[len - n - 1] == ' ';
}

bool item_mark_parse(const char *description, char ret_run[27], uint32_t *ret_index)
{
    const char *last = NULL;
    for (const char *p = description; (p = strstr(p, "[jobclone:")); p++)
        last = p;
    if (!last)
        return false;
    char run[27] = "";
    unsigned index = 0;
    if (sscanf(last, "[jobclone:%26[0-9A-Z]/%u", run, &index) != 2 ||
        !item_mark_matches(description, run, index))
        return false;
    memcpy(ret_run, run, sizeof(run));
    *ret_index = index;
    return true;
}
