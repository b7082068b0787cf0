#include "codec/plan_check.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/plan_decoder.h"

#define MARK_UNITS 39 /* " [jobclone:" + 26 + "/" + "]" */

const char *plan_text_problem(const char *text)
{
    if (!*text)
        return "must not be empty; write a text, or remove the key";
    if (text_has_control(text))
        return "has a control character; remove it";
    if (!text_xml_valid(text))
        return "has a character that XML 1.0 cannot carry; remove it";
    return NULL;
}

static bool is_blank(uint32_t code)
{
    return code == ' ' || code == 0xa0 || code == 0x3000 || (code >= 0x2000 && code <= 0x200a) ||
           code == 0x202f || code == 0x205f || code == 0x1680 || code == 0x2028 || code == 0x2029;
}

static bool has_blank_end(const char *name)
{
    size_t len = strlen(name);
    uint32_t code = 0;
    if (text_utf8_next(name, len, &code) && is_blank(code))
        return true;
    for (size_t i = 0, n; i < len; i += n) {
        n = text_utf8_next(name + i, len - i, &code);
        if (n == 0)
            return false;
    }
    return is_blank(code);
}

const char *plan_name_problem(const char *name, struct buf *out)
{
    const char *problem = plan_text_problem(name);
    if (problem)
        return problem;
    if (has_blank_end(name))
        return "begins or ends with a blank; remove it";
    size_t units = text_utf16_len(name);
    if (units <= PLAN_NAME_UNITS)
        return NULL;
    buf_reset(out);
    buf_printf(out, "has %zu characters; at most %d are possible: shorten it", units, PLAN_NAME_UNITS);
    return buf_str(out);
}

const char *plan_description_problem(const char *description, size_t index, struct buf *out)
{
    if (!text_xml_valid(description))
        return "has a character that XML 1.0 cannot carry; remove it";
    size_t units = text_utf16_len(description), mark = MARK_UNITS + 1;
    for (; index >= 10; index /= 10)
        mark++;
    if (units + mark <= PLAN_DESCRIPTION_UNITS)
        return NULL;
    buf_reset(out);
    buf_printf(out, "has %zu characters; at most %zu leave room for the mark: shorten it", units,
               PLAN_DESCRIPTION_UNITS - mark);
    return buf_str(out);
}

void plan_say(struct plan_decoder *decoder, const struct clone_place *place, const struct yaml_node *node,
              const char *format, ...)
{
    _cleanup_(buf_done) struct buf message = BUF_INIT(16 * 1024);
    va_list args;
    va_start(args, format);
    int r = buf_vprintf(&message, format, args);
    va_end(args);
    if (r < 0)
        buf_add_str(&message, "not valid (and too long to be shown); shorten it");
    if (place->for_each)
        buf_printf(&message, " (in the clone with index %zu of its for_each)", place->index);
    yaml_say(decoder->diag, node, "%s", buf_str(&message));
}

/* ---- unique ---- */

/* The clone that holds the key already, or NULL; remembers the key. */
static const struct plan_clone *claim(struct plan_decoder *decoder, struct table *table, const char *key)
{
    uint32_t holder = key ? table_get(table, key) : TABLE_NONE;
    if (holder != TABLE_NONE)
        return &decoder->plan->clones[holder];
    if (!key || table_put(table, key, (uint32_t)decoder->plan->n_clones) < 0)
        decoder->error = -ENOMEM;
    return NULL;
}

/* Names hold no line break: it separates the parts of a key. */
static const char *name_key(struct plan_decoder *decoder, const struct plan_clone *clone)
{
    if (!clone->backup_server)
        return clone->name;
    buf_reset(&decoder->text);
    if (buf_printf(&decoder->text, "%s\n%s", clone->backup_server, clone->name) < 0)
        return NULL;
    return arena_str(decoder->scratch, buf_str(&decoder->text));
}

static const char *place_key(struct plan_decoder *decoder, const struct plan_clone *clone, const char *text)
{
    buf_reset(&decoder->text);
    if (buf_printf(&decoder->text, "%s\n%d%s\n", clone->backup_server ? clone->backup_server : "",
                   (int)clone->repository.by, clone->repository.text) < 0)
        return NULL;
    for (; *text; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
        if (buf_add_char(&decoder->text, c) < 0)
            return NULL;
    }
    return arena_str(decoder->scratch, buf_str(&decoder->text));
}

static void check_place(struct plan_decoder *decoder, const struct clone_place *place,
                        const struct yaml_node *node, const struct plan_clone *clone, const char *given,
                        bool name_known)
{
    if (clone->repository.by == PLAN_REF_NONE || (given ? clone->late : !name_known))
        return;
    _cleanup_free_ char *derived = given ? NULL : text_file_name(clone->name);
    const char *text = given ? given : derived;
    if (!text) {
        decoder->error = -ENOMEM;
        return;
    }
    if (!*text) {
        plan_say(decoder, place, node, "the name \"%s\" leaves nothing for the %s; give one", clone->name,
                 job_kind_has_folder(clone->kind) ? "folder" : "file");
        return;
    }
    const struct plan_clone *other = claim(decoder, &decoder->places, place_key(decoder, clone, text));
    if (other)
        plan_say(
            decoder, place, node,
            "the %s \"%s\" is that of the clone in line %u too, on the same repository (letter case does "
            "not count); give one of them another",
            job_kind_has_folder(clone->kind) ? "folder" : "file", text, other->line);
}

void plan_check_unique(struct plan_decoder *decoder, const struct clone_place *place,
                       const struct yaml_node *name_node, const struct plan_clone *clone, bool name_known)
{
    if (name_known) {
        const struct plan_clone *other = claim(decoder, &decoder->names, name_key(decoder, clone));
        if (other) {
            plan_say(decoder, place, name_node,
                     "the name \"%s\" is that of the clone in line %u too; names must differ within a plan",
                     clone->name, other->line);
            return;
        }
    }
    if (job_kind_has_folder(clone->kind))
        check_place(decoder, place, name_node, clone, clone->folder, name_known);
    else if (job_kind_has_file(clone->kind))
        check_place(decoder, place, name_node, clone, clone->file, name_known);
}

bool plan_guid(const char *text, const char *prefix, char *ret)
{
    if (*prefix && strncasecmp(text, prefix, strlen(prefix)) != 0)
        return false;
    text += strlen(prefix);
    if (strlen(text) != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
        ret[i] = (char)tolower((unsigned char)text[i]);
    }
    ret[36] = '\0';
    return true;
}
