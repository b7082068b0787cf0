#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

void world_at(struct world *world, uint64_t at_ms, void (*fire)(struct world *, void *), void *data)
{
    if (world->n_events == world->size_events) {
        world->size_events = world->size_events ? world->size_events * 2 : 64;
        world->events = realloc(world->events, world->size_events * sizeof(*world->events));
        if (!world->events)
            abort();
    }
    struct sim_event event = {at_ms, world->order++, fire, data};
    size_t i = world->n_events++;
    for (; i > 0 && earlier(&event, &world->events[(i - 1) / 2]); i = (i - 1) / 2)
        world->events[i] = world->events[(i - 1) / 2];
    world->events[i] = event;
}

bool world_step(struct world *world)
{
    if (!world->n_events)
        return false;
    struct sim_event first = world->events[0], last = world->events[--world->n_events];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < world->n_events; i = child) {
        if (child + 1 < world->n_events && earlier(&world->events[child + 1], &world->events[child]))
            child++;
        if (!earlier(&world->events[child], &last))
            break;
        world->events[i] = world->events[child];
    }
    world->events[i] = last;
    if (first.at_ms > world->now_ms)
        world->now_ms = first.at_ms;
    first.fire(world, first.data);
    return true;
}

void world_fail(struct world *world, const char *format, ...)
{
    if (world->failure[0])
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(world->failure, sizeof(world->failure), format, args);
    va_end(args);
    world_say(world, "FAILURE: %s", world->failure);
}

void world_say(struct world *world, const char *format, ...)
{
    if (!world->verbose && !world->log)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    unsigned long long s = world->now_ms / 1000, ms = world->now_ms % 1000;
    if (world->verbose)
        printf("%8llu.%03llu  %s\n", s, ms, text);
    if (world->log)
        buf_printf(&world->transcript, "%llu.%03llu %s\n", s, ms, text);
}

uint64_t world_below(struct world *world, uint64_t n)
{
    return n ? rng_below(&world->rng, n) : 0;
}

bool world_chance(struct world *world, unsigned per_mille)
{
    return world->now_ms < world->chaos_until_ms && rng_chance(&world->rng, per_mille);
}

struct instant world_instant(const struct world *world)
{
    return (struct instant){world->now_ms, 1790000000000 + world->skew_ms + (int64_t)world->now_ms};
}

void world_done(struct world *world)
{
    free(world->events);
    world->events = NULL;
    world->store_arena = arena_free(world->store_arena);
    buf_done(&world->transcript);
}
