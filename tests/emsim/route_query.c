#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "routes.h"

struct query {
    enum thing thing;
    bool entities;
    uint64_t page, page_size;
    struct filter filter;
    uint32_t *hits;
    size_t n_hits;
    const struct call *call; /* for sorting */
};

struct query_words {
    const char *type, *plural;
    const char *fields[10];
};

static const struct query_words WORDS[] = {
    [THING_JOB] = {"Job",
                   "Jobs",
                   {"UID", "Name", "Description", "JobType", "Platform", "ScheduleConfigured",
                    "ScheduleEnabled", "BackupServerUid", "BackupServerName"}},
    [THING_REPOSITORY] = {"Repository",
                          "Repositories",
                          {"UID", "Name", "BackupServerUid", "BackupServerName"}},
    [THING_SERVER] = {"BackupServer", "BackupServers", {"UID", "Name"}},
    [THING_TASK] = {"Task", "Tasks", {"TaskId", "State", "Operation"}},
};

struct target {
    enum thing thing;
    uint32_t index;
};

static char *urn(const char *kind, const char *id, char ret[128])
{
    snprintf(ret, 128, "urn:veeam:%s:%s", kind, id);
    return ret;
}

static const char *task_field(const struct call *call, uint32_t index, const char *field, char text[128])
{
    static const char *const STATES[] = {"Running", "OperationFinished", "Finished"};
    static const char *const OPERATIONS[] = {"CloneJob", "DeleteJob", "CollectingBackupServer"};
    const struct work *work = &call->world->works[call->world->sessions[call->session].tasks[index]];
    if (strcasecmp(field, "State") == 0)
        return STATES[work->phase];
    if (strcasecmp(field, "Operation") == 0)
        return OPERATIONS[work->kind];
    snprintf(text, 128, "task-%" PRIu32, index + 1);
    return text;
}

static const char *job_field(const struct job *job, const char *field)
{
    if (strcasecmp(field, "Description") == 0)
        return job->description;
    if (strcasecmp(field, "JobType") == 0)
        return job->type;
    return strcasecmp(field, "Platform") == 0 ? "VMware" : "false";
}

static const char *server_field(const struct call *call, uint32_t server, const char *field, char text[128])
{
    const struct server *s = &call->world->servers[server];
    return strcasecmp(field, "BackupServerName") == 0 ? s->name : urn("BackupServer", s->id, text);
}

/* filter_get over things; only known fields come here. The text lives until the next call. */
static const char *get_field(const void *object, const char *field, void *data)
{
    static _Thread_local char text[128];
    const struct target *t = object;
    const struct call *call = data;
    const struct world *w = call->world;
    if (t->thing == THING_TASK)
        return task_field(call, t->index, field, text);
    if (strcasecmp(field, "Name") == 0)
        return thing_name(call, t->thing, t->index);
    bool uid = strcasecmp(field, "UID") == 0;
    if (t->thing == THING_SERVER)
        return urn("BackupServer", w->servers[t->index].id, text);
    if (t->thing == THING_REPOSITORY)
        return uid ? urn("Repository", w->repositories[t->index].id, text)
                   : server_field(call, w->repositories[t->index].server, field, text);
    if (uid)
        return urn("Job", w->jobs[t->index].id, text);
    return strncasecmp(field, "BackupServer", 12) == 0
               ? server_field(call, w->jobs[t->index].server, field, text)
               : job_field(&w->jobs[t->index], field);
}

static void consider(struct call *call, struct query *query, uint32_t index)
{
    struct target target = {query->thing, index};
    if (thing_visible(call, query->thing, index) && filter_match(&query->filter, get_field, &target, call))
        query->hits[query->n_hits++] = index;
}

/* Jobs asked for by name come from the hash, others from a walk. */
static int collect_hits(struct call *call, struct query *query)
{
    size_t n = thing_count(call, query->thing);
    query->hits = calloc(n + 1, sizeof(*query->hits));
    if (!query->hits)
        return -1;
    const char *name = query->thing == THING_JOB ? filter_name(&query->filter) : NULL;
    for (size_t i = 0; !name && i < n; i++)
        consider(call, query, (uint32_t)i);
    for (size_t s = 0; name && s < call->world->n_servers; s++)
        for (uint32_t i = world_job_named(call->world, (uint32_t)s, name); i != WORLD_NONE;
             i = call->world->jobs[i].next_same_name)
            consider(call, query, i);
    return 0;
}

static int compare_names(const void *a, const void *b, void *data)
{
    const struct query *q = data;
    return strcmp(thing_name(q->call, q->thing, *(const uint32_t *)a),
                  thing_name(q->call, q->thing, *(const uint32_t *)b));
}

static int compare_names_down(const void *a, const void *b, void *data)
{
    return compare_names(b, a, data);
}

static void sort_hits(struct call *call, struct query *query)
{
    const char *up = call_arg(call, "sortAsc"), *down = call_arg(call, "sortDesc");
    query->call = call;
    if (query->thing == THING_TASK)
        return; /* by number already */
    if (up && strcasecmp(up, "Name") == 0)
        qsort_r(query->hits, query->n_hits, sizeof(*query->hits), compare_names, query);
    else if (down && strcasecmp(down, "Name") == 0)
        qsort_r(query->hits, query->n_hits, sizeof(*query->hits), compare_names_down, query);
}

static void write_hit(struct call *call, const struct query *query, uint32_t index)
{
    if (query->thing == THING_TASK)
        task_write(call, call->world->sessions[call->session].tasks[index], index + 1U, false);
    else if (query->entities)
        thing_write_entity(call, query->thing, index, false);
    else
        thing_write_ref(call, query->thing, index, false);
}

