#include "codec/plan_each.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/plan_decoder.h"

void plan_each_full(struct plan_decoder *decoder, const struct yaml_node *node)
{
    if (!decoder->full)
        yaml_say(decoder->diag, node,
                 "the plan has more than %u clones; split it, or raise limits.plan_items in the settings",
                 decoder->options->plan_items);
    decoder->full = true;
}

static size_t items_left(const struct plan_decoder *decoder)
{
    return decoder->options->plan_items - decoder->plan->n_clones;
}

/* ---- csv ---- */

/* Relative, and no step upwards: what cannot lead out of the folder but by links. */
static bool path_stays(const char *path)
{
    if (!*path || *path == '/' || text_has_control(path))
        return false;
    for (const char *at = path; *at;) {
        size_t len = strcspn(at, "/");
        if (len == 2 && memcmp(at, "..", 2) == 0)
            return false;
        at += len + (at[len] == '/');
    }
    return true;
}

static void say_unreadable(struct plan_decoder *decoder, const struct yaml_node *node, int r)
{
    const char *path = node->text;
    if (r == -ENOMEM)
        decoder->error = r;
    else if (r == -ENOENT)
        yaml_say(decoder->diag, node, "there is no file \"%s\" beside the plan; put it there", path);
    else if (r == -EFBIG || r == -ENOBUFS)
        yaml_say(decoder->diag, node,
                 "\"%s\" has more than %zu bytes; split it, or raise limits.plan_bytes in the settings", path,
                 decoder->options->plan_bytes);
    else if (r == -EXDEV || r == -ELOOP)
        yaml_say(decoder->diag, node, "\"%s\" leads out of the plan's folder; put the file itself there",
                 path);
    else if (r == -EPERM)
        yaml_say(decoder->diag, node,
                 "\"%s\" belongs neither to the plan's owner nor to root; put a file of your own there",
                 path);
    else if (r == -EMLINK)
        yaml_say(decoder->diag, node,
                 "\"%s\" has several names (hard links), so that others may change it; put a copy there",
                 path);
    else
        yaml_say(decoder->diag, node, "\"%s\" cannot be read: %s; put a readable file there", path,
                 strerror(-r));
}

/* The CSV's name for messages: as one would open it from where the plan was named. */
static const char *shown_path(struct plan_decoder *decoder, const char *path)
{
    const char *file = decoder->options->file, *slash = strrchr(file, '/');
    buf_reset(&decoder->text);
    if (slash && buf_add(&decoder->text, file, (size_t)(slash + 1 - file)) < 0)
        return path;
    if (buf_add_str(&decoder->text, path) < 0)
        return path;
    return arena_str(decoder->scratch, buf_str(&decoder->text));
}

static bool read_delimiter(struct plan_decoder *decoder, const struct yaml_node *each, char *ret)
{
    const char *text = ",";
    *ret = ',';
    if (!yaml_child(each, "delimiter"))
        return true;
    if (!yaml_get_text(each, "delimiter", &text, decoder->diag))
        return false;
    if (strcmp(text, "\\t") == 0)
        text = "\t";
    if (strlen(text) != 1 || strchr("\"\r\n", *text) || (unsigned char)*text >= 0x80) {
        yaml_say(decoder->diag, yaml_child(each, "delimiter"),
                 "\"delimiter\" must be one character, as in ',' or ';'");
        return false;
    }
    *ret = *text;
    return true;
}

static bool read_csv(struct plan_decoder *decoder, const struct yaml_node *each, struct plan_rows *ret)
{
    const struct plan_yaml_options *options = decoder->options;
    const struct yaml_node *node = yaml_child(each, "csv");
    const char *path;
    char delimiter;
    if (!read_delimiter(decoder, each, &delimiter) || !yaml_get_text(each, "csv", &path, decoder->diag))
        return false;
    if (!path_stays(path)) {
        yaml_say(decoder->diag, node,
                 "\"%s\" is no path within the plan's folder; name a file there, without / in front and ..",
                 path);
        return false;
    }
    if (!options->read_csv) {
        yaml_say(decoder->diag, node, "CSV files cannot be read here; use list instead");
        return false;
    }
    _cleanup_(buf_done) struct buf bytes = BUF_INIT(options->plan_bytes);
    int r = options->read_csv(path, &bytes, options->data);
    const char *shown = shown_path(decoder, path);
    if (r < 0 || !shown) {
        say_unreadable(decoder, node, shown ? r : -ENOMEM);
        return false;
    }
    r = plan_csv_read((struct bytes){buf_str(&bytes), bytes.len}, shown, delimiter, items_left(decoder),
                      decoder->scratch, ret, decoder->diag);
    if (r == -ENOMEM)
        decoder->error = r;
    if (r == -E2BIG)
        plan_each_full(decoder, node);
    return r == 0;
}

