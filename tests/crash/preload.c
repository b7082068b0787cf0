/* Loaded before the C library under a program that is being tested (LD_PRELOAD).
 * Counts what the program does to the world: writes to files and sockets, syncs,
 * names that come and go, sizes that change. At the CRASH_AT-th of them it ends
 * the process by SIGKILL, or the disk stops working. All is asked for by the
 * environment:
 *
 *   CRASH_COUNTS FILE  the counts, as an array of uint64_t that outlives the process: by kind, of
 *                      failures, 1 + the kind of what it was done at (0: it did not come), by kind
 *                      what the first thread did; then CRASH_SYNC_MS, which may be changed at any
 *                      time, and how many syncs wait because of it
 *   CRASH_AT N         1 is the first; 0 or absent: only count
 *   CRASH_HOW WORD     before, after: killed then; torn: half of the bytes are
 *                      written and it is killed; full, broken: from then on files
 *                      cannot be written (ENOSPC, EIO), sockets can
 *   CRASH_FOR_MS N     how long the disk does not work; 0: for good
 *   CRASH_SYNC_MS N    every sync takes so much longer
 *
 * What stdio writes by itself (texts on a terminal) does not come by here. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The places in CRASH_COUNTS; tests/crash/points.py knows them too. */
enum kind { FILE_WRITE, SOCKET_WRITE, SYNC, NAME, SIZE, KIND_COUNT };
enum {
    COUNT_FAILED = KIND_COUNT,
    COUNT_FIRED,
    COUNT_FIRST,
    SYNC_MS = COUNT_FIRST + KIND_COUNT,
    SYNCS_WAIT,
    COUNT_MAX
};

enum how { ONLY_COUNT, KILL_BEFORE, KILL_AFTER, KILL_TORN, DISK_FULL, DISK_BROKEN };
static const char *const how_words[] = {"", "before", "after", "torn", "full", "broken"};

enum verdict { GO, GO_THEN_DIE, HALF_THEN_DIE, HALF, FAIL };

static _Atomic uint64_t own_counts[COUNT_MAX];
static _Atomic uint64_t *counts = own_counts;
static _Atomic uint64_t seen;
static _Atomic uint64_t failing_since_ms;
static uint64_t at, for_ms;
static enum how how;

static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static uint64_t now_ms(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void give_up(const char *what)
{
    fprintf(stderr, "crash preload: %s\n", what);
    _exit(125);
}

static void share_counts(const char *path)
{
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_ftruncate, fd, sizeof(own_counts)) < 0)
        give_up("CRASH_COUNTS cannot be made");
    void *shared = mmap(NULL, sizeof(own_counts), PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
    if (shared == MAP_FAILED)
        give_up("CRASH_COUNTS cannot be mapped");
    close((int)fd);
    counts = shared;
}

