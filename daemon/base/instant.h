/* A moment, read once per turn at the edge and passed down. Waits use the
 * monotonic part; what is stored or shown uses wall time. */
#pragma once

#include <stdint.h>

#define INSTANT_NEVER UINT64_MAX

struct instant {
    uint64_t mono_ms; /* CLOCK_MONOTONIC (boot-time independent), milliseconds */
    int64_t wall_ms;  /* Unix time, milliseconds */
};
