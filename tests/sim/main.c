/* sim: the real engine and codec against model servers in virtual time. For
 * every seed: chaos for a while, then peace; invariants after every step, and at
 * the end each item has an outcome that agrees with the truth.
 *
 *     sim --seeds 500 [--first N] [--failures 10]    many seeds, quietly; stops after so many failures
 *     sim --seed N                                   one seed with its transcript
 *     ... --format json                              servers speak JSON, in a style that the seed decides
 *     ... --format both                              each seed in XML and in JSON, which must end alike
 *     sim --replay STATE.db                          re-runs the item history of a state database */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "replay.h"
#include "world.h"

enum format { FORMAT_XML, FORMAT_JSON, FORMAT_BOTH };

struct totals {
    uint64_t seeds, failed, forms, crashes, lost_sessions, changed_sessions, doubts, requests, clones, sends,
        turns;
};

/* What a world has come to, without texts for people. */
static void write_outcome(const struct world *world, struct buf *ret)
{
    buf_printf(ret, "%llu ms, %u requests\n", (unsigned long long)world->now_ms, world->requests);
    for (size_t r = 0; r < world->n_runs; r++) {
        for (size_t i = 0; i < world->runs[r].n_items; i++) {
            const struct item *item = &world->runs[r].rows[i];
            buf_printf(ret, "run %c item %zu: %s after %u tries, error '%s' %d, job %s%s%s\n",
                       world->runs[r].id[25], i, item_state_name(item->state), item->attempts,
                       item_error_name(item->error), item->http, item->job_uid ? item->job_uid : "-",
                       item->recovered ? ", recovered" : "", item->verified ? ", verified" : "");
        }
    }
}

/* Both worlds are the same but for the format; what only XML can refuse is not refused. */
static void run_both(uint64_t seed, struct totals *totals)
{
    struct buf outcome[2] = {BUF_INIT(1 << 20), BUF_INIT(1 << 20)};
    for (int json = 0; json < 2; json++) {
        struct world *world = scene_seed(seed, json, false);
        world->alike = true;
        for (size_t i = 0; i < world->n_ems; i++)
            world->ems[i].form = CLONE_FORM_EXAMPLE;
        if (!scene_run(world))
            buf_printf(&outcome[json], "failed: %s\n", world->failure);
        write_outcome(world, &outcome[json]);
        totals->requests += world->requests;
        totals->crashes += world->crashes;
        totals->changed_sessions += world->changed_sessions;
        totals->doubts += world->doubts;
        totals->sends += world->sends;
        totals->clones += world->clones;
        scene_free(world);
    }
    bool same = strcmp(buf_str(&outcome[0]), buf_str(&outcome[1])) == 0;
    if (!same)
        printf("seed %llu ends in XML as\n%sand in JSON as\n%s", (unsigned long long)seed,
               buf_str(&outcome[0]), buf_str(&outcome[1]));
    totals->seeds++;
    totals->failed += !same;
    buf_done(&outcome[0]);
    buf_done(&outcome[1]);
}

static void run_seed(uint64_t seed, bool json, bool verbose, struct totals *totals)
{
    struct world *world = scene_seed(seed, json, verbose);
    bool ok = scene_run(world);
    if (!ok)
        printf("seed %llu at %llu s%s: %s\n", (unsigned long long)seed,
               (unsigned long long)world->now_ms / 1000,
               world->now_ms < world->chaos_until_ms ? " (chaos)" : " (peace)", world->failure);
    totals->seeds++;
    totals->failed += !ok;
    totals->crashes += world->crashes;
    totals->lost_sessions += world->lost_sessions;
    totals->changed_sessions += world->changed_sessions;
    totals->doubts += world->doubts;
    totals->requests += world->requests;
    totals->clones += world->clones;
    totals->sends += world->sends;
    totals->turns += world->turns;
    totals->forms += world->forms;
    scene_free(world);
}

/* The transcript says what matters; the engine's own lines would only repeat it. */
static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

static int usage(void)
{
    fprintf(stderr, "usage: sim [--seeds N] [--first N] [--failures N] [--format xml|json|both] | --seed N | "
                    "--replay STATE.db\n");
    return 2;
}

static bool format_parse(const char *word, enum format *ret)
{
    static const char *const words[] = {"xml", "json", "both"};
    for (int i = 0; i < 3; i++) {
        *ret = (enum format)i;
        if (strcmp(word, words[i]) == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    uint64_t first = 1, n = 500, failures = 10;
    bool verbose = false;
    enum format format = FORMAT_XML;
    struct totals totals = {0};
    if (argc % 2 == 0)
        return usage();
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--replay") == 0)
            return replay(argv[i + 1]);
        if (strcmp(argv[i], "--format") == 0) {
            if (!format_parse(argv[i + 1], &format))
                return usage();
            continue;
        }
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
        if (format == FORMAT_BOTH)
            run_both(seed, &totals);
        else
            run_seed(seed, format == FORMAT_JSON, verbose, &totals);
    printf(
        "%llu seeds, %llu crashes, %llu lost sessions, %llu changed ones, %llu turns, %llu requests, "
        "%llu clone requests (%llu of unknown outcome, %llu in a form not taken), %llu clones, %llu failed\n",
        (unsigned long long)totals.seeds, (unsigned long long)totals.crashes,
        (unsigned long long)totals.lost_sessions, (unsigned long long)totals.changed_sessions,
        (unsigned long long)totals.turns, (unsigned long long)totals.requests,
        (unsigned long long)totals.sends, (unsigned long long)totals.doubts, (unsigned long long)totals.forms,
        (unsigned long long)totals.clones, (unsigned long long)totals.failed);
    return totals.failed ? 1 : 0;
}
