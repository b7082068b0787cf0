/* XML against JSON: random tasks, references, entities, logons and errors are
 * written in both by the writers here, in every style of JSON, and must be read
 * as the same values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

struct api_format;
static const struct api_format *format;
#define FORMAT (*format)
#include <ctype.h>

#include "api_dump.h"

#define TEXT_MAX 256

static unsigned seed;

static unsigned dice(unsigned n)
{
    return (unsigned)rand_r(&seed) % n;
}

/* ---- random values ---- */

static void random_text(char ret[TEXT_MAX])
{
    static const char *const parts[] = {"a",
                                        "Z",
                                        "7",
                                        "&",
                                        "<",
                                        ">",
                                        "\"",
                                        "'",
                                        "\\",
                                        "/",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        ",",
                                        ":",
                                        "#",
                                        "%",
                                        "\xc3\xa9",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f\x98\x80",
                                        "\t",
                                        "_",
                                        "\n",
                                        "-",
                                        "&#38;",
                                        "\\u0041",
                                        "&amp;"};
    ret[0] = 'x'; /* at the ends no blanks, which XML may pass over */
    ret[1] = '\0';
    for (unsigned n = dice(20); n; n--)
        strcat(ret, dice(6) ? parts[dice(ARRAY_SIZE(parts))] : " ");
    strcat(ret, "x");
    if (dice(8) == 0)
        ret[0] = '\0';
}

static void random_guid(char ret[TEXT_MAX])
{
    snprintf(ret, TEXT_MAX, "%08x-%04x-%04X-%04x-%06x%06x", dice(UINT32_MAX), dice(65536), dice(65536),
             dice(65536), dice(1 << 24), dice(1 << 24));
}

struct link {
    char rel[TEXT_MAX], href[2 * TEXT_MAX], name[TEXT_MAX], type[TEXT_MAX];
    bool has_name, has_type;
};

static void random_link(struct link *ret)
{
    static const char *const rels[] = {"Up", "Related", "Clone", "Delete", "Down", "Next"};
    static const char *const folders[] = {"jobs", "backupServers", "tasks", "repositories"};
    static const char *const types[] = {"Job",     "JobReference",     "BackupServerReference",
                                        "JobList", "BackupJobSession", "Repository"};
    char guid[TEXT_MAX];
    random_guid(guid);
    strcpy(ret->rel, rels[dice(ARRAY_SIZE(rels))]);
    strcpy(ret->type, types[dice(ARRAY_SIZE(types))]);
    snprintf(ret->href, sizeof(ret->href), "https://em:9398/api/%s/%s%s", folders[dice(ARRAY_SIZE(folders))],
             guid,
             dice(2)   ? "?format=Entity&a=b"
             : dice(2) ? "/includes"
                       : "");
    random_text(ret->name);
    ret->has_name = dice(3) > 0;
    ret->has_type = dice(3) > 0;
}

/* ---- the two writers ---- */

enum wrap { WRAP_BARE, WRAP_SINGULAR, WRAP_SAME, WRAP_COUNT };

/* What one document is written with; json NULL: in XML. */
struct writer {
    struct buf xml, json;
    bool v13, texts, nulls;
    enum wrap wrap;
    bool comma;
};

static void xml_text(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("&<>\"'\t\n", *text))
            buf_printf(out, "&#%d;", *text);
        else
            buf_add_char(out, *text);
    }
}

static void json_string(struct buf *out, const char *text)
{
    buf_add_char(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_printf(out, "\\%c", *text);
        else if ((unsigned char)*text < ' ' || (*text > ' ' && *text < 127 && dice(10) == 0))
            buf_printf(out, "\\u%04x", *text);
        else
            buf_add_char(out, *text);
    }
    buf_add_char(out, '"');
}

static void json_blank(struct writer *w)
{
    static const char *const blanks[] = {"", "", "", " ", "\n  ", "\t", "\r\n"};
    buf_add_str(&w->json, blanks[dice(ARRAY_SIZE(blanks))]);
}

static void json_key(struct writer *w, const char *name)
{
    char key[TEXT_MAX];
    strcpy(key, name);
    if (w->v13)
        for (size_t i = 0; key[i] && (i == 0 || strcmp(name, "UID") == 0); i++)
            key[i] = (char)tolower(key[i]);
    if (w->comma)
        buf_add_char(&w->json, ',');
    json_blank(w);
    json_string(&w->json, key);
    json_blank(w);
    buf_add_char(&w->json, ':');
    json_blank(w);
    w->comma = true;
}

static void json_open(struct writer *w, char bracket)
{
    buf_add_char(&w->json, bracket);
    json_blank(w);
    w->comma = false;
}

static void json_close(struct writer *w, char bracket)
{
    json_blank(w);
    buf_add_char(&w->json, bracket);
    w->comma = true;
}

