#include "codec/variables.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/yaml_get.h"
#include "model/zone.h"

#define DATE_MAX 64
#define NAME_MAX_BYTES 256
#define DIGITS_MAX 18
#define TEMPLATE_BYTES (64 * 1024)
#define CONVERSIONS "ABCDFGHIMPRSTUVWXYZabcdeghjklmnprstuwxyz%"
#define CONVERSIONS_E "CXYcxy"
#define CONVERSIONS_O "BHIMSUVWbdehmuwy"

enum part_kind { PART_TEXT, PART_COLUMN, PART_INDEX, PART_SOURCE };

struct template_part {
    struct template_part *next;
    enum part_kind kind;
    const char *text; /* PART_TEXT */
    size_t number;    /* PART_COLUMN: which; PART_INDEX: digits */
};

struct compiler {
    const struct yaml_node *node;
    const struct scope *scope;
    struct arena *arena;
    struct diag *diag;
    struct template *template;
    struct template_part **tail;
    bool bad;
};

static int part_add(struct compiler *c, enum part_kind kind, const char *text, size_t len, size_t number)
{
    struct template_part *part = arena_take(c->arena, sizeof(*part));
    _cleanup_free_ char *copy = strndup(text, len);
    if (!part || !copy)
        return -ENOMEM;
    *part = (struct template_part){.kind = kind, .number = number};
    part->text = arena_str(c->arena, copy);
    if (!part->text)
        return -ENOMEM;
    *c->tail = part;
    c->tail = &part->next;
    return 0;
}

/* ---- single variables ---- */

static void say_bad_date(struct compiler *c, const char *format)
{
    yaml_say(c->diag, c->node,
             "the date format \"%s\" gives nothing, control characters or more than %d characters; use one "
             "like ${date:%%Y-%%m-%%d}",
             format, DATE_MAX);
    c->bad = true;
}

/* The length of the conversion that begins with this %, with flags, width and modifier; negative when
 * strftime would not know it, but copy it as it stands. */
static int conversion_len(const char *text)
{
    const char *at = text + 1, *known = CONVERSIONS;
    at += strspn(at, "_-0^#");
    at += strspn(at, "0123456789");
    if (*at == 'E')
        known = CONVERSIONS_E;
    else if (*at == 'O')
        known = CONVERSIONS_O;
    at += *at == 'E' || *at == 'O';
    bool good = *at && strchr(known, *at);
    for (at += *at != '\0'; ((unsigned char)*at & 0xC0) == 0x80;)
        at++; /* the whole of a character, for the message */
    return good ? (int)(at - text) : -(int)(at - text);
}

static bool conversions_known(struct compiler *c, const char *format)
{
    for (const char *at = format; (at = strchr(at, '%'));) {
        int len = conversion_len(at);
        if (len > 0) {
            at += len;
            continue;
        }
        yaml_say(c->diag, c->node,
                 "the date format \"%s\" has \"%.*s\", which is no conversion of strftime; %% takes one of "
                 "%s, and a literal %% is written %%%%",
                 format, -len, at, CONVERSIONS);
        c->bad = true;
        return false;
    }
    return true;
}

static int add_date(struct compiler *c, const char *format)
{
    if (!conversions_known(c, format))
        return 0;
    char text[DATE_MAX * 4 + 1];
    time_t seconds = (time_t)(c->scope->accepted_ms / 1000);
    struct tm local;
    if (c->scope->zone)
        zone_tm(c->scope->zone, c->scope->accepted_ms, &local);
    else if (!localtime_r(&seconds, &local))
        return -EOVERFLOW;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored \
    "-Wformat-nonliteral" /* the plan's own format: strftime takes no arguments from the stack */
    size_t len = strftime(text, sizeof(text), format, &local);
#pragma GCC diagnostic pop
    if (len == 0 || text_has_control(text) || text_utf16_len(text) > DATE_MAX) {
        say_bad_date(c, format);
        return 0;
    }
    return part_add(c, PART_TEXT, text, len, 0);
}

/* index:04 */
static int add_index_digits(struct compiler *c, const char *digits)
{
    size_t number = 0;
    bool good = digits[0] == '0' && digits[1];
    for (const char *p = digits; *p && good; p++) {
        good = *p >= '0' && *p <= '9';
        number = number * 10 + (size_t)(*p - '0');
        good = good && number <= DIGITS_MAX;
    }
    if (good && number > 0)
        return part_add(c, PART_INDEX, "", 0, number);
    yaml_say(c->diag, c->node,
             "\"${index:%s}\" is not understood; write the digits as in ${index:04}, up to ${index:0%d}",
             digits, DIGITS_MAX);
    c->bad = true;
    return 0;
}

static int say_unknown(struct compiler *c, const char *name)
{
    const char *known[64];
    size_t n = 0;
    c->bad = true;
    if (!c->scope->for_each && (strcmp(name, "index") == 0 || strncmp(name, "index:", 6) == 0)) {
        yaml_say(c->diag, c->node,
                 "\"${%s}\" is known only in a clone with for_each; add for_each, or remove it", name);
        return 0;
    }
    known[n++] = "plan.name";
    known[n++] = "date";
    if (c->scope->source)
        known[n++] = "source.name";
    if (c->scope->for_each)
        known[n++] = "index";
    for (size_t i = 0; i < c->scope->n_columns && n < ARRAY_SIZE(known); i++)
        known[n++] = c->scope->columns[i];
    const char *near = text_nearest(name, known, n);
    if (near) {
        yaml_say(c->diag, c->node, "unknown variable \"${%s}\"; did you mean \"${%s}\"?", name, near);
        return 0;
    }
    _cleanup_(buf_done) struct buf list = BUF_INIT(4096);
    for (size_t i = 0; i < n; i++)
        if (buf_printf(&list, "%s%s", i ? ", " : "", known[i]) < 0)
            break;
    yaml_say(c->diag, c->node, "unknown variable \"${%s}\"; known here are %s; for a literal ${ write $${",
             name, buf_str(&list));
    return 0;
}

