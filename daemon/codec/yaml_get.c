#include "codec/yaml_get.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "base/text.h"

#define MESSAGE_BYTES (16 * 1024)

static void say_at(struct diag *diag, const char *file, unsigned line, unsigned column, const char *format,
                   va_list args) __attribute__((format(printf, 5, 0)));

static void say_at(struct diag *diag, const char *file, unsigned line, unsigned column, const char *format,
                   va_list args)
{
    _cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_BYTES);
    if (buf_vprintf(&message, format, args) < 0)
        buf_add_str(&message, "not valid (and too long to be shown); shorten it");
    diag_add(diag, file, line, column, "%s", buf_str(&message));
}

void yaml_say(struct diag *diag, const struct yaml_node *node, const char *format, ...)
{
    va_list args;
    if (node->refused)
        return;
    va_start(args, format);
    say_at(diag, node->file, node->line, node->column, format, args);
    va_end(args);
}

void yaml_say_key(struct diag *diag, const struct yaml_node *node, const char *format, ...)
{
    va_list args;
    if (node->key ? node->key_refused : node->refused)
        return;
    va_start(args, format);
    if (node->key)
        say_at(diag, node->file, node->key_line, node->key_column, format, args);
    else
        say_at(diag, node->file, node->line, node->column, format, args);
    va_end(args);
}

/* "a, b or c", for messages. */
static void list_words(struct buf *out, const char *const *words, const char *last)
{
    for (size_t i = 0; words[i]; i++) {
        const char *between = i == 0 ? "" : words[i + 1] ? ", " : last;
        buf_printf(out, "%s%s", between, words[i]);
    }
}

static size_t count_words(const char *const *words)
{
    size_t n = 0;
    while (words[n])
        n++;
    return n;
}

static void say_unknown(const struct yaml_node *child, const char *what, const char *const *keys,
                        struct diag *diag)
{
    const char *near = text_nearest(child->key, keys, count_words(keys));
    if (near) {
        yaml_say_key(diag, child, "unknown key \"%s\" in %s; did you mean \"%s\"?", child->key, what, near);
        return;
    }
    _cleanup_(buf_done) struct buf known = BUF_INIT(MESSAGE_BYTES);
    list_words(&known, keys, " and ");
    yaml_say_key(diag, child, "unknown key \"%s\" in %s; remove it (known are: %s)", child->key, what,
                 buf_str(&known));
}

