#include "codec/control_json.h"

#include <string.h>

#include "base/cleanup.h"
#include "codec/json_out.h"

static void add_counts(struct json_out *out, const struct control_counts *counts)
{
    const struct {
        const char *key;
        size_t n;
    } members[] = {
        {"items", counts->items},       {"pending", counts->pending},     {"running", counts->running},
        {"in_doubt", counts->in_doubt}, {"succeeded", counts->succeeded}, {"skipped", counts->skipped},
        {"failed", counts->failed},     {"cancelled", counts->cancelled}, {"unknown", counts->unknown},
    };
    json_out_open(out, "totals", '{');
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        json_out_num(out, members[i].key, (int64_t)members[i].n);
    json_out_close(out, '}');
}

static void add_run(struct json_out *out, const struct control_run *run)
{
    json_out_open(out, NULL, '{');
    json_out_str(out, "run", run->id);
    json_out_str(out, "plan", run->plan);
    json_out_str(out, "file", run->file);
    json_out_str(out, "server", run->server);
    json_out_str(out, "origin", run->origin);
    json_out_str(out, "state", run->state);
    json_out_str(out, "phase", run->phase);
    json_out_str(out, "trouble", run->trouble);
    json_out_time(out, "accepted", run->accepted_ms);
    json_out_time(out, "started", run->started_ms);
    json_out_time(out, "finished", run->finished_ms);
    add_counts(out, &run->counts);
    json_out_close(out, '}');
}

int control_json_run(struct buf *buf, const struct control_run *run)
{
    struct json_out out = {.buf = buf};
    add_run(&out, run);
    return out.error;
}

int control_json_runs(struct buf *buf, const struct control_run *runs, size_t n, bool more)
{
    struct json_out out = {.buf = buf};
    json_out_open(&out, NULL, '{');
    json_out_open(&out, "runs", '[');
    for (size_t i = 0; i < n && out.error == 0; i++)
        add_run(&out, &runs[i]);
    json_out_close(&out, ']');
    json_out_bool(&out, "more", more);
    json_out_close(&out, '}');
    return out.error;
}

static void add_pair(struct json_out *out, const char *key, const char *first, int64_t a, const char *second,
                     int64_t b)
{
    json_out_open(out, key, '{');
    json_out_num(out, first, a);
    json_out_num(out, second, b);
    json_out_close(out, '}');
}

/* What is there now, what is borne at present, and what the settings allow. */
static void add_limit(struct json_out *out, const char *key, int64_t now, int64_t limit, int64_t max)
{
    json_out_open(out, key, '{');
    json_out_num(out, "now", now);
    json_out_num(out, "limit", limit);
    json_out_num(out, "max", max);
    json_out_close(out, '}');
}

static void add_unreachable(struct json_out *out, const struct control_server *server)
{
    if (server->unreachable_ms <= 0) {
        json_out_null(out, "unreachable");
        return;
    }
    json_out_open(out, "unreachable", '{');
    json_out_time(out, "since", server->unreachable_ms);
    json_out_time(out, "next_probe", server->probe_ms);
    json_out_close(out, '}');
}

static void add_backup_servers(struct json_out *out, const struct control_server *server)
{
    json_out_open(out, "backup_servers", '[');
    for (size_t i = 0; i < server->n_backup_servers; i++) {
        const struct control_backup_server *bs = &server->backup_servers[i];
        json_out_open(out, NULL, '{');
        json_out_str(out, "backup_server", bs->name);
        add_limit(out, "tasks", bs->tasks, bs->tasks_limit, bs->tasks_max);
        json_out_close(out, '}');
    }
    json_out_close(out, ']');
}

static void add_server(struct json_out *out, const struct control_server *server)
{
    json_out_open(out, NULL, '{');
    json_out_str(out, "server", server->name);
    json_out_str(out, "url", server->url);
    json_out_str(out, "state", server->state);
    json_out_str(out, "session", server->session);
    json_out_str(out, "message", server->message);
    add_unreachable(out, server);
    json_out_time(out, "rests_until", server->rests_ms);
    add_limit(out, "in_flight", server->in_flight, server->in_flight_limit, server->in_flight_max);
    add_pair(out, "tasks", "now", server->tasks, "max", server->tasks_max);
    add_backup_servers(out, server);
    json_out_close(out, '}');
}

static void add_run_counts(struct json_out *out, const struct control_status *status)
{
    json_out_open(out, "runs", '{');
    json_out_num(out, "running", (int64_t)status->running);
    json_out_num(out, "queued", (int64_t)status->queued);
    json_out_num(out, "paused", (int64_t)status->paused);
    json_out_num(out, "max", status->runs_max);
    json_out_close(out, '}');
}

