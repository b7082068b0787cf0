/* The spool's life and its turns: whatever is due next, one thing at a time. */
#include "io/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "io/loop.h"
#include "io/spool_parts.h"
#include "model/settings.h"

/* ---- names in accepted/ ---- */

int spool_claim(struct spool *spool, const char *name)
{
    if (table_key(&spool->claims, name) != NULL)
        return -EEXIST;
    char *key = strdup(name);
    if (key == NULL || table_put(&spool->claims, key, 0) < 0) {
        free(key);
        return -ENOMEM;
    }
    return 0;
}

void spool_unclaim(struct spool *spool, const char *name)
{
    const char *key = table_key(&spool->claims, name);
    if (key == NULL)
        return;
    table_remove(&spool->claims, name);
    free((char *)(uintptr_t)key);
}

static const char *name_in_accepted(const char *filed)
{
    static const char folder[] = "accepted/";
    return strncmp(filed, folder, strlen(folder)) == 0 ? filed + strlen(folder) : NULL;
}

void spool_release(struct spool *spool, const char *filed)
{
    const char *name = name_in_accepted(filed);
    if (name != NULL)
        spool_unclaim(spool, name);
}

/* ---- the worker ---- */

void spool_give(struct spool *spool, enum spool_phase phase, uv_work_cb work, uv_after_work_cb done)
{
    spool->phase = phase;
    spool->work.data = spool;
    if (uv_queue_work(spool->loop, &spool->work, work, done) < 0)
        abort(); /* it fails only without a function */
}

/* A look that fails, or that has to wait for room, is told too: whoever waits for it would be ended instead.
 */
static void tell_ready(struct spool *spool)
{
    if (!spool->ready && spool->ops->ready != NULL)
        spool->ops->ready(spool->user);
    spool->ready = true;
}

static void work_scan(uv_work_t *work)
{
    struct spool *spool = work->data;
    spool_scan_work(&spool->scan, spool->directory, &spool->folders);
}

static void after_scan(uv_work_t *work, int status)
{
    struct spool *spool = work->data;
    (void)status;
    if (spool->scan.error == 0) {
        spool_merge_scan(spool);
        tell_ready(spool);
    } else if (spool->scan.error == -ESTALE) {
        spool->lost = true;
    } else {
        spool_trouble(spool, "", spool->scan.error, strerror(-spool->scan.error));
        spool->scan_ms = loop_now().mono_ms + SPOOL_RETRY_MS;
    }
    spool_scan_done(&spool->scan);
    spool->phase = SPOOL_IDLE;
    spool_next(spool);
}

static void begin_scan(struct spool *spool)
{
    for (size_t i = 0; i < spool->entries.n_all; i++)
        spool->entries.all[i].seen = false;
    spool->scan_ms = INSTANT_NEVER;
    spool_give(spool, SPOOL_SCANNING, work_scan, after_scan);
}

void spool_trouble(struct spool *spool, const char *name, int error, const char *text)
{
    spool->retry_ms = loop_now().mono_ms + SPOOL_RETRY_MS;
    if (error == -ENOENT || error == -ESTALE || error == -EBADF || error == -ENOTDIR)
        spool->lost = true; /* one of the folders has gone */
    tell_ready(spool);
    if (spool->told == error)
        return;
    spool->told = error;
    log_event(LOG_LEVEL_WARNING, &(struct log_fields){.kind = LOG_KIND_STATE_TROUBLE},
              "spool: %s%s%s cannot be taken: %s; tried again until it can", spool->directory,
              name[0] != '\0' ? "/" : "", name, text != NULL ? text : "out of memory");
}

/* ---- away and back ---- */

static void watch(struct spool *spool)
{
    int r = spool_watch_new(spool->loop, spool->directory, spool_on_hint, spool, &spool->watch);
    if (r < 0)
        log_warning("spool: %s cannot be watched: %s; it is looked through every %d s instead (see "
                    "fs.inotify in sysctl)",
                    spool->directory, strerror(-r), SPOOL_BLIND_SCAN_MS / 1000);
}

static void forget_folder(struct spool *spool)
{
    spool->watch = spool_watch_close(spool->watch);
    spool_folders_close(&spool->folders);
    spool_entries_done(&spool->entries);
    spool->lost = false;
}

static void open_again(struct spool *spool)
{
    struct buf error = BUF_INIT(8192);
    uint64_t now = loop_now().mono_ms;
    bool was_open = spool->folders.spool >= 0;
    forget_folder(spool);
    int r = spool_folders_open(spool->directory, false, &spool->folders, &error);
    if (r == 0) {
        if (!was_open)
            log_info("spool: %s is back", spool->directory);
        watch(spool);
        spool->scan_ms = now;
    } else {
        if (was_open)
            log_warning("%s; nothing is taken until it is there again", buf_str(&error));
        spool->retry_ms = now + SPOOL_RETRY_MS;
    }
    buf_done(&error);
}

/* ---- turns ---- */

static void on_timer(uv_timer_t *timer)
{
    spool_next(timer->data);
}

