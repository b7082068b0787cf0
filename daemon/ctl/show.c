/* jobclonectl status, list, show, report, schedules: what the daemon has. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "ctl/client.h"
#include "ctl/print.h"

#define CELL_BYTES ((size_t)1024 * 1024)
#define LINE_BYTES ((size_t)16 * 1024 * 1024)

static int to_stdout(const char *data, size_t len, void *user)
{
    (void)user;
    return fwrite(data, 1, len, stdout) == len ? 0 : -EIO;
}

static void cell_text(struct print_table *table, json_t *object, const char *key)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(CELL_BYTES);
    print_text(&text, object, key, "-");
    print_cell(table, buf_str(&text));
}

static void cell_time(struct print_table *table, json_t *object, const char *key)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(CELL_BYTES);
    print_time(&text, object, key, "-");
    print_cell(table, buf_str(&text));
}

static void heading(struct print_table *table, const char *const *words)
{
    for (size_t i = 0; i < table->columns; i++)
        print_cell(table, words[i]);
}

/* "Label     text" when there is a text. */
static void line_text(const char *label, json_t *object, const char *key)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(CELL_BYTES);
    print_text(&text, object, key, "");
    if (text.len > 0)
        printf("%-10s%s\n", label, buf_str(&text));
}

static void line_time(const char *label, json_t *object, const char *key)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(CELL_BYTES);
    print_time(&text, object, key, "");
    if (text.len > 0)
        printf("%-10s%s\n", label, buf_str(&text));
}

/* ---- status ---- */

/* "8/12 of 64": so many now, as many as are borne at present, and what the settings allow. */
static void cell_limit(struct print_table *table, json_t *object, const char *key)
{
    json_t *limit = json_object_get(object, key);
    print_cellf(table, "%lld/%lld of %lld", print_number(limit, "now"), print_number(limit, "limit"),
                print_number(limit, "max"));
}

static void print_servers(json_t *servers)
{
    static const char *const words[] = {"SERVER", "STATE", "SESSION", "IN FLIGHT", "URL", "MESSAGE"};
    struct print_table table;
    size_t i;
    json_t *server;
    print_table_init(&table, 6);
    heading(&table, words);
    json_array_foreach(servers, i, server)
    {
        cell_text(&table, server, "server");
        cell_text(&table, server, "state");
        cell_text(&table, server, "session");
        cell_limit(&table, server, "in_flight");
        cell_text(&table, server, "url");
        cell_text(&table, server, "message");
    }
    putchar('\n');
    print_table_end(&table);
}

static void print_backup_servers(json_t *servers)
{
    static const char *const words[] = {"BACKUP SERVER", "OF", "TASKS"};
    struct print_table table;
    size_t i, k, n = 0;
    json_t *server, *one;
    json_array_foreach(servers, i, server) n += json_array_size(json_object_get(server, "backup_servers"));
    if (!n)
        return;
    print_table_init(&table, 3);
    heading(&table, words);
    json_array_foreach(servers, i, server)
    {
        json_t *all = json_object_get(server, "backup_servers");
        json_array_foreach(all, k, one)
        {
            cell_text(&table, one, "backup_server");
            cell_text(&table, server, "server");
            cell_limit(&table, one, "tasks");
        }
    }
    putchar('\n');
    print_table_end(&table);
}

/* Since when a server does not answer, and when it is tried again. */
static void print_unreachable(json_t *servers)
{
    size_t i;
    json_t *server;
    json_array_foreach(servers, i, server)
    {
        _cleanup_(buf_done) struct buf name = BUF_INIT(CELL_BYTES), text = BUF_INIT(CELL_BYTES);
        json_t *unreachable = json_object_get(server, "unreachable");
        if (!json_is_object(unreachable))
            continue;
        print_text(&name, server, "server", "-");
        print_time(&text, unreachable, "since", "-");
        buf_add_str(&text, ", tried again ");
        print_time(&text, unreachable, "next_probe", "now");
        printf("%s does not answer since %s\n", buf_str(&name), buf_str(&text));
    }
}

/* Until when nothing is sent to a server, since it asked for that. */
static void print_rests(json_t *servers)
{
    size_t i;
    json_t *server;
    json_array_foreach(servers, i, server)
    {
        _cleanup_(buf_done) struct buf name = BUF_INIT(CELL_BYTES), text = BUF_INIT(CELL_BYTES);
        print_text(&name, server, "server", "-");
        print_time(&text, server, "rests_until", "");
        if (text.len > 0)
            printf("%s is busy: nothing is sent until %s, as it asked\n", buf_str(&name), buf_str(&text));
    }
}