/* A property of JSON that XML has as attribute or child, written there by the caller. */
static void json_member(struct writer *w, const char *name, const char *text)
{
    if (!text && !w->nulls)
        return;
    json_key(w, name);
    if (text)
        json_string(&w->json, text);
    else
        buf_add_str(&w->json, "null");
}

static void json_number(struct writer *w, const char *name, unsigned value)
{
    json_key(w, name);
    buf_printf(&w->json, w->texts ? "\"%u\"" : "%u", value);
}

static void attribute(struct writer *w, const char *name, const char *text)
{
    if (!text)
        return;
    buf_printf(&w->xml, " %s=\"", name);
    xml_text(&w->xml, text);
    buf_add_str(&w->xml, "\"");
}

static void child(struct writer *w, const char *name, const char *text)
{
    json_member(w, name, text);
    if (!text)
        return;
    buf_printf(&w->xml, "<%s>", name);
    xml_text(&w->xml, text);
    buf_printf(&w->xml, "</%s>", name);
}

static void list_open(struct writer *w, const char *plural, const char *singular)
{
    json_key(w, plural);
    if (w->wrap != WRAP_BARE) {
        json_open(w, '{');
        json_key(w, w->wrap == WRAP_SAME ? plural : singular);
    }
    json_open(w, '[');
}

static void list_close(struct writer *w)
{
    json_close(w, ']');
    if (w->wrap != WRAP_BARE)
        json_close(w, '}');
}

static void element_open(struct writer *w)
{
    if (w->comma)
        buf_add_char(&w->json, ',');
    json_blank(w);
    json_open(w, '{');
}

static void links(struct writer *w)
{
    buf_add_str(&w->xml, "<Links>");
    list_open(w, "Links", "Link");
    for (unsigned n = dice(4); n; n--) {
        struct link link;
        random_link(&link);
        const char *name = link.has_name ? link.name : NULL, *type = link.has_type ? link.type : NULL;
        buf_add_str(&w->xml, "<Link");
        attribute(w, "Rel", link.rel);
        attribute(w, "Href", link.href);
        attribute(w, "Name", name);
        attribute(w, "Type", type);
        buf_add_str(&w->xml, "/>");
        element_open(w);
        json_member(w, "Type", type);
        json_member(w, "Name", name);
        json_member(w, "Href", link.href);
        json_member(w, "Rel", link.rel);
        json_close(w, '}');
    }
    list_close(w);
    buf_add_str(&w->xml, "</Links>");
}

/* ---- things ---- */

static void result(struct writer *w)
{
    char message[TEXT_MAX];
    bool good = dice(2);
    random_text(message);
    buf_printf(&w->xml, "<Result Success=\"%s\">", good ? "true" : "false");
    json_key(w, "Result");
    json_open(w, '{');
    child(w, "Message", dice(3) ? message : NULL);
    json_key(w, "Success");
    buf_printf(&w->json, w->texts ? "\"%s\"" : "%s", good ? "true" : "false");
    json_close(w, '}');
    buf_add_str(&w->xml, "</Result>");
}

/* What stands between the start tag's name and its end, and between the braces. */
static void task(struct writer *w, const char *head)
{
    static const char *const states[] = {"Running", "OperationFinished", "Finished", "Suspended"};
    char id[TEXT_MAX], operation[TEXT_MAX];
    snprintf(id, sizeof(id), "task-%u", dice(1000));
    random_text(operation);
    buf_printf(&w->xml, "<Task%s>", head);
    links(w);
    child(w, "TaskId", id);
    child(w, "State", states[dice(ARRAY_SIZE(states))]);
    child(w, "Operation", dice(4) ? operation : NULL);
    if (dice(3))
        result(w);
    buf_add_str(&w->xml, "</Task>");
}

static void entity(struct writer *w, const char *head, const char *element, const char *type)
{
    char guid[TEXT_MAX], uid[TEXT_MAX + 32], href[TEXT_MAX + 64], name[TEXT_MAX], about[TEXT_MAX];
    random_guid(guid);
    random_text(name);
    random_text(about);
    snprintf(uid, sizeof(uid), "urn:veeam:Job:%s", guid);
    snprintf(href, sizeof(href), "https://em/api/jobs/%s", guid);
    const char *given_uid = dice(4) ? uid : NULL, *given_name = dice(8) ? name : NULL;
    buf_printf(&w->xml, "<%s%s", element, head);
    attribute(w, "Type", type);
    attribute(w, "UID", given_uid);
    attribute(w, "Href", href);
    attribute(w, "Name", given_name);
    buf_add_str(&w->xml, ">");
    json_member(w, "UID", given_uid);
    json_member(w, "Name", given_name);
    json_member(w, "Href", href);
    links(w);
    child(w, "JobType", dice(4) ? "Backup" : NULL);
    child(w, "Description", dice(4) ? about : NULL);
    json_member(w, "Type", type);
    buf_printf(&w->xml, "</%s>", element);
}