__attribute__((constructor)) static void start(void)
{
    const char *word = getenv("CRASH_HOW"), *path = getenv("CRASH_COUNTS");
    for (size_t i = 0; word != NULL && i < sizeof(how_words) / sizeof(how_words[0]); i++)
        if (strcmp(word, how_words[i]) == 0)
            how = (enum how)i;
    if (word != NULL && how == ONLY_COUNT && *word != '\0')
        give_up("CRASH_HOW has no such word");
    at = number_of("CRASH_AT");
    for_ms = number_of("CRASH_FOR_MS");
    if (path != NULL)
        share_counts(path);
    counts[SYNC_MS] = number_of("CRASH_SYNC_MS");
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* May the disk be written? The first write that fails is half done, as on a real full disk. */
static enum verdict judge_disk(enum kind kind, uint64_t n)
{
    if (n < at)
        return GO;
    uint64_t none = 0, now = now_ms();
    bool first = atomic_compare_exchange_strong(&failing_since_ms, &none, now);
    if (for_ms > 0 && now - failing_since_ms >= for_ms)
        return GO;
    if (first)
        counts[COUNT_FIRED] = 1 + (uint64_t)kind;
    counts[COUNT_FAILED]++;
    return first ? HALF : FAIL;
}

static enum verdict judge(enum kind kind)
{
    bool disk = how == DISK_FULL || how == DISK_BROKEN;
    counts[kind]++;
    if (syscall(SYS_gettid) == getpid())
        counts[COUNT_FIRST + kind]++;
    if (disk && kind == SOCKET_WRITE)
        return GO;
    uint64_t n = ++seen;
    if (at == 0 || how == ONLY_COUNT)
        return GO;
    if (disk)
        return judge_disk(kind, n);
    if (n != at)
        return GO;
    counts[COUNT_FIRED] = 1 + (uint64_t)kind;
    if (how == KILL_BEFORE)
        die();
    return how == KILL_TORN ? HALF_THEN_DIE : GO_THEN_DIE;
}

/* What follows the call itself. */
static long settle(enum verdict verdict, long result)
{
    int error = errno;
    if (verdict == GO_THEN_DIE || verdict == HALF_THEN_DIE)
        die();
    errno = error;
    return result;
}

static long refuse(void)
{
    errno = how == DISK_FULL ? ENOSPC : EIO;
    return -1;
}

/* ---- calls without bytes: half of one is none ---- */

#define CALL(kind, ...)                                                          \
    do {                                                                         \
        enum verdict verdict = judge(kind);                                      \
        if (verdict == HALF_THEN_DIE)                                            \
            die();                                                               \
        long done = verdict == FAIL || verdict == HALF ? refuse() : __VA_ARGS__; \
        return (int)settle(verdict, done);                                       \
    } while (0)

/* The disk takes its time, which may be shortened while it does. */
static void wait_for_disk(void)
{
    uint64_t since = now_ms();
    counts[SYNCS_WAIT]++;
    while (now_ms() - since < counts[SYNC_MS])
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    counts[SYNCS_WAIT]--;
}

int fsync(int fd)
{
    wait_for_disk();
    CALL(SYNC, syscall(SYS_fsync, fd));
}

int fdatasync(int fd)
{
    wait_for_disk();
    CALL(SYNC, syscall(SYS_fdatasync, fd));
}

int rename(const char *from, const char *to)
{
    CALL(NAME, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    CALL(NAME, syscall(SYS_renameat2, from_fd, from, to_fd, to, 0));
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
    CALL(NAME, syscall(SYS_renameat2, from_fd, from, to_fd, to, flags));
}

int unlink(const char *path)
{
    CALL(NAME, syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int unlinkat(int fd, const char *path, int flags)
{
    CALL(NAME, syscall(SYS_unlinkat, fd, path, flags));
}

int mkdir(const char *path, mode_t mode)
{
    CALL(NAME, syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int ftruncate(int fd, off_t size)
{
    CALL(SIZE, syscall(SYS_ftruncate, fd, size));
}

int ftruncate64(int fd, off64_t size)
{
    CALL(SIZE, syscall(SYS_ftruncate, fd, size));
}

static int open_counted(int fd, const char *path, int flags, va_list *rest)
{
    mode_t mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(*rest, mode_t) : 0;
    if ((flags & O_CREAT) == 0)
        return (int)syscall(SYS_openat, fd, path, flags, mode);
    CALL(NAME, syscall(SYS_openat, fd, path, flags, mode));
}

#define OPEN(fd, path, flags)                              \
    do {                                                   \
        va_list rest;                                      \
        va_start(rest, flags);                             \
        int opened = open_counted(fd, path, flags, &rest); \
        va_end(rest);                                      \
        return opened;                                     \
    } while (0)

int open(const char *path, int flags, ...)
{
    OPEN(AT_FDCWD, path, flags);
}

int open64(const char *path, int flags, ...)
{
    OPEN(AT_FDCWD, path, flags);
}

int openat(int fd, const char *path, int flags, ...)
{
    OPEN(fd, path, flags);
}

int openat64(int fd, const char *path, int flags, ...)
{
    OPEN(fd, path, flags);
}

/* ---- bytes ---- */

/* Pipes and wake-ups of the program's own threads are not the world, nor are files without a name in memory.
 */
static bool matters(int fd, enum kind *ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return false;
    *ret = S_ISSOCK(st.st_mode) ? SOCKET_WRITE : FILE_WRITE;
    return S_ISSOCK(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink > 0);
}

/* One writing call of `len` bytes; `write_some` does the first of them. */
static ssize_t write_counted(int fd, size_t len, long (*write_some)(const void *call, size_t len),
                             const void *call)
{
    enum kind kind;
    if (!matters(fd, &kind))
        return write_some(call, len);
    enum verdict verdict = judge(kind);
    if (verdict == FAIL || (verdict == HALF && len < 2))
        return refuse();
    bool half = verdict == HALF || verdict == HALF_THEN_DIE;
    if (half && len < 2)
        die();
    return settle(verdict, write_some(call, half ? len / 2 : len));
}

struct plain {
    int fd, flags;
    const void *data;
    off64_t offset;
};

static long write_plain(const void *call, size_t len)
{
    const struct plain *p = call;
    return syscall(SYS_write, p->fd, p->data, len);
}

static long write_at(const void *call, size_t len)
{
    const struct plain *p = call;
    return syscall(SYS_pwrite64, p->fd, p->data, len, p->offset);
}

static long write_sent(const void *call, size_t len)
{
    const struct plain *p = call;
    return syscall(SYS_sendto, p->fd, p->data, len, p->flags, NULL, 0);
}

ssize_t write(int fd, const void *data, size_t len)
{
    return write_counted(fd, len, write_plain, &(struct plain){.fd = fd, .data = data});
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return write_counted(fd, len, write_at, &(struct plain){.fd = fd, .data = data, .offset = offset});
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return write_counted(fd, len, write_at, &(struct plain){.fd = fd, .data = data, .offset = offset});
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    return write_counted(fd, len, write_sent, &(struct plain){.fd = fd, .data = data, .flags = flags});
}

/* ---- bytes in pieces: half of them are the first half of the pieces ---- */

struct pieces {
    int fd, flags, n;
    const struct iovec *iov;
    const struct msghdr *message;
    off64_t offset;
};

static size_t bytes_of(const struct iovec *iov, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += iov[i].iov_len;
    return len;
}

static long write_first_piece(const struct pieces *p, size_t len)
{
    size_t some = p->iov[0].iov_len < len ? p->iov[0].iov_len : len;
    return p->offset >= 0 ? syscall(SYS_pwrite64, p->fd, p->iov[0].iov_base, some, p->offset)
                          : syscall(SYS_write, p->fd, p->iov[0].iov_base, some);
}

static long write_pieces(const void *call, size_t len)
{
    const struct pieces *p = call;
    if (len < bytes_of(p->iov, (size_t)p->n))
        return write_first_piece(p, len);
    return p->offset >= 0 ? syscall(SYS_pwritev, p->fd, p->iov, p->n, p->offset, 0)
                          : syscall(SYS_writev, p->fd, p->iov, p->n);
}

static long write_message(const void *call, size_t len)
{
    const struct pieces *p = call;
    if (len < bytes_of(p->iov, (size_t)p->n))
        return write_first_piece(p, len);
    return syscall(SYS_sendmsg, p->fd, p->message, p->flags);
}

static ssize_t write_in_pieces(int fd, const struct iovec *iov, int n, off64_t offset)
{
    struct pieces p = {.fd = fd, .iov = iov, .n = n, .offset = offset};
    return write_counted(fd, n > 0 ? bytes_of(iov, (size_t)n) : 0, write_pieces, &p);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    return write_in_pieces(fd, iov, n, -1);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
    return write_in_pieces(fd, iov, n, offset);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
    return write_in_pieces(fd, iov, n, offset);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct pieces p = {.fd = fd,
                       .flags = flags,
                       .iov = message->msg_iov,
                       .n = (int)message->msg_iovlen,
                       .message = message,
                       .offset = -1};
    return write_counted(fd, bytes_of(message->msg_iov, message->msg_iovlen), write_message, &p);
}
