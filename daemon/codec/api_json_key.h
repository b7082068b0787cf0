/* The keys of replies in JSON, whatever their letter case: product 12 and older
 * write TaskId, 13 writes taskId (wire reference 1.5). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum api_json_key {
    KEY_OTHER, /* one that matters to nobody */
    KEY_BACKUP_SERVERS,
    KEY_DESCRIPTION,
    KEY_ENTITIES,
    KEY_HREF,
    KEY_JOBS,
    KEY_JOB_TYPE,
    KEY_LINKS,
    KEY_LOGON_SESSIONS,
    KEY_MESSAGE,
    KEY_NAME,
    KEY_OPERATION,
    KEY_PAGES_COUNT,
    KEY_PAGE_NUM,
    KEY_PAGE_SIZE,
    KEY_PAGING_INFO,
    KEY_REFS,
    KEY_REL,
    KEY_REPOSITORIES,
    KEY_RESOURCES,
    KEY_RESULT,
    KEY_SESSION_ID,
    KEY_STATE,
    KEY_STATUS_CODE,
    KEY_SUCCESS,
    KEY_TASKS,
    KEY_TASK_ID,
    KEY_TYPE,
    KEY_UID,
    KEY_COUNT
};

enum api_json_key api_json_key_of(const char *text, size_t len);

/* True for the keys under which tasks, entities, references or sessions are listed. */
bool api_json_key_lists(enum api_json_key key);

/* True when `text` is the singular that may wrap that list: "Job" in {"Jobs":{"Job":[...]}}. */
bool api_json_key_singular(enum api_json_key list, const char *text, size_t len);
