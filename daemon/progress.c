#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/engine.h"
#include "model/window.h"

#define BAR_EVERY_MS 100
#define LINE_EVERY_MS 5000
#define WAIT_LINE_EVERY_MS (30 * 60000) /* while the window is closed: nothing changes */
#define BAR_CELLS 30

void progress_init(struct progress *progress, uint64_t now_ms)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");
    *progress = (struct progress){.started_ms = now_ms, .line_ms = now_ms + LINE_EVERY_MS};
    progress->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    progress->color = progress->terminal && !(no_color && *no_color);
}

static size_t status_done(const struct run_status *s)
{
    return s->count[ITEM_SUCCEEDED] + s->count[ITEM_SKIPPED] + s->count[ITEM_FAILED] +
           s->count[ITEM_CANCELLED] + s->count[ITEM_UNKNOWN];
}

/* "  12.3/s, 2m05s left" from what was done so far, "" while that says nothing. */
static void status_rate(const struct progress *p, const struct run_status *s, uint64_t now_ms, char *ret,
                        size_t size)
{
    size_t done = status_done(s);
    uint64_t ms = now_ms - p->started_ms;
    ret[0] = '\0';
    if (!done || ms < 500 || s->opens_ms)
        return;
    double rate = (double)done * 1000 / (double)ms;
    unsigned long left = (unsigned long)((double)(s->n_items - done) / rate);
    if (left >= 60)
        snprintf(ret, size, "  %.1f/s, %lum%02lus left", rate, left / 60, left % 60);
    else
        snprintf(ret, size, "  %.1f/s, %lus left", rate, left);
}

static void status_phase(const struct run_status *s, char *ret, size_t size)
{
    char opens[WINDOW_TEXT_MAX];
    if (s->opens_ms) {
        window_clock(s->window, s->opens_ms, opens);
        snprintf(ret, size, "waiting for its window until %s", opens);
    } else {
        snprintf(ret, size, "%s", s->resolving ? "looking names up" : s->verifying ? "verifying" : "cloning");
    }
}

static void progress_text(const struct progress *p, const struct run_status *s, const char *trouble,
                          uint64_t now_ms, char *ret, size_t size)
{
    char rate[64], phase[96];
    size_t bad = s->count[ITEM_FAILED] + s->count[ITEM_UNKNOWN];
    status_phase(s, phase, sizeof(phase));
    status_rate(p, s, now_ms, rate, sizeof(rate));
    int n = snprintf(ret, size, "%s: %zu/%zu done, %zu running", phase, status_done(s), s->n_items,
                     s->count[ITEM_RUNNING] + s->count[ITEM_SUBMITTING]);
    if (s->count[ITEM_IN_DOUBT] && n > 0 && (size_t)n < size)
        n += snprintf(ret + n, size - (size_t)n, ", %zu in doubt", s->count[ITEM_IN_DOUBT]);
    if (bad && n > 0 && (size_t)n < size)
        n += snprintf(ret + n, size - (size_t)n, ", %zu failed", bad);
    if (n > 0 && (size_t)n < size)
        snprintf(ret + n, size - (size_t)n, "%s%s%s", rate, *trouble ? "; " : "", trouble);
}

static void progress_bar(const struct progress *p, const struct run_status *s, const char *text)
{
    struct winsize window;
    size_t cells = s->n_items ? status_done(s) * BAR_CELLS / s->n_items : BAR_CELLS;
    int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 50 ? window.ws_col : 80;
    fputs("\r\033[K", stderr);
    if (p->color)
        fputs(s->count[ITEM_FAILED] + s->count[ITEM_UNKNOWN] ? "\033[33m" : "\033[32m", stderr);
    fputc('[', stderr);
    for (size_t i = 0; i < BAR_CELLS; i++)
        fputc(i < cells ? '#' : '.', stderr);
    fputc(']', stderr);
    if (p->color)
        fputs("\033[0m", stderr);
    fprintf(stderr, " %.*s", width - BAR_CELLS - 4, text);
    fflush(stderr);
}

void progress_show(struct progress *p, const struct run_status *status, const char *trouble, uint64_t now_ms)
{
    char text[512];
    bool opened = p->waits && !status->opens_ms;
    if (p->terminal ? now_ms < p->shown_ms + BAR_EVERY_MS : now_ms < p->line_ms && !opened)
        return;
    p->waits = status->opens_ms != 0;
    p->shown_ms = now_ms;
    p->line_ms = now_ms + (p->waits ? WAIT_LINE_EVERY_MS : LINE_EVERY_MS);
    progress_text(p, status, trouble, now_ms, text, sizeof(text));
    if (p->terminal)
        progress_bar(p, status, text);
    else
        fprintf(stderr, "%s\n", text);
    p->shown = p->terminal;
}

void progress_clear(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
