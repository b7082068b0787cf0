/* sim: the real engine and codec against model servers in virtual time. For
 * every seed: chaos for a while, then peace; invariants after every step, and at
 * the end each item has an outcome that agrees with the truth.
 *
 *     sim --seeds 500 [--first N] [--failures 10]    many seeds, quietly; stops after so many failures
 *     sim --seed N                                   one seed with its transcript
 *     sim --replay STATE.db                          re-runs the item history of a state database */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "replay.h"
#include "world.h"

struct totals {
    uint64_t seeds, failed, crashes, lost_sessions, doubts, requests, clones, sends, turns;
};

static void run_seed(uint64_t seed, bool verbose, struct totals *totals)
{
    struct world *world = scene_seed(seed, verbose);
    bool ok = scene_run(world);
    if (!ok)
        printf("seed %llu at %llu s%s: %s\n", (unsigned long long)seed,
               (unsigned long long)world->now_ms / 1000,
               world->now_ms < world->chaos_until_ms ? " (chaos)" : " (peace)", world->failure);
    totals->seeds++;
    totals->failed += !ok;
    totals->crashes += world->crashes;
    totals->lost_sessions += world->lost_sessions;
    totals->doubts += world->doubts;
    totals->requests += world->requests;
    totals->clones += world->clones;
    totals->sends += world->sends;
    totals->turns += world->turns;
    scene_free(world);
}

/* The transcript says what matters; the engine's own lines would only repeat it. */
static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

static int usage(void)
{
    fprintf(stderr, "usage: sim [--seeds N] [--first N] [--failures N] | --seed N | --replay STATE.db\n");
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t first = 1, n = 500, failures = 10;
    bool verbose = false;
    struct totals totals = {0};
    if (argc % 2 == 0)
        return usage();
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--replay") == 0)
            return replay(argv[i + 1]);
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seeds") == 0)
            n = value;
        else if (strcmp(argv[i], "--failures") == 0)
            failures = value;
        else if (strcmp(argv[i], "--first") == 0)
            first = value;
        else if (strcmp(argv[i], "--seed") == 0)
            first = value, n = 1, verbose = true;
        else
            return usage();
    }
    log_set_sink(drop, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (uint64_t seed = first; seed < first + n && totals.failed < failures; seed++)
        run_seed(seed, verbose, &totals);
    printf("%llu seeds, %llu crashes, %llu lost sessions, %llu turns, %llu requests, %llu clone requests "
           "(%llu of "
           "unknown outcome), %llu clones, %llu failed\n",
           (unsigned long long)totals.seeds, (unsigned long long)totals.crashes,
           (unsigned long long)totals.lost_sessions, (unsigned long long)totals.turns,
           (unsigned long long)totals.requests, (unsigned long long)totals.sends,
           (unsigned long long)totals.doubts, (unsigned long long)totals.clones,
           (unsigned long long)totals.failed);
    return totals.failed ? 1 : 0;
}
