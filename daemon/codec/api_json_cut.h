/* Cuts a document in JSON, as it comes, into pieces small enough for a tree:
 * every element of every array by itself, and what remains of the document last.
 * A piece that has ended is handed on and forgotten, and an empty array stays
 * where its elements were; so a list of any length needs the memory of its
 * longest element, however often lists are nested. It knows strings, brackets,
 * colons and commas, and leaves it to the reader of a piece to refuse what is
 * not JSON. With the place of a piece in the document it says what it may be.
 *
 *     {"Tasks":[{"TaskId":"task-1","Links":[{"Rel":"Delete"}]}]}
 *
 * gives  {"Rel":"Delete"}                    PLACE_LINK_OF_ELEMENT
 *        {"TaskId":"task-1","Links":[]}      PLACE_ELEMENT, of the list Tasks
 *        {"Tasks":[]}                        PLACE_ROOT */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "codec/api_json_key.h"

#define API_JSON_DEPTH_MAX 64
#define API_JSON_STRING_MAX ((size_t)64 * 1024) /* as written, without the quotes */
#define API_JSON_OPEN_MAX ((size_t)256 * 1024)  /* of all that has not been handed on yet */
#define API_JSON_NODES_MAX 4096u                /* brackets, colons and commas in it */

/* Collections may be bare, wrapped in their singular or in their own name
 * (wire reference 1.5); a place is the same for all of them. */
enum api_json_place {
    PLACE_OTHER, /* nothing that matters */
    PLACE_ROOT,
    PLACE_ENTITIES, /* Entities or Resources of a query */
    PLACE_FOREIGN,  /* in there under an unknown name: empty, or the answer is not understood */
    PLACE_LIST,
    PLACE_ELEMENT,
    PLACE_PAGING,
    PLACE_LINKS_OF_ROOT,
    PLACE_LINKS_OF_ELEMENT,
    PLACE_LINKS_OF_PAGING,
    PLACE_LINK_OF_ROOT,
    PLACE_LINK_OF_ELEMENT,
    PLACE_LINK_OF_PAGING,
};

struct api_json_piece {
    enum api_json_place place;
    enum api_json_key list; /* PLACE_ELEMENT: the list, KEY_OTHER for an array without a name */
    struct bytes text;      /* valid during the callback only */
};

struct api_json_frame {
    enum api_json_place place;
    enum api_json_key list; /* PLACE_LIST, and an array of PLACE_ENTITIES */
    enum api_json_key key;  /* object: of the member at hand */
    bool array;
    bool any;      /* array: an element has ended */
    bool singular; /* object: the member at hand is the singular of the list */
    bool cut;      /* object: a piece though in no array, since its key is a list's singular */
    size_t start;  /* of the piece at hand within the open text */
    unsigned nodes;
};

struct api_json_cut {
    int (*on_piece)(const struct api_json_piece *piece, void *data); /* an error ends the cutting */
    void *data;
    int error; /* the first */
    bool ended;
    bool in_string, escaped;
    bool key_ready; /* a string has just ended, with nothing but blanks behind it */
    size_t string_start, string_len;
    struct buf text; /* what is open */
    unsigned nodes;
    unsigned depth;
    struct api_json_frame frames[API_JSON_DEPTH_MAX + 1]; /* [1]: the root */
};

void api_json_cut_init(struct api_json_cut *cut, int (*on_piece)(const struct api_json_piece *, void *),
                       void *data);
void api_json_cut_done(struct api_json_cut *cut);

/* 0; -EBADMSG beyond the limits or where the brackets are not in order; -ENOMEM; or
 * what on_piece returned. Afterwards it always returns the same. */
int api_json_cut_feed(struct api_json_cut *cut, const char *data, size_t len);