static bool is_word(const char *text, const char *const *words, unsigned *ret)
{
    for (unsigned i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

bool yaml_check_keys(const struct yaml_node *node, const char *what, const char *const *keys,
                     struct diag *diag)
{
    if (node->kind != YAML_MAPPING) {
        yaml_say(diag, node, "%s must be a mapping; write it as \"key: value\" pairs", what);
        return false;
    }
    unsigned at;
    for (const struct yaml_node *child = node->first; child; child = child->next)
        if (!is_word(child->key, keys, &at) && !(child->refused && strcmp(child->key, "<<") == 0))
            say_unknown(child, what, keys, diag);
    return true;
}

bool yaml_get_text(const struct yaml_node *mapping, const char *key, const char **ret, struct diag *diag)
{
    const struct yaml_node *child = yaml_child(mapping, key);
    if (!child)
        return false;
    if (child->kind != YAML_SCALAR) {
        yaml_say(diag, child,
                 "\"%s\" must be a text, not a %s; if it begins with { or [, put quotes around it", key,
                 child->kind == YAML_MAPPING ? "mapping" : "list");
        return false;
    }
    *ret = child->text;
    return true;
}

void yaml_check_version(const struct yaml_node *root, struct diag *diag)
{
    const char *version;
    if (!yaml_child(root, "version"))
        yaml_say(diag, root, "\"version\" is missing; add version: 1");
    else if (yaml_get_text(root, "version", &version, diag) && strcmp(version, "1") != 0)
        yaml_say(diag, yaml_child(root, "version"),
                 "\"version\" is %s, but this program reads version 1 alone; write version: 1", version);
}

static bool get_kind(const struct yaml_node *mapping, const char *key, enum yaml_kind kind,
                     struct yaml_node **ret, struct diag *diag)
{
    struct yaml_node *child = yaml_child(mapping, key);
    if (!child)
        return false;
    if (child->kind != kind) {
        yaml_say(diag, child, "\"%s\" must be a %s; write it as %s", key,
                 kind == YAML_MAPPING ? "mapping" : "list",
                 kind == YAML_MAPPING ? "{key: value}" : "[one, another]");
        return false;
    }
    *ret = child;
    return true;
}

bool yaml_get_mapping(const struct yaml_node *mapping, const char *key, struct yaml_node **ret,
                      struct diag *diag)
{
    return get_kind(mapping, key, YAML_MAPPING, ret, diag);
}

bool yaml_get_sequence(const struct yaml_node *mapping, const char *key, struct yaml_node **ret,
                       struct diag *diag)
{
    return get_kind(mapping, key, YAML_SEQUENCE, ret, diag);
}

/* Reads leading digits; false when there are none or the number does not fit. */
static bool read_digits(const char **text, uint64_t *ret)
{
    const char *p = *text;
    uint64_t value = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return false;
    if (p == *text)
        return false;
    *text = p;
    *ret = value;
    return true;
}

bool yaml_get_number(const struct yaml_node *mapping, const char *key, uint64_t min, uint64_t max,
                     uint64_t *ret, struct diag *diag)
{
    const struct yaml_node *child = yaml_child(mapping, key);
    if (!child)
        return false;
    uint64_t value;
    const char *text = child->kind == YAML_SCALAR && !child->quoted ? child->text : "";
    if (!read_digits(&text, &value) || *text || value < min || value > max) {
        yaml_say(diag, child,
                 "\"%s\" must be a number from %llu to %llu; write digits only, without unit or quotes", key,
                 (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *ret = value;
    return true;
}

bool yaml_get_bool(const struct yaml_node *mapping, const char *key, bool *ret, struct diag *diag)
{
    static const char *const words[] = {"false", "true", NULL};
    const struct yaml_node *child = yaml_child(mapping, key);
    if (!child)
        return false;
    unsigned value;
    if (child->kind != YAML_SCALAR || child->quoted || !is_word(child->text, words, &value)) {
        yaml_say(diag, child, "\"%s\" must be true or false; write one of them, without quotes", key);
        return false;
    }
    *ret = value == 1;
    return true;
}

static const struct unit {
    const char *name;
    uint64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

static bool read_duration(const char *text, uint64_t *ret_ms)
{
    uint64_t count;
    if (!read_digits(&text, &count))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (strcmp(text, units[i].name) == 0)
            return !__builtin_mul_overflow(count, units[i].ms, ret_ms);
    return false;
}

/* In the largest unit that leaves no rest. */
static void show_duration(char *out, size_t size, uint64_t ms)
{
    size_t i = 0;
    while (ms == 0 ? i < 3 : ms % units[i].ms != 0)
        i++;
    snprintf(out, size, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].name);
}

bool yaml_get_duration(const struct yaml_node *mapping, const char *key, uint64_t min_ms, uint64_t max_ms,
                       uint64_t *ret_ms, struct diag *diag)
{
    const struct yaml_node *child = yaml_child(mapping, key);
    if (!child)
        return false;
    uint64_t ms;
    if (child->kind != YAML_SCALAR || !read_duration(child->text, &ms)) {
        yaml_say(
            diag, child,
            "\"%s\" must be a duration; write a whole number with its unit, as in 500ms, 2s, 5m, 1h or 90d",
            key);
        return false;
    }
    if (ms < min_ms || ms > max_ms) {
        char from[32], to[32];
        show_duration(from, sizeof(from), min_ms);
        show_duration(to, sizeof(to), max_ms);
        yaml_say(diag, child, "\"%s\" is %s; it must be from %s to %s", key, child->text, from, to);
        return false;
    }
    *ret_ms = ms;
    return true;
}

bool yaml_get_word(const struct yaml_node *mapping, const char *key, const char *const *words, unsigned *ret,
                   struct diag *diag)
{
    const char *text;
    if (!yaml_get_text(mapping, key, &text, diag))
        return false;
    if (is_word(text, words, ret))
        return true;
    _cleanup_(buf_done) struct buf known = BUF_INIT(MESSAGE_BYTES);
    list_words(&known, words, " or ");
    yaml_say(diag, yaml_child(mapping, key), "\"%s\" cannot be \"%s\"; it must be %s", key, text,
             buf_str(&known));
    return false;
}
