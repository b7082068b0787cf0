/* Keys and certificates for the test server, made anew each time. */
#pragma once

#include <openssl/ssl.h>

#include "tls_server.h"

/* Gives `ctx` a key and a certificate for 127.0.0.1 (or a bad one), writes the CA
 * that signed it to `ca_file`, and its pin to `ret_pin`. 0 or -1. */
int tls_server_certify(SSL_CTX *ctx, enum tls_cert cert, const char *ca_file, char ret_pin[64]);
