/* jobclonectl watch. Happy path: the event stream is opened, every run told is
 * shown, the end of the run that is watched ends the program. When the stream
 * breaks (the daemon restarts), it is opened again every second, and what was known is
 * asked for anew, since an end may have been missed meanwhile. */
#include "ctl/watch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "ctl/client.h"
#include "ctl/events.h"
#include "ctl/view.h"

#define AGAIN_MS 1000
#define TICK_MS 200
#define SILENT_S 45L /* the daemon says something every 15 s */
#define ERROR_BYTES ((size_t)1024 * 1024)

struct watch {
    const struct ctl *ctl;
    const char *run; /* whole id, or NULL */
    bool json;
    int fd;
    struct view view;
    struct events events;
    CURLM *multi;
    CURL *curl; /* the stream, or NULL while it is closed */
    struct curl_slist *headers;
    struct buf error; /* of an answer that is no stream */
    bool heard;       /* something came on this stream */
    bool connected_once, ended;
    uint64_t again_ms;
    int code;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static void on_resize(int number)
{
    (void)number; /* it ends the poll, and the next picture has the new size */
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int code_of_state(const char *state)
{
    if (strcmp(state, "succeeded") == 0)
        return CTL_OK;
    return strcmp(state, "cancelled") == 0 ? CTL_INTERRUPTED : CTL_FAILURES;
}

static void take_run(struct watch *w, json_t *run)
{
    const char *id = json_string_value(json_object_get(run, "run"));
    bool ended = view_run(&w->view, run, now_ms());
    if (!ended || !w->run || !id || strcmp(id, w->run) != 0)
        return;
    w->ended = true;
    w->code = code_of_state(json_string_value(json_object_get(run, "state")));
}

/* {"event":"run","data":{...}} on a line of its own. */
static void print_event(const char *event, const char *data, size_t len)
{
    printf("{\"event\":\"%s\",\"data\":%.*s}\n", event, (int)len, data);
    fflush(stdout);
}

static void on_event(const char *event, const char *data, size_t len, void *user)
{
    struct watch *w = user;
    json_t *json = json_loadb(data, len, 0, NULL);
    if (!json_is_object(json) || w->ended) {
        json_decref(json);
        return;
    }
    if (w->json)
        print_event(event, data, len);
    if (strcmp(event, "run") == 0)
        take_run(w, json);
    else if (strcmp(event, "failure") == 0)
        view_failure(&w->view, json);
    else if (strcmp(event, "missed") == 0)
        view_say(&w->view, "some failures are not shown: they came too fast; the result has all");
    json_decref(json);
}

/* ---- after the stream was opened ---- */

/* An end that no event tells any more. */
static void print_end(json_t *run)
{
    _cleanup_free_ char *text = json_dumps(run, JSON_COMPACT);
    if (text)
        print_event("run", text, strlen(text));
}

/* One run as it is now; forgotten when the daemon has it no more. */
static void refresh(struct watch *w, const char *id)
{
    _cleanup_free_ char *path = client_path("/v1/runs/", id, "");
    json_t *run = NULL;
    int r = path ? client_get(w->ctl, path, &run) : CTL_UNREACHABLE;
    if (r == CTL_OK) {
        take_run(w, run);
        if (w->json && w->ended)
            print_end(run);
    } else if (r == CTL_INVALID) {
        view_forget(&w->view, id);
        w->ended |= w->run != NULL;
        w->code = r;
    }
    json_decref(run);
}

static void refresh_all(struct watch *w)
{
    size_t n = w->view.n_runs;
    char(*ids)[32] = calloc(n + 1, sizeof(*ids));
    for (size_t i = 0; ids && i < n; i++)
        memcpy(ids[i], w->view.runs[i].id, sizeof(ids[i]));
    for (size_t i = 0; ids && i < n && !w->ended; i++)
        refresh(w, ids[i]);
    if (w->run && n == 0)
        refresh(w, w->run);
    free(ids);
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct watch *w = user;
    long status = 0;
    (void)size; /* 1 */
    curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return buf_add(&w->error, data, n) == 0 ? n : 0;
    if (!w->heard) {
        if (w->connected_once)
            view_say(&w->view, "the daemon is back");
        w->heard = w->connected_once = true;
        view_note(&w->view, "");
        view_restart(&w->view);
        refresh_all(w);
    }
    return events_feed(&w->events, data, n) == 0 ? n : 0;
}

/* ---- the stream ---- */

static int open_stream(struct watch *w)
{
    char path[128], header[128];
    snprintf(path, sizeof(path), "/v1/events%s%s", w->run ? "?run=" : "", w->run ? w->run : "");
    events_restart(&w->events);
    buf_reset(&w->error);
    w->heard = false;
    w->curl = client_handle(w->ctl, path);
    if (!w->curl)
        return CTL_UNREACHABLE;
    if (*w->events.id) {
        snprintf(header, sizeof(header), "Last-Event-ID: %s", w->events.id);
        curl_slist_free_all(w->headers);
        w->headers = curl_slist_append(NULL, header);
        curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, w->headers);
    }
    curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, w);
    curl_easy_setopt(w->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(w->curl, CURLOPT_LOW_SPEED_TIME, SILENT_S);
    curl_multi_add_handle(w->multi, w->curl);
    return CTL_OK;
}

/* The first time it must work; later it is tried until it does. */
static void stream_ended(struct watch *w, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
    if (!w->ended && !w->connected_once) {
        w->code = status >= 300 ? client_say_refused(w->ctl, status, &w->error)
                                : client_say_failed(w->ctl, w->curl, code, false);
        w->ended = true;
    }
    curl_multi_remove_handle(w->multi, w->curl);
    curl_easy_cleanup(w->curl);
    w->curl = NULL;
    w->again_ms = now_ms() + AGAIN_MS;
    if (!w->ended)
        view_note(&w->view, "the daemon is away; waiting for it to come back");
}

static void read_ends(struct watch *w)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(w->multi, &left));)
        if (message->msg == CURLMSG_DONE)
            stream_ended(w, message->data.result);
}

