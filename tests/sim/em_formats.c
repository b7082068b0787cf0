/* The same bodies in JSON: made of those in XML, as a server would (wire reference
 * 1.5), in a style that follows from the seed. And in which form a clone body is. */
#include <ctype.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* Lists and what they hold; the wrapping is the style's. */
static const char *const lists[][2] = {{"Refs", "Ref"},
                                       {"Jobs", "Job"},
                                       {"Tasks", "Task"},
                                       {"Links", "Link"},
                                       {"LogonSessions", "LogonSession"}};

struct writer {
    struct buf *out;
    unsigned style; /* bits: lower camel; numbers and truth values as text; then how lists are wrapped */
};

static void write_string(struct writer *w, const char *text)
{
    buf_add_char(w->out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_add_char(w->out, '\\');
        buf_add_char(w->out, *text);
    }
    buf_add_char(w->out, '"');
}

static void write_key(struct writer *w, const char *name)
{
    char key[64];
    size_t len = (size_t)snprintf(key, sizeof(key), "%s", name);
    for (size_t i = 0; (w->style & 1) && i < len && (i == 0 || strcmp(name, "UID") == 0); i++)
        key[i] = (char)tolower((unsigned char)key[i]);
    if (w->out->data[w->out->len - 1] != '{')
        buf_add_char(w->out, ',');
    write_string(w, key);
    buf_add_char(w->out, ':');
}

static void write_scalar(struct writer *w, const char *text)
{
    bool bare = strcmp(text, "true") == 0 || strcmp(text, "false") == 0 ||
                (*text && strspn(text, "0123456789") == strlen(text));
    if (bare && !(w->style & 2))
        buf_add_str(w->out, text);
    else
        write_string(w, text);
}

static const char *singular_of(const char *name)
{
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        if (strcmp(lists[i][0], name) == 0)
            return lists[i][1];
    return NULL;
}

static void write_node(struct writer *w, xmlNodePtr node);

static void write_list(struct writer *w, const char *name, xmlNodePtr first)
{
    const char *wrapper = w->style / 4 == 1 ? singular_of(name) : w->style / 4 == 2 ? name : NULL;
    write_key(w, name);
    if (wrapper) {
        buf_add_char(w->out, '{');
        write_key(w, wrapper);
    }
    buf_add_char(w->out, '[');
    for (xmlNodePtr node = first; node; node = xmlNextElementSibling(node)) {
        if (node != first)
            buf_add_char(w->out, ',');
        write_node(w, node);
    }
    buf_add_str(w->out, wrapper ? "]}" : "]");
}

static void write_members(struct writer *w, xmlNodePtr node)
{
    for (xmlAttrPtr a = node->properties; a; a = a->next) {
        xmlChar *value = xmlNodeListGetString(node->doc, a->children, 1);
        write_key(w, (const char *)a->name);
        write_scalar(w, value ? (const char *)value : "");
        xmlFree(value);
    }
    for (xmlNodePtr child = xmlFirstElementChild(node); child; child = xmlNextElementSibling(child)) {
        if (singular_of((const char *)child->name)) {
            write_list(w, (const char *)child->name, xmlFirstElementChild(child));
        } else {
            write_key(w, (const char *)child->name);
            write_node(w, child);
        }
    }
}

static void write_node(struct writer *w, xmlNodePtr node)
{
    if (node->properties || xmlFirstElementChild(node)) {
        buf_add_char(w->out, '{');
        write_members(w, node);
        buf_add_char(w->out, '}');
        return;
    }
    xmlChar *text = xmlNodeGetContent(node);
    write_scalar(w, (const char *)text);
    xmlFree(text);
}

void json_of_xml(struct buf *body, uint64_t seed)
{
    struct buf out = BUF_INIT(body->max);
    struct writer w = {&out, (unsigned)(seed % 12)};
    if (!body->len || body->data[0] != '<')
        return;
    xmlDocPtr doc = xmlReadMemory(body->data, (int)body->len, NULL, NULL, XML_PARSE_NONET);
    if (!doc)
        abort();
    xmlNodePtr root = xmlDocGetRootElement(doc);
    buf_add_char(&out, '{');
    if (singular_of((const char *)root->name))
        write_list(&w, (const char *)root->name, xmlFirstElementChild(root));
    else
        write_members(&w, root);
    buf_add_char(&out, '}');
    xmlFreeDoc(doc);
    buf_done(body);
    *body = out;
}

void json_text(const char *body, const char *name, char *ret, size_t size)
{
    char key[64];
    snprintf(key, sizeof(key), "\"%s\":\"", name);
    const char *p = strstr(body, key);
    size_t n = 0;
    for (p = p ? p + strlen(key) : ""; *p && *p != '"' && n + 1 < size; p++) {
        if (*p == '\\')
            p++; /* the names here have no other escapes than of quotes and backslashes */
        ret[n++] = *p;
    }
    ret[n] = '\0';
}

bool form_is_taken(const struct em *em, bool json, const char *body)
{
    const char *file = strstr(body, "<JobFileName>"), *repository = strstr(body, "<RepositoryUid>");
    if (json || !strstr(body, "ImmediateBackupCopy"))
        return true;
    return em->form == (file < repository ? CLONE_FORM_TABLE : CLONE_FORM_EXAMPLE);
}
