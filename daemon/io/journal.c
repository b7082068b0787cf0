#include "io/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define FIELD_MAX ((size_t)80 * 1024)

static const char *const message_ids[LOG_KIND_COUNT] = {
    [LOG_KIND_READY] = "17fc3c7587ae47a784e1d1d1905dd176",
    [LOG_KIND_RELOADED] = "0ddcd0b7bda44bdfaf47604f6d58f259",
    [LOG_KIND_RELOAD_REFUSED] = "e2bee07927944101a3a92aaf18b34694",
    [LOG_KIND_STOPPING] = "5af8c866e5b847a1b64d9d6c586c41e4",
    [LOG_KIND_RUN_ACCEPTED] = "7ad087c6ad3a475e854bccb85027023b",
    [LOG_KIND_RUN_STARTED] = "6ba093666bcb48bf9d78a58f37bcc974",
    [LOG_KIND_RUN_CHANGED] = "d9221f3e57e34370afc2d9ca1f6905b4",
    [LOG_KIND_RUN_ENDED] = "b55aa6ea82624024812ccd47e9da233a",
    [LOG_KIND_ITEM] = "c25e31962f6a415cbc0b591dc6fb6818",
    [LOG_KIND_PLAN_REJECTED] = "5d88d76cc7464114ac58dfa0cf7b86ed",
    [LOG_KIND_SCHEDULE] = "8011b04887234ae1bf8ead95f5e5933d",
    [LOG_KIND_SERVER_TROUBLE] = "d5ec8549645e40c986b490598c3b98aa",
    [LOG_KIND_SERVER_FINE] = "1e1d03b1c494477e9d40423ff75a7d18",
    [LOG_KIND_STATE_TROUBLE] = "8648cd5236e24baf9fa9385bc719d307",
};

const char *journal_message_id(enum log_kind kind)
{
    return message_ids[kind];
}

/* ---- making an entry ---- */

static int add(struct journal_entry *entry, const char *name, const char *value)
{
    if (!value)
        return 0;
    struct buf *field = &entry->fields[entry->n++];
    *field = BUF_INIT(FIELD_MAX);
    int r = buf_printf(field, "%s=", name);
    if (r == 0)
        text_escape(field, value); /* names and task ids may come from outside */
    return r;
}

static int add_number(struct journal_entry *entry, const char *name, const uint32_t *value)
{
    char text[16];
    if (value)
        snprintf(text, sizeof(text), "%" PRIu32, *value);
    return add(entry, name, value ? text : NULL);
}

static const char *priority(enum log_level level)
{
    static const char *const words[] = {"3", "4", "6", "7"}; /* syslog(3) */
    return words[level];
}

int journal_entry_make(enum log_level level, const char *line, const struct log_fields *fields,
                       struct journal_entry *ret)
{
    *ret = (struct journal_entry){0};
    const struct {
        const char *name, *value;
    } texts[] = {
        {"MESSAGE", line},
        {"PRIORITY", priority(level)},
        {"MESSAGE_ID", journal_message_id(fields->kind)},
        {"RUN", fields->run},
        {"PLAN", fields->plan},
        {"SERVER", fields->server},
        {"TASK", fields->task},
        {"FROM", fields->from},
        {"TO", fields->to},
        {"FAULT", fields->fault},
    };
    int r = add_number(ret, "ITEM", fields->item);
    for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
        r = add(ret, texts[i].name, texts[i].value);
    return r;
}

void journal_entry_done(struct journal_entry *entry)
{
    for (size_t i = 0; i < entry->n; i++)
        buf_done(&entry->fields[i]);
    entry->n = 0;
}

/* ---- the sink ---- */

bool journal_connected(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device, inode;
    struct stat st;
    if (!stream || sscanf(stream, "%ju:%ju", &device, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0)
        return false;
    return st.st_dev == device && st.st_ino == inode;
}

static int send_entry(const struct journal_entry *entry)
{
    struct iovec fields[JOURNAL_FIELDS_MAX];
    for (size_t i = 0; i < entry->n; i++)
        fields[i] = (struct iovec){entry->fields[i].data, entry->fields[i].len};
    return sd_journal_sendv(fields, (int)entry->n);
}

static void on_line(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    static const char *const words[] = {"error: ", "warning: ", "", "debug: "};
    const bool *connected = data;
    struct journal_entry entry;
    int r = *connected ? journal_entry_make(level, line, fields, &entry) : -ENOTCONN;
    if (r == 0)
        r = send_entry(&entry);
    if (*connected)
        journal_entry_done(&entry);
    if (r < 0)
        fprintf(stderr, "%s%s\n", words[level], line);
}

void journal_start(void)
{
    static bool connected;
    connected = journal_connected();
    log_set_sink(on_line, &connected);
}
