/* Only the direct children of a task or entity count, told by the path: a job's
 * inside (ObjectInJob and such) repeats the same names. */
#include "codec/api_xml_read.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

void api_xml_reading_init(struct api_xml_reading *r, const struct api_handlers *handlers, void *data)
{
    *r = (struct api_xml_reading){.handlers = handlers, .data = data};
    for (int i = 0; i < FIELD_COUNT; i++)
        r->field[i] = BUF_INIT(API_XML_TEXT_MAX);
    r->error_message = BUF_INIT(API_XML_TEXT_MAX);
    r->session_id = BUF_INIT(API_XML_TEXT_MAX);
}

void api_xml_reading_again(struct api_xml_reading *r, void *data)
{
    struct api_xml_reading next = {.handlers = r->handlers, .data = data};
    memcpy(next.field, r->field, sizeof(next.field));
    next.error_message = r->error_message;
    next.session_id = r->session_id;
    *r = next;
    for (int i = 0; i < FIELD_COUNT; i++)
        buf_reset(&r->field[i]);
    buf_reset(&r->error_message);
    buf_reset(&r->session_id);
}

void api_xml_reading_done(struct api_xml_reading *r)
{
    for (int i = 0; i < FIELD_COUNT; i++)
        buf_done(&r->field[i]);
    buf_done(&r->error_message);
    buf_done(&r->session_id);
}

int api_xml_reading_fail(struct api_xml_reading *r, int error)
{
    if (!r->error)
        r->error = error == -ENOBUFS ? -EBADMSG : error;
    return r->error;
}

/* Sets `ret` to an attribute's text and returns it, "" when absent. */
static const char *take_attr(struct api_xml_reading *r, const struct api_xml_attrs *attrs, const char *name,
                             struct buf *ret)
{
    api_xml_reading_fail(r, api_xml_attr_text(attrs, name, ret));
    return buf_str(ret);
}

/* Text of a field whose blanks around do not count. */
static const char *trimmed(struct buf *buf)
{
    static const char blanks[] = " \t\r\n";
    while (buf->len && strchr(blanks, buf->data[buf->len - 1]))
        buf->data[--buf->len] = '\0';
    return buf_str(buf) + strspn(buf_str(buf), blanks);
}

/* ---- entities ---- */

static enum api_entity_kind kind_of_name(enum api_xml_name name)
{
    static const enum api_entity_kind kinds[NAME_COUNT] = {[NAME_JOB] = API_ENTITY_JOB,
                                                           [NAME_REPOSITORY] = API_ENTITY_REPOSITORY,
                                                           [NAME_BACKUP_SERVER] = API_ENTITY_BACKUP_SERVER};
    return kinds[name];
}

static void entity_begin(struct api_xml_reading *r, enum api_xml_name name, const struct api_xml_attrs *attrs)
{
    const char *uid = take_attr(r, attrs, "UID", &r->field[FIELD_UID]);
    const char *href = take_attr(r, attrs, "Href", &r->field[FIELD_HREF]);
    take_attr(r, attrs, "Name", &r->field[FIELD_NAME]);
    r->kind = kind_of_name(name);
    if (r->kind == API_ENTITY_OTHER)
        r->kind = api_kind_of_word(api_xml_attr(attrs, "Type"));
    if (r->kind == API_ENTITY_OTHER && !api_xml_attr(attrs, "Type").data) {
        r->kind = api_kind_of_uid(uid);
        if (r->kind == API_ENTITY_OTHER)
            r->kind = api_kind_of_href(href);
    }
    if (!api_guid_of_uid(uid, r->entity_id) && r->kind != API_ENTITY_OTHER)
        api_guid_of_href(href, api_kind_folder(r->kind), r->entity_id);
}

