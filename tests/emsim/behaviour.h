/* How the server misbehaves: named numbers, set by options and at run time, and
 * the choice of a fault for one request. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

/* What a request asks for; also the keys of "requests" in /sim/truth. */
enum request_kind {
    REQUEST_BASE,
    REQUEST_LOGON,
    REQUEST_LOGONS,
    REQUEST_LOGOFF,
    REQUEST_CLONE,
    REQUEST_TASKS,
    REQUEST_TASK,
    REQUEST_TASK_DELETE,
    REQUEST_QUERY,
    REQUEST_JOBS,
    REQUEST_JOB,
    REQUEST_JOB_DELETE,
    REQUEST_REPOSITORIES,
    REQUEST_REPOSITORY,
    REQUEST_SERVERS,
    REQUEST_SERVER,
    REQUEST_COLLECT,
    REQUEST_OTHER,
    REQUEST_SIM,
    REQUEST_KIND_MAX
};

/* One-shot disturbances, in the order in which their shares are laid out. */
enum fault {
    FAULT_LOSE_REQUEST, /* closed before any effect */
    FAULT_LOSE_ANSWER,  /* takes effect, then closed */
    FAULT_500_BEFORE,
    FAULT_500_AFTER,
    FAULT_503,
    FAULT_429,
    FAULT_TRUNCATE,
    FAULT_GARBLE,
    FAULT_HTML,
    FAULT_SESSION_EXPIRE, /* the session ends first: 401 */
    FAULT_MAX,
    FAULT_NONE = FAULT_MAX
};

/* Which requests faults and slowness touch. */
enum apply_to { APPLY_CLONE, APPLY_ALL, APPLY_TASKS, APPLY_QUERY, APPLY_LOGON, APPLY_MAX };

/* The order in which an immediate copy's elements are taken in XML. */
enum immediate_order { ORDER_EXAMPLE, ORDER_TABLE, ORDER_NONE };

/* Which format is spoken; the other is refused. */
enum only_format { ONLY_ANY, ONLY_XML, ONLY_JSON };

struct behaviour {
    uint64_t latency_ms, latency_jitter_ms;
    uint64_t task_ms, task_jitter_ms;
    /* load: see lib/places.h */
    uint64_t places, service_ms, service_jitter_ms; /* places 0: as many as come */
    uint64_t queue_max, overload_status;            /* queue_max 0: four times as many as places, in all */
    uint64_t task_places, task_crowd;               /* task_crowd 0: twice as many as places */
    uint64_t fail_task_percent, hang_task_percent;  /* hundredths of a percent, as all shares */
    uint64_t fault_percent[FAULT_MAX];
    uint64_t retry_after_s;
    uint64_t slow_body_ms, big_body_bytes;
    uint64_t faults_max, faults_made;
    uint64_t apply_to;
    uint64_t lag_ms, read_lag_ms, collect_lag_ms, collect_time_ms;
    uint64_t session_idle_ms, page_max;
    uint64_t v13, json_wrap, only_format, immediate_order; /* json_wrap: enum out_wrap */
    uint64_t serial, allow_duplicates, drop_descriptions, refuse_collect;
};

/* What will be done to one request. */
struct fate {
    enum fault fault;
    uint64_t delay_ms; /* before it is looked at */
    uint64_t slow_body_ms, big_body_bytes, retry_after_s;
};

struct behaviour behaviour_default(void);

/* Sets the field from text; durations take ms, s, m or h. 0, -ENOENT for an
 * unknown key, or -EINVAL for a bad value. */
int behaviour_set(struct behaviour *behaviour, const char *key, const char *value);

/* Rolls the dice for a request. */
struct fate behaviour_fate(struct behaviour *behaviour, struct rng *rng, enum request_kind kind);

/* True with a share given in hundredths of a percent. */
bool behaviour_chance(struct rng *rng, uint64_t share);

/* How many requests are in the server at most, and how many tasks before they slow each other; 0: no limit.
 */
unsigned behaviour_queue(const struct behaviour *behaviour);
unsigned behaviour_crowd(const struct behaviour *behaviour);

const char *request_kind_name(enum request_kind kind);
