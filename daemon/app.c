#include "app.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <uv.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/ulid.h"
#include "codec/api.h"
#include "codec/report_text.h"
#include "codec/result_json.h"
#include "engine/engine.h"
#include "io/http_curl.h"
#include "io/loop.h"
#include "io/plan_files.h"
#include "io/result_file.h"
#include "io/settings_files.h"
#include "io/store_sqlite.h"
#include "model/plan.h"
#include "model/settings.h"
#include "progress.h"

#define DRAIN_MS 30000
#define CLOSE_STUCK_MS 1000 /* logging off: the state cannot be written */
#define CLOSE_ABORT_MS 5000 /* requests are given up */
#define CLOSE_MAX_MS 15000
#define EXIT_FAILURES 1
#define EXIT_INVALID 2
#define EXIT_UNREACHABLE 3
#define EXIT_INTERRUPTED 4

struct app {
    const struct settings *settings;
    const struct app_options *options;
    const struct server_settings *server;
    uv_loop_t loop;
    uv_timer_t timer;
    uv_async_t wake;
    uv_signal_t signals[2];
    bool handles;
    struct store_sqlite *store;
    struct http_curl *http;
    struct engine *engine;
    struct plan_files files;
    struct store_run run;
    struct progress progress;
    struct rng rng;
    bool resumed;
    bool added; /* the engine has the run */
    unsigned interrupts;
    uint64_t drain_ms;   /* the drain ends then */
    uint64_t log_off_ms; /* the logoff was begun; given up some seconds later */
    bool aborted, closing;
    int exit_code;
};

/* ---- what it says ---- */

static int stdout_write(const char *data, size_t len, void *user)
{
    (void)user;
    return fwrite(data, 1, len, stdout) == len ? 0 : -EIO;
}

static const struct item *app_item(size_t index, void *user)
{
    struct app *app = user;
    return engine_run_item(app->engine, app->run.id, index);
}

struct produce {
    struct app *app;
    struct result_run run;
    struct result_items items;
};

static int produce_result(int (*write)(const char *data, size_t len, void *sink), void *sink, void *user)
{
    const struct produce *p = user;
    return result_json_write(&p->run, &p->items, &(struct result_sink){write, sink});
}

static bool run_ended(const struct run_status *status)
{
    return status->state == RUN_SUCCEEDED || status->state == RUN_FAILED || status->state == RUN_CANCELLED;
}

static void app_report(struct app *app)
{
    struct run_status status = engine_run_status(app->engine, app->run.id);
    bool ended = run_ended(&status);
    struct produce p = {.app = app, .items = {status.n_items, app_item, app}};
    struct buf error = BUF_INIT(4096);
    const char *path = app->options->result_path;
    p.run = (struct result_run){.run = app->run.id,
                                .plan = app->run.plan,
                                .file = app->run.file,
                                .server = app->run.server,
                                .state = run_state_name(ended ? status.state : RUN_PAUSED),
                                .started_ms = app->run.accepted_ms,
                                .finished_ms = ended ? loop_now().wall_ms : 0};
    if (path && result_file_write(path, produce_result, &p, &error) < 0) {
        fprintf(stderr, "%s\n", buf_str(&error));
        path = NULL;
        if (app->exit_code == 0)
            app->exit_code = EXIT_FAILURES;
    }
    if (ended && path == app->options->result_path &&
        store_sqlite_end_run(app->store, app->run.id, status.state, p.run.finished_ms) < 0)
        log_warning("the end of the run could not be stored: the same command will report it again");
    report_text_write(&p.run, &p.items, path, &(struct result_sink){stdout_write, NULL});
    fflush(stdout);
    buf_done(&error);
}

static void app_log(enum log_level level, const char *line, void *data)
{
    static const char *const words[] = {"error: ", "warning: ", "", "debug: "};
    struct app *app = data;
    progress_clear(&app->progress);
    fprintf(stderr, "%s%s\n", words[level], line);
}

static void app_say(struct app *app, const char *text)
{
    progress_clear(&app->progress);
    fprintf(stderr, "%s\n", text);
}

