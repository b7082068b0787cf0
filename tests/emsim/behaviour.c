#include "behaviour.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "places.h"

enum field_kind {
    FIELD_NUMBER,
    FIELD_DURATION,
    FIELD_SHARE,
    FIELD_BOOL,
    FIELD_APPLY,
    FIELD_STYLE,
    FIELD_WRAP,
    FIELD_ONLY,
    FIELD_ORDER,
    FIELD_PLACES,
    FIELD_STATUS
};

struct field {
    const char *key;
    size_t offset;
    enum field_kind kind;
};

#define FIELD(name, kind)                             \
    {                                                 \
#name, offsetof(struct behaviour, name), kind \
    }
#define FAULT_FIELD(name, fault)                                                                  \
    {                                                                                             \
        name, offsetof(struct behaviour, fault_percent) + sizeof(uint64_t) * (fault), FIELD_SHARE \
    }

static const struct field FIELDS[] = {
    FIELD(latency_ms, FIELD_DURATION),
    FIELD(latency_jitter_ms, FIELD_DURATION),
    FIELD(task_ms, FIELD_DURATION),
    FIELD(task_jitter_ms, FIELD_DURATION),
    FIELD(places, FIELD_PLACES),
    FIELD(service_ms, FIELD_DURATION),
    FIELD(service_jitter_ms, FIELD_DURATION),
    FIELD(queue_max, FIELD_NUMBER),
    FIELD(overload_status, FIELD_STATUS),
    FIELD(task_places, FIELD_PLACES),
    FIELD(task_crowd, FIELD_NUMBER),
    FIELD(fail_task_percent, FIELD_SHARE),
    FIELD(hang_task_percent, FIELD_SHARE),
    FAULT_FIELD("lose_request_percent", FAULT_LOSE_REQUEST),
    FAULT_FIELD("lose_answer_percent", FAULT_LOSE_ANSWER),
    FAULT_FIELD("error500_before_percent", FAULT_500_BEFORE),
    FAULT_FIELD("error500_after_percent", FAULT_500_AFTER),
    FAULT_FIELD("error503_percent", FAULT_503),
    FAULT_FIELD("error429_percent", FAULT_429),
    FAULT_FIELD("truncate_percent", FAULT_TRUNCATE),
    FAULT_FIELD("garble_percent", FAULT_GARBLE),
    FAULT_FIELD("html_percent", FAULT_HTML),
    FAULT_FIELD("session_expire_percent", FAULT_SESSION_EXPIRE),
    FIELD(retry_after_s, FIELD_NUMBER),
    FIELD(slow_body_ms, FIELD_DURATION),
    FIELD(big_body_bytes, FIELD_NUMBER),
    FIELD(faults_max, FIELD_NUMBER),
    FIELD(apply_to, FIELD_APPLY),
    FIELD(lag_ms, FIELD_DURATION),
    FIELD(read_lag_ms, FIELD_DURATION),
    FIELD(collect_lag_ms, FIELD_DURATION),
    FIELD(collect_time_ms, FIELD_DURATION),
    FIELD(session_idle_ms, FIELD_DURATION),
    FIELD(page_max, FIELD_NUMBER),
    {"json_style", offsetof(struct behaviour, v13), FIELD_STYLE},
    FIELD(json_wrap, FIELD_WRAP),
    FIELD(only_format, FIELD_ONLY),
    FIELD(immediate_order, FIELD_ORDER),
    FIELD(serial, FIELD_BOOL),
    FIELD(allow_duplicates, FIELD_BOOL),
    FIELD(drop_descriptions, FIELD_BOOL),
    FIELD(refuse_collect, FIELD_BOOL),
};

static const char *const APPLY_NAMES[APPLY_MAX] = {"clone", "all", "tasks", "query", "logon"};

struct behaviour behaviour_default(void)
{
    return (struct behaviour){
        .task_ms = 200,
        .service_ms = 50,
        .overload_status = 500,
        .faults_max = UINT64_MAX,
        .apply_to = APPLY_CLONE,
        .collect_lag_ms = 100,
        .collect_time_ms = 1000,
        .session_idle_ms = 15 * 60 * 1000,
        .page_max = 1000,
    };
}

/* A non-negative number, then an optional unit. */
static int parse_number(const char *text, double *ret, const char **ret_rest)
{
    char *end = NULL;
    errno = 0;
    *ret = strtod(text, &end);
    if (end == text || errno || !isfinite(*ret) || *ret < 0 || *ret > 1e15)
        return -EINVAL;
    *ret_rest = end;
    return 0;
}

static int parse_duration(const char *text, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } UNITS[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    double number;
    const char *unit;
    int r = parse_number(text, &number, &unit);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(UNITS); i++)
        if (strcmp(unit, UNITS[i].unit) == 0) {
            *ret_ms = (uint64_t)(number * UNITS[i].ms);
            return 0;
        }
    return -EINVAL;
}

static int parse_plain(const char *text, double factor, double max, uint64_t *ret)
{
    double number;
    const char *rest;
    int r = parse_number(text, &number, &rest);
    if (r < 0 || *rest || number > max)
        return -EINVAL;
    *ret = (uint64_t)(number * factor + 0.5);
    return 0;
}

static int parse_word(const char *text, const char *const *words, size_t n, uint64_t *ret)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *ret = i;
            return 0;
        }
    return -EINVAL;
}

static int parse_status(const char *text, uint64_t *ret)
{
    uint64_t status = 0;
    int r = parse_plain(text, 1, 599, &status);
    if (r < 0 || (status != 500 && status != 503 && status != 429))
        return -EINVAL;
    *ret = status;
    return 0;
}

