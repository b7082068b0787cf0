/* The log of the daemon: structured entries in systemd's journal when standard
 * error leads there, else readable lines on standard error. */
#pragma once

#include <stdbool.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/log.h"

#define JOURNAL_FIELDS_MAX 12

/* An entry as the journal takes it: one NAME=value each. */
struct journal_entry {
    struct buf fields[JOURNAL_FIELDS_MAX];
    size_t n;
};

/* Makes the entry of a message: MESSAGE, PRIORITY, MESSAGE_ID by its kind, and RUN, ITEM, PLAN, SERVER,
 * TASK, FROM, TO, FAULT where they apply. 0 or -ENOMEM; `ret` needs journal_entry_done in both cases. */
int journal_entry_make(enum log_level level, const char *line, const struct log_fields *fields,
                       struct journal_entry *ret);

void journal_entry_done(struct journal_entry *entry);

/* The identifier of a kind of message, 32 hex digits; NULL for LOG_KIND_NONE. */
const char *journal_message_id(enum log_kind kind);

/* Does standard error lead to the journal ($JOURNAL_STREAM)? */
bool journal_connected(void);

/* Makes this the log's sink. */
void journal_start(void);
