/* Strings that live and die together: a run's names and texts. Equal strings
 * that come through arena_intern are kept once. */
#pragma once

#include <stddef.h>

struct arena;

/* NULL when out of memory. */
struct arena *arena_new(void);
struct arena *arena_free(struct arena *arena); /* takes NULL; returns NULL */

/* Empties it for the next use; what was taken from it is gone. A little memory is kept. */
void arena_reset(struct arena *arena);

/* A copy that lives as long as the arena, or NULL when out of memory. A NULL
 * argument gives NULL. */
const char *arena_str(struct arena *arena, const char *str);

/* Zeroed memory for a struct (aligned for pointers and 64-bit numbers) that lives as
 * long as the arena, or NULL when out of memory. */
void *arena_take(struct arena *arena, size_t len);

/* As arena_str, but equal strings give the same pointer. */
const char *arena_intern(struct arena *arena, const char *str);

/* Bytes taken from the system. */
size_t arena_size(const struct arena *arena);
