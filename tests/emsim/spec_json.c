#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "spec_fields.h"

static int read_fields(struct spec *spec, const struct spec_kind *kind, const json_t *info,
                       const char **ret_why)
{
    size_t seen = 0;
    for (const struct spec_field *f = kind->fields; f->name; f++) {
        const json_t *value = json_object_get(info, f->name);
        seen += value != NULL;
        if ((!value || json_is_null(value)) && f->optional)
            continue;
        if (!json_is_string(value)) {
            *ret_why = "A property is missing or no text";
            return -EINVAL;
        }
        char *text = strdup(json_string_value(value));
        if (!text)
            return -ENOMEM;
        spec_take(spec, f, text);
    }
    *ret_why = "A property is unknown";
    return seen == json_object_size(info) ? 0 : -EINVAL;
}

static int read_root(struct spec *spec, json_t *root, const char **ret_why)
{
    *ret_why = "Node [root] does not exist.";
    if (!json_is_object(root) || json_object_size(root) != 1)
        return -EINVAL;
    void *at = json_object_iter(root);
    const struct spec_kind *kind = spec_kind_find(json_object_iter_key(at), ORDER_EXAMPLE);
    const json_t *info = json_object_iter_value(at);
    if (!kind || !json_is_object(info))
        return -EINVAL;
    spec->clone.kind = kind->job_type;
    int r = read_fields(spec, kind, info, ret_why);
    if (r < 0)
        return r;
    *ret_why = spec_check(spec);
    return *ret_why ? -EINVAL : 0;
}

int spec_read_json(struct bytes body, struct spec *ret, const char **ret_why)
{
    *ret = (struct spec){0};
    *ret_why = "Node [root] does not exist.";
    json_t *root = body.data ? json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!root)
        return -EINVAL;
    int r = read_root(ret, root, ret_why);
    json_decref(root);
    if (r < 0)
        spec_done(ret);
    return r;
}