/* ---- list ---- */

static bool take_columns(struct plan_decoder *decoder, const struct yaml_node *entry, struct plan_rows *ret)
{
    bool good = true;
    ret->columns = arena_take(decoder->scratch, (entry->n + 1) * sizeof(*ret->columns));
    if (!ret->columns) {
        decoder->error = -ENOMEM;
        return false;
    }
    for (const struct yaml_node *child = entry->first; child; child = child->next) {
        const char *why;
        ret->columns[ret->n_columns++] = child->key;
        if (plan_column_valid(child->key, &why))
            continue;
        yaml_say_key(decoder->diag, child, "a variable cannot be named \"%s\"; %s", child->key, why);
        good = false;
    }
    return good;
}

/* The cells of one entry, in the order of the first one's variables. */
static bool take_entry(struct plan_decoder *decoder, const struct yaml_node *entry, struct plan_rows *ret)
{
    bool good = true;
    const char **cells = plan_rows_add(ret);
    if (!cells) {
        decoder->error = -ENOMEM;
        return false;
    }
    for (const struct yaml_node *child = entry->first; child; child = child->next) {
        size_t i = 0;
        while (i < ret->n_columns && strcmp(ret->columns[i], child->key) != 0)
            i++;
        if (i < ret->n_columns && child->kind == YAML_SCALAR && !child->refused) {
            cells[i] = child->text;
            continue;
        }
        good = false;
        if (i == ret->n_columns)
            yaml_say_key(decoder->diag, child,
                         "the first entry of the list has no \"%s\"; give all the same variables",
                         child->key);
        else
            yaml_say(decoder->diag, child, "\"%s\" must be a text", child->key);
    }
    if (!good)
        return false;
    for (size_t i = 0; i < ret->n_columns; i++) {
        if (!cells[i])
            yaml_say(decoder->diag, entry, "the entry has no \"%s\"; give all the same variables",
                     ret->columns[i]);
        good = good && cells[i];
    }
    return good;
}

static bool read_list(struct plan_decoder *decoder, const struct yaml_node *each, struct plan_rows *ret)
{
    struct yaml_node *list;
    bool good = true;
    if (!yaml_get_sequence(each, "list", &list, decoder->diag))
        return false;
    if (list->n > items_left(decoder)) {
        plan_each_full(decoder, list);
        return false;
    }
    for (const struct yaml_node *entry = list->first; entry; entry = entry->next) {
        if (entry->kind != YAML_MAPPING) {
            yaml_say(decoder->diag, entry, "an entry of the list must name its variables, as in {tenant: a}");
            good = false;
            continue;
        }
        if (!ret->columns && !take_columns(decoder, entry, ret))
            return false;
        good = take_entry(decoder, entry, ret) && good;
        if (decoder->error)
            return false;
    }
    return good;
}

/* ---- all three ---- */

static bool read_count(struct plan_decoder *decoder, const struct yaml_node *each, struct plan_rows *ret)
{
    uint64_t count;
    if (!yaml_get_number(each, "count", 1, UINT32_MAX, &count, decoder->diag))
        return false;
    if (count > items_left(decoder)) {
        plan_each_full(decoder, yaml_child(each, "count"));
        return false;
    }
    ret->n_rows = (size_t)count;
    return true;
}

bool plan_each_read(struct plan_decoder *decoder, const struct yaml_node *each, struct plan_rows *ret)
{
    static const char *const keys[] = {"csv", "delimiter", "list", "count", NULL};
    const struct yaml_node *csv, *list, *count;
    *ret = (struct plan_rows){0};
    if (!yaml_check_keys(each, "for_each", keys, decoder->diag))
        return false;
    csv = yaml_child(each, "csv");
    list = yaml_child(each, "list");
    count = yaml_child(each, "count");
    if ((csv != NULL) + (list != NULL) + (count != NULL) != 1) {
        yaml_say(decoder->diag, each, "\"for_each\" takes one of csv, list and count; give exactly one");
        return false;
    }
    if (!csv && yaml_child(each, "delimiter"))
        yaml_say_key(decoder->diag, yaml_child(each, "delimiter"),
                     "\"delimiter\" goes with csv only; remove it");
    if (csv)
        return read_csv(decoder, each, ret);
    return list ? read_list(decoder, each, ret) : read_count(decoder, each, ret);
}
