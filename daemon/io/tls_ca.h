/* The file of tls.ca_file, looked at before curl does, which would say at the first connection only what is
 * wrong with it, and wait for ever for the other end of a FIFO. */
#pragma once

struct buf;

/* 0 when it is a regular file with at least one certificate in PEM form; or a negative errno with a sentence
 * that names the path, the reason and what to do added to ret_error. */
int tls_ca_check(const char *path, struct buf *ret_error);
