/* What the daemon tells systemd (sd_notify(3)): ready, busy with what, alive,
 * reloading, stopping. Does nothing when nobody listens. */
#pragma once

#include <stdint.h>

#define NOTIFY_STATUS_MAX 256

struct notify {
    uint64_t watchdog_ms; /* a turn is due at least this often; 0: nobody watches */
    uint64_t fed_ms;      /* the watchdog was fed last */
    uint64_t status_ms;   /* the status was sent last */
    char status[NOTIFY_STATUS_MAX];
};

/* Reads what systemd expects of us. */
void notify_init(struct notify *notify);

/* The longest wait between two turns that keeps the watchdog quiet, in milliseconds; UINT64_MAX when nobody
 * watches. */
uint64_t notify_turn_ms(const struct notify *notify);

/* Called by every turn and by nothing else: a loop that turns no more is not alive. */
void notify_turned(struct notify *notify, uint64_t now_ms);

/* The line of `systemctl status`; sent when it has changed, at most once a second. */
void notify_status(struct notify *notify, const char *status, uint64_t now_ms);

/* Loaded and ready for work; also the end of a reload. */
void notify_ready(void);

/* A reload begins; `now_ms` is monotonic. */
void notify_reloading(uint64_t now_ms);

/* It will stop, in at most `need_ms` from now. */
void notify_stopping(uint64_t need_ms);
