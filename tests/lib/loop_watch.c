/* Loaded before a program that runs on libuv: how long its loop is busy between
 * two waits, how often the disk is waited for, and what memory it takes. At the
 * end the figures go to the file $LOOP_WATCH_FILE as one JSON object (print_all).
 * A turn is what the first thread does from the end of one wait to the next. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Of the sanitizer's run-time library, where there is one. */
#pragma weak __sanitizer_install_malloc_and_free_hooks
#pragma weak __sanitizer_get_allocated_size
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *at, size_t size),
                                              void (*on_free)(const volatile void *at));
size_t __sanitizer_get_allocated_size(const volatile void *at);

/* Of SQLite, where the program has it; its headers are not needed for this. */
struct sqlite3;
int sqlite3_open_v2(const char *path, struct sqlite3 **ret_db, int flags, const char *vfs);
typedef void *set_commit_hook(struct sqlite3 *db, int (*hook)(void *data), void *data);

/* Turns by length: SHARES buckets for every doubling of a nanosecond, so a
 * percentile is told with an error of at most one in SHARES. */
#define SHARE_BITS 4
#define SHARES (1U << SHARE_BITS)
#define BUCKETS (64U * SHARES)

static int (*real_wait)(int fd, struct epoll_event *events, int n, int timeout);
static int (*real_pwait)(int fd, struct epoll_event *events, int n, int timeout, const sigset_t *signals);
static int (*real_fsync)(int fd);
static int (*real_fdatasync)(int fd);
static int (*real_open)(const char *path, struct sqlite3 **ret_db, int flags, const char *vfs);

static pthread_t first_thread;
static uint64_t began_cpu_ns, began_ns; /* of the turn; 0 before the first wait */
static uint64_t longest_cpu_ns, longest_ns, busy_ns, turns;
static uint64_t turns_by_length[BUCKETS];
static atomic_size_t live, peak;
static atomic_ulong commits, syncs;

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void on_malloc(const volatile void *at, size_t size)
{
    size_t now = atomic_fetch_add(&live, size) + size, most = atomic_load(&peak);
    (void)at;
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now))
        continue;
}

static void on_free(const volatile void *at)
{
    size_t size = at ? __sanitizer_get_allocated_size(at) : 0;
    if (size <= atomic_load(&live)) /* else from before the hooks */
        atomic_fetch_sub(&live, size);
}

__attribute__((constructor)) static void begin(void)
{
    first_thread = pthread_self();
    *(void **)&real_wait = dlsym(RTLD_NEXT, "epoll_wait");
    *(void **)&real_pwait = dlsym(RTLD_NEXT, "epoll_pwait");
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&real_open = dlsym(RTLD_NEXT, "sqlite3_open_v2");
    if (__sanitizer_install_malloc_and_free_hooks)
        __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}

/* ---- turns ---- */

static unsigned bucket_of(uint64_t ns)
{
    if (ns < SHARES)
        return (unsigned)ns;
    unsigned doublings = 63U - (unsigned)__builtin_clzll(ns) - SHARE_BITS;
    return (doublings + 1) * SHARES + (unsigned)(ns >> doublings) % SHARES;
}

/* The middle of a bucket. */
static double bucket_ms(unsigned bucket)
{
    if (bucket < SHARES)
        return bucket / 1e6;
    uint64_t width = UINT64_C(1) << (bucket / SHARES - 1);
    return ((double)(SHARES + bucket % SHARES) + 0.5) * (double)width / 1e6;
}

/* The length that so many of 1000 turns do not exceed. */
static double turn_ms(unsigned per_mille)
{
    uint64_t seen = 0, wanted = (turns * per_mille + 999) / 1000;
    unsigned bucket = 0;
    while (bucket < BUCKETS - 1 && (seen += turns_by_length[bucket]) < wanted)
        bucket++;
    double ms = bucket_ms(bucket), most_ms = (double)longest_ns / 1e6;
    return ms < most_ms ? ms : most_ms;
}

static void turn_ends(void)
{
    if (began_ns == 0)
        return;
    uint64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_cpu_ns;
    uint64_t ns = clock_ns(CLOCK_MONOTONIC) - began_ns;
    if (cpu_ns > longest_cpu_ns)
        longest_cpu_ns = cpu_ns;
    if (ns > longest_ns)
        longest_ns = ns;
    busy_ns += ns;
    turns++;
    turns_by_length[bucket_of(ns)]++;
}

static int turn_begins(int events)
{
    began_cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    began_ns = clock_ns(CLOCK_MONOTONIC);
    return events;
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    if (!pthread_equal(pthread_self(), first_thread))
        return real_wait(fd, events, n, timeout);
    turn_ends();
    return turn_begins(real_wait(fd, events, n, timeout));
}

int epoll_pwait(int fd, struct epoll_event *events, int n, int timeout, const sigset_t *signals)
{
    if (!pthread_equal(pthread_self(), first_thread))
        return real_pwait(fd, events, n, timeout, signals);
    turn_ends();
    return turn_begins(real_pwait(fd, events, n, timeout, signals));
}

/* ---- the disk ---- */

int fsync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return real_fsync(fd);
}

int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return real_fdatasync(fd);
}

static int on_commit(void *data)
{
    (void)data;
    atomic_fetch_add(&commits, 1);
    return 0;
}

int sqlite3_open_v2(const char *path, struct sqlite3 **ret_db, int flags, const char *vfs)
{
    set_commit_hook *set_hook;
    *(void **)&set_hook = dlsym(RTLD_NEXT, "sqlite3_commit_hook");
    int rc = real_open(path, ret_db, flags, vfs);
    if (rc == 0 && set_hook)
        set_hook(*ret_db, on_commit, NULL);
    return rc;
}

/* ---- the end ---- */

static unsigned long resident_kib(void)
{
    char line[256];
    unsigned long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoul(line + 6, NULL, 10);
    if (file)
        fclose(file);
    return kib;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* heap_kib is 0 unless built with a sanitizer. */
static void print_all(FILE *file)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    fprintf(file, "{\"turns\": %llu, \"busy_ms\": %.3f, \"turn_p50_ms\": %.4f, \"turn_p99_ms\": %.4f, ",
            (unsigned long long)turns, (double)busy_ns / 1e6, turn_ms(500), turn_ms(990));
    fprintf(file, "\"turn_max_ms\": %.3f, \"turn_max_cpu_ms\": %.3f, ", (double)longest_ns / 1e6,
            (double)longest_cpu_ns / 1e6);
    fprintf(file, "\"user_s\": %.3f, \"kernel_s\": %.3f, ", seconds_of(usage.ru_utime),
            seconds_of(usage.ru_stime));
    fprintf(file, "\"commits\": %lu, \"syncs\": %lu, \"heap_kib\": %zu, \"resident_kib\": %lu}\n",
            atomic_load(&commits), atomic_load(&syncs), atomic_load(&peak) / 1024, resident_kib());
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("LOOP_WATCH_FILE");
    FILE *file = path ? fopen(path, "we") : NULL;
    if (!file)
        return;
    print_all(file);
    fclose(file);
}
