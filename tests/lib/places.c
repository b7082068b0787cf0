#include "places.h"

bool places_take(struct places *p, unsigned n, unsigned most, uint64_t now_ms, uint64_t work_ms,
                 uint64_t *ret_end_ms)
{
    if (p->held >= most)
        return false;
    unsigned first = 0;
    for (unsigned i = 1; i < n; i++)
        if (p->free_ms[i] < p->free_ms[first])
            first = i;
    uint64_t begins = p->free_ms[first] > now_ms ? p->free_ms[first] : now_ms;
    p->free_ms[first] = begins + work_ms;
    p->held++;
    *ret_end_ms = begins + work_ms;
    return true;
}

void places_leave(struct places *p)
{
    p->held--;
}

uint64_t places_crowded(const struct places *p, unsigned crowd, uint64_t work_ms)
{
    unsigned held = p->held + 1;
    return crowd && held > crowd ? work_ms * held / crowd : work_ms;
}
