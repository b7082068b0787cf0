/* The plans that are known: what a scan has found becomes of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "io/loop.h"
#include "io/plans_parts.h"
#include "model/plan.h"

#define TEXT_BYTES (64 * 1024)
#define ERROR_LINES 10 /* of a plan's messages, in the log */

/* ---- what was decided ---- */

static struct plans_known *find_known(const struct plans_dir *dir, const char *name)
{
    struct plans_known *known = dir->known;
    while (known && strcmp(known->name, name) != 0)
        known = known->next;
    return known;
}

int plans_decide(struct plans_dir *dir, const char *name, int64_t decided_ms)
{
    struct plans_known *known = find_known(dir, name);
    if (!known) {
        size_t len = strlen(name) + 1;
        known = calloc(1, sizeof(*known) + len);
        if (!known)
            return -ENOMEM;
        memcpy(known->name, name, len);
        known->next = dir->known;
        dir->known = known;
    }
    known->decided_ms = decided_ms;
    return 0;
}

int64_t plans_decided(const struct plans_dir *dir, const char *name)
{
    const struct plans_known *known = find_known(dir, name);
    return known ? known->decided_ms : 0;
}

struct left_out {
    struct plans_dir *dir;
};

static void on_left_out(int error, void *data)
{
    struct left_out *left_out = data;
    struct plans_dir *dir = left_out->dir;
    free(left_out);
    if (error < 0 && error != -EEXIST)
        log_warning("a due time that is left out could not be stored: %s; it may come again after a restart",
                    strerror(-error));
    dir->answers--;
    plans_maybe_closed(dir);
}

void plans_leave_out(struct plans_dir *dir, const char *name, int64_t due_ms)
{
    struct left_out *left_out = malloc(sizeof(*left_out));
    if (plans_decide(dir, name, due_ms) < 0 || !left_out) {
        free(left_out);
        return; /* it comes again after a restart, at worst */
    }
    left_out->dir = dir;
    dir->answers++;
    dir->ops->leave_out(name, due_ms, on_left_out, left_out, dir->user);
}

/* ---- entries ---- */

struct plans_entry *plans_find(const struct plans_dir *dir, const char *name)
{
    for (size_t i = 0; i < dir->n_entries; i++) {
        struct plans_entry *entry = dir->entries[i];
        if (entry->name && !entry->clash && strcmp(entry->name, name) == 0)
            return entry;
    }
    return NULL;
}

static void entry_free(struct plans_entry *entry)
{
    plans_hand_end(entry, -ENOENT);
    free(entry->file);
    free(entry->path);
    free(entry->error);
    free(entry->clash);
    arena_free(entry->arena);
    plan_files_done(&entry->kept);
    free(entry);
}

void plans_entries_free(struct plans_dir *dir)
{
    for (size_t i = 0; i < dir->n_entries; i++)
        entry_free(dir->entries[i]);
    free(dir->entries);
    dir->entries = NULL;
    dir->n_entries = 0;
    for (struct plans_known *known = dir->known, *next; known; known = next) {
        next = known->next;
        free(known);
    }
    dir->known = NULL;
}

static struct plans_entry *entry_new(struct plans_dir *dir, const char *file)
{
    struct plans_entry *entry = calloc(1, sizeof(*entry));
    struct plans_entry **all = reallocarray(dir->entries, dir->n_entries + 1, sizeof(struct plans_entry *));
    if (all)
        dir->entries = all;
    if (!entry || !all || !(entry->file = strdup(file)) ||
        asprintf(&entry->path, "%s/%s", dir->directory, file) < 0) {
        if (entry)
            free(entry->file);
        free(entry);
        return NULL;
    }
    size_t at = dir->n_entries++;
    for (; at > 0 && strcmp(all[at - 1]->file, file) > 0; at--)
        all[at] = all[at - 1];
    all[at] = entry;
    return entry;
}

static struct plans_entry *entry_of_file(const struct plans_dir *dir, const char *file)
{
    for (size_t i = 0; i < dir->n_entries; i++)
        if (strcmp(dir->entries[i]->file, file) == 0)
            return dir->entries[i];
    return NULL;
}

static void entry_remove(struct plans_dir *dir, struct plans_entry *entry)
{
    size_t at = 0;
    while (dir->entries[at] != entry)
        at++;
    for (dir->n_entries--; at < dir->n_entries; at++)
        dir->entries[at] = dir->entries[at + 1];
    struct log_fields fields = {.kind = LOG_KIND_SCHEDULE, .plan = entry->name};
    log_event(LOG_LEVEL_INFO, &fields, "%s is gone%s%s", entry->path,
              entry->name ? ": its plan is due no more: " : "", entry->name ? entry->name : "");
    entry_free(entry);
}

/* ---- a file that is not good ---- */

static void entry_break(struct plans_entry *entry, struct plans_version *version)
{
    struct log_fields fields = {.kind = LOG_KIND_PLAN_REJECTED, .plan = entry->name};
    bool said = entry->error && strcmp(entry->error, version->error) == 0;
    free(entry->error);
    entry->error = version->error;
    version->error = NULL;
    if (said)
        return;
    log_event(LOG_LEVEL_WARNING, &fields, "%s is not good: %s", entry->path,
              entry->name ? "its last good version goes on" : "it is not used");
    const char *line = entry->error;
    for (int i = 0; i < ERROR_LINES && *line; i++) {
        size_t len = strcspn(line, "\n");
        log_event(LOG_LEVEL_WARNING, &fields, "%.*s", (int)len, line);
        line += len + (line[len] == '\n');
    }
}

