#include "io/spool_name.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/ulid.h"

#define BESIDE_MAX 12 /* ".result.json", the longest */

static size_t stem_len(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL ? (size_t)(dot - name) : strlen(name);
}

/* At most `max` bytes, and no half of a UTF-8 character. */
static int cut(const char *name, size_t len, size_t max)
{
    if (len <= max)
        return (int)len;
    while (max > 0 && ((unsigned char)name[max] & 0xc0) == 0x80)
        max--;
    return (int)max;
}

bool spool_name_is_plan(const char *name)
{
    size_t len = stem_len(name);
    return name[0] != '.' && len > 0 && len < NAME_MAX &&
           (strcmp(name + len, ".yaml") == 0 || strcmp(name + len, ".yml") == 0);
}

void spool_name_with_id(const char *name, const char *id, char ret[SPOOL_NAME_SIZE])
{
    size_t len = stem_len(name);
    int kept = cut(name, len, NAME_MAX - BESIDE_MAX - ULID_LEN - 1);
    snprintf(ret, SPOOL_NAME_SIZE, "%.*s.%s%.5s", kept, name, id, name + len);
}

void spool_name_beside(const char *name, const char *suffix, char ret[SPOOL_NAME_SIZE])
{
    int kept = cut(name, stem_len(name), NAME_MAX - strlen(suffix));
    snprintf(ret, SPOOL_NAME_SIZE, "%.*s%s", kept, name, suffix);
}

void spool_name_sibling(const char *name, char ret[SPOOL_NAME_SIZE])
{
    size_t len = stem_len(name);
    const char *ending = strcmp(name + len, ".yml") == 0 ? ".yaml" : ".yml";
    snprintf(ret, SPOOL_NAME_SIZE, "%.*s%s", cut(name, len, NAME_MAX - strlen(ending)), name, ending);
}
