#include "codec/report_text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/text.h"
#include "codec/report_advice.h"
#include "model/item.h"

#define PAGE_BYTES_MAX (16 * 1024 * 1024)
#define NAME_WIDTH_MAX 50
#define MESSAGE_WIDTH_MAX 300 /* a server's message may be a whole page; the result has all of it */

/* What one look at all items gives. */
struct survey {
    struct result_totals totals;
    size_t by_code[ITEM_ERROR_COUNT];
    size_t rows;                   /* failed and unknown */
    size_t name_width, code_width; /* of the rows shown */
};

/* Characters on the screen, one for each code point. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static int add_padded(struct buf *out, const char *text, size_t width)
{
    size_t used = width_of(text);
    int r = buf_add_str(out, text);
    for (; used < width && r == 0; used++)
        r = buf_add_char(out, ' ');
    return r;
}

/* The text without control characters, in a buffer of its own. */
static const char *shown(struct buf *scratch, const char *text)
{
    buf_reset(scratch);
    text_escape(scratch, text != NULL ? text : "");
    return buf_str(scratch);
}

/* Shortens the text in a buffer to so many characters. */
static const char *shortened(struct buf *text, size_t width)
{
    for (size_t i = 0, n = 0; i < text->len; i++) {
        n += ((unsigned char)text->data[i] & 0xc0) != 0x80;
        if (n <= width)
            continue;
        text->len = i;
        text->data[i] = '\0';
        buf_add_str(text, "...");
        break;
    }
    return buf_str(text);
}

static bool needs_row(const struct item *item)
{
    return item->state == ITEM_FAILED || item->state == ITEM_UNKNOWN;
}

static void survey_row(struct survey *survey, const struct item *item, struct buf *scratch)
{
    if (survey->rows++ >= REPORT_ROWS_MAX)
        return;
    size_t name = width_of(shown(scratch, item->name));
    size_t code = strlen(item_error_name(item->error));
    if (name > survey->name_width)
        survey->name_width = name < NAME_WIDTH_MAX ? name : NAME_WIDTH_MAX;
    if (code > survey->code_width)
        survey->code_width = code;
}

static int survey_items(const struct result_items *items, struct survey *ret)
{
    struct survey survey = {.name_width = strlen("name"), .code_width = strlen("code")};
    int r = result_totals_count(items, &survey.totals);
    struct buf scratch = BUF_INIT(PAGE_BYTES_MAX);
    for (size_t i = 0; i < items->n && r == 0; i++) {
        const struct item *item = items->item(i, items->user);
        if (item == NULL)
            r = -EIO;
        else if (item_state_final(item->state) && item->error > ITEM_OK && item->error < ITEM_ERROR_COUNT)
            survey.by_code[item->error]++;
        if (item != NULL && needs_row(item))
            survey_row(&survey, item, &scratch);
    }
    buf_done(&scratch);
    *ret = survey;
    return r;
}

static int add_line(struct buf *out, const char *label, const char *text)
{
    struct buf scratch = BUF_INIT(PAGE_BYTES_MAX);
    int r = buf_printf(out, "%-10s%s\n", label, shown(&scratch, text));
    buf_done(&scratch);
    return r;
}

static int add_time(struct buf *out, const char *label, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[64];
    if (wall_ms <= 0 || gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof(text), "%F %T UTC", &tm) == 0)
        return 0;
    return add_line(out, label, text);
}

static int add_duration(struct buf *out, int64_t ms)
{
    long long s = ms / 1000;
    if (ms < 10000)
        return buf_printf(out, "%.1f s", (double)ms / 1000);
    if (s < 60)
        return buf_printf(out, "%lld s", s);
    if (s < 3600)
        return buf_printf(out, "%lld min %02lld s", s / 60, s % 60);
    return buf_printf(out, "%lld h %02lld min", s / 3600, s / 60 % 60);
}

/* How long it took, and how fast it went; nothing while it goes on. */
static int add_pace(struct buf *out, const struct result_run *run, const struct survey *survey)
{
    int64_t ms = run->finished_ms - run->started_ms;
    if (run->started_ms <= 0 || run->finished_ms <= 0 || ms < 0)
        return 0;
    int r = buf_printf(out, "%-10s", "Took");
    if (r == 0)
        r = add_duration(out, ms);
    double per_s = ms > 0 ? (double)survey->totals.succeeded * 1000 / (double)ms : 0;
    if (r == 0 && per_s >= 1)
        r = buf_printf(out, ", %.1f clones a second", per_s);
    else if (r == 0 && per_s > 0)
        r = buf_printf(out, ", %.1f clones a minute", per_s * 60);
    return r < 0 ? r : buf_add_char(out, '\n');
}

static int add_head(struct buf *out, const struct result_run *run, const struct survey *survey)
{
    int r = add_line(out, "Plan", run->plan);
    if (r == 0)
        r = add_line(out, "File", run->file);
    if (r == 0)
        r = add_line(out, "Run", run->run);
    if (r == 0)
        r = add_line(out, "Server", run->server);
    if (r == 0)
        r = add_line(out, "State", run->state);
    if (r == 0 && run->window_opens)
        r = buf_printf(out, "%-10sclosed until %s\n", "Window", run->window_opens);
    if (r == 0)
        r = add_time(out, "Started", run->started_ms);
    if (r == 0)
        r = add_time(out, "Finished", run->finished_ms);
    return r < 0 ? r : add_pace(out, run, survey);
}

