/* From names to bound items: which source, which repository, is the name free?
 * What does not fit fails here, before anything is sent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/plan_yaml.h"
#include "engine/parts.h"

#define NAME_UNITS_MAX 50
#define CANDIDATES_SAID 16 /* in one message */
#define RENAMES_MAX 100
#define RENAMES_GROW 4
#define WAITING_PER_MS 100 /* items that are looked at in a tenth of a millisecond */
#define RENAMED_MAX 256    /* bytes: 50 UTF-16 units */

/* The problem of one item, as it is found. */
struct problem {
    enum item_error error;
    int http;
    struct buf text;
};

static bool problem_is(struct problem *p, enum item_error error)
{
    p->error = error;
    return false;
}

static void say_candidates(struct problem *p, const struct want *want)
{
    size_t n = want->n < CANDIDATES_SAID ? want->n : CANDIDATES_SAID;
    for (size_t i = 0; i < n; i++)
        buf_printf(&p->text, "%s'%s' (%s) on backup server '%s'", i ? ", " : ": ", want->candidates[i].name,
                   want->candidates[i].id, want->candidates[i].server_name);
    if (want->n > n)
        buf_printf(&p->text, " and %zu more", want->n - n);
}

static void say_near(struct problem *p, const char *word, const char *const *names, size_t n)
{
    const char *near = text_nearest(word, names, n);
    if (near)
        buf_printf(&p->text, "; did you mean '%s'?", near);
}

/* ---- the source ---- */

static bool source_not_found(struct run *run, const struct plan_clone *clone, struct problem *p)
{
    buf_printf(&p->text, "no job %s '%s' on the server",
               clone->source.by == PLAN_REF_NAME ? "named" : "with the id", clone->source.text);
    if (clone->source.by == PLAN_REF_NAME)
        say_near(p, clone->source.text, run->near_jobs, run->n_near_jobs);
    return problem_is(p, ITEM_E_SOURCE_NOT_FOUND);
}

static bool find_source(struct run *run, const struct plan_clone *clone, const struct candidate **ret,
                        struct problem *p)
{
    const struct want *want = resolve_want(run, &clone->source, true);
    const struct candidate *only = NULL;
    size_t n = 0;
    if (!want || !want->n)
        return source_not_found(run, clone, p);
    for (size_t i = 0; i < want->n; i++) {
        if (clone->backup_server && strcmp(want->candidates[i].server_name, clone->backup_server) != 0)
            continue;
        only = &want->candidates[i];
        n++;
    }
    if (n == 0) {
        buf_printf(&p->text, "no job '%s' on backup server '%s'; there is", clone->source.text,
                   clone->backup_server);
        say_candidates(p, want);
        return problem_is(p, ITEM_E_BACKUP_SERVER_NOT_FOUND);
    }
    if (n > 1) {
        buf_printf(&p->text, "the source '%s' is ambiguous; name one by backup_server or {id: ...}",
                   clone->source.text);
        say_candidates(p, want);
        return problem_is(p, ITEM_E_SOURCE_AMBIGUOUS);
    }
    *ret = only;
    return true;
}

static bool same_source(const struct plan_clone *a, const struct plan_clone *b)
{
    return a->source.by == b->source.by && a->source.text == b->source.text &&
           a->backup_server == b->backup_server;
}

/* All pages are read: which distinct sources are there? What has not been read of them by now is next. */
void bind_sources(struct run *run)
{
    const struct plan_clone *last = NULL;
    for (size_t i = 0; i < run->n; i++) {
        const struct plan_clone *clone = &run->plan->clones[i];
        if (run->slots[i].item.state != ITEM_QUEUED || (last && same_source(clone, last)))
            continue;
        last = clone;
        struct problem p = {.text = BUF_INIT(16 * 1024)};
        const struct candidate *job;
        if (find_source(run, clone, &job, &p) && run_source(run, job) == NO_SLOT)
            engine_out_of_memory();
        buf_done(&p.text);
    }
}

