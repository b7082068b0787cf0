/* Replies in XML: a push reader on libxml2's SAX interface. No tree is built,
 * so memory does not grow with a list; no DTD, no entities but the five, no
 * network. What a document means is told by the path of its elements: only the
 * direct children of a task or entity count, since a job's inside repeats the
 * same names. */
#include <errno.h>
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

#include "codec/api.h"
#include "codec/api_text.h"
#include "codec/api_xml_write.h"

#define DEPTH_MAX 64
#define TEXT_MAX ((size_t)64 * 1024)
#define NAMESPACE "http://www.veeam.com/ent/v1.0"

enum element {
    EL_OTHER,
    EL_ERROR,
    EL_LOGON_SESSION,
    EL_TASK,
    EL_TASKS,
    EL_QUERY_RESULT,
    EL_ENTITY_REFERENCES,
    EL_REFS,
    EL_REF,
    EL_ENTITY_REF,
    EL_JOBS,
    EL_JOB,
    EL_REPOSITORIES,
    EL_REPOSITORY,
    EL_BACKUP_SERVERS,
    EL_BACKUP_SERVER,
    EL_LOGON_SESSIONS,
    EL_LINKS,
    EL_LINK,
    EL_TASK_ID,
    EL_STATE,
    EL_OPERATION,
    EL_RESULT,
    EL_MESSAGE,
    EL_JOB_TYPE,
    EL_DESCRIPTION,
    EL_SESSION_ID,
    EL_PAGING_INFO,
    EL_COUNT
};

static const char *const element_names[EL_COUNT] = {
    [EL_ERROR] = "Error",
    [EL_LOGON_SESSION] = "LogonSession",
    [EL_TASK] = "Task",
    [EL_TASKS] = "Tasks",
    [EL_QUERY_RESULT] = "QueryResult",
    [EL_ENTITY_REFERENCES] = "EntityReferences",
    [EL_REFS] = "Refs",
    [EL_REF] = "Ref",
    [EL_ENTITY_REF] = "EntityRef",
    [EL_JOBS] = "Jobs",
    [EL_JOB] = "Job",
    [EL_REPOSITORIES] = "Repositories",
    [EL_REPOSITORY] = "Repository",
    [EL_BACKUP_SERVERS] = "BackupServers",
    [EL_BACKUP_SERVER] = "BackupServer",
    [EL_LOGON_SESSIONS] = "LogonSessions",
    [EL_LINKS] = "Links",
    [EL_LINK] = "Link",
    [EL_TASK_ID] = "TaskId",
    [EL_STATE] = "State",
    [EL_OPERATION] = "Operation",
    [EL_RESULT] = "Result",
    [EL_MESSAGE] = "Message",
    [EL_JOB_TYPE] = "JobType",
    [EL_DESCRIPTION] = "Description",
    [EL_SESSION_ID] = "SessionId",
    [EL_PAGING_INFO] = "PagingInfo",
};

/* Texts of the object that is being read; reused from one to the next. */
enum field { F_ID, F_UID, F_NAME, F_OPERATION, F_STATE, F_MESSAGE, F_JOB_TYPE, F_DESCRIPTION, F_SERVER_NAME, F_JOB_NAME, F_COUNT };

struct api_reader {
    xmlParserCtxtPtr parser;
    const struct api_handlers *handlers;
    void *data;
    int error;
    bool begun;            /* past leading blanks */
    unsigned bom;          /* bytes of a byte order mark seen */
    unsigned depth;
    enum element path[DEPTH_MAX];
    unsigned object;       /* depth of the task or entity that is open, 0: none */
    enum api_entity_kind kind;
    struct buf field[F_COUNT];
    struct buf *capture;   /* where text goes, or NULL */
    unsigned capture_depth;
    char server_id[API_GUID_LEN + 1], job_id[API_GUID_LEN + 1], entity_id[API_GUID_LEN + 1];
    bool has_result, success, can_clone, has_job_name;
    struct buf error_message, session_id;
    struct api_doc doc;
};

static void reader_stop(struct api_reader *r, int error)
{
    if (!r->error)
        r->error = error;
    xmlStopParser(r->parser);
}

/* ---- attributes ---- */

struct attributes {
    const xmlChar **list;
    int n;
};