/* ---- turning ---- */

static void app_turn(struct app *app);

static void on_timer(uv_timer_t *timer)
{
    app_turn(timer->data);
}

static void on_async(uv_async_t *async)
{
    app_turn(async->data);
}

static void on_wake(void *data)
{
    uv_async_send(&((struct app *)data)->wake);
}

static void on_transition(const char *run_id, const struct item *from, const struct item *to, void *data)
{
    (void)run_id;
    (void)data;
    if (from->state != to->state)
        log_debug("item %u '%s': %s -> %s%s%s", to->index, to->name ? to->name : "",
                  item_state_name(from->state), item_state_name(to->state), to->message ? ": " : "",
                  to->message ? to->message : "");
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct app *app = handle->data;
    (void)number;
    if (++app->interrupts > 1)
        _exit(EXIT_INTERRUPTED);
    app_say(app,
            "stopping: nothing new is started; what runs is awaited for up to 30 s (again: leave at once)");
    app->drain_ms = loop_now().mono_ms + DRAIN_MS;
    engine_stop(app->engine);
    app_turn(app);
}

static void app_finish(struct app *app, int exit_code)
{
    if (app->closing)
        return;
    app->closing = true;
    app->exit_code = exit_code;
    app->log_off_ms = loop_now().mono_ms;
    engine_log_off(app->engine);
}

static bool app_ended(struct app *app, const struct run_status *status)
{
    if (status->state == RUN_SUCCEEDED)
        app_finish(app, 0);
    else if (status->state == RUN_FAILED)
        app_finish(app, EXIT_FAILURES);
    else if (status->state == RUN_CANCELLED)
        app_finish(app, EXIT_INTERRUPTED);
    return app->closing;
}

static void app_give_up(struct app *app, const char *what, const char *why, const char *remedy)
{
    progress_clear(&app->progress);
    struct buf text = BUF_INIT(8192);
    buf_printf(&text, "server %s (%s): %s: %s; %s", app->server->name, app->server->url, what, why, remedy);
    log_error("%s", buf_str(&text));
    buf_done(&text);
    app_finish(app, EXIT_UNREACHABLE);
}

static void app_check_server(struct app *app, uint64_t now_ms)
{
    struct server_status s = engine_server_status(app->engine, app->server->name);
    bool over = s.since_ms && now_ms - s.since_ms >= app->server->unreachable_ms;
    if (s.trouble == SERVER_TLS)
        app_give_up(app, "its TLS certificate is not accepted", s.message,
                    "check tls.ca_file, tls.pin and the name in url; no credentials were sent");
    else if (s.trouble == SERVER_CREDENTIALS)
        app_give_up(app, "the credentials are refused", s.message,
                    "check username and password, and that the account has a role in Enterprise Manager");
    else if (s.trouble == SERVER_WRONG)
        app_give_up(app, "this is not the API", s.message, "check url and port");
    else if (over)
        app_give_up(app, "it cannot be reached", s.message,
                    "the run stays open: the same command goes on with it");
}

static void app_check_store(struct app *app, uint64_t now_ms)
{
    int error;
    uint64_t since = engine_store_failing(app->engine, &error);
    if (!since || now_ms - since < app->server->unreachable_ms)
        return;
    log_error("the state in %s cannot be written: %s; make room, then the same command goes on with the run",
              app->settings->state_directory, strerror(-error));
    app_finish(app, EXIT_UNREACHABLE);
}

static void app_check_drain(struct app *app, const struct run_status *status, uint64_t now_ms)
{
    if (!app->interrupts)
        return;
    size_t open = status->count[ITEM_SUBMITTING] + status->count[ITEM_RUNNING];
    if ((open == 0 && !status->verifying) || now_ms >= app->drain_ms)
        app_finish(app, EXIT_INTERRUPTED);
}

static void app_arm(struct app *app, uint64_t now_ms)
{
    uint64_t due = engine_next_due(app->engine);
    uint64_t wait = due <= now_ms ? 0 : due - now_ms;
    uv_update_time(&app->loop);
    uv_timer_start(&app->timer, on_timer, wait < 100 ? wait : 100,
                   0); /* progress wants a look ten times a second */
}

