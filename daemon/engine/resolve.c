/* Names to ids (design note 3): pages of jobs and repositories are read,
 * matched exactly on our side; of the server's list only what the plan asks for
 * is kept. The entities of the distinct sources are read beside them. bind.c does the rest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "engine/parts.h"

#define CANDIDATES_MAX 1024 /* of one name: each backup server may have one */
#define NEAR_MAX 200
#define RESTARTS_MAX 5
#define HOLDERS_MAX 1024 /* of one name */
#define SHARE 8          /* this part of the requests in flight, while clones wait for a place */
#define FEW 2            /* requests in flight */

/* ---- what the plan asks for ---- */

static struct table *want_table(struct run *run, const struct plan_ref *ref, bool job)
{
    if (ref->by == PLAN_REF_NAME)
        return job ? &run->job_names : &run->repository_names;
    return job ? &run->job_ids : &run->repository_ids;
}

struct want *resolve_want(const struct run *run, const struct plan_ref *ref, bool job)
{
    uint32_t at = table_get(want_table((struct run *)run, ref, job), ref->text);
    if (at == TABLE_NONE)
        return NULL;
    return job ? &run->jobs[at] : &run->repositories[at];
}

static int want_add(struct run *run, const struct plan_ref *ref, bool job)
{
    if (ref->by == PLAN_REF_NONE || resolve_want(run, ref, job))
        return 0;
    struct want **wants = job ? &run->jobs : &run->repositories;
    size_t *n = job ? &run->n_jobs : &run->n_repositories;
    struct want *all = realloc(*wants, (*n + 1) * sizeof(*all));
    if (!all)
        return -ENOMEM;
    *wants = all;
    all[*n] = (struct want){.ref = *ref};
    int r = table_put(want_table(run, ref, job), ref->text, (uint32_t)*n);
    if (r == 0)
        ++*n;
    return r;
}

/* A name whose holders must be known. */
int resolve_name(struct run *run, const char *name)
{
    return table_get(&run->names, name) == TABLE_NONE ? table_put(&run->names, name, 0) : 0;
}

static void find_numbered(struct run *run)
{
    run->numbered_known = true;
    for (size_t i = 0; i < run->n; i++) {
        const struct plan_clone *clone = &run->plan->clones[i];
        size_t len = clone->late ? 0 : strlen(clone->name);
        if (len && clone->name[len - 1] == ')' && table_put(&run->numbered, clone->name, (uint32_t)i) < 0)
            engine_out_of_memory();
    }
}

/* Does a clone of the plan ask for that numbered name itself, on whichever backup server? */
bool resolve_asked(struct run *run, const char *name)
{
    if (!run->numbered_known)
        find_numbered(run);
    return table_get(&run->numbered, name) != TABLE_NONE;
}

int resolve_add_hit(struct run *run, const struct hit *hit)
{
    uint32_t first = table_get(&run->names, hit->name);
    if (first == TABLE_NONE)
        return 0;
    unsigned holders = 0;
    for (uint32_t i = first; i; i = run->hits[i - 1].next)
        if ((*hit->job_id && strcmp(run->hits[i - 1].job_id, hit->job_id) == 0) || ++holders == HOLDERS_MAX)
            return 0;
    if (run->n_hits == run->size_hits) {
        size_t size = run->size_hits ? run->size_hits * 2 : 16;
        struct hit *all = realloc(run->hits, size * sizeof(*all));
        if (!all)
            return -ENOMEM;
        run->hits = all;
        run->size_hits = size;
    }
    run->hits[run->n_hits] = *hit;
    run->hits[run->n_hits].next = first;
    run->n_hits++;
    return table_put(&run->names, table_key(&run->names, hit->name), (uint32_t)run->n_hits);
}

