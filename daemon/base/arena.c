#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

#define ARENA_BLOCK_MIN 512 /* the first block; each further one is twice as large */
#define ARENA_BLOCK_MAX (64 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    char data[];
};

_Static_assert(sizeof(struct arena_block) % _Alignof(uint64_t) == 0, "data of a block begins aligned");

struct arena {
    struct arena_block *blocks;
    struct table interned;
    size_t bytes, block;
};

struct arena *arena_new(void)
{
    return calloc(1, sizeof(struct arena));
}

struct arena *arena_free(struct arena *arena)
{
    if (!arena)
        return NULL;
    table_done(&arena->interned);
    for (struct arena_block *b = arena->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(arena);
    return NULL;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = NULL;
    for (struct arena_block *b = arena->blocks, *next; b; b = next) {
        next = b->next;
        if (!next && b->size == ARENA_BLOCK_MIN)
            kept = b;
        else
            free(b);
    }
    if (kept)
        kept->used = 0;
    table_done(&arena->interned);
    *arena = (struct arena){
        .blocks = kept, .bytes = kept ? sizeof(*kept) + kept->size : 0, .block = kept ? ARENA_BLOCK_MIN : 0};
}

static struct arena_block *arena_room(struct arena *arena, size_t len)
{
    struct arena_block *b = arena->blocks;
    if (b && b->size - b->used >= len)
        return b;
    arena->block = arena->block ? arena->block * 2 : ARENA_BLOCK_MIN;
    if (arena->block > ARENA_BLOCK_MAX)
        arena->block = ARENA_BLOCK_MAX;
    size_t size = len > arena->block / 4 ? len : arena->block;
    b = malloc(sizeof(*b) + size);
    if (!b)
        return NULL;
    *b = (struct arena_block){.size = size};
    arena->bytes += sizeof(*b) + size;
    if (size == len && arena->blocks) { /* a large string of its own: keep filling the current block */
        b->next = arena->blocks->next;
        arena->blocks->next = b;
    } else {
        b->next = arena->blocks;
        arena->blocks = b;
    }
    return b;
}

const char *arena_str(struct arena *arena, const char *str)
{
    if (!str)
        return NULL;
    size_t len = strlen(str) + 1;
    struct arena_block *b = arena_room(arena, len);
    if (!b)
        return NULL;
    char *copy = b->data + b->used;
    memcpy(copy, str, len);
    b->used += len;
    return copy;
}

void *arena_take(struct arena *arena, size_t len)
{
    size_t align = _Alignof(uint64_t); /* blocks begin aligned: malloc's, behind a header of such words */
    struct arena_block *b = arena_room(arena, len + align - 1);
    if (!b)
        return NULL;
    b->used = (b->used + align - 1) / align * align;
    void *taken = b->data + b->used;
    b->used += len;
    return memset(taken, 0, len);
}

const char *arena_intern(struct arena *arena, const char *str)
{
    if (!str)
        return NULL;
    const char *known = table_key(&arena->interned, str);
    if (known)
        return known;
    const char *copy = arena_str(arena, str);
    if (!copy || table_put(&arena->interned, copy, 0) < 0)
        return NULL;
    return copy;
}

size_t arena_size(const struct arena *arena)
{
    return arena->bytes;
}
