/* A binary heap of (moment, number): what is due first comes out first. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct heap_entry {
    uint64_t due_ms;
    uint32_t value;
};

struct heap {
    struct heap_entry *entries;
    size_t n, size;
};

void heap_done(struct heap *heap);

/* 0 or -ENOMEM. */
int heap_push(struct heap *heap, uint64_t due_ms, uint32_t value);

/* The first moment, INSTANT_NEVER when empty. */
uint64_t heap_due(const struct heap *heap);

/* Takes the first entry; the heap must not be empty. */
struct heap_entry heap_pop(struct heap *heap);
