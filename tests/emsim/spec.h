/* Reads the body of a clone request as strictly as the real server may: exact
 * namespace, exactly one kind, its elements in order, nothing unknown. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "behaviour.h"
#include "world.h"

struct spec {
    struct clone_spec clone; /* points into `owned` */
    void *owned[8];
    unsigned n_owned;
};

void spec_done(struct spec *spec);

/* 0; -EINVAL with the reason in *ret_why (static); or -ENOMEM. */
int spec_read_xml(struct bytes body, enum immediate_order order, struct spec *ret, const char **ret_why);
int spec_read_json(struct bytes body, struct spec *ret, const char **ret_why);
