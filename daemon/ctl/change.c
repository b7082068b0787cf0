/* jobclonectl pause, resume, cancel, retry: what changes a run. */
#include <stdio.h>

#include "base/cleanup.h"
#include "ctl/client.h"
#include "ctl/print.h"

#define TEXT_BYTES ((size_t)64 * 1024)

/* "ID: paused" on standard output; beside it what keeps the run from going on. */
static void print_state(json_t *run)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_BYTES);
    print_text(&text, run, "run", "");
    buf_add_str(&text, ": ");
    print_text(&text, run, "state", "");
    if (json_is_string(json_object_get(run, "phase"))) {
        buf_add_str(&text, ", ");
        print_text(&text, run, "phase", "");
    }
    puts(buf_str(&text));
    if (!json_is_string(json_object_get(run, "trouble")))
        return;
    buf_reset(&text);
    print_text(&text, run, "trouble", "");
    fprintf(stderr, "%s\n", buf_str(&text));
}

static int change(struct ctl *ctl, const char *tail, const struct buf *body)
{
    _cleanup_free_ char *path = client_path("/v1/runs/", ctl->words[0], tail);
    json_t *run = NULL;
    if (!path)
        return CTL_UNREACHABLE;
    int r = client_ask(ctl, "POST", path, body, &run);
    if (r == CTL_OK && !ctl->json)
        print_state(run);
    json_decref(run);
    return r;
}

int command_pause(struct ctl *ctl)
{
    return change(ctl, "/pause", NULL);
}

int command_resume(struct ctl *ctl)
{
    return change(ctl, "/resume", NULL);
}

int command_cancel(struct ctl *ctl)
{
    _cleanup_(buf_done) struct buf body = BUF_INIT(TEXT_BYTES);
    buf_add_str(&body, ctl->stop_tasks ? "{\"stop_tasks\":true}" : "{}");
    return change(ctl, "/cancel", &body);
}

int command_retry(struct ctl *ctl)
{
    return change(ctl, "/retry", NULL);
}
