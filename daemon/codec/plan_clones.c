/* The clones of a plan: each compiled once, then expanded for every row. */
#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "base/text.h"
#include "codec/plan_check.h"
#include "codec/plan_decoder.h"
#include "codec/plan_each.h"
#include "codec/variables.h"

enum field {
    FIELD_NAME,
    FIELD_FOLDER,
    FIELD_FILE,
    FIELD_SUFFIX,
    FIELD_DESCRIPTION,
    FIELD_SERVER,
    FIELD_SOURCE,
    FIELD_REPOSITORY,
    FIELD_COUNT
};

static const char *const field_keys[] = {"name",        "folder",        "file",   "vm_suffix",
                                         "description", "backup_server", "source", "repository"};

/* One entry of `clones`, merged with the defaults and compiled. */
struct entry {
    struct clone_place place;
    const struct yaml_node *nodes[FIELD_COUNT]; /* scalars; NULL: absent or not for this kind */
    bool own[FIELD_COUNT];
    struct template templates[FIELD_COUNT];
    const char *prefix[FIELD_COUNT]; /* source, repository: NULL by name, else what stands before the GUID */
    const char *last[FIELD_COUNT];   /* as expanded for the row before */
    enum on_conflict on_conflict;
    enum job_kind kind;
    bool bad;
};

/* ---- one entry of `clones` ---- */

static void check_entry_keys(struct plan_decoder *decoder, const struct yaml_node *node, bool defaults)
{
    static const char *const keys[] = {
        "name",        "source",      "backup_server", "repository", "folder",   "file", "vm_suffix",
        "description", "on_conflict", "kind",          "after",      "for_each", NULL};
    const char *const *known = keys;
    const char *const defaults_keys[] = {"name",        "source", "backup_server", "repository",
                                         "folder",      "file",   "vm_suffix",     "description",
                                         "on_conflict", "kind",   "after",         NULL};
    if (defaults)
        known = defaults_keys;
    if (!yaml_check_keys(node, defaults ? "defaults" : "a clone", known, decoder->diag))
        return;
    const struct yaml_node *after = yaml_child(node, "after");
    if (after)
        yaml_say_key(decoder->diag, after, "\"after\" is not supported by this version; remove it");
}

/* The node of a key: the clone's own, else that of the defaults. */
static const struct yaml_node *find(const struct plan_decoder *decoder, const struct yaml_node *clone,
                                    const char *key, bool *ret_own)
{
    const struct yaml_node *own = yaml_child(clone, key);
    *ret_own = own != NULL;
    return own || !decoder->defaults ? own : yaml_child(decoder->defaults, key);
}

/* {id: GUID} or {uid: URN} */
static const struct yaml_node *read_ref(struct plan_decoder *decoder, const struct yaml_node *node,
                                        enum field field, const char **ret_prefix)
{
    static const char *const source_keys[] = {"id", "uid", NULL}, *const repository_keys[] = {"uid", NULL};
    bool source = field == FIELD_SOURCE;
    unsigned before = decoder->diag->count;
    yaml_check_keys(node, field_keys[field], source ? source_keys : repository_keys, decoder->diag);
    const struct yaml_node *id = source ? yaml_child(node, "id") : NULL, *uid = yaml_child(node, "uid");
    const struct yaml_node *only = id ? id : uid;
    if (decoder->diag->count > before)
        return NULL;
    if (node->n != 1 || only->kind != YAML_SCALAR) {
        yaml_say(decoder->diag, node,
                 source
                     ? "\"source\" takes a name, {id: GUID} or {uid: urn:veeam:Job:GUID}; give exactly one"
                     : "\"repository\" takes a name or {uid: urn:veeam:Repository:GUID}; give exactly one");
        return NULL;
    }
    *ret_prefix = id ? "" : source ? "urn:veeam:Job:" : "urn:veeam:Repository:";
    return only;
}

static bool kind_has(enum job_kind kind, enum field field)
{
    if (kind == JOB_KIND_UNKNOWN)
        return true;
    if (field == FIELD_FOLDER)
        return job_kind_has_folder(kind);
    if (field == FIELD_FILE)
        return job_kind_has_file(kind);
    if (field == FIELD_SUFFIX)
        return job_kind_has_suffix(kind);
    return field != FIELD_REPOSITORY || job_kind_has_repository(kind);
}

