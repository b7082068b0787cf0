/* What the pieces of a reply mean: trees of jansson in, tasks, entities and the
 * document out. Knows nothing of the cutting. */
#pragma once

#include <jansson.h>

#include "codec/api.h"
#include "codec/api_json_cut.h"
#include "codec/api_text.h"

/* What the links of one object say; filled before the object itself ends. */
struct api_json_links {
    char server_id[API_GUID_LEN + 1], job_id[API_GUID_LEN + 1];
    struct buf server_name, job_name;
    bool has_job_name, can_clone, lists_jobs;
};

enum { TRIM_ID, TRIM_STATE, TRIM_OPERATION, TRIM_JOB_TYPE, TRIM_COUNT };

struct api_json_reading {
    const struct api_handlers *handlers; /* or NULL */
    void *data;
    struct api_doc doc;
    struct buf error_message, session_id;
    struct api_json_links root, element;
    struct buf trimmed[TRIM_COUNT]; /* texts whose blanks around do not count */
    bool next;                      /* the paging has a link to a next page */
    size_t tasks, entities;         /* elements told so far */
};

void api_json_reading_init(struct api_json_reading *r, const struct api_handlers *handlers, void *data);
void api_json_reading_done(struct api_json_reading *r);

/* One piece, in the order in which they end. 0; -EBADMSG when a field is of a
 * kind that it cannot be; -ENOMEM; or what a handler returned. */
int api_json_reading_piece(struct api_json_reading *r, enum api_json_place place, enum api_json_key list,
                           const json_t *piece);

/* The document, after its root; strings live as long as `r`. */
struct api_doc api_json_reading_doc(struct api_json_reading *r);
