#include "codec/api_json_read.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "codec/api_json_value.h"

#define BUF_TEXT BUF_INIT(API_JSON_STRING_MAX)

void api_json_reading_init(struct api_json_reading *r, const struct api_handlers *handlers, void *data)
{
    *r = (struct api_json_reading){.handlers = handlers,
                                   .data = data,
                                   .error_message = BUF_TEXT,
                                   .session_id = BUF_TEXT,
                                   .root = {.server_name = BUF_TEXT, .job_name = BUF_TEXT},
                                   .element = {.server_name = BUF_TEXT, .job_name = BUF_TEXT}};
    for (int i = 0; i < TRIM_COUNT; i++)
        r->trimmed[i] = BUF_TEXT;
}

static void links_done(struct api_json_links *links)
{
    buf_done(&links->server_name);
    buf_done(&links->job_name);
}

void api_json_reading_done(struct api_json_reading *r)
{
    buf_done(&r->error_message);
    buf_done(&r->session_id);
    links_done(&r->root);
    links_done(&r->element);
    for (int i = 0; i < TRIM_COUNT; i++)
        buf_done(&r->trimmed[i]);
}

/* ---- texts ---- */

/* Sets `ret` to a text, without the blanks around it when `trim`. */
static int take_text(const json_t *value, bool trim, struct buf *ret)
{
    char number[API_JSON_NUMBER_MAX];
    static const char blanks[] = " \t\r\n";
    const char *text;
    buf_reset(ret);
    int r = api_json_text(value, number, &text);
    if (r < 0)
        return r;
    if (trim)
        text += strspn(text, blanks);
    size_t len = strlen(text);
    while (trim && len && strchr(blanks, text[len - 1]))
        len--;
    return buf_add(ret, text, len);
}

/* The text at a key; the first error is kept in *error. */
static const char *text_at(const struct api_json_members *m, enum api_json_key key,
                           char number[API_JSON_NUMBER_MAX], int *error)
{
    const char *text;
    int r = api_json_text(m->at[key], number, &text);
    if (r < 0 && *error == 0)
        *error = r;
    return text;
}

static bool text_is(const struct api_json_members *m, enum api_json_key key, const char *word)
{
    const json_t *value = m->at[key];
    return json_is_string(value) && strcasecmp(json_string_value(value), word) == 0;
}

/* ---- links ---- */

static void links_reset(struct api_json_links *links)
{
    links->server_id[0] = links->job_id[0] = '\0';
    links->has_job_name = links->can_clone = links->lists_jobs = false;
    buf_reset(&links->server_name);
    buf_reset(&links->job_name);
}

static enum api_entity_kind kind_of_type(const json_t *type)
{
    if (!json_is_string(type))
        return API_ENTITY_OTHER;
    return api_kind_of_word((struct bytes){json_string_value(type), json_string_length(type)});
}

/* True when the link's type is absent or of that kind. */
static bool link_may_be(const struct api_json_members *m, enum api_entity_kind kind)
{
    return !m->at[KEY_TYPE] || kind_of_type(m->at[KEY_TYPE]) == kind;
}

static int link_up(struct api_json_links *links, const struct api_json_members *m, const char *href)
{
    if (links->server_id[0] || !link_may_be(m, API_ENTITY_BACKUP_SERVER) ||
        !api_guid_of_href(href, "/backupServers/", links->server_id))
        return 0;
    return take_text(m->at[KEY_NAME], false, &links->server_name);
}

static int link_related(struct api_json_links *links, const struct api_json_members *m, const char *href)
{
    if (links->job_id[0] || !link_may_be(m, API_ENTITY_JOB) ||
        !api_guid_of_href(href, "/jobs/", links->job_id))
        return 0;
    links->has_job_name = m->at[KEY_NAME] != NULL;
    return take_text(m->at[KEY_NAME], false, &links->job_name);
}

