#include "model/limit.h"

#define LIMIT_ROUND_MS 1000

void limit_init(struct limit *limit, unsigned initial, unsigned max)
{
    *limit = (struct limit){.max = max, .hundredths = initial * 100};
}

unsigned limit_now(const struct limit *limit)
{
    return limit->hundredths / 100;
}

void limit_good(struct limit *limit)
{
    unsigned step = 10000 / limit->hundredths;
    limit->hundredths += step ? step : 1;
    if (limit->hundredths > limit->max * 100)
        limit->hundredths = limit->max * 100;
}

void limit_bad(struct limit *limit, uint64_t now_ms)
{
    if (limit->halved_ms && now_ms - limit->halved_ms < LIMIT_ROUND_MS)
        return;
    limit->halved_ms = now_ms;
    limit->hundredths = limit->hundredths / 2 < 100 ? 100 : limit->hundredths / 2;
}
