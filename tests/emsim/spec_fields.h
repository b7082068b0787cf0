/* The four kinds of clone bodies; shared by the XML and the JSON reader. */
#pragma once

#include "spec.h"

#define SPEC_FIELDS_MAX 4

struct spec_field {
    const char *name; /* NULL: end */
    size_t offset;    /* of the const char * in struct clone_spec */
    bool optional;
};

struct spec_kind {
    const char *element;
    const char *job_type;
    struct spec_field fields[SPEC_FIELDS_MAX + 1]; /* in the order of XML */
};

/* The kind of that element, or NULL; immediate copies with their fields in that order. */
const struct spec_kind *spec_kind_find(const char *element, enum immediate_order order);

/* Takes over the heap string as the field's value. */
void spec_take(struct spec *spec, const struct spec_field *field, char *value);

/* The length of the name and the like; NULL when all is well. */
const char *spec_check(const struct spec *spec);