static void arm(struct spool *spool)
{
    uint64_t now = loop_now().mono_ms, due = spool->scan_ms;
    bool waits =
        spool->lost || spool->unfiled != NULL || spool->entries.n_ready > 0 || spool->folders.spool < 0;
    if (waits && spool->retry_ms < due)
        due = spool->retry_ms;
    uv_update_time(spool->loop);
    uv_timer_start(&spool->timer, on_timer, due <= now ? 1 : due - now, 0);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct spool *spool = handle->data;
    void (*on_closed)(void *data) = spool->on_closed;
    void *data = spool->closed_data;
    while (spool->unfiled != NULL) {
        struct spool_taken *next = spool->unfiled->next;
        spool_taken_free(spool->unfiled);
        spool->unfiled = next;
    }
    forget_folder(spool);
    size_t cursor = 0;
    for (const char *key = table_next(&spool->claims, &cursor); key != NULL;
         key = table_next(&spool->claims, &cursor))
        free((char *)(uintptr_t)key);
    table_done(&spool->claims);
    settings_free(spool->rules);
    settings_free(spool->next_rules);
    free(spool->directory);
    free(spool);
    on_closed(data);
}

/* The next thing to do begins; false when there is none now. */
static bool begin(struct spool *spool, uint64_t now)
{
    bool may_try = now >= spool->retry_ms;
    if (spool->next_rules != NULL) {
        settings_free(spool->rules);
        spool->rules = spool->next_rules;
        spool->next_rules = NULL;
    }
    if ((spool->lost || spool->folders.spool < 0) && may_try)
        open_again(spool);
    if (spool->lost || spool->folders.spool < 0)
        return false;
    if (spool->unfiled != NULL) { /* before anything else is looked at: it may be the same file */
        if (may_try)
            spool_begin_file(spool);
    } else if (now >= spool->scan_ms) {
        begin_scan(spool);
    } else if (spool->entries.n_ready > 0 && may_try) {
        spool_begin_take(spool);
    }
    return spool->phase != SPOOL_IDLE;
}

void spool_next(struct spool *spool)
{
    if (!spool->started || spool->phase != SPOOL_IDLE)
        return;
    if (spool->closing) {
        spool->started = false;
        uv_close((uv_handle_t *)&spool->timer, on_timer_closed);
        return;
    }
    if (!begin(spool, loop_now().mono_ms))
        arm(spool);
}

/* ---- life ---- */

int spool_new(uv_loop_t *loop, const struct settings *settings, const struct spool_ops *ops, void *user,
              struct spool **ret, struct buf *ret_error)
{
    struct spool *spool = calloc(1, sizeof(*spool));
    if (spool == NULL)
        return -ENOMEM;
    *spool = (struct spool){.loop = loop,
                            .ops = ops,
                            .user = user,
                            .directory = strdup(settings->spool_directory),
                            .rules = spool_rules_copy(settings),
                            .folders = SPOOL_FOLDERS_CLOSED,
                            .entries = SPOOL_ENTRIES_INIT};
    int r = spool->directory == NULL || spool->rules == NULL ? -ENOMEM : 0;
    if (r == 0 && getrandom(&spool->rng.state, sizeof(spool->rng.state), 0) != sizeof(spool->rng.state))
        r = -EIO;
    if (r == 0)
        r = spool_folders_open(spool->directory, true, &spool->folders, ret_error);
    if (r == 0)
        r = uv_timer_init(loop, &spool->timer);
    if (r < 0) {
        spool_folders_close(&spool->folders);
        settings_free(spool->rules);
        free(spool->directory);
        free(spool);
        return r;
    }
    spool->timer.data = spool;
    spool_folders_tidy(&spool->folders);
    *ret = spool;
    return 0;
}

static struct spool_taken *known_taken(const struct spool_known *known)
{
    struct spool_taken *taken = calloc(1, sizeof(*taken));
    if (taken == NULL)
        return NULL;
    *taken = (struct spool_taken){.file = strdup(known->file), .identity = known->identity};
    taken->files.bytes = BUF_INIT(known->bytes->len);
    strncpy(taken->run_id, known->run_id, ULID_LEN);
    if (taken->file == NULL ||
        (known->bytes->len > 0 && buf_add(&taken->files.bytes, buf_str(known->bytes), known->bytes->len) < 0))
        return spool_taken_free(taken);
    return taken;
}

int spool_know(struct spool *spool, const struct spool_known *known)
{
    if (known->filed == NULL) {
        struct spool_taken *taken = known_taken(known);
        if (taken == NULL)
            return -ENOMEM;
        spool_add_unfiled(spool, taken);
        return 0;
    }
    const char *name = name_in_accepted(known->filed);
    int r = name != NULL ? spool_claim(spool, name) : 0;
    return r == -EEXIST ? 0 : r;
}

void spool_start(struct spool *spool)
{
    spool->started = true;
    watch(spool);
    spool_next(spool);
}

int spool_set_settings(struct spool *spool, const struct settings *settings)
{
    struct settings *rules = spool_rules_copy(settings);
    if (rules == NULL)
        return -ENOMEM;
    settings_free(spool->next_rules);
    spool->next_rules = rules;
    return 0;
}

void spool_close(struct spool *spool, void (*on_closed)(void *data), void *data)
{
    spool->on_closed = on_closed;
    spool->closed_data = data;
    spool->closing = spool->started = true;
    spool_next(spool);
}