static int entity_end(struct api_xml_reading *r, enum api_xml_name name)
{
    struct api_entity entity = {.kind = r->kind,
                                .whole = name != NAME_REF && name != NAME_ENTITY_REF,
                                .id = r->entity_id,
                                .uid = buf_str(&r->field[FIELD_UID]),
                                .name = buf_str(&r->field[FIELD_NAME]),
                                .server_id = r->server_id,
                                .server_name = buf_str(&r->field[FIELD_SERVER_NAME]),
                                .job_type = trimmed(&r->field[FIELD_JOB_TYPE]),
                                .description = buf_str(&r->field[FIELD_DESCRIPTION]),
                                .can_clone = r->can_clone};
    return r->handlers && r->handlers->on_entity ? r->handlers->on_entity(&entity, r->data) : 0;
}

/* ---- tasks ---- */

static int task_end(struct api_xml_reading *r)
{
    struct api_task task = {.id = trimmed(&r->field[FIELD_TASK_ID]),
                            .state = api_task_state_of(trimmed(&r->field[FIELD_STATE])),
                            .operation = trimmed(&r->field[FIELD_OPERATION]),
                            .has_result = r->has_result,
                            .success = r->success,
                            .message = buf_str(&r->field[FIELD_MESSAGE]),
                            .job_id = r->job_id[0] ? r->job_id : NULL,
                            .job_name = r->has_job_name ? buf_str(&r->field[FIELD_JOB_NAME]) : NULL};
    return r->handlers && r->handlers->on_task ? r->handlers->on_task(&task, r->data) : 0;
}

/* ---- links ---- */

static void up_link(struct api_xml_reading *r, const struct api_xml_attrs *attrs)
{
    struct bytes type = api_xml_attr(attrs, "Type");
    if (r->server_id[0] || (type.data && api_kind_of_word(type) != API_ENTITY_BACKUP_SERVER))
        return;
    if (api_guid_of_href(take_attr(r, attrs, "Href", &r->field[FIELD_HREF]), "/backupServers/", r->server_id))
        take_attr(r, attrs, "Name", &r->field[FIELD_SERVER_NAME]);
}

static void related_link(struct api_xml_reading *r, const struct api_xml_attrs *attrs)
{
    struct bytes type = api_xml_attr(attrs, "Type");
    if (r->job_id[0] || (type.data && api_kind_of_word(type) != API_ENTITY_JOB))
        return;
    if (!api_guid_of_href(take_attr(r, attrs, "Href", &r->field[FIELD_HREF]), "/jobs/", r->job_id))
        return;
    r->has_job_name = api_xml_attr(attrs, "Name").data != NULL;
    take_attr(r, attrs, "Name", &r->field[FIELD_JOB_NAME]);
}

static void object_link(struct api_xml_reading *r, const struct api_xml_attrs *attrs)
{
    struct bytes rel = api_xml_attr(attrs, "Rel");
    if (api_xml_value_is(rel, "Clone"))
        r->can_clone = true;
    else if (api_xml_value_is(rel, "Up"))
        up_link(r, attrs);
    else if (api_xml_value_is(rel, "Related"))
        related_link(r, attrs);
}

/* A link of the document itself: of the logon, or of the paging. */
static void document_link(struct api_xml_reading *r, const struct api_xml_attrs *attrs)
{
    if (r->depth == 3 && r->path[1] == NAME_LOGON_SESSION)
        r->doc.lists_jobs |=
            api_xml_attr_is(attrs, "Type", "JobList") || api_xml_attr_is(attrs, "Type", "JobReferenceList");
    else if (r->depth == 4 && r->path[2] == NAME_PAGING_INFO)
        r->doc.paging.has_next |= api_xml_attr_is(attrs, "Rel", "Next");
}

/* ---- elements ---- */

