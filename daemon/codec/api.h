/* The wire of Enterprise Manager behind one table of functions, so that XML and
 * JSON are exchangeable. Pure: bytes to values and back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "model/kind.h"
#include "model/settings.h"

/* Body of a clone request (wire reference 3.1). Fields that the kind lacks are ignored. */
struct api_clone {
    enum job_kind kind;
    const char *name;
    const char *folder;         /* Backup */
    const char *file;           /* BackupCopy, ImmediateBackupCopy */
    const char *vm_suffix;      /* Replica */
    const char *repository_uid; /* urn:veeam:Repository:GUID; all but Replica */
    const char *description;    /* with the mark */
    bool table_order;           /* ImmediateBackupCopy in XML: the order of the table, not of the example */
};

/* What the document was, by its root element. */
enum api_doc_kind {
    API_DOC_EMPTY,  /* no bytes, or blanks alone */
    API_DOC_ERROR,  /* Error (3.5) */
    API_DOC_LOGON,  /* LogonSession (2.1) */
    API_DOC_TASK,   /* Task (4.1) */
    API_DOC_TASKS,  /* Tasks (4.2) */
    API_DOC_QUERY,  /* QueryResult (5.3) */
    API_DOC_REFS,   /* EntityReferences (5.4) */
    API_DOC_LIST,   /* Jobs, Repositories, BackupServers, LogonSessions ... */
    API_DOC_ENTITY, /* Job, Repository, BackupServer alone */
    API_DOC_OTHER,  /* well-formed, but none of these */
};

enum api_task_state { API_TASK_RUNNING, API_TASK_OPERATION_FINISHED, API_TASK_FINISHED, API_TASK_OTHER };

/* A task; strings are valid during the callback only, "" or NULL as noted. */
struct api_task {
    const char *id;            /* "task-41" */
    enum api_task_state state; /* unknown values are API_TASK_OTHER: not finished */
    const char *operation;     /* "CloneJob"; "" when absent */
    bool has_result;           /* a Result that says Success true or false; without, nothing is known */
    bool success;
    const char *message;  /* "" when absent */
    const char *job_id;   /* GUID in lower case of the Related link of type Job, or NULL */
    const char *job_name; /* that link's Name; may differ from the job's name (8.1); or NULL */
};

enum api_entity_kind { API_ENTITY_OTHER, API_ENTITY_JOB, API_ENTITY_REPOSITORY, API_ENTITY_BACKUP_SERVER };

/* A job, repository or backup server, as reference or whole; strings valid
 * during the callback only. Id: GUID in lower case, from UID or else Href. */
struct api_entity {
    enum api_entity_kind kind;
    bool whole;      /* an entity, not a reference: the fields below the line count */
    const char *id;  /* "" when neither UID nor Href gave one */
    const char *uid; /* as sent; "" when absent */
    const char *name;
    const char *server_id;   /* of the Up link of type BackupServerReference; "" when absent */
    const char *server_name; /* its Name; "" when absent */
    /* ---- */
    const char *job_type;    /* text as sent; "" when absent */
    const char *description; /* "" when absent */
    bool can_clone;          /* a link with Rel="Clone" is there */
};

struct api_handlers {
    /* Called for each task and entity as soon as it is complete; a negative
     * return stops the reading and comes out of api_reader_feed. May be NULL. */
    int (*on_task)(const struct api_task *task, void *data);
    int (*on_entity)(const struct api_entity *entity, void *data);
};

struct api_paging {
    bool given;
    unsigned page, page_size, pages;
    bool has_next;
};

/* What is known of the document at its end; strings are owned by the reader. */
struct api_doc {
    enum api_doc_kind kind;
    const char *error_message; /* API_DOC_ERROR: Message, "" when absent */
    int error_status;          /* API_DOC_ERROR: StatusCode, 0 when absent */
    const char *session_id;    /* API_DOC_LOGON: SessionId, "" when absent */
    bool lists_jobs;           /* API_DOC_LOGON: a link of type JobList or JobReferenceList is there (2.1) */
    struct api_paging paging;
};

/* A format's push reader for every reply: fed as bytes arrive, so that memory
 * does not grow with a list. */
struct api_reader;

struct api_format {
    const char *name;       /* "xml" */
    const char *media_type; /* for Content-Type and Accept */

    /* Appends the body. 0, -EINVAL when a text cannot be carried, -ENOBUFS, -ENOMEM. */
    int (*encode_clone)(const struct api_clone *clone, struct buf *body);

    /* NULL when out of memory. `handlers` is borrowed for the reader's life. */
    struct api_reader *(*reader_new)(const struct api_handlers *handlers, void *data);

    /* Makes it ready for another reply, as if new, with the same handlers and other data for them. 0 or
     * -ENOMEM. */
    int (*reader_again)(struct api_reader *reader, void *data);

    /* 0; -EBADMSG when it is not this format, malformed, or beyond the limits
     * (depth 64, a text or attribute of 64 KiB; XML: DTD or entity declarations; JSON: see
     * codec/api_json_cut.h, and a key twice in one object); -ENOMEM; or what a handler returned.
     * After an error every further call returns the same. */
    int (*reader_feed)(struct api_reader *reader, const char *data, size_t len);

    /* Ends the document: 0 and *ret, -EBADMSG when it is cut off, or the earlier error. */
    int (*reader_end)(struct api_reader *reader, struct api_doc *ret);

    struct api_reader *(*reader_free)(struct api_reader *reader); /* takes NULL; returns NULL */
};

extern const struct api_format api_xml;  /* codec/api_xml.c */
extern const struct api_format api_json; /* codec/api_json.c */

/* The format of a server's setting. */
const struct api_format *api_format_of(enum settings_format format);

/* Appends `text` percent-encoded for a query value (all but unreserved characters). */
int api_encode_query(const char *text, struct buf *ret);
