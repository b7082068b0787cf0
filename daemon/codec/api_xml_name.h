/* Elements and attributes of replies in XML, as libxml2's SAX2 interface hands
 * them over. Bytes of attributes are valid during the callback only. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

enum api_xml_name {
    NAME_OTHER, /* unknown, or of a foreign namespace */
    NAME_BACKUP_SERVER,
    NAME_BACKUP_SERVERS,
    NAME_DESCRIPTION,
    NAME_ENTITIES,
    NAME_ENTITY_REF,
    NAME_ENTITY_REFERENCES,
    NAME_ERROR,
    NAME_JOB,
    NAME_JOBS,
    NAME_JOB_TYPE,
    NAME_LINK,
    NAME_LINKS,
    NAME_LOGON_SESSION,
    NAME_LOGON_SESSIONS,
    NAME_MESSAGE,
    NAME_OPERATION,
    NAME_PAGING_INFO,
    NAME_QUERY_RESULT,
    NAME_REF,
    NAME_REFS,
    NAME_REPOSITORIES,
    NAME_REPOSITORY,
    NAME_RESOURCES,
    NAME_RESULT,
    NAME_SESSION_ID,
    NAME_STATE,
    NAME_TASK,
    NAME_TASKS,
    NAME_TASK_ID,
    NAME_COUNT
};

/* The name of an element: of the server's namespace under any prefix, or of no
 * namespace at all, since some gateways drop it. `uri` NULL: none. */
enum api_xml_name api_xml_name_of(const char *local, const char *uri);

/* Names met before. A parser keeps each name at one place for as long as it lives, so the place tells which
 * it is. Places that fall together stand one after another; where as many do as are tried, the last one gives
 * way to the next. */
#define API_XML_NAMES_TRIED 8
struct api_xml_names {
    struct {
        const char *local, *uri;
        enum api_xml_name name;
    } at[64];
};

/* As api_xml_name_of, for names of the one parser to which `known` belongs. */
enum api_xml_name api_xml_names_find(struct api_xml_names *known, const char *local, const char *uri);

/* Attributes as SAX2 gives them: five pointers each. */
struct api_xml_attrs {
    const unsigned char **list;
    int n;
};

/* True when one is longer than `max` bytes. */
bool api_xml_attrs_exceed(const struct api_xml_attrs *attrs, size_t max);

/* Raw value of an attribute without prefix; data NULL when absent. */
struct bytes api_xml_attr(const struct api_xml_attrs *attrs, const char *name);

/* Compare with plain ASCII words; false when absent. */
bool api_xml_value_is(struct bytes value, const char *word);
bool api_xml_attr_is(const struct api_xml_attrs *attrs, const char *name, const char *value);
bool api_xml_attr_true(const struct api_xml_attrs *attrs, const char *name);
bool api_xml_attr_false(const struct api_xml_attrs *attrs, const char *name);

/* A number, 0 when absent, malformed or beyond a thousand million. */
unsigned api_xml_attr_number(const struct api_xml_attrs *attrs, const char *name);

/* Sets `ret` to the value, empty when absent. 0, or an error of buf_add. */
int api_xml_attr_text(const struct api_xml_attrs *attrs, const char *name, struct buf *ret);
