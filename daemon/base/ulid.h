/* ULIDs: 26 characters that sort by time; the ids of runs. */
#pragma once

#include <stdint.h>

#define ULID_LEN 26

struct rng;

/* Writes ULID_LEN characters and a NUL. */
void ulid_make(char ret[ULID_LEN + 1], int64_t wall_ms, struct rng *rng);