#define NS " xmlns=\"http://www.veeam.com/ent/v1.0\""

static void paging(struct writer *w)
{
    unsigned page = dice(100), size = dice(1000), pages = dice(100);
    buf_printf(&w->xml, "<PagingInfo PageNum=\"%u\" PageSize=\"%u\" PagesCount=\"%u\">", page, size, pages);
    json_key(w, "PagingInfo");
    json_open(w, '{');
    json_number(w, "PageNum", page);
    links(w);
    json_number(w, "PageSize", size);
    json_number(w, "PagesCount", pages);
    json_close(w, '}');
    buf_add_str(&w->xml, "</PagingInfo>");
}

/* ---- documents ---- */

static void tasks_document(struct writer *w)
{
    buf_add_str(&w->xml, "<Tasks" NS ">");
    list_open(w, "Tasks", "Task");
    for (unsigned n = dice(6); n; n--) {
        element_open(w);
        task(w, "");
        json_close(w, '}');
    }
    list_close(w);
    buf_add_str(&w->xml, "</Tasks>");
}

static void task_document(struct writer *w)
{
    task(w, NS);
}

static void entity_document(struct writer *w)
{
    entity(w, NS, "Job", "Job");
}

static void refs_document(struct writer *w)
{
    buf_add_str(&w->xml, "<EntityReferences" NS ">");
    list_open(w, "Refs", "Ref");
    for (unsigned n = dice(6); n; n--) {
        element_open(w);
        entity(w, "", "Ref", dice(2) ? "JobReference" : NULL);
        json_close(w, '}');
    }
    list_close(w);
    buf_add_str(&w->xml, "</EntityReferences>");
}

static void query_document(struct writer *w)
{
    buf_add_str(&w->xml, "<QueryResult" NS "><Entities><Jobs>");
    json_member(w, "Refs", NULL);
    json_key(w, "Entities");
    json_open(w, '{');
    json_member(w, "Repositories", NULL);
    list_open(w, "Jobs", "Job");
    for (unsigned n = dice(6); n; n--) {
        element_open(w);
        entity(w, "", "Job", dice(2) ? "Job" : NULL);
        json_close(w, '}');
    }
    list_close(w);
    json_close(w, '}');
    buf_add_str(&w->xml, "</Jobs></Entities>");
    if (dice(2))
        paging(w);
    buf_add_str(&w->xml, "</QueryResult>");
}

static void logon_document(struct writer *w)
{
    char guid[TEXT_MAX];
    random_guid(guid);
    buf_add_str(&w->xml, "<LogonSession" NS " Type=\"LogonSession\">");
    links(w);
    child(w, "SessionId", dice(8) ? guid : NULL);
    json_member(w, "Type", "LogonSession");
    buf_add_str(&w->xml, "</LogonSession>");
}

static void error_document(struct writer *w)
{
    char message[TEXT_MAX];
    unsigned status = 400 + dice(200);
    random_text(message);
    buf_printf(&w->xml, "<Error" NS " StatusCode=\"%u\"", status);
    attribute(w, "Message", message);
    buf_add_str(&w->xml, "/>");
    json_member(w, "Message", message);
    json_member(w, "Status", NULL);
    json_number(w, "StatusCode", status);
}

/* ---- the comparison ---- */

static void read_as(const struct api_format *as, const struct buf *text, struct buf *out)
{
    format = as;
    *out = BUF_INIT(1024 * 1024);
    int r = read_pieces((struct bytes){text->data, text->len}, 100, 1 + dice(1000), out);
    if (r < 0)
        fail_msg("%s: %d for %s", as->name, r, buf_str(text));
}

static void both_are_read_alike(void **state)
{
    static void (*const documents[])(struct writer *) = {tasks_document, task_document,  entity_document,
                                                         refs_document,  query_document, logon_document,
                                                         error_document};
    (void)state;
    for (int round = 0; round < 4000; round++) {
        seed = (unsigned)round + 1;
        struct writer w = {.xml = BUF_INIT(1024 * 1024),
                           .json = BUF_INIT(1024 * 1024),
                           .v13 = dice(2),
                           .texts = dice(2),
                           .nulls = dice(2),
                           .wrap = (enum wrap)dice(WRAP_COUNT)};
        struct buf xml, json;
        json_open(&w, '{');
        documents[(size_t)round % ARRAY_SIZE(documents)](&w);
        json_close(&w, '}');
        read_as(&api_xml, &w.xml, &xml);
        read_as(&api_json, &w.json, &json);
        if (strcmp(buf_str(&xml), buf_str(&json)) != 0)
            fail_msg("round %d\n%s\n%s\ngive\n%s\n%s", round, buf_str(&w.xml), buf_str(&w.json),
                     buf_str(&xml), buf_str(&json));
        struct buf *const all[] = {&w.xml, &w.json, &xml, &json};
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
            buf_done(all[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_are_read_alike)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