static bool bind_source(struct run *run, const struct plan_clone *clone, uint32_t *ret, struct problem *p)
{
    const struct candidate *job;
    if (!find_source(run, clone, &job, p))
        return false;
    *ret = run_source(run, job);
    if (*ret == NO_SLOT)
        engine_out_of_memory();
    const struct source *source = &run->sources[*ret];
    if (source->state != SOURCE_READ) {
        p->http = source->http;
        buf_add_str(&p->text, source->message ? source->message : "the source could not be read");
        return problem_is(p, source->error);
    }
    if (clone->kind != JOB_KIND_UNKNOWN && clone->kind != source->kind) {
        buf_printf(&p->text, "the plan says kind %s, but the source is a job of type %s",
                   job_kind_name(clone->kind), job_kind_name(source->kind));
        return problem_is(p, ITEM_E_KIND_MISMATCH);
    }
    return true;
}

/* ---- fields and repository ---- */

static bool check_fields(const struct plan_clone *clone, enum job_kind kind, struct problem *p)
{
    const char *foreign = NULL, *missing = NULL;
    if (clone->own_folder && !job_kind_has_folder(kind))
        foreign = "folder";
    else if (clone->own_file && !job_kind_has_file(kind))
        foreign = "file";
    else if (clone->own_vm_suffix && !job_kind_has_suffix(kind))
        foreign = "vm_suffix";
    else if (clone->own_repository && !job_kind_has_repository(kind))
        foreign = "repository";
    if (job_kind_has_suffix(kind) && !clone->vm_suffix)
        missing = "vm_suffix";
    if (job_kind_has_repository(kind) && clone->repository.by == PLAN_REF_NONE)
        missing = "repository";
    if (!foreign && !missing)
        return true;
    if (foreign)
        buf_printf(&p->text, "a clone of kind %s has no '%s'; remove it", job_kind_name(kind), foreign);
    else
        buf_printf(&p->text, "a clone of kind %s needs '%s'", job_kind_name(kind), missing);
    return problem_is(p, ITEM_E_FIELD);
}

static bool repository_elsewhere(const struct run *run, const struct plan_clone *clone,
                                 const struct want *want, struct problem *p)
{
    if (want && want->n) {
        buf_printf(&p->text, "the repository '%s' is not on the source's backup server; there is",
                   clone->repository.text);
        say_candidates(p, want);
        return problem_is(p, ITEM_E_REPOSITORY_ELSEWHERE);
    }
    buf_printf(&p->text, "no repository '%s' on the server", clone->repository.text);
    if (clone->repository.by == PLAN_REF_NAME)
        say_near(p, clone->repository.text, run->near_repositories, run->n_near_repositories);
    return problem_is(p, ITEM_E_REPOSITORY_NOT_FOUND);
}

static bool bind_repository(struct run *run, const struct plan_clone *clone, const char *server_id,
                            struct item *item, struct problem *p)
{
    const struct want *want = resolve_want(run, &clone->repository, false);
    const struct candidate *only = NULL;
    size_t n = 0;
    for (size_t i = 0; want && i < want->n; i++) {
        if (strcmp(want->candidates[i].server_id, server_id) == 0) {
            only = &want->candidates[i];
            n++;
        }
    }
    if (n == 0)
        return repository_elsewhere(run, clone, want, p);
    if (n > 1) {
        buf_printf(&p->text, "the repository '%s' is ambiguous; name it by {uid: ...}",
                   clone->repository.text);
        say_candidates(p, want);
        return problem_is(p, ITEM_E_REPOSITORY_AMBIGUOUS);
    }
    struct buf uid = BUF_INIT(256);
    buf_printf(&uid, "urn:veeam:Repository:%s", only->id);
    item->repository_uid = arena_intern(run->plan->arena, buf_whole(&uid));
    buf_done(&uid);
    if (!item->repository_uid)
        engine_out_of_memory();
    return true;
}

/* ---- the name ---- */

/* Who has the name on that backup server; of several the one that counts most: this item's own job, then an
 * item of another run without outcome, then whatever is there. */