static int link_read(struct api_json_links *links, const json_t *link)
{
    struct api_json_members m;
    char number[API_JSON_NUMBER_MAX];
    int r = api_json_members_read(link, &m);
    if (r < 0)
        return r;
    const char *href = text_at(&m, KEY_HREF, number, &r);
    links->lists_jobs |= text_is(&m, KEY_TYPE, "JobList") || text_is(&m, KEY_TYPE, "JobReferenceList");
    if (r == 0 && text_is(&m, KEY_REL, "Clone"))
        links->can_clone = true;
    else if (r == 0 && text_is(&m, KEY_REL, "Up"))
        r = link_up(links, &m, href);
    else if (r == 0 && text_is(&m, KEY_REL, "Related"))
        r = link_related(links, &m, href);
    return r;
}

static int link_of_paging(struct api_json_reading *r, const json_t *link)
{
    struct api_json_members m;
    int e = api_json_members_read(link, &m);
    if (e == 0)
        r->next |= text_is(&m, KEY_REL, "Next");
    return e;
}

/* ---- tasks ---- */

static int task_result(const json_t *result, struct api_task *task)
{
    struct api_json_members m;
    if (!result)
        return 0;
    int r = api_json_members_read(result, &m);
    if (r < 0)
        return r;
    int truth = api_json_truth(m.at[KEY_SUCCESS]);
    task->has_result = truth >= 0;
    task->success = truth == 1;
    if (json_is_string(m.at[KEY_MESSAGE])) /* for people alone: of no other kind would it say anything */
        task->message = json_string_value(m.at[KEY_MESSAGE]);
    return 0;
}

static int task_read(struct api_json_reading *r, const struct api_json_members *m,
                     const struct api_json_links *links)
{
    struct buf *id = &r->trimmed[TRIM_ID], *state = &r->trimmed[TRIM_STATE],
               *operation = &r->trimmed[TRIM_OPERATION];
    struct api_task task = {.message = "",
                            .job_id = links->job_id[0] ? links->job_id : NULL,
                            .job_name = links->has_job_name ? buf_str(&links->job_name) : NULL};
    int e = take_text(m->at[KEY_TASK_ID], true, id);
    if (e == 0)
        e = take_text(m->at[KEY_STATE], true, state);
    if (e == 0)
        e = take_text(m->at[KEY_OPERATION], true, operation);
    if (e == 0)
        e = task_result(m->at[KEY_RESULT], &task);
    if (e < 0)
        return e;
    task.id = buf_str(id);
    task.state = api_task_state_of(buf_str(state));
    task.operation = buf_str(operation);
    return r->handlers && r->handlers->on_task ? r->handlers->on_task(&task, r->data) : 0;
}

/* ---- entities ---- */

static enum api_entity_kind kind_of(enum api_json_key list, const char *type, const char *uid,
                                    const char *href)
{
    if (list == KEY_JOBS)
        return API_ENTITY_JOB;
    if (list == KEY_REPOSITORIES)
        return API_ENTITY_REPOSITORY;
    if (list == KEY_BACKUP_SERVERS)
        return API_ENTITY_BACKUP_SERVER;
    if (*type)
        return api_kind_of_word((struct bytes){type, strlen(type)});
    enum api_entity_kind kind = api_kind_of_uid(uid);
    return kind != API_ENTITY_OTHER ? kind : api_kind_of_href(href);
}

static bool type_is_reference(const char *type)
{
    static const char word[] = "Reference";
    size_t len = strlen(type), n = strlen(word);
    return len >= n && strcasecmp(type + len - n, word) == 0;
}

