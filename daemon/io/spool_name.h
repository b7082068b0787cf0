/* Names of files in the spool's folders. Pure. */
#pragma once

#include <limits.h>
#include <stdbool.h>

#define SPOOL_NAME_SIZE (NAME_MAX + 1)

/* True for names of plans: *.yaml and *.yml, but no dotfiles. (So *.tmp, *.part and *~ are none.) */
bool spool_name_is_plan(const char *name);

/* The same name with an id: "onboard.yaml" gives "onboard.ID.yaml". A stem that would make it, or what lies
 * beside it, too long is cut. */
void spool_name_with_id(const char *name, const char *id, char ret[SPOOL_NAME_SIZE]);

/* A name beside it: "onboard.yaml" with ".result.json" gives "onboard.result.json". Cut likewise. */
void spool_name_beside(const char *name, const char *suffix, char ret[SPOOL_NAME_SIZE]);

/* The same stem with the other ending, .yml or .yaml, whose files beside it would have the same names. */
void spool_name_sibling(const char *name, char ret[SPOOL_NAME_SIZE]);
