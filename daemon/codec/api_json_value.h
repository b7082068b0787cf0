/* Members of an object by their known keys, and their values: null is the same
 * as absent, numbers may come as strings (wire reference 1.5). */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "codec/api_json_key.h"

struct api_json_members {
    const json_t *at[KEY_COUNT]; /* NULL: absent, or null */
    bool named[KEY_COUNT];       /* the key is there, even with null */
};

/* 0; -EBADMSG when it is no object or has a known key twice, in whatever letter case. */
int api_json_members_read(const json_t *object, struct api_json_members *ret);

/* A text, "" when absent; a whole number is given as its digits in `number`. 0,
 * or -EBADMSG for anything else. *ret lives as long as the value and `number`. */
#define API_JSON_NUMBER_MAX 24
int api_json_text(const json_t *value, char number[API_JSON_NUMBER_MAX], const char **ret);

/* A number, as such or in a text; 0 when absent, malformed or beyond a thousand million. */
unsigned api_json_number(const json_t *value);

/* true, "true" and 1 are 1; false and its like 0; anything else -1. */
int api_json_truth(const json_t *value);
