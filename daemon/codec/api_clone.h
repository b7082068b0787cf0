/* What a clone body holds, whatever the format: the kind's element and its
 * fields in sending order (wire reference 3.1). */
#pragma once

struct api_clone;

#define API_CLONE_FIELDS 4

struct api_clone_field {
    const char *name; /* "JobName"; NULL: no further field */
    const char *text; /* NULL: left out */
};

/* "BackupJobCloneInfo" and the like with the fields that the kind has, or NULL
 * when the kind is none. The order is that of the documented examples, for an
 * immediate copy with `table_order` that of the table. Texts are those of `clone`. */
const char *api_clone_fields(const struct api_clone *clone, struct api_clone_field ret[API_CLONE_FIELDS]);
