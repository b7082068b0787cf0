/* PascalCase and no JobCloneSpec around it, which every version takes (wire reference 1.5, 3.1). */
#include "codec/api_json_write.h"

#include <errno.h>
#include <jansson.h>

#include "base/text.h"
#include "codec/api.h"
#include "codec/api_clone.h"

/* What XML cannot carry is refused here too: a name means the same in both formats. */
static int add_fields(json_t *info, const struct api_clone_field *fields)
{
    for (int i = 0; i < API_CLONE_FIELDS; i++) {
        if (!fields[i].name || !fields[i].text)
            continue;
        if (!text_xml_valid(fields[i].text))
            return -EINVAL;
        if (json_object_set_new(info, fields[i].name, json_string(fields[i].text)) < 0)
            return -ENOMEM;
    }
    return 0;
}

struct dump {
    struct buf *body;
    int error;
};

static int on_dump(const char *data, size_t len, void *user)
{
    struct dump *dump = user;
    dump->error = buf_add(dump->body, data, len);
    return dump->error < 0 ? -1 : 0;
}

static int add_root(json_t *root, struct buf *body)
{
    struct dump dump = {.body = body};
    size_t before = body->len;
    if (json_dump_callback(root, on_dump, &dump, JSON_COMPACT) == 0)
        return 0;
    if (body->len > before) { /* no half body */
        body->len = before;
        body->data[before] = '\0';
    }
    return dump.error < 0 ? dump.error : -ENOMEM;
}

int api_json_encode_clone(const struct api_clone *clone, struct buf *body)
{
    struct api_clone_field fields[API_CLONE_FIELDS];
    const char *element = api_clone_fields(clone, fields);
    if (!element || !clone->name)
        return -EINVAL;
    json_t *root = json_object(), *info = json_object();
    int r = root && info ? add_fields(info, fields) : -ENOMEM;
    if (r == 0 && json_object_set(root, element, info) < 0)
        r = -ENOMEM;
    if (r == 0)
        r = add_root(root, body);
    json_decref(info);
    json_decref(root);
    return r;
}