int resolve_begin(struct run *run)
{
    size_t queued = 0;
    uint64_t now = run->engine->now.mono_ms;
    run->bound = 0;
    hold_begin(run);
    for (size_t i = 0; i < run->n; i++) {
        const struct plan_clone *clone = &run->plan->clones[i];
        if (run->slots[i].item.state != ITEM_QUEUED)
            continue;
        queued++;
        if (want_add(run, &clone->source, true) < 0 || want_add(run, &clone->repository, false) < 0 ||
            (!clone->late && resolve_name(run, clone->name) < 0))
            return -ENOMEM;
    }
    run->near_jobs = calloc(NEAR_MAX, sizeof(char *));
    run->near_repositories = calloc(NEAR_MAX, sizeof(char *));
    if (!run->near_jobs || !run->near_repositories)
        return -ENOMEM;
    run->phase = queued ? PHASE_JOBS : PHASE_CLONING;
    run->read_ms = 0;
    listing_done(&run->job_list);
    listing_done(&run->repository_list);
    if (queued)
        listing_read(&run->job_list, now);
    if (run->n_repositories)
        listing_read(&run->repository_list, now);
    return 0;
}

static void wants_free(struct want *wants, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(wants[i].candidates);
    free(wants);
}

void resolve_done(struct run *run)
{
    wants_free(run->jobs, run->n_jobs);
    wants_free(run->repositories, run->n_repositories);
    run->jobs = run->repositories = NULL;
    run->n_jobs = run->n_repositories = 0;
    listing_done(&run->job_list);
    listing_done(&run->repository_list);
    table_done(&run->job_names);
    table_done(&run->job_ids);
    table_done(&run->repository_names);
    table_done(&run->repository_ids);
    table_done(&run->names);
    table_done(&run->numbered);
    run->numbered_known = false;
    taken_done(&run->taken_names);
    taken_done(&run->taken_folders);
    free(run->hits);
    run->hits = NULL;
    run->n_hits = run->size_hits = 0;
    free(run->near_jobs);
    free(run->near_repositories);
    run->near_jobs = run->near_repositories = NULL;
    run->n_near_jobs = run->n_near_repositories = 0;
}

/* ---- what the server has ---- */

static int want_match(struct run *run, const struct plan_ref *ref, bool job, const struct seen_entity *seen)
{
    struct want *want = resolve_want(run, ref, job);
    if (!want || want->n >= CANDIDATES_MAX)
        return 0;
    for (size_t i = 0; i < want->n; i++)
        if (strcmp(want->candidates[i].id, seen->id) == 0)
            return 0; /* a page that shifted shows it again */
    struct candidate *all = realloc(want->candidates, (want->n + 1) * sizeof(*all));
    if (!all)
        return -ENOMEM;
    want->candidates = all;
    struct arena *arena = run->plan->arena;
    all[want->n] =
        (struct candidate){arena_intern(arena, seen->id), arena_intern(arena, seen->name),
                           arena_intern(arena, seen->server_id), arena_intern(arena, seen->server_name)};
    if (!all[want->n].id || !all[want->n].name || !all[want->n].server_id || !all[want->n].server_name)
        return -ENOMEM;
    want->n++;
    if (job && want->n == 1) /* most likely the one: its entity is read beside the other pages */
        (void)run_source(run, &want->candidates[0]);
    return 0;
}

/* Keeps names that begin like a wanted one: candidates for "did you mean". */
static void keep_near(struct run *run, const struct seen_entity *seen, bool job)
{
    const struct want *wants = job ? run->jobs : run->repositories;
    size_t n_wants = job ? run->n_jobs : run->n_repositories;
    size_t *n = job ? &run->n_near_jobs : &run->n_near_repositories;
    for (size_t i = 0; i < n_wants && i < 8 && *n < NEAR_MAX; i++) {
        const char *one[] = {seen->name};
        if (wants[i].ref.by == PLAN_REF_NAME && text_nearest(wants[i].ref.text, one, 1)) {
            const char *copy = arena_intern(run->plan->arena, seen->name);
            if (copy)
                (job ? run->near_jobs : run->near_repositories)[(*n)++] = copy;
            return;
        }
    }
}

