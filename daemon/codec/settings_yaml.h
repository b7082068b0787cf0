/* Settings files: jobcloned.yaml with its drop-ins to struct settings (product
 * contract 2). Pure: files come in as bytes. */
#pragma once

#include <stddef.h>

#include "base/buf.h"

struct diag;
struct settings;

struct settings_source {
    const char *file; /* path as shown in messages; relative paths inside are relative to the folder
                         of the main file (sources[0]) */
    struct bytes text;
};

/* Reads the main file and then the drop-ins in the order given; mappings are
 * merged key by key, anything else is replaced; a message names the file where
 * the value came from. Returns 0 and the settings (settings_free); -EINVAL with
 * all messages in `diag`; -ENOMEM. */
int settings_yaml_decode(const struct settings_source *sources, size_t n, struct settings **ret_settings,
                         struct diag *diag);
