#include "engine/store.h"

const char *run_state_name(enum run_state state)
{
    static const char *const names[] = {"queued", "running", "paused", "succeeded", "failed", "cancelled"};
    return names[state];
}
