/* A small HTTPS server for tests on 127.0.0.1: a thread for each connection,
 * keys and certificates made when it starts. What it does is chosen by the path:
 *   /api/die       closes without an answer     /api/reset     the same, with a reset
 *   /api/hang      never answers                /api/truncate  10 of 100 bytes, then closes
 *   /api/flood     a body without an end        /api/headers   headers without an end
 *   /api/redirect  302 to /api/ok               /api/busy      503, Retry-After: 7
 *   /api/slow      "ok" after half a second
 *   anything else  200 "ok" and a session header */
#pragma once

enum tls_cert { TLS_CERT_GOOD, TLS_CERT_WRONG_NAME, TLS_CERT_EXPIRED };

struct tls_server;

/* NULL on failure. */
struct tls_server *tls_server_start(enum tls_cert cert);
/* Cuts every connection, joins every thread, removes the CA file, frees. */
void tls_server_stop(struct tls_server *server);

int tls_server_port(const struct tls_server *server);
const char *tls_server_ca_file(const struct tls_server *server);
/* "sha256//BASE64" of the server's key. */
const char *tls_server_pin(const struct tls_server *server);

struct tls_counts {
    unsigned connections; /* TLS completed */
    unsigned resumed;     /* those of them that went on with an earlier TLS session */
    unsigned requests;    /* whole requests, bodies included */
    unsigned kept;        /* those of them that came after another on their connection */
    unsigned posts;       /* those of them with POST */
    unsigned records;     /* of TLS, in which they came */
    unsigned authorized;  /* those with an Authorization line */
    char last[32768];     /* head and body of the latest */
};
struct tls_counts tls_server_counts(struct tls_server *server);
