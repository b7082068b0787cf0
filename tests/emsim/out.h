/* Writes one document, either as XML or as JSON, from one description. A wrong
 * nesting is a bug of the caller; a failed allocation is kept in `error`. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum out_format { OUT_XML, OUT_JSON, OUT_JSON_V13 };

/* How lists other than Links are wrapped in JSON. */
enum out_wrap {
    OUT_WRAP_USUAL, /* those of queries in their own name, the rest bare */
    OUT_WRAP_BARE,
    OUT_WRAP_CHILD, /* in their singular: "Jobs":{"Job":[...]} */
    OUT_WRAP_SAME,  /* in their own name: "Jobs":{"Jobs":[...]} */
};

#define OUT_DEPTH_MAX 12

struct out_frame {
    const char *xml; /* element to close, NULL: none in XML */
    bool list;       /* JSON: an array */
    bool wrapped;    /* JSON: an array inside an object */
    bool any;        /* something was written inside */
};

struct out {
    struct buf buf;
    enum out_format format;
    enum out_wrap wrap;
    int error; /* 0 or the first negative errno */
    bool tag;  /* XML: the start tag still takes attributes */
    unsigned depth;
    struct out_frame frames[OUT_DEPTH_MAX];
};

void out_init(struct out *out, enum out_format format, enum out_wrap wrap);
void out_done(struct out *out);

/* The outermost object, with the namespace. */
void out_root(struct out *out, const char *name);
/* An object; inside a list its name shows in XML only. */
void out_open(struct out *out, const char *name);
/* A list: `xml` (NULL: no element of its own) and the JSON property. */
void out_list(struct out *out, const char *xml, const char *json);
/* As out_list, but JSON has the array twice wrapped: "Jobs":{"Jobs":[...]}. */
void out_list_wrapped(struct out *out, const char *xml, const char *json);
/* Ends what was opened last. */
void out_close(struct out *out);

/* Attributes come right after opening; a NULL value writes nothing. */
void out_attr(struct out *out, const char *name, const char *value);
void out_attr_number(struct out *out, const char *name, uint64_t value);
void out_attr_bool(struct out *out, const char *name, bool value);

/* Elements with text. */
void out_leaf(struct out *out, const char *name, const char *text);
void out_leaf_number(struct out *out, const char *name, uint64_t value);
void out_leaf_bool(struct out *out, const char *name, bool value);
/* A property that is null; JSON only. */
void out_null(struct out *out, const char *name);

/* One element of a Links list; name and type may be NULL. */
void out_link(struct out *out, const char *rel, const char *href, const char *name, const char *type);