static void read_field(struct plan_decoder *decoder, struct entry *entry, enum field field)
{
    bool own, ref = field == FIELD_SOURCE || field == FIELD_REPOSITORY;
    const struct yaml_node *node = find(decoder, entry->place.node, field_keys[field], &own);
    if (!node)
        return;
    if (!kind_has(entry->kind, field)) {
        if (own)
            yaml_say_key(decoder->diag, node, "a clone of kind %s has no \"%s\"; remove it",
                         job_kind_name(entry->kind), field_keys[field]);
        entry->bad = entry->bad || own;
        return;
    }
    const struct yaml_node *scalar = node;
    if (ref && node->kind == YAML_MAPPING) {
        scalar = read_ref(decoder, node, field, &entry->prefix[field]);
    } else if (node->kind != YAML_SCALAR) {
        const char *text;
        yaml_get_text(own ? entry->place.node : decoder->defaults, field_keys[field], &text, decoder->diag);
        scalar = NULL;
    }
    entry->own[field] = own;
    entry->nodes[field] = scalar;
    entry->bad = entry->bad || !scalar || scalar->refused;
}

static void check_required(struct plan_decoder *decoder, struct entry *entry)
{
    const struct yaml_node *clone = entry->place.node;
    static const struct {
        enum field field;
        const char *example;
    } fields[] = {{FIELD_NAME, "Tenant 01 Backup"}, {FIELD_SOURCE, "Template Backup"}};
    bool own;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        const char *key = field_keys[fields[i].field];
        if (find(decoder, clone, key, &own))
            continue;
        yaml_say(decoder->diag, clone, "the clone has no \"%s\"; add one, as in %s: %s", key, key,
                 fields[i].example);
        entry->bad = true;
    }
    if (entry->kind == JOB_KIND_UNKNOWN)
        return;
    enum field needed = job_kind_has_suffix(entry->kind) ? FIELD_SUFFIX : FIELD_REPOSITORY;
    if (find(decoder, clone, field_keys[needed], &own))
        return;
    yaml_say(decoder->diag, clone, "a clone of kind %s needs a \"%s\"; add one", job_kind_name(entry->kind),
             field_keys[needed]);
    entry->bad = true;
}

static void read_words(struct plan_decoder *decoder, struct entry *entry)
{
    static const char *const conflicts[] = {"fail", "skip", "rename", NULL};
    static const char *const kinds[] = {"Backup", "Replica", "BackupCopy", "ImmediateBackupCopy", NULL};
    const struct yaml_node *clone = entry->place.node;
    unsigned word, before = decoder->diag->count;
    bool own;
    if (find(decoder, clone, "on_conflict", &own) &&
        yaml_get_word(own ? clone : decoder->defaults, "on_conflict", conflicts, &word, decoder->diag))
        entry->on_conflict = (enum on_conflict)word;
    if (find(decoder, clone, "kind", &own) &&
        yaml_get_word(own ? clone : decoder->defaults, "kind", kinds, &word, decoder->diag))
        entry->kind = job_kind_parse(kinds[word]);
    entry->bad = decoder->diag->count > before;
}

static void compile(struct plan_decoder *decoder, struct entry *entry, const struct plan_rows *rows)
{
    const struct schedule *schedule = &decoder->plan->schedule;
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        struct scope scope = {.plan_name = decoder->plan->name,
                              .accepted_ms = decoder->options->accepted_ms,
                              .zone = schedule->n ? &schedule->calendars[0].zone : NULL,
                              .for_each = entry->place.for_each,
                              .columns = rows->columns,
                              .n_columns = rows->n_columns,
                              .source = i <= FIELD_DESCRIPTION};
        if (!entry->nodes[i])
            continue;
        int r =
            template_compile(entry->nodes[i], &scope, decoder->scratch, &entry->templates[i], decoder->diag);
        if (r == -ENOMEM)
            decoder->error = r;
        entry->bad = entry->bad || r < 0;
    }
}

/* ---- one clone ---- */

/* Texts that differ from row to row are kept without a table of them, which would be larger than they are. */
static const char *keep(struct plan_decoder *decoder, struct entry *entry, enum field field)
{
    const char *text = buf_str(&decoder->text), **last = &entry->last[field];
    if (*last && strcmp(*last, text) == 0)
        return *last;
    bool own = field == FIELD_NAME || field == FIELD_FOLDER || field == FIELD_FILE || field == FIELD_SUFFIX;
    *last = own ? arena_str(decoder->plan->arena, text) : arena_intern(decoder->plan->arena, text);
    return *last;
}