static void root_begin(struct api_xml_reading *r, const char *local, const struct api_xml_attrs *attrs)
{
    static const enum api_doc_kind kinds[NAME_COUNT] = {
        [NAME_ERROR] = API_DOC_ERROR,
        [NAME_LOGON_SESSION] = API_DOC_LOGON,
        [NAME_TASK] = API_DOC_TASK,
        [NAME_TASKS] = API_DOC_TASKS,
        [NAME_QUERY_RESULT] = API_DOC_QUERY,
        [NAME_ENTITY_REFERENCES] = API_DOC_REFS,
        [NAME_JOBS] = API_DOC_LIST,
        [NAME_REPOSITORIES] = API_DOC_LIST,
        [NAME_BACKUP_SERVERS] = API_DOC_LIST,
        [NAME_LOGON_SESSIONS] = API_DOC_LIST,
        [NAME_JOB] = API_DOC_ENTITY,
        [NAME_REPOSITORY] = API_DOC_ENTITY,
        [NAME_BACKUP_SERVER] = API_DOC_ENTITY,
        [NAME_ENTITY_REF] = API_DOC_ENTITY,
        [NAME_REF] = API_DOC_ENTITY,
    };
    enum api_xml_name name = r->path[1];
    r->doc.kind = kinds[name] ? kinds[name] : API_DOC_OTHER;
    if (strcasecmp(local, "html") == 0) /* a gateway's page, by chance well-formed */
        api_xml_reading_fail(r, -EBADMSG);
    if (name == NAME_ERROR) {
        take_attr(r, attrs, "Message", &r->error_message);
        r->doc.error_status = (int)api_xml_attr_number(attrs, "StatusCode");
    }
}

/* True where a task or entity may stand (wire reference 4.2, 5.3, 5.4). */
static bool object_place(const struct api_xml_reading *r)
{
    static const enum api_xml_name collections[NAME_COUNT] = {
        [NAME_TASK] = NAME_TASKS,
        [NAME_REF] = NAME_REFS,
        [NAME_ENTITY_REF] = NAME_REFS,
        [NAME_JOB] = NAME_JOBS,
        [NAME_REPOSITORY] = NAME_REPOSITORIES,
        [NAME_BACKUP_SERVER] = NAME_BACKUP_SERVERS,
    };
    enum api_xml_name collection = collections[r->path[r->depth]], parent = r->path[r->depth - 1];
    if (collection == NAME_OTHER)
        return false;
    if (r->depth == 1)
        return true;
    if (parent != collection && !(collection == NAME_REFS && parent == NAME_ENTITY_REFERENCES))
        return false;
    if (r->depth == 4)
        return r->path[1] == NAME_QUERY_RESULT &&
               (r->path[2] == NAME_ENTITIES || r->path[2] == NAME_RESOURCES);
    return r->depth == 2 ||
           (r->depth == 3 && (r->path[1] == NAME_QUERY_RESULT || r->path[1] == NAME_ENTITY_REFERENCES));
}

static void object_begin(struct api_xml_reading *r, enum api_xml_name name, const struct api_xml_attrs *attrs)
{
    r->object = r->depth;
    for (int i = 0; i < FIELD_COUNT; i++)
        buf_reset(&r->field[i]);
    r->entity_id[0] = r->server_id[0] = r->job_id[0] = '\0';
    r->has_result = r->success = r->can_clone = r->has_job_name = false;
    if (name != NAME_TASK)
        entity_begin(r, name, attrs);
}

static void capture(struct api_xml_reading *r, struct buf *buf)
{
    buf_reset(buf);
    r->capture = buf;
    r->capture_depth = r->depth;
}

/* A direct child of the open task or entity. */
static void child_begin(struct api_xml_reading *r, enum api_xml_name name, const struct api_xml_attrs *attrs)
{
    bool task = r->path[r->object] == NAME_TASK;
    if (task && name == NAME_TASK_ID)
        capture(r, &r->field[FIELD_TASK_ID]);
    else if (task && name == NAME_STATE)
        capture(r, &r->field[FIELD_STATE]);
    else if (task && name == NAME_OPERATION)
        capture(r, &r->field[FIELD_OPERATION]);
    else if (!task && name == NAME_JOB_TYPE)
        capture(r, &r->field[FIELD_JOB_TYPE]);
    else if (!task && name == NAME_DESCRIPTION)
        capture(r, &r->field[FIELD_DESCRIPTION]);
    else if (task && name == NAME_RESULT) {
        r->success = api_xml_attr_true(attrs, "Success");
        r->has_result = r->success || api_xml_attr_false(attrs, "Success"); /* else it says nothing */
    }
}

