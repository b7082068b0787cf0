/* SHA-256 (FIPS 180-4), to tell contents apart. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32

struct sha256 {
    uint32_t state[8];
    uint64_t len; /* bytes so far */
    unsigned char block[64];
};

void sha256_init(struct sha256 *sha);
void sha256_add(struct sha256 *sha, const void *data, size_t len);

/* Writes the sum in hex and a NUL; the state is used up. */
void sha256_hex(struct sha256 *sha, char ret[2 * SHA256_LEN + 1]);
