/* When a plan acts: `schedule`, `window`. */
#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "codec/plan_decoder.h"

#define DAY_MIN 1440
#define DAY_MS UINT64_C(86400000)
#define CALENDARS_MAX 16
#define PROBLEM_BYTES 1024

/* HH:MM as minutes; false when it is none. */
static bool parse_clock(const char *text, unsigned *ret_min)
{
    if (strlen(text) != 5 || text[2] != ':')
        return false;
    for (int i = 0; i < 5; i++)
        if (i != 2 && (text[i] < '0' || text[i] > '9'))
            return false;
    unsigned hours = (unsigned)((text[0] - '0') * 10 + text[1] - '0');
    unsigned minutes = (unsigned)((text[3] - '0') * 10 + text[4] - '0');
    *ret_min = hours * 60 + minutes;
    return minutes < 60 && *ret_min <= DAY_MIN;
}

static bool read_clock(struct plan_decoder *decoder, const struct yaml_node *window, const char *key,
                       unsigned max_min, unsigned *ret_min)
{
    const char *text;
    unsigned min;
    if (!yaml_child(window, key)) {
        yaml_say(decoder->diag, window, "the window needs \"%s\", as in {from: '22:00', to: '06:00'}", key);
        return false;
    }
    if (!yaml_get_text(window, key, &text, decoder->diag))
        return false;
    if (!parse_clock(text, &min) || min > max_min) {
        yaml_say(
            decoder->diag, yaml_child(window, key),
            "\"%s\" is \"%s\", which is no time of day; write hours and minutes from '00:00' to '%02u:%02u'",
            key, text, max_min / 60, max_min % 60);
        return false;
    }
    *ret_min = min;
    return true;
}

/* `node`: where the name stands; not used for the system's own zone (no name). */
static bool find_zone(struct plan_decoder *decoder, const struct yaml_node *node, const char *name,
                      struct zone *ret)
{
    const char *near = NULL;
    int r = 0;
    if (decoder->options->find_zone)
        r = decoder->options->find_zone(name, decoder->plan->arena, ret, &near);
    else if (!name || strcmp(name, zone_utc.name) == 0)
        *ret = zone_utc;
    else
        r = -ENOENT;
    if (r == 0)
        return true;
    if (r == -ENOMEM)
        decoder->error = r;
    else if (near)
        yaml_say(decoder->diag, node, "there is no time zone \"%s\"; did you mean \"%s\"?", name, near);
    else
        yaml_say(decoder->diag, node,
                 "there is no time zone \"%s\" on this machine; name one that \"timedatectl list-timezones\" "
                 "shows, as in "
                 "Europe/Prague",
                 name ? name : "");
    return false;
}

static void read_window(struct plan_decoder *decoder, const struct yaml_node *root)
{
    static const char *const keys[] = {"from", "to", "timezone", NULL};
    struct window *window = &decoder->plan->window;
    struct yaml_node *node;
    const char *zone = NULL;
    if (!yaml_get_mapping(root, "window", &node, decoder->diag) ||
        !yaml_check_keys(node, "window", keys, decoder->diag))
        return;
    window->given = true;
    bool from = read_clock(decoder, node, "from", DAY_MIN - 1, &window->from_min);
    bool to = read_clock(decoder, node, "to", DAY_MIN, &window->to_min);
    if (from && to && window->from_min == window->to_min)
        yaml_say(decoder->diag, yaml_child(node, "to"),
                 "\"from\" and \"to\" are equal; let them differ, or remove the window to clone at any time");
    if (yaml_get_text(node, "timezone", &zone, decoder->diag) || !yaml_child(node, "timezone"))
        find_zone(decoder, yaml_child(node, "timezone"), zone, &window->zone);
}

/* ---- schedule ---- */

/* Where the zone begins at the end of an expression: its last word, if it begins with a letter and is not all
 * there is (as "daily" is). NULL: there is none. */
static const char *find_zone_word(const char *text)
{
    const char *blank = strrchr(text, ' ');
    bool letter = blank && ((blank[1] >= 'A' && blank[1] <= 'Z') || (blank[1] >= 'a' && blank[1] <= 'z'));
    return letter ? blank + 1 : NULL;
}

