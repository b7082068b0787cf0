#include "io/plans_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "io/calendar.h"
#include "io/loop.h"
#include "io/plans_parts.h"
#include "model/plan.h"
#include "model/settings.h"

#define MINUTE_MS 60000
#define HINT_MS 300       /* after a hint: there is mostly more to come */
#define UNSTABLE_MS 1100  /* a file that was written a moment ago */
#define AGAIN_MS 60000    /* the calendar could not be asked */
#define MOVED_MS 1000     /* a file was changed just when it was due */
#define CLOCK_SET_MS 1000 /* a smaller jump is slewing */

/* ---- jobs: what waits for files and children, in a worker ---- */

enum plans_job_kind { JOB_SCAN, JOB_LOOK, JOB_READ };

struct plans_job {
    uv_work_t work;
    struct plans_dir *dir;
    enum plans_job_kind kind;
    struct plans_entry *entry; /* stays as it is while a job is under way */
    struct plans_scan scan;
    /* JOB_LOOK */
    int64_t base_ms, now_ms;
    struct schedule_dues dues;
    struct buf problem;
    /* JOB_READ */
    int64_t accepted_ms;
    bool moved;        /* the file is another by now: a scan comes first */
    char *fallen_back; /* why the last good version was read instead */
    struct plans_version version;
    int error;
};

static void job_read(struct plans_job *job)
{
    struct plans_entry *entry = job->entry;
    const struct settings *settings = job->dir->settings;
    if (!entry->error) {
        job->error = plans_read(entry->path, settings, job->accepted_ms, &job->version);
        job->moved = !plans_signature_same(&job->version.signature, &entry->signature);
        if (job->error < 0 || job->moved || !job->version.error)
            return;
        job->fallen_back = TAKE_PTR(job->version.error);
        plans_version_done(&job->version);
    }
    job->error = plans_read_kept(&entry->kept, settings, job->accepted_ms, &job->version);
}

static void on_work(uv_work_t *work)
{
    struct plans_job *job = work->data;
    switch (job->kind) {
    case JOB_SCAN:
        plans_scan_run(&job->scan);
        break;
    case JOB_LOOK:
        job->error =
            calendar_dues(&job->entry->schedule, job->base_ms, job->now_ms, &job->dues, &job->problem);
        break;
    case JOB_READ:
        job_read(job);
        break;
    }
}

static void job_free(struct plans_job *job)
{
    plans_scan_done(&job->scan);
    plans_version_done(&job->version);
    buf_done(&job->problem);
    free(job->fallen_back);
    free(job);
}

/* ---- after a scan ---- */

static void on_hint(uv_fs_event_t *hints, const char *file, int events, int status)
{
    struct plans_dir *dir = hints->data;
    (void)file;
    (void)events;
    (void)status;
    uint64_t soon_ms = loop_now().mono_ms + HINT_MS;
    dir->scan_ms = soon_ms < dir->scan_ms ? soon_ms : dir->scan_ms;
    plans_turn(dir);
}

/* Hints are for one folder; when another has taken its name they are asked for anew. */
static void watch_folder(struct plans_dir *dir, const struct plans_signature *folder)
{
    if (dir->hints_on && plans_signature_same(&dir->folder, folder))
        return;
    if (dir->hints_on)
        uv_fs_event_stop(&dir->hints);
    int r = uv_fs_event_start(&dir->hints, on_hint, dir->directory, 0);
    dir->hints_on = r == 0;
    dir->folder = *folder;
    if (dir->hints_on)
        dir->scan_ms = loop_now().mono_ms; /* what came between the scan and now */
}

static void say_folder(struct plans_dir *dir, const struct plans_scan *scan)
{
    if (scan->error && scan->error != dir->folder_error)
        log_warning("%s cannot be read: %s; no plan in it is scheduled anew until it can", dir->directory,
                    strerror(-scan->error));
    else if (!scan->error && dir->folder_error)
        log_info("%s can be read again", dir->directory);
    if (scan->too_many && !dir->too_many)
        log_warning("%s has more than %d plans; the first by name are used", dir->directory, PLANS_MAX);
    dir->folder_error = scan->error;
    dir->too_many = scan->too_many;
}

