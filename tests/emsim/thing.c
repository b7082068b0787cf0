/* Jobs, repositories and backup servers on the wire. */
#include <stdio.h>

#include "routes.h"

struct thing_words {
    const char *kind, *collection, *reference;
};

static const struct thing_words WORDS[] = {
    [THING_JOB] = {"Job", "jobs", "JobReference"},
    [THING_REPOSITORY] = {"Repository", "repositories", "RepositoryReference"},
    [THING_SERVER] = {"BackupServer", "backupServers", "BackupServerReference"},
    [THING_TASK] = {"Task", "tasks", "TaskReference"},
};

/* What all of them have. */
struct common {
    const char *id, *name;
    uint32_t server; /* WORLD_NONE: has none */
};

static struct common common_of(const struct call *call, enum thing thing, uint32_t index)
{
    const struct world *w = call->world;
    switch (thing) {
    case THING_JOB:
        return (struct common){w->jobs[index].id, w->jobs[index].name, w->jobs[index].server};
    case THING_REPOSITORY:
        return (struct common){w->repositories[index].id, w->repositories[index].name,
                               w->repositories[index].server};
    case THING_SERVER:
        return (struct common){w->servers[index].id, w->servers[index].name, WORLD_NONE};
    case THING_TASK:
        break;
    }
    return (struct common){"", "", WORLD_NONE};
}

size_t thing_count(const struct call *call, enum thing thing)
{
    switch (thing) {
    case THING_JOB:
        return call->world->n_jobs;
    case THING_REPOSITORY:
        return call->world->n_repositories;
    case THING_SERVER:
        return call->world->n_servers;
    case THING_TASK:
        return call->world->sessions[call->session].n_tasks;
    }
    return 0;
}

bool thing_visible(const struct call *call, enum thing thing, uint32_t index)
{
    if (thing == THING_JOB)
        return world_job_visible(call->world, &call->world->jobs[index]);
    return thing != THING_TASK || call->world->sessions[call->session].tasks[index] != WORLD_NONE;
}

const char *thing_name(const struct call *call, enum thing thing, uint32_t index)
{
    return common_of(call, thing, index).name;
}

/* Opens the element with its four attributes. */
static void open_thing(struct call *call, const char *element, const char *type,
                       const struct thing_words *words, const struct common *c, const char *tail, bool root)
{
    char href[CALL_HREF_MAX], uid[128];
    call_href(call, href, "/%s/%s%s", words->collection, c->id, tail);
    snprintf(uid, sizeof(uid), "urn:veeam:%s:%s", words->kind, c->id);
    if (root)
        out_root(&call->out, element);
    else
        out_open(&call->out, element);
    out_attr(&call->out, "UID", uid);
    out_attr(&call->out, "Name", c->name);
    out_attr(&call->out, "Href", href);
    out_attr(&call->out, "Type", type);
}

static void link_up(struct call *call, const struct common *c)
{
    char href[CALL_HREF_MAX];
    if (c->server == WORLD_NONE)
        return;
    const struct server *server = &call->world->servers[c->server];
    call_href(call, href, "/backupServers/%s", server->id);
    out_link(&call->out, "Up", href, server->name, "BackupServerReference");
}

void thing_write_ref(struct call *call, enum thing thing, uint32_t index, bool root)
{
    const struct thing_words *words = &WORDS[thing];
    struct common c = common_of(call, thing, index);
    char href[CALL_HREF_MAX];
    open_thing(call, root ? "EntityRef" : "Ref", words->reference, words, &c, "", root);
    out_list(&call->out, "Links", "Links");
    link_up(call, &c);
    call_href(call, href, "/%s/%s?format=Entity", words->collection, c.id);
    out_link(&call->out, "Alternate", href, c.name, words->kind);
    if (thing == THING_JOB) {
        call_href(call, href, "/jobs/%s/backupSessions", c.id);
        out_link(&call->out, "Down", href, NULL, "BackupJobSessionReferenceList");
    }
    out_close(&call->out);
    out_close(&call->out);
}

static void job_link(struct call *call, const char *id, const char *rel, const char *tail, const char *type)
{
    char href[CALL_HREF_MAX];
    call_href(call, href, "/jobs/%s%s", id, tail);
    out_link(&call->out, rel, href, NULL, type);
}

static void write_job_links(struct call *call, const struct job *job)
{
    job_link(call, job->id, "Edit", "", "JobReference");
    if (job->clonable)
        job_link(call, job->id, "Clone", "?action=clone", NULL);
    job_link(call, job->id, "ToggleScheduleEnabled", "?action=toggleScheduleEnabled", NULL);
    job_link(call, job->id, "Down", "/includes", "ObjectInJobList");
    job_link(call, job->id, "Down", "/backupSessions", "BackupJobSessionReferenceList");
    job_link(call, job->id, "Start", "?action=start", NULL);
    job_link(call, job->id, "Stop", "?action=stop", NULL);
}

static void write_job(struct call *call, const struct job *job)
{
    struct out *out = &call->out;
    char info[80];
    out_leaf(out, "JobType", job->type);
    out_leaf(out, "Platform", "VMware");
    out_leaf(out, "Description", job->description);
    out_leaf_bool(out, "ScheduleConfigured", false);
    out_leaf_bool(out, "ScheduleEnabled", false);
    out_open(out, "JobScheduleOptions");
    out_close(out);
    out_open(out, "JobInfo");
    snprintf(info, sizeof(info), "%.60sJobInfo", job->type);
    out_open(out, info);
    out_close(out);
    out_close(out);
}

void thing_write_entity(struct call *call, enum thing thing, uint32_t index, bool root)
{
    const struct thing_words *words = &WORDS[thing];
    struct common c = common_of(call, thing, index);
    struct out *out = &call->out;
    char href[CALL_HREF_MAX];
    open_thing(call, words->kind, words->kind, words, &c, "?format=Entity", root);
    out_list(out, "Links", "Links");
    link_up(call, &c);
    call_href(call, href, "/%s/%s", words->collection, c.id);
    out_link(out, "Alternate", href, c.name, words->reference);
    if (thing == THING_JOB)
        write_job_links(call, &call->world->jobs[index]);
    out_close(out);
    if (thing == THING_JOB)
        write_job(call, &call->world->jobs[index]);
    if (thing == THING_REPOSITORY) {
        out_leaf_number(out, "Capacity", 2199023255552U);
        out_leaf_number(out, "FreeSpace", 1099511627776U);
        out_leaf(out, "Kind", "LinuxLocal");
    }
    if (thing == THING_SERVER) {
        out_leaf(out, "Description", "");
        out_leaf_number(out, "Port", 9392);
        out_leaf(out, "Version", "13.0.1.180");
    }
    out_close(out);
}
