#include "ctl/view_line.h"

#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "ctl/print.h"

#define SHORT_ID 4
#define TEXT_BYTES ((size_t)64 * 1024)

static const char *text_of(json_t *run, const char *key)
{
    const char *text = json_string_value(json_object_get(run, key));
    return text ? text : "";
}

static json_int_t total_of(json_t *run, const char *key)
{
    return print_number(json_object_get(run, "totals"), key);
}

void view_line_label(struct buf *out, json_t *run, size_t columns)
{
    _cleanup_(buf_done) struct buf name = BUF_INIT(TEXT_BYTES);
    const char *id = text_of(run, "run");
    size_t len = strlen(id), after = SHORT_ID + 3;
    print_text(&name, run, "plan", "");
    view_line_cut(&name, columns > after ? columns - after : 0);
    buf_printf(out, "%s (%s)", buf_str(&name), len > SHORT_ID ? id + len - SHORT_ID : id);
}

json_int_t view_line_done(json_t *run)
{
    return total_of(run, "succeeded") + total_of(run, "skipped") + total_of(run, "failed") +
           total_of(run, "cancelled") + total_of(run, "unknown");
}

double view_line_rate(const struct view_run *run)
{
    if (run->n_samples < 2)
        return 0;
    const struct view_sample *first = &run->samples[0], *last = &run->samples[run->n_samples - 1];
    if (last->ms - first->ms < 1000)
        return 0;
    return (double)(last->done - first->done) * 1000 / (double)(last->ms - first->ms);
}

static void add_duration(struct buf *out, double seconds)
{
    unsigned long s = seconds < 1e9 ? (unsigned long)(seconds + 0.999) : 0;
    if (s < 60)
        buf_printf(out, "%lus", s);
    else if (s < 3600)
        buf_printf(out, "%lum%02lus", s / 60, s % 60);
    else
        buf_printf(out, "%luh%02lum", s / 3600, s / 60 % 60);
}

static void add_rate(struct buf *out, const struct view_run *run)
{
    double rate = view_line_rate(run);
    json_int_t left = total_of(run->run, "items") - view_line_done(run->run);
    if (rate <= 0 || left <= 0)
        return;
    if (rate >= 1)
        buf_printf(out, "  %.1f/s  ", rate);
    else
        buf_printf(out, "  %.1f/min  ", rate * 60);
    add_duration(out, (double)left / rate);
    buf_add_str(out, " left");
}

/* What it does, when that is not simply cloning. */
static void add_state(struct buf *out, json_t *run)
{
    const char *state = text_of(run, "state"), *phase = text_of(run, "phase");
    if (strcmp(state, "running") != 0)
        buf_printf(out, "  %s", state);
    else if (strcmp(phase, "resolving") == 0)
        buf_add_str(out, "  looking names up");
    else if (strcmp(phase, "waiting") == 0)
        buf_add_str(out, "  waiting for its window");
    else if (strcmp(phase, "verifying") == 0 || strcmp(phase, "cancelling") == 0)
        buf_printf(out, "  %s", phase);
}

void view_line_numbers(struct buf *out, const struct view_run *run)
{
    json_int_t items = total_of(run->run, "items"), done = view_line_done(run->run);
    json_int_t failed = total_of(run->run, "failed"), unknown = total_of(run->run, "unknown");
    buf_printf(out, "%lld/%lld %3lld%%", done, items, items > 0 ? done * 100 / items : 0);
    if (failed > 0)
        buf_printf(out, "  %lld failed", failed);
    if (unknown > 0)
        buf_printf(out, "  %lld unknown", unknown);
    if (total_of(run->run, "in_doubt") > 0)
        buf_printf(out, "  %lld in doubt", total_of(run->run, "in_doubt"));
    add_state(out, run->run);
    add_rate(out, run);
}

void view_line_bar(struct buf *out, json_t *run, size_t columns, bool utf8)
{
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    json_int_t items = total_of(run, "items"), done = view_line_done(run);
    size_t eighths = items > 0 ? (size_t)((double)done / (double)items * (double)(columns * 8)) : 0;
    size_t full = eighths / 8, used = full;
    for (size_t i = 0; i < full; i++)
        buf_add_str(out, utf8 ? "█" : "#");
    if (utf8 && full < columns && eighths % 8 > 0) {
        buf_add_str(out, parts[eighths % 8]);
        used++;
    }
    for (; used < columns; used++)
        buf_add_str(out, utf8 ? "░" : ".");
}

static double seconds_between(json_t *run, const char *from, const char *to)
{
    struct tm a = {0}, b = {0};
    if (!strptime(text_of(run, from), "%Y-%m-%dT%H:%M:%SZ", &a) ||
        !strptime(text_of(run, to), "%Y-%m-%dT%H:%M:%SZ", &b))
        return -1;
    return difftime(timegm(&b), timegm(&a));
}

void view_line_end(struct buf *out, json_t *run)
{
    static const char *const counts[] = {"succeeded", "skipped", "failed", "cancelled", "unknown"};
    const char *comma = ": ";
    double seconds = seconds_between(run, "started", "finished");
    print_text(out, run, "state", "");
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        if (total_of(run, counts[i]) == 0)
            continue;
        buf_printf(out, "%s%lld %s", comma, total_of(run, counts[i]), counts[i]);
        comma = ", ";
    }
    if (seconds >= 0) {
        buf_add_str(out, " in ");
        add_duration(out, seconds);
    }
    buf_add_str(out, "; run ");
    print_text(out, run, "run", "");
}

void view_line_cut(struct buf *text, size_t columns)
{
    mbstate_t state = {0};
    size_t width = 0;
    for (size_t i = 0; i < text->len;) {
        wchar_t c;
        size_t n = mbrtowc(&c, text->data + i, text->len - i, &state);
        int w = n <= text->len - i ? wcwidth(c) : 1;
        if (n == 0 || n > text->len - i) {
            n = 1;
            memset(&state, 0, sizeof(state));
        }
        width += w > 0 ? (size_t)w : 0;
        if (width > columns) {
            text->len = i;
            text->data[i] = '\0';
            return;
        }
        i += n;
    }
}
