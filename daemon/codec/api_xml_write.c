#include "codec/api_xml_write.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "codec/api.h"
#include "codec/api_clone.h"

static int add_special(struct buf *body, char c)
{
    switch (c) {
    case '&':
        return buf_add_str(body, "&amp;");
    case '<':
        return buf_add_str(body, "&lt;");
    case '>':
        return buf_add_str(body, "&gt;");
    case '"':
        return buf_add_str(body, "&quot;");
    case '\'':
        return buf_add_str(body, "&apos;");
    default: /* blanks other than spaces might be made spaces, or a newline of CR */
        return buf_printf(body, "&#%d;", c);
    }
}

static int add_escaped(struct buf *body, const char *text)
{
    for (;;) {
        size_t plain = strcspn(text, "&<>\"'\t\n\r");
        int r = buf_add(body, text, plain);
        text += plain;
        if (r < 0 || !*text)
            return r;
        r = add_special(body, *text++);
        if (r < 0)
            return r;
    }
}

static int add_tag(struct buf *body, const char *open, const char *name)
{
    int r = buf_add_str(body, open);
    if (r == 0)
        r = buf_add_str(body, name);
    return r < 0 ? r : buf_add_char(body, '>');
}

/* An element with text; absent when the text is NULL. */
static int add_element(struct buf *body, const char *name, const char *text)
{
    if (!text)
        return 0;
    if (!text_xml_valid(text))
        return -EINVAL;
    int r = add_tag(body, "<", name);
    if (r == 0)
        r = add_escaped(body, text);
    return r < 0 ? r : add_tag(body, "</", name);
}

static int add_kind(const struct api_clone *clone, struct buf *body)
{
    struct api_clone_field fields[API_CLONE_FIELDS];
    const char *element = api_clone_fields(clone, fields);
    if (!element)
        return -EINVAL;
    int r = add_tag(body, "<", element);
    for (int i = 0; i < API_CLONE_FIELDS && r == 0; i++)
        if (fields[i].name)
            r = add_element(body, fields[i].name, fields[i].text);
    return r < 0 ? r : add_tag(body, "</", element);
}

int api_xml_encode_clone(const struct api_clone *clone, struct buf *body)
{
    size_t before = body->len;
    if (!clone->name)
        return -EINVAL;
    int r = buf_add_str(body, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                              "<JobCloneSpec xmlns=\"http://www.veeam.com/ent/v1.0\">");
    if (r == 0)
        r = add_kind(clone, body);
    if (r == 0)
        r = buf_add_str(body, "</JobCloneSpec>\n");
    if (r < 0 && body->len > before) { /* no half body */
        body->len = before;
        body->data[before] = '\0';
    }
    return r;
}