/* ---- a file that is good ---- */

static const char *join_calendars(const struct schedule *schedule, struct arena *arena)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_BYTES);
    for (size_t i = 0; i < schedule->n; i++)
        if (buf_printf(&text, "%s%s", i ? ", " : "", schedule->calendars[i].text) < 0)
            return NULL;
    return arena_str(arena, buf_str(&text));
}

/* What is kept of a plan, beside its bytes, in an arena of its own: the rest may be large. */
static int entry_keep(struct plans_entry *entry, const struct plan *plan)
{
    struct arena *arena = arena_new();
    struct schedule schedule = {0};
    if (!arena || schedule_copy(&plan->schedule, arena, &schedule) < 0)
        goto fail;
    const char *name = arena_str(arena, plan->name), *server = arena_str(arena, plan->server);
    const char *calendar = schedule.given ? join_calendars(&schedule, arena) : NULL;
    if (!name || !server || (schedule.given && !calendar))
        goto fail;
    arena_free(entry->arena);
    entry->arena = arena;
    entry->name = name;
    entry->server = server;
    entry->calendar = calendar;
    entry->schedule = schedule;
    return 0;
fail:
    arena_free(arena);
    return -ENOMEM;
}

/* From when on its due times count: a plan that is new, or due at other times than before, has missed
 * nothing. */
static void entry_begin(struct plans_dir *dir, struct plans_entry *entry, bool changed)
{
    int64_t now_ms = loop_now().wall_ms;
    int64_t decided_ms = plans_decided(dir, entry->name);
    entry->step = (struct schedule_step){.due_ms = SCHEDULE_NEVER, .at_ms = SCHEDULE_NEVER};
    entry->look = entry->schedule.given;
    entry->look_ms = 0;
    entry->calendar_failed = false;
    if (entry->schedule.given && (!decided_ms || (changed && decided_ms < now_ms)))
        plans_leave_out(dir, entry->name, now_ms);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static int entry_replace(struct plans_dir *dir, struct plans_entry *entry, struct plans_version *version)
{
    bool was = entry->name != NULL;
    _cleanup_free_ char *old_name = was ? strdup(entry->name) : NULL;
    _cleanup_free_ char *old_calendar = was && entry->calendar ? strdup(entry->calendar) : NULL;
    int r = entry_keep(entry, version->plan);
    if (r < 0)
        return r;
    plan_files_done(&entry->kept);
    entry->kept = version->files;
    version->files = (struct plan_files){0};
    free(entry->error);
    entry->error = NULL;
    bool same_plan = same_text(old_name, entry->name);
    bool changed = was && same_plan && !same_text(old_calendar, entry->calendar);
    if ((changed || !same_plan) && entry->firing == FIRING_WANTED && entry->fire_due_ms)
        entry->firing = FIRING_NOT; /* a due time of before */
    entry_begin(dir, entry, changed);
    struct log_fields fields = {.kind = LOG_KIND_SCHEDULE, .plan = entry->name};
    log_event(LOG_LEVEL_INFO, &fields, "%s: plan %s %s due %s", entry->path, entry->name,
              was ? "was changed; it is" : "is", entry->calendar ? entry->calendar : "only when asked for");
    return 0;
}

/* ---- a scan's result ---- */

/* Of several files with one plan name the first counts. */
static void find_clashes(struct plans_dir *dir)
{
    for (size_t i = 0; i < dir->n_entries; i++) {
        struct plans_entry *entry = dir->entries[i];
        bool had = entry->clash != NULL;
        free(entry->clash);
        entry->clash = NULL;
        const struct plans_entry *other = entry->name ? plans_find(dir, entry->name) : NULL;
        if (!other || other == entry)
            continue;
        if (asprintf(&entry->clash, "%s: its plan's name, %s, is that of %s too; rename one of them",
                     entry->path, entry->name, other->path) < 0)
            entry->clash = NULL;
        else if (!had)
            log_warning("%s", entry->clash);
        if (entry->clash)
            plans_fire_clash(entry);
    }
}

static int apply_seen(struct plans_dir *dir, struct plans_seen *seen)
{
    struct plans_entry *entry = entry_of_file(dir, seen->file);
    if (!seen->changed)
        return 0;
    if (!entry)
        entry = entry_new(dir, seen->file);
    if (!entry)
        return -ENOMEM;
    int r = 0;
    if (seen->version.error)
        entry_break(entry, &seen->version);
    else
        r = entry_replace(dir, entry, &seen->version);
    if (r == 0)
        entry->signature = seen->version.signature;
    return r;
}

int plans_apply(struct plans_dir *dir, struct plans_scan *scan)
{
    int r = 0;
    for (size_t i = 0; i < scan->n; i++) {
        struct plans_entry *gone = scan->seen[i].there ? NULL : entry_of_file(dir, scan->seen[i].file);
        if (gone)
            entry_remove(dir, gone);
    }
    for (size_t i = 0; i < scan->n && r == 0; i++)
        if (scan->seen[i].there)
            r = apply_seen(dir, &scan->seen[i]);
    find_clashes(dir);
    return r;
}