/* A field expanded, in the plan's arena; NULL when absent or out of memory. */
static const char *expand(struct plan_decoder *decoder, struct entry *entry, enum field field,
                          const struct values *values)
{
    if (!entry->nodes[field])
        return NULL;
    buf_reset(&decoder->text);
    int r = template_expand(&entry->templates[field], values, &decoder->text);
    if (r == -ENOBUFS) {
        plan_say(decoder, &entry->place, entry->nodes[field], "\"%s\" is too long; shorten it",
                 field_keys[field]);
        return NULL;
    }
    const char *text = r < 0 ? NULL : keep(decoder, entry, field);
    if (!text)
        decoder->error = -ENOMEM;
    return text;
}

static struct plan_ref expand_ref(struct plan_decoder *decoder, struct entry *entry, enum field field,
                                  const struct values *values)
{
    const char *text = expand(decoder, entry, field, values), *prefix = entry->prefix[field];
    if (!text)
        return (struct plan_ref){0};
    if (!prefix) {
        const char *problem = plan_text_problem(text);
        if (problem)
            plan_say(decoder, &entry->place, entry->nodes[field], "\"%s\" %s", field_keys[field], problem);
        return (struct plan_ref){PLAN_REF_NAME, text};
    }
    char guid[37];
    if (!plan_guid(text, prefix, guid)) {
        plan_say(decoder, &entry->place, entry->nodes[field],
                 "\"%s\" is not of the form %s01234567-89ab-cdef-0123-456789abcdef; copy it from the server",
                 text, prefix);
        return (struct plan_ref){0};
    }
    text = arena_intern(decoder->plan->arena, guid);
    if (!text)
        decoder->error = -ENOMEM;
    return (struct plan_ref){PLAN_REF_ID, text};
}

static void check_texts(struct plan_decoder *decoder, const struct entry *entry,
                        const struct plan_clone *clone)
{
    const char *const texts[FIELD_COUNT] = {clone->name,      clone->folder,      clone->file,
                                            clone->vm_suffix, clone->description, clone->backup_server};
    for (unsigned i = 0; i <= FIELD_SERVER; i++) {
        if (!texts[i] || (clone->late && i != FIELD_SERVER))
            continue;
        const char *problem =
            i == FIELD_NAME ? plan_name_problem(texts[i], &decoder->text)
            : i == FIELD_DESCRIPTION
                ? plan_description_problem(texts[i], decoder->plan->n_clones, &decoder->text)
                : plan_text_problem(texts[i]);
        if (problem)
            plan_say(decoder, &entry->place, entry->nodes[i], "\"%s\" %s", field_keys[i], problem);
    }
}

/* Room for one more clone; the bound was checked before. */
static struct plan_clone *room(struct plan_decoder *decoder)
{
    struct plan *plan = decoder->plan;
    if (plan->n_clones < decoder->size)
        return &plan->clones[plan->n_clones];
    size_t size = decoder->size ? decoder->size * 2 : 64;
    if (size > decoder->options->plan_items)
        size = decoder->options->plan_items;
    struct plan_clone *clones = reallocarray(plan->clones, size, sizeof(*clones));
    if (!clones) {
        decoder->error = -ENOMEM;
        return NULL;
    }
    plan->clones = clones;
    decoder->size = size;
    return &clones[plan->n_clones];
}

/* Gives back the room that was not needed. */
static void trim(struct plan_decoder *decoder)
{
    struct plan *plan = decoder->plan;
    struct plan_clone *clones =
        plan->n_clones ? reallocarray(plan->clones, plan->n_clones, sizeof(*clones)) : NULL;
    if (!clones)
        return;
    plan->clones = clones;
    decoder->size = plan->n_clones;
}

static bool is_late(const struct entry *entry)
{
    bool late = false;
    for (unsigned i = 0; i <= FIELD_DESCRIPTION; i++)
        late = late || entry->templates[i].source;
    return late && entry->prefix[FIELD_SOURCE];
}