static const struct hit *name_holder(const struct run *run, uint32_t slot, const char *name,
                                     const char *server_id, enum hold *ret_hold)
{
    const struct hit *most = NULL;
    *ret_hold = HOLD_FREE;
    uint32_t at = table_get(&run->names, name);
    for (; at != TABLE_NONE && at; at = run->hits[at - 1].next) {
        const struct hit *hit = &run->hits[at - 1];
        if (strcmp(hit->server_id, server_id) != 0)
            continue;
        if (hit->description && item_mark_matches(hit->description, run->id, slot)) {
            *ret_hold = HOLD_THERE;
            return hit;
        }
        enum hold hold = hold_of(run, hit);
        if (hold == HOLD_DOUBT && hold_is_shown(run, hit))
            continue; /* the job itself counts, which is another hit */
        if (hold > *ret_hold) {
            *ret_hold = hold;
            most = hit;
        }
    }
    return most;
}

/* "Name (2)" with the stem trimmed to fit. */
static void renamed(char ret[RENAMED_MAX], const char *name, unsigned number)
{
    char suffix[16];
    snprintf(suffix, sizeof(suffix), " (%u)", number);
    size_t stem = text_utf16_prefix(name, NAME_UNITS_MAX - strlen(suffix));
    while (stem && name[stem - 1] == ' ')
        stem--;
    snprintf(ret, RENAMED_MAX, "%.*s%s", (int)stem, name, suffix);
}

enum name_verdict { NAME_FREE, NAME_OURS, NAME_SKIP, NAME_WAIT, NAME_BAD };

static enum name_verdict bind_rename(struct run *run, uint32_t slot, struct item *item, unsigned *ret_number,
                                     struct problem *p)
{
    enum hold hold;
    char name[RENAMED_MAX];
    for (unsigned number = 2; number <= RENAMES_MAX; number++) {
        renamed(name, item->name, number);
        if (resolve_asked(run, name) || name_holder(run, slot, name, item->server_id, &hold) ||
            taken_has(&run->taken_names, run->slots, item->server_id, name))
            continue;
        const char *known = table_key(&run->names, name);
        if (!known) { /* the conflict is newer than the list, or all that were asked for have holders */
            if (!run->resolve_again && run->renames < RENAMES_MAX)
                run->renames *= RENAMES_GROW;
            run->resolve_again = true;
            return NAME_WAIT;
        }
        item->name = known;
        *ret_number = number;
        return NAME_FREE;
    }
    buf_printf(&p->text,
               "'%s' and all of its numbered names up to (%d) are there already, or asked for by this plan",
               item->name, RENAMES_MAX);
    problem_is(p, ITEM_E_NAME_CONFLICT);
    return NAME_BAD;
}

static void bind_names_of(struct run *run, struct plan_clone *clone, const struct candidate *job)
{
    const char *problem = NULL;
    if (clone->late && plan_clone_fill_source(clone, job->name, run->plan->arena, &problem) == 0 &&
        resolve_name(run, clone->name) < 0)
        engine_out_of_memory();
    if (clone->late || clone->on_conflict != ON_CONFLICT_RENAME)
        return;
    uint32_t holder = table_get(&run->names, clone->name);
    char name[RENAMED_MAX];
    unsigned most = run->renames < RENAMES_MAX ? run->renames : RENAMES_MAX;
    for (unsigned number = 2; holder != TABLE_NONE && holder && number <= most; number++) {
        renamed(name, clone->name, number);
        const char *copy = table_key(&run->names, name) ? name : arena_str(run->plan->arena, name);
        if (!copy || resolve_name(run, copy) < 0)
            engine_out_of_memory();
    }
}

/* After the pages: names that are known only now (late ones), and those that a rename
 * may take. True when the pages must be read again for them. */
bool bind_more_names(struct run *run)
{
    size_t before = run->names.live;
    for (size_t i = 0; i < run->n; i++) {
        struct plan_clone *clone = &run->plan->clones[i];
        if (!clone->late && clone->on_conflict != ON_CONFLICT_RENAME)
            continue;
        struct problem p = {.text = BUF_INIT(16 * 1024)};
        const struct candidate *job;
        bool known = run->slots[i].item.state == ITEM_QUEUED && find_source(run, clone, &job, &p);
        buf_done(&p.text);
        if (known)
            bind_names_of(run, clone, job);
    }
    return run->names.live > before;
}

