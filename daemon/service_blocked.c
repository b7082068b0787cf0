/* Runs that cannot begin, since their server is not there: why, and what operators want of them meanwhile.
 * A wish is stored with the run and acts when it can go into the engine: one that is to be cancelled and has
 * nothing that may have reached the server goes there at once, without it. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "engine/engine.h"
#include "io/store_async.h"
#include "model/settings.h"
#include "service_parts.h"

/* ---- what is known of it ---- */

void service_blocked_count(struct service_run *run, const struct run_load *load)
{
    if (!load->run.id)
        return; /* it could not be read */
    memset(run->count, 0, sizeof(run->count));
    for (size_t i = 0; i < load->n_items; i++)
        run->count[load->items[i].state]++;
    run->counted = true;
}

size_t service_blocked_moving(const struct service_run *run)
{
    return run->count[ITEM_SUBMITTING] + run->count[ITEM_RUNNING] + run->count[ITEM_IN_DOUBT];
}

bool service_blocked_cancels(const struct service_run *run)
{
    bool commanded = run->command == COMMAND_CANCEL || run->command == COMMAND_CANCEL_TASKS;
    return commanded || (run->row.wish >= RUN_WISH_CANCEL && !run->reopened && !run->look);
}

/* A server that has changed waits for the runs that are under way on it as it was. It is as good as any for a
 * run that is only cancelled. */
static int server_missing(const struct service_run *run)
{
    const struct service *service = run->service;
    if (service->leaving)
        return -ESHUTDOWN;
    if (host_find_server(&service->host, run->row.server) ||
        (service_blocked_cancels(run) && host_has_server(&service->host, run->row.server)))
        return 0;
    return settings_server(service->settings, run->row.server) ? -EBUSY : -ENOENT;
}

int service_blocked_mode(const struct service_run *run, enum engine_run_mode *ret)
{
    int r = server_missing(run);
    if (r == 0) {
        *ret = run->look ? ENGINE_LOOK : run->reopened ? ENGINE_ENDED_RUN : ENGINE_RUN;
        return 0;
    }
    if (r == -ESHUTDOWN || !service_blocked_cancels(run) || service_blocked_moving(run))
        return r;
    *ret = ENGINE_CANCEL;
    return 0;
}

/* ---- saying why ---- */

static void say_missing(const struct service_run *run, struct buf *text)
{
    size_t moving = service_blocked_moving(run);
    if (run->blocked == -EBUSY) {
        buf_printf(text, "it waits: server %s has changed, and earlier runs are under way on it as it was",
                   run->row.server);
        return;
    }
    buf_printf(text, "it waits: the settings have no server %s; add it and reload", run->row.server);
    if (moving)
        buf_printf(text, "; what may have reached it (%zu clones) is settled then, and is not sent again",
                   moving);
    else if (!service_blocked_cancels(run))
        buf_add_str(text, ", or cancel the run");
}

static void say_blocked(struct service_run *run, const struct diag *diag)
{
    struct buf text = BUF_INIT(4096);
    if (run->row.wish == RUN_WISH_PAUSE)
        buf_add_str(&text, "it is paused; ");
    else if (run->row.wish >= RUN_WISH_CANCEL)
        buf_add_str(&text, "it is to be cancelled, which is stored, and sends nothing more; ");
    if (run->blocked == -ENOENT || run->blocked == -EBUSY)
        say_missing(run, &text);
    else if (run->blocked == -EINVAL && diag && diag->count)
        buf_printf(&text, "it cannot begin: its plan is not understood by this version: %s",
                   buf_str(&diag->text));
    else
        buf_printf(&text, "it cannot begin: %s; tried again", strerror(-run->blocked));
    service_run_trouble(run, buf_str(&text));
    buf_done(&text);
}

int service_blocked_answer(int error)
{
    switch (error) {
    case -ENOENT:
        return -EHOSTUNREACH; /* no server */
    case -EBUSY:
        return -EAGAIN; /* the server as it was is still in use */
    case -EINVAL:
        return -ENOEXEC; /* the plan is not understood */
    default:
        return error;
    }
}

/* ---- what is wanted of it ---- */

int service_blocked_allows(const struct service_run *run, enum run_command command)
{
    enum run_wish wish = run->row.wish;
    switch (command) {
    case COMMAND_PAUSE:
        return wish >= RUN_WISH_CANCEL ? -EINVAL : wish == RUN_WISH_PAUSE ? -EALREADY : 0;
    case COMMAND_RESUME:
        return wish == RUN_WISH_PAUSE ? 0 : -EALREADY;
    case COMMAND_CANCEL:
        return wish >= RUN_WISH_CANCEL ? -EALREADY : 0;
    case COMMAND_CANCEL_TASKS:
        return wish >= RUN_WISH_CANCEL_TASKS ? -EALREADY : 0;
    case COMMAND_RETRY:
    case COMMAND_NONE:
        break;
    }
    return -EINVAL;
}

static enum run_wish wish_of(enum run_command command)
{
    switch (command) {
    case COMMAND_PAUSE:
        return RUN_WISH_PAUSE;
    case COMMAND_CANCEL:
        return RUN_WISH_CANCEL;
    case COMMAND_CANCEL_TASKS:
        return RUN_WISH_CANCEL_TASKS;
    case COMMAND_RESUME:
    case COMMAND_RETRY:
    case COMMAND_NONE:
        break;
    }
    return RUN_WISH_NONE;
}

static enum run_state state_of(const struct service_run *run)
{
    if (run->command == COMMAND_PAUSE)
        return RUN_PAUSED;
    if (run->row.state != RUN_PAUSED)
        return run->row.state;
    return run->row.started_ms ? RUN_RUNNING : RUN_QUEUED;
}

/* The store answers in the order in which it was asked, so the run has not gone into the engine meanwhile. */
static void on_wish(int error, void *data)
{
    struct service_run *run = data;
    run->service->storing--;
    if (error == 0) {
        run->row.state = state_of(run);
        run->row.wish = wish_of(run->command);
        say_blocked(run, NULL);
        service_run_changed(run, run->row.state, run->row.wish);
    }
    service_control_answered(run, error);
}

static int keep_wish(struct service_run *run)
{
    int r = service_blocked_allows(run, run->command);
    if (r == 0)
        r = store_async_set_wish(run->service->host.store, run->row.id, state_of(run), wish_of(run->command),
                                 on_wish, run);
    run->service->storing += r == 0;
    return r;
}

void service_blocked(struct service_run *run, int error, const struct diag *diag)
{
    int r = service_blocked_answer(error);
    run->blocked = error;
    say_blocked(run, diag);
    if (run->command == COMMAND_NONE)
        return;
    if (error == -ENOENT || error == -EBUSY)
        r = keep_wish(run);
    if (r < 0)
        service_control_answered(run, r);
}
