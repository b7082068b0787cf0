/* fake_control SOCKET [ITEMS_PER_TICK [RUN_ITEMS...]]: a control socket with runs
 * that go on by themselves, until SIGTERM. Prints "ready" when it listens. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "fake_control.h"

static struct fake fake;

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_close((uv_handle_t *)handle, NULL);
    fake_stop(&fake);
}

int main(int argc, char **argv)
{
    uv_loop_t loop;
    uv_signal_t term;
    struct buf error = BUF_INIT(4096);
    struct fake_options options = {.path = argc > 1 ? argv[1] : "", .plan_bytes = 1 << 20, .delay_ms = 10};
    options.per_tick = argc > 2 ? (size_t)atoi(argv[2]) : 2;
    uv_loop_init(&loop);
    if (fake_start(&fake, &loop, &options, &error) < 0) {
        fprintf(stderr, "fake_control: %s\n", buf_str(&error));
        return 3;
    }
    for (int i = 3; i < argc; i++)
        fake_add(&fake, i % 2 ? "onboard\033[31m" : "tenants of the whole year", "onboard.yaml",
                 (size_t)atoi(argv[i]));
    uv_signal_init(&loop, &term);
    uv_signal_start(&term, on_signal, SIGTERM);
    puts("ready");
    fflush(stdout);
    uv_run(&loop, UV_RUN_DEFAULT);
    buf_done(&error);
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}
