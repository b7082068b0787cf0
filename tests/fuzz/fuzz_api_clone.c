/* Bodies of clone requests: what is encoded in XML and in JSON says the same, and exactly
 * what was given, read by libxml2's tree and by jansson. Input: a byte for the kind, then name,
 * folder, repository, description with zeros between them. */
#include "fuzz.h"

#include <jansson.h>
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/api.h"

#define TEXTS 4

/* The text of that element below the one element of the root, or NULL. */
static xmlNode *xml_field(xmlNode *root, const char *name)
{
    for (xmlNode *node = root->children->children; node; node = node->next)
        if (strcmp((const char *)node->name, name) == 0)
            return node;
    return NULL;
}

/* `want` NULL: the kind has no such field. */
static void check(xmlNode *xml, const json_t *json, const char *name, const char *want)
{
    xmlNode *node = xml_field(xml, name);
    const json_t *value = json_object_get(json, name);
    if (!want && !node && !value)
        return;
    if (!want || !node || !json_is_string(value) || strcmp(json_string_value(value), want) != 0)
        abort();
    xmlChar *text = xmlNodeGetContent(node);
    if (!text || strcmp((const char *)text, want) != 0)
        abort();
    xmlFree(text);
}

static void check_both(const struct api_clone *clone, const struct buf *xml, const struct buf *json)
{
    xmlDoc *doc = xmlReadMemory(xml->data, (int)xml->len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR);
    json_t *root = json_loadb(json->data, json->len, JSON_REJECT_DUPLICATES, NULL);
    if (!doc || !json_is_object(root) || json_object_size(root) != 1)
        abort();
    const json_t *info = json_object_iter_value(json_object_iter(root));
    xmlNode *element = xmlDocGetRootElement(doc);
    bool backup = clone->kind == JOB_KIND_BACKUP, replica = clone->kind == JOB_KIND_REPLICA;
    check(element, info, "JobName", clone->name);
    check(element, info, "FolderName", backup ? clone->folder : NULL);
    check(element, info, "JobFileName", backup || replica ? NULL : clone->file);
    check(element, info, "VmSuffix", replica ? clone->vm_suffix : NULL);
    check(element, info, "RepositoryUid", replica ? NULL : clone->repository_uid);
    check(element, info, "Description", clone->description);
    xmlFreeDoc(doc);
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const enum job_kind kinds[] = {JOB_KIND_BACKUP, JOB_KIND_REPLICA, JOB_KIND_BACKUP_COPY,
                                          JOB_KIND_IMMEDIATE_COPY};
    struct buf xml = BUF_INIT((size_t)1 << 20), json = BUF_INIT((size_t)1 << 20);
    char *texts = malloc(len + TEXTS + 1);
    if (!texts || len == 0) {
        free(texts);
        return 0;
    }
    memcpy(texts, data + 1, len - 1);
    memset(texts + len - 1, 0, TEXTS + 1);
    const char *text[TEXTS], *at = texts;
    for (int i = 0; i < TEXTS; i++) {
        text[i] = at;
        at += at < texts + len - 1 ? strlen(at) + 1 : 0;
    }
    struct api_clone clone = {.kind = kinds[data[0] % ARRAY_SIZE(kinds)],
                              .table_order = data[0] & 0x80,
                              .name = text[0],
                              .folder = text[1],
                              .file = text[1],
                              .vm_suffix = text[1],
                              .repository_uid = text[2],
                              .description = text[3]};
    int a = api_xml.encode_clone(&clone, &xml), b = api_json.encode_clone(&clone, &json);
    if (a == 0 && b == 0)
        check_both(&clone, &xml, &json);
    buf_done(&xml);
    buf_done(&json);
    free(texts);
    return 0;
}
