/* The four kinds of job that Enterprise Manager can clone (wire reference 3.1). */
#pragma once

#include <stdbool.h>

enum job_kind {
    JOB_KIND_UNKNOWN, /* not known yet, or a JobType that cannot be cloned */
    JOB_KIND_BACKUP,
    JOB_KIND_REPLICA,
    JOB_KIND_BACKUP_COPY,
    JOB_KIND_IMMEDIATE_COPY,
    JOB_KIND_COUNT
};

/* "Backup", "Replica", "BackupCopy", "ImmediateBackupCopy"; "" for unknown. */
const char *job_kind_name(enum job_kind kind);

/* By JobType, exactly; JOB_KIND_UNKNOWN for anything else. */
enum job_kind job_kind_parse(const char *name);

/* Which fields the clone body of a kind has. */
bool job_kind_has_folder(enum job_kind kind);     /* FolderName */
bool job_kind_has_file(enum job_kind kind);       /* JobFileName */
bool job_kind_has_suffix(enum job_kind kind);     /* VmSuffix */
bool job_kind_has_repository(enum job_kind kind); /* RepositoryUid */
