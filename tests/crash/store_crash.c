/* The store on a disk that loses power, fills up or breaks (tests/crash/disk.h).
 *
 *     store_crash cuts N     that many power cuts, half of them at the syncs
 *     store_crash faults N   that many places at which writing begins to fail
 *
 * After each cut the store must open and hold exactly what it acknowledged, or that
 * and the batch in flight, whole. After each fault, with the same step tried again
 * as the engine does, nothing may be missing, not even after a power cut. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "disk.h"
#include "life.h"

#define RUNS 6
#define LIFE_POINTS 250 /* points of one script; then another one */
#define RETRIES 3

struct bench {
    char folder[32];
    uint64_t seed;
    struct life *life;
    uint64_t calls, *syncs; /* of an untroubled life: calls in all, and which of them are syncs */
    size_t n_syncs;
    /* what was seen */
    unsigned long points, next, refused, reached;
    struct buf reason;
};

/* Plays the script without trouble, call by call, to know where its syncs are. */
static bool bench_measure(struct bench *bench)
{
    if (disk_begin(bench->seed) < 0)
        return false;
    life_begin(bench->life);
    disk_trouble(DISK_WELL, 0, 0);
    int r = life_play(bench->life, 0);
    life_close(bench->life);
    bench->calls = disk_calls();
    free(bench->syncs);
    bench->n_syncs = (size_t)disk_syncs();
    bench->syncs = calloc(bench->n_syncs, sizeof(*bench->syncs));
    if (bench->syncs != NULL)
        disk_sync_calls(bench->syncs, bench->n_syncs);
    disk_end();
    if (r < 0)
        printf("without trouble the store fails: %s\n", strerror(-r));
    return r == 0 && bench->syncs != NULL;
}

static bool bench_say(struct bench *bench, const char *what, uint64_t at, unsigned how)
{
    printf("FAILED: %s at call %llu, way %u, seed %llu, after step %zu: %s\n", what, (unsigned long long)at,
           how, (unsigned long long)bench->seed, life_acknowledged(bench->life), buf_str(&bench->reason));
    return false;
}

/* ---- power cuts ---- */

static bool cut(struct bench *bench, uint64_t at, enum disk_loss loss)
{
    bool next = false;
    buf_reset(&bench->reason);
    if (disk_begin(bench->seed + at) < 0)
        return false;
    life_begin(bench->life);
    disk_trouble(DISK_CUT, at, 0);
    int r = life_play(bench->life, 0);
    bool came = disk_troubled();
    life_close(bench->life);
    disk_power_on(loss);
    bool good = (r < 0) == came && life_check(bench->life, &next, &bench->reason);
    if (!good)
        bench_say(bench, "power cut", at, loss);
    bench->points += came;
    bench->next += next;
    life_close(bench->life);
    disk_end();
    return good;
}

/* Half of the cuts are at a sync: before it is done, or right after it. */
static uint64_t cut_place(const struct bench *bench, unsigned i, unsigned n)
{
    uint64_t place = bench->calls * i / n;
    if (i % 2 == 1)
        return place + 1;
    size_t sync = (size_t)(bench->n_syncs * (uint64_t)i / n);
    return bench->syncs[sync] + (i / 2) % 2;
}

static bool cuts(struct bench *bench, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!cut(bench, cut_place(bench, i, n), (enum disk_loss)(i / 4 % DISK_LOSS_COUNT)))
            return false;
    return true;
}

/* ---- disks that refuse ---- */

static bool fault_for_good(struct bench *bench, uint64_t at, enum disk_trouble trouble)
{
    bool next;
    int r = life_play(bench->life, RETRIES);
    bool came = disk_troubled();
    life_close(bench->life);
    disk_power_on(at % 2 == 0 ? DISK_FORGETS : DISK_KEEPS);
    if (!came)
        return true; /* the script was shorter: the sync of a checkpoint may be left out */
    int want = trouble == DISK_FULL ? -ENOSPC : -EIO;
    if (r < 0 && r != want)
        buf_printf(&bench->reason, "the error is %s; ", strerror(-r));
    return (r == 0 || r == want) && life_check(bench->life, &next, &bench->reason);
}

/* The disk refuses some calls, then works again; the power is cut at the end. */
static bool fault_that_ends(struct bench *bench, unsigned calls)
{
    bool next;
    int r = life_play(bench->life, calls + RETRIES);
    life_close(bench->life);
    disk_power_on(DISK_FORGETS);
    if (r < 0)
        buf_printf(&bench->reason, "it does not recover: %s; ", strerror(-r));
    return r == 0 && life_check(bench->life, &next, &bench->reason);
}

static bool fault(struct bench *bench, uint64_t at, enum disk_trouble trouble, unsigned calls)
{
    buf_reset(&bench->reason);
    if (disk_begin(bench->seed + at) < 0)
        return false;
    life_begin(bench->life);
    disk_trouble(trouble, at, calls);
    bool good = calls > 0 ? fault_that_ends(bench, calls) : fault_for_good(bench, at, trouble);
    if (!good)
        bench_say(bench, trouble == DISK_FULL ? "disk full" : "disk broken", at, calls);
    bench->points++;
    bench->refused += life_failures(bench->life);
    life_close(bench->life);
    disk_end();
    return good;
}

static bool faults(struct bench *bench, unsigned n)
{
    static const unsigned lengths[] = {1, 0, 2, 9};
    for (unsigned i = 0; i < n; i++) {
        enum disk_trouble trouble = i % 2 == 0 ? DISK_FULL : DISK_BROKEN;
        if (!fault(bench, 1 + bench->calls * i / n, trouble, lengths[i / 2 % 4]))
            return false;
    }
    return true;
}

/* ---- the whole ---- */

static bool bench_run(struct bench *bench, bool (*test)(struct bench *bench, unsigned n), unsigned points)
{
    bool good = true;
    while (good && bench->points < points) {
        bench->life = life_new(bench->seed, RUNS, bench->folder);
        good = bench->life != NULL && bench_measure(bench);
        unsigned long left = points - bench->points;
        if (good)
            good = test(bench, left < LIFE_POINTS ? (unsigned)left : LIFE_POINTS);
        if (bench->life != NULL)
            bench->life = life_free(bench->life);
        bench->seed++;
    }
    return good;
}

static void bench_done(struct bench *bench)
{
    static const char *const names[] = {"lock", "jobclone.db"};
    char path[64];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", bench->folder, names[i]);
        unlink(path);
    }
    rmdir(bench->folder);
    free(bench->syncs);
    buf_done(&bench->reason);
}

int main(int argc, char **argv)
{
    struct bench bench = {.folder = "/tmp/store-crash-XXXXXX", .seed = 1, .reason = BUF_INIT(16 * 1024)};
    bool cutting = argc == 3 && strcmp(argv[1], "cuts") == 0;
    unsigned points = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    if (points == 0 || (!cutting && strcmp(argv[1], "faults") != 0)) {
        fprintf(stderr, "usage: store_crash cuts|faults N\n");
        return 2;
    }
    if (mkdtemp(bench.folder) == NULL) {
        perror(bench.folder);
        return 1;
    }
    bool good = bench_run(&bench, cutting ? cuts : faults, points);
    if (cutting)
        printf("%lu power cuts; %lu times the batch in flight was there, whole\n", bench.points, bench.next);
    else
        printf("%lu faults of the disk; %lu times a step was refused\n", bench.points, bench.refused);
    bench_done(&bench);
    return good ? 0 : 1;
}
