#include <errno.h>
#include <libxml/parser.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "spec_fields.h"

static const char NAMESPACE[] = "http://www.veeam.com/ent/v1.0";

static const char *name_of(const xmlNode *node)
{
    return (const char *)node->name;
}

/* The node or its next sibling that is an element. */
static xmlNode *element(xmlNode *node)
{
    while (node && node->type != XML_ELEMENT_NODE)
        node = node->next;
    return node;
}

static bool in_namespace(const xmlNode *node)
{
    return node->ns && node->ns->href && strcmp((const char *)node->ns->href, NAMESPACE) == 0;
}

/* Text that is more than blanks, between elements. */
static bool has_stray_text(const xmlNode *parent)
{
    for (const xmlNode *node = parent->children; node; node = node->next)
        if (node->type != XML_ELEMENT_NODE && node->type != XML_COMMENT_NODE && !xmlIsBlankNode(node))
            return true;
    return false;
}

static int take_text(struct spec *spec, const struct spec_field *field, xmlNode *node, const char **ret_why)
{
    if (element(node->children)) {
        *ret_why = "An element that should hold text holds elements";
        return -EINVAL;
    }
    xmlChar *content = xmlNodeGetContent(node);
    char *text = content ? strdup((const char *)content) : NULL;
    xmlFree(content);
    if (!text)
        return -ENOMEM;
    spec_take(spec, field, text);
    return 0;
}

/* The children must be the fields of the kind in their order. */
static int read_fields(struct spec *spec, const struct spec_kind *kind, xmlNode *info, const char **ret_why)
{
    xmlNode *node = element(info->children);
    for (const struct spec_field *f = kind->fields; f->name; f++) {
        if (!node || strcmp(name_of(node), f->name) != 0 || !in_namespace(node)) {
            if (f->optional)
                continue;
            *ret_why = "Element is missing, out of order or in another namespace";
            return -EINVAL;
        }
        int r = take_text(spec, f, node, ret_why);
        if (r < 0)
            return r;
        node = element(node->next);
    }
    if (!node)
        return 0;
    *ret_why = "Element is unknown or out of order";
    return -EINVAL;
}

static int read_root(struct spec *spec, xmlNode *root, enum immediate_order order, const char **ret_why)
{
    *ret_why = "Request body could not be read as a JobCloneSpec";
    if (!root || strcmp(name_of(root), "JobCloneSpec") != 0 || !in_namespace(root))
        return -EINVAL;
    xmlNode *info = element(root->children);
    const struct spec_kind *kind = info && in_namespace(info) ? spec_kind_find(name_of(info), order) : NULL;
    if (!kind || element(info->next) || has_stray_text(root) || has_stray_text(info))
        return -EINVAL;
    spec->clone.kind = kind->job_type;
    int r = read_fields(spec, kind, info, ret_why);
    if (r < 0)
        return r;
    *ret_why = spec_check(spec);
    return *ret_why ? -EINVAL : 0;
}

int spec_read_xml(struct bytes body, enum immediate_order order, struct spec *ret, const char **ret_why)
{
    *ret = (struct spec){0};
    *ret_why = "Request body is not XML";
    if (!body.data || body.len > INT_MAX)
        return -EINVAL;
    xmlDoc *doc = xmlReadMemory(body.data, (int)body.len, NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!doc)
        return -EINVAL;
    /* no document type: with it come entities */
    int r = doc->intSubset ? -EINVAL : read_root(ret, xmlDocGetRootElement(doc), order, ret_why);
    xmlFreeDoc(doc);
    if (r < 0)
        spec_done(ret);
    return r;
}
