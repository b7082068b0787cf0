#include "model/progress.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 65536 /* some 18 hours of tasks without a pause */

void progress_done(struct progress *progress)
{
    free(progress->steps);
    *progress = (struct progress){0};
}

static struct progress_step *room(struct progress *p)
{
    if (p->n == STEPS_MAX) { /* what was accepted so long ago waits no more */
        p->n = STEPS_MAX / 2;
        memmove(p->steps, p->steps + STEPS_MAX / 2, p->n * sizeof(*p->steps));
    }
    if (p->n == p->size) {
        size_t size = p->size ? p->size * 2 : 16;
        struct progress_step *steps = realloc(p->steps, size * sizeof(*steps));
        if (!steps)
            return p->n ? &p->steps[p->n - 1] : NULL; /* out of memory: said of somewhat older tasks */
        p->steps = steps;
        p->size = size;
    }
    return &p->steps[p->n++];
}

void progress_ended(struct progress *p, uint64_t accepted_ms, uint64_t now_ms)
{
    uint64_t accepted_s = accepted_ms / 1000;
    while (p->n && p->steps[p->n - 1].accepted_s >= accepted_s)
        p->n--; /* this end is later, and counts for all of theirs */
    struct progress_step *step = room(p);
    if (step)
        *step = (struct progress_step){accepted_s, now_ms};
}

uint64_t progress_last(const struct progress *p, uint64_t accepted_ms)
{
    size_t from = 0, to = p->n; /* the first step of a later acceptance lies within */
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (p->steps[middle].accepted_s <= accepted_ms / 1000)
            from = middle + 1;
        else
            to = middle;
    }
    return from ? p->steps[from - 1].ended_ms : 0;
}
