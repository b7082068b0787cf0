/* Server-sent events. What watchers are told is kept once for all of them: the
 * newest snapshot of each run and a ring of the last failures. Every watcher has a place
 * in both, so a slow one costs nothing: its snapshots are merged and it is told
 * how many failures it has missed. A timer moves what is new into each watcher's
 * buffer when that has been sent; libmicrohttpd takes it from there, and the client
 * is suspended while there is nothing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/control_json.h"
#include "io/control_parts.h"

#define PUMP_MS 200
#define ALIVE_MS 15000
#define PENDING_MAX ((size_t)512 * 1024)
#define PENDING_FULL ((size_t)256 * 1024) /* no more is added beyond; the rest comes with the next pump */
#define JSON_MAX ((size_t)64 * 1024)
#define BLOCK_BYTES 4096
#define ENDED_MAX 256 /* so many ended runs are kept before those that all have seen are forgotten */

/* ---- one watcher's buffer ---- */

static void add_event(struct watcher *w, const char *event, const char *json)
{
    size_t len = w->pending.len;
    int r = buf_printf(&w->pending, "event: %s\nid: %" PRIx64 "-%" PRIu64 "\ndata: ", event,
                       w->control->watch.epoch, w->next_failure);
    if (r == 0)
        r = buf_add_str(&w->pending, json);
    if (r == 0)
        r = buf_add_str(&w->pending, "\n\n");
    if (r < 0 && w->pending.data) { /* out of memory: left out rather than cut */
        w->pending.len = len;
        w->pending.data[len] = '\0';
    }
}

static bool wants(const struct watcher *w, const char *run)
{
    return !w->run[0] || strcmp(w->run, run) == 0;
}

static void add_failures(struct watcher *w)
{
    struct watch *watch = &w->control->watch;
    uint64_t kept = watch->n_failures < CONTROL_FAILURES_KEPT ? watch->n_failures : CONTROL_FAILURES_KEPT;
    uint64_t oldest = watch->n_failures - kept;
    if (w->next_failure < oldest) {
        char missed[64];
        snprintf(missed, sizeof(missed), "{\"failures\":%" PRIu64 "}", oldest - w->next_failure);
        w->next_failure = oldest;
        add_event(w, "missed", missed);
    }
    while (w->next_failure < watch->n_failures && w->pending.len < PENDING_FULL) {
        const struct watched_failure *failure = &watch->failures[w->next_failure % CONTROL_FAILURES_KEPT];
        w->next_failure++;
        if (failure->json && wants(w, failure->run))
            add_event(w, "failure", failure->json);
    }
}

/* All that changed since its last round, from where the buffer was full; a run that changes behind the cursor
 * comes in the next round. Runs that ended before it came are not its matter, unless it asked for one. */
static void add_runs(struct watcher *w)
{
    struct watch *watch = &w->control->watch;
    if (w->cursor == 0)
        w->round = watch->serial;
    for (; w->cursor < watch->n_runs && w->pending.len < PENDING_FULL; w->cursor++) {
        const struct watched_run *run = &watch->runs[w->cursor];
        bool old = run->ended && run->serial <= w->joined && !w->run[0];
        if (run->serial > w->seen && !old && wants(w, run->id))
            add_event(w, "run", run->json);
    }
    if (w->cursor < watch->n_runs)
        return;
    w->seen = w->round;
    w->cursor = 0;
}

static void resume(struct watcher *w)
{
    if (w->suspended)
        control_resume(w->control, w->client);
    w->suspended = false;
}

static void fill(struct watcher *w, uint64_t now_ms)
{
    if (w->sent < w->pending.len || w->ending)
        return;
    buf_reset(&w->pending);
    w->sent = 0;
    add_failures(w);
    if (w->next_failure == w->control->watch.n_failures)
        add_runs(w);
    if (w->pending.len == 0 && now_ms - w->told_ms >= ALIVE_MS)
        buf_add_str(&w->pending, ": alive\n\n");
    if (w->pending.len == 0)
        return;
    w->told_ms = now_ms;
    resume(w);
}

/* ---- what all share ---- */

