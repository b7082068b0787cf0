#include "ident.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/rng.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint64_t mix(uint64_t state, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        state = (state ^ *p) * 0x100000001b3ULL;
    return (state ^ 0xff) * 0x100000001b3ULL; /* "ab","c" differs from "a","bc" */
}

void ident_guid(char ret[GUID_LEN + 1], const char *kind, const char *first, const char *second)
{
    struct rng rng = {mix(mix(mix(0xcbf29ce484222325ULL, kind), first), second)};
    uint64_t a = rng_next(&rng), b = rng_next(&rng);
    snprintf(ret, GUID_LEN + 1, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
             (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff, ((unsigned)(b >> 48) & 0x3fff) | 0x8000,
             (unsigned long long)(b & 0xffffffffffffULL));
}

int ident_token(char ret[25])
{
    unsigned char bytes[18] = {0};
    if (getrandom(bytes, 16, 0) != 16)
        return -EIO;
    for (size_t i = 0; i < 6; i++) {
        unsigned group = (unsigned)bytes[i * 3] << 16 | (unsigned)bytes[i * 3 + 1] << 8 | bytes[i * 3 + 2];
        for (size_t k = 0; k < 4; k++)
            ret[i * 4 + k] = ALPHABET[group >> (18 - 6 * k) & 63];
    }
    memcpy(ret + 22, "==", 3);
    return 0;
}

int ident_base64_decode(const char *text, char *ret, size_t size)
{
    unsigned group = 0, bits = 0;
    size_t len = 0;
    for (; *text && *text != '='; text++) {
        const char *at = strchr(ALPHABET, *text);
        if (!at)
            return -EINVAL;
        group = (group << 6 | (unsigned)(at - ALPHABET)) & 0xffffff;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        if (len + 1 >= size)
            return -EINVAL;
        ret[len++] = (char)(group >> bits & 0xff);
    }
    ret[len] = 0;
    return text[strspn(text, "=")] || strlen(ret) != len ? -EINVAL : 0;
}
