/* Identifiers: GUIDs that follow from names, and session tokens. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GUID_LEN 36

/* The same GUID for the same kind and names, on every start. */
void ident_guid(char ret[GUID_LEN + 1], const char *kind, const char *first, const char *second);

/* 24 characters of base64 from 16 bytes of the kernel's chance; 0 or -errno. */
int ident_token(char ret[25]);

/* Decodes base64; writes at most `size` - 1 bytes and a NUL. 0 or -EINVAL. */
int ident_base64_decode(const char *text, char *ret, size_t size);