/* Value of an attribute without prefix: its bytes, data NULL when absent. */
static struct bytes attribute(const struct attributes *a, const char *name)
{
    for (int i = 0; i < a->n; i++) {
        const xmlChar **at = &a->list[(size_t)i * 5];
        if (!at[1] && strcmp((const char *)at[0], name) == 0)
            return (struct bytes){(const char *)at[3], (size_t)(at[4] - at[3])};
    }
    return (struct bytes){0};
}

static bool attribute_is(const struct attributes *a, const char *name, const char *value)
{
    struct bytes got = attribute(a, name);
    return got.data && got.len == strlen(value) && memcmp(got.data, value, got.len) == 0;
}

static bool attribute_true(const struct attributes *a, const char *name)
{
    struct bytes got = attribute(a, name);
    return got.data && ((got.len == 4 && strncasecmp(got.data, "true", 4) == 0) || (got.len == 1 && *got.data == '1'));
}

static bool attribute_text(struct api_reader *r, const struct attributes *a, const char *name, struct buf *ret)
{
    struct bytes got = attribute(a, name);
    buf_reset(ret);
    if (!got.data)
        return false;
    int e = buf_add(ret, got.data, got.len);
    if (e < 0)
        reader_stop(r, e == -ENOMEM ? e : -EBADMSG);
    return e == 0;
}

static unsigned attribute_number(const struct attributes *a, const char *name)
{
    struct bytes got = attribute(a, name);
    unsigned value = 0;
    for (size_t i = 0; i < got.len; i++) {
        if (got.data[i] < '0' || got.data[i] > '9' || value > 100000000)
            return 0;
        value = value * 10 + (unsigned)(got.data[i] - '0');
    }
    return value;
}

/* ---- objects ---- */

static bool is_collection(enum element parent)
{
    return parent == EL_TASKS || parent == EL_REFS || parent == EL_JOBS || parent == EL_REPOSITORIES ||
           parent == EL_BACKUP_SERVERS || parent == EL_ENTITY_REFERENCES;
}

static enum api_entity_kind kind_of_text(struct bytes text)
{
    static const char *const words[] = {"", "Job", "Repository", "BackupServer"};
    for (int i = 1; i < 4; i++) {
        size_t n = strlen(words[i]);
        if (text.len >= n && memcmp(text.data, words[i], n) == 0 &&
            (text.len == n || (text.len == n + 9 && memcmp(text.data + n, "Reference", 9) == 0)))
            return (enum api_entity_kind)i;
    }
    return API_ENTITY_OTHER;
}

static enum api_entity_kind kind_of_uid(const char *uid)
{
    static const char prefix[] = "urn:veeam:";
    const char *kind = strncasecmp(uid, prefix, strlen(prefix)) == 0 ? uid + strlen(prefix) : "";
    return kind_of_text((struct bytes){kind, strcspn(kind, ":")});
}

static void entity_id_of_href(struct api_reader *r, const struct attributes *a)
{
    static const char *const folders[] = {"", "/jobs/", "/repositories/", "/backupServers/"};
    struct buf href = BUF_INIT(TEXT_MAX);
    if (r->kind != API_ENTITY_OTHER && attribute_text(r, a, "Href", &href))
        api_guid_of_href(buf_str(&href), folders[r->kind], r->entity_id);
    buf_done(&href);
}

static void entity_begin(struct api_reader *r, enum element el, const struct attributes *a)
{
    attribute_text(r, a, "UID", &r->field[F_UID]);
    attribute_text(r, a, "Name", &r->field[F_NAME]);
    r->kind = kind_of_text(attribute(a, "Type"));
    if (el == EL_JOB)
        r->kind = API_ENTITY_JOB;
    else if (el == EL_REPOSITORY)
        r->kind = API_ENTITY_REPOSITORY;
    else if (el == EL_BACKUP_SERVER)
        r->kind = API_ENTITY_BACKUP_SERVER;
    else if (r->kind == API_ENTITY_OTHER)
        r->kind = kind_of_uid(buf_str(&r->field[F_UID]));
    if (!api_guid_of_uid(buf_str(&r->field[F_UID]), r->entity_id))
        entity_id_of_href(r, a);
}

