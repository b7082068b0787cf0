#include "once.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "base/log.h"
#include "base/ulid.h"
#include "codec/report_text.h"
#include "codec/result_json.h"
#include "engine/engine.h"
#include "host.h"
#include "io/loop.h"
#include "io/plan_files.h"
#include "io/result_file.h"
#include "io/store_sqlite.h"
#include "model/plan.h"
#include "model/settings.h"
#include "once_older.h"
#include "progress.h"
#include "run_load.h"

#define DRAIN_MS 30000
#define TURN_MS 100 /* progress wants a look ten times a second */
#define EXIT_FAILURES 1
#define EXIT_INVALID 2
#define EXIT_UNREACHABLE 3
#define EXIT_INTERRUPTED 4

struct once {
    const struct settings *settings;
    const struct once_options *options;
    const struct server_settings *server;
    struct host host;
    struct host_server *connected; /* `server` */
    struct plan_files files;
    struct store_run run;
    struct progress progress;
    bool resumed;
    unsigned interrupts;
    uint64_t drain_ms; /* the drain ends then */
    int exit_code;
};

/* ---- what it says ---- */

static int stdout_write(const char *data, size_t len, void *user)
{
    (void)user;
    return fwrite(data, 1, len, stdout) == len ? 0 : errno ? -errno : -EIO;
}

static const struct item *once_item(size_t index, void *user)
{
    struct once *once = user;
    return engine_run_item(once->host.engine, once->run.id, index);
}

