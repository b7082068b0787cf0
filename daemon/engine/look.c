/* Looks at single jobs, the cheap ways to find: the jobs of tasks that nobody
 * owns, the jobs of a name in doubt, and the first clone of each kind, which
 * tells whether the server keeps marks. What they do not find proves nothing. */
#include <string.h>

#include "base/log.h"
#include "engine/parts.h"

#define NAMED_MAX 8 /* items in doubt that are asked for one by one */
#define NAMED_OF 3  /* every third look is a sweep all the same: a clone may have got another name */

static void look_found(struct run *run, uint32_t slot, const char *job_id)
{
    struct item_event found = {.kind = ITEM_EVENT_FOUND, .job_uid = run_job_uid(run, job_id)};
    if (!found.job_uid)
        engine_out_of_memory();
    engine_emit(run->engine, run, slot, &found);
}

/* ---- orphans ---- */

static void look_orphan(struct exchange *e)
{
    struct server *server = e->server;
    uint32_t place = e->serial == server->session.serial ? table_get(&server->tasks, e->task_id) : TABLE_NONE;
    server->looks--;
    if (place == TABLE_NONE)
        return; /* that session is gone */
    struct task_owner *owner = &server->task_owners[place];
    if (owner->state != TASK_LOOKING)
        return; /* its answer has come meanwhile, and told whose it is */
    owner->state = TASK_ORPHAN;
    char run_id[27];
    uint32_t slot;
    if (exchange_fault(e) != FAULT_NONE)
        return; /* not readable yet: looked at again with the next list */
    const struct seen_entity *job = &e->entities[0];
    struct run *run =
        item_mark_parse(job->description, run_id, &slot) ? engine_find_run(server->engine, run_id) : NULL;
    if (!run || slot >= run->n) {
        owner->state = TASK_DONE; /* not ours */
        return;
    }
    const struct item *item = slot_decided(server->engine, &run->slots[slot]);
    if (item->state == ITEM_SUBMITTING)
        return; /* its answer is still on the way */
    owner->state = TASK_DONE;
    if (item->state != ITEM_IN_DOUBT || strcmp(item->name, job->name) != 0)
        return; /* another name: a sweep decides */
    look_found(run, slot, job->id);
    tidy_add(server, owner);
}

/* ---- the first clone of a kind ---- */

static void look_at_mark(struct exchange *e)
{
    struct server *server = e->server;
    enum job_kind kind = (enum job_kind)e->number;
    if (exchange_fault(e) != FAULT_NONE) {
        server->read_back[kind] = false; /* the next clone is read instead */
        return;
    }
    size_t len = strlen(e->entities[0].description), n = strlen(e->mark);
    server->mark_lost[kind] = len < n || strcmp(e->entities[0].description + len - n, e->mark) != 0;
    if (server->mark_lost[kind])
        log_warning("server %s does not keep descriptions of %s clones: lost answers cannot be settled there",
                    server->settings->name, job_kind_name(kind));
}

void look_reply(struct exchange *e)
{
    if (e->task_id)
        look_orphan(e);
    else
        look_at_mark(e);
}

/* An item has succeeded: the first clone of each kind and session is read back as soon as there is room: is
 * its mark kept? */
void look_success(struct server *server, struct run *run, uint32_t slot)
{
    const struct item *item = &run->slots[slot].item;
    struct held *first = &server->to_read[item->kind];
    if (!server->read_back[item->kind] && !first->run && !item->recovered && item->job_uid &&
        strrchr(item->job_uid, ':'))
        *first = (struct held){run, slot};
}

static void look_back(struct server *server, struct run *run, uint32_t slot)
{
    const struct item *item = &run->slots[slot].item;
    const char *id = item->job_uid ? strrchr(item->job_uid, ':') : NULL;
    char mark[ITEM_MARK_MAX];
    struct exchange *e = id ? exchange_new(server, EXCHANGE_LOOK, HTTP_GET) : NULL;
    if (!e)
        return;
    item_mark(mark, run->id, slot);
    e->number = (uint32_t)item->kind;
    e->mark = arena_str(e->arena, mark);
    if (!e->mark || buf_printf(&e->path, "/api/jobs/%s?format=Entity", id + 1) < 0) {
        exchange_free(e);
        return;
    }
    if (exchange_start(e) == 0)
        server->read_back[item->kind] = true;
}

bool look_wants_back(const struct server *server)
{
    for (int i = 0; i < JOB_KIND_COUNT; i++)
        if (server->to_read[i].run)
            return true;
    return false;
}