static void object_begin(struct api_reader *r, enum element el, const struct attributes *a)
{
    r->object = r->depth;
    for (int i = 0; i < F_COUNT; i++)
        buf_reset(&r->field[i]);
    r->server_id[0] = r->job_id[0] = r->entity_id[0] = '\0';
    r->has_result = r->success = r->can_clone = r->has_job_name = false;
    if (el != EL_TASK)
        entity_begin(r, el, a);
}

static enum api_task_state task_state(const char *text)
{
    if (strcmp(text, "Running") == 0)
        return API_TASK_RUNNING;
    if (strcmp(text, "OperationFinished") == 0)
        return API_TASK_OPERATION_FINISHED;
    return strcmp(text, "Finished") == 0 ? API_TASK_FINISHED : API_TASK_OTHER;
}

static int task_end(struct api_reader *r)
{
    struct api_task task = {.id = buf_str(&r->field[F_ID]),
                            .state = task_state(buf_str(&r->field[F_STATE])),
                            .operation = buf_str(&r->field[F_OPERATION]),
                            .has_result = r->has_result,
                            .success = r->success,
                            .message = buf_str(&r->field[F_MESSAGE]),
                            .job_id = r->job_id[0] ? r->job_id : NULL,
                            .job_name = r->has_job_name ? buf_str(&r->field[F_JOB_NAME]) : NULL};
    return r->handlers->on_task ? r->handlers->on_task(&task, r->data) : 0;
}

static int entity_end(struct api_reader *r, enum element el)
{
    struct api_entity entity = {.kind = r->kind,
                                .whole = el != EL_REF && el != EL_ENTITY_REF,
                                .id = r->entity_id,
                                .uid = buf_str(&r->field[F_UID]),
                                .name = buf_str(&r->field[F_NAME]),
                                .server_id = r->server_id,
                                .server_name = buf_str(&r->field[F_SERVER_NAME]),
                                .job_type = buf_str(&r->field[F_JOB_TYPE]),
                                .description = buf_str(&r->field[F_DESCRIPTION]),
                                .can_clone = r->can_clone};
    return r->handlers->on_entity ? r->handlers->on_entity(&entity, r->data) : 0;
}

static void object_end(struct api_reader *r, enum element el)
{
    r->object = 0;
    int e = el == EL_TASK ? task_end(r) : entity_end(r, el);
    if (e < 0)
        reader_stop(r, e);
}

/* ---- links ---- */

static void object_link(struct api_reader *r, const struct attributes *a)
{
    struct buf href = BUF_INIT(TEXT_MAX);
    if (attribute_is(a, "Rel", "Clone"))
        r->can_clone = true;
    attribute_text(r, a, "Href", &href);
    if (attribute_is(a, "Rel", "Up") && attribute_is(a, "Type", "BackupServerReference") &&
        api_guid_of_href(buf_str(&href), "/backupServers/", r->server_id))
        attribute_text(r, a, "Name", &r->field[F_SERVER_NAME]);
    bool job = attribute_is(a, "Type", "Job") || attribute_is(a, "Type", "JobReference") || !attribute(a, "Type").data;
    if (attribute_is(a, "Rel", "Related") && job && api_guid_of_href(buf_str(&href), "/jobs/", r->job_id))
        r->has_job_name = attribute_text(r, a, "Name", &r->field[F_JOB_NAME]);
    buf_done(&href);
}

static void link_begin(struct api_reader *r, const struct attributes *a)
{
    if (r->object && r->depth == r->object + 2)
        object_link(r, a);
    else if (!r->object && r->path[1] == EL_LOGON_SESSION && r->depth == 3)
        r->doc.lists_jobs |= attribute_is(a, "Type", "JobList") || attribute_is(a, "Type", "JobReferenceList");
    else if (!r->object && r->depth == 4 && r->path[2] == EL_PAGING_INFO)
        r->doc.paging.has_next |= attribute_is(a, "Rel", "Next");
}

/* ---- elements ---- */

