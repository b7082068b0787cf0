#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "routes.h"
#include "session.h"

static void link_to(struct call *call, const char *rel, const char *path, const char *type)
{
    char href[CALL_HREF_MAX];
    call_href(call, href, "%s", path);
    out_link(&call->out, rel, href, NULL, type);
}

void route_base(struct call *call)
{
    static const char *const VERSIONS[] = {"v1_5", "v1_6", "v1_7"};
    struct out *out = &call->out;
    char href[CALL_HREF_MAX];
    out_root(out, "EnterpriseManager");
    out_list(out, "Links", "Links");
    link_to(call, "Down", "/logonSessions", "LogonSessionList");
    link_to(call, "Create", "/sessionMngr/?v=latest", "LogonSession");
    out_close(out);
    out_list_wrapped(out, "SupportedVersions", "SupportedVersions");
    for (size_t i = 0; i < ARRAY_SIZE(VERSIONS); i++) {
        out_open(out, "SupportedVersion");
        out_attr(out, "Name", VERSIONS[i]);
        out_list(out, "Links", "Links");
        call_href(call, href, "/sessionMngr/?v=%s", VERSIONS[i]);
        out_link(out, "Create", href, NULL, "LogonSession");
        out_close(out);
        out_close(out);
    }
    out_close(out);
    out_close(out);
}

struct session_link {
    const char *path, *type;
    bool jobs; /* administrators only */
};

static const struct session_link LINKS[] = {
    {"/backupServers", "BackupServerReferenceList", false},
    {"/managedServers", "ManagedServerReferenceList", false},
    {"/jobs", "JobReferenceList", true},
    {"/failoverPlans", "FailoverPlanReferenceList", true},
    {"/hierarchyRoots", "HierarchyRootReferenceList", false},
    {"/repositories", "RepositoryReferenceList", false},
    {"/backups", "BackupReferenceList", false},
    {"/restorePoints", "RestorePointReferenceList", false},
    {"/vmRestorePoints", "VmRestorePointReferenceList", false},
    {"/vAppRestorePoints", "vAppRestorePointReferenceList", false},
    {"/replicas", "ReplicaReferenceList", false},
    {"/vmReplicaPoints", "VmReplicaPointReferenceList", false},
    {"/catalog/vms", "CatalogVmReferenceList", false},
    {"/backupSessions", "BackupJobSessionReferenceList", false},
    {"/restoreSessions", "RestoreSessionReferenceList", false},
    {"/replicaSessions", "ReplicaJobSessionReferenceList", false},
    {"/backupTaskSessions", "BackupTaskSessionReferenceList", false},
    {"/replicaTaskSessions", "ReplicaTaskSessionReferenceList", false},
    {"/security", "SecuritySettings", false},
    {"/wanAccelerators", "WanAcceleratorReferenceList", false},
    {"/backupFiles", "BackupFileReferenceList", false},
    {"/externalRepositories", "ExternalRepositoryReferenceList", false},
    {"/tasks", "TaskList", false},
    {"/querySvc", "QueryService", false},
    {"/lookupSvc", "LookupService", false},
    {"/reports/summary", "Report", false},
    {"/backupServers?format=Entity", "BackupServerList", false},
    {"/managedServers?format=Entity", "ManagedServerList", false},
    {"/jobs?format=Entity", "JobList", true},
    {"/hierarchyRoots?format=Entity", "HierarchyRootList", false},
    {"/repositories?format=Entity", "RepositoryList", false},
    {"/agents", "AgentsService", false},
    {"/nas", "NasService", false},
};

/* A LogonSession; the whole list of links only where it was just opened. */
static void write_session(struct call *call, uint32_t index, bool root)
{
    const struct session *s = &call->world->sessions[index];
    const struct user *user = &call->world->users[s->user];
    struct out *out = &call->out;
    char href[CALL_HREF_MAX];
    call_href(call, href, "/logonSessions/%s", s->id);
    if (root)
        out_root(out, "LogonSession");
    else
        out_open(out, "LogonSession");
    out_attr(out, "Href", href);
    out_attr(out, "Type", "LogonSession");
    out_list(out, "Links", "Links");
    link_to(call, "Up", "/", "EnterpriseManager");
    for (size_t i = 0; root && i < ARRAY_SIZE(LINKS); i++)
        if (user->administrator || !LINKS[i].jobs)
            link_to(call, "Down", LINKS[i].path, LINKS[i].type);
    if (root && user->administrator)
        link_to(call, "Create", "/backupServers?action=create", "BackupServer");
    out_link(out, "Delete", href, NULL, NULL);
    out_close(out);
    out_leaf(out, "UserName", user->name);
    out_leaf(out, "SessionId", s->id);
    out_close(out);
}

void route_logon(struct call *call)
{
    uint32_t session;
    int r = session_logon(call->world, call_header(call, "Authorization"), &session);
    if (r < 0) {
        call_error(call, 401, "Unauthorized");
        return;
    }
    call->status = 201;
    call->token = call->world->sessions[session].token;
    write_session(call, session, true);
}

void route_logons(struct call *call)
{
    out_root(&call->out, "LogonSessions");
    out_list(&call->out, NULL, "LogonSessions");
    for (size_t i = 0; i < call->world->n_sessions; i++)
        if (call->world->sessions[i].open)
            write_session(call, (uint32_t)i, false);
    out_close(&call->out);
    out_close(&call->out);
}

void route_logoff(struct call *call)
{
    uint32_t session = session_of_id(call->world, call->path[1]);
    if (session == WORLD_NONE) {
        call_error(call, 404, "Session with the specified identifier was not found");
        return;
    }
    session_close(call->world, session);
    call->status = 204;
}
