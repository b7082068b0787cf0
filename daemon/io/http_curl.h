/* The HTTP port on libcurl's multi interface and libuv: one server, kept
 * connections, TLS checked as the settings say. Happy path: start takes a free
 * easy handle, curl asks for sockets and one timer, completions are drained
 * after every socket action, on_reply is called from the loop. Failures: see
 * enum http_outcome. Never sends a request twice by itself when `once` is set. */
#pragma once

#include <uv.h>

#include "engine/http.h"

struct buf;
struct server_settings;
struct http_curl;

/* `settings` and `media_type` are borrowed for its life; the password is copied
 * and wiped when freed. Returns 0, -ENOMEM, or another negative errno with a sentence added to ret_error
 * (a CA file that cannot be read or is none, a pin that libcurl refuses, a colon in the username). */
int http_curl_new(uv_loop_t *loop, const struct server_settings *settings, const char *password,
                  const char *media_type, struct http_curl **ret, struct buf *ret_error);

/* Would http_curl_new refuse these settings? As it returns; 0 when it would not. */
int http_curl_problem(const struct server_settings *settings, struct buf *ret_error);

/* Other credentials and limits for the same server: they hold for requests that begin from now on.
 * `settings` is borrowed in place of those before; all else in it is as it was. 0 or -ENOMEM. */
int http_curl_set_server(struct http_curl *http, const struct server_settings *settings,
                         const char *password);

/* The port's face; valid as long as the object. */
struct http *http_curl_port(struct http_curl *http);

/* Ends all requests (each gets its on_reply with HTTP_ABORTED), closes all
 * handles, then calls on_closed once and frees itself. */
void http_curl_close(struct http_curl *http, void (*on_closed)(void *data), void *data);

/* Connections opened so far. */
unsigned long http_curl_connections(const struct http_curl *http);
