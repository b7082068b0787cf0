#include "codec/yaml_node.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "base/table.h"
#include "base/text.h"

#define DIRECTIVES_MAX 8

/* A sequence or mapping that is still open. */
struct frame {
    struct yaml_node *node;
    struct yaml_node **tail; /* where its next child goes */
    const char *key;         /* mapping: the key that waits for its value */
    unsigned key_line, key_column;
    bool key_refused;  /* a message stands for it */
    bool key_twice;    /* as is its value's: it is read, but not kept */
    struct table keys; /* mapping: key to the line where it stands */
};

struct reader {
    yaml_parser_t parser;
    struct bytes text;
    const char *file;
    size_t nodes_left;
    struct arena *arena;
    struct diag *diag;
    struct frame frames[YAML_DEPTH_MAX];
    size_t depth; /* open frames */
    unsigned documents;
    struct yaml_node *root;
};

static unsigned mark_line(yaml_mark_t mark)
{
    return (unsigned)mark.line + 1;
}

static unsigned mark_column(yaml_mark_t mark)
{
    return (unsigned)mark.column + 1;
}

static void say(struct reader *r, yaml_mark_t mark, const char *message)
{
    diag_add(r->diag, r->file, mark_line(mark), mark_column(mark), "%s", message);
}

static struct frame *top(struct reader *r)
{
    return r->depth ? &r->frames[r->depth - 1] : NULL;
}

static bool wants_key(struct reader *r)
{
    struct frame *f = top(r);
    return f && f->node->kind == YAML_MAPPING && !f->key;
}

/* The place of a byte: libyaml gives no mark for bytes that it cannot decode. */
static yaml_mark_t mark_of_offset(struct bytes text, size_t offset)
{
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '\n') {
            mark.line++;
            mark.column = 0;
        } else if ((c & 0xC0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

/* What mostly helps against libyaml's problem of that name. */
static const char *syntax_advice(const char *problem)
{
    if (strcmp(problem, "found character that cannot start any token") == 0)
        return "put quotes around a text that begins with @, % or `, and indent with blanks, not with tabs";
    if (strcmp(problem, "mapping values are not allowed in this context") == 0)
        return "put quotes around a text that holds \": \", or correct the indentation";
    if (strcmp(problem, "found unexpected end of stream") == 0)
        return "close the quotes or the bracket";
    return "look at the quotes, brackets and indentation there";
}

static int syntax_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    const char *problem = p->problem ? p->problem : "malformed";
    if (p->error == YAML_READER_ERROR) {
        yaml_mark_t mark = mark_of_offset(r->text, p->problem_offset);
        diag_add(r->diag, r->file, mark_line(mark), mark_column(mark),
                 "not readable as text: %s; save the file as UTF-8 without control characters", problem);
        return -EINVAL;
    }
    yaml_mark_t mark = p->problem_mark;
    if (p->context)
        diag_add(r->diag, r->file, mark_line(mark), mark_column(mark),
                 "not valid YAML: %s, %s (begun in line %u); %s", problem, p->context,
                 mark_line(p->context_mark), syntax_advice(problem));
    else
        diag_add(r->diag, r->file, mark_line(mark), mark_column(mark), "not valid YAML: %s; %s", problem,
                 syntax_advice(problem));
    return -EINVAL;
}

/* Takes the text of a scalar over; what XML cannot carry becomes a message and empty text. */
static const char *scalar_text(struct reader *r, const yaml_event_t *event, bool *ret_refused)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    *ret_refused = strlen(value) != len || !text_xml_valid(value);
    if (!*ret_refused)
        return arena_str(r->arena, value);
    say(r, event->start_mark, "the text has a character that XML 1.0 cannot carry; remove it");
    return "";
}

static int node_new(struct reader *r, enum yaml_kind kind, yaml_mark_t mark, struct yaml_node **ret)
{
    struct yaml_node *node = arena_take(r->arena, sizeof(*node));
    if (!node)
        return -ENOMEM;
    *node = (struct yaml_node){
        .kind = kind, .line = mark_line(mark), .column = mark_column(mark), .file = r->file};
    struct frame *f = top(r);
    if (f) {
        node->key = f->key;
        node->key_line = f->key_line;
        node->key_column = f->key_column;
        node->key_refused = f->key_refused;
        f->key = NULL;
        if (!f->key_twice) {
            *f->tail = node;
            f->tail = &node->next;
            f->node->n++;
        }
    } else {
        r->root = node;
    }
    *ret = node;
    return 0;
}

