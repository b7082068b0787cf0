#include "once_older.h"

#include <errno.h>
#include <string.h>

#include "base/diag.h"
#include "base/log.h"
#include "io/loop.h"
#include "run_load.h"

static bool is_open(const struct store_run *run)
{
    return run->state == RUN_QUEUED || run->state == RUN_RUNNING || run->state == RUN_PAUSED;
}

static int look_at(const char *run_id, struct store_sqlite *store, struct engine *engine)
{
    struct run_load older;
    struct diag diag = DIAG_INIT;
    int r = run_load_init(&older);
    if (r == 0)
        r = run_load_row(&older, store, run_id);
    if (r == 0 && is_open(&older.run)) {
        r = run_load_items(&older, store);
        if (r == 0)
            r = run_load_plan(&older, &diag);
        if (r == 0) {
            log_info(
                "run %s of plan '%s' was interrupted: its clones are looked for, since it holds names on "
                "this server; the same command goes on with it",
                run_id, older.run.plan);
            r = run_load_add(&older, engine, ENGINE_LOOK, true, loop_now());
        }
    }
    diag_done(&diag);
    run_load_done(&older);
    return r == -EEXIST ? 0 : r; /* it holds several names */
}

void once_look_at_older(const struct run_load *load, struct store_sqlite *store, struct engine *engine)
{
    const char *last = "";
    for (size_t i = 0; i < load->n_held; i++) {
        if (!load->held[i].unfinished || strcmp(load->holders[i], last) == 0)
            continue;
        last = load->holders[i];
        int r = engine_run_item(engine, last, 0) ? 0 : look_at(last, store, engine);
        if (r < 0)
            log_warning(
                "run %s was interrupted and cannot be looked at (%s): names that it holds are in doubt", last,
                strerror(-r));
    }
}
