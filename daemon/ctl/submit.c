/* jobclonectl preview, submit: plans that travel to the daemon. The plan is read
 * here with the daemon's own parser: so its mistakes are said without sending it, and its CSV files are
 * found. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "codec/json_out.h"
#include "ctl/client.h"
#include "ctl/print.h"
#include "ctl/watch.h"
#include "io/plan_files.h"
#include "model/plan.h"
#include "model/settings.h"

#define BODY_MAX ((size_t)2 * 1024 * 1024 * 1024)
#define TEXT_BYTES ((size_t)1024 * 1024)

/* ---- reading the plan by the daemon's limits ---- */

/* As much of the daemon's settings as the parser wants: its limits and the names of its servers (borrowed
 * from `status`). */
static int settings_of_daemon(json_t *status, struct settings *ret)
{
    json_t *limits = json_object_get(status, "limits"), *servers = json_object_get(status, "servers"),
           *server;
    size_t i;
    *ret = (struct settings){.plan_bytes = (size_t)print_number(limits, "plan_bytes"),
                             .plan_items = (unsigned)print_number(limits, "plan_items")};
    ret->servers = calloc(json_array_size(servers) + 1, sizeof(*ret->servers));
    if (!ret->servers)
        return -ENOMEM;
    json_array_foreach(servers, i, server)
    {
        const char *name = json_string_value(json_object_get(server, "server"));
        if (name)
            ret->servers[ret->n_servers++].name = (char *)name;
    }
    return 0;
}

static int decode(const struct settings *settings, struct plan_files *files)
{
    struct timespec now;
    struct diag diag = DIAG_INIT;
    struct plan *plan = NULL;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    int r = plan_files_decode(files, settings, false, now_ms, &plan, &diag);
    if (r < 0 && diag.count == 0)
        diag_add(&diag, files->path, 0, 0, "cannot be read: %s", strerror(-r));
    diag_print(&diag, stderr);
    diag_done(&diag);
    plan_free(plan);
    return r < 0 ? CTL_INVALID : CTL_OK;
}

static int load(const struct ctl *ctl, struct plan_files *files)
{
    _cleanup_(buf_done) struct buf error = BUF_INIT(TEXT_BYTES);
    struct settings settings = {0};
    json_t *status;
    int r = client_get(ctl, "/v1/status", &status);
    if (r == CTL_OK && settings_of_daemon(status, &settings) < 0) {
        command_say("out of memory");
        r = CTL_UNREACHABLE;
    }
    if (r == CTL_OK && plan_files_load(ctl->words[0], settings.plan_bytes, files, &error) < 0) {
        fprintf(stderr, "%s\n", buf_str(&error));
        r = CTL_INVALID;
    }
    if (r == CTL_OK)
        r = decode(&settings, files);
    free(settings.servers);
    json_decref(status);
    return r;
}

/* ---- sending it ---- */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int body_of(const struct plan_files *files, struct buf *ret)
{
    struct json_out out = {.buf = ret};
    json_out_open(&out, NULL, '{');
    json_out_str(&out, "file", file_name(files->path));
    json_out_str(&out, "plan", buf_str(&files->bytes));
    json_out_open(&out, "csv", '[');
    for (size_t i = 0; i < files->n_csv; i++) {
        json_out_open(&out, NULL, '{');
        json_out_str(&out, "path", files->csv[i].path);
        json_out_str(&out, "text", buf_str(&files->csv[i].bytes));
        json_out_close(&out, '}');
    }
    json_out_close(&out, ']');
    json_out_close(&out, '}');
    return out.error;
}

static int send_plan(const struct ctl *ctl, const char *path, json_t **ret)
{
    _cleanup_(buf_done) struct buf body = BUF_INIT(BODY_MAX);
    struct plan_files files = {0};
    int r = load(ctl, &files);
    *ret = NULL;
    if (r == CTL_OK && body_of(&files, &body) < 0) {
        command_say("%s: too large to be sent; split it", ctl->words[0]);
        r = CTL_INVALID;
    }
    plan_files_done(&files);
    return r == CTL_OK ? client_ask(ctl, "POST", path, &body, ret) : r;
}

/* ---- preview ---- */

static void preview_item(struct print_table *table, json_t *item)
{
    static const char *const keys[] = {"action", "name", "kind", "source", "backup_server"};
    _cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_BYTES);
    json_t *error = json_object_get(item, "error");
    print_cellf(table, "%lld", print_number(item, "index"));
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        buf_reset(&text);
        print_text(&text, item, keys[i], "-");
        print_cell(table, buf_str(&text));
    }
    buf_reset(&text);
    if (json_is_object(error)) {
        print_text(&text, error, "code", "");
        buf_add_str(&text, ": ");
        print_text(&text, error, "message", "");
    } else {
        print_text(&text, item,
                   json_is_string(json_object_get(item, "job_uid")) ? "job_uid" : "repository_uid", "-");
    }
    print_cell(table, buf_str(&text));
}

