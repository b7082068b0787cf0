#include "io/loop.h"

#include <time.h>

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct instant loop_now(void)
{
    return (struct instant){(uint64_t)clock_ms(CLOCK_MONOTONIC), clock_ms(CLOCK_REALTIME)};
}