static void root_begin(struct api_reader *r, enum element el, const struct attributes *a)
{
    static const enum api_doc_kind kinds[EL_COUNT] = {
        [EL_ERROR] = API_DOC_ERROR,          [EL_LOGON_SESSION] = API_DOC_LOGON,
        [EL_TASK] = API_DOC_TASK,            [EL_TASKS] = API_DOC_TASKS,
        [EL_QUERY_RESULT] = API_DOC_QUERY,   [EL_ENTITY_REFERENCES] = API_DOC_REFS,
        [EL_JOBS] = API_DOC_LIST,            [EL_REPOSITORIES] = API_DOC_LIST,
        [EL_BACKUP_SERVERS] = API_DOC_LIST,  [EL_LOGON_SESSIONS] = API_DOC_LIST,
        [EL_JOB] = API_DOC_ENTITY,           [EL_REPOSITORY] = API_DOC_ENTITY,
        [EL_BACKUP_SERVER] = API_DOC_ENTITY, [EL_ENTITY_REF] = API_DOC_ENTITY,
    };
    r->doc.kind = kinds[el] ? kinds[el] : API_DOC_OTHER;
    if (el == EL_ERROR) {
        attribute_text(r, a, "Message", &r->error_message);
        r->doc.error_status = (int)attribute_number(a, "StatusCode");
    }
}

static void capture(struct api_reader *r, struct buf *buf)
{
    buf_reset(buf);
    r->capture = buf;
    r->capture_depth = r->depth;
}

/* A child of the open object. */
static void child_begin(struct api_reader *r, enum element el, const struct attributes *a)
{
    bool task = r->path[r->object] == EL_TASK;
    if (r->depth == r->object + 1) {
        if (task && el == EL_TASK_ID)
            capture(r, &r->field[F_ID]);
        else if (task && el == EL_STATE)
            capture(r, &r->field[F_STATE]);
        else if (task && el == EL_OPERATION)
            capture(r, &r->field[F_OPERATION]);
        else if (task && el == EL_RESULT)
            r->has_result = true, r->success = attribute_true(a, "Success");
        else if (!task && el == EL_JOB_TYPE)
            capture(r, &r->field[F_JOB_TYPE]);
        else if (!task && el == EL_DESCRIPTION)
            capture(r, &r->field[F_DESCRIPTION]);
    } else if (r->depth == r->object + 2) {
        if (el == EL_LINK && r->path[r->depth - 1] == EL_LINKS)
            link_begin(r, a);
        else if (task && el == EL_MESSAGE && r->path[r->depth - 1] == EL_RESULT)
            capture(r, &r->field[F_MESSAGE]);
    }
}

static void element_begin(struct api_reader *r, enum element el, const struct attributes *a)
{
    bool object = el == EL_TASK || el == EL_REF || el == EL_ENTITY_REF || el == EL_JOB || el == EL_REPOSITORY ||
                  el == EL_BACKUP_SERVER;
    if (r->depth == 1)
        root_begin(r, el, a);
    if (r->object) {
        child_begin(r, el, a);
    } else if (object && (r->depth == 1 || is_collection(r->path[r->depth - 1]))) {
        object_begin(r, el, a);
    } else if (el == EL_LINK && r->path[r->depth - 1] == EL_LINKS) {
        link_begin(r, a);
    } else if (el == EL_SESSION_ID && r->depth == 2 && r->path[1] == EL_LOGON_SESSION) {
        capture(r, &r->session_id);
    } else if (el == EL_PAGING_INFO && r->depth == 2) {
        r->doc.paging.given = true;
        r->doc.paging.page = attribute_number(a, "PageNum");
        r->doc.paging.page_size = attribute_number(a, "PageSize");
        r->doc.paging.pages = attribute_number(a, "PagesCount");
    }
}

static enum element element_of(const char *name, const char *uri)
{
    if (uri && strcmp(uri, NAMESPACE) != 0)
        return EL_OTHER;
    for (int i = 1; i < EL_COUNT; i++)
        if (strcmp(element_names[i], name) == 0)
            return (enum element)i;
    return EL_OTHER;
}

static void on_start(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int n_namespaces,
                     const xmlChar **namespaces, int n_attributes, int n_defaulted, const xmlChar **attributes)
{
    struct api_reader *r = data;
    (void)prefix, (void)n_namespaces, (void)namespaces, (void)n_defaulted;
    if (r->error)
        return;
    if (r->depth + 1 >= DEPTH_MAX) {
        reader_stop(r, -EBADMSG);
        return;
    }
    enum element el = element_of((const char *)name, (const char *)uri);
    struct attributes a = {attributes, n_attributes};
    r->path[++r->depth] = el;
    for (int i = 0; i < n_attributes; i++)
        if ((size_t)(attributes[(size_t)i * 5 + 4] - attributes[(size_t)i * 5 + 3]) > TEXT_MAX)
            reader_stop(r, -EBADMSG);
    if (!r->error)
        element_begin(r, el, &a);
}