static int add_totals(struct buf *out, const struct result_totals *totals)
{
    int r = buf_printf(out, "\n%9s %10s %9s %9s %10s %9s%s\n", "items", "succeeded", "skipped", "failed",
                       "cancelled", "unknown", totals->open > 0 ? "      open" : "");
    if (r == 0)
        r = buf_printf(out, "%9zu %10zu %9zu %9zu %10zu %9zu", totals->items, totals->succeeded,
                       totals->skipped, totals->failed, totals->cancelled, totals->unknown);
    if (r == 0 && totals->open > 0)
        r = buf_printf(out, " %9zu", totals->open);
    return r < 0 ? r : buf_add_char(out, '\n');
}

static int add_row(struct buf *out, const struct survey *survey, const struct item *item, struct buf *scratch)
{
    int r = buf_printf(out, "%9u  ", item->index);
    if (r == 0)
        r = add_padded(out, shown(scratch, item->name), survey->name_width);
    if (r == 0)
        r = buf_add_str(out, "  ");
    if (r == 0)
        r = add_padded(out, item_error_name(item->error), survey->code_width);
    shown(scratch, item->message);
    const char *message = shortened(scratch, MESSAGE_WIDTH_MAX);
    if (r == 0 && item->http != 0)
        r = buf_printf(out, "  %s%s(HTTP %d)", message, message[0] != '\0' ? " " : "", item->http);
    else if (r == 0 && message[0] != '\0')
        r = buf_printf(out, "  %s", message);
    return r < 0 ? r : buf_add_char(out, '\n');
}

static int add_rows_head(struct buf *out, const struct survey *survey)
{
    int r = buf_printf(out, "\nFailed or unknown\n%9s  ", "index");
    if (r == 0)
        r = add_padded(out, "name", survey->name_width);
    if (r == 0)
        r = buf_add_str(out, "  ");
    if (r == 0)
        r = add_padded(out, "code", survey->code_width);
    return r < 0 ? r : buf_add_str(out, "  message\n");
}

static int add_rows(struct buf *out, const struct survey *survey, const struct result_items *items)
{
    if (survey->rows == 0)
        return 0;
    int r = add_rows_head(out, survey);
    struct buf scratch = BUF_INIT(PAGE_BYTES_MAX);
    size_t rows = 0;
    for (size_t i = 0; i < items->n && rows < REPORT_ROWS_MAX && r == 0; i++) {
        const struct item *item = items->item(i, items->user);
        if (item == NULL)
            r = -EIO;
        else if (needs_row(item)) {
            r = add_row(out, survey, item, &scratch);
            rows++;
        }
    }
    buf_done(&scratch);
    if (r == 0 && survey->rows > rows)
        r = buf_printf(out, "           and %zu more, see the result\n", survey->rows - rows);
    return r;
}

static int add_codes(struct buf *out, const struct survey *survey)
{
    bool any = false;
    int r = 0;
    for (int code = ITEM_OK + 1; code < ITEM_ERROR_COUNT && r == 0; code++) {
        if (survey->by_code[code] == 0)
            continue;
        if (!any)
            r = buf_add_str(out, "\nBy code, and what to do\n");
        any = true;
        if (r == 0)
            r = buf_printf(out, "%9zu  %s: %s\n", survey->by_code[code],
                           item_error_name((enum item_error)code), report_advice((enum item_error)code));
    }
    return r;
}

/* A daemon's run goes on by itself: whoever gave its plan again would begin a second one. */
static int add_open(struct buf *out, const struct result_run *run, size_t open)
{
    if (run->once)
        return buf_printf(out,
                          "\n%zu not finished. The run is open: carry out the same command again, and it "
                          "goes on where it stopped.\n",
                          open);
    return buf_printf(out, "\n%zu not finished. The run is open: see jobclonectl show %s\n", open, run->run);
}

static int add_foot(struct buf *out, const struct result_run *run, const struct survey *survey,
                    const char *result_path)
{
    int r = 0;
    if (survey->totals.unknown > 0)
        r = buf_add_str(
            out, "\nUnknown: the clone may or may not exist, and could not be settled by asking. Look on "
                 "the server for a job\nof that name whose description ends in the mark "
                 "[jobclone:RUN/INDEX]. Nothing is sent again for it.\n");
    if (r == 0 && survey->totals.open > 0)
        r = add_open(out, run, survey->totals.open);
    if (r < 0 || result_path == NULL)
        return r;
    r = buf_add_char(out, '\n');
    return r < 0 ? r : add_line(out, "Result", result_path);
}

int report_text_write(const struct result_run *run, const struct result_items *items, const char *result_path,
                      const struct result_sink *sink)
{
    struct survey survey;
    int r = survey_items(items, &survey);
    if (r < 0)
        return r;
    struct buf out = BUF_INIT(PAGE_BYTES_MAX);
    r = add_head(&out, run, &survey);
    if (r == 0)
        r = add_totals(&out, &survey.totals);
    if (r == 0)
        r = add_rows(&out, &survey, items);
    if (r == 0)
        r = add_codes(&out, &survey);
    if (r == 0)
        r = add_foot(&out, run, &survey, result_path);
    if (r == 0)
        r = sink->write(buf_str(&out), out.len, sink->user);
    buf_done(&out);
    return r;
}
