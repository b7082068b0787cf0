#include "codec/report_advice.h"

const char *report_advice(enum item_error error)
{
    switch (error) {
    case ITEM_E_SOURCE_NOT_FOUND:
        return "correct the source's name in the plan, or let Enterprise Manager collect if the job is new";
    case ITEM_E_SOURCE_AMBIGUOUS:
        return "name the source by id or uid, or give backup_server";
    case ITEM_E_SOURCE_NOT_CLONABLE:
        return "choose a source of kind Backup, Replica, BackupCopy or ImmediateBackupCopy";
    case ITEM_E_REPOSITORY_NOT_FOUND:
        return "correct the repository's name in the plan";
    case ITEM_E_REPOSITORY_AMBIGUOUS:
        return "name the repository by uid, or give backup_server";
    case ITEM_E_REPOSITORY_ELSEWHERE:
        return "choose a repository of the source's own backup server";
    case ITEM_E_BACKUP_SERVER_NOT_FOUND:
        return "correct backup_server in the plan";
    case ITEM_E_KIND_MISMATCH:
        return "correct kind, or the source";
    case ITEM_E_FIELD:
        return "correct the fields of the clone as the message says";
    case ITEM_E_NAME_CONFLICT:
        return "choose another name, or on_conflict: skip or rename";
    case ITEM_E_NAME_IN_DOUBT:
        return "settle the older run's item of that name first, then carry out the plan again";
    case ITEM_E_ACCESS_DENIED:
        return "give the account the role Portal Administrator, and look at the licence";
    case ITEM_E_REFUSED:
        return "read the server's message and correct the plan";
    case ITEM_E_TASK_FAILED:
        return "read the server's message; no clone was made";
    case ITEM_E_TASK_TIMEOUT:
        return "look on the server, the clone may still appear; it is never sent again";
    case ITEM_E_RUN_TIMEOUT:
        return "raise timeouts.run, or carry out the plan again with on_conflict: skip";
    case ITEM_E_ATTEMPTS:
        return "the server failed at every try: see to it, then carry out the plan again with on_conflict: "
               "skip";
    case ITEM_E_STOPPED:
        return "the run stopped after too many failures: see to those first";
    case ITEM_E_CANCELLED:
        return "nothing was made; carry out the plan again with on_conflict: skip if it is wanted after all";
    case ITEM_E_UNSETTLED:
        return "look on the server for the job of that name and mark before anything is cloned again";
    case ITEM_E_LOOKUP:
        return "the server could not answer what the plan needs to know: see to it, then carry out the plan "
               "again";
    case ITEM_OK:
    case ITEM_ERROR_COUNT:
        break;
    }
    return "";
}
