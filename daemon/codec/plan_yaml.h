/* Plan files: YAML bytes (and the CSV files they name) to a checked, expanded
 * struct plan (product contract 3). Pure: files come through a callback. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct diag;
struct plan;
struct arena;
struct plan_clone;
struct zone;

struct plan_yaml_options {
    const char *file;    /* name for messages; borrowed for the call and copied */
    size_t plan_bytes;   /* most bytes of the plan and of each CSV */
    unsigned plan_items; /* most items after expansion */
    int64_t accepted_ms; /* wall time that `date` shows, in the zone of the schedule (the first one's if it
                            has several), else in the system's */
    bool scheduled;      /* the plan lies in plans.d: `schedule` is allowed */
    const char *const *servers; /* known server names, NULL-ended; or NULL: not checked */
    /* Reads a CSV named by the plan: `path` is relative, without `..`, absolute paths
     * or control characters. Appends to `ret`, whose limit is plan_bytes. Returns 0, -ENOENT, -EFBIG,
     * or another negative errno; may be NULL: then CSV files are errors. */
    int (*read_csv)(const char *path, struct buf *ret, void *data);
    void *data;
    /* Gives the rules of a time zone, of the system's own when `name` is NULL, in the arena: 0; -ENOMEM;
     * another negative errno when there is none of that name, then *ret_near may be one that is like it.
     * May be NULL: then UTC alone is known, and the system's own. */
    int (*find_zone)(const char *name, struct arena *arena, struct zone *ret, const char **ret_near);
    /* Judges a calendar expression without its zone: 0, or a negative errno and words for people. May be
     * NULL: then any is taken. */
    int (*check_calendar)(const char *expression, struct buf *ret_problem);
};

/* Reads and checks a whole plan. Returns 0 and the plan (caller frees with
 * plan_free); -EINVAL with all messages in `diag`; -ENOMEM. */
int plan_yaml_decode(struct bytes text, const struct plan_yaml_options *options, struct plan **ret_plan,
                     struct diag *diag);

/* Finishes a `late` clone once its source's name is known: fills ${source.name}
 * in all fields and checks lengths and characters again. Strings go into the
 * arena. Returns 0, -ENOMEM, or -EINVAL with *ret_problem a message (in the arena). */
int plan_clone_fill_source(struct plan_clone *clone, const char *source_name, struct arena *arena,
                           const char **ret_problem);