static int parse_field(enum field_kind kind, const char *text, uint64_t *ret)
{
    static const char *const BOOLS[] = {"false", "true"};
    static const char *const STYLES[] = {"v12", "v13"};
    static const char *const WRAPS[] = {"usual", "bare", "child", "same"};
    static const char *const ONLY[] = {"any", "xml", "json"};
    static const char *const ORDERS[] = {"example", "table", "json"};
    switch (kind) {
    case FIELD_NUMBER:
        return parse_plain(text, 1, 1e15, ret);
    case FIELD_DURATION:
        return parse_duration(text, ret);
    case FIELD_SHARE:
        return parse_plain(text, 100, 100, ret);
    case FIELD_BOOL:
        return parse_word(text, BOOLS, ARRAY_SIZE(BOOLS), ret);
    case FIELD_APPLY:
        return parse_word(text, APPLY_NAMES, APPLY_MAX, ret);
    case FIELD_STYLE:
        return parse_word(text, STYLES, ARRAY_SIZE(STYLES), ret);
    case FIELD_WRAP:
        return parse_word(text, WRAPS, ARRAY_SIZE(WRAPS), ret);
    case FIELD_ONLY:
        return parse_word(text, ONLY, ARRAY_SIZE(ONLY), ret);
    case FIELD_ORDER:
        return parse_word(text, ORDERS, ARRAY_SIZE(ORDERS), ret);
    case FIELD_PLACES:
        return parse_plain(text, 1, PLACES_MAX, ret);
    case FIELD_STATUS:
        return parse_status(text, ret);
    }
    return -EINVAL;
}

int behaviour_set(struct behaviour *behaviour, const char *key, const char *value)
{
    for (size_t i = 0; i < ARRAY_SIZE(FIELDS); i++) {
        const struct field *f = &FIELDS[i];
        size_t len = strlen(key);
        bool same = strcmp(f->key, key) == 0;
        /* the option --lag is lag_ms */
        bool shorter = strncmp(f->key, key, len) == 0 && strcmp(f->key + len, "_ms") == 0;
        if (!same && !shorter)
            continue;
        uint64_t number = 0;
        int r = parse_field(f->kind, value, &number);
        if (r < 0)
            return r;
        memcpy((char *)behaviour + f->offset, &number, sizeof(number));
        if (f->offset == offsetof(struct behaviour, faults_max))
            behaviour->faults_made = 0;
        return 0;
    }
    return -ENOENT;
}

bool behaviour_chance(struct rng *rng, uint64_t share)
{
    return share && rng_below(rng, 10000) < share;
}

static bool applies(enum apply_to to, enum request_kind kind)
{
    switch (to) {
    case APPLY_ALL:
        return kind != REQUEST_SIM;
    case APPLY_CLONE:
        return kind == REQUEST_CLONE;
    case APPLY_TASKS:
        return kind == REQUEST_TASKS || kind == REQUEST_TASK || kind == REQUEST_TASK_DELETE;
    case APPLY_QUERY:
        return kind == REQUEST_QUERY || kind == REQUEST_JOBS || kind == REQUEST_JOB;
    case APPLY_LOGON:
        return kind == REQUEST_LOGON;
    case APPLY_MAX:
        break;
    }
    return false;
}

/* One roll over all shares laid side by side: 60 + 40 percent hit always. */
static enum fault roll(const struct behaviour *behaviour, struct rng *rng)
{
    uint64_t point = rng_below(rng, 10000), edge = 0;
    for (unsigned i = 0; i < FAULT_MAX; i++) {
        edge += behaviour->fault_percent[i];
        if (point < edge)
            return (enum fault)i;
    }
    return FAULT_NONE;
}

struct fate behaviour_fate(struct behaviour *behaviour, struct rng *rng, enum request_kind kind)
{
    struct fate fate = {.fault = FAULT_NONE, .retry_after_s = behaviour->retry_after_s};
    if (kind == REQUEST_SIM)
        return fate;
    fate.delay_ms = behaviour->latency_ms + rng_below(rng, behaviour->latency_jitter_ms + 1);
    if (!applies((enum apply_to)behaviour->apply_to, kind) || behaviour->faults_made >= behaviour->faults_max)
        return fate;
    fate.fault = roll(behaviour, rng);
    fate.slow_body_ms = behaviour->slow_body_ms;
    fate.big_body_bytes = behaviour->big_body_bytes;
    if (fate.fault != FAULT_NONE || fate.slow_body_ms || fate.big_body_bytes)
        behaviour->faults_made++;
    return fate;
}

unsigned behaviour_queue(const struct behaviour *behaviour)
{
    uint64_t most = behaviour->queue_max ? behaviour->queue_max : 4 * behaviour->places;
    return most && most < UINT_MAX ? (unsigned)most : UINT_MAX;
}

unsigned behaviour_crowd(const struct behaviour *behaviour)
{
    uint64_t crowd = behaviour->task_crowd ? behaviour->task_crowd : 2 * behaviour->task_places;
    return crowd < UINT_MAX ? (unsigned)crowd : 0;
}

const char *request_kind_name(enum request_kind kind)
{
    static const char *const NAMES[REQUEST_KIND_MAX] = {
        "base",        "logon",  "logons",  "logoff", "clone",      "tasks",        "task",
        "task_delete", "query",  "jobs",    "job",    "job_delete", "repositories", "repository",
        "servers",     "server", "collect", "other",  "sim"};
    return NAMES[kind];
}