void look_back_act(struct server *server)
{
    for (int i = 0; i < JOB_KIND_COUNT && server_room(server); i++) {
        struct held first = server->to_read[i];
        server->to_read[i].run = NULL;
        if (first.run)
            look_back(server, first.run, first.slot);
    }
}

/* The run is about to be freed, or its session is gone (NULL: all are). */
void look_forget(struct server *server, const struct run *run)
{
    for (int i = 0; i < JOB_KIND_COUNT; i++)
        if (!run || server->to_read[i].run == run)
            server->to_read[i].run = NULL;
}

/* ---- by name ---- */

/* The item in doubt whose job this is, or NULL: right mark, name and backup server. */
static struct run *look_item(struct server *server, const struct seen_entity *job, uint32_t *ret_slot)
{
    char run_id[27];
    if (job->kind != API_ENTITY_JOB || !item_mark_parse(job->description, run_id, ret_slot))
        return NULL;
    struct run *run = engine_find_run(server->engine, run_id);
    if (!run || run->server != server || *ret_slot >= run->n)
        return NULL;
    const struct item *item = slot_decided(server->engine, &run->slots[*ret_slot]);
    bool is = item->state == ITEM_IN_DOUBT && item->server_id &&
              strcmp(item->server_id, job->server_id) == 0 && strcmp(item->name, job->name) == 0;
    return is ? run : NULL;
}

/* Several jobs of one name and mark: a sweep decides. */
static bool look_only(const struct exchange *e, size_t which)
{
    const struct seen_entity *job = &e->entities[which];
    for (size_t i = 0; i < e->n_entities; i++)
        if (i != which && strcmp(e->entities[i].description, job->description) == 0 &&
            strcmp(e->entities[i].id, job->id) != 0)
            return false;
    return true;
}

void look_named(struct exchange *e)
{
    struct server *server = e->server;
    const struct api_paging *paging = &e->doc.paging;
    server->naming--;
    if (exchange_fault(e) != FAULT_NONE || (paging->given && (paging->has_next || paging->pages > 1)))
        return;
    for (size_t i = 0; i < e->n_entities; i++) {
        uint32_t slot;
        struct run *run = look_item(server, &e->entities[i], &slot);
        if (!run || !look_only(e, i))
            continue;
        uint32_t bs = table_get(&server->backup_server_ids, e->entities[i].server_id);
        if (bs != TABLE_NONE)
            server->backup_servers[bs].shown_ms = server->engine->now.mono_ms;
        look_found(run, slot, e->entities[i].id);
    }
}

/* Filters quote names, and how a quote inside is meant is not known (wire reference 5.2). */
static int look_filter(const char *name, struct buf *ret)
{
    struct buf filter = BUF_INIT(4096);
    int r = buf_printf(&filter, "Name==\"%s\"", name);
    if (r == 0)
        r = buf_add_str(ret, "/api/query?type=Job&format=Entities&filter=");
    if (r == 0)
        r = api_encode_query(buf_str(&filter), ret);
    if (r == 0)
        r = buf_printf(ret, "&pageSize=%d&page=1", PAGE_SIZE);
    buf_done(&filter);
    return r;
}

static void look_ask(struct server *server, const char *name)
{
    struct exchange *e = exchange_new(server, EXCHANGE_NAMED, HTTP_GET);
    if (!e)
        return;
    if (look_filter(name, &e->path) < 0)
        exchange_free(e);
    else if (exchange_start(e) == 0)
        server->naming++;
}

/* Few items in doubt are asked for by name, one query each. False when a sweep should look instead. */
bool look_by_name(struct server *server)
{
    const char *names[NAMED_MAX];
    size_t n = 0;
    unsigned busy = server->sent + server->others;
    if (server->in_doubt > NAMED_MAX || server->in_doubt + busy > limit_now(&server->limit) ||
        server->naming || server->sweep.finds % NAMED_OF == NAMED_OF - 1)
        return false;
    for (struct run *run = server->engine->runs; run; run = run->next) {
        uint32_t at = run->in_state[ITEM_IN_DOUBT].first;
        for (size_t i = run->server == server ? run->in_state[ITEM_IN_DOUBT].n : 0; i > 0 && n < NAMED_MAX;
             i--, at = run->slots[at].next) {
            names[n] = run->slots[at].item.name;
            if (strchr(names[n++], '"'))
                return false;
        }
    }
    sweep_schedule(server);
    for (size_t i = 0; i < n; i++)
        look_ask(server, names[i]);
    return true;
}
