/* Scope-bound clean-up: variables that free themselves, and the hand-over of
 * what should outlive the scope. Needs the GNU cleanup attribute. */
#pragma once

#include <stdlib.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Frees a heap pointer at the end of its scope. */
static inline void cleanup_freep(void *pointer)
{
    free(*(void **)pointer);
}
#define _cleanup_free_ _cleanup_(cleanup_freep)

/* Gives up ownership: yields the pointer and leaves NULL behind. */
#define TAKE_PTR(pointer)                       \
    __extension__({                             \
        __typeof__(pointer) taken_ = (pointer); \
        (pointer) = NULL;                       \
        taken_;                                 \
    })

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
