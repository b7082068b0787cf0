/* The JSON of the control socket (docs/control-api.md): answers and events from
 * values, and the two bodies that requests have. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "model/control.h"

/* Each adds one document without a line end; 0, -ENOBUFS, -ENOMEM, or what a preview's item said. */
int control_json_status(struct buf *out, const struct control_status *status);
int control_json_run(struct buf *out, const struct control_run *run);
int control_json_runs(struct buf *out, const struct control_run *runs, size_t n, bool more);
int control_json_schedules(struct buf *out, const struct control_schedule *schedules, size_t n);
int control_json_preview(struct buf *out, const struct control_preview *preview);
int control_json_failure(struct buf *out, const struct control_failure *failure);
int control_json_error(struct buf *out, const char *code, const char *message);

/* A plan as it came in a request. */
struct control_plan {
    char *file;
    struct buf bytes;
    struct control_csv {
        char *path;
        struct buf bytes;
    } * csv;
    size_t n_csv;
};

void control_plan_done(struct control_plan *plan);

/* Reads the body of a submit or a preview; the plan and each CSV file have at most plan_bytes. 0; -EINVAL, or
 * -EFBIG for one that is too long, with a sentence in `ret_error`; -ENOMEM. `ret` needs control_plan_done in
 * each case. */
int control_json_decode_plan(struct bytes body, size_t plan_bytes, struct control_plan *ret,
                             struct buf *ret_error);

/* Reads the body of a cancel; an empty one is {}. Returns as control_json_decode_plan. */
int control_json_decode_cancel(struct bytes body, bool *ret_stop_tasks, struct buf *ret_error);
