/* Lists of 100,000 entries, in pieces as they come from the network: each entry is told as it was sent, and
 * reading takes no more memory than it does for 1,000. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "codec/api.h"
#include "meter.h"

#define FEW 1000
#define MANY 100000
#define PIECE 16384       /* of what curl gives at once, about */
#define GROWTH_MIB 0.0625 /* where memory is told in pages only */
#define LINKS "https://em01.lab.example:9398/api"

/* `head`, entries ("@": the number), `tail`. */
struct list {
    const char *name;
    const struct api_format *format;
    const char *head, *entry, *tail;
    enum api_doc_kind kind;
    bool tasks;
};

static const struct list lists[] = {
    {"xml: tasks", &api_xml, "<Tasks xmlns=\"http://www.veeam.com/ent/v1.0\">",
     "<Task Href=\"" LINKS "/tasks/task-@\" Type=\"Task\"><Links><Link Href=\"" LINKS
     "/tasks/task-@\" Rel=\"Delete\"/></Links><TaskId>task-@</TaskId><State>Finished</State>"
     "<Operation>CloneJob</Operation><Result Success=\"true\"><Message>Ok</Message></Result></Task>",
     "</Tasks>", API_DOC_TASKS, true},
    {"xml: references to jobs", &api_xml, "<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\"><Refs>",
     "<Ref UID=\"urn:veeam:Job:b87f7763-1335-4837-b049-823ffe@\" Name=\"job @\" Type=\"JobReference\"/>",
     "</Refs></QueryResult>", API_DOC_QUERY, false},
    {"xml: whole jobs", &api_xml, "<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\"><Entities><Jobs>",
     "<Job UID=\"urn:veeam:Job:b87f7763-1335-4837-b049-823ffe@\" Name=\"job @\" Type=\"Job\">"
     "<JobType>Backup</JobType><Description>the job @</Description></Job>",
     "</Jobs></Entities></QueryResult>", API_DOC_QUERY, false},
    {"json: tasks", &api_json, "{\"Tasks\":[{}",
     ",{\"TaskId\":\"task-@\",\"State\":\"Finished\",\"Operation\":\"CloneJob\",\"Result\":{\"Success\":true,"
     "\"Message\":\"Ok\"},\"Links\":[{\"Href\":\"" LINKS "/tasks/task-@\",\"Rel\":\"Delete\"}]}",
     "]}", API_DOC_TASKS, true},
    {"json: tasks in a child", &api_json, "{\"Tasks\":{\"Task\":[{}",
     ",{\"TaskId\":\"task-@\",\"State\":\"Finished\",\"Operation\":\"CloneJob\"}", "]}}", API_DOC_TASKS,
     true},
    {"json: references to jobs", &api_json, "{\"refs\":[{}",
     ",{\"uid\":\"urn:veeam:Job:b87f7763-1335-4837-b049-823ffe@\",\"name\":\"job @\","
     "\"type\":\"JobReference\"}",
     "]}", API_DOC_REFS, false},
    {"json: whole jobs", &api_json, "{\"Entities\":{\"Jobs\":{\"Jobs\":[{}",
     ",{\"UID\":\"urn:veeam:Job:b87f7763-1335-4837-b049-823ffe@\",\"Name\":\"job @\",\"Type\":\"Job\","
     "\"JobType\":\"Backup\",\"Description\":\"the job @\"}",
     "]}}}", API_DOC_QUERY, false},
};

/* The number that the next entry must have. */
static unsigned told;

static int on_task(const struct api_task *task, void *data)
{
    char id[32];
    (void)data;
    if (!*task->id) /* the empty one at the beginning */
        return 0;
    snprintf(id, sizeof(id), "task-%06u", told++);
    assert_string_equal(task->id, id);
    return 0;
}

static int on_entity(const struct api_entity *entity, void *data)
{
    char name[32];
    (void)data;
    if (!*entity->name)
        return 0;
    snprintf(name, sizeof(name), "job %06u", told++);
    assert_string_equal(entity->name, name);
    return 0;
}

static const struct api_handlers handlers = {.on_task = on_task, .on_entity = on_entity};

static void add_entry(struct buf *piece, const char *entry, unsigned number)
{
    for (const char *at; (at = strchr(entry, '@')); entry = at + 1)
        assert_int_equal(buf_printf(piece, "%.*s%06u", (int)(at - entry), entry, number), 0);
    assert_int_equal(buf_add_str(piece, entry), 0);
}

static void feed(const struct list *list, struct api_reader *reader, struct buf *piece)
{
    if (list->format->reader_feed(reader, piece->data, piece->len) < 0)
        fail_msg("%s: refused after %u", list->name, told);
    buf_reset(piece);
}

/* The most memory that reading so many entries took. */
static double read_list(const struct list *list, unsigned n)
{
    struct buf piece = BUF_INIT(PIECE * 2);
    struct meter meter;
    struct api_doc doc;
    told = 0;
    meter_start(&meter);
    struct api_reader *reader = list->format->reader_new(&handlers, NULL);
    assert_non_null(reader);
    buf_add_str(&piece, list->head);
    for (unsigned i = 0; i < n; i++) {
        add_entry(&piece, list->entry, i);
        if (piece.len >= PIECE)
            feed(list, reader, &piece);
    }
    buf_add_str(&piece, list->tail);
    feed(list, reader, &piece);
    assert_int_equal(list->format->reader_end(reader, &doc), 0);
    assert_int_equal(doc.kind, list->kind);
    assert_int_equal(told, n);
    double mib = meter_heap_mib(&meter);
    list->format->reader_free(reader);
    buf_done(&piece);
    return mib;
}

static void memory_does_not_grow_with_a_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        double few = read_list(&lists[i], FEW), many = read_list(&lists[i], MANY);
        print_message("%-26s %6.3f MiB for %d, %6.3f MiB for %d\n", lists[i].name, few, FEW, many, MANY);
        assert_true(many <= few + GROWTH_MIB);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_does_not_grow_with_a_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
