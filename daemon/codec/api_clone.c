#include "codec/api_clone.h"

#include <string.h>

#include "codec/api.h"

#define FIELDS(...)                                                            \
    memcpy(ret, (const struct api_clone_field[API_CLONE_FIELDS]){__VA_ARGS__}, \
           sizeof(*ret) * API_CLONE_FIELDS)

static const char *copy_fields(const struct api_clone *c, struct api_clone_field *ret)
{
    FIELDS({"JobName", c->name}, {"JobFileName", c->file}, {"RepositoryUid", c->repository_uid},
           {"Description", c->description});
    return c->kind == JOB_KIND_BACKUP_COPY ? "BackupCopyJobCloneInfo" : "ImmediateBackupCopyJobCloneInfo";
}

const char *api_clone_fields(const struct api_clone *c, struct api_clone_field ret[API_CLONE_FIELDS])
{
    switch (c->kind) {
    case JOB_KIND_BACKUP:
        FIELDS({"JobName", c->name}, {"FolderName", c->folder}, {"RepositoryUid", c->repository_uid},
               {"Description", c->description});
        return "BackupJobCloneInfo";
    case JOB_KIND_REPLICA:
        FIELDS({"JobName", c->name}, {"VmSuffix", c->vm_suffix}, {"Description", c->description});
        return "ReplicaJobCloneInfo";
    case JOB_KIND_BACKUP_COPY:
        return copy_fields(c, ret);
    case JOB_KIND_IMMEDIATE_COPY:
        if (c->table_order)
            return copy_fields(c, ret);
        FIELDS({"JobName", c->name}, {"Description", c->description}, {"RepositoryUid", c->repository_uid},
               {"JobFileName", c->file});
        return "ImmediateBackupCopyJobCloneInfo";
    case JOB_KIND_UNKNOWN:
    case JOB_KIND_COUNT:
        break;
    }
    return NULL;
}
