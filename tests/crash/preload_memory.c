/* Loaded before the C library under a program that is being tested (LD_PRELOAD):
 * makes the CRASH_AT-th allocation fail. Works under AddressSanitizer too, which
 * then sees what the program makes of it. Asked for by the environment:
 *
 *   CRASH_COUNTS FILE  an array of uint64_t that outlives the process: how many
 *                      allocations there were, how many of them failed
 *   CRASH_AT N         1 is the first; 0 or absent: only count
 *   CRASH_TIMES N      how many in a row fail; default 1
 *   CRASH_OWN 1        count those only that the program's own code asks for, not
 *                      those of its libraries
 *   CRASH_TRACE FILE   gets the calls that led to the first that failed */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COUNT_ALL, COUNT_FAILED, COUNT_MAX };

static _Atomic uint64_t own_counts[COUNT_MAX];
static _Atomic uint64_t *counts = own_counts;
static uint64_t at, times;
static bool armed, own_only;
static uintptr_t code_from, code_to; /* of the program itself */
static const char *trace;

/* What is asked for before the real functions are known; never freed. */
static _Alignas(16) char early[64 * 1024];
static _Atomic size_t early_used;

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    int (*posix_memalign)(void **, size_t, size_t);
} real;

static void look_up(void *ret, const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    memcpy(ret, &function, sizeof(function));
}

/* False while the functions are being looked up, which may itself allocate. */
static bool ready(void)
{
    static _Atomic bool begun;
    if (real.free != NULL)
        return true;
    if (atomic_exchange(&begun, true))
        return false;
    look_up(&real.malloc, "malloc");
    look_up(&real.calloc, "calloc");
    look_up(&real.realloc, "realloc");
    look_up(&real.posix_memalign, "posix_memalign");
    look_up(&real.free, "free");
    return true;
}

static void *early_take(size_t len)
{
    size_t from = atomic_fetch_add(&early_used, (len + 15) / 16 * 16);
    return from + len <= sizeof(early) ? early + from : NULL;
}

static bool is_early(const void *memory)
{
    return (const char *)memory >= early && (const char *)memory < early + sizeof(early);
}

static int on_object(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    (void)data;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0)
            continue;
        code_from = info->dlpi_addr + part->p_vaddr;
        code_to = code_from + part->p_memsz;
    }
    return 1; /* the first is the program */
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void share_counts(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(own_counts)) < 0)
        _exit(125);
    void *shared = mmap(NULL, sizeof(own_counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        _exit(125);
    close(fd);
    counts = shared;
}

__attribute__((constructor)) static void start(void)
{
    void *some[2];
    const char *path = getenv("CRASH_COUNTS");
    ready();
    at = number_of("CRASH_AT", 0);
    times = number_of("CRASH_TIMES", 1);
    own_only = number_of("CRASH_OWN", 0) != 0;
    trace = getenv("CRASH_TRACE");
    dl_iterate_phdr(on_object, NULL);
    if (trace != NULL)
        backtrace(some, 2); /* loads what it needs */
    if (path != NULL)
        share_counts(path);
    armed = true;
}

static void write_trace(void)
{
    void *frames[48];
    int fd = open(trace, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int n = backtrace(frames, 48);
    if (fd < 0)
        return;
    backtrace_symbols_fd(frames, n, fd);
    close(fd);
}

/* Does this allocation fail? `caller` is where it returns to. */
static bool fails(const void *caller)
{
    uintptr_t place = (uintptr_t)caller;
    if (!armed || (own_only && (place < code_from || place >= code_to)))
        return false;
    uint64_t n = ++counts[COUNT_ALL];
    if (at == 0 || n < at || n >= at + times)
        return false;
    if (counts[COUNT_FAILED]++ == 0 && trace != NULL) {
        armed = false;
        write_trace();
        armed = true;
    }
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t len)
{
    if (!ready())
        return early_take(len);
    return fails(CALLER) ? NULL : real.malloc(len);
}

void *calloc(size_t n, size_t len)
{
    if (!ready()) /* untouched, so zero */
        return early_take(n * len);
    return fails(CALLER) ? NULL : real.calloc(n, len);
}

static void *grow(void *memory, size_t len)
{
    if (!is_early(memory))
        return real.realloc(memory, len);
    void *moved = real.malloc(len);
    size_t rest = (size_t)(early + sizeof(early) - (char *)memory);
    if (moved != NULL)
        memcpy(moved, memory, len < rest ? len : rest);
    return moved;
}

void *realloc(void *memory, size_t len)
{
    if (!ready())
        return early_take(len);
    return fails(CALLER) ? NULL : grow(memory, len);
}

void *reallocarray(void *memory, size_t n, size_t len)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, len, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return fails(CALLER) ? NULL : grow(memory, bytes);
}

void free(void *memory)
{
    if (memory != NULL && !is_early(memory) && ready())
        real.free(memory);
}

int posix_memalign(void **ret, size_t alignment, size_t len)
{
    return fails(CALLER) ? ENOMEM : real.posix_memalign(ret, alignment, len);
}

/* Those of the C library would ask in its own name. */
static char *copy(const char *text, size_t len)
{
    char *made = real.malloc(len + 1);
    if (made != NULL) {
        memcpy(made, text, len);
        made[len] = '\0';
    }
    return made;
}

char *strdup(const char *text)
{
    ready();
    return fails(CALLER) ? NULL : copy(text, strlen(text));
}

char *strndup(const char *text, size_t max)
{
    ready();
    return fails(CALLER) ? NULL : copy(text, strnlen(text, max));
}