int command_status(struct ctl *ctl)
{
    json_t *status;
    int r = client_ask(ctl, "GET", "/v1/status", NULL, &status);
    if (r == CTL_OK && !ctl->json) {
        json_t *runs = json_object_get(status, "runs");
        line_text("Version", status, "version");
        line_time("Started", status, "started");
        line_time("Reloaded", status, "reloaded");
        line_text("State in", status, "state_directory");
        line_text("Spool", status, "spool_directory");
        line_text("Trouble", status, "trouble");
        printf("%-10s%lld running (at most %lld at once), %lld queued, %lld paused\n", "Runs",
               print_number(runs, "running"), print_number(runs, "max"), print_number(runs, "queued"),
               print_number(runs, "paused"));
        print_servers(json_object_get(status, "servers"));
        print_backup_servers(json_object_get(status, "servers"));
        print_unreachable(json_object_get(status, "servers"));
        print_rests(json_object_get(status, "servers"));
    }
    json_decref(status);
    return r;
}

/* ---- list ---- */

static json_int_t done_of(json_t *totals)
{
    return print_number(totals, "succeeded") + print_number(totals, "skipped") +
           print_number(totals, "failed") + print_number(totals, "cancelled") +
           print_number(totals, "unknown");
}

static void list_run(struct print_table *table, json_t *run)
{
    json_t *totals = json_object_get(run, "totals");
    cell_text(table, run, "run");
    cell_text(table, run, "state");
    print_cellf(table, "%lld/%lld", done_of(totals), print_number(totals, "items"));
    print_cellf(table, "%lld", print_number(totals, "failed") + print_number(totals, "unknown"));
    cell_time(table, run, "accepted");
    cell_text(table, run, "server");
    cell_text(table, run, "plan");
}

int command_list(struct ctl *ctl)
{
    static const char *const words[] = {"RUN", "STATE", "DONE", "FAILED", "ACCEPTED", "SERVER", "PLAN"};
    json_t *list, *run;
    size_t i;
    int r = client_ask(ctl, "GET", "/v1/runs", NULL, &list);
    json_t *runs = json_object_get(list, "runs");
    if (r == CTL_OK && !ctl->json && json_array_size(runs) > 0) {
        struct print_table table;
        print_table_init(&table, 7);
        heading(&table, words);
        json_array_foreach(runs, i, run) list_run(&table, run);
        print_table_end(&table);
    }
    if (r == CTL_OK && !ctl->json && json_array_size(runs) == 0)
        fputs("there are no runs yet\n", stderr);
    if (r == CTL_OK && !ctl->json && json_is_true(json_object_get(list, "more")))
        fputs("older ones are not shown\n", stderr);
    json_decref(list);
    return r;
}

/* ---- show ---- */

static void print_run(json_t *run)
{
    static const char *const counts[] = {"pending", "running", "in_doubt",  "succeeded",
                                         "skipped", "failed",  "cancelled", "unknown"};
    json_t *totals = json_object_get(run, "totals");
    line_text("Plan", run, "plan");
    line_text("File", run, "file");
    line_text("Run", run, "run");
    line_text("Server", run, "server");
    line_text("From", run, "origin");
    line_text("State", run, "state");
    line_text("Now", run, "phase");
    line_text("Trouble", run, "trouble");
    line_time("Accepted", run, "accepted");
    line_time("Started", run, "started");
    line_time("Finished", run, "finished");
    printf("%-10s%lld", "Items", print_number(totals, "items"));
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
        if (print_number(totals, counts[i]) > 0)
            printf(", %lld %s", print_number(totals, counts[i]),
                   strcmp(counts[i], "in_doubt") == 0 ? "in doubt" : counts[i]);
    putchar('\n');
}

/* The items of a result, one by one: it has one a line. */
struct items {
    struct buf line;
    struct print_table table;
};

static void print_item(struct items *items, json_t *item)
{
    json_t *error = json_object_get(item, "error");
    print_cellf(&items->table, "%lld", print_number(item, "index"));
    cell_text(&items->table, item, "state");
    print_cellf(&items->table, "%lld", print_number(item, "attempts"));
    cell_text(&items->table, item, "name");
    cell_text(&items->table, item, "kind");
    if (json_is_object(error)) {
        _cleanup_(buf_done) struct buf text = BUF_INIT(CELL_BYTES);
        print_text(&text, error, "code", "");
        buf_add_str(&text, ": ");
        print_text(&text, error, "message", "");
        print_cell(&items->table, buf_str(&text));
    } else {
        cell_text(&items->table, item, "job_uid");
    }
}

