/* What the elements of a reply mean: tags and texts in, tasks, entities and the
 * document out. Knows nothing of the parser. */
#pragma once

#include "codec/api.h"
#include "codec/api_text.h"
#include "codec/api_xml_name.h"

#define API_XML_DEPTH_MAX 64
#define API_XML_TEXT_MAX ((size_t)64 * 1024)

/* Texts of the task or entity that is open; reused from one to the next. */
enum api_xml_field {
    FIELD_TASK_ID,
    FIELD_STATE,
    FIELD_OPERATION,
    FIELD_MESSAGE,
    FIELD_JOB_NAME,
    FIELD_UID,
    FIELD_NAME,
    FIELD_SERVER_NAME,
    FIELD_JOB_TYPE,
    FIELD_DESCRIPTION,
    FIELD_HREF, /* of the tag at hand */
    FIELD_COUNT
};

struct api_xml_reading {
    const struct api_handlers *handlers; /* or NULL */
    void *data;
    int error; /* the first; nothing is read after it */
    struct api_doc doc;
    struct buf error_message, session_id;

    unsigned depth;
    enum api_xml_name path[API_XML_DEPTH_MAX + 1]; /* [1]: the root */
    size_t text_len;                               /* bytes of text since the last tag */
    struct buf *capture;                           /* where text goes, or NULL */
    unsigned capture_depth;

    unsigned object; /* depth of the open task or entity, 0: none is */
    enum api_entity_kind kind;
    struct buf field[FIELD_COUNT];
    char entity_id[API_GUID_LEN + 1], server_id[API_GUID_LEN + 1], job_id[API_GUID_LEN + 1];
    bool has_result, success, can_clone, has_job_name;
};

void api_xml_reading_init(struct api_xml_reading *r, const struct api_handlers *handlers, void *data);
/* Ready for the next document, with the memory of the last. */
void api_xml_reading_again(struct api_xml_reading *r, void *data);
void api_xml_reading_done(struct api_xml_reading *r);

/* An error found by the caller, or 0; returns the first of all. */
int api_xml_reading_fail(struct api_xml_reading *r, int error);

/* What the parser meets, in order. Errors are kept in `error`. */
void api_xml_reading_start(struct api_xml_reading *r, const char *local, enum api_xml_name name,
                           const struct api_xml_attrs *attrs);
void api_xml_reading_text(struct api_xml_reading *r, const char *text, size_t len);
void api_xml_reading_end(struct api_xml_reading *r);

/* The document, after its end; strings live as long as `r`. */
struct api_doc api_xml_reading_doc(struct api_xml_reading *r);
