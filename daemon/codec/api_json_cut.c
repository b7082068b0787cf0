#include "codec/api_json_cut.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

void api_json_cut_init(struct api_json_cut *cut, int (*on_piece)(const struct api_json_piece *, void *),
                       void *data)
{
    *cut = (struct api_json_cut){.on_piece = on_piece, .data = data, .text = BUF_INIT(API_JSON_OPEN_MAX)};
}

void api_json_cut_done(struct api_json_cut *cut)
{
    buf_done(&cut->text);
}

static int cut_fail(struct api_json_cut *cut, int error)
{
    if (!cut->error)
        cut->error = error == -ENOBUFS ? -EBADMSG : error;
    return cut->error;
}

static int cut_add(struct api_json_cut *cut, const char *data, size_t len)
{
    return cut_fail(cut, buf_add(&cut->text, data, len));
}

static struct api_json_frame *cut_top(struct api_json_cut *cut)
{
    return &cut->frames[cut->depth];
}

static void cut_count(struct api_json_cut *cut)
{
    if (++cut->nodes > API_JSON_NODES_MAX)
        cut_fail(cut, -EBADMSG);
}

/* ---- places ---- */

static enum api_json_place link_of(enum api_json_place links)
{
    if (links == PLACE_LINKS_OF_ROOT)
        return PLACE_LINK_OF_ROOT;
    return links == PLACE_LINKS_OF_ELEMENT ? PLACE_LINK_OF_ELEMENT : PLACE_LINK_OF_PAGING;
}

/* The place of an array's elements. */
static enum api_json_place place_of_element(const struct api_json_frame *array)
{
    switch (array->place) {
    case PLACE_ROOT: /* a list without any name around it */
    case PLACE_ENTITIES:
    case PLACE_LIST:
        return PLACE_ELEMENT;
    case PLACE_LINKS_OF_ROOT:
    case PLACE_LINKS_OF_ELEMENT:
    case PLACE_LINKS_OF_PAGING:
        return link_of(array->place);
    case PLACE_FOREIGN:
        return PLACE_FOREIGN;
    case PLACE_ELEMENT:
    case PLACE_PAGING:
    case PLACE_LINK_OF_ROOT:
    case PLACE_LINK_OF_ELEMENT:
    case PLACE_LINK_OF_PAGING:
    case PLACE_OTHER:
        break;
    }
    return PLACE_OTHER;
}

/* The place of a member's value, when it opens with a bracket. */
static void place_of_member(const struct api_json_frame *object, struct api_json_frame *child)
{
    enum api_json_key key = object->key;
    switch (object->place) {
    case PLACE_ROOT:
        if (key == KEY_ENTITIES || key == KEY_RESOURCES)
            child->place = PLACE_ENTITIES;
        else if (key == KEY_LINKS)
            child->place = PLACE_LINKS_OF_ROOT;
        else if (key == KEY_PAGING_INFO)
            child->place = PLACE_PAGING;
        __attribute__((fallthrough));
    case PLACE_ENTITIES:
        if (api_json_key_lists(key)) {
            child->place = PLACE_LIST;
            child->list = key;
        } else if (object->place == PLACE_ENTITIES) {
            child->place = PLACE_FOREIGN;
        }
        break;
    case PLACE_LIST: /* a wrapper: its own name again, or the singular */
        child->cut = object->singular && !child->array;
        child->list = object->list;
        if (key == object->list || object->singular)
            child->place = child->cut ? PLACE_ELEMENT : PLACE_LIST;
        break;
    case PLACE_ELEMENT:
        if (key == KEY_LINKS)
            child->place = PLACE_LINKS_OF_ELEMENT;
        break;
    case PLACE_PAGING:
        if (key == KEY_LINKS)
            child->place = PLACE_LINKS_OF_PAGING;
        break;
    case PLACE_LINKS_OF_ROOT:
    case PLACE_LINKS_OF_ELEMENT:
    case PLACE_LINKS_OF_PAGING:
        child->cut = object->singular && !child->array;
        if (key == KEY_LINKS || object->singular)
            child->place = child->cut ? link_of(object->place) : object->place;
        break;
    case PLACE_LINK_OF_ROOT:
    case PLACE_LINK_OF_ELEMENT:
    case PLACE_LINK_OF_PAGING:
    case PLACE_FOREIGN:
    case PLACE_OTHER:
        break;
    }
}

/* What wraps a list holds nothing else: a shape that is not understood must not pass as an empty list. */
static void wrapper_check(struct api_json_cut *cut, const struct api_json_frame *object)
{
    if (object->place == PLACE_FOREIGN)
        cut_fail(cut, -EBADMSG);
    if (object->place == PLACE_LIST && object->key != object->list && !object->singular &&
        object->key != KEY_LINKS && object->key != KEY_HREF && object->key != KEY_TYPE)
        cut_fail(cut, -EBADMSG);
}

static void key_set(struct api_json_cut *cut, struct api_json_frame *object, const char *text, size_t len)
{
    bool links = object->place == PLACE_LINKS_OF_ROOT || object->place == PLACE_LINKS_OF_ELEMENT ||
                 object->place == PLACE_LINKS_OF_PAGING;
    object->key = api_json_key_of(text, len);
    object->singular = api_json_key_singular(links ? KEY_LINKS : object->list, text, len);
    wrapper_check(cut, object);
}