static int resolve_seen(struct run *run, bool job, const struct seen_entity *seen)
{
    if (seen->kind != (job ? API_ENTITY_JOB : API_ENTITY_REPOSITORY) || !*seen->id)
        return 0;
    struct plan_ref name = {PLAN_REF_NAME, seen->name}, id = {PLAN_REF_ID, seen->id};
    int r = want_match(run, &name, job, seen);
    if (r == 0)
        r = want_match(run, &id, job, seen);
    keep_near(run, seen, job);
    if (r < 0 || !job || table_get(&run->names, seen->name) == TABLE_NONE)
        return r;
    struct arena *arena = run->plan->arena;
    struct hit hit = {.name = table_key(&run->names, seen->name),
                      .server_id = arena_intern(arena, seen->server_id),
                      .job_id = arena_str(arena, seen->id),
                      .description = arena_str(arena, seen->description)};
    if (!hit.name || !hit.server_id || !hit.job_id || !hit.description)
        return -ENOMEM;
    return resolve_add_hit(run, &hit);
}

/* A list has been read. Once the jobs are known, what is left of the sources is read beside the repositories.
 */
static void resolve_next_phase(struct run *run)
{
    if (run->phase < PHASE_REPOSITORIES && !run->job_list.read)
        return;
    if (run->phase < PHASE_REPOSITORIES)
        sweep_expect(run->server, run->job_list.pages);
    if (run->phase == PHASE_JOBS && hold_collect(run) == 0 && bind_more_names(run)) {
        run->phase = PHASE_RENAMES;
        listing_read(&run->job_list, run->engine->now.mono_ms);
        return;
    }
    if (run->phase < PHASE_REPOSITORIES) {
        bind_sources(run);
        run->phase = PHASE_REPOSITORIES;
    }
    if (!listing_reads(&run->repository_list))
        run->phase = PHASE_SOURCES;
}

static void resolve_page(struct run *run, const struct exchange *e)
{
    struct listing *list = e->listing;
    uint64_t now = run->engine->now.mono_ms;
    unsigned page = e->number, total = listing_total(&e->doc.paging, page);
    if (page > 1 && total != list->pages && list->restarts < RESTARTS_MAX && e->doc.paging.pages) {
        list->restarts++; /* the list changed: names may have moved between pages */
        listing_read(list, now);
        return;
    }
    for (size_t i = 0; i < e->n_entities; i++) {
        if (resolve_seen(run, list == &run->job_list, &e->entities[i]) < 0) {
            run->ask_ms = now + 1000;
            return;
        }
    }
    if (total > PAGES_MAX) {
        resolve_refused(run, e, "the server claims more pages of them than there can be");
        return;
    }
    if (!listing_more_pages(list, total)) {
        run->ask_ms = now + 1000;
        return;
    }
    list->page_state[page - 1] = PAGE_READ;
    if (!listing_complete(list))
        return;
    if (list->twice && list->pages > 1 && !list->first_again) { /* what has moved there since it was read */
        list->first_again = true;
        list->page_state[0] = PAGE_UNASKED;
        return;
    }
    list->twice = listing_may_have_shifted(list, now);
    list->read = !list->twice;
    if (list->twice)
        listing_read(list, now);
    else
        resolve_next_phase(run);
}

static void resolve_source(struct run *run, const struct exchange *e, bool refused)
{
    struct source *source = &run->sources[e->number];
    struct arena *arena = run->plan->arena;
    struct buf text = BUF_INIT(4096);
    source->state = SOURCE_BAD;
    source->error = ITEM_E_SOURCE_NOT_CLONABLE;
    source->http = e->status;
    if (refused) {
        source->error = e->status == 404   ? ITEM_E_SOURCE_NOT_FOUND
                        : e->status == 403 ? ITEM_E_ACCESS_DENIED
                                           : ITEM_E_LOOKUP;
        buf_printf(&text, "the source job cannot be read: %s", exchange_text(e, arena));
    } else {
        const struct seen_entity *job = &e->entities[0];
        source->kind = job_kind_parse(job->job_type);
        source->name = arena_intern(arena, job->name);
        source->http = 0;
        if (source->kind == JOB_KIND_UNKNOWN)
            buf_printf(&text, "jobs of type '%s' cannot be cloned", job->job_type);
        else if (!job->can_clone)
            buf_add_str(&text, "the server does not offer to clone this job");
        else
            source->state = SOURCE_READ;
    }
    source->message = arena_intern(arena, buf_str(&text));
    buf_done(&text);
}

