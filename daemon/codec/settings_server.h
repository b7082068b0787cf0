/* One server of the settings file (product contract 2): part of settings_yaml. */
#pragma once

#include <stdbool.h>

struct diag;
struct server_settings;
struct settings;
struct yaml_node;

struct settings_decoder {
    struct diag *diag;
    const char *main_file; /* relative paths are relative to its folder */
    struct settings *settings;
    bool no_memory; /* a copy failed; looked at once, at the end */
};

/* Reads the value of one key under `servers` over the defaults. What is wrong goes to
 * the decoder's diag. */
void settings_server_decode(struct settings_decoder *decoder, const struct yaml_node *node,
                            struct server_settings *ret);

/* A heap copy; NULL (and noted in the decoder) when out of memory. */
char *settings_copy(struct settings_decoder *decoder, const char *text);

/* Reads a text that is neither empty nor has control characters, into a heap copy in
 * *ret (freeing what was there). False when absent or bad. */
bool settings_text(struct settings_decoder *decoder, const struct yaml_node *mapping, const char *key,
                   char **ret);

/* Reads a number or leaves *ret as it is. */
void settings_number(struct settings_decoder *decoder, const struct yaml_node *mapping, const char *key,
                     unsigned min, unsigned max, unsigned *ret);
