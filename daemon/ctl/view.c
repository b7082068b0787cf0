#include "ctl/view.h"

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "ctl/print.h"
#include "ctl/view_line.h"

#define DRAW_MS 100
#define REDRAW_MS 1000
#define LINE_MS 5000 /* plain lines of one run are so far apart */
#define LABEL_MIN 16
#define LABEL_MAX 32
#define BAR_MIN 8
#define BAR_MAX 40
#define TEXT_BYTES ((size_t)64 * 1024)
#define OUT_BYTES ((size_t)16 * 1024 * 1024)

#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define RED "\033[31m"
#define PLAIN "\033[0m"

void view_init(struct view *view, int fd)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    *view = (struct view){
        .fd = fd, .above = BUF_INIT(OUT_BYTES), .note = BUF_INIT(TEXT_BYTES), .out = BUF_INIT(OUT_BYTES)};
    view->terminal = isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
    view->color = view->terminal && !(no_color && *no_color);
    view->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* ---- lines above ---- */

static void begin_line(struct view *view, const char *color)
{
    char clock[16];
    time_t now = time(NULL);
    struct tm tm;
    strftime(clock, sizeof(clock), "%T ", localtime_r(&now, &tm));
    buf_add_str(&view->above, clock);
    if (view->color)
        buf_add_str(&view->above, color);
}

static void end_line(struct view *view)
{
    if (view->color)
        buf_add_str(&view->above, PLAIN);
    buf_add_str(&view->above, view->terminal ? "\033[K\n" : "\n");
    view->dirty = true;
}

void view_say(struct view *view, const char *text)
{
    begin_line(view, "");
    text_escape(&view->above, text);
    end_line(view);
}

void view_note(struct view *view, const char *note)
{
    if (strcmp(buf_str(&view->note), note) == 0)
        return;
    buf_reset(&view->note);
    text_escape(&view->note, note);
    view->dirty = true;
    if (!view->terminal && *note)
        view_say(view, note);
}

static const struct view_run *find(const struct view *view, const char *id)
{
    for (size_t i = 0; i < view->n_runs; i++)
        if (strcmp(view->runs[i].id, id) == 0)
            return &view->runs[i];
    return NULL;
}

void view_failure(struct view *view, json_t *failure)
{
    const char *id = json_string_value(json_object_get(failure, "run"));
    const struct view_run *run = find(view, id ? id : "");
    begin_line(view, RED);
    if (run) {
        view_line_label(&view->above, run->run, SIZE_MAX);
        buf_add_str(&view->above, ": ");
    }
    buf_printf(&view->above, "item %lld ", print_number(failure, "index"));
    print_text(&view->above, failure, "name", "");
    buf_add_char(&view->above, ' ');
    print_text(&view->above, failure, "state", "failed");
    buf_add_str(&view->above, ": ");
    print_text(&view->above, failure, "code", "");
    buf_add_str(&view->above, ": ");
    print_text(&view->above, failure, "message", "");
    end_line(view);
}

/* ---- runs ---- */

static bool has_ended(json_t *run)
{
    const char *state = json_string_value(json_object_get(run, "state"));
    return state && (strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 ||
                     strcmp(state, "cancelled") == 0);
}

static void say_end(struct view *view, json_t *run)
{
    const char *state = json_string_value(json_object_get(run, "state"));
    begin_line(view, strcmp(state, "succeeded") == 0 ? GREEN : strcmp(state, "failed") == 0 ? RED : YELLOW);
    view_line_label(&view->above, run, SIZE_MAX);
    buf_add_char(&view->above, ' ');
    view_line_end(&view->above, run);
    end_line(view);
}

void view_forget(struct view *view, const char *id)
{
    for (size_t i = 0; i < view->n_runs; i++) {
        if (strcmp(view->runs[i].id, id) != 0)
            continue;
        json_decref(view->runs[i].run);
        memmove(&view->runs[i], &view->runs[i + 1], (view->n_runs - i - 1) * sizeof(view->runs[0]));
        view->n_runs--;
        view->dirty = true;
        return;
    }
}

void view_restart(struct view *view)
{
    for (size_t i = 0; i < view->n_runs; i++)
        view->runs[i].n_samples = 0;
}

static struct view_run *find_or_add(struct view *view, const char *id)
{
    struct view_run *run = (struct view_run *)find(view, id);
    if (run)
        return run;
    struct view_run *runs = reallocarray(view->runs, view->n_runs + 1, sizeof(*runs));
    if (!runs)
        return NULL;
    view->runs = runs;
    run = &runs[view->n_runs++];
    *run = (struct view_run){0};
    snprintf(run->id, sizeof(run->id), "%s", id);
    return run;
}