static int add_variable(struct compiler *c, const char *name)
{
    const struct scope *scope = c->scope;
    for (size_t i = 0; scope->for_each && i < scope->n_columns; i++)
        if (strcmp(scope->columns[i], name) == 0)
            return part_add(c, PART_COLUMN, "", 0, i);
    if (scope->for_each && strcmp(name, "index") == 0)
        return part_add(c, PART_INDEX, "", 0, 1);
    if (scope->for_each && strncmp(name, "index:", 6) == 0)
        return add_index_digits(c, name + 6);
    if (strcmp(name, "plan.name") == 0 && scope->plan_name)
        return part_add(c, PART_TEXT, scope->plan_name, strlen(scope->plan_name), 0);
    if (strcmp(name, "plan.name") == 0)
        return 0; /* the missing name has its own message */
    if (strcmp(name, "date") == 0)
        return add_date(c, "%Y-%m-%d");
    if (strncmp(name, "date:", 5) == 0)
        return add_date(c, name + 5);
    if (scope->source && strcmp(name, "source.name") == 0) {
        c->template->source = true;
        return part_add(c, PART_SOURCE, "", 0, 0);
    }
    return say_unknown(c, name);
}

/* ---- texts ---- */

/* Takes one variable; *at stands on its ${ and moves behind its }. */
static int take_variable(struct compiler *c, const char **at)
{
    const char *name = *at + 2, *end = strchr(name, '}');
    if (!end || end - name > NAME_MAX_BYTES) {
        yaml_say(c->diag, c->node, "a \"${\" has no \"}\"; close it, or write $${ for a literal ${");
        c->bad = true;
        *at += strlen(*at);
        return 0;
    }
    *at = end + 1;
    _cleanup_free_ char *copy = strndup(name, (size_t)(end - name));
    return copy ? add_variable(c, copy) : -ENOMEM;
}

/* Where a variable stands, or the scalar if that cannot be told. */
static unsigned column_of(const struct yaml_node *scalar, const char *at)
{
    unsigned column = scalar->column + (scalar->quoted ? 1 : 0);
    if (!scalar->as_written)
        return scalar->column;
    for (const char *p = scalar->text; p < at; p++)
        column += ((unsigned char)*p & 0xC0) != 0x80;
    return column;
}

int template_compile(const struct yaml_node *scalar, const struct scope *scope, struct arena *arena,
                     struct template *ret, struct diag *diag)
{
    *ret = (struct template){0};
    struct yaml_node place = *scalar;
    struct compiler c = {
        .node = &place, .scope = scope, .arena = arena, .diag = diag, .template = ret, .tail = &ret->first};
    const char *at = scalar->text;
    int r = 0;
    if (strlen(at) > TEMPLATE_BYTES) {
        yaml_say(diag, scalar, "the text is longer than %d bytes; shorten it", TEMPLATE_BYTES);
        return -EINVAL;
    }
    while (*at && r == 0) {
        const char *from = at;
        if (strncmp(at, "$${", 3) == 0) {
            r = part_add(&c, PART_TEXT, "${", 2, 0);
            at += 3;
        } else if (strncmp(at, "${", 2) == 0) {
            place.column = column_of(scalar, at);
            r = take_variable(&c, &at);
        } else {
            for (at++; *at && strncmp(at, "$${", 3) != 0 && strncmp(at, "${", 2) != 0;)
                at++;
            r = part_add(&c, PART_TEXT, from, (size_t)(at - from), 0);
        }
    }
    if (r < 0)
        return r;
    return c.bad ? -EINVAL : 0;
}

/* In a late text every dollar is written ${$}, so that none can be mistaken for a
 * variable, whatever it comes to stand beside. */
static int add_value(const char *text, bool late, struct buf *out)
{
    if (!late)
        return buf_add_str(out, text);
    int r = 0;
    for (; *text && r == 0; text++)
        r = *text == '$' ? buf_add_str(out, "${$}") : buf_add_char(out, *text);
    return r;
}

static int add_part(const struct template_part *part, const struct values *values, struct buf *out)
{
    switch (part->kind) {
    case PART_TEXT:
        return add_value(part->text, values->late, out);
    case PART_COLUMN:
        return add_value(values->cells[part->number], values->late, out);
    case PART_INDEX:
        return buf_printf(out, "%0*zu", (int)part->number, values->index);
    case PART_SOURCE:
        return buf_add_str(out, values->late ? "${source.name}" : values->source_name);
    }
    return -EINVAL;
}

int template_expand(const struct template *template, const struct values *values, struct buf *out)
{
    int r = 0;
    for (const struct template_part *part = template->first; part && r == 0; part = part->next)
        r = add_part(part, values, out);
    return r;
}

int variables_fill_source(const char *text, const char *source_name, struct buf *out)
{
    static const char source[] = "${source.name}", dollar[] = "${$}", literal[] = "$${";
    int r = 0;
    while (*text && r == 0) {
        if (strncmp(text, source, strlen(source)) == 0) {
            r = buf_add_str(out, source_name);
            text += strlen(source);
        } else if (strncmp(text, dollar, strlen(dollar)) == 0) {
            r = buf_add_char(out, '$');
            text += strlen(dollar);
        } else if (strncmp(text, literal, strlen(literal)) == 0) {
            r = buf_add_str(out, "${");
            text += strlen(literal);
        } else {
            r = buf_add_char(out, *text++);
        }
    }
    return r;
}
