#include "model/plan.h"

#include <stdlib.h>

#include "base/arena.h"

struct plan *plan_free(struct plan *plan)
{
    if (!plan)
        return NULL;
    arena_free(plan->arena);
    free(plan->clones);
    free(plan);
    return NULL;
}

unsigned plan_stop_after(const struct plan *plan)
{
    if (!plan->stop_percent)
        return plan->stop_failures;
    size_t n = (plan->n_clones * plan->stop_percent + 99) / 100;
    return n ? (unsigned)n : 1;
}
