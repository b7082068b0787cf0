/* The bodies of the model server, in XML. */
#include <stdio.h>

#include "base/buf.h"
#include "world.h"

#define NS " xmlns=\"http://www.veeam.com/ent/v1.0\""
#define BASE "https://em.sim:9398/api"
#define SIM_PAGE 7

bool job_visible(const struct world *world, const struct sim_job *job)
{
    return job->visible_ms && job->visible_ms <= world->now_ms;
}

void answer_task(const struct world *world, int task, struct buf *ret, bool root)
{
    const struct sim_task *t = &world->tasks[task];
    bool ended = t->end_ms <= world->now_ms, made = t->job >= 0;
    buf_printf(ret, "<Task Href=\"" BASE "/tasks/task-%d\" Type=\"Task\"%s><Links>", task, root ? NS : "");
    if (ended && made)
        buf_printf(ret,
                   "<Link Href=\"" BASE
                   "/jobs/%s?format=Entity\" Name=\"cloned\" Type=\"Job\" Rel=\"Related\"/>",
                   world->jobs[t->job].id);
    buf_printf(ret, "</Links><TaskId>task-%d</TaskId><State>%s</State><Operation>%s</Operation>", task,
               ended ? "Finished" : "Running", t->clone ? "CloneJob" : "CollectingBackupServer");
    if (ended)
        buf_printf(ret, "<Result Success=\"%s\"><Message>%s</Message></Result>",
                   made || !t->clone ? "true" : "false", made || !t->clone ? "Ok" : "it failed");
    buf_add_str(ret, "</Task>");
}

void answer_tasks(const struct world *world, struct buf *ret)
{
    buf_add_str(ret, "<Tasks" NS ">");
    for (int i = 0; i < world->n_tasks; i++)
        if (!world->tasks[i].deleted && world->tasks[i].session == world->session)
            answer_task(world, i, ret, false);
    buf_add_str(ret, "</Tasks>");
}

void answer_job(const struct sim_job *job, struct buf *ret, bool root)
{
    buf_printf(
        ret,
        "<Job Href=\"" BASE "/jobs/%s?format=Entity\" Type=\"Job\" Name=\"%s\" UID=\"urn:veeam:Job:%s\"%s>"
        "<Links><Link Href=\"" BASE
        "/backupServers/%s\" Name=\"vbr\" Type=\"BackupServerReference\" Rel=\"Up\"/>"
        "<Link Href=\"" BASE "/jobs/%s?action=clone\" Rel=\"Clone\"/></Links>"
        "<JobType>%s</JobType><Description>%s</Description></Job>",
        job->id, job->name, job->id, root ? NS : "", job->server, job->id, job->type, job->description);
}

static void answer_job_ref(const struct sim_job *job, struct buf *ret)
{
    buf_printf(
        ret,
        "<Ref UID=\"urn:veeam:Job:%s\" Name=\"%s\" Href=\"" BASE "/jobs/%s\" Type=\"JobReference\"><Links>"
        "<Link Href=\"" BASE "/backupServers/%s\" Name=\"vbr\" Type=\"BackupServerReference\" Rel=\"Up\"/>"
        "</Links></Ref>",
        job->id, job->name, job->id, job->server);
}

void answer_jobs(const struct world *world, bool entities, unsigned page, struct buf *ret)
{
    unsigned n = 0;
    buf_printf(ret, "<QueryResult" NS ">%s", entities ? "<Entities><Jobs>" : "<Refs>");
    for (int i = 0; i < world->n_jobs; i++) {
        if (!job_visible(world, &world->jobs[i]))
            continue;
        if (n++ / SIM_PAGE != page - 1)
            continue;
        if (entities)
            answer_job(&world->jobs[i], ret, false);
        else
            answer_job_ref(&world->jobs[i], ret);
    }
    unsigned pages = (n + SIM_PAGE - 1) / SIM_PAGE;
    buf_printf(ret, "%s<PagingInfo PageNum=\"%u\" PageSize=\"%d\" PagesCount=\"%u\"/></QueryResult>",
               entities ? "</Jobs></Entities>" : "</Refs>", page, SIM_PAGE, pages);
}

void answer_repositories(struct buf *ret)
{
    buf_add_str(ret, "<QueryResult" NS "><Refs>");
    for (int i = 1; i <= 2; i++)
        buf_printf(ret,
                   "<Ref UID=\"urn:veeam:Repository:aaaaaaaa-0000-0000-0000-00000000000%d\" Name=\"Repo\" "
                   "Type=\"RepositoryReference\"><Links><Link Href=\"" BASE
                   "/backupServers/bbbbbbbb-0000-0000-0000-00000000000%d\" Name=\"vbr\" "
                   "Type=\"BackupServerReference\" Rel=\"Up\"/></Links></Ref>",
                   i, i);
    buf_add_str(ret, "</Refs></QueryResult>");
}

void answer_logon(const struct world *world, struct buf *ret)
{
    buf_printf(ret,
               "<LogonSession" NS "><Links><Link Href=\"" BASE
               "/jobs\" Type=\"JobReferenceList\" Rel=\"Down\"/></Links>"
               "<UserName>sim</UserName><SessionId>cccccccc-0000-0000-0000-%012u</SessionId></LogonSession>",
               world->session);
}