/* ---- the whole item ---- */

/* FolderName, JobFileName or VmSuffix: as given, or the name made safe. Most are there already as they are.
 */
static const char *folder_of(struct run *run, const struct plan_clone *clone, unsigned number,
                             const struct item *item)
{
    const char *given = item->kind == JOB_KIND_REPLICA    ? clone->vm_suffix
                        : job_kind_has_folder(item->kind) ? clone->folder
                                                          : clone->file;
    if (given && (!number || item->kind == JOB_KIND_REPLICA))
        return given;
    struct buf text = BUF_INIT(16 * 1024);
    char *made = given ? NULL : text_file_name(item->name);
    if (given)
        buf_printf(&text, "%s (%u)", given, number);
    bool same = made && strcmp(made, item->name) == 0;
    const char *folder = same ? item->name : arena_str(run->plan->arena, given ? buf_whole(&text) : made);
    free(made);
    buf_done(&text);
    if (!folder)
        engine_out_of_memory();
    return folder;
}

static bool bind_folder(struct run *run, const struct plan_clone *clone, unsigned number, struct item *item,
                        struct problem *p)
{
    item->folder = folder_of(run, clone, number, item);
    if (item->kind == JOB_KIND_REPLICA ||
        !taken_has(&run->taken_folders, run->slots, item->repository_uid, item->folder))
        return true;
    buf_printf(&p->text, "another clone of this plan has the folder or file '%s' on the same repository",
               item->folder);
    return problem_is(p, ITEM_E_FIELD);
}

/* Its name, and its folder or file, are no other item's any more. */
static void bind_take(struct run *run, uint32_t slot)
{
    const struct item *item = &run->slots[slot].item;
    bool folder = item->kind != JOB_KIND_REPLICA && item->repository_uid && item->folder;
    if (taken_add(&run->taken_names, run->slots, slot) < 0 ||
        (folder && taken_add(&run->taken_folders, run->slots, slot) < 0))
        engine_out_of_memory();
}

static enum name_verdict name_in_doubt(const struct item *item, struct problem *p)
{
    buf_printf(&p->text,
               "an earlier run of this state directory may have made '%s'; its outcome is not known",
               item->name);
    problem_is(p, ITEM_E_NAME_IN_DOUBT);
    return NAME_BAD;
}

static enum name_verdict bind_name(struct run *run, uint32_t slot, struct item *item,
                                   const struct hit **ret_hit, unsigned *ret_number, struct problem *p)
{
    const struct plan_clone *clone = &run->plan->clones[slot];
    enum hold hold;
    const struct hit *hit = name_holder(run, slot, item->name, item->server_id, &hold);
    *ret_hit = hit;
    if (hit && hit->description && item_mark_matches(hit->description, run->id, slot))
        return NAME_OURS;
    if (hit && hold == HOLD_WAIT && run->mode != ENGINE_PREVIEW)
        return NAME_WAIT;
    if (hit && (hold == HOLD_WAIT || hold == HOLD_DOUBT))
        return name_in_doubt(item, p);
    if (hit && clone->on_conflict == ON_CONFLICT_SKIP)
        return NAME_SKIP;
    if (hit && clone->on_conflict == ON_CONFLICT_RENAME)
        return bind_rename(run, slot, item, ret_number, p);
    if (hit)
        buf_printf(&p->text, "a job named '%s' is there already (%s)", item->name, hold_job(hit));
    else if (taken_has(&run->taken_names, run->slots, item->server_id, item->name))
        buf_printf(&p->text, "another clone of this plan has the name '%s' on backup server '%s'", item->name,
                   item->server_name);
    else
        return NAME_FREE;
    problem_is(p, ITEM_E_NAME_CONFLICT);
    return NAME_BAD;
}