/* A server that does not heed the number, or a cache, shows one page again and again. */
static bool page_is_other(const struct exchange *e)
{
    const struct api_paging *paging = &e->doc.paging;
    return e->kind == EXCHANGE_NAMES && exchange_fault(e) == FAULT_NONE && paging->page &&
           paging->page != e->number;
}

/* The server answers, but this with nothing that can be used, or it answers others, but not this (each
 * failure is followed by a sign of life), for as long as it might be unreachable: it will not change by
 * asking. */
static bool resolve_hopeless(struct run *run, const struct exchange *e, enum fault fault)
{
    const struct server *server = run->server;
    uint64_t now = run->engine->now.mono_ms;
    bool answered = fault == FAULT_GARBLED || fault == FAULT_SERVER;
    if (!answered && fault != FAULT_LOST && fault != FAULT_OVERLOAD) {
        run->useless_ms = 0;
        return false;
    }
    if (!run->useless_ms || run->useless_ms < server->back_ms) {
        run->useless_ms = now;
        run->useless = 0;
    }
    if (!run->useless || e->started_ms >= run->failed_ms) /* others that were under way tell the same */
        run->useless++;
    run->failed_ms = now;
    return now - run->useless_ms >= server->settings->unreachable_ms &&
           (answered || run->useless >= LIST_FAILURES_MIN);
}

/* No answer to go by: asked again after a growing wait, or given up. */
static void resolve_failed(struct run *run, const struct exchange *e)
{
    struct buf why = BUF_INIT(4096);
    bool other = page_is_other(e);
    if (!resolve_hopeless(run, e, other ? FAULT_GARBLED : exchange_fault(e))) {
        uint64_t wait = 500u << (run->ask_failures < 6 ? run->ask_failures : 6);
        run->ask_failures++;
        run->ask_ms = run->engine->now.mono_ms + wait;
    } else if (e->kind == EXCHANGE_SOURCE) {
        resolve_source(run, e, true);
    } else {
        buf_printf(&why, "for %llu s no answer could be used: %s",
                   (unsigned long long)run->server->settings->unreachable_ms / 1000,
                   other ? "it shows another page than is asked for" : exchange_text(e, e->arena));
        resolve_refused(run, e, buf_str(&why));
    }
    buf_done(&why);
}

void resolve_reply(struct run *run, struct exchange *e)
{
    const struct fault_decision *decision = exchange_decision(e);
    run->asking--;
    struct listing *list = e->listing;
    if (e->kind == EXCHANGE_NAMES) {
        if (e->reading != list->reading || run->phase >= PHASE_SOURCES)
            return; /* asked before the reading was begun anew */
        if (list->page_state)
            list->page_state[e->number - 1] = PAGE_UNASKED;
        else
            list->first_asked = false;
    }
    if (e->kind == EXCHANGE_SOURCE && run->sources[e->number].state == SOURCE_READING)
        run->sources[e->number].state = SOURCE_UNREAD;
    if (decision->session == FAULT_SESSION_LOST)
        return; /* asked again in the new session */
    if (decision->item == FAULT_ITEM_FAIL && e->kind == EXCHANGE_NAMES) {
        resolve_refused(run, e, exchange_text(e, e->arena));
    } else if (decision->item != FAULT_ITEM_NONE && !page_is_other(e)) {
        run->ask_failures = 0;
        run->useless_ms = 0;
        if (e->kind == EXCHANGE_SOURCE)
            resolve_source(run, e, decision->item == FAULT_ITEM_FAIL);
        else
            resolve_page(run, e);
    } else {
        resolve_failed(run, e);
    }
}

/* ---- asking ---- */

static bool resolve_ask_page(struct run *run, struct listing *list, unsigned page)
{
    struct exchange *e = exchange_new(run->server, EXCHANGE_NAMES, HTTP_GET);
    if (!e)
        return false;
    /* A run that was begun before may meet its own marks, any other those of clones that were given up: then
     * descriptions are needed. */
    bool jobs = list == &run->job_list;
    if (jobs && !run->read_ms)
        run->read_ms = run->engine->now.mono_ms;
    if (!list->page_state)
        list->marks = jobs && (run->resumed || hold_wants_marks(run));
    e->run = run;
    e->number = page;
    e->listing = list;
    e->reading = list->reading;
    buf_printf(&e->path, "/api/query?type=%s%s&pageSize=%d&page=%u", jobs ? "Job" : "Repository",
               list->marks ? "&format=Entities" : "", PAGE_SIZE, page);
    if (exchange_start(e) < 0)
        return false;
    run->asking++;
    return true;
}

