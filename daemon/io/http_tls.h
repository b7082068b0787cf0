/* How a handle of curl meets a server, TLS above all; and what the errors of curl and OpenSSL mean: to the
 * port, and to a person. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

struct server_settings;

/* Sets what holds for every request to the server: who asks, how long it may take, https alone, no proxy and
 * no .netrc; and how the server proves itself. The settings are borrowed as long as the handle. */
void http_set_server(CURL *easy, const struct server_settings *settings);

/* True when the peer or its certificate has been refused, or no TLS can be agreed on with it. A
 * connection that merely broke off or took too long is not: the server may be starting. */
bool http_tls_refused(CURLcode code, const char *error);

/* What to do about an error of that text, or "". */
const char *http_tls_advice(const char *error);