static int key_set(struct reader *r, const yaml_event_t *event)
{
    struct frame *f = top(r);
    const char *key = scalar_text(r, event, &f->key_refused);
    if (!key)
        return -ENOMEM;
    f->key = key;
    f->key_twice = false;
    f->key_line = mark_line(event->start_mark);
    f->key_column = mark_column(event->start_mark);
    if (f->key_refused)
        return 0;
    uint32_t before = table_get(&f->keys, key);
    if (before != TABLE_NONE) {
        f->key_twice = true;
        diag_add(r->diag, r->file, f->key_line, f->key_column,
                 "duplicate key \"%s\": it is already in line %u; keep one of them", key, (unsigned)before);
        return 0;
    }
    return table_put(&f->keys, key, f->key_line);
}

static void properties_check(struct reader *r, const yaml_event_t *event, const void *anchor, const void *tag)
{
    if (anchor)
        say(r, event->start_mark,
            "anchors (&name) are not supported; write the value out where it is needed");
    if (tag)
        say(r, event->start_mark, "tags (!name) are not supported; remove it, or quote the text");
}

/* Whether the scalar's place and a count of characters give the place of any of them: it is
 * no longer in the file than its text and quotes. */
static bool is_as_written(const yaml_event_t *event, const struct yaml_node *node)
{
    size_t characters = node->quoted ? 2 : 0;
    for (const char *p = node->text; *p; p++)
        characters += ((unsigned char)*p & 0xC0) != 0x80;
    return event->start_mark.line == event->end_mark.line &&
           event->end_mark.column - event->start_mark.column == characters;
}