static int entity_read(struct api_json_reading *r, enum api_json_key list, const struct api_json_members *m,
                       const struct api_json_links *links)
{
    char numbers[5][API_JSON_NUMBER_MAX], id[API_GUID_LEN + 1] = "";
    int e = take_text(m->at[KEY_JOB_TYPE], true, &r->trimmed[TRIM_JOB_TYPE]);
    const char *type = text_at(m, KEY_TYPE, numbers[0], &e), *href = text_at(m, KEY_HREF, numbers[1], &e);
    struct api_entity entity = {.whole = list != KEY_REFS && !type_is_reference(type),
                                .id = id,
                                .uid = text_at(m, KEY_UID, numbers[2], &e),
                                .name = text_at(m, KEY_NAME, numbers[3], &e),
                                .server_id = links->server_id,
                                .server_name = buf_str(&links->server_name),
                                .job_type = buf_str(&r->trimmed[TRIM_JOB_TYPE]),
                                .description = text_at(m, KEY_DESCRIPTION, numbers[4], &e),
                                .can_clone = links->can_clone};
    if (e < 0)
        return e;
    entity.kind = kind_of(list, type, entity.uid, href);
    if (!api_guid_of_uid(entity.uid, id) && entity.kind != API_ENTITY_OTHER)
        api_guid_of_href(href, api_kind_folder(entity.kind), id);
    return r->handlers && r->handlers->on_entity ? r->handlers->on_entity(&entity, r->data) : 0;
}

/* ---- elements ---- */

static int element_read(struct api_json_reading *r, enum api_json_key list, const json_t *element)
{
    struct api_json_members m;
    int e = api_json_members_read(element, &m);
    if (e == 0 && (list == KEY_TASKS || (list == KEY_OTHER && m.at[KEY_TASK_ID]))) {
        r->tasks++;
        e = task_read(r, &m, &r->element);
    } else if (e == 0 && list != KEY_LOGON_SESSIONS) {
        r->entities++;
        e = entity_read(r, list, &m, &r->element);
    }
    links_reset(&r->element);
    return e;
}

/* ---- the document ---- */

/* Elements are told already: what is left of a list is null, an empty array or object, or what wraps one. */
static int list_check(const json_t *value, enum api_json_key list)
{
    if (!value || json_is_null(value) || json_is_array(value))
        return 0;
    if (!json_is_object(value))
        return -EBADMSG;
    json_t *own = (json_t *)value;
    int r = 0;
    for (void *i = json_object_iter(own); i && r == 0; i = json_object_iter_next(own, i)) {
        const char *name = json_object_iter_key(i);
        bool wraps =
            api_json_key_singular(list, name, strlen(name)) || api_json_key_of(name, strlen(name)) == list;
        if (wraps)
            r = list_check(json_object_iter_value(i), list);
    }
    return r;
}

static int lists_check(const struct api_json_members *m)
{
    int r = 0;
    for (int key = 0; key < KEY_COUNT && r == 0; key++)
        if (api_json_key_lists((enum api_json_key)key))
            r = list_check(m->at[key], (enum api_json_key)key);
    return r;
}

/* Entities or Resources of a query. */
static int query_part_check(const json_t *part)
{
    struct api_json_members m;
    if (!part || json_is_array(part))
        return 0;
    int r = api_json_members_read(part, &m);
    return r < 0 ? r : lists_check(&m);
}

static int paging_read(struct api_json_reading *r, const json_t *paging)
{
    struct api_json_members m;
    if (!paging)
        return 0;
    int e = api_json_members_read(paging, &m);
    if (e == 0)
        r->doc.paging = (struct api_paging){.given = true,
                                            .page = api_json_number(m.at[KEY_PAGE_NUM]),
                                            .page_size = api_json_number(m.at[KEY_PAGE_SIZE]),
                                            .pages = api_json_number(m.at[KEY_PAGES_COUNT]),
                                            .has_next = r->next};
    return e;
}

