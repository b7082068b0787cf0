/* Writes JSON into a buffer, member by member. The first error sticks and is
 * looked at once, in the end. Strings are safe to show on a terminal: control
 * characters are escaped, DEL and C1 too, and bytes that are not UTF-8 become U+FFFD. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct json_out {
    struct buf *buf;
    int error;  /* 0, -ENOBUFS or -ENOMEM */
    bool comma; /* the next member needs one before it */
};

/* Opens '{' or '[' and closes it by its bracket. Here and below `key` is NULL within an array and at the top.
 */
void json_out_open(struct json_out *out, const char *key, char bracket);
void json_out_close(struct json_out *out, char bracket);

void json_out_str(struct json_out *out, const char *key, const char *text); /* null for NULL */
void json_out_num(struct json_out *out, const char *key, int64_t number);
void json_out_bool(struct json_out *out, const char *key, bool value);
void json_out_null(struct json_out *out, const char *key);
/* UTC to the second; null for 0 and before. */
void json_out_time(struct json_out *out, const char *key, int64_t wall_ms);

/* The value alone, for those who write their own members: 0 or a negative errno. */
int json_out_add_text(struct buf *buf, const char *text);
int json_out_add_time(struct buf *buf, int64_t wall_ms);
