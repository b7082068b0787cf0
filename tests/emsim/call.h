/* One request being served: what came in and what goes out. */
#pragma once

#include "base/buf.h"
#include "behaviour.h"
#include "out.h"
#include "world.h"

#define CALL_PATH_MAX 4
#define CALL_HREF_MAX 512

struct MHD_Connection;

struct call {
    struct world *world;
    struct MHD_Connection *connection;
    const char *method;
    char *path_text;
    const char *path[CALL_PATH_MAX]; /* the parts after /api; /sim counts as a part */
    unsigned n_path;
    struct bytes body;
    enum request_kind kind;
    bool wrong_method; /* REQUEST_OTHER: the place is known */
    struct fate fate;
    uint32_t session; /* WORLD_NONE before logon */
    bool json;        /* asked for by Accept */

    unsigned status;
    struct out out; /* the answer's body */
    const char *token;
    bool plain_json; /* of /sim */
};

/* A query argument or header, or NULL. */
const char *call_arg(const struct call *call, const char *name);
const char *call_header(const struct call *call, const char *name);

/* True when ?format= asks for whole objects. */
bool call_wants_entity(const struct call *call);

/* Begins the answer, in the format that Accept asks for. */
void call_begin(struct call *call);

/* Answers with an Error document. */
void call_error(struct call *call, unsigned status, const char *message);

/* BASE/path with a format; the text is cut at CALL_HREF_MAX. */
void call_href(const struct call *call, char ret[CALL_HREF_MAX], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Path to kind; REQUEST_OTHER when nothing fits. Sets path and n_path. 0 or -ENOMEM. */
int call_classify(struct call *call, const char *url);
