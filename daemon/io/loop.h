/* The loop's clocks: the one place where time is read. */
#pragma once

#include "base/instant.h"

/* Now: CLOCK_MONOTONIC and CLOCK_REALTIME. */
struct instant loop_now(void);