/* A colon: the string before it is a key. */
static void key_take(struct api_json_cut *cut)
{
    struct api_json_frame *object = cut_top(cut);
    const char *text = cut->text.data + cut->string_start;
    if (object->array || !cut->key_ready) {
        cut_fail(cut, -EBADMSG);
        return;
    }
    if (!memchr(text, '\\', cut->string_len)) {
        key_set(cut, object, text, cut->string_len);
        return;
    }
    json_error_t error;
    json_t *key = json_loadb(text - 1, cut->string_len + 2, JSON_DECODE_ANY, &error);
    if (key)
        key_set(cut, object, json_string_value(key), json_string_length(key));
    else
        cut_fail(cut, json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG);
    json_decref(key);
}

/* ---- brackets ---- */

static void cut_open(struct api_json_cut *cut, char bracket)
{
    if (cut->depth == API_JSON_DEPTH_MAX) {
        cut_fail(cut, -EBADMSG);
        return;
    }
    const struct api_json_frame *parent = cut_top(cut);
    struct api_json_frame child = {.array = bracket == '['};
    if (cut->depth == 0)
        child.place = PLACE_ROOT;
    else if (parent->array)
        child.place = place_of_element(parent);
    else
        place_of_member(parent, &child);
    child.start = cut->text.len;
    child.nodes = cut->nodes;
    cut_add(cut, &bracket, 1);
    if (child.array) { /* the piece at hand is its element */
        child.start = cut->text.len;
        child.nodes = cut->nodes + 1;
    }
    cut_count(cut);
    cut->frames[++cut->depth] = child;
}

static void cut_back(struct api_json_cut *cut, size_t len)
{
    cut->text.len = len;
    cut->text.data[len] = '\0';
}

/* Hands on what is open from `start`, and forgets it. */
static void cut_piece(struct api_json_cut *cut, const struct api_json_piece *piece, size_t start,
                      unsigned nodes)
{
    struct api_json_piece whole = *piece;
    whole.text = (struct bytes){cut->text.data + start, cut->text.len - start};
    if (!cut->error)
        cut_fail(cut, cut->on_piece(&whole, cut->data));
    cut_back(cut, start);
    cut->nodes = nodes;
}

/* An element has ended by a comma or by the array's end; an array may be empty. */
static void cut_element(struct api_json_cut *cut, bool last)
{
    struct api_json_frame *array = cut_top(cut);
    size_t start = array->start;
    bool blank = cut->text.len == start || (cut->text.len == start + 1 && cut->text.data[start] == ' ');
    struct api_json_piece piece = {.place = place_of_element(array), .list = array->list};
    if (piece.place == PLACE_FOREIGN && !(last && blank))
        cut_fail(cut, -EBADMSG);
    if (!(last && blank && !array->any))
        cut_piece(cut, &piece, start, array->nodes);
    cut_back(cut, start);
    array->any = true;
}

static void cut_close(struct api_json_cut *cut, char bracket)
{
    struct api_json_frame frame = *cut_top(cut);
    if (cut->depth == 0 || frame.array != (bracket == ']')) {
        cut_fail(cut, -EBADMSG);
        return;
    }
    if (frame.array)
        cut_element(cut, true);
    cut_add(cut, &bracket, 1);
    cut->depth--;
    if (cut->depth == 0) {
        struct api_json_piece root = {.place = PLACE_ROOT};
        cut_piece(cut, &root, 0, 0);
        cut->ended = true;
    } else if (frame.cut) {
        struct api_json_piece piece = {.place = frame.place, .list = frame.list};
        cut_piece(cut, &piece, frame.start, frame.nodes);
        cut_add(cut, "{}", 2);
    }
}

/* ---- characters ---- */

/* One character outside of strings. */
static void cut_char(struct api_json_cut *cut, char c)
{
    bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (blank) { /* of many, one is kept, so that nothing grows together */
        if (cut->text.len && cut->text.data[cut->text.len - 1] != ' ')
            cut_add(cut, " ", 1);
        return;
    }
    if (cut->ended || (cut->depth == 0 && c != '{' && c != '[')) {
        cut_fail(cut, -EBADMSG);
        return;
    }
    if (c == '{' || c == '[') {
        cut_open(cut, c);
    } else if (c == '}' || c == ']') {
        cut_close(cut, c);
    } else if (c == ',' && cut_top(cut)->array) {
        cut_element(cut, false);
    } else {
        if (c == ':')
            key_take(cut);
        if (c == ':' || c == ',')
            cut_count(cut);
        cut_add(cut, &c, 1);
    }
    cut->key_ready = false;
    if (c == '"') {
        cut->in_string = true;
        cut->string_start = cut->text.len;
    }
}

/* Takes what belongs to the string that is open, its end included; returns how much. */
static size_t cut_string(struct api_json_cut *cut, const char *data, size_t len)
{
    size_t n = 0;
    for (bool ended = false; n < len && !ended; n++) {
        ended = data[n] == '"' && !cut->escaped;
        cut->escaped = data[n] == '\\' && !cut->escaped;
        cut->in_string = !ended;
    }
    cut_add(cut, data, n);
    cut->string_len = cut->text.len - cut->string_start - !cut->in_string;
    cut->key_ready = !cut->in_string;
    if (cut->string_len > API_JSON_STRING_MAX)
        cut_fail(cut, -EBADMSG);
    return n;
}

int api_json_cut_feed(struct api_json_cut *cut, const char *data, size_t len)
{
    for (size_t i = 0; i < len && !cut->error;) {
        if (cut->in_string)
            i += cut_string(cut, data + i, len - i);
        else
            cut_char(cut, data[i++]);
    }
    return cut->error;
}