static void end_line(struct items *items)
{
    const char *text = buf_str(&items->line) + strspn(buf_str(&items->line), " ");
    json_t *item =
        strncmp(text, "{\"index\":", 9) == 0 ? json_loads(text, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    if (item)
        print_item(items, item);
    json_decref(item);
    buf_reset(&items->line);
}

static int take_items(const char *data, size_t len, void *user)
{
    struct items *items = user;
    while (len > 0) {
        const char *newline = memchr(data, '\n', len);
        size_t n = newline ? (size_t)(newline + 1 - data) : len;
        int r = buf_add(&items->line, data, n);
        if (r < 0)
            return r;
        if (newline)
            end_line(items);
        data += n;
        len -= n;
    }
    return 0;
}

static int show_items(struct ctl *ctl, const char *path)
{
    static const char *const words[] = {"INDEX", "STATE", "TRIES", "NAME", "KIND", "JOB OR ERROR"};
    struct items items = {.line = BUF_INIT(LINE_BYTES)};
    const struct client_sink sink = {take_items, &items};
    print_table_init(&items.table, 6);
    heading(&items.table, words);
    int r = client_stream(ctl, "GET", path, NULL, &sink);
    if (r == CTL_OK)
        putchar('\n');
    if (r != CTL_OK)
        items.table.n_cells = 0;
    print_table_end(&items.table);
    buf_done(&items.line);
    return r;
}

int command_show(struct ctl *ctl)
{
    static const struct client_sink sink = {to_stdout, NULL};
    _cleanup_free_ char *path = client_path("/v1/runs/", ctl->words[0], "");
    _cleanup_free_ char *result = client_path("/v1/runs/", ctl->words[0], "/result");
    json_t *run = NULL;
    if (!path || !result)
        return CTL_UNREACHABLE;
    if (ctl->json)
        return client_stream(ctl, "GET", result, NULL, &sink);
    int r = client_get(ctl, path, &run);
    if (r == CTL_OK)
        print_run(run);
    json_decref(run);
    return r == CTL_OK && ctl->items ? show_items(ctl, result) : r;
}

/* The report has been made for people, its texts escaped. */
int command_report(struct ctl *ctl)
{
    static const struct client_sink sink = {to_stdout, NULL};
    _cleanup_free_ char *path = client_path("/v1/runs/", ctl->words[0], "/report");
    _cleanup_free_ char *result = client_path("/v1/runs/", ctl->words[0], "/result");
    if (!path || !result)
        return CTL_UNREACHABLE;
    return client_stream(ctl, "GET", ctl->json ? result : path, NULL, &sink);
}

/* ---- schedules ---- */

/* Why its file is not used, a mistake a line. */
static void print_mistakes(json_t *schedule)
{
    const char *error = json_string_value(json_object_get(schedule, "error"));
    _cleanup_free_ char *text = error ? strdup(error) : NULL;
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        _cleanup_(buf_done) struct buf shown = BUF_INIT(CELL_BYTES);
        text_escape(&shown, line);
        if (*line)
            printf("Not used: %s\n", buf_str(&shown));
    }
}

int command_schedules(struct ctl *ctl)
{
    static const char *const words[] = {"PLAN", "FILE", "SERVER", "NEXT", "LAST", "RESULT", "CALENDAR"};
    json_t *list, *schedule;
    size_t i;
    int r = client_ask(ctl, "GET", "/v1/schedules", NULL, &list);
    json_t *schedules = json_object_get(list, "schedules");
    if (r == CTL_OK && !ctl->json && json_array_size(schedules) == 0)
        fputs("there are no scheduled plans; put one with a schedule into plans.d\n", stderr);
    if (r == CTL_OK && !ctl->json && json_array_size(schedules) > 0) {
        struct print_table table;
        print_table_init(&table, 7);
        heading(&table, words);
        json_array_foreach(schedules, i, schedule)
        {
            json_t *last = json_object_get(schedule, "last");
            cell_text(&table, schedule, "name");
            cell_text(&table, schedule, "file");
            cell_text(&table, schedule, "server");
            cell_time(&table, schedule, "next");
            cell_time(&table, last, "accepted");
            cell_text(&table, last, "state");
            cell_text(&table, schedule, "calendar");
        }
        print_table_end(&table);
        json_array_foreach(schedules, i, schedule) print_mistakes(schedule);
    }
    json_decref(list);
    return r;
}