static void scan_done(struct plans_dir *dir, struct plans_scan *scan)
{
    uint64_t soon_ms = loop_now().mono_ms + UNSTABLE_MS;
    if (scan->unstable &&
        soon_ms < dir->scan_ms) /* else when it was to be, or as a hint has said meanwhile */
        dir->scan_ms = soon_ms;
    say_folder(dir, scan);
    if (!scan->error && plans_apply(dir, scan) < 0)
        log_warning("out of memory while plans are read; tried again in a minute");
    if (!scan->error)
        watch_folder(dir, &scan->folder);
    if (!dir->scanned && dir->ops->ready)
        dir->ops->ready(dir->user);
    dir->scanned = true;
}

/* ---- after the calendar was asked ---- */

static void look_failed(struct plans_entry *entry, const struct plans_job *job)
{
    struct log_fields fields = {.kind = LOG_KIND_SCHEDULE, .plan = entry->name};
    if (!entry->calendar_failed)
        log_event(LOG_LEVEL_ERROR, &fields, "plan %s: its next due time is not known: %s", entry->name,
                  buf_str(&job->problem));
    entry->calendar_failed = true;
    entry->look_ms = loop_now().mono_ms + AGAIN_MS;
    entry->look = true;
}

static void look_done(struct plans_dir *dir, struct plans_entry *entry, const struct plans_job *job)
{
    struct log_fields fields = {.kind = LOG_KIND_SCHEDULE, .plan = entry->name};
    if (job->error < 0) {
        look_failed(entry, job);
        return;
    }
    entry->calendar_failed = false;
    entry->step = schedule_step(&entry->schedule, entry->name, &job->dues, job->now_ms);
    if (!entry->step.missed_ms)
        return;
    log_event(LOG_LEVEL_WARNING, &fields,
              "plan %s: a due time was missed while the daemon or the machine was down; it is left out "
              "(catch_up is false)",
              entry->name);
    plans_leave_out(dir, entry->name, entry->step.missed_ms);
}

/* ---- after a plan was read for its due time ---- */

static void read_done(struct plans_dir *dir, struct plans_entry *entry, struct plans_job *job)
{
    struct log_fields fields = {.kind = LOG_KIND_SCHEDULE, .plan = entry->name};
    uint64_t now_ms = loop_now().mono_ms;
    if (job->error < 0 || job->moved) {
        entry->firing = FIRING_WANTED;
        entry->fire_ms = now_ms + MOVED_MS;
        dir->scan_ms = now_ms;
        return;
    }
    if (job->fallen_back)
        log_event(LOG_LEVEL_WARNING, &fields,
                  "plan %s is due, but not good as it is now; its last good version is carried out: %s",
                  entry->name, job->fallen_back);
    plans_fire_read(dir, entry, &job->version, job->accepted_ms);
}

static void on_work_done(uv_work_t *work, int status)
{
    struct plans_job *job = work->data;
    struct plans_dir *dir = job->dir;
    dir->job = NULL;
    if (!dir->closing && status == 0) {
        switch (job->kind) {
        case JOB_SCAN:
            scan_done(dir, &job->scan);
            break;
        case JOB_LOOK:
            look_done(dir, job->entry, job);
            break;
        case JOB_READ:
            read_done(dir, job->entry, job);
            break;
        }
    }
    job_free(job);
    if (dir->closing)
        plans_maybe_closed(dir);
    else
        plans_turn(dir);
}

/* ---- which job is next ---- */

static int job_start(struct plans_dir *dir, struct plans_job *job)
{
    job->dir = dir;
    job->work.data = job;
    dir->job = job;
    return uv_queue_work(dir->loop, &job->work, on_work, on_work_done);
}

static struct plans_job *job_new(enum plans_job_kind kind, struct plans_entry *entry)
{
    struct plans_job *job = calloc(1, sizeof(*job));
    if (!job)
        return NULL;
    job->kind = kind;
    job->entry = entry;
    job->problem = BUF_INIT(4096);
    return job;
}

static struct plans_job *job_scan(struct plans_dir *dir, struct instant now)
{
    struct plans_job *job = job_new(JOB_SCAN, NULL);
    if (!job)
        return NULL;
    job->scan =
        (struct plans_scan){.directory = dir->directory, .settings = dir->settings, .now_ms = now.wall_ms};
    for (size_t i = 0; i < dir->n_entries; i++) {
        struct plans_seen *seen = plans_scan_add(&job->scan, dir->entries[i]->file);
        if (!seen) {
            job_free(job);
            return NULL;
        }
        seen->known = true;
        seen->signature = dir->entries[i]->signature;
        if (dir->entries[i]->error)
            seen->signature.size = UINT64_MAX; /* read anew: what it lacks may be there now (a CSV file) */
    }
    dir->scan_ms = now.mono_ms + MINUTE_MS;
    return job;
}