static void go_on(struct watch *w)
{
    int running;
    while (!w->ended && !stopped) {
        if (!w->curl && now_ms() >= w->again_ms && open_stream(w) != CTL_OK)
            w->ended = true;
        curl_multi_perform(w->multi, &running);
        read_ends(w);
        if (w->heard && w->curl)
            view_tick(&w->view, now_ms());
        if (w->json)
            buf_reset(&w->view.above);
        else
            view_draw(&w->view, now_ms());
        if (!w->ended && !stopped)
            curl_multi_poll(w->multi, NULL, 0, TICK_MS, NULL);
    }
}

static void catch_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal}, resize = {.sa_handler = on_resize};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGHUP, &stop, NULL);
    sigaction(SIGWINCH, &resize, NULL);
}

int watch_run(const struct ctl *ctl, const char *run, int fd, bool events)
{
    struct watch w = {.ctl = ctl,
                      .run = run,
                      .json = events,
                      .fd = fd,
                      .error = BUF_INIT(ERROR_BYTES),
                      .multi = curl_multi_init(),
                      .code = CTL_UNREACHABLE};
    if (!w.multi) {
        command_say("out of memory");
        return CTL_UNREACHABLE;
    }
    catch_signals();
    fflush(stdout);
    view_init(&w.view, fd);
    w.view.terminal &= !events;
    events_init(&w.events, on_event, &w);
    go_on(&w);
    if (!w.ended)
        w.code = run ? CTL_INTERRUPTED : CTL_OK;
    if (w.json)
        buf_reset(&w.view.above);
    view_done(&w.view);
    if (w.curl) {
        curl_multi_remove_handle(w.multi, w.curl);
        curl_easy_cleanup(w.curl);
    }
    curl_multi_cleanup(w.multi);
    curl_slist_free_all(w.headers);
    events_done(&w.events);
    buf_done(&w.error);
    return w.code;
}

int command_watch(struct ctl *ctl)
{
    if (ctl->n_words == 0)
        return watch_run(ctl, NULL, 1, ctl->json);
    _cleanup_free_ char *path = client_path("/v1/runs/", ctl->words[0], "");
    json_t *run = NULL;
    int r = path ? client_get(ctl, path, &run) : CTL_UNREACHABLE;
    const char *id = json_string_value(json_object_get(run, "run"));
    if (r == CTL_OK && id)
        r = watch_run(ctl, id, 1, ctl->json);
    json_decref(run);
    return r;
}
