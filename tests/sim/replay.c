#include "replay.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "model/item.h"

struct line {
    const char *run;
    sqlite3_int64 seq, run_seq;
    uint32_t index;
    enum item_state from, to;
    unsigned attempts;
    enum item_error error;
    int http;
    const char *task;
};

static bool step_gives(const struct item *from, const struct item_event *event, unsigned attempts,
                       const struct line *line)
{
    struct retry_policy policy = {.attempts = attempts, .initial_ms = 2000, .max_ms = 120000};
    struct rng rng = {1};
    bool changed;
    struct item next = item_step(from, event, &policy, (struct instant){1, 1}, &rng, &changed);
    return changed && next.state == line->to && next.attempts == line->attempts && next.error == line->error;
}

/* Is there an event that takes the machine from that state to what was stored? The plan's own
 * limit of tries is not in the history: both a limit that is reached and one that is not are tried. */
static bool step_exists(const struct item *item, const struct line *line)
{
    for (int kind = ITEM_EVENT_SUBMIT; kind <= ITEM_EVENT_RETRY; kind++) {
        for (int variant = 0; variant < 4; variant++) {
            struct item_event event = {.kind = (enum item_event_kind)kind,
                                       .error = line->error,
                                       .http = line->http,
                                       .task_id = line->task,
                                       .session_id = "session",
                                       .job_uid = "job",
                                       .no_more = variant & 1};
            if (step_gives(item, &event, variant & 2 ? item->attempts : item->attempts + 1, line))
                return true;
        }
    }
    return false;
}

/* SUBMITTING and RUNNING become IN_DOUBT by a restart, which stores nothing; a task that ran
 * out of time sets a flag that the history lacks. */
static bool line_fits(const struct item *item, const struct line *line)
{
    bool restarts = item->state == ITEM_SUBMITTING || item->state == ITEM_RUNNING;
    struct item doubt = *item, late;
    if (restarts)
        doubt.state = ITEM_IN_DOUBT;
    late = doubt;
    late.never_again = true;
    if (line->from != item->state && line->from != doubt.state)
        return false;
    return (line->from == item->state && step_exists(item, line)) || step_exists(&doubt, line) ||
           step_exists(&late, line);
}

static void line_read(sqlite3_stmt *stmt, struct line *ret)
{
    *ret = (struct line){.run_seq = sqlite3_column_int64(stmt, 0),
                         .run = (const char *)sqlite3_column_text(stmt, 1),
                         .index = (uint32_t)sqlite3_column_int64(stmt, 2),
                         .seq = sqlite3_column_int64(stmt, 3),
                         .from = (enum item_state)sqlite3_column_int(stmt, 4),
                         .to = (enum item_state)sqlite3_column_int(stmt, 5),
                         .attempts = (unsigned)sqlite3_column_int(stmt, 6),
                         .error = (enum item_error)sqlite3_column_int(stmt, 7),
                         .http = sqlite3_column_int(stmt, 8),
                         .task = (const char *)sqlite3_column_text(stmt, 9)};
}

static bool line_sane(const struct line *line)
{
    return line->from < ITEM_STATE_COUNT && line->to < ITEM_STATE_COUNT && line->error < ITEM_ERROR_COUNT;
}

static void line_report(const struct line *line, const struct item *item)
{
    printf("history row %lld: run %s item %u: %s -> %s with %u tries, error '%s', HTTP %d is no step of the "
           "machine; before it the item was %s with %u tries\n",
           (long long)line->seq, line->run, line->index,
           line->from < ITEM_STATE_COUNT ? item_state_name(line->from) : "?",
           line->to < ITEM_STATE_COUNT ? item_state_name(line->to) : "?", line->attempts,
           line->error < ITEM_ERROR_COUNT ? item_error_name(line->error) : "?", line->http,
           item_state_name(item->state), item->attempts);
}

static int replay_lines(sqlite3_stmt *stmt)
{
    unsigned long long lines = 0, items = 0;
    sqlite3_int64 run = -1;
    struct item item = {0};
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct line line;
        line_read(stmt, &line);
        if (line.run_seq != run || line.index != item.index) {
            item = (struct item){.index = line.index, .state = ITEM_QUEUED};
            items++;
        }
        run = line.run_seq;
        if (!line_sane(&line) || !line_fits(&item, &line)) {
            line_report(&line, &item);
            return 1;
        }
        item.state = line.to;
        item.attempts = line.attempts;
        item.error = line.error;
        item.task_id = line.task ? "task" : NULL;
        lines++;
    }
    if (rc != SQLITE_DONE) {
        fprintf(stderr, "sim: the history ends early: %s\n", sqlite3_errstr(rc));
        return 2;
    }
    printf("%llu transitions of %llu items, all of them steps of the machine\n", lines, items);
    return 0;
}

int replay(const char *path)
{
    static const char sql[] =
        "SELECT h.run, r.id, h.idx, h.seq, h.from_state, h.to_state, h.attempts, h.error, h.http, h.task"
        " FROM history h JOIN runs r ON r.seq = h.run ORDER BY h.run, h.idx, h.seq";
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int status = 2;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        fprintf(stderr, "sim: %s cannot be read: %s (is the daemon running?)\n", path,
                db ? sqlite3_errmsg(db) : "out of memory");
    else
        status = replay_lines(stmt);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return status;
}
