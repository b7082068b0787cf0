#include "codec/api_json_key.h"

#include <string.h>
#include <strings.h>

struct key {
    const char *name;
    size_t len;
    const char *singular; /* of a list, or NULL */
};

#define KEY(text, list_of)              \
    {                                   \
        text, sizeof(text) - 1, list_of \
    }

static const struct key keys[KEY_COUNT] = {
    [KEY_OTHER] = KEY("", NULL),
    [KEY_BACKUP_SERVERS] = KEY("BackupServers", "BackupServer"),
    [KEY_DESCRIPTION] = KEY("Description", NULL),
    [KEY_ENTITIES] = KEY("Entities", NULL),
    [KEY_HREF] = KEY("Href", NULL),
    [KEY_JOBS] = KEY("Jobs", "Job"),
    [KEY_JOB_TYPE] = KEY("JobType", NULL),
    [KEY_LINKS] = KEY("Links", "Link"),
    [KEY_LOGON_SESSIONS] = KEY("LogonSessions", "LogonSession"),
    [KEY_MESSAGE] = KEY("Message", NULL),
    [KEY_NAME] = KEY("Name", NULL),
    [KEY_OPERATION] = KEY("Operation", NULL),
    [KEY_PAGES_COUNT] = KEY("PagesCount", NULL),
    [KEY_PAGE_NUM] = KEY("PageNum", NULL),
    [KEY_PAGE_SIZE] = KEY("PageSize", NULL),
    [KEY_PAGING_INFO] = KEY("PagingInfo", NULL),
    [KEY_REFS] = KEY("Refs", "Ref"),
    [KEY_REL] = KEY("Rel", NULL),
    [KEY_REPOSITORIES] = KEY("Repositories", "Repository"),
    [KEY_RESOURCES] = KEY("Resources", NULL),
    [KEY_RESULT] = KEY("Result", NULL),
    [KEY_SESSION_ID] = KEY("SessionId", NULL),
    [KEY_STATE] = KEY("State", NULL),
    [KEY_STATUS_CODE] = KEY("StatusCode", NULL),
    [KEY_SUCCESS] = KEY("Success", NULL),
    [KEY_TASKS] = KEY("Tasks", "Task"),
    [KEY_TASK_ID] = KEY("TaskId", NULL),
    [KEY_TYPE] = KEY("Type", NULL),
    [KEY_UID] = KEY("UID", NULL),
};

enum api_json_key api_json_key_of(const char *text, size_t len)
{
    for (int i = KEY_OTHER + 1; i < KEY_COUNT; i++)
        if (keys[i].len == len && strncasecmp(keys[i].name, text, len) == 0)
            return (enum api_json_key)i;
    return KEY_OTHER;
}

bool api_json_key_lists(enum api_json_key key)
{
    return keys[key].singular && key != KEY_LINKS;
}

bool api_json_key_singular(enum api_json_key list, const char *text, size_t len)
{
    const char *singular = keys[list].singular;
    return singular && strlen(singular) == len && strncasecmp(singular, text, len) == 0;
}
