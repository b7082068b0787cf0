#include "base/ulid.h"

#include "base/rng.h"

void ulid_make(char ret[ULID_LEN + 1], int64_t wall_ms, struct rng *rng)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t time = (uint64_t)wall_ms;
    for (int i = 9; i >= 0; i--, time >>= 5)
        ret[i] = digits[time & 31];
    uint64_t chance = 0;
    for (int i = 10; i < ULID_LEN; i++, chance >>= 5) {
        if ((i - 10) % 8 == 0)
            chance = rng_next(rng) >> 8;
        ret[i] = digits[chance & 31];
    }
    ret[ULID_LEN] = '\0';
}
