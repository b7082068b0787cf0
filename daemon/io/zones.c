#include "io/zones.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "model/zone.h"

#define FOLDER "/usr/share/zoneinfo/"
#define LIST FOLDER "tzdata.zi"
#define FIRST_S INT64_C(946684800)  /* 2000-01-01 */
#define END_S INT64_C(2145916800)   /* 2038-01-01: beyond, GLib 2.74 takes the rule of Dublin the wrong way */
#define STEP_S (INT64_C(7) * 86400) /* no zone changes twice within it */
#define PERIODS_MAX 1024
#define NAME_MAX_BYTES 64
#define NAMES_MAX 2000

/* ---- names ---- */

static bool name_fits(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > NAME_MAX_BYTES || name[0] == '/' || name[0] == '+' || name[0] == '-')
        return false;
    for (const char *p = name; *p; p++) {
        bool letter = (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9');
        if (!letter && !strchr("_+-/", *p))
            return false;
    }
    return true;
}

/* GLib takes more than names, and complains loudly about files that are none. */
static bool name_is_file(const char *name)
{
    char path[sizeof(FOLDER) + NAME_MAX_BYTES], magic[4] = {0};
    struct stat st;
    snprintf(path, sizeof(path), FOLDER "%s", name);
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool good = fread(magic, 1, sizeof(magic), file) == sizeof(magic) && memcmp(magic, "TZif", 4) == 0;
    fclose(file);
    return good;
}

/* The name in a line of tzdata.zi, cut out: "Z NAME rules..." or "L TARGET NAME". */
static char *name_of_line(char *line)
{
    char *save, *kind = strtok_r(line, " \n", &save);
    char *first = kind ? strtok_r(NULL, " \n", &save) : NULL;
    if (!first || (strcmp(kind, "Z") != 0 && strcmp(kind, "L") != 0))
        return NULL;
    return *kind == 'Z' ? first : strtok_r(NULL, " \n", &save);
}

static size_t read_names(struct arena *arena, const char **names)
{
    size_t n = 0, size = 0;
    _cleanup_free_ char *line = NULL;
    FILE *list = fopen(LIST, "re");
    while (list && n < NAMES_MAX && getline(&line, &size, list) > 0) {
        char *name = name_of_line(line);
        names[n] = name ? arena_str(arena, name) : NULL;
        n += names[n] != NULL;
    }
    if (list)
        fclose(list);
    return n;
}

const char *zones_near(const char *name, struct arena *arena)
{
    _cleanup_free_ const char **names = calloc(NAMES_MAX, sizeof(*names));
    return names ? text_nearest(name, names, read_names(arena, names)) : NULL;
}

/* ---- rules ---- */

static int interval_at(GTimeZone *rules, int64_t at_s)
{
    return g_time_zone_find_interval(rules, G_TIME_TYPE_UNIVERSAL, at_s);
}

/* The first second of the interval that holds at `high`, which does not hold at `low` yet. */
static int64_t interval_begin(GTimeZone *rules, int64_t low, int64_t high)
{
    int interval = interval_at(rules, high);
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (interval_at(rules, middle) == interval)
            high = middle;
        else
            low = middle;
    }
    return high;
}

static int add_period(GTimeZone *rules, int64_t at_s, struct arena *arena, struct zone_period *periods,
                      size_t *n)
{
    int interval = interval_at(rules, at_s);
    struct zone_period period = {.from_ms = *n ? at_s * 1000 : INT64_MIN,
                                 .offset_s = g_time_zone_get_offset(rules, interval),
                                 .name = arena_intern(arena, g_time_zone_get_abbreviation(rules, interval))};
    if (!period.name)
        return -ENOMEM;
    const struct zone_period *last = *n ? &periods[*n - 1] : NULL;
    if (last && last->offset_s == period.offset_s && strcmp(last->name, period.name) == 0)
        return 0;
    if (*n == PERIODS_MAX)
        return -E2BIG;
    periods[(*n)++] = period;
    return 0;
}

static int read_rules(GTimeZone *rules, struct arena *arena, struct zone *ret)
{
    _cleanup_free_ struct zone_period *periods = calloc(PERIODS_MAX, sizeof(*periods));
    size_t n = 0;
    int r = periods ? add_period(rules, FIRST_S, arena, periods, &n) : -ENOMEM;
    for (int64_t at = FIRST_S; at < END_S && r == 0; at += STEP_S)
        if (interval_at(rules, at + STEP_S) != interval_at(rules, at))
            r = add_period(rules, interval_begin(rules, at, at + STEP_S), arena, periods, &n);
    if (r < 0)
        return r;
    struct zone_period *kept = arena_take(arena, n * sizeof(*kept));
    if (!kept)
        return -ENOMEM;
    memcpy(kept, periods, n * sizeof(*kept));
    ret->periods = kept;
    ret->n = n;
    return 0;
}

int zones_find(const char *name, struct arena *arena, struct zone *ret)
{
    if (name && !name_fits(name))
        return -EINVAL;
    if (name && !name_is_file(name))
        return -ENOENT;
    GTimeZone *rules = name ? g_time_zone_new_identifier(name) : g_time_zone_new_local();
    if (!rules)
        return -ENOENT;
    if (!name)
        name = g_time_zone_get_identifier(rules);
    struct zone zone = {.name = arena_str(arena, name + (*name == ':'))}; /* TZ may begin with one */
    int r = zone.name ? read_rules(rules, arena, &zone) : -ENOMEM;
    g_time_zone_unref(rules);
    if (r == 0)
        *ret = zone;
    return r;
}
