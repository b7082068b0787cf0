/* The bodies of a model server, in XML. */
#include <stdio.h>
#include <string.h>

#include "world.h"

#define NS " xmlns=\"http://www.veeam.com/ent/v1.0\""
#define BASE "https://em.sim:9398/api"

static void add_text(struct buf *ret, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            buf_add_str(ret, "&quot;");
        else if (*p == '&')
            buf_add_str(ret, "&amp;");
        else
            buf_add_char(ret, *p);
    }
}

void answer_task(const struct em *em, const struct sim_task *t, struct buf *ret, bool root)
{
    bool ended = t->end_ms <= em->world->now_ms, made = t->job >= 0;
    buf_printf(ret, "<Task Href=\"" BASE "/tasks/task-%u\" Type=\"Task\"%s><Links>", t->number,
               root ? NS : "");
    if (ended && made)
        buf_printf(ret,
                   "<Link Href=\"" BASE
                   "/jobs/%s?format=Entity\" Name=\"cloned\" Type=\"Job\" Rel=\"Related\"/>",
                   em->jobs[t->job].id);
    buf_printf(ret, "</Links><TaskId>task-%u</TaskId><State>%s</State><Operation>%s</Operation>", t->number,
               ended ? "Finished" : "Running", t->clone ? "CloneJob" : "CollectingBackupServer");
    if (ended)
        buf_printf(ret, "<Result Success=\"%s\"><Message>%s</Message></Result>",
                   made || !t->clone ? "true" : "false", made || !t->clone ? "Ok" : "it failed");
    buf_add_str(ret, "</Task>");
}

/* Nobody knows whether the list is ever cut; what takes longer than `settle` is never left out. */
static bool answer_omits(const struct em *em, const struct sim_task *task)
{
    return !task->late && world_chance(em->world, em->omit_permille);
}

void answer_tasks(const struct em *em, struct buf *ret)
{
    buf_add_str(ret, "<Tasks" NS ">");
    for (size_t i = 0; i < em->n_tasks; i++)
        if (!em->tasks[i].deleted && em->tasks[i].session == em->session && !answer_omits(em, &em->tasks[i]))
            answer_task(em, &em->tasks[i], ret, false);
    buf_add_str(ret, "</Tasks>");
}

void answer_job(const struct em *em, const struct sim_job *job, struct buf *ret, bool root)
{
    char server[40];
    em_backup_server_id(job->server, server);
    buf_printf(ret, "<Job Href=\"" BASE "/jobs/%s?format=Entity\" Type=\"Job\" Name=\"", job->id);
    add_text(ret, job->name);
    buf_printf(
        ret,
        "\" UID=\"urn:veeam:Job:%s\"%s><Links><Link Href=\"" BASE
        "/backupServers/%s\" Name=\"vbr\" Type=\"BackupServerReference\" Rel=\"Up\"/><Link Href=\"" BASE
        "/jobs/%s?action=clone\" Rel=\"Clone\"/></Links><JobType>%s</JobType><Description>",
        job->id, root ? NS : "", server, job->id, job->type);
    if (em->quirk != QUIRK_NO_DESCRIPTIONS)
        add_text(ret, job->description);
    buf_add_str(ret, "</Description></Job>");
}

static void answer_job_ref(const struct sim_job *job, struct buf *ret)
{
    char server[40];
    em_backup_server_id(job->server, server);
    buf_printf(ret, "<Ref UID=\"urn:veeam:Job:%s\" Href=\"" BASE "/jobs/%s\" Type=\"JobReference\" Name=\"",
               job->id, job->id);
    add_text(ret, job->name);
    buf_printf(ret,
               "\"><Links><Link Href=\"" BASE
               "/backupServers/%s\" Name=\"vbr\" Type=\"BackupServerReference\" Rel=\"Up\"/></Links></Ref>",
               server);
}

static void answer_paging(const struct em *em, unsigned page, unsigned n, struct buf *ret)
{
    unsigned size = em->page_size, pages = (n + size - 1) / size;
    buf_printf(ret, "<PagingInfo PageNum=\"%u\" PageSize=\"%u\"", page, size);
    if (!em->links)
        buf_printf(ret, " PagesCount=\"%u\"/>", pages);
    else if (page < pages)
        buf_printf(ret, "><Links><Link Href=\"" BASE "/query?page=%u\" Rel=\"Next\"/></Links></PagingInfo>",
                   page + 1);
    else
        buf_add_str(ret, "/>");
    buf_add_str(ret, "</QueryResult>");
}

void answer_jobs(const struct em *em, bool entities, const char *name, unsigned page, struct buf *ret)
{
    unsigned n = 0;
    page = em->first_page_only ? 1 : page;
    buf_printf(ret, "<QueryResult" NS ">%s", entities ? "<Entities><Jobs>" : "<Refs>");
    for (size_t i = 0; i < em->n_jobs; i++) {
        const struct sim_job *job = &em->jobs[em->newest_first ? em->n_jobs - 1 - i : i];
        if (!job_visible(em, job) || (name && strcmp(job->name, name) != 0))
            continue;
        if (n++ / em->page_size != page - 1)
            continue;
        if (entities)
            answer_job(em, job, ret, false);
        else
            answer_job_ref(job, ret);
    }
    buf_add_str(ret, entities ? "</Jobs></Entities>" : "</Refs>");
    bool denied = em->last_page_denied && page > 1 && n <= page * em->page_size;
    if (em->most_pages && n > em->most_pages * em->page_size)
        n = em->most_pages * em->page_size;
    answer_paging(em, page, denied ? (page - 1) * em->page_size : n, ret);
}

void answer_repositories(const struct em *em, unsigned page, struct buf *ret)
{
    buf_add_str(ret, "<QueryResult" NS "><Refs>");
    for (unsigned i = 0; i < SIM_BACKUP_SERVERS && page == 1; i++) {
        char server[40];
        em_backup_server_id(i, server);
        buf_printf(ret,
                   "<Ref UID=\"urn:veeam:Repository:aaaaaaaa-0000-0000-0000-%012u\" Name=\"Repo\" "
                   "Type=\"RepositoryReference\"><Links><Link Href=\"" BASE
                   "/backupServers/%s\" Name=\"vbr\" Type=\"BackupServerReference\" "
                   "Rel=\"Up\"/></Links></Ref>",
                   i, server);
    }
    buf_add_str(ret, "</Refs>");
    answer_paging(em, page, SIM_BACKUP_SERVERS, ret);
}

void answer_logon(const struct em *em, struct buf *ret)
{
    buf_printf(ret,
               "<LogonSession" NS "><Links><Link Href=\"" BASE
               "/jobs\" Type=\"JobReferenceList\" Rel=\"Down\"/></Links>"
               "<UserName>sim</UserName><SessionId>cccccccc-0000-0000-0000-%012u</SessionId></LogonSession>",
               em->session);
}

void answer_sessions(const struct em *em, struct buf *ret)
{
    (void)em;
    buf_add_str(ret, "<LogonSessions" NS "/>");
}

void answer_error(int status, const char *message, struct buf *ret)
{
    buf_reset(ret);
    buf_printf(ret, "<Error" NS " Message=\"%s\" StatusCode=\"%d\"/>", message, status);
}
