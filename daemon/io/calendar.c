#include "io/calendar.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "model/schedule.h"

#define PROGRAM "/usr/bin/systemd-analyze"
#define LIMIT_MS 5000
#define END_TRIES 1000 /* of a millisecond each */
#define OUTPUT_MAX (64 * 1024)
#define EXPRESSION_MAX 256
#define NEVER INT64_MAX

static const char *program = PROGRAM;

void calendar_set_program(const char *path)
{
    program = path ? path : PROGRAM;
}

/* ---- the child ---- */

struct child {
    pid_t pid;
    struct pollfd pipes[2]; /* its standard output, its standard error */
    struct buf texts[2];
};

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void child_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* posix_spawn functions return positive errors. */
static int child_spawn(struct child *child, const int *ends, char *const *arguments)
{
    char *const environment[] = {(char[]){"TZ=UTC"}, (char[]){"LC_ALL=C"}, (char[]){"SYSTEMD_COLORS=0"},
                                 (char[]){"SYSTEMD_PAGER="}, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -ENOMEM;
    }
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, ends[0], STDOUT_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    if (r == 0)
        r = posix_spawn(&child->pid, program, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static int child_start(struct child *child, char *const *arguments)
{
    int ends[2] = {-1, -1}, r = 0;
    *child = (struct child){.pid = -1};
    for (int i = 0; i < 2; i++) {
        child->pipes[i] = (struct pollfd){.fd = -1, .events = POLLIN};
        child->texts[i] = BUF_INIT(OUTPUT_MAX);
    }
    for (int i = 0; i < 2 && r == 0; i++) {
        int both[2];
        r = pipe2(both, O_CLOEXEC) < 0 ? -errno : 0;
        child->pipes[i].fd = r == 0 ? both[0] : -1;
        ends[i] = r == 0 ? both[1] : -1;
    }
    if (r == 0)
        r = child_spawn(child, ends, arguments);
    child_close(&ends[0]);
    child_close(&ends[1]);
    return r;
}

static int child_read_pipe(struct child *child, int i)
{
    char chunk[4096];
    if (!child->pipes[i].revents)
        return 0;
    ssize_t n = read(child->pipes[i].fd, chunk, sizeof(chunk));
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    if (n == 0)
        child_close(&child->pipes[i].fd);
    return n ? buf_add(&child->texts[i], chunk, (size_t)n) : 0;
}

/* Until both pipes are closed. -ETIMEDOUT, -ENOBUFS, or another negative errno. */
static int child_read(struct child *child)
{
    int64_t until = clock_ms() + LIMIT_MS;
    int r = 0;
    while (r == 0 && (child->pipes[0].fd >= 0 || child->pipes[1].fd >= 0)) {
        int64_t left = until - clock_ms();
        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(child->pipes, 2, (int)left) < 0)
            r = errno == EINTR ? 0 : -errno;
        else
            for (int i = 0; i < 2 && r == 0; i++)
                r = child_read_pipe(child, i);
    }
    return r;
}

/* Ends it where it has not ended, and gives its exit code, or -1. */
static int child_end(struct child *child, bool kill_it)
{
    int status = -1;
    child_close(&child->pipes[0].fd);
    child_close(&child->pipes[1].fd);
    if (child->pid <= 0)
        return -1;
    /* Its pipes are closed: it has ended, or does so at once. */
    for (int tries = 0; tries < END_TRIES && !kill_it; tries++) {
        if (waitpid(child->pid, &status, WNOHANG) != 0)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    kill(child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- its answer ---- */

/* "Mon 2026-03-30 02:00:00 UTC" as seconds; "never". */
static bool parse_time(const char *text, int64_t *ret_s)
{
    struct tm tm = {0};
    int end = 0;
    if (strcmp(text, "never") == 0) {
        *ret_s = NEVER;
        return true;
    }
    if (sscanf(text, "%*3[A-Za-z] %4d-%2d-%2d %2d:%2d:%2d UTC%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 6 ||
        end == 0 || text[end])
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_s = (int64_t)timegm(&tm);
    return true;
}

/* Takes the one line that counts; every other line must be one of those that are known. */
static int parse_answer(char *text, int64_t *ret_s)
{
    static const char *const others[] = {"Original form", "Normalized form", "From now"};
    bool found = false;
    char *save;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        line += strspn(line, " ");
        char *value = strstr(line, ": ");
        if (!value)
            return -EPROTO;
        *value = '\0';
        value += 2;
        bool known = false;
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
            known |= strcmp(line, others[i]) == 0;
        if (strcmp(line, "Next elapse") == 0 && !found && parse_time(value, ret_s))
            found = true;
        else if (!known)
            return -EPROTO;
    }
    return found ? 0 : -EPROTO;
}

static int say(struct buf *ret, int r, const char *words)
{
    buf_reset(ret);
    buf_add_str(ret, words);
    return r;
}

static int say_failure(struct buf *ret, int r)
{
    if (r == -ENOENT || r == -EACCES)
        return say(ret, r,
                   "systemd-analyze cannot be run; install systemd, which evaluates calendar expressions");
    if (r == -ETIMEDOUT)
        return say(ret, r,
                   "systemd-analyze did not answer within 5 s; try again when the machine is less busy");
    buf_reset(ret);
    buf_printf(ret, "systemd-analyze cannot be asked: %s", strerror(-r));
    return r;
}

static int judge_answer(struct child *child, int code, int64_t *ret_s, struct buf *ret_problem)
{
    if (code == 0 && parse_answer(child->texts[0].data ? child->texts[0].data : (char[]){""}, ret_s) == 0)
        return 0;
    if (code == 1 && strstr(buf_str(&child->texts[1]), "Failed to parse calendar specification"))
        return say(ret_problem, -EINVAL,
                   "systemd does not know this calendar expression; write it as in Mon..Fri 02:00 (see man "
                   "systemd.time, "
                   "CALENDAR EVENTS)");
    return say(ret_problem, -EPROTO,
               "the answer of systemd-analyze is not understood; is it that of Debian 12 or newer?");
}

/* The first local time of the expression after that second; NEVER. */
static int ask(const char *expression, int64_t after_s, int64_t *ret_s, struct buf *ret_problem)
{
    char base[64], copy[EXPRESSION_MAX + 1];
    struct child child;
    snprintf(base, sizeof(base), "--base-time=@%lld", (long long)(after_s > 0 ? after_s : 0));
    snprintf(copy, sizeof(copy), "%s", expression);
    char *arguments[] = {(char[]){"systemd-analyze"},
                         (char[]){"calendar"},
                         (char[]){"--iterations=1"},
                         base,
                         (char[]){"--"},
                         copy,
                         NULL};
    int r = child_start(&child, arguments);
    if (r == 0)
        r = child_read(&child);
    int code = child_end(&child, r < 0);
    r = r < 0 ? say_failure(ret_problem, r) : judge_answer(&child, code, ret_s, ret_problem);
    buf_done(&child.texts[0]);
    buf_done(&child.texts[1]);
    return r;
}

/* systemd-analyze shows whole seconds only. */
static bool has_fraction(const char *expression)
{
    for (const char *dot = strchr(expression, '.'); dot; dot = strchr(dot + 1, '.')) {
        if (dot[1] != '.')
            return true;
        dot++;
    }
    return false;
}

int calendar_check(const char *expression, struct buf *ret_problem)
{
    int64_t next;
    if (!*expression || strlen(expression) > EXPRESSION_MAX || text_has_control(expression))
        return say(ret_problem, -EINVAL,
                   "a calendar expression has 1 to 256 characters and no control characters; write it as in "
                   "Mon..Fri 02:00");
    if (has_fraction(expression))
        return say(ret_problem, -EINVAL, "fractions of seconds are not possible; write whole ones");
    return ask(expression, 0, &next, ret_problem);
}

/* ---- due times ---- */

/* The first due time after `after_ms` of any of the calendars. */
static int first_due(const struct schedule *schedule, int64_t after_ms, int64_t *ret_ms,
                     struct buf *ret_problem)
{
    *ret_ms = SCHEDULE_NEVER;
    for (size_t i = 0; i < schedule->n; i++) {
        const struct schedule_calendar *calendar = &schedule->calendars[i];
        int64_t local_s;
        int r = ask(calendar->expression, zone_local_passed(&calendar->zone, after_ms) / 1000, &local_s,
                    ret_problem);
        if (r < 0)
            return r;
        int64_t due_ms = local_s == NEVER ? SCHEDULE_NEVER : zone_instant(&calendar->zone, local_s * 1000);
        if (due_ms < *ret_ms)
            *ret_ms = due_ms;
    }
    return 0;
}

/* `low_ms` is a due time; which is the last one up to `now_ms`? There may be a month of them in between, so
 * the time is halved again and again. */
static int last_due(const struct schedule *schedule, int64_t low_ms, int64_t now_ms, int64_t *ret_ms,
                    struct buf *ret_problem)
{
    int64_t high_ms = now_ms;
    while (high_ms - low_ms >= 1000) {
        int64_t middle_ms = low_ms + (high_ms - low_ms) / 2, due_ms;
        int r = first_due(schedule, middle_ms, &due_ms, ret_problem);
        if (r < 0)
            return r;
        if (due_ms <= now_ms)
            low_ms = due_ms;
        else
            high_ms = middle_ms;
    }
    *ret_ms = low_ms;
    return 0;
}

int calendar_dues(const struct schedule *schedule, int64_t base_ms, int64_t now_ms, struct schedule_dues *ret,
                  struct buf *ret_problem)
{
    struct schedule_dues dues = {0};
    int r = first_due(schedule, base_ms, &dues.next_ms, ret_problem);
    if (r == 0 && dues.next_ms <= now_ms) {
        r = last_due(schedule, dues.next_ms, now_ms, &dues.last_ms, ret_problem);
        if (r == 0)
            r = first_due(schedule, now_ms, &dues.next_ms, ret_problem);
    }
    if (r == 0)
        *ret = dues;
    return r;
}