int control_json_status(struct buf *buf, const struct control_status *status)
{
    struct json_out out = {.buf = buf};
    json_out_open(&out, NULL, '{');
    json_out_str(&out, "version", status->version);
    json_out_time(&out, "started", status->started_ms);
    json_out_time(&out, "reloaded", status->reloaded_ms);
    json_out_str(&out, "state_directory", status->state_directory);
    json_out_str(&out, "spool_directory", status->spool_directory);
    json_out_str(&out, "trouble", status->trouble);
    add_run_counts(&out, status);
    add_pair(&out, "limits", "plan_bytes", (int64_t)status->plan_bytes, "plan_items", status->plan_items);
    json_out_open(&out, "servers", '[');
    for (size_t i = 0; i < status->n_servers; i++)
        add_server(&out, &status->servers[i]);
    json_out_close(&out, ']');
    json_out_close(&out, '}');
    return out.error;
}

static void add_last(struct json_out *out, const struct control_schedule *schedule)
{
    if (schedule->last_ms <= 0) {
        json_out_null(out, "last");
        return;
    }
    json_out_open(out, "last", '{');
    json_out_str(out, "run", schedule->last_run);
    json_out_str(out, "state", schedule->last_state);
    json_out_time(out, "accepted", schedule->last_ms);
    json_out_close(out, '}');
}

int control_json_schedules(struct buf *buf, const struct control_schedule *schedules, size_t n)
{
    struct json_out out = {.buf = buf};
    json_out_open(&out, NULL, '{');
    json_out_open(&out, "schedules", '[');
    for (size_t i = 0; i < n && out.error == 0; i++) {
        const struct control_schedule *schedule = &schedules[i];
        json_out_open(&out, NULL, '{');
        json_out_str(&out, "name", schedule->name);
        json_out_str(&out, "file", schedule->file);
        json_out_str(&out, "server", schedule->server);
        json_out_str(&out, "calendar", schedule->calendar);
        json_out_str(&out, "error", schedule->error);
        json_out_time(&out, "next", schedule->next_ms);
        add_last(&out, schedule);
        json_out_close(&out, '}');
    }
    json_out_close(&out, ']');
    json_out_close(&out, '}');
    return out.error;
}

static void add_preview_item(struct json_out *out, const struct control_preview_item *item)
{
    json_out_open(out, NULL, '{');
    json_out_num(out, "index", item->index);
    json_out_str(out, "action", item->action);
    json_out_str(out, "name", item->name);
    json_out_str(out, "kind", item->kind);
    json_out_str(out, "source", item->source);
    json_out_str(out, "source_id", item->source_id);
    json_out_str(out, "repository_uid", item->repository_uid);
    json_out_str(out, "backup_server", item->backup_server);
    json_out_str(out, "job_uid", item->job_uid);
    if (item->code) {
        json_out_open(out, "error", '{');
        json_out_str(out, "code", item->code);
        json_out_str(out, "message", item->message);
        json_out_close(out, '}');
    } else {
        json_out_null(out, "error");
    }
    json_out_close(out, '}');
}

/* By action, in the order of the words. */
static const char *const actions[] = {"create", "skip", "conflict", "error"};

static int add_preview_items(struct json_out *out, const struct control_preview *preview, size_t *by_action)
{
    json_out_open(out, "items", '[');
    for (size_t i = 0; i < preview->n_items && out->error == 0; i++) {
        struct control_preview_item item = {0};
        int r = preview->item(i, &item, preview->data);
        if (r < 0)
            return r;
        for (size_t k = 0; k < ARRAY_SIZE(actions); k++)
            by_action[k] += strcmp(actions[k], item.action) == 0;
        add_preview_item(out, &item);
    }
    json_out_close(out, ']');
    return out->error;
}

int control_json_preview(struct buf *buf, const struct control_preview *preview)
{
    struct json_out out = {.buf = buf};
    size_t by_action[ARRAY_SIZE(actions)] = {0};
    json_out_open(&out, NULL, '{');
    json_out_str(&out, "plan", preview->plan);
    json_out_str(&out, "file", preview->file);
    json_out_str(&out, "server", preview->server);
    int r = add_preview_items(&out, preview, by_action);
    if (r < 0)
        return r;
    json_out_open(&out, "totals", '{');
    json_out_num(&out, "items", (int64_t)preview->n_items);
    for (size_t k = 0; k < ARRAY_SIZE(actions); k++)
        json_out_num(&out, actions[k], (int64_t)by_action[k]);
    json_out_close(&out, '}');
    json_out_close(&out, '}');
    return out.error;
}

int control_json_failure(struct buf *buf, const struct control_failure *failure)
{
    struct json_out out = {.buf = buf};
    json_out_open(&out, NULL, '{');
    json_out_str(&out, "run", failure->run);
    json_out_num(&out, "index", failure->index);
    json_out_str(&out, "name", failure->name);
    json_out_str(&out, "state", failure->state);
    json_out_str(&out, "code", failure->code);
    json_out_str(&out, "message", failure->message);
    if (failure->http)
        json_out_num(&out, "http", failure->http);
    else
        json_out_null(&out, "http");
    json_out_close(&out, '}');
    return out.error;
}

int control_json_error(struct buf *buf, const char *code, const char *message)
{
    struct json_out out = {.buf = buf};
    json_out_open(&out, NULL, '{');
    json_out_str(&out, "code", code);
    json_out_str(&out, "message", message);
    json_out_close(&out, '}');
    return out.error;
}
