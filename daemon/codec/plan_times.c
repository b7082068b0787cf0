/* When a plan may act: `window`. */
#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "codec/plan_decoder.h"

#define DAY_MIN 1440

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

void plan_times_decode(struct plan_decoder *decoder, const struct yaml_node *root)
{
    read_window(decoder, root);
}