static void forget_runs(struct watch *watch)
{
    for (size_t i = 0; i < watch->n_runs; i++)
        free(watch->runs[i].json);
    free(watch->runs);
    table_done(&watch->by_id);
    watch->runs = NULL;
    watch->n_runs = watch->size_runs = watch->n_ended = 0;
}

static uint64_t seen_by_all(const struct watch *watch)
{
    uint64_t seen = watch->serial;
    for (const struct watcher *w = watch->watchers; w; w = w->after)
        if (w->seen < seen)
            seen = w->seen;
    return seen;
}

/* Moves the others together; the table holds pointers into the array and is made anew. */
static void forget_ended(struct watch *watch)
{
    uint64_t seen = seen_by_all(watch);
    size_t n = 0;
    table_done(&watch->by_id);
    watch->n_ended = 0;
    for (size_t i = 0; i < watch->n_runs; i++) {
        if (watch->runs[i].ended && watch->runs[i].serial <= seen) {
            free(watch->runs[i].json);
            continue;
        }
        watch->runs[n] = watch->runs[i];
        watch->n_ended += watch->runs[n].ended;
        n++;
    }
    watch->n_runs = n;
    for (struct watcher *w = watch->watchers; w; w = w->after)
        w->cursor = 0;
    for (size_t i = 0; i < n; i++)
        table_put(&watch->by_id, watch->runs[i].id, (uint32_t)i);
}

static void on_pump(uv_timer_t *timer)
{
    struct control *control = timer->data;
    uint64_t now_ms = uv_now(control->loop);
    for (struct watcher *w = control->watch.watchers; w; w = w->after)
        fill(w, now_ms);
    if (control->watch.n_ended > ENDED_MAX)
        forget_ended(&control->watch);
}

/* Room for one more; the table's keys move with the array. */
static int grow_runs(struct watch *watch)
{
    size_t size = watch->size_runs ? watch->size_runs * 2 : 16;
    struct watched_run *runs = realloc(watch->runs, size * sizeof(*runs));
    if (!runs)
        return -ENOMEM;
    watch->runs = runs;
    watch->size_runs = size;
    table_done(&watch->by_id);
    for (size_t i = 0; i < watch->n_runs; i++)
        if (table_put(&watch->by_id, runs[i].id, (uint32_t)i) < 0)
            return -ENOMEM;
    return 0;
}

static struct watched_run *run_of(struct watch *watch, const char *id)
{
    uint32_t at = table_get(&watch->by_id, id);
    if (at != TABLE_NONE)
        return &watch->runs[at];
    if (watch->n_runs == watch->size_runs && grow_runs(watch) < 0)
        return NULL;
    struct watched_run *run = &watch->runs[watch->n_runs];
    *run = (struct watched_run){0};
    snprintf(run->id, sizeof(run->id), "%s", id);
    if (table_put(&watch->by_id, run->id, (uint32_t)watch->n_runs) < 0)
        return NULL;
    watch->n_runs++;
    return run;
}

static bool state_is_end(const char *state)
{
    return strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
}

void control_tell_run(struct control *control, const struct control_run *told)
{
    struct watch *watch = &control->watch;
    if (!watch->watchers)
        return;
    struct buf json = BUF_INIT(JSON_MAX);
    struct watched_run *run = run_of(watch, told->id);
    if (!run || control_json_run(&json, told) < 0) {
        buf_done(&json);
        return; /* out of memory: the next turn tells it */
    }
    if (run->json && strcmp(run->json, buf_str(&json)) == 0) {
        buf_done(&json);
        return; /* nothing has changed */
    }
    bool ended = state_is_end(told->state);
    watch->n_ended = watch->n_ended + ended - run->ended;
    run->ended = ended;
    run->serial = ++watch->serial;
    free(run->json);
    run->json = buf_take(&json);
}

void control_tell_failure(struct control *control, const struct control_failure *told)
{
    struct watch *watch = &control->watch;
    struct watched_failure *failure = &watch->failures[watch->n_failures % CONTROL_FAILURES_KEPT];
    struct buf json = BUF_INIT(JSON_MAX);
    free(failure->json);
    failure->json = control_json_failure(&json, told) == 0 ? buf_take(&json) : NULL;
    buf_done(&json);
    snprintf(failure->run, sizeof(failure->run), "%s", told->run);
    watch->n_failures++;
}