/* A document has no name in JSON: its members tell what it is, those first that nothing else has. */
static enum api_doc_kind doc_kind(const struct api_json_members *m)
{
    if (m->at[KEY_TASK_ID] || text_is(m, KEY_TYPE, "Task"))
        return API_DOC_TASK;
    if (m->at[KEY_SESSION_ID] || text_is(m, KEY_TYPE, "LogonSession"))
        return API_DOC_LOGON;
    if (m->at[KEY_STATUS_CODE])
        return API_DOC_ERROR;
    if (m->named[KEY_ENTITIES] || m->named[KEY_RESOURCES])
        return API_DOC_QUERY;
    if (m->named[KEY_REFS])
        return m->at[KEY_PAGING_INFO] ? API_DOC_QUERY : API_DOC_REFS;
    if (m->named[KEY_TASKS])
        return API_DOC_TASKS;
    if (m->named[KEY_JOBS] || m->named[KEY_REPOSITORIES] || m->named[KEY_BACKUP_SERVERS] ||
        m->named[KEY_LOGON_SESSIONS])
        return API_DOC_LIST;
    if (m->at[KEY_UID] || m->at[KEY_JOB_TYPE] || kind_of_type(m->at[KEY_TYPE]) != API_ENTITY_OTHER)
        return API_DOC_ENTITY;
    if (m->at[KEY_PAGING_INFO])
        return API_DOC_QUERY;
    return m->at[KEY_MESSAGE] ? API_DOC_ERROR : API_DOC_OTHER;
}

static int root_object(struct api_json_reading *r, const struct api_json_members *m)
{
    switch (r->doc.kind) {
    case API_DOC_TASK:
        return task_read(r, m, &r->root);
    case API_DOC_ENTITY:
        return entity_read(r, KEY_OTHER, m, &r->root);
    case API_DOC_LOGON:
        r->doc.lists_jobs = r->root.lists_jobs;
        return take_text(m->at[KEY_SESSION_ID], true, &r->session_id);
    case API_DOC_ERROR:
        r->doc.error_status = (int)api_json_number(m->at[KEY_STATUS_CODE]);
        return take_text(m->at[KEY_MESSAGE], false, &r->error_message);
    case API_DOC_EMPTY:
    case API_DOC_TASKS:
    case API_DOC_QUERY:
    case API_DOC_REFS:
    case API_DOC_LIST:
    case API_DOC_OTHER:
        break;
    }
    return 0;
}

static bool doc_is_list(enum api_doc_kind kind)
{
    return kind == API_DOC_TASKS || kind == API_DOC_QUERY || kind == API_DOC_REFS || kind == API_DOC_LIST;
}

static int root_read(struct api_json_reading *r, const json_t *root)
{
    struct api_json_members m;
    if (json_is_array(root)) {
        r->doc.kind = r->tasks ? API_DOC_TASKS : r->entities ? API_DOC_LIST : API_DOC_OTHER;
        return 0;
    }
    int e = api_json_members_read(root, &m);
    if (e < 0)
        return e;
    r->doc.kind = doc_kind(&m);
    if (!doc_is_list(r->doc.kind) && (r->tasks || r->entities))
        return -EBADMSG; /* a thing and a list of things at once */
    e = lists_check(&m);
    if (e == 0)
        e = query_part_check(m.at[KEY_ENTITIES]);
    if (e == 0)
        e = query_part_check(m.at[KEY_RESOURCES]);
    if (e == 0)
        e = paging_read(r, m.at[KEY_PAGING_INFO]);
    return e < 0 ? e : root_object(r, &m);
}

int api_json_reading_piece(struct api_json_reading *r, enum api_json_place place, enum api_json_key list,
                           const json_t *piece)
{
    switch (place) {
    case PLACE_ROOT:
        return root_read(r, piece);
    case PLACE_ELEMENT:
        return element_read(r, list, piece);
    case PLACE_LINK_OF_ROOT:
        return link_read(&r->root, piece);
    case PLACE_LINK_OF_ELEMENT:
        return link_read(&r->element, piece);
    case PLACE_LINK_OF_PAGING:
        return link_of_paging(r, piece);
    case PLACE_OTHER:
    case PLACE_ENTITIES:
    case PLACE_FOREIGN:
    case PLACE_LIST:
    case PLACE_PAGING:
    case PLACE_LINKS_OF_ROOT:
    case PLACE_LINKS_OF_ELEMENT:
    case PLACE_LINKS_OF_PAGING:
        break;
    }
    return 0;
}

struct api_doc api_json_reading_doc(struct api_json_reading *r)
{
    struct api_doc doc = r->doc;
    doc.error_message = buf_str(&r->error_message);
    doc.session_id = buf_str(&r->session_id);
    return doc;
}