static void print_preview(json_t *preview)
{
    static const char *const words[] = {"INDEX",  "ACTION",        "NAME",  "KIND",
                                        "SOURCE", "BACKUP SERVER", "DETAIL"};
    json_t *items = json_object_get(preview, "items"), *totals = json_object_get(preview, "totals"), *item;
    struct print_table table;
    size_t i;
    print_table_init(&table, ARRAY_SIZE(words));
    for (i = 0; i < ARRAY_SIZE(words); i++)
        print_cell(&table, words[i]);
    json_array_foreach(items, i, item) preview_item(&table, item);
    print_table_end(&table);
    printf("\nitems %lld: create %lld, skip %lld, conflict %lld, error %lld\n", print_number(totals, "items"),
           print_number(totals, "create"), print_number(totals, "skip"), print_number(totals, "conflict"),
           print_number(totals, "error"));
}

int command_preview(struct ctl *ctl)
{
    json_t *preview;
    int r = send_plan(ctl, "/v1/preview", &preview);
    if (r == CTL_OK) {
        json_t *totals = json_object_get(preview, "totals");
        if (!ctl->json)
            print_preview(preview);
        r = print_number(totals, "conflict") + print_number(totals, "error") > 0 ? CTL_FAILURES : CTL_OK;
    }
    json_decref(preview);
    return r;
}

/* ---- submit ---- */

static const char *schedule_text(json_t *schedule, const char *key)
{
    const char *text = json_string_value(json_object_get(schedule, key));
    return text ? text : "";
}

/* Why the file is not used, when its plan's name stands for another file's plan; or NULL. Of several files
 * with one plan name the first of the list is used, broken or not. */
static const char *schedule_clash(json_t *list, json_t *schedule)
{
    json_t *other;
    size_t i;
    json_array_foreach(list, i, other)
    {
        if (other == schedule)
            break;
        if (strcmp(schedule_text(other, "name"), schedule_text(schedule, "name")) == 0)
            return schedule_text(schedule, "error");
    }
    return NULL;
}

/* The one whose file has that name, as far as no plan is called so. */
static json_t *schedule_of_file(json_t *list, const char *word)
{
    json_t *schedule, *found = NULL;
    size_t i;
    json_array_foreach(list, i, schedule)
    {
        const char *name = schedule_text(schedule, "name");
        if (strcmp(name, word) == 0)
            return NULL;
        if (*name && strcmp(file_name(schedule_text(schedule, "file")), file_name(word)) == 0)
            found = schedule;
    }
    return found;
}

/* The scheduled plan by its name, its file's name, or a path to it: what to ask the daemon, which says what
 * is wrong if there is none. */
static int schedule_path(const struct ctl *ctl, char **ret)
{
    json_t *answer;
    int r = client_get(ctl, "/v1/schedules", &answer);
    if (r != CTL_OK)
        return r;
    json_t *list = json_object_get(answer, "schedules"), *of_file = schedule_of_file(list, ctl->words[0]);
    const char *clash = of_file ? schedule_clash(list, of_file) : NULL;
    if (clash)
        command_say("%s", clash);
    else
        *ret =
            client_path("/v1/schedules/", of_file ? schedule_text(of_file, "name") : ctl->words[0], "/run");
    json_decref(answer);
    return clash ? CTL_INVALID : *ret ? CTL_OK : CTL_UNREACHABLE;
}

static int submit(struct ctl *ctl, json_t **ret)
{
    if (!ctl->scheduled)
        return send_plan(ctl, "/v1/runs", ret);
    _cleanup_free_ char *path = NULL;
    int r = schedule_path(ctl, &path);
    *ret = NULL;
    return r == CTL_OK ? client_ask(ctl, "POST", path, NULL, ret) : r;
}

/* With --json the run as it ended is a second document. */
static int wait_for(struct ctl *ctl, const char *id)
{
    int r = watch_run(ctl, id, 2, false);
    if (r == CTL_INTERRUPTED && ctl->json == false)
        command_say("the waiting has ended; see: jobclonectl show %s", id);
    _cleanup_free_ char *path = ctl->json ? client_path("/v1/runs/", id, "") : NULL;
    if (path)
        client_ask(ctl, "GET", path, NULL, NULL);
    return r;
}

int command_submit(struct ctl *ctl)
{
    json_t *run;
    int r = submit(ctl, &run);
    const char *id = json_string_value(json_object_get(run, "run"));
    if (r == CTL_OK && id && !ctl->json)
        puts(id);
    fflush(stdout);
    if (r == CTL_OK && id && ctl->wait)
        r = wait_for(ctl, id);
    json_decref(run);
    return r;
}