static bool bind_values(struct run *run, uint32_t slot, struct item *item, uint32_t *ret_source,
                        struct problem *p)
{
    struct plan_clone *clone = &run->plan->clones[slot];
    const char *text = NULL;
    if (!bind_source(run, clone, ret_source, p))
        return false;
    const struct source *source = &run->sources[*ret_source];
    const struct backup_server *bs = &run->server->backup_servers[source->server];
    if (clone->late && plan_clone_fill_source(clone, source->name, run->plan->arena, &text) < 0) {
        if (!text)
            engine_out_of_memory();
        buf_add_str(&p->text, text);
        return problem_is(p, ITEM_E_FIELD);
    }
    item->kind = source->kind;
    item->source_id = source->id;
    item->source_name = source->name;
    item->server_id = arena_intern(run->plan->arena, bs->id);
    item->server_name = arena_intern(run->plan->arena, bs->name);
    item->name = clone->name;
    if (!item->server_id || !item->server_name)
        engine_out_of_memory();
    if (!check_fields(clone, source->kind, p))
        return false;
    return !job_kind_has_repository(source->kind) || bind_repository(run, clone, bs->id, item, p);
}

static void bind_fail(struct run *run, uint32_t slot, struct problem *p)
{
    struct item_event fail = {.kind = ITEM_EVENT_FAIL, .error = p->error, .http = p->http};
    fail.message = arena_intern(run->plan->arena, buf_str(&p->text));
    if (!fail.message || p->text.error == -ENOMEM)
        engine_out_of_memory(); /* rather than a failure that nobody can explain */
    engine_emit(run->engine, run, slot, &fail);
}

static void bind_job_event(struct run *run, uint32_t slot, enum item_event_kind kind, const char *job_id)
{
    struct item_event event = {.kind = kind, .job_uid = *job_id ? run_job_uid(run, job_id) : NULL};
    if (*job_id && !event.job_uid)
        engine_out_of_memory();
    engine_emit(run->engine, run, slot, &event);
}

static void bind_item(struct run *run, uint32_t slot)
{
    struct slot *s = &run->slots[slot];
    struct problem p = {.text = BUF_INIT(32 * 1024)};
    const struct hit *hit = NULL;
    unsigned number = 0;
    uint32_t source = NO_SLOT;
    struct item item = s->item;
    bool ok = bind_values(run, slot, &item, &source, &p);
    enum name_verdict verdict = ok ? bind_name(run, slot, &item, &hit, &number, &p) : NAME_BAD;
    if (verdict == NAME_FREE && !bind_folder(run, &run->plan->clones[slot], number, &item, &p))
        verdict = NAME_BAD;
    s->item = item;
    if (verdict == NAME_BAD) {
        bind_fail(run, slot, &p);
    } else if (verdict == NAME_FREE) {
        bind_take(run, slot);
        run->server->bindings++;
        s->source = source;
        slot_enlist(run, slot, run->engine->now.mono_ms);
    } else if (verdict == NAME_WAIT) {
        s->waits = true;
        slot_enlist(run, slot, run->engine->now.mono_ms);
    } else {
        bind_job_event(run, slot, verdict == NAME_OURS ? ITEM_EVENT_FOUND : ITEM_EVENT_SKIP, hold_job(hit));
    }
    buf_done(&p.text);
}

/* Names and folders of items that have left, or are back from doubt, are not free, whatever the list shows.
 */
static void bind_take_left(struct run *run)
{
    for (uint32_t i = 0; i < run->n; i++) {
        const struct item *item = &run->slots[i].item;
        bool free = item->state == ITEM_SKIPPED || item->state == ITEM_CANCELLED ||
                    (item->state == ITEM_FAILED && item->error != ITEM_E_TASK_TIMEOUT) ||
                    (item->state == ITEM_QUEUED && run->slots[i].source == NO_SLOT);
        if (!free && item->server_id && item->name)
            bind_take(run, i);
    }
}

bool bind_ready(const struct run *run)
{
    if (run->phase != PHASE_SOURCES || run->resolve_again)
        return false;
    for (size_t i = 0; i < run->n_sources; i++)
        if (run->sources[i].state == SOURCE_UNREAD || run->sources[i].state == SOURCE_READING)
            return false;
    return hold_ready(run);
}

