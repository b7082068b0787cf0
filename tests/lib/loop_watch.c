/* Loaded before a program that runs on libuv: how long its loop is busy between
 * two waits, and what memory it takes. At the end four numbers go to the file
 * $LOOP_WATCH_FILE: the longest turn in ms of processor time and of the clock, the
 * most heap (0 unless built with a sanitizer) and the most resident memory in KiB. */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* Of the sanitizer's run-time library, where there is one. */
#pragma weak __sanitizer_install_malloc_and_free_hooks
#pragma weak __sanitizer_get_allocated_size
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *at, size_t size),
                                              void (*on_free)(const volatile void *at));
size_t __sanitizer_get_allocated_size(const volatile void *at);

static int (*real_wait)(int fd, struct epoll_event *events, int n, int timeout);
static int (*real_pwait)(int fd, struct epoll_event *events, int n, int timeout, const sigset_t *signals);
static double began_cpu_ms, began_ms; /* of the turn; 0 before the first wait */
static double longest_cpu_ms, longest_ms;
static atomic_size_t live, peak;

static double clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
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
    *(void **)&real_wait = dlsym(RTLD_NEXT, "epoll_wait");
    *(void **)&real_pwait = dlsym(RTLD_NEXT, "epoll_pwait");
    if (__sanitizer_install_malloc_and_free_hooks)
        __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}

static void turn_ends(void)
{
    double cpu_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID) - began_cpu_ms;
    double ms = clock_ms(CLOCK_MONOTONIC) - began_ms;
    if (began_ms > 0 && cpu_ms > longest_cpu_ms)
        longest_cpu_ms = cpu_ms;
    if (began_ms > 0 && ms > longest_ms)
        longest_ms = ms;
}

static int turn_begins(int events)
{
    began_cpu_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID);
    began_ms = clock_ms(CLOCK_MONOTONIC);
    return events;
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    if (getpid() != gettid())
        return real_wait(fd, events, n, timeout);
    turn_ends();
    return turn_begins(real_wait(fd, events, n, timeout));
}

int epoll_pwait(int fd, struct epoll_event *events, int n, int timeout, const sigset_t *signals)
{
    if (getpid() != gettid())
        return real_pwait(fd, events, n, timeout, signals);
    turn_ends();
    return turn_begins(real_pwait(fd, events, n, timeout, signals));
}

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

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("LOOP_WATCH_FILE");
    FILE *file = path ? fopen(path, "we") : NULL;
    if (!file)
        return;
    fprintf(file, "%.1f %.1f %zu %lu\n", longest_cpu_ms, longest_ms, atomic_load(&peak) / 1024,
            resident_kib());
    fclose(file);
}