/* An element within the open task or entity. */
static void inner_begin(struct api_xml_reading *r, enum api_xml_name name, const struct api_xml_attrs *attrs)
{
    enum api_xml_name parent = r->path[r->depth - 1];
    if (r->depth == r->object + 1)
        child_begin(r, name, attrs);
    else if (r->depth != r->object + 2)
        return;
    else if (name == NAME_LINK && parent == NAME_LINKS)
        object_link(r, attrs);
    else if (name == NAME_MESSAGE && parent == NAME_RESULT && r->path[r->object] == NAME_TASK)
        capture(r, &r->field[FIELD_MESSAGE]);
}

static void paging_begin(struct api_xml_reading *r, const struct api_xml_attrs *attrs)
{
    r->doc.paging = (struct api_paging){.given = true,
                                        .page = api_xml_attr_number(attrs, "PageNum"),
                                        .page_size = api_xml_attr_number(attrs, "PageSize"),
                                        .pages = api_xml_attr_number(attrs, "PagesCount")};
}

static void element_begin(struct api_xml_reading *r, enum api_xml_name name,
                          const struct api_xml_attrs *attrs)
{
    if (r->object)
        inner_begin(r, name, attrs);
    else if (object_place(r))
        object_begin(r, name, attrs);
    else if (name == NAME_LINK && r->path[r->depth - 1] == NAME_LINKS)
        document_link(r, attrs);
    else if (name == NAME_SESSION_ID && r->depth == 2 && r->path[1] == NAME_LOGON_SESSION)
        capture(r, &r->session_id);
    else if (name == NAME_PAGING_INFO && r->depth == 2)
        paging_begin(r, attrs);
}

/* ---- what the parser meets ---- */

void api_xml_reading_start(struct api_xml_reading *r, const char *local, enum api_xml_name name,
                           const struct api_xml_attrs *attrs)
{
    if (r->error)
        return;
    if (r->depth == API_XML_DEPTH_MAX || api_xml_attrs_exceed(attrs, API_XML_TEXT_MAX)) {
        r->error = -EBADMSG;
        return;
    }
    r->text_len = 0;
    r->path[++r->depth] = name;
    if (r->depth == 1)
        root_begin(r, local, attrs);
    element_begin(r, name, attrs);
}

void api_xml_reading_text(struct api_xml_reading *r, const char *text, size_t len)
{
    if (r->error)
        return;
    r->text_len += len;
    if (r->text_len > API_XML_TEXT_MAX)
        r->error = -EBADMSG;
    else if (r->capture && r->depth == r->capture_depth)
        api_xml_reading_fail(r, buf_add(r->capture, text, len));
}

void api_xml_reading_end(struct api_xml_reading *r)
{
    if (r->error || r->depth == 0)
        return;
    enum api_xml_name name = r->path[r->depth];
    r->text_len = 0;
    if (r->capture && r->depth == r->capture_depth)
        r->capture = NULL;
    if (r->object == r->depth) {
        r->object = 0;
        int e = name == NAME_TASK ? task_end(r) : entity_end(r, name);
        if (e < 0)
            r->error = e;
    }
    r->depth--;
}

struct api_doc api_xml_reading_doc(struct api_xml_reading *r)
{
    struct api_doc doc = r->doc;
    doc.error_message = buf_str(&r->error_message);
    doc.session_id = trimmed(&r->session_id);
    return doc;
}