static int on_scalar(struct reader *r, const yaml_event_t *event)
{
    properties_check(r, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (wants_key(r))
        return key_set(r, event);
    struct yaml_node *node;
    int e = node_new(r, YAML_SCALAR, event->start_mark, &node);
    if (e < 0)
        return e;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = scalar_text(r, event, &node->refused);
    node->as_written = node->text && is_as_written(event, node);
    return node->text ? 0 : -ENOMEM;
}

static int on_open(struct reader *r, const yaml_event_t *event, enum yaml_kind kind)
{
    if (wants_key(r)) {
        say(r, event->start_mark,
            "a key must be a simple text; put quotes around it, or around the value if it begins with { or "
            "[");
        return -EINVAL;
    }
    if (r->depth == YAML_DEPTH_MAX) {
        diag_add(r->diag, r->file, mark_line(event->start_mark), mark_column(event->start_mark),
                 "nested more than %d levels deep; make it flatter", YAML_DEPTH_MAX);
        return -EINVAL;
    }
    struct yaml_node *node;
    int e = node_new(r, kind, event->start_mark, &node);
    if (e < 0)
        return e;
    r->frames[r->depth++] = (struct frame){.node = node, .tail = &node->first};
    return 0;
}

static int on_close(struct reader *r)
{
    table_done(&top(r)->keys);
    r->depth--;
    return 0;
}

/* The message is enough to refuse the file; an empty text in its place lets the reading go on. */
static int on_alias(struct reader *r, const yaml_event_t *event)
{
    say(r, event->start_mark, "aliases (*name) are not supported; write the value out, or quote the text");
    if (wants_key(r)) {
        struct frame *f = top(r);
        f->key = "";
        f->key_refused = true;
        f->key_twice = false;
        f->key_line = mark_line(event->start_mark);
        f->key_column = mark_column(event->start_mark);
        return 0;
    }
    struct yaml_node *node;
    int e = node_new(r, YAML_SCALAR, event->start_mark, &node);
    if (e < 0)
        return e;
    node->text = "";
    node->refused = true;
    return 0;
}

static int on_document(struct reader *r, const yaml_event_t *event)
{
    if (r->documents++ == 0)
        return 0;
    say(r, event->start_mark, "a second document begins here; keep one document in a file");
    return -EINVAL;
}

static int count_node(struct reader *r, const yaml_event_t *event)
{
    if (r->nodes_left == 0) {
        say(r, event->start_mark, "the file has too many values; split it");
        return -EINVAL;
    }
    r->nodes_left--;
    return 0;
}

static int on_node(struct reader *r, const yaml_event_t *event)
{
    int e = count_node(r, event);
    if (e < 0)
        return e;
    if (event->type == YAML_ALIAS_EVENT)
        return on_alias(r, event);
    if (event->type == YAML_SCALAR_EVENT)
        return on_scalar(r, event);
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        properties_check(r, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        return on_open(r, event, YAML_SEQUENCE);
    }
    properties_check(r, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    return on_open(r, event, YAML_MAPPING);
}

static int on_event(struct reader *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(r, event);
    case YAML_ALIAS_EVENT:
    case YAML_SCALAR_EVENT:
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return on_node(r, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(r);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return 0;
}

/* True when a line begins at this byte: YAML 1.1 knows more line ends than one. */
static bool begins_line(struct bytes text, size_t at)
{
    static const char *const ends[] = {"\n", "\r", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        size_t len = strlen(ends[i]);
        if (at >= len && memcmp(text.data + at - len, ends[i], len) == 0)
            return true;
    }
    return at == 0;
}

/* Lines that begin with %. libyaml reads all of a document in one go and compares
 * each %TAG with all before it: a file of them would keep it busy for hours. */
static int check_directives(struct reader *r)
{
    unsigned directives = 0;
    const char *at = r->text.data, *end = at + r->text.len;
    for (; (at = memchr(at, '%', (size_t)(end - at))); at++) {
        size_t offset = (size_t)(at - r->text.data);
        if (!begins_line(r->text, offset) || ++directives <= DIRECTIVES_MAX)
            continue;
        say(r, mark_of_offset(r->text, offset), "too many directives (lines that begin with %); remove them");
        return -EINVAL;
    }
    return 0;
}

static int read_events(struct reader *r)
{
    /* when nobody will read more messages, more of the file is not worth its memory */
    for (bool ended = false; !ended && r->diag->count <= DIAG_MESSAGES_MAX;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->parser, &event))
            return syntax_error(r);
        int e = on_event(r, &event);
        ended = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (e < 0)
            return e;
    }
    return 0;
}

static int read_text(struct reader *r)
{
    int e = check_directives(r);
    if (e < 0)
        return e;
    if (!yaml_parser_initialize(&r->parser))
        return -ENOMEM;
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text.data, r->text.len);
    e = read_events(r);
    while (r->depth > 0)
        on_close(r);
    yaml_parser_delete(&r->parser);
    return e;
}

/* libyaml, told the encoding, would count a byte order mark as a column. */
static struct bytes without_bom(struct bytes text)
{
    if (text.len >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0)
        return (struct bytes){.data = text.data + 3, .len = text.len - 3};
    return text;
}

int yaml_read(struct bytes text, const char *file, const struct yaml_limits *limits, struct arena *arena,
              struct yaml_node **ret_root, struct diag *diag)
{
    *ret_root = NULL;
    if (text.len > limits->bytes) {
        diag_add(diag, file, 0, 0, "the file is larger than %zu bytes; split it, or raise the limit",
                 limits->bytes);
        return -EINVAL;
    }
    struct bytes body = without_bom(text.data ? text : (struct bytes){.data = "", .len = 0});
    struct reader r = {.text = body, .nodes_left = limits->nodes, .arena = arena, .diag = diag};
    r.file = arena_intern(arena, file);
    if (!r.file)
        return -ENOMEM;
    unsigned before = diag->count;
    int e = read_text(&r);
    if (e < 0)
        return e;
    *ret_root = r.root;
    bool empty = !r.root || (r.root->kind == YAML_SCALAR && !r.root->quoted && r.root->text[0] == '\0');
    if (empty)
        *ret_root = NULL;
    if (empty && diag->count == before)
        diag_add(diag, file, 1, 1, "the file is empty; write it, or remove it");
    return diag->count == before ? 0 : -EINVAL;
}

struct yaml_node *yaml_child(const struct yaml_node *mapping, const char *key)
{
    if (!mapping || mapping->kind != YAML_MAPPING)
        return NULL;
    for (struct yaml_node *child = mapping->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}