static void check_expression(struct plan_decoder *decoder, const struct yaml_node *node,
                             const char *expression)
{
    _cleanup_(buf_done) struct buf problem = BUF_INIT(PROBLEM_BYTES);
    if (!decoder->options->check_calendar)
        return;
    int r = decoder->options->check_calendar(expression, &problem);
    if (r == -ENOMEM)
        decoder->error = r;
    else if (r < 0)
        yaml_say(decoder->diag, node, "\"calendar\" has \"%s\": %s", expression, buf_str(&problem));
}

static void read_calendar(struct plan_decoder *decoder, const struct yaml_node *node,
                          struct schedule_calendar *ret)
{
    if (node->kind != YAML_SCALAR) {
        yaml_say(decoder->diag, node, "a calendar expression must be a text, as in Mon..Fri 02:00");
        return;
    }
    const char *zone = find_zone_word(node->text);
    size_t len = zone ? (size_t)(zone - node->text) : strlen(node->text);
    while (len && node->text[len - 1] == ' ')
        len--;
    _cleanup_free_ char *expression = strndup(node->text, len);
    ret->zone = zone_utc;
    ret->text = arena_str(decoder->plan->arena, node->text);
    ret->expression = arena_str(decoder->plan->arena, expression);
    if (!ret->text || !ret->expression)
        decoder->error = -ENOMEM;
    else if (find_zone(decoder, node, zone, &ret->zone))
        check_expression(decoder, node, ret->expression);
}

static void read_calendars(struct plan_decoder *decoder, const struct yaml_node *schedule)
{
    struct schedule *ret = &decoder->plan->schedule;
    const struct yaml_node *node = yaml_child(schedule, "calendar");
    if (!node || (node->kind == YAML_SCALAR && !*node->text) || (node->kind == YAML_SEQUENCE && !node->n)) {
        yaml_say(decoder->diag, node ? node : schedule,
                 "the schedule needs a \"calendar\", as in calendar: Mon..Fri 02:00");
        return;
    }
    size_t n = node->kind == YAML_SEQUENCE ? node->n : 1;
    if (node->kind == YAML_MAPPING || n > CALENDARS_MAX) {
        yaml_say(decoder->diag, node,
                 "\"calendar\" must be an expression, as in Mon..Fri 02:00, or a list of up to %d of them",
                 CALENDARS_MAX);
        return;
    }
    struct schedule_calendar *calendars = arena_take(decoder->plan->arena, n * sizeof(*calendars));
    if (!calendars) {
        decoder->error = -ENOMEM;
        return;
    }
    const struct yaml_node *child = node->kind == YAML_SEQUENCE ? node->first : node;
    for (size_t i = 0; i < n; i++, child = child->next)
        read_calendar(decoder, child, &calendars[i]);
    ret->calendars = calendars;
    ret->n = n;
}

static void read_schedule(struct plan_decoder *decoder, const struct yaml_node *root)
{
    static const char *const keys[] = {"calendar", "catch_up", "jitter", "overlap", NULL};
    static const char *const overlaps[] = {"skip", "queue", NULL};
    struct schedule *schedule = &decoder->plan->schedule;
    struct yaml_node *node;
    unsigned overlap;
    if (yaml_child(root, "schedule") && !decoder->options->scheduled) {
        yaml_say_key(decoder->diag, yaml_child(root, "schedule"),
                     "a \"schedule\" belongs into a plan in plans.d; move the plan there, or remove it");
        return;
    }
    if (!yaml_get_mapping(root, "schedule", &node, decoder->diag) ||
        !yaml_check_keys(node, "schedule", keys, decoder->diag))
        return;
    schedule->given = true;
    read_calendars(decoder, node);
    yaml_get_bool(node, "catch_up", &schedule->catch_up, decoder->diag);
    yaml_get_duration(node, "jitter", 0, DAY_MS, &schedule->jitter_ms, decoder->diag);
    if (yaml_get_word(node, "overlap", overlaps, &overlap, decoder->diag))
        schedule->overlap = overlap == 0 ? SCHEDULE_OVERLAP_SKIP : SCHEDULE_OVERLAP_QUEUE;
}

void plan_times_decode(struct plan_decoder *decoder, const struct yaml_node *root)
{
    read_schedule(decoder, root);
    read_window(decoder, root);
}