static void add_encoded(struct buf *buf, const char *text, int *error)
{
    for (; *text && *error == 0; text++) {
        if (*text == ' ')
            *error = buf_add_char(buf, '+');
        else if (strchr("=;\"&+%#,<>!", *text) || (unsigned char)*text >= 0x80)
            *error = buf_printf(buf, "%%%02x", (unsigned char)*text);
        else
            *error = buf_add_char(buf, *text);
    }
}

static void page_link(struct call *call, const struct query *query, const char *rel, uint64_t page)
{
    static const char *const KEPT[] = {"format", "sortAsc", "sortDesc"};
    struct buf href = BUF_INIT(64 * 1024);
    int r = buf_printf(&href, "%s/query?type=%s", call->world->base_url, WORDS[query->thing].type);
    for (size_t i = 0; i < ARRAY_SIZE(KEPT) && r == 0; i++)
        if (call_arg(call, KEPT[i])) {
            r = buf_printf(&href, "&%s=", KEPT[i]);
            add_encoded(&href, call_arg(call, KEPT[i]), &r);
        }
    if (r == 0 && call_arg(call, "filter")) {
        r = buf_add_str(&href, "&filter=(");
        add_encoded(&href, call_arg(call, "filter"), &r);
        if (r == 0)
            r = buf_add_char(&href, ')');
    }
    if (r == 0)
        r = buf_printf(&href, "&pageSize=%" PRIu64 "&page=%" PRIu64, query->page_size, page);
    if (r < 0)
        call->out.error = r;
    else
        out_link(&call->out, rel, buf_str(&href), NULL, NULL);
    buf_done(&href);
}

static void write_paging(struct call *call, const struct query *query)
{
    uint64_t pages = (query->n_hits + query->page_size - 1) / query->page_size;
    out_open(&call->out, "PagingInfo");
    out_attr_number(&call->out, "PageNum", query->page);
    out_attr_number(&call->out, "PageSize", query->page_size);
    out_attr_number(&call->out, "PagesCount", pages);
    out_list(&call->out, "Links", "Links");
    page_link(call, query, "First", 1);
    if (query->page > 1)
        page_link(call, query, "Previous", query->page - 1);
    if (query->page < pages)
        page_link(call, query, "Next", query->page + 1);
    page_link(call, query, "Last", pages);
    out_close(&call->out);
    out_close(&call->out);
}

/* The part of the result that holds the hits is Refs, Entities or Resources. */
static void write_result(struct call *call, const struct query *query)
{
    struct out *out = &call->out;
    bool refs = query->thing != THING_TASK && !query->entities;
    const char *holder = refs ? "Refs" : query->thing == THING_TASK ? "Resources" : "Entities";
    static const char *const HOLDERS[] = {"Refs", "Entities", "Resources"};
    out_root(out, "QueryResult");
    if (!refs)
        out_open(out, holder);
    out_list_wrapped(out, refs ? "Refs" : WORDS[query->thing].plural,
                     refs ? "Refs" : WORDS[query->thing].plural);
    uint64_t first = (query->page - 1) * query->page_size;
    for (uint64_t i = first; i < query->n_hits && i - first < query->page_size; i++)
        write_hit(call, query, query->hits[i]);
    out_close(out);
    if (!refs)
        out_close(out);
    for (size_t i = 0; i < ARRAY_SIZE(HOLDERS); i++)
        if (strcmp(HOLDERS[i], holder) != 0)
            out_null(out, HOLDERS[i]);
    out_null(out, "Links");
    write_paging(call, query);
    out_close(out);
}

static bool read_number(const char *text, uint64_t fallback, uint64_t *ret)
{
    char *end = NULL;
    *ret = text ? strtoull(text, &end, 10) : fallback;
    return (!text || (*text && !*end && *text != '-')) && *ret >= 1 && *ret <= 1000000;
}

/* NULL, or what is wrong with the request. */
static const char *read_query(struct call *call, struct query *query)
{
    const char *type = call_arg(call, "type"), *filter = call_arg(call, "filter");
    size_t i = 0;
    while (i < ARRAY_SIZE(WORDS) && (!type || strcasecmp(WORDS[i].type, type) != 0))
        i++;
    if (i == ARRAY_SIZE(WORDS))
        return "Query type is missing or unknown";
    query->thing = (enum thing)i;
    query->entities = call_wants_entity(call);
    if (!read_number(call_arg(call, "page"), 1, &query->page) ||
        !read_number(call_arg(call, "pageSize"), 100, &query->page_size))
        return "Page or pageSize is not a number from 1";
    if (query->page_size > call->world->behaviour.page_max)
        query->page_size = call->world->behaviour.page_max ? call->world->behaviour.page_max : 1;
    if (filter && filter_parse(filter, &query->filter) < 0)
        return "Filter expression could not be read";
    unsigned n = 0;
    while (WORDS[i].fields[n])
        n++;
    return filter_fields_known(&query->filter, WORDS[i].fields, n) ? NULL : "Filter names an unknown field";
}

void route_query(struct call *call)
{
    struct query query = {0};
    const char *wrong = read_query(call, &query);
    if (wrong) {
        call_error(call, 400, wrong);
    } else if (collect_hits(call, &query) < 0) {
        call_error(call, 500, "Out of memory");
    } else {
        sort_hits(call, &query);
        write_result(call, &query);
    }
    free(query.hits);
    filter_done(&query.filter);
}
