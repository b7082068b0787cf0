#include "model/kind.h"

#include <string.h>

static const char *const names[JOB_KIND_COUNT] = {"", "Backup", "Replica", "BackupCopy",
                                                  "ImmediateBackupCopy"};

const char *job_kind_name(enum job_kind kind)
{
    return names[kind];
}

enum job_kind job_kind_parse(const char *name)
{
    for (int i = 1; i < JOB_KIND_COUNT; i++)
        if (strcmp(names[i], name) == 0)
            return (enum job_kind)i;
    return JOB_KIND_UNKNOWN;
}

bool job_kind_has_folder(enum job_kind kind)
{
    return kind == JOB_KIND_BACKUP;
}

bool job_kind_has_file(enum job_kind kind)
{
    return kind == JOB_KIND_BACKUP_COPY || kind == JOB_KIND_IMMEDIATE_COPY;
}

bool job_kind_has_suffix(enum job_kind kind)
{
    return kind == JOB_KIND_REPLICA;
}

bool job_kind_has_repository(enum job_kind kind)
{
    return kind != JOB_KIND_REPLICA && kind != JOB_KIND_UNKNOWN;
}
