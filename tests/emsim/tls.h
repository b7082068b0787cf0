/* The certificate of the server. */
#pragma once

/* Writes DIR/cert.pem and DIR/key.pem for localhost and 127.0.0.1 unless both
 * are there. 0 or a negative errno. */
int tls_self_signed(const char *dir);

/* Reads a file of at most 1 MiB as a heap string. 0 or a negative errno. */
int tls_read_file(const char *path, char **ret_text);
