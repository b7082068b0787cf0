#include "io/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define STATUS_EVERY_MS 1000

void notify_init(struct notify *notify)
{
    uint64_t usec = 0;
    *notify = (struct notify){0};
    if (sd_watchdog_enabled(0, &usec) > 0)
        notify->watchdog_ms = usec / 1000 / 4; /* several chances, since a turn may be late */
}

uint64_t notify_turn_ms(const struct notify *notify)
{
    return notify->watchdog_ms ? notify->watchdog_ms : UINT64_MAX;
}

void notify_turned(struct notify *notify, uint64_t now_ms)
{
    if (!notify->watchdog_ms || (notify->fed_ms && now_ms - notify->fed_ms < notify->watchdog_ms / 2))
        return;
    notify->fed_ms = now_ms;
    sd_notify(0, "WATCHDOG=1");
}

void notify_status(struct notify *notify, const char *status, uint64_t now_ms)
{
    if (strncmp(status, notify->status, sizeof(notify->status) - 1) == 0 ||
        (notify->status_ms && now_ms - notify->status_ms < STATUS_EVERY_MS))
        return;
    snprintf(notify->status, sizeof(notify->status), "%s", status);
    notify->status_ms = now_ms;
    sd_notifyf(0, "STATUS=%s", notify->status);
}

void notify_ready(void)
{
    sd_notify(0, "READY=1");
}

void notify_reloading(uint64_t now_ms)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_ms * 1000);
}

void notify_stopping(uint64_t need_ms)
{
    sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64, need_ms * 1000);
}
