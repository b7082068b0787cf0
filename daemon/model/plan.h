/* A plan as values: what the file says, checked and expanded into one clone
 * per item (product contract 3). Made by codec/plan_yaml, which owns all rules
 * that can be judged without the server. Strings live in the plan's arena. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/kind.h"
#include "model/schedule.h"
#include "model/window.h"

struct arena;

enum on_conflict { ON_CONFLICT_FAIL, ON_CONFLICT_SKIP, ON_CONFLICT_RENAME };

enum plan_ref_by { PLAN_REF_NONE, PLAN_REF_NAME, PLAN_REF_ID };

/* A job or a repository as the plan names it. */
struct plan_ref {
    enum plan_ref_by by;
    const char *text; /* the name; or the bare GUID in lower case, taken from {id:} or the end of {uid:} */
};

/* One clone that is wanted: one item. Name, folder, file, vm_suffix and
 * description are expanded, unless `late` is set: then they hold templates in
 * which only ${source.name} is left, to be filled by plan_clone_fill_source. */
struct plan_clone {
    struct plan_ref source;
    struct plan_ref repository; /* PLAN_REF_NONE where not given */
    const char *backup_server;  /* name, or NULL */
    const char *name;
    const char *folder;      /* as given, or NULL: derived from the name */
    const char *file;        /* as given, or NULL: derived from the name */
    const char *vm_suffix;   /* or NULL */
    const char *description; /* without the mark; NULL when there is none */
    enum on_conflict on_conflict;
    enum job_kind kind; /* asserted by `kind:`, else JOB_KIND_UNKNOWN */
    bool late;
    bool own_folder, own_file, own_vm_suffix,
        own_repository;    /* given on the clone itself, not by `defaults`:
                              then a kind that lacks the field is an error */
    unsigned line, column; /* where the clone stands in the plan */
};

struct plan {
    struct arena *arena; /* owns all strings */
    const char *file;    /* as it was called */
    const char *name;
    const char *server;
    const char *description; /* or NULL */
    struct schedule schedule;
    struct window window;
    unsigned in_flight;     /* 0: the server's limit alone */
    unsigned stop_failures; /* stop after so many failures; 0: never */
    unsigned stop_percent;  /* or after this share of the items; 0: never */
    unsigned attempts;      /* tries in all, at least 1 */
    uint64_t retry_initial_ms, retry_max_ms;
    uint64_t task_timeout_ms;
    uint64_t run_timeout_ms; /* 0: none */
    struct plan_clone *clones;
    size_t n_clones;
};

struct plan *plan_free(struct plan *plan); /* takes NULL; returns NULL */

/* The failures after which the rest is cancelled; 0: never. A share is rounded
 * up to at least 1. */
unsigned plan_stop_after(const struct plan *plan);
