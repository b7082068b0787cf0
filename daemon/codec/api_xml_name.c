#include "codec/api_xml_name.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define NAMESPACE "http://www.veeam.com/ent/v1.0"

/* Sorted by byte, as the enumerators are. */
static const char *const names[NAME_COUNT] = {
    [NAME_OTHER] = "",
    [NAME_BACKUP_SERVER] = "BackupServer",
    [NAME_BACKUP_SERVERS] = "BackupServers",
    [NAME_DESCRIPTION] = "Description",
    [NAME_ENTITIES] = "Entities",
    [NAME_ENTITY_REF] = "EntityRef",
    [NAME_ENTITY_REFERENCES] = "EntityReferences",
    [NAME_ERROR] = "Error",
    [NAME_JOB] = "Job",
    [NAME_JOBS] = "Jobs",
    [NAME_JOB_TYPE] = "JobType",
    [NAME_LINK] = "Link",
    [NAME_LINKS] = "Links",
    [NAME_LOGON_SESSION] = "LogonSession",
    [NAME_LOGON_SESSIONS] = "LogonSessions",
    [NAME_MESSAGE] = "Message",
    [NAME_OPERATION] = "Operation",
    [NAME_PAGING_INFO] = "PagingInfo",
    [NAME_QUERY_RESULT] = "QueryResult",
    [NAME_REF] = "Ref",
    [NAME_REFS] = "Refs",
    [NAME_REPOSITORIES] = "Repositories",
    [NAME_REPOSITORY] = "Repository",
    [NAME_RESOURCES] = "Resources",
    [NAME_RESULT] = "Result",
    [NAME_SESSION_ID] = "SessionId",
    [NAME_STATE] = "State",
    [NAME_TASK] = "Task",
    [NAME_TASKS] = "Tasks",
    [NAME_TASK_ID] = "TaskId",
};

enum api_xml_name api_xml_name_of(const char *local, const char *uri)
{
    if (uri && strcmp(uri, NAMESPACE) != 0)
        return NAME_OTHER;
    for (int i = NAME_OTHER + 1; i < NAME_COUNT; i++)
        if (names[i][0] == local[0] && strcmp(names[i], local) == 0)
            return (enum api_xml_name)i;
    return NAME_OTHER;
}

enum api_xml_name api_xml_names_find(struct api_xml_names *known, const char *local, const char *uri)
{
    const size_t size = sizeof(known->at) / sizeof(known->at[0]);
    size_t first = (uintptr_t)local >> 3, place = first % size;
    for (size_t i = 0; i < API_XML_NAMES_TRIED; i++) {
        place = (first + i) % size;
        if (known->at[place].local == local && known->at[place].uri == uri)
            return known->at[place].name;
        if (!known->at[place].local)
            break;
    }
    known->at[place].local = local;
    known->at[place].uri = uri;
    return known->at[place].name = api_xml_name_of(local, uri);
}

/* The five pointers of an attribute. */
enum { LOCAL, PREFIX, URI, VALUE, END, POINTERS };

static struct bytes value_at(const struct api_xml_attrs *attrs, int i)
{
    const unsigned char **at = &attrs->list[(size_t)i * POINTERS];
    return (struct bytes){(const char *)at[VALUE], (size_t)(at[END] - at[VALUE])};
}

bool api_xml_attrs_exceed(const struct api_xml_attrs *attrs, size_t max)
{
    for (int i = 0; i < attrs->n; i++)
        if (value_at(attrs, i).len > max)
            return true;
    return false;
}

struct bytes api_xml_attr(const struct api_xml_attrs *attrs, const char *name)
{
    for (int i = 0; i < attrs->n; i++) {
        const unsigned char **at = &attrs->list[(size_t)i * POINTERS];
        if (!at[PREFIX] && at[LOCAL][0] == (unsigned char)name[0] &&
            strcmp((const char *)at[LOCAL], name) == 0)
            return value_at(attrs, i);
    }
    return (struct bytes){0};
}

bool api_xml_value_is(struct bytes value, const char *word)
{
    return value.data && value.len == strlen(word) && memcmp(value.data, word, value.len) == 0;
}

bool api_xml_attr_is(const struct api_xml_attrs *attrs, const char *name, const char *value)
{
    return api_xml_value_is(api_xml_attr(attrs, name), value);
}

bool api_xml_attr_true(const struct api_xml_attrs *attrs, const char *name)
{
    struct bytes got = api_xml_attr(attrs, name);
    return (got.len == 4 && strncasecmp(got.data, "true", 4) == 0) || (got.len == 1 && *got.data == '1');
}

bool api_xml_attr_false(const struct api_xml_attrs *attrs, const char *name)
{
    struct bytes got = api_xml_attr(attrs, name);
    return (got.len == 5 && strncasecmp(got.data, "false", 5) == 0) || (got.len == 1 && *got.data == '0');
}

unsigned api_xml_attr_number(const struct api_xml_attrs *attrs, const char *name)
{
    struct bytes got = api_xml_attr(attrs, name);
    unsigned value = 0;
    for (size_t i = 0; i < got.len; i++) {
        if (got.data[i] < '0' || got.data[i] > '9' || value > 99999999)
            return 0;
        value = value * 10 + (unsigned)(got.data[i] - '0');
    }
    return value;
}

/* With entity substitution off, libxml2 leaves every ampersand of an attribute
 * as "&#38;", however it was written; no other reference is left. */
int api_xml_attr_text(const struct api_xml_attrs *attrs, const char *name, struct buf *ret)
{
    static const char rest[] = "#38;";
    struct bytes got = api_xml_attr(attrs, name);
    buf_reset(ret);
    while (got.len) {
        const char *at = memchr(got.data, '&', got.len);
        size_t n = at ? (size_t)(at - got.data) + 1 : got.len;
        int r = buf_add(ret, got.data, n);
        if (r < 0)
            return r;
        if (at && got.len - n >= strlen(rest) && memcmp(at + 1, rest, strlen(rest)) == 0)
            n += strlen(rest);
        got.data += n;
        got.len -= n;
    }
    return 0;
}
