/* Small tools for UTF-8 text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Reads one code point of strict UTF-8 (no surrogates, no overlong forms) from
 * `len` > 0 bytes; returns its length in bytes, or 0 when malformed. */
size_t text_utf8_next(const char *data, size_t len, uint32_t *ret_code);

/* True when all of it is strict UTF-8. */
bool text_utf8_valid(const char *data, size_t len);

/* True when XML 1.0 can carry every character (and it is UTF-8). */
bool text_xml_valid(const char *str);

/* Length as the server counts: UTF-16 code units. The text must be valid UTF-8. */
size_t text_utf16_len(const char *str);

/* Longest prefix in bytes that has at most `units` UTF-16 code units. */
size_t text_utf16_prefix(const char *str, size_t units);

/* True if there is a C0 or C1 control character or DEL. */
bool text_has_control(const char *str);

/* Appends the text with control characters as \n, \t, \xNN (and broken UTF-8 as \xNN). */
void text_escape(struct buf *buf, const char *str);

/* The candidate nearest to `word` when it is near enough to be a slip of the
 * pen (edit distance at most a third of the length, letter case ignored), or NULL. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);

/* Makes a name safe for a file system (product contract 3): \ / : * ? " < > | ( )
 * and control characters become _, trailing dots and spaces go. Heap string; NULL
 * when out of memory. */
char *text_file_name(const char *name);
