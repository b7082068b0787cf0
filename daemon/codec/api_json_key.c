#include "codec/api_json_key.h"

#include <string.h>
#include <strings.h>

struct key {
    const char *name;
    const char *singular; /* of a list, or NULL */
};

static const struct key keys[KEY_COUNT] = {
    [KEY_OTHER] = {"", NULL},
    [KEY_BACKUP_SERVERS] = {"BackupServers", "BackupServer"},
    [KEY_DESCRIPTION] = {"Description", NULL},
    [KEY_ENTITIES] = {"Entities", NULL},
    [KEY_HREF] = {"Href", NULL},
    [KEY_JOBS] = {"Jobs", "Job"},
    [KEY_JOB_TYPE] = {"JobType", NULL},
    [KEY_LINKS] = {"Links", "Link"},
    [KEY_LOGON_SESSIONS] = {"LogonSessions", "LogonSession"},
    [KEY_MESSAGE] = {"Message", NULL},
    [KEY_NAME] = {"Name", NULL},
    [KEY_OPERATION] = {"Operation", NULL},
    [KEY_PAGES_COUNT] = {"PagesCount", NULL},
    [KEY_PAGE_NUM] = {"PageNum", NULL},
    [KEY_PAGE_SIZE] = {"PageSize", NULL},
    [KEY_PAGING_INFO] = {"PagingInfo", NULL},
    [KEY_REFS] = {"Refs", "Ref"},
    [KEY_REL] = {"Rel", NULL},
    [KEY_REPOSITORIES] = {"Repositories", "Repository"},
    [KEY_RESOURCES] = {"Resources", NULL},
    [KEY_RESULT] = {"Result", NULL},
    [KEY_SESSION_ID] = {"SessionId", NULL},
    [KEY_STATE] = {"State", NULL},
    [KEY_STATUS_CODE] = {"StatusCode", NULL},
    [KEY_SUCCESS] = {"Success", NULL},
    [KEY_TASKS] = {"Tasks", "Task"},
    [KEY_TASK_ID] = {"TaskId", NULL},
    [KEY_TYPE] = {"Type", NULL},
    [KEY_UID] = {"UID", NULL},
};

static bool same(const char *name, const char *text, size_t len)
{
    return strncasecmp(name, text, len) == 0 && strlen(name) == len;
}

enum api_json_key api_json_key_of(const char *text, size_t len)
{
    for (int i = KEY_OTHER + 1; i < KEY_COUNT; i++)
        if (same(keys[i].name, text, len))
            return (enum api_json_key)i;
    return KEY_OTHER;
}

bool api_json_key_lists(enum api_json_key key)
{
    return keys[key].singular && key != KEY_LINKS;
}

bool api_json_key_singular(enum api_json_key list, const char *text, size_t len)
{
    return keys[list].singular && same(keys[list].singular, text, len);
}
