/* Port: HTTP to one server, as the engine sees it. Implemented by io/http_curl
 * and by the simulation. Requests are owned by the caller, lent to the port by
 * start, and given back by exactly one on_reply, also after abort. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum http_method { HTTP_GET, HTTP_POST, HTTP_DELETE };

/* How the transport ended. */
enum http_outcome {
    HTTP_ANSWERED,    /* a whole answer: status, headers, body */
    HTTP_UNSENT,      /* name, connect failed on a new connection: no byte of the request left */
    HTTP_TLS_REFUSED, /* the peer's certificate, name or pin was refused: no byte of the request left */
    HTTP_LOST,        /* anything else: reset, time-out, cut-off or too large answer, not sent again */
    HTTP_ABORTED,     /* the caller's abort; whether it arrived is unknown */
};

struct http_reply {
    enum http_outcome outcome;
    int status;             /* HTTP_ANSWERED: status code; also set on HTTP_LOST when a status line came */
    const char *session;    /* X-RestSvcSessionId of the answer, or NULL; borrowed for the callback */
    int64_t retry_after_ms; /* Retry-After in milliseconds from now, or -1 */
    bool timed_out;
    const char *error; /* text for people, "" when answered; borrowed for the callback */
};

struct http_request {
    /* set by the caller, unchanged until on_reply */
    enum http_method method;
    const char *path;       /* path and query, beginning with "/api/" */
    bool logon;             /* send Authorization: Basic instead of the session header */
    const char *session;    /* token, or NULL; sent byte for byte */
    const char *media_type; /* of the body, and of the answer that is wanted; NULL: the port's own */
    struct bytes body;      /* NULL data: none (a POST then says Content-Length: 0) */
    bool once;              /* must never be sent twice by the transport (design note 13) */
    size_t body_max;        /* longest answer in bytes; beyond: HTTP_LOST */
    /* Body of the answer as it arrives; a negative return ends the transfer as HTTP_LOST. */
    int (*on_body)(const char *data, size_t len, void *user);
    void (*on_reply)(struct http_request *request, const struct http_reply *reply, void *user);
    void *user;
    /* the port's own */
    void *port;
};

struct http {
    /* Never calls on_reply before it returns. 0, or -ENOMEM (then on_reply is never called). */
    int (*start)(struct http *http, struct http_request *request);
    /* Ends a request early; on_reply comes later with HTTP_ABORTED. */
    void (*abort)(struct http *http, struct http_request *request);
};
