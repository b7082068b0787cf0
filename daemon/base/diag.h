/* What is wrong with a file, for people: each message with its place. Readers
 * collect all of a file's messages in one go. */
#pragma once

#include <stdio.h>

#include "base/buf.h"

#define DIAG_MESSAGES_MAX 100 /* further ones are counted, not kept */

struct diag {
    struct buf text; /* lines "FILE:LINE:COLUMN: message\n" */
    unsigned count;  /* messages in all */
};

#define DIAG_INIT ((struct diag){.text = BUF_INIT(256 * 1024)})

void diag_done(struct diag *diag);

/* Adds `FILE:LINE:COLUMN: message`; column 0 leaves the column out, line 0
 * both. Lines and columns count from 1. Control characters in the message are
 * shown escaped. */
void diag_add(struct diag *diag, const char *file, unsigned line, unsigned column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Writes all messages, and how many were left out. */
void diag_print(const struct diag *diag, FILE *stream);
