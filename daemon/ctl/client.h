/* Asks the daemon over its control socket (docs/control-api.md), one request
 * at a time. What goes wrong is said on standard error: what, where, what to do. */
#pragma once

#include <curl/curl.h>
#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "ctl/commands.h"

/* Where the bytes of a good answer go: 0, or a negative errno that ends it. */
struct client_sink {
    int (*write)(const char *data, size_t len, void *user);
    void *user;
};

/* Sends the request and hands a 2xx body to the sink; `body` NULL: none. Returns CTL_OK, or the exit code
 * after a message. */
int client_stream(const struct ctl *ctl, const char *method, const char *path, const struct buf *body,
                  const struct client_sink *sink);

/* The same for an answer that is a JSON object. With --json it is printed as it came. *ret is for the caller
 * to json_decref, NULL on failure; `ret` itself may be NULL. */
int client_ask(const struct ctl *ctl, const char *method, const char *path, const struct buf *body,
               json_t **ret);

/* The object of an answer, without printing it whatever --json says. */
int client_get(const struct ctl *ctl, const char *path, json_t **ret);

/* "/v1/runs/RUN" and what follows, with RUN escaped for a URL; for the caller to free, NULL after a message.
 */
char *client_path(const char *head, const char *word, const char *tail);

/* An easy handle for the socket; NULL when out of memory. */
CURL *client_handle(const struct ctl *ctl, const char *path);

/* Says why the transport failed. Returns the exit code. */
int client_say_failed(const struct ctl *ctl, CURL *curl, CURLcode code, bool command);

/* Says what an answer that is no 2xx says. Returns the exit code. */
int client_say_refused(const struct ctl *ctl, long status, const struct buf *body);