/* Its names were asked for. An item whose doubt was settled meanwhile has its own already. */
static bool bind_wanted(const struct slot *slot)
{
    return slot->item.state == ITEM_QUEUED && !slot->pending && slot->source == NO_SLOT;
}

/* What other runs hold, when it has changed since this one's last items were bound. */
static bool bind_begin(struct run *run)
{
    if (run->bound && run->bindings == run->server->bindings)
        return true;
    if (hold_collect(run) < 0)
        return false; /* out of memory: with the next turn */
    if (!run->bound) {
        bind_take_left(run);
        run->released = run->server->released;
    }
    return true;
}

/* Everything is read: each waiting item gets its values or its error. Some in each turn, so that 200,000 of
 * them hold up nobody, and what fails or is skipped is stored in pieces. */
void bind_items(struct run *run)
{
    if (!bind_ready(run) || !bind_begin(run))
        return;
    for (uint32_t n = 0; n < run->engine->config.items_at_once && run->bound < run->n; n++, run->bound++)
        if (bind_wanted(&run->slots[run->bound]))
            bind_item(run, run->bound);
    run->bindings = run->server->bindings;
    if (run->resolve_again || run->bound < run->n)
        return;
    run->phase = PHASE_CLONING;
    if (run->mode == ENGINE_PREVIEW)
        run_end(run);
    if (!run->waiting.n)
        resolve_done(run);
}

/* When those that wait are looked at next. */
uint64_t bind_waiting_due(const struct run *run)
{
    if (!run->waiting.n || run->phase != PHASE_CLONING)
        return INSTANT_NEVER;
    if (run->wait_left)
        return 0;
    return run->released != run->server->released ? run->wait_ms : INSTANT_NEVER;
}

/* All that wait have been looked at: such a look costs about a microsecond for each of them, and a part of it
 * for each item of other runs. It may take a tenth of the time, or two runs of the same names would cost as
 * much as the square of their number. */
static void bind_waiting_rest(struct run *run)
{
    size_t cost = run->waiting.n;
    for (const struct run *other = run->engine->runs; other; other = other->next)
        cost += other != run && other->server == run->server ? other->n : 0;
    run->wait_ms = run->engine->now.mono_ms + cost / WAITING_PER_MS;
}

/* Items whose name another run's item held: has it let go? Some in each turn. */
void bind_waiting(struct run *run)
{
    if (run->engine->now.mono_ms < bind_waiting_due(run))
        return;
    if (hold_collect(run) < 0)
        return;                          /* out of memory: with the next turn */
    if (run->wait_left > run->waiting.n) /* some were cancelled meanwhile */
        run->wait_left = run->waiting.n;
    if (!run->wait_left) {
        run->wait_left = run->waiting.n;
        run->released = run->server->released;
    }
    uint32_t next = run->waiting.first;
    for (unsigned n = 0; n < run->engine->config.items_at_once && run->wait_left; n++, run->wait_left--) {
        uint32_t slot = next;
        next = run->slots[slot].next;
        if (run->slots[slot].pending)
            continue;
        slot_delist(run, slot);
        bind_item(run, slot); /* to the end of the list, if it has to wait on */
    }
    if (run->wait_left > run->waiting.n)
        run->wait_left = run->waiting.n;
    if (!run->wait_left)
        bind_waiting_rest(run);
    if (!run->waiting.n)
        resolve_done(run);
}

/* The server refuses to list jobs or repositories: nothing can be resolved. */
void resolve_refused(struct run *run, const struct exchange *e, const char *why)
{
    struct problem p = {.text = BUF_INIT(4096), .http = e->status};
    p.error = e->status == 403 ? ITEM_E_ACCESS_DENIED : ITEM_E_LOOKUP;
    buf_printf(&p.text, "the server does not list its jobs and repositories: %s", why);
    if (e->status == 403)
        buf_add_str(&p.text, "; the account needs the role Portal Administrator");
    for (uint32_t i = 0; i < run->n; i++)
        if (run->slots[i].item.state == ITEM_QUEUED)
            bind_fail(run, i, &p);
    buf_done(&p.text);
    run->phase = PHASE_CLONING;
    if (run->mode == ENGINE_PREVIEW)
        run_end(run);
}
