/* Sets of slots by what their items have: a name on a backup server, or a folder or file on a repository.
 * They hold nothing but the slots' numbers (20 bytes an item), which is why an item keeps its values while it
 * is in one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/parts.h"

static const char *place_scope(const struct taken *taken, const struct item *item)
{
    return taken->folders ? item->repository_uid : item->server_id;
}

static const char *place_text(const struct taken *taken, const struct item *item)
{
    return taken->folders ? item->folder : item->name;
}

/* Letter case does not count in a file system, not that of ASCII at least. */
static unsigned char place_char(const struct taken *taken, char c)
{
    return (unsigned char)(taken->folders && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool place_equal(const struct taken *taken, const char *a, const char *b)
{
    while (*a && place_char(taken, *a) == place_char(taken, *b))
        a++, b++;
    return place_char(taken, *a) == place_char(taken, *b);
}

static uint32_t place_hash(const struct taken *taken, const char *scope, const char *text)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    for (; *scope; scope++)
        h = (h ^ (unsigned char)*scope) * 0x100000001b3ULL;
    for (; *text; text++)
        h = (h ^ place_char(taken, *text)) * 0x100000001b3ULL;
    h ^= h >> 32;
    return (uint32_t)(h * 0x9e3779b97f4a7c15ULL >> 32);
}

/* Where that scope and text are, or would be. */
static struct place *place_find(const struct taken *taken, const struct slot *slots, uint32_t hash,
                                const char *scope, const char *text)
{
    size_t at = hash & (taken->size - 1);
    for (; taken->entries[at].slot; at = (at + 1) & (taken->size - 1)) {
        const struct place *place = &taken->entries[at];
        const struct item *item = &slots[place->slot - 1].item;
        if (place->hash == hash && strcmp(place_scope(taken, item), scope) == 0 &&
            place_equal(taken, place_text(taken, item), text))
            break;
    }
    return &taken->entries[at];
}

static int taken_grow(struct taken *taken)
{
    struct taken next = {.folders = taken->folders, .size = taken->size ? taken->size * 2 : 64};
    next.entries = calloc(next.size, sizeof(*next.entries));
    if (!next.entries)
        return -ENOMEM;
    for (size_t i = 0; i < taken->size; i++) {
        if (!taken->entries[i].slot)
            continue;
        size_t at = taken->entries[i].hash & (next.size - 1);
        while (next.entries[at].slot)
            at = (at + 1) & (next.size - 1);
        next.entries[at] = taken->entries[i];
    }
    next.n = taken->n;
    free(taken->entries);
    *taken = next;
    return 0;
}

bool taken_has(const struct taken *taken, const struct slot *slots, const char *scope, const char *text)
{
    return taken->size && place_find(taken, slots, place_hash(taken, scope, text), scope, text)->slot;
}

int taken_add(struct taken *taken, const struct slot *slots, uint32_t slot)
{
    const char *scope = place_scope(taken, &slots[slot].item);
    const char *text = place_text(taken, &slots[slot].item);
    int r = (taken->n + 1) * 4 > taken->size * 3 ? taken_grow(taken) : 0;
    if (r < 0)
        return r;
    uint32_t hash = place_hash(taken, scope, text);
    struct place *place = place_find(taken, slots, hash, scope, text);
    if (place->slot)
        return 0;
    *place = (struct place){slot + 1, hash};
    taken->n++;
    return 0;
}

void taken_done(struct taken *taken)
{
    free(taken->entries);
    *taken = (struct taken){.folders = taken->folders};
}