struct produce {
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

/* There may have been no memory for the sentence. */
static void once_say_error(const struct buf *error, int r)
{
    fprintf(stderr, "%s\n", error->len ? buf_str(error) : strerror(-r));
}

/* A report that nobody gets is no success; the result, if one was asked for, has been written before. */
static void once_print_report(struct once *once, const struct produce *p, const char *result_path)
{
    int r = report_text_write(&p->run, &p->items, result_path, &(struct result_sink){stdout_write, NULL});
    if (fflush(stdout) != 0 && r == 0)
        r = -errno;
    if (r == 0 || r == -EBADF) /* closed by the caller, who wants no report */
        return;
    fprintf(stderr, "the report cannot be written to standard output: %s; run %s is %s, %s%s\n", strerror(-r),
            p->run.run, p->run.state,
            result_path ? "and its outcome is in "
                        : "and with --result FILE its outcome is written to a file too",
            result_path ? result_path : "");
    if (once->exit_code == 0)
        once->exit_code = EXIT_INVALID; /* as jobclonectl */
}

static void once_report(struct once *once)
{
    struct run_status status = engine_run_status(once->host.engine, once->run.id);
    bool ended = run_ended(&status);
    struct produce p = {.items = {status.n_items, once_item, once}};
    struct buf error = BUF_INIT(4096);
    const char *path = once->options->result_path;
    char opens[WINDOW_TEXT_MAX];
    if (status.opens_ms)
        window_clock(status.window, status.opens_ms, opens);
    p.run = (struct result_run){.run = once->run.id,
                                .plan = once->run.plan,
                                .file = once->run.file,
                                .server = once->run.server,
                                .state = run_state_name(ended ? status.state : RUN_PAUSED),
                                .started_ms = once->run.accepted_ms,
                                .finished_ms = ended ? loop_now().wall_ms : 0,
                                .window_opens = status.opens_ms ? opens : NULL,
                                .once = true};
    int r = path ? result_file_write(path, produce_result, &p, &error) : 0;
    if (r < 0) {
        buf_add_str(&error, "; see to it, then the same command writes it");
        once_say_error(&error, r);
        path = NULL;
        if (once->exit_code == 0)
            once->exit_code = EXIT_FAILURES;
    }
    if (ended && path == once->options->result_path &&
        store_sqlite_end_run(once->host.store, once->run.id, status.state, p.run.finished_ms) < 0)
        log_warning("the end of the run could not be stored: the same command will report it again");
    buf_done(&error);
    once_print_report(once, &p, path);
}

static void once_log(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    static const char *const words[] = {"error: ", "warning: ", "", "debug: "};
    struct once *once = data;
    (void)fields;
    progress_clear(&once->progress);
    fprintf(stderr, "%s%s\n", words[level], line);
}

static void once_say(struct once *once, const char *text)
{
    progress_clear(&once->progress);
    fprintf(stderr, "%s\n", text);
}

/* ---- turning ---- */

static void on_transition(const char *run_id, const struct item *from, const struct item *to, void *data)
{
    (void)run_id;
    (void)data;
    if (from->state != to->state)
        log_debug("item %u '%s': %s -> %s%s%s", to->index, to->name ? to->name : "",
                  item_state_name(from->state), item_state_name(to->state), to->message ? ": " : "",
                  to->message ? to->message : "");
}

static void on_signal(int number, void *data)
{
    struct once *once = data;
    (void)number;
    if (++once->interrupts > 1)
        _exit(EXIT_INTERRUPTED);
    once_say(once,
             "stopping: nothing new is started; what runs is awaited for up to 30 s (again: leave at once)");
    once->drain_ms = loop_now().mono_ms + DRAIN_MS;
    engine_stop(once->host.engine);
    host_turn(&once->host);
}

static void once_finish(struct once *once, int exit_code)
{
    if (once->host.closing)
        return;
    once->exit_code = exit_code;
    host_log_off(&once->host, false);
}

static bool once_ended(struct once *once, const struct run_status *status)
{
    if (status->state == RUN_SUCCEEDED)
        once_finish(once, 0);
    else if (status->state == RUN_FAILED)
        once_finish(once, EXIT_FAILURES);
    else if (status->state == RUN_CANCELLED)
        once_finish(once, EXIT_INTERRUPTED);
    return once->host.closing;
}

static void once_give_up(struct once *once, const char *what, const char *why, const char *remedy)
{
    progress_clear(&once->progress);
    log_error("server %s (%s): %s: %s; %s", once->server->name, once->server->url, what, why, remedy);
    once_finish(once, EXIT_UNREACHABLE);
}

/* Nothing could be asked, or stored, since then: is it time to give up, and to leave the run open? Trouble
 * that begins when timeouts.run is over has its own time: what still runs is awaited, and a run that was left
 * open so is to get its end from the server. */
static bool once_is_long(const struct once *once, uint64_t over_ms, uint64_t since_ms, uint64_t now_ms,
                         bool idle)
{
    return (since_ms < over_ms && now_ms >= over_ms) ||
           (!idle && now_ms - since_ms >= once->server->unreachable_ms);
}

static void once_check_server(struct once *once, const struct run_status *status, uint64_t now_ms)
{
    struct server_status s = engine_server_status(once->host.engine, once->server->name);
    bool past = now_ms >= status->over_ms, idle = status->opens_ms != 0 && !past;
    bool over = s.since_ms && once_is_long(once, status->over_ms, s.since_ms, now_ms, idle);
    if (s.trouble == SERVER_TLS)
        once_give_up(once, "its TLS is not accepted", s.message,
                     "check tls.ca_file, tls.pin and the name in url; no credentials were sent");
    else if (s.trouble == SERVER_CREDENTIALS)
        once_give_up(once, "the credentials are refused", s.message,
                     "check username and password, and that the account has a role in Enterprise Manager");
    else if (s.trouble == SERVER_WRONG)
        once_give_up(once, "this is not the API", s.message, "check url and port");
    else if (over)
        once_give_up(once, "it cannot be reached", s.message,
                     past ? "the time of the run (timeouts.run) is over: the same command ends it when the "
                            "server answers"
                          : "the run stays open: the same command goes on with it");
}

static void once_check_store(struct once *once, const struct run_status *status, uint64_t now_ms)
{
    int error;
    uint64_t since = engine_store_failing(once->host.engine, &error);
    if (!since || !once_is_long(once, status->over_ms, since, now_ms, false))
        return;
    log_error("the state in %s cannot be written: %s; make room, then the same command goes on with the run",
              host_state_directory(once->settings, once->options->state_directory), strerror(-error));
    once_finish(once, EXIT_UNREACHABLE);
}

static void once_check_drain(struct once *once, const struct run_status *status, uint64_t now_ms)
{
    if (!once->interrupts)
        return;
    size_t open = status->count[ITEM_SUBMITTING] + status->count[ITEM_RUNNING];
    if ((open == 0 && !status->verifying) || now_ms >= once->drain_ms)
        once_finish(once, EXIT_INTERRUPTED);
}

static uint64_t on_turn(struct instant now, void *data)
{
    struct once *once = data;
    struct run_status status = engine_run_status(once->host.engine, once->run.id);
    struct server_status server = engine_server_status(once->host.engine, once->server->name);
    if (!once->host.closing && !once_ended(once, &status)) {
        progress_show(&once->progress, &status, server.trouble == SERVER_UNREACHABLE ? server.message : "",
                      now.mono_ms);
        once_check_server(once, &status, now.mono_ms);
        once_check_store(once, &status, now.mono_ms);
        once_check_drain(once, &status, now.mono_ms);
    }
    return TURN_MS;
}

/* ---- building ---- */

/* Reads and checks the plan as it is now: 0, or an exit code. */
static int once_check_plan(struct once *once, int64_t accepted_ms, struct plan **ret)
{
    struct diag diag = DIAG_INIT;
    int r = plan_files_decode(&once->files, once->settings, false, accepted_ms, ret, &diag);
    diag_print(&diag, stderr);
    if (r < 0 && diag.count == 0)
        fprintf(stderr, "%s: %s\n", once->options->plan_path, strerror(-r));
    diag_done(&diag);
    return r < 0 ? EXIT_INVALID : 0;
}

static int once_open_store(struct once *once)
{
    struct buf error = BUF_INIT(4096);
    int r = host_open_store(&once->host, host_state_directory(once->settings, once->options->state_directory),
                            once->settings->keep_ms, &error);
    if (r < 0)
        once_say_error(&error, r);
    buf_done(&error);
    return r < 0 ? EXIT_UNREACHABLE : 0;
}

static int dup_bytes(struct buf *to, const struct buf *from)
{
    *to = BUF_INIT(from->len + 1);
    return buf_add(to, from->data ? from->data : "", from->len);
}

static int once_new_run(struct once *once, const struct plan *plan, int64_t accepted_ms)
{
    char id[ULID_LEN + 1];
    struct store_run *run = &once->run;
    ulid_make(id, accepted_ms, &once->host.rng);
    *run = (struct store_run){.id = strdup(id),
                              .plan = strdup(plan->name),
                              .file = strdup(once->options->plan_path),
                              .server = strdup(plan->server),
                              .hash = strdup(once->files.hash),
                              .state = RUN_QUEUED,
                              .accepted_ms = accepted_ms};
    run->csv = calloc(once->files.n_csv + 1, sizeof(*run->csv));
    if (!run->id || !run->plan || !run->file || !run->server || !run->hash || !run->csv ||
        dup_bytes(&run->bytes, &once->files.bytes) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < once->files.n_csv; i++) {
        run->csv[i].path = strdup(once->files.csv[i].path);
        run->n_csv++;
        if (!run->csv[i].path || dup_bytes(&run->csv[i].bytes, &once->files.csv[i].bytes) < 0)
            return -ENOMEM;
    }
    return store_sqlite_add_run(once->host.store, run);
}

/* Finds the run that was interrupted, or accepts a new one. `date` is fixed when a
 * run is accepted, so the plan of an old run is expanded again with its moment. */
static int once_accept(struct once *once, struct plan **plan)
{
    int64_t now = loop_now().wall_ms;
    int r = store_sqlite_find_open_run(once->host.store, (*plan)->name, once->files.hash, &once->run);
    if (r == 0) {
        once->resumed = true;
        fprintf(stderr, "going on with run %s\n", once->run.id);
        *plan = plan_free(*plan);
        return once_check_plan(once, once->run.accepted_ms, plan);
    }
    if (r == -ENOENT)
        r = once_new_run(once, *plan, now);
    if (r < 0)
        fprintf(stderr,
                "the run cannot be stored in %s: %s; look at that disk and at its rights, then give "
                "the same command again\n",
                host_state_directory(once->settings, once->options->state_directory), strerror(-r));
    return r < 0 ? EXIT_UNREACHABLE : 0;
}

static int once_connect(struct once *once)
{
    struct buf error = BUF_INIT(4096);
    int r = host_connect(&once->host, once->server, &once->connected, &error);
    if (r < 0)
        once_say_error(&error, r);
    buf_done(&error);
    return r < 0 ? EXIT_INVALID : 0;
}

/* With what is stored of the run when it goes on, and the names that other runs hold. */
static int once_load(struct once *once, struct plan *plan, struct run_load *load)
{
    struct store_sqlite *store = once->host.store;
    int r = run_load_init(load);
    load->plan = plan;
    if (r == 0)
        r = run_load_row(load, store, once->run.id);
    if (r == 0 && once->resumed)
        r = run_load_items(load, store);
    if (r == 0)
        r = run_load_held(load, store, loop_now().wall_ms - (int64_t)once->server->settle_ms);
    return r;
}

static int once_start(struct once *once, struct plan *plan)
{
    struct run_load load;
    int r = once_load(once, plan, &load);
    if (r == 0)
        r = host_add_server(&once->host, once->connected);
    if (r == 0)
        once_look_at_older(&load, once->host.store, once->host.engine);
    if (r == 0)
        r = run_load_add(&load, once->host.engine, ENGINE_RUN, once->resumed, loop_now());
    run_load_done(&load);
    if (r < 0)
        fprintf(stderr, "the run cannot be started: %s; see to it, then the same command goes on with it\n",
                strerror(-r));
    else if (once->resumed &&
             engine_run_status(once->host.engine, once->run.id).over_ms <= loop_now().mono_ms)
        log_warning("the time of the run (timeouts.run) is over: nothing more is started");
    return r < 0 ? EXIT_UNREACHABLE : 0;
}

static int once_prepare(struct once *once, struct plan **plan)
{
    struct buf error = BUF_INIT(4096);
    const char *result = once->options->result_path;
    int r = result ? result_file_check(result, &error) : 0;
    if (r == 0)
        r = plan_files_load(once->options->plan_path, once->settings->plan_bytes, &once->files, &error);
    if (r < 0)
        once_say_error(&error, r);
    buf_done(&error);
    if (r < 0)
        return EXIT_INVALID;
    r = once_check_plan(once, loop_now().wall_ms, plan);
    if (r)
        return r;
    once->server = settings_server(once->settings, (*plan)->server);
    plan_files_hash(&once->files);
    r = once_connect(once);
    if (!r)
        r = once_open_store(once);
    return r ? r : once_accept(once, plan);
}

/* The bytes are stored, and decoded: a large CSV file need not stay in memory for the whole run. */
static void once_drop_bytes(struct once *once)
{
    plan_files_done(&once->files);
    buf_done(&once->run.bytes);
    for (size_t i = 0; i < once->run.n_csv; i++)
        buf_done(&once->run.csv[i].bytes);
}

/* A terminal that goes away ends it in order too, unless nohup said that it is to go on. */
static void once_catch(struct once *once)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction hangup = {0};
    bool ignored = sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler == SIG_IGN;
    host_catch(&once->host, signals, ARRAY_SIZE(signals) - ignored);
}

static const struct host_ops host_ops = {
    .on_turn = on_turn, .on_signal = on_signal, .on_transition = on_transition, .open_in_outage = true};

int once_run(const struct settings *settings, const struct once_options *options)
{
    struct once once = {.settings = settings, .options = options};
    struct plan *plan = NULL;
    if (host_init(&once.host, &host_ops, &once) < 0) {
        fprintf(stderr, "the event loop cannot be made\n");
        return EXIT_UNREACHABLE;
    }
    progress_init(&once.progress, loop_now().mono_ms);
    log_set_sink(once_log, &once);
    once.exit_code = once_prepare(&once, &plan);
    once_drop_bytes(&once);
    if (!once.exit_code)
        once.exit_code = once_start(&once, TAKE_PTR(plan));
    plan_free(plan);
    if (!once.exit_code) {
        once_catch(&once);
        host_run(&once.host);
        progress_clear(&once.progress);
        once_report(&once);
    }
    host_close(&once.host);
    store_run_done(&once.run);
    plan_files_done(&once.files);
    log_set_sink(NULL, NULL);
    return once.exit_code;
}
