#include "out.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OUT_MAX (256U * 1024 * 1024)

void out_init(struct out *out, enum out_format format, enum out_wrap wrap)
{
    *out = (struct out){.buf = BUF_INIT(OUT_MAX), .format = format, .wrap = wrap};
}

void out_done(struct out *out)
{
    buf_done(&out->buf);
}

static void put(struct out *out, const char *text)
{
    int r = out->error ? 0 : buf_add_str(&out->buf, text);
    if (r < 0)
        out->error = r;
}

static void put_char(struct out *out, char c)
{
    int r = out->error ? 0 : buf_add_char(&out->buf, c);
    if (r < 0)
        out->error = r;
}

static void put_code(struct out *out, const char *head, unsigned code, const char *tail)
{
    char text[16];
    snprintf(text, sizeof(text), "%s%04x%s", head, code, tail);
    put(out, text);
}

static void put_xml(struct out *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '&')
            put(out, "&amp;");
        else if (*p == '<')
            put(out, "&lt;");
        else if (*p == '>')
            put(out, "&gt;");
        else if (*p == '"')
            put(out, "&quot;");
        else if (*p == '\'')
            put(out, "&#39;");
        else if ((unsigned char)*p < 0x20)
            put_code(out, "&#x", (unsigned char)*p, ";");
        else
            put_char(out, *p);
    }
}

static void put_json(struct out *out, const char *text)
{
    put_char(out, '"');
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\') {
            put_char(out, '\\');
            put_char(out, *p);
        } else if ((unsigned char)*p < 0x20) {
            put_code(out, "\\u", (unsigned char)*p, "");
        } else {
            put_char(out, *p);
        }
    }
    put_char(out, '"');
}

/* v13 writes lower camel: Href is href, UID is uid. */
static void put_key(struct out *out, const char *name)
{
    char key[64];
    snprintf(key, sizeof(key), "%s", name);
    if (out->format == OUT_JSON_V13) {
        bool all = strcmp(name, "UID") == 0;
        for (size_t i = 0; key[i] && (i == 0 || all); i++)
            key[i] = (char)tolower((unsigned char)key[i]);
    }
    put_json(out, key);
    put_char(out, ':');
}

static struct out_frame *top(struct out *out)
{
    return &out->frames[out->depth - 1];
}

static void end_tag(struct out *out)
{
    if (out->tag)
        put_char(out, '>');
    out->tag = false;
}

/* Writes what stands before a value: comma and key. */
static void before(struct out *out, const char *name)
{
    if (!out->depth)
        return;
    if (top(out)->any)
        put_char(out, ',');
    top(out)->any = true;
    if (!top(out)->list)
        put_key(out, name);
}

static void push(struct out *out, struct out_frame frame)
{
    if (out->depth < OUT_DEPTH_MAX)
        out->frames[out->depth++] = frame;
    else
        out->error = -1;
}

static void open_xml(struct out *out, const char *name)
{
    end_tag(out);
    if (out->depth)
        top(out)->any = true;
    put_char(out, '<');
    put(out, name);
    out->tag = true;
}

void out_root(struct out *out, const char *name)
{
    if (out->format == OUT_XML)
        put(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>");
    out_open(out, name);
    if (out->format == OUT_XML)
        put(out, " xmlns=\"http://www.veeam.com/ent/v1.0\""
                 " xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\""
                 " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"");
}

void out_open(struct out *out, const char *name)
{
    if (out->format == OUT_XML) {
        open_xml(out, name);
    } else {
        before(out, name);
        put_char(out, '{');
    }
    push(out, (struct out_frame){.xml = name});
}

/* "Job" of "Jobs", "Repository" of "Repositories". */
static void singular(const char *plural, char ret[64])
{
    size_t len = strlen(plural);
    bool ies = len > 3 && strcmp(plural + len - 3, "ies") == 0;
    snprintf(ret, 64, "%.*s%s", (int)(ies ? len - 3 : len - 1), plural, ies ? "y" : "");
}

static void list(struct out *out, const char *xml, const char *json, bool wrapped)
{
    char child[64];
    singular(json, child);
    if (out->wrap != OUT_WRAP_USUAL && strcmp(json, "Links") != 0)
        wrapped = out->wrap != OUT_WRAP_BARE;
    if (out->format == OUT_XML) {
        if (xml)
            open_xml(out, xml);
    } else {
        before(out, json);
        if (wrapped) {
            put_char(out, '{');
            put_key(out, out->wrap == OUT_WRAP_CHILD ? child : json);
        }
        put_char(out, '[');
    }
    push(out, (struct out_frame){.xml = xml, .list = true, .wrapped = wrapped});
}

void out_list(struct out *out, const char *xml, const char *json)
{
    list(out, xml, json, false);
}

void out_list_wrapped(struct out *out, const char *xml, const char *json)
{
    list(out, xml, json, true);
}

void out_close(struct out *out)
{
    struct out_frame frame = *top(out);
    out->depth--;
    if (out->format != OUT_XML) {
        put(out, !frame.list ? "}" : frame.wrapped ? "]}" : "]");
    } else if (frame.xml && out->tag) {
        put(out, "/>");
        out->tag = false;
    } else if (frame.xml) {
        put(out, "</");
        put(out, frame.xml);
        put_char(out, '>');
    }
}

/* An attribute whose JSON form is either a string or a bare word. */
static void attr(struct out *out, const char *name, const char *value, bool bare)
{
    if (out->format == OUT_XML) {
        put_char(out, ' ');
        put(out, name);
        put(out, "=\"");
        put_xml(out, value);
        put_char(out, '"');
        return;
    }
    before(out, name);
    if (bare)
        put(out, value);
    else
        put_json(out, value);
}

void out_attr(struct out *out, const char *name, const char *value)
{
    if (value)
        attr(out, name, value, false);
}

void out_attr_number(struct out *out, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    attr(out, name, text, true);
}

void out_attr_bool(struct out *out, const char *name, bool value)
{
    attr(out, name, value ? "true" : "false", true);
}

static void leaf(struct out *out, const char *name, const char *text, bool bare)
{
    if (out->format != OUT_XML) {
        attr(out, name, text, bare);
        return;
    }
    open_xml(out, name);
    if (!*text) {
        put(out, "/>");
        out->tag = false;
        return;
    }
    end_tag(out);
    put_xml(out, text);
    put(out, "</");
    put(out, name);
    put_char(out, '>');
}

void out_leaf(struct out *out, const char *name, const char *text)
{
    leaf(out, name, text, false);
}

void out_leaf_number(struct out *out, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    leaf(out, name, text, true);
}

void out_leaf_bool(struct out *out, const char *name, bool value)
{
    leaf(out, name, value ? "true" : "false", true);
}

void out_null(struct out *out, const char *name)
{
    if (out->format != OUT_XML)
        attr(out, name, "null", true);
}

void out_link(struct out *out, const char *rel, const char *href, const char *name, const char *type)
{
    out_open(out, "Link");
    out_attr(out, "Href", href);
    out_attr(out, "Name", name);
    out_attr(out, "Type", type);
    out_attr(out, "Rel", rel);
    out_close(out);
}
