#include "base/heap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/instant.h"

void heap_done(struct heap *heap)
{
    free(heap->entries);
    *heap = (struct heap){0};
}

int heap_push(struct heap *heap, uint64_t due_ms, uint32_t value)
{
    if (heap->n == heap->size) {
        size_t size = heap->size ? heap->size * 2 : 16;
        struct heap_entry *entries = realloc(heap->entries, size * sizeof(*entries));
        if (!entries)
            return -ENOMEM;
        heap->entries = entries;
        heap->size = size;
    }
    size_t i = heap->n++;
    while (i > 0 && heap->entries[(i - 1) / 2].due_ms > due_ms) {
        heap->entries[i] = heap->entries[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap->entries[i] = (struct heap_entry){due_ms, value};
    return 0;
}

uint64_t heap_due(const struct heap *heap)
{
    return heap->n ? heap->entries[0].due_ms : INSTANT_NEVER;
}

struct heap_entry heap_pop(struct heap *heap)
{
    struct heap_entry first = heap->entries[0], last = heap->entries[--heap->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->n)
            break;
        if (child + 1 < heap->n && heap->entries[child + 1].due_ms < heap->entries[child].due_ms)
            child++;
        if (heap->entries[child].due_ms >= last.due_ms)
            break;
        heap->entries[i] = heap->entries[child];
        i = child;
    }
    heap->entries[i] = last;
    return first;
}
