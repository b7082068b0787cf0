/* A plan whose time has come, or that is wanted by hand: it has been read anew, now it is
 * handed over. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/loop.h"
#include "io/plans_parts.h"
#include "model/plan.h"

#define AGAIN_MS 10000

/* What ops->start owes; it may answer when the plan is no longer there. */
struct answer {
    struct plans_dir *dir;
    int64_t due_ms; /* 0: by hand */
    plans_on_done *on_hand;
    void *hand_data;
    char name[];
};

void plans_hand_end(struct plans_entry *entry, int error)
{
    plans_on_done *on_hand = entry->on_hand;
    entry->on_hand = NULL;
    if (on_hand)
        on_hand(error, entry->hand_data);
}

static void fire_end(struct plans_entry *entry)
{
    entry->firing = FIRING_NOT;
    entry->look = entry->schedule.given;
}

void plans_fire_clash(struct plans_entry *entry)
{
    if (entry->firing != FIRING_WANTED || !entry->on_hand)
        return;
    fire_end(entry);
    plans_hand_end(entry, -ENOTUNIQ);
}

/* The file that waits for the answer, whatever its plan's name is by now; NULL when it is gone. */
static struct plans_entry *find_asked(const struct plans_dir *dir, const struct answer *answer)
{
    for (size_t i = 0; i < dir->n_entries; i++)
        if (dir->entries[i]->asked == answer)
            return dir->entries[i];
    return NULL;
}

static void entry_answer(struct plans_entry *entry, int error, const struct answer *answer)
{
    entry->asked = NULL;
    bool again = error < 0 && error != -EEXIST && answer->due_ms && strcmp(entry->name, answer->name) == 0;
    if (!again) {
        fire_end(entry);
        return;
    }
    log_warning("plan %s is due, but cannot become a run: %s; tried again", answer->name, strerror(-error));
    entry->firing = FIRING_WANTED;
    entry->fire_ms = loop_now().mono_ms + AGAIN_MS;
}

static void on_answer(int error, void *data)
{
    struct answer *answer = data;
    struct plans_dir *dir = answer->dir;
    struct plans_entry *entry = find_asked(dir, answer);
    if (answer->due_ms && (error == 0 || error == -EEXIST))
        plans_decide(dir, answer->name, answer->due_ms);
    if (entry)
        entry_answer(entry, error, answer);
    if (answer->on_hand)
        answer->on_hand(error, answer->hand_data);
    free(answer);
    dir->answers--;
    if (dir->closing)
        plans_maybe_closed(dir);
    else
        plans_turn(dir);
}

static void fire_start(struct plans_dir *dir, struct plans_entry *entry, struct plans_version *version,
                       int64_t accepted_ms)
{
    size_t len = strlen(entry->name) + 1;
    struct answer *answer = calloc(1, sizeof(*answer) + len);
    if (!answer) {
        entry->firing = FIRING_WANTED;
        entry->fire_ms = loop_now().mono_ms + AGAIN_MS;
        return;
    }
    answer->dir = dir;
    answer->due_ms = entry->fire_due_ms;
    answer->on_hand = entry->on_hand;
    answer->hand_data = entry->hand_data;
    memcpy(answer->name, entry->name, len);
    entry->on_hand = NULL;
    entry->firing = FIRING_ASKED;
    entry->asked = answer;
    dir->answers++;
    struct plans_due due = {.name = answer->name,
                            .due_ms = answer->due_ms,
                            .accepted_ms = accepted_ms,
                            .plan = version->plan,
                            .files = &version->files};
    dir->ops->start(&due, on_answer, answer, dir->user);
    version->plan = due.plan;
}

/* It cannot be carried out: what was due is over. */
static void fire_give_up(struct plans_dir *dir, struct plans_entry *entry, int error, const char *why)
{
    struct log_fields fields = {.kind = LOG_KIND_SCHEDULE, .plan = entry->name};
    if (entry->fire_due_ms) {
        log_event(error == -EBUSY ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, &fields,
                  "plan %s is due, but left out: %s", entry->name, why);
        plans_leave_out(dir, entry->name, entry->fire_due_ms);
    }
    fire_end(entry);
    plans_hand_end(entry, error);
}

void plans_fire_read(struct plans_dir *dir, struct plans_entry *entry, struct plans_version *version,
                     int64_t accepted_ms)
{
    if (!version->plan) {
        fire_give_up(dir, entry, -EINVAL, version->error ? version->error : "it cannot be read");
        return;
    }
    switch (schedule_judge(entry->schedule.overlap, dir->ops->open_runs(entry->name, dir->user))) {
    case SCHEDULE_START:
    case SCHEDULE_WAIT:
        fire_start(dir, entry, version, accepted_ms);
        break;
    case SCHEDULE_SKIP:
        fire_give_up(dir, entry, -EBUSY, "a run of it is still open");
        break;
    }
}
