/* A plan and the CSV files that it names, as they were read: what is decoded,
 * hashed and stored are the same bytes, whatever happens to the files later. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct diag;
struct plan;
struct settings;

#define PLAN_FILES_HASH_LEN 64

struct plan_csv_file {
    char *path; /* relative to the plan's folder, as the plan names it */
    struct buf bytes;
};

struct plan_files {
    char *path;       /* of the plan, as it was called */
    struct buf bytes; /* the plan */
    struct plan_csv_file *csv;
    size_t n_csv;
    char hash[PLAN_FILES_HASH_LEN + 1]; /* set by plan_files_hash, else empty */
    size_t plan_bytes;                  /* most bytes of each file */
    bool sealed;                        /* only what is kept is there: no file is opened any more */
    bool checked; /* these bytes were found good before: systemd is not asked about calendars again */
    /* Opens a CSV file, a descriptor or negative errno; NULL: beneath the plan's folder. */
    int (*open_csv)(const char *path, void *data);
    void *open_csv_data;
};

/* Reads the plan: a regular file of at most plan_bytes. Returns 0; or a negative errno with
 * a message for people in `ret_error`. `ret` needs plan_files_done in both cases. */
int plan_files_load(const char *path, size_t plan_bytes, struct plan_files *ret, struct buf *ret_error);

/* Keeps the bytes as the CSV file of that path; they are taken on success (an empty buffer is left). 0,
 * -EEXIST when the path is kept already, or -ENOMEM. */
int plan_files_keep_csv(struct plan_files *files, const char *path, struct buf *bytes);

/* For plan_yaml_options.read_csv, with a struct plan_files as data: gives what was
 * kept, else (unless sealed: -ENOENT) reads the file beneath the plan's folder (links cannot lead out of it)
 * and keeps it. */
int plan_files_read_csv(const char *path, struct buf *ret, void *data);

/* Sets `hash`: hex SHA-256 over the plan and the CSV files kept, in order of path. */
void plan_files_hash(struct plan_files *files);

/* Decodes the plan; limits and server names come from `settings`, which may be NULL. Returns as
 * plan_yaml_decode. */
int plan_files_decode(struct plan_files *files, const struct settings *settings, bool scheduled,
                      int64_t accepted_ms, struct plan **ret, struct diag *diag);

void plan_files_done(struct plan_files *files);