/* Is nothing under way any more? A server that answers no more, or a disk that is
 * full, is waited for a while only. */
static bool app_closed(struct app *app)
{
    struct instant now = loop_now(); /* read anew: closing may have begun within this turn */
    uint64_t waited = now.mono_ms - app->log_off_ms;
    int store_error;
    engine_advance(app->engine, now);
    if (waited > CLOSE_ABORT_MS && !app->aborted) {
        app->aborted = true;
        engine_abort(app->engine);
    }
    bool stuck = engine_store_failing(app->engine, &store_error) != 0;
    return engine_idle(app->engine) || (stuck && waited > CLOSE_STUCK_MS) || waited > CLOSE_MAX_MS;
}

static void app_turn(struct app *app)
{
    struct instant now = loop_now();
    engine_advance(app->engine, now);
    struct run_status status = engine_run_status(app->engine, app->run.id);
    struct server_status server = engine_server_status(app->engine, app->server->name);
    if (!app->closing && !app_ended(app, &status)) {
        progress_show(&app->progress, &status, server.trouble == SERVER_UNREACHABLE ? server.message : "",
                      now.mono_ms);
        app_check_server(app, now.mono_ms);
        app_check_store(app, now.mono_ms);
        app_check_drain(app, &status, now.mono_ms);
    }
    if (app->closing && app_closed(app)) {
        uv_stop(&app->loop);
        return;
    }
    app_arm(app, now.mono_ms);
}

/* ---- building ---- */

static int app_seed(struct app *app)
{
    return getrandom(&app->rng.state, sizeof(app->rng.state), 0) == sizeof(app->rng.state) ? 0 : -EIO;
}

static const char *state_directory(const struct app *app)
{
    const char *given = getenv("STATE_DIRECTORY");
    if (app->options->state_directory)
        return app->options->state_directory;
    return !app->settings->state_given && given && *given ? given : app->settings->state_directory;
}

/* Reads and checks the plan as it is now: 0, or an exit code. */
static int app_check_plan(struct app *app, int64_t accepted_ms, struct plan **ret)
{
    struct diag diag = DIAG_INIT;
    int r = plan_files_decode(&app->files, app->settings, false, accepted_ms, ret, &diag);
    diag_print(&diag, stderr);
    diag_done(&diag);
    return r < 0 ? EXIT_INVALID : 0;
}

static int app_open_store(struct app *app)
{
    struct buf error = BUF_INIT(4096);
    int r = store_sqlite_open(&app->loop, state_directory(app), &app->store, &error);
    if (r < 0)
        fprintf(stderr, "%s\n", buf_str(&error));
    buf_done(&error);
    if (r == 0 && store_sqlite_prune(app->store, loop_now().wall_ms - (int64_t)app->settings->keep_ms) < 0)
        log_warning("old runs in %s could not be forgotten; tried again at the next start",
                    state_directory(app));
    return r < 0 ? EXIT_UNREACHABLE : 0;
}

static int dup_bytes(struct buf *to, const struct buf *from)
{
    *to = BUF_INIT(from->len + 1);
    return buf_add(to, from->data ? from->data : "", from->len);
}

static int app_new_run(struct app *app, const struct plan *plan, int64_t accepted_ms)
{
    char id[ULID_LEN + 1];
    struct store_run *run = &app->run;
    ulid_make(id, accepted_ms, &app->rng);
    *run = (struct store_run){.id = strdup(id),
                              .plan = strdup(plan->name),
                              .file = strdup(app->options->plan_path),
                              .server = strdup(plan->server),
                              .hash = strdup(app->files.hash),
                              .state = RUN_QUEUED,
                              .accepted_ms = accepted_ms};
    run->csv = calloc(app->files.n_csv + 1, sizeof(*run->csv));
    if (!run->id || !run->plan || !run->file || !run->server || !run->hash || !run->csv ||
        dup_bytes(&run->bytes, &app->files.bytes) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < app->files.n_csv; i++) {
        run->csv[i].path = strdup(app->files.csv[i].path);
        run->n_csv++;
        if (!run->csv[i].path || dup_bytes(&run->csv[i].bytes, &app->files.csv[i].bytes) < 0)
            return -ENOMEM;
    }
    return store_sqlite_add_run(app->store, run);
}