/* The first page tells how many there are; the others are asked for side by side. */
static void resolve_ask_pages(struct run *run, struct listing *list)
{
    if (!listing_reads(list) || !server_room(run->server))
        return;
    if (!list->page_state && !list->first_asked)
        list->first_asked = resolve_ask_page(run, list, 1);
    while (run->asking < server_pages(run->server) && server_room(run->server)) {
        unsigned page = listing_unasked(list);
        if (!page || !resolve_ask_page(run, list, page))
            return;
        list->page_state[page - 1] = PAGE_ASKED;
    }
}

static bool resolve_unasked(const struct run *run, const struct listing *list)
{
    if (!listing_reads(list))
        return false;
    if (!list->page_state)
        return !list->first_asked;
    return run->asking < server_pages(run->server) && listing_unasked(list);
}

static bool resolve_unread(const struct run *run)
{
    for (size_t i = 0; i < run->n_sources; i++)
        if (run->sources[i].state == SOURCE_UNREAD)
            return true;
    return false;
}

static bool resolve_wants_page(const struct run *run)
{
    return run->phase < PHASE_SOURCES &&
           (resolve_unasked(run, &run->job_list) || resolve_unasked(run, &run->repository_list));
}

static void resolve_ask_sources(struct run *run)
{
    for (uint32_t i = 0; i < run->n_sources && server_room(run->server); i++) {
        if (run->sources[i].state != SOURCE_UNREAD)
            continue;
        struct exchange *e = exchange_new(run->server, EXCHANGE_SOURCE, HTTP_GET);
        if (!e)
            return;
        e->run = run;
        e->number = i;
        buf_printf(&e->path, "/api/jobs/%s?format=Entity", run->sources[i].id);
        if (exchange_start(e) < 0)
            return;
        run->asking++;
        run->sources[i].state = SOURCE_READING;
    }
}

static bool resolve_may_ask(const struct run *run)
{
    return run->phase <= PHASE_SOURCES && !run->gone && !run->resolve_again && run->hours.state.open &&
           server_ready(run->server) && !run->engine->stopping && run->state != RUN_PAUSED &&
           run->engine->now.mono_ms >= run->ask_ms;
}

/* An eighth for the runs that read names, or a large run's clones would keep them waiting to its end; of one
 * or two places every other one, or a plan of many sources would do the same to clones. */
unsigned resolve_share(const struct server *server)
{
    unsigned limit = limit_now(&server->limit);
    if (limit <= FEW && server->named)
        return 0;
    for (const struct run *run = server->engine->runs; run; run = run->next)
        if (run->server == server && resolve_may_ask(run) && (resolve_wants_page(run) || resolve_unread(run)))
            return limit / SHARE + 1;
    return 0;
}

void resolve_act(struct run *run)
{
    if (!resolve_may_ask(run) || !server_room(run->server))
        return;
    if (run->phase < PHASE_SOURCES) {
        resolve_ask_pages(run, &run->job_list);
        resolve_ask_pages(run, &run->repository_list);
    }
    resolve_ask_sources(run);
}

uint64_t resolve_due(const struct run *run)
{
    const struct server *server = run->server;
    if (run->phase > PHASE_SOURCES || run->resolve_again || !run->hours.state.open ||
        server->session.state != SESSION_OPEN || server->unreachable_ms || !server_room(server) ||
        run->engine->stopping || run->state == RUN_PAUSED)
        return INSTANT_NEVER;
    if (!resolve_wants_page(run) && !(resolve_unread(run) && !run->asking))
        return INSTANT_NEVER;
    uint64_t due = run->ask_ms;
    if (due < server->probe_ms)
        due = server->probe_ms;
    return due < server->busy_until_ms ? server->busy_until_ms : due;
}
