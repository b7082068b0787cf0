/* Every way to spoil a request or its answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

/* Permanent refusals are rarer than the rest, or little would be left to try. */
static const struct spoil spoils[] = {
    {.name = "none"},
    {.name = "slow-answer", .slow = true}, /* drawn by scripts alone, like the next ones */
    {.name = "slow-500", .status = 500, .slow = true},
    {.name = "429-hour", .status = 429, .retry_after_ms = 3600000},
    {.name = "503-minutes", .status = 503, .retry_after_ms = 120000},
    {.name = "unsent", .outcome = HTTP_UNSENT, .weight = 4},
    {.name = "tls", .outcome = HTTP_TLS_REFUSED, .weight = 1},
    {.name = "request-lost", .outcome = HTTP_LOST, .weight = 8, .slow = true},
    {.name = "late", .outcome = HTTP_LOST, .weight = 8, .slow = true, .late = true},
    {.name = "reply-lost", .after = true, .outcome = HTTP_LOST, .weight = 10},
    {.name = "reply-timed-out", .after = true, .outcome = HTTP_LOST, .weight = 8, .slow = true},
    {.name = "cut-off", .after = true, .outcome = HTTP_LOST, .status = 202, .weight = 4},
    {.name = "redirect", .status = 302, .weight = 1},
    {.name = "400", .status = 400, .weight = 1},
    {.name = "401", .loses_session = true, .weight = 2},
    {.name = "403", .status = 403, .weight = 1},
    {.name = "404", .status = 404, .weight = 1},
    {.name = "405", .status = 405, .weight = 1},
    {.name = "408", .status = 408, .weight = 3},
    {.name = "411", .status = 411, .weight = 1},
    {.name = "413", .status = 413, .weight = 1},
    {.name = "429", .status = 429, .weight = 4},
    {.name = "429-wait", .status = 429, .retry_after_ms = 7000, .weight = 4},
    {.name = "500-before", .status = 500, .weight = 8},
    {.name = "500-after", .after = true, .status = 500, .weight = 8},
    {.name = "501", .status = 501, .weight = 1},
    {.name = "502-after", .after = true, .status = 502, .weight = 4},
    {.name = "503-before", .status = 503, .weight = 4},
    {.name = "503-wait", .status = 503, .retry_after_ms = 15000, .weight = 4},
    {.name = "503-after", .after = true, .status = 503, .weight = 4},
    {.name = "html", .after = true, .status = 200, .body = "<html><body>Sorry</body></html>", .weight = 4},
    {.name = "other-type", .after = true, .status = 200, .body = "{\"TaskId\": \"task-1\"}", .weight = 4},
    {.name = "empty", .after = true, .status = 200, .body = "", .weight = 2},
    {.name = "garbled", .after = true, .garbles = true, .weight = 8},
};
#define N_SPOILS (sizeof(spoils) / sizeof(*spoils))

int spoil_by_name(const char *name)
{
    for (size_t i = 0; i < N_SPOILS; i++)
        if (strcmp(spoils[i].name, name) == 0)
            return (int)i;
    fprintf(stderr, "no spoil named %s\n", name);
    abort();
}

const struct spoil *spoil_draw(struct world *world)
{
    unsigned total = 0;
    for (size_t i = 0; i < N_SPOILS; i++)
        total += spoils[i].weight;
    uint64_t at = world_below(world, total);
    for (size_t i = 0; i < N_SPOILS; i++) {
        if (at < spoils[i].weight)
            return &spoils[i];
        at -= spoils[i].weight;
    }
    return &spoils[0];
}

const struct spoil *spoil_at(int place)
{
    return &spoils[place];
}