static void add_clone(struct plan_decoder *decoder, struct entry *entry, const char *const *cells)
{
    struct values values = {.cells = cells, .index = entry->place.index};
    unsigned before = decoder->diag->count;
    struct plan_clone *clone = room(decoder);
    if (!clone)
        return;
    *clone = (struct plan_clone){.on_conflict = entry->on_conflict,
                                 .kind = entry->kind,
                                 .late = is_late(entry),
                                 .own_folder = entry->own[FIELD_FOLDER],
                                 .own_file = entry->own[FIELD_FILE],
                                 .own_vm_suffix = entry->own[FIELD_SUFFIX],
                                 .own_repository = entry->own[FIELD_REPOSITORY],
                                 .line = entry->place.node->line,
                                 .column = entry->place.node->column};
    clone->source = expand_ref(decoder, entry, FIELD_SOURCE, &values);
    clone->repository = expand_ref(decoder, entry, FIELD_REPOSITORY, &values);
    clone->backup_server = expand(decoder, entry, FIELD_SERVER, &values);
    values.late = clone->late;
    values.source_name = clone->source.by == PLAN_REF_NAME ? clone->source.text : "";
    clone->name = expand(decoder, entry, FIELD_NAME, &values);
    clone->folder = expand(decoder, entry, FIELD_FOLDER, &values);
    clone->file = expand(decoder, entry, FIELD_FILE, &values);
    clone->vm_suffix = expand(decoder, entry, FIELD_SUFFIX, &values);
    clone->description = expand(decoder, entry, FIELD_DESCRIPTION, &values);
    if (clone->description && !*clone->description)
        clone->description = NULL;
    if (decoder->error)
        return;
    check_texts(decoder, entry, clone);
    if (decoder->diag->count == before)
        plan_check_unique(decoder, &entry->place, entry->nodes[FIELD_NAME], clone, !clone->late);
    decoder->plan->n_clones++;
}

/* ---- all ---- */

static void add_rows(struct plan_decoder *decoder, struct entry *entry, const struct plan_rows *rows)
{
    for (size_t i = 0; i < rows->n_rows && !decoder->error; i++) {
        entry->place.index = i;
        add_clone(decoder, entry, rows->cells ? rows->cells + i * rows->n_columns : NULL);
    }
}

static void add_entry(struct plan_decoder *decoder, const struct yaml_node *node)
{
    const struct yaml_node *each = yaml_child(node, "for_each");
    struct entry entry = {.place = {.node = node, .for_each = each != NULL}};
    _cleanup_(plan_rows_done) struct plan_rows rows = {0};
    check_entry_keys(decoder, node, false);
    decoder->left_out |= node->kind != YAML_MAPPING;
    if (node->kind != YAML_MAPPING)
        return;
    read_words(decoder, &entry);
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        read_field(decoder, &entry, (enum field)i);
    check_required(decoder, &entry);
    if (each && !plan_each_read(decoder, each, &rows)) {
        decoder->left_out = true;
        return; /* without columns, no text can be judged */
    }
    compile(decoder, &entry, &rows);
    decoder->left_out |= entry.bad;
    if (entry.bad || decoder->error)
        return;
    if (each)
        add_rows(decoder, &entry, &rows);
    else if (decoder->plan->n_clones >= decoder->options->plan_items)
        plan_each_full(decoder, node);
    else
        add_clone(decoder, &entry, NULL);
}

void plan_clones_decode(struct plan_decoder *decoder, const struct yaml_node *root)
{
    struct yaml_node *clones, *defaults;
    if (yaml_get_mapping(root, "defaults", &defaults, decoder->diag)) {
        check_entry_keys(decoder, defaults, true);
        decoder->defaults = defaults;
    }
    if (!yaml_child(root, "clones"))
        yaml_say(decoder->diag, root, "\"clones\" is missing; list what to clone there");
    if (!yaml_get_sequence(root, "clones", &clones, decoder->diag))
        return;
    if (clones->n == 0) {
        yaml_say(decoder->diag, clones, "\"clones\" is empty; list what to clone there");
        return;
    }
    for (const struct yaml_node *node = clones->first; node && !decoder->full && !decoder->error;
         node = node->next)
        add_entry(decoder, node);
    trim(decoder);
    if (decoder->plan->n_clones == 0 && !decoder->left_out && !decoder->full && !decoder->error)
        yaml_say(decoder->diag, clones, "the plan clones nothing: every for_each is empty; add a row to one");
}