/* The oldest makes room: the rate is that of the last half minute or so. */
static void add_sample(struct view_run *run, uint64_t now_ms)
{
    if (run->n_samples > 0 && view_line_done(run->run) < run->samples[run->n_samples - 1].done)
        run->n_samples = 0; /* opened again by a retry */
    if (run->n_samples > 0 && now_ms - run->samples[run->n_samples - 1].ms < 1000 && run->n_samples > 1) {
        run->samples[run->n_samples - 1].done = view_line_done(run->run);
        return;
    }
    if (run->n_samples == VIEW_SAMPLES)
        memmove(&run->samples[0], &run->samples[1], --run->n_samples * sizeof(run->samples[0]));
    run->samples[run->n_samples++] = (struct view_sample){now_ms, view_line_done(run->run)};
}

static void say_plain(struct view *view, struct view_run *run, uint64_t now_ms)
{
    if (view->terminal || !run->unsaid || now_ms < run->line_ms)
        return;
    run->line_ms = now_ms + LINE_MS;
    run->unsaid = false;
    begin_line(view, "");
    view_line_label(&view->above, run->run, SIZE_MAX);
    buf_add_char(&view->above, ' ');
    view_line_numbers(&view->above, run);
    end_line(view);
}

bool view_run(struct view *view, json_t *told, uint64_t now_ms)
{
    const char *id = json_string_value(json_object_get(told, "run"));
    if (has_ended(told)) {
        say_end(view, told);
        view_forget(view, id ? id : "");
        return true;
    }
    struct view_run *run = find_or_add(view, id ? id : "");
    if (!run)
        return false;
    json_decref(run->run);
    run->run = json_incref(told);
    run->unsaid = true;
    add_sample(run, now_ms);
    say_plain(view, run, now_ms);
    view->dirty = true;
    return false;
}

void view_tick(struct view *view, uint64_t now_ms)
{
    for (size_t i = 0; i < view->n_runs; i++) {
        add_sample(&view->runs[i], now_ms);
        say_plain(view, &view->runs[i], now_ms);
    }
}

/* ---- the region ---- */

struct region {
    size_t rows, columns; /* of the terminal */
    size_t label;         /* columns of the widest label */
    size_t lines;
};