static struct plans_job *job_of_entry(struct plans_dir *dir, struct plans_entry *entry, struct instant now)
{
    struct plans_job *job = NULL;
    if (entry->firing == FIRING_WANTED && entry->fire_ms <= now.mono_ms) {
        job = job_new(JOB_READ, entry);
        if (job) {
            job->accepted_ms = entry->fire_due_ms ? entry->fire_due_ms : now.wall_ms;
            entry->firing = FIRING_READING;
        }
    } else if (entry->look && entry->firing == FIRING_NOT && entry->look_ms <= now.mono_ms) {
        job = job_new(JOB_LOOK, entry);
        if (job) {
            job->base_ms = schedule_base(plans_decided(dir, entry->name), now.wall_ms);
            job->now_ms = now.wall_ms;
            entry->look = false;
            entry->step = (struct schedule_step){.due_ms = SCHEDULE_NEVER, .at_ms = SCHEDULE_NEVER};
        }
    }
    return job;
}

static struct plans_job *job_next(struct plans_dir *dir, struct instant now)
{
    if (dir->scan_ms <= now.mono_ms)
        return job_scan(dir, now);
    for (int fire = 1; fire >= 0; fire--) { /* what is due goes first */
        for (size_t i = 0; i < dir->n_entries; i++) {
            struct plans_entry *entry = dir->entries[i];
            bool wanted = entry->firing == FIRING_WANTED;
            struct plans_job *job =
                entry->name && !entry->clash && wanted == fire ? job_of_entry(dir, entry, now) : NULL;
            if (job)
                return job;
        }
    }
    return NULL;
}

/* ---- the turn ---- */

/* Is its moment here, or was it missed? Then the calendar is asked again, which tells so. */
static void entry_turn(struct plans_entry *entry, struct instant now, bool clock_set)
{
    if (!entry->schedule.given || entry->firing != FIRING_NOT)
        return;
    if (clock_set)
        entry->look = true;
    if (entry->look || entry->step.at_ms > now.wall_ms)
        return;
    if (schedule_in_time(&entry->schedule, &entry->step, now.wall_ms)) {
        entry->firing = FIRING_WANTED;
        entry->fire_ms = 0;
        entry->fire_due_ms = entry->step.due_ms;
    } else {
        entry->look = true;
    }
}

static uint64_t entry_due(const struct plans_entry *entry, struct instant now)
{
    if (!entry->name || entry->clash)
        return UINT64_MAX;
    if (entry->firing == FIRING_WANTED)
        return entry->fire_ms;
    if (entry->firing != FIRING_NOT || !entry->schedule.given)
        return UINT64_MAX;
    if (entry->look)
        return entry->look_ms;
    if (entry->step.at_ms <= now.wall_ms)
        return now.mono_ms;
    return entry->step.at_ms == SCHEDULE_NEVER ? UINT64_MAX
                                               : now.mono_ms + (uint64_t)(entry->step.at_ms - now.wall_ms);
}

static void on_timer(uv_timer_t *timer)
{
    plans_turn(timer->data);
}

static void arm(struct plans_dir *dir, struct instant now)
{
    uint64_t due_ms = now.mono_ms + MINUTE_MS;
    if (!dir->job) { /* else its end is a turn */
        due_ms = dir->scan_ms < due_ms ? dir->scan_ms : due_ms;
        for (size_t i = 0; i < dir->n_entries; i++) {
            uint64_t entry_ms = entry_due(dir->entries[i], now);
            due_ms = entry_ms < due_ms ? entry_ms : due_ms;
        }
    }
    uv_update_time(dir->loop);
    uv_timer_start(&dir->timer, on_timer, due_ms > now.mono_ms ? due_ms - now.mono_ms : 1,
                   0); /* never 0: the loop would see to nothing else */
}

void plans_turn(struct plans_dir *dir)
{
    struct instant now = loop_now();
    int64_t clock_ms = now.wall_ms - (int64_t)now.mono_ms;
    bool clock_set = llabs(clock_ms - dir->clock_ms) > CLOCK_SET_MS;
    if (dir->closing)
        return;
    dir->clock_ms = clock_ms;
    for (size_t i = 0; i < dir->n_entries; i++)
        entry_turn(dir->entries[i], now, clock_set);
    if (!dir->job && dir->next_settings) {
        settings_free(dir->settings);
        dir->settings = TAKE_PTR(dir->next_settings);
        for (size_t i = 0; i < dir->n_entries; i++)
            dir->entries[i]->signature.size = UINT64_MAX; /* like no file's: it is read anew */
        dir->scan_ms = now.mono_ms;
    }
    struct plans_job *job = dir->job ? NULL : job_next(dir, now);
    if (job && job_start(dir, job) < 0) {
        dir->job = NULL;
        job_free(job);
    }
    arm(dir, now);
}