/* Finds the run that was interrupted, or accepts a new one. `date` is fixed when a
 * run is accepted, so the plan of an old run is expanded again with its moment. */
static int app_accept(struct app *app, struct plan **plan)
{
    int64_t now = loop_now().wall_ms;
    int r = store_sqlite_find_open_run(app->store, (*plan)->name, app->files.hash, &app->run);
    if (r == 0) {
        app->resumed = true;
        fprintf(stderr, "going on with run %s\n", app->run.id);
        *plan = plan_free(*plan);
        return app_check_plan(app, app->run.accepted_ms, plan);
    }
    if (r == -ENOENT)
        r = app_new_run(app, *plan, now);
    if (r < 0)
        fprintf(stderr, "the run cannot be stored in %s: %s\n", state_directory(app), strerror(-r));
    return r < 0 ? EXIT_UNREACHABLE : 0;
}

static int app_connect(struct app *app)
{
    struct buf error = BUF_INIT(4096);
    char *password = NULL;
    const char *why = "";
    int r = settings_password(app->server, &password, &error);
    if (r == 0) {
        r = http_curl_new(&app->loop, app->server, password, api_xml.media_type, &app->http, &why);
        explicit_bzero(password, strlen(password));
        free(password);
        if (r < 0)
            buf_printf(&error, "server %s: %s", app->server->name, *why ? why : strerror(-r));
    }
    if (r < 0)
        fprintf(stderr, "%s\n", buf_str(&error));
    buf_done(&error);
    if (r == 0 && !app->server->verify)
        log_warning("server %s: tls.verify is false: the certificate is not checked", app->server->name);
    return r < 0 ? EXIT_INVALID : 0;
}

struct stored {
    struct arena *arena; /* what the store shows is good for the call only */
    struct item *items;
    size_t n, size;
    struct engine_held *held;
    size_t n_held, size_held;
};

static int on_stored(const struct item *item, void *data)
{
    struct stored *s = data;
    if (s->n == s->size) {
        size_t size = s->size ? s->size * 2 : 64;
        struct item *items = realloc(s->items, size * sizeof(*items));
        if (!items)
            return -ENOMEM;
        s->items = items;
        s->size = size;
    }
    s->items[s->n++] = *item;
    return 0;
}

static int on_held(const char *run_id, const struct item *item, void *data)
{
    struct stored *s = data;
    (void)run_id;
    if (!item->server_id || !item->name)
        return 0;
    if (s->n_held == s->size_held) {
        size_t size = s->size_held ? s->size_held * 2 : 64;
        struct engine_held *held = realloc(s->held, size * sizeof(*held));
        if (!held)
            return -ENOMEM;
        s->held = held;
        s->size_held = size;
    }
    struct engine_held *held = &s->held[s->n_held++];
    *held = (struct engine_held){arena_intern(s->arena, item->server_id), arena_intern(s->arena, item->name),
                                 arena_intern(s->arena, item->job_uid), item->state != ITEM_SUCCEEDED};
    return held->server_id && held->name ? 0 : -ENOMEM;
}

static int app_add_run(struct app *app, struct plan *plan, struct arena *arena)
{
    struct stored stored = {.arena = arena};
    struct instant now = loop_now();
    int64_t since = now.wall_ms - (int64_t)app->server->settle_ms;
    int r = app->resumed ? store_sqlite_load_items(app->store, app->run.id, arena, on_stored, &stored) : 0;
    if (r == 0)
        r = store_sqlite_held_names(app->store, app->run.server, app->run.id, since, on_held, &stored);
    if (r == 0)
        r = engine_add_server(app->engine, app->server, http_curl_port(app->http), &api_xml);
    if (r == 0) {
        struct engine_run_options options = {app->run.id, plan,        app->resumed, stored.items,
                                             stored.n,    stored.held, stored.n_held};
        r = engine_add_run(app->engine, &options, now);
    } else {
        plan_free(plan);
    }
    free(stored.items);
    free(stored.held);
    return r;
}