static struct region measure(const struct view *view)
{
    struct winsize window;
    struct region region = {24, 80, 0, 0};
    if (ioctl(view->fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0)
        region = (struct region){window.ws_row, window.ws_col, 0, 0};
    if (region.rows > ARRAY_SIZE(view->drawn_widths))
        region.rows = ARRAY_SIZE(view->drawn_widths);
    return region;
}

static bool is_queued(const struct view_run *run)
{
    const char *state = json_string_value(json_object_get(run->run, "state"));
    return state && strcmp(state, "queued") == 0;
}

/* The text goes out as one line of the region, cut to the terminal. */
static void put_line(struct view *view, struct region *region, struct buf *text, size_t extra_bytes_at,
                     const char *color)
{
    view_line_cut(text, region->columns - 1);
    view->drawn_widths[region->lines++] = (unsigned short)print_width(buf_str(text));
    if (color && view->color && extra_bytes_at < text->len) {
        buf_add(&view->out, text->data, extra_bytes_at);
        buf_add_str(&view->out, color);
        buf_add_str(&view->out, text->data + extra_bytes_at);
        buf_add_str(&view->out, PLAIN);
    } else {
        buf_add_str(&view->out, buf_str(text));
    }
    buf_add_str(&view->out, "\033[K\n");
}

static void put_run(struct view *view, struct region *region, const struct view_run *run)
{
    _cleanup_(buf_done) struct buf line = BUF_INIT(TEXT_BYTES), numbers = BUF_INIT(TEXT_BYTES);
    json_t *totals = json_object_get(run->run, "totals");
    bool bad = print_number(totals, "failed") + print_number(totals, "unknown") > 0;
    view_line_numbers(&numbers, run);
    view_line_label(&line, run->run, region->label);
    for (size_t n = print_width(buf_str(&line)); n <= region->label; n++)
        buf_add_char(&line, ' ');
    size_t taken = region->label + 2 + print_width(buf_str(&numbers)), bar_at = line.len;
    size_t bar = region->columns > taken + 1 ? region->columns - taken - 1 : 0;
    if (bar >= BAR_MIN)
        view_line_bar(&line, run->run, bar < BAR_MAX ? bar : BAR_MAX, view->utf8);
    if (bar >= BAR_MIN)
        buf_add_char(&line, ' ');
    buf_add_str(&line, buf_str(&numbers));
    put_line(view, region, &line, bar_at, bad ? YELLOW : GREEN);
}

static void put_trouble(struct view *view, struct region *region, const struct view_run *run)
{
    _cleanup_(buf_done) struct buf line = BUF_INIT(TEXT_BYTES);
    if (!json_is_string(json_object_get(run->run, "trouble")) || region->lines + 2 >= region->rows)
        return;
    buf_add_str(&line, "  ! ");
    print_text(&line, run->run, "trouble", "");
    put_line(view, region, &line, 0, YELLOW);
}

static void widest_label(const struct view *view, struct region *region)
{
    for (size_t i = 0; i < view->n_runs; i++) {
        _cleanup_(buf_done) struct buf label = BUF_INIT(TEXT_BYTES);
        if (is_queued(&view->runs[i]))
            continue;
        view_line_label(&label, view->runs[i].run, SIZE_MAX);
        size_t width = print_width(buf_str(&label));
        if (width > region->label)
            region->label = width;
    }
    size_t third = region->columns / 3 > LABEL_MIN ? region->columns / 3 : LABEL_MIN;
    size_t most = third < LABEL_MAX ? third : LABEL_MAX;
    if (region->label > most)
        region->label = most;
}

static void put_rest(struct view *view, struct region *region, size_t hidden, size_t queued)
{
    _cleanup_(buf_done) struct buf line = BUF_INIT(TEXT_BYTES);
    if (hidden > 0)
        buf_printf(&line, "and %zu more", hidden);
    if (queued > 0)
        buf_printf(&line, "%s%zu queued", hidden > 0 ? ", " : "", queued);
    if (line.len > 0)
        put_line(view, region, &line, 0, NULL);
    buf_reset(&line);
    buf_add_str(&line, buf_str(&view->note));
    if (line.len > 0)
        put_line(view, region, &line, 0, YELLOW);
}

static void put_region(struct view *view, struct region *region)
{
    size_t hidden = 0, queued = 0;
    widest_label(view, region);
    for (size_t i = 0; i < view->n_runs; i++) {
        if (is_queued(&view->runs[i])) {
            queued++;
        } else if (region->lines + 3 >= region->rows) {
            hidden++;
        } else {
            put_run(view, region, &view->runs[i]);
            put_trouble(view, region, &view->runs[i]);
        }
    }
    put_rest(view, region, hidden, queued);
}

/* Rows that the old region takes now: a terminal that has become narrower has broken its lines. */
static size_t drawn_rows(const struct view *view, size_t columns)
{
    size_t rows = 0;
    for (size_t i = 0; i < view->drawn; i++)
        rows += view->drawn_widths[i] > 0 ? (view->drawn_widths[i] + columns - 1) / columns : 1;
    return rows;
}

static void send_out(struct view *view)
{
    const char *data = buf_str(&view->out);
    size_t len = view->out.len;
    while (len > 0) {
        ssize_t n = write(view->fd, data, len);
        if (n < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = view->fd, .events = POLLOUT}, 1, -1);
        else if (n < 0 && errno != EINTR)
            break;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    buf_reset(&view->out);
}

static void draw_terminal(struct view *view)
{
    struct region region = measure(view);
    size_t rows = drawn_rows(view, region.columns);
    buf_add_str(&view->out, "\033[?2026h\033[?25l\r"); /* shown at once, where the terminal can; no cursor */
    if (rows > 0)
        buf_printf(&view->out, "\033[%zuA", rows);
    buf_add(&view->out, buf_str(&view->above), view->above.len);
    put_region(view, &region);
    buf_add_str(&view->out, "\033[J\033[?2026l");
    view->drawn = region.lines;
    send_out(view);
}

void view_draw(struct view *view, uint64_t now_ms)
{
    if (!view->terminal) {
        buf_add(&view->out, buf_str(&view->above), view->above.len);
        send_out(view);
    } else if ((view->dirty && now_ms - view->drawn_ms >= DRAW_MS) || now_ms - view->drawn_ms >= REDRAW_MS) {
        draw_terminal(view);
        view->drawn_ms = now_ms;
    } else {
        return;
    }
    view->dirty = false;
    buf_reset(&view->above);
}

void view_done(struct view *view)
{
    if (view->terminal) {
        draw_terminal(view);
        buf_add_str(&view->out, "\033[?25h");
    } else {
        buf_add(&view->out, buf_str(&view->above), view->above.len);
    }
    send_out(view);
    for (size_t i = 0; i < view->n_runs; i++)
        json_decref(view->runs[i].run);
    free(view->runs);
    buf_done(&view->above);
    buf_done(&view->note);
    buf_done(&view->out);
}