/* ---- from outside ---- */

int plans_dir_new(uv_loop_t *loop, const char *directory, const struct settings *settings,
                  const struct plans_ops *ops, void *user, struct plans_dir **ret)
{
    struct plans_dir *dir = calloc(1, sizeof(*dir));
    if (!dir)
        return -ENOMEM;
    *dir = (struct plans_dir){.loop = loop,
                              .ops = ops,
                              .user = user,
                              .directory = strdup(directory),
                              .settings = plans_settings_copy(settings)};
    if (!dir->directory || !dir->settings) {
        free(dir->directory);
        settings_free(dir->settings);
        free(dir);
        return -ENOMEM;
    }
    uv_timer_init(loop, &dir->timer);
    uv_fs_event_init(loop, &dir->hints);
    dir->timer.data = dir->hints.data = dir;
    dir->handles = 2;
    *ret = dir;
    return 0;
}

int plans_dir_know(struct plans_dir *dir, const char *plan, int64_t decided_ms)
{
    return plans_decide(dir, plan, decided_ms);
}

void plans_dir_start(struct plans_dir *dir)
{
    struct instant now = loop_now();
    dir->clock_ms = now.wall_ms - (int64_t)now.mono_ms;
    dir->scan_ms = now.mono_ms;
    plans_turn(dir);
}

int plans_dir_set_settings(struct plans_dir *dir, const struct settings *settings)
{
    struct settings *copy = plans_settings_copy(settings);
    if (!copy)
        return -ENOMEM;
    settings_free(dir->next_settings);
    dir->next_settings = copy;
    plans_turn(dir);
    return 0;
}

void plans_dir_clock_set(struct plans_dir *dir)
{
    dir->clock_ms = INT64_MIN / 2; /* as never seen before */
    plans_turn(dir);
}

int plans_dir_run(struct plans_dir *dir, const char *plan, plans_on_done *on_done, void *data)
{
    struct plans_entry *entry = plans_find(dir, plan);
    if (!entry)
        return -ENOENT;
    if (entry->firing != FIRING_NOT)
        return -EALREADY;
    entry->firing = FIRING_WANTED;
    entry->fire_ms = 0;
    entry->fire_due_ms = 0;
    entry->on_hand = on_done;
    entry->hand_data = data;
    plans_turn(dir);
    return 0;
}

size_t plans_dir_count(const struct plans_dir *dir)
{
    return dir->n_entries;
}

struct plans_info plans_dir_info(const struct plans_dir *dir, size_t index)
{
    const struct plans_entry *entry = dir->entries[index];
    bool waits = entry->schedule.given && !entry->clash && entry->step.at_ms != SCHEDULE_NEVER;
    return (struct plans_info){.name = entry->name,
                               .file = entry->path,
                               .server = entry->server,
                               .calendar = entry->calendar,
                               .error = entry->error ? entry->error : entry->clash,
                               .next_ms = waits ? entry->step.at_ms : 0};
}

/* ---- closing ---- */

/* Its handles, a job in a worker, and answers that are owed: each may be the last. */
void plans_maybe_closed(struct plans_dir *dir)
{
    if (!dir->closing || dir->handles || dir->job || dir->answers)
        return;
    plans_entries_free(dir);
    settings_free(dir->settings);
    settings_free(dir->next_settings);
    free(dir->directory);
    void (*on_closed)(void *) = dir->on_closed;
    void *data = dir->closed_data;
    free(dir);
    if (on_closed)
        on_closed(data);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct plans_dir *dir = handle->data;
    dir->handles--;
    plans_maybe_closed(dir);
}

void plans_dir_close(struct plans_dir *dir, void (*on_closed)(void *data), void *data)
{
    dir->closing = true;
    dir->on_closed = on_closed;
    dir->closed_data = data;
    uv_close((uv_handle_t *)&dir->timer, on_handle_closed);
    uv_close((uv_handle_t *)&dir->hints, on_handle_closed);
}