static void on_end(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    struct api_reader *r = data;
    (void)name, (void)prefix, (void)uri;
    if (r->error || !r->depth)
        return;
    if (r->capture && r->depth == r->capture_depth)
        r->capture = NULL;
    if (r->object == r->depth)
        object_end(r, r->path[r->depth]);
    r->depth--;
}

static void on_text(void *data, const xmlChar *text, int len)
{
    struct api_reader *r = data;
    if (r->error || !r->capture || r->depth != r->capture_depth)
        return;
    int e = buf_add(r->capture, text, (size_t)len);
    if (e < 0)
        reader_stop(r, e == -ENOMEM ? e : -EBADMSG);
}

/* Any document type declaration ends the reading: no reply has one, and entities hide in it. */
static void on_doctype(void *data, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
    (void)name, (void)external, (void)system;
    reader_stop(data, -EBADMSG);
}

static void on_problem(void *data, xmlErrorPtr error)
{
    (void)data, (void)error; /* told by the return of xmlParseChunk */
}

/* ---- the table ---- */

static struct api_reader *reader_free(struct api_reader *r)
{
    if (!r)
        return NULL;
    if (r->parser)
        xmlFreeParserCtxt(r->parser);
    for (int i = 0; i < F_COUNT; i++)
        buf_done(&r->field[i]);
    buf_done(&r->error_message);
    buf_done(&r->session_id);
    free(r);
    return NULL;
}

static struct api_reader *reader_new(const struct api_handlers *handlers, void *data)
{
    struct api_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->handlers = handlers;
    r->data = data;
    for (int i = 0; i < F_COUNT; i++)
        r->field[i] = BUF_INIT(TEXT_MAX);
    r->error_message = BUF_INIT(TEXT_MAX);
    r->session_id = BUF_INIT(TEXT_MAX);
    return r;
}

/* The parser is made with the first byte: many answers (204) have none. */
static int reader_begin(struct api_reader *r)
{
    xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
                         .startElementNs = on_start,
                         .endElementNs = on_end,
                         .characters = on_text,
                         .cdataBlock = on_text,
                         .internalSubset = on_doctype,
                         .serror = on_problem};
    r->parser = xmlCreatePushParserCtxt(&sax, r, NULL, 0, NULL);
    if (!r->parser)
        return -ENOMEM;
    xmlCtxtUseOptions(r->parser, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    r->begun = true;
    return 0;
}

static int reader_feed(struct api_reader *r, const char *data, size_t len)
{
    static const char bom[] = "\xef\xbb\xbf";
    while (!r->error && !r->begun && len) {
        bool blank = *data == ' ' || *data == '\t' || *data == '\r' || *data == '\n';
        if (r->bom < 3 && *data == bom[r->bom])
            r->bom++;
        else if (!blank)
            r->error = r->bom % 3 ? -EBADMSG : reader_begin(r);
        if (!r->begun) {
            data++;
            len--;
        }
    }
    while (!r->error && len) { /* in pieces, so that an error ends the work soon */
        int n = len < 16384 ? (int)len : 16384;
        if (xmlParseChunk(r->parser, data, n, 0) != 0 && !r->error)
            r->error = -EBADMSG;
        data += n;
        len -= (size_t)n;
    }
    return r->error;
}

static int reader_end(struct api_reader *r, struct api_doc *ret)
{
    if (!r->error && r->begun && (xmlParseChunk(r->parser, NULL, 0, 1) != 0 || r->depth != 0) && !r->error)
        r->error = -EBADMSG;
    if (r->error)
        return r->error;
    r->doc.error_message = buf_str(&r->error_message);
    r->doc.session_id = buf_str(&r->session_id);
    *ret = r->doc;
    return 0;
}

const struct api_format api_xml = {.name = "xml",
                                   .media_type = "application/xml",
                                   .encode_clone = api_xml_encode_clone,
                                   .reader_new = reader_new,
                                   .reader_feed = reader_feed,
                                   .reader_end = reader_end,
                                   .reader_free = reader_free};
