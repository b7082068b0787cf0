#include "codec/api_json_value.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WHOLE_MAX 9007199254740992.0 /* beyond, a double skips whole numbers */

int api_json_members_read(const json_t *object, struct api_json_members *ret)
{
    *ret = (struct api_json_members){0};
    if (!json_is_object(object))
        return -EBADMSG;
    json_t *own = (json_t *)object; /* jansson's iterators take no const */
    for (void *i = json_object_iter(own); i; i = json_object_iter_next(own, i)) {
        const char *name = json_object_iter_key(i);
        const json_t *value = json_object_iter_value(i);
        enum api_json_key key = api_json_key_of(name, strlen(name));
        if (key == KEY_OTHER)
            continue;
        if (ret->named[key])
            return -EBADMSG;
        ret->named[key] = true;
        ret->at[key] = json_is_null(value) ? NULL : value;
    }
    return 0;
}

int api_json_text(const json_t *value, char number[API_JSON_NUMBER_MAX], const char **ret)
{
    *ret = "";
    if (!value)
        return 0;
    double real = json_number_value(value);
    if (json_is_string(value)) {
        *ret = json_string_value(value);
    } else if (json_is_number(value) && real >= -WHOLE_MAX && real <= WHOLE_MAX &&
               real == (double)(long long)real) {
        snprintf(number, API_JSON_NUMBER_MAX, "%lld", (long long)real);
        *ret = number;
    } else {
        return -EBADMSG;
    }
    return 0;
}

unsigned api_json_number(const json_t *value)
{
    char number[API_JSON_NUMBER_MAX];
    const char *text;
    unsigned all = 0;
    if (api_json_text(value, number, &text) < 0)
        return 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || all > 99999999)
            return 0;
        all = all * 10 + (unsigned)(*text - '0');
    }
    return all;
}

int api_json_truth(const json_t *value)
{
    char number[API_JSON_NUMBER_MAX];
    const char *text;
    if (json_is_boolean(value))
        return json_is_true(value);
    if (api_json_text(value, number, &text) < 0)
        return -1;
    if (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0)
        return 1;
    return strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0 ? 0 : -1;
}