static int app_build(struct app *app, struct plan *plan)
{
    struct arena *arena = arena_new();
    struct engine_config config = {store_sqlite_port(app->store), rng_next(&app->rng), on_wake, on_transition,
                                   app};
    app->engine = engine_new(&config);
    int r = -ENOMEM;
    if (arena && app->engine)
        r = app_add_run(app, plan, arena);
    else
        plan_free(plan);
    arena_free(arena);
    if (r < 0)
        fprintf(stderr, "the run cannot be started: %s\n", strerror(-r));
    app->added = r == 0;
    return r < 0 ? EXIT_UNREACHABLE : 0;
}

static void app_start_handles(struct app *app)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    uv_timer_init(&app->loop, &app->timer);
    uv_async_init(&app->loop, &app->wake, on_async);
    app->timer.data = app->wake.data = app;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        uv_signal_init(&app->loop, &app->signals[i]);
        app->signals[i].data = app;
        uv_signal_start(&app->signals[i], on_signal, numbers[i]);
    }
    app->handles = true;
}

static int app_prepare(struct app *app, struct plan **plan)
{
    struct buf error = BUF_INIT(4096);
    int r = plan_files_load(app->options->plan_path, app->settings->plan_bytes, &app->files, &error);
    if (r < 0)
        fprintf(stderr, "%s\n", buf_str(&error));
    buf_done(&error);
    if (r < 0)
        return EXIT_INVALID;
    r = app_check_plan(app, loop_now().wall_ms, plan);
    if (r)
        return r;
    app->server = settings_server(app->settings, (*plan)->server);
    if (app->server && app->server->format != SETTINGS_FORMAT_XML) {
        fprintf(stderr, "server %s: format json is not supported by this version; use format: xml\n",
                app->server->name);
        return EXIT_INVALID;
    }
    plan_files_hash(&app->files);
    r = app_connect(app);
    if (!r)
        r = app_open_store(app);
    return r ? r : app_accept(app, plan);
}

static void on_closed(void *data)
{
    (void)data;
}

static void app_close(struct app *app)
{
    if (app->http)
        http_curl_close(app->http, on_closed, NULL);
    if (app->handles) {
        uv_close((uv_handle_t *)&app->timer, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(app->signals); i++)
            uv_close((uv_handle_t *)&app->signals[i], NULL);
    }
    uv_run(&app->loop, UV_RUN_NOWAIT); /* what was aborted is given back */
    if (app->handles)
        uv_close((uv_handle_t *)&app->wake, NULL);
    uv_run(&app->loop, UV_RUN_DEFAULT);
    engine_free(app->engine);
    store_sqlite_close(app->store);
    store_run_done(&app->run);
    plan_files_done(&app->files);
    log_set_sink(NULL, NULL);
    uv_loop_close(&app->loop);
}

int app_once(const struct settings *settings, const struct app_options *options)
{
    struct app app = {.settings = settings, .options = options};
    struct plan *plan = NULL;
    if (uv_loop_init(&app.loop) < 0 || app_seed(&app) < 0) {
        fprintf(stderr, "the event loop cannot be made\n");
        return EXIT_UNREACHABLE;
    }
    progress_init(&app.progress, loop_now().mono_ms);
    log_set_sink(app_log, &app);
    app.exit_code = app_prepare(&app, &plan);
    if (!app.exit_code)
        app.exit_code = app_build(&app, TAKE_PTR(plan));
    plan_free(plan);
    if (!app.exit_code) {
        app_start_handles(&app);
        app_turn(&app);
        uv_run(&app.loop, UV_RUN_DEFAULT);
        progress_clear(&app.progress);
        app_report(&app);
    }
    int exit_code = app.exit_code;
    app_close(&app);
    return app.exit_code ? app.exit_code : exit_code;
}
