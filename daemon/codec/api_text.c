#include "codec/api_text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "codec/api.h"

/* A hexadecimal digit in lower case, or 0; told without the locale, since there are thousands of them. */
static char hex_digit(char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))
        return c;
    return c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : '\0';
}

static bool guid_copy(const char *text, char ret[API_GUID_LEN + 1])
{
    for (int i = 0; i < API_GUID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        ret[i] = dash ? '-' : hex_digit(text[i]);
        if (dash ? text[i] != '-' : !ret[i])
            return false;
    }
    ret[API_GUID_LEN] = '\0';
    return true;
}

bool api_guid_of_uid(const char *uid, char ret[API_GUID_LEN + 1])
{
    const char *colon = strrchr(uid, ':');
    const char *guid = colon ? colon + 1 : uid;
    char copy[API_GUID_LEN + 1];
    if (!guid_copy(guid, copy) || guid[API_GUID_LEN] != '\0')
        return false;
    memcpy(ret, copy, sizeof(copy));
    return true;
}

bool api_guid_of_href(const char *href, const char *folder, char ret[API_GUID_LEN + 1])
{
    size_t len = strcspn(href, "?#"), folder_len = strlen(folder);
    if (len && href[len - 1] == '/')
        len--;
    if (len < folder_len + API_GUID_LEN)
        return false;
    const char *guid = href + len - API_GUID_LEN;
    char copy[API_GUID_LEN + 1];
    if (strncasecmp(guid - folder_len, folder, folder_len) != 0 || !guid_copy(guid, copy))
        return false;
    memcpy(ret, copy, sizeof(copy));
    return true;
}

/* ---- words ---- */

const char *api_kind_folder(enum api_entity_kind kind)
{
    static const char *const folders[] = {
        [API_ENTITY_OTHER] = "",
        [API_ENTITY_JOB] = "/jobs/",
        [API_ENTITY_REPOSITORY] = "/repositories/",
        [API_ENTITY_BACKUP_SERVER] = "/backupServers/",
    };
    return folders[kind];
}

enum api_entity_kind api_kind_of_word(struct bytes word)
{
    static const char *const words[] = {[API_ENTITY_JOB] = "Job",
                                        [API_ENTITY_REPOSITORY] = "Repository",
                                        [API_ENTITY_BACKUP_SERVER] = "BackupServer"};
    static const char reference[] = "Reference";
    for (int i = API_ENTITY_JOB; i <= API_ENTITY_BACKUP_SERVER; i++) {
        size_t n = strlen(words[i]), more = strlen(reference);
        if (word.len < n || strncasecmp(word.data, words[i], n) != 0)
            continue;
        if (word.len == n || (word.len == n + more && strncasecmp(word.data + n, reference, more) == 0))
            return (enum api_entity_kind)i;
    }
    return API_ENTITY_OTHER;
}

enum api_entity_kind api_kind_of_uid(const char *uid)
{
    static const char prefix[] = "urn:veeam:";
    if (strncasecmp(uid, prefix, strlen(prefix)) != 0)
        return API_ENTITY_OTHER;
    uid += strlen(prefix);
    return api_kind_of_word((struct bytes){uid, strcspn(uid, ":")});
}

enum api_entity_kind api_kind_of_href(const char *href)
{
    char id[API_GUID_LEN + 1];
    for (int i = API_ENTITY_JOB; i <= API_ENTITY_BACKUP_SERVER; i++)
        if (api_guid_of_href(href, api_kind_folder((enum api_entity_kind)i), id))
            return (enum api_entity_kind)i;
    return API_ENTITY_OTHER;
}

enum api_task_state api_task_state_of(const char *word)
{
    if (strcmp(word, "Running") == 0)
        return API_TASK_RUNNING;
    if (strcmp(word, "OperationFinished") == 0)
        return API_TASK_OPERATION_FINISHED;
    return strcmp(word, "Finished") == 0 ? API_TASK_FINISHED : API_TASK_OTHER;
}

int api_encode_query(const char *text, struct buf *ret)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool plain = isalnum(*p) || strchr("-._~", *p) != NULL;
        int r = plain && *p < 0x80 ? buf_add_char(ret, (char)*p) : buf_printf(ret, "%%%02X", *p);
        if (r < 0)
            return r;
    }
    return 0;
}