bool control_watched(const struct control *control)
{
    return control->watch.watchers != NULL;
}

/* ---- coming and going ---- */

/* For libmicrohttpd: the next bytes. */
static ssize_t on_read(void *data, uint64_t position, char *ret, size_t max)
{
    struct watcher *w = data;
    (void)position;
    size_t left = w->pending.len - w->sent;
    if (left == 0 && w->ending)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (left == 0) {
        w->suspended = true;
        MHD_suspend_connection(w->client);
        return 0;
    }
    size_t n = left < max ? left : max;
    memcpy(ret, w->pending.data + w->sent, n);
    w->sent += n;
    return (ssize_t)n;
}

static void on_leave(void *data)
{
    struct watcher *w = data;
    struct watch *watch = &w->control->watch;
    if (w->before)
        w->before->after = w->after;
    else
        watch->watchers = w->after;
    if (w->after)
        w->after->before = w->before;
    watch->n_watchers--;
    if (!watch->watchers) {
        uv_timer_stop(&watch->timer);
        forget_runs(watch);
    }
    buf_done(&w->pending);
    free(w);
}

/* "EPOCH-NUMBER" as an event's id has it: where an earlier stream ended. */
static uint64_t first_failure(const struct watch *watch, const char *last_event_id)
{
    uint64_t epoch, number;
    if (last_event_id && sscanf(last_event_id, "%" SCNx64 "-%" SCNu64, &epoch, &number) == 2 &&
        epoch == watch->epoch && number <= watch->n_failures)
        return number;
    return watch->n_failures;
}

static struct watcher *watcher_new(struct control_request *r, const char *run, const char *last_event_id)
{
    struct watch *watch = &r->control->watch;
    struct watcher *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->control = r->control;
    w->client = r->client;
    w->pending = BUF_INIT(PENDING_MAX);
    w->joined = watch->serial;
    w->next_failure = first_failure(watch, last_event_id);
    w->told_ms = uv_now(r->control->loop);
    snprintf(w->run, sizeof(w->run), "%s", run);
    for (char *c = w->run; *c; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    buf_add_str(&w->pending, ": hello\n\n"); /* the client sees at once that it is connected */
    return w;
}

static void join(struct control *control, struct watcher *w)
{
    struct watch *watch = &control->watch;
    bool first = !watch->watchers;
    w->after = watch->watchers;
    if (w->after)
        w->after->before = w;
    watch->watchers = w;
    watch->n_watchers++;
    if (!first)
        return;
    uv_timer_start(&watch->timer, on_pump, PUMP_MS, PUMP_MS);
    control->options.ops->watched(control->options.data);
}

void control_watch_begin(struct control_request *r, const char *run, const char *last_event_id)
{
    struct control *control = r->control;
    if (control->watch.n_watchers >= CONTROL_WATCHERS_MAX) {
        control_reply_error(r, CONTROL_E_BUSY, "%d clients are watching already; end one of them",
                            CONTROL_WATCHERS_MAX);
        return;
    }
    struct watcher *w = watcher_new(r, run, last_event_id);
    struct MHD_Response *response =
        w ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_read, w, on_leave) : NULL;
    if (!response) {
        if (w)
            buf_done(&w->pending);
        free(w);
        control_reply_error(r, CONTROL_E_INTERNAL, "out of memory; try again");
        return;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    join(control, w);
    control_answer(r, MHD_HTTP_OK, response);
}

void control_watch_end(struct control *control)
{
    for (struct watcher *w = control->watch.watchers; w; w = w->after) {
        fill(w, uv_now(control->loop));
        add_event(w, "stopping", "{}");
        w->ending = true;
        resume(w);
    }
}

void control_watch_resume(struct control *control)
{
    for (struct watcher *w = control->watch.watchers; w; w = w->after)
        resume(w);
}

void control_watch_init(struct control *control)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    control->watch.epoch = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    control->watch.timer.data = control;
    uv_timer_init(control->loop, &control->watch.timer);
}

void control_watch_done(struct control *control)
{
    for (size_t i = 0; i < CONTROL_FAILURES_KEPT; i++)
        free(control->watch.failures[i].json);
    forget_runs(&control->watch);
}
