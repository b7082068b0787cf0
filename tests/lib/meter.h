/* What a piece of work costs: processor time of this thread, and the most heap
 * that it had at once beyond what there was before. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct meter {
    double began_ms;
    size_t heap;
};

/* One at a time. */
void meter_start(struct meter *meter);
double meter_ms(const struct meter *meter);
/* Counted by the sanitizer where there is one, else told by the kernel, in pages. */
double meter_heap_mib(const struct meter *meter);

/* How much slower than release this build may be: bars on time are multiplied by it. */
double meter_slowness(void);
