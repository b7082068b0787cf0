/* What this machine gives jobcloned: folders and their rights, room, inotify,
 * the clock, and whether the daemon is there. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/doctor.h"
#include "model/settings.h"

#define ROOM_FAIL ((uint64_t)100 * 1024 * 1024)
#define ROOM_WARN ((uint64_t)1024 * 1024 * 1024)
#define FILES_WARN 10000

static const char *user_name(uid_t uid, char ret[64])
{
    const struct passwd *user = getpwuid(uid);
    snprintf(ret, 64, "%s", user ? user->pw_name : "");
    if (!user)
        snprintf(ret, 64, "%u", (unsigned)uid);
    return ret;
}

static void check_room(struct doctor *doctor, const char *path)
{
    struct statvfs fs;
    if (statvfs(path, &fs) < 0)
        return; /* it is not there, which has been said */
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    double mib = (double)room / (1024 * 1024);
    if (fs.f_flag & ST_RDONLY)
        doctor_note(doctor, FINDING_FAIL, CTL_FAILURES, "room",
                    "%s: its file system is read-only; mount it anew: mount -o remount,rw", path);
    else if (room < ROOM_FAIL)
        doctor_note(doctor, FINDING_FAIL, CTL_FAILURES, "room",
                    "%s: %.0f MiB free; make room: on a full disk nothing new is cloned", path, mib);
    else if (room < ROOM_WARN)
        doctor_note(doctor, FINDING_WARN, 0, "room", "%s: %.0f MiB free; make room before it is full", path,
                    mib);
    else if (fs.f_files > 0 && fs.f_favail < FILES_WARN)
        doctor_note(doctor, FINDING_WARN, 0, "room", "%s: %llu more files are possible; remove some", path,
                    (unsigned long long)fs.f_favail);
    else
        doctor_note(doctor, FINDING_OK, 0, "room", "%s: %.1f GiB free", path, mib / 1024);
}

/* True when the folder is there; else the finding has been noted. */
static bool folder_there(struct doctor *doctor, const char *check, const char *path, struct stat *ret)
{
    if (stat(path, ret) < 0 && errno == ENOENT)
        doctor_note(doctor, FINDING_WARN, 0, check,
                    "%s: is not there yet; the daemon makes it when it starts", path);
    else if (stat(path, ret) < 0)
        doctor_note(doctor, FINDING_FAIL, CTL_FAILURES, check,
                    "%s: cannot be looked at: %s; run this as root", path, strerror(errno));
    else if (!S_ISDIR(ret->st_mode))
        doctor_note(doctor, FINDING_FAIL, CTL_FAILURES, check, "%s: is no folder; move it away", path);
    else
        return true;
    return false;
}

static bool check_state(struct doctor *doctor, const char *path, uid_t *ret_user)
{
    struct stat st;
    char name[64];
    if (!folder_there(doctor, "state", path, &st))
        return false;
    *ret_user = st.st_uid;
    if (st.st_mode & 07)
        doctor_note(doctor, FINDING_WARN, 0, "state",
                    "%s: everybody has access (mode %04o); run: chmod 0710 %s", path,
                    (unsigned)st.st_mode & 07777, path);
    else
        doctor_note(doctor, FINDING_OK, 0, "state", "%s: of user %s", path, user_name(st.st_uid, name));
    check_room(doctor, path);
    return true;
}

static void check_target(struct doctor *doctor, const char *spool, const char *name, uid_t user)
{
    _cleanup_free_ char *path = NULL;
    struct stat st;
    char owner[64];
    if (asprintf(&path, "%s/%s", spool, name) < 0 || lstat(path, &st) < 0)
        return; /* the daemon makes it */
    if (!S_ISDIR(st.st_mode))
        doctor_note(doctor, FINDING_FAIL, CTL_FAILURES, "spool", "%s: is no folder; move it away", path);
    else if (st.st_uid != user)
        doctor_note(doctor, FINDING_FAIL, CTL_FAILURES, "spool", "%s: belongs to %s; run: chown %u %s", path,
                    user_name(st.st_uid, owner), (unsigned)user, path);
    else if (st.st_mode & 022)
        doctor_note(doctor, FINDING_FAIL, CTL_FAILURES, "spool",
                    "%s: others than the daemon can write into it; run: chmod go-w %s", path, path);
}

static void check_spool(struct doctor *doctor, const char *path, bool user_known, uid_t user)
{
    static const char *const targets[] = {"accepted", "done", "failed", "rejected"};
    struct stat st;
    char name[64];
    const struct group *group = getgrnam("jobclone");
    unsigned before = doctor->failures + doctor->warnings;
    if (!folder_there(doctor, "spool", path, &st))
        return;
    if (user_known && st.st_uid != user)
        doctor_note(doctor, FINDING_FAIL, CTL_FAILURES, "spool",
                    "%s: belongs to %s, the state to another user; run: chown %u %s", path,
                    user_name(st.st_uid, name), (unsigned)user, path);
    if (st.st_mode & 02)
        doctor_note(doctor, FINDING_FAIL, CTL_FAILURES, "spool",
                    "%s: everybody can drop plans; run: chmod 3770 %s", path, path);
    else if (!(st.st_mode & 020) || !group || st.st_gid != group->gr_gid)
        doctor_note(
            doctor, FINDING_WARN, 0, "spool",
            "%s: members of group jobclone cannot drop plans; run: chgrp jobclone %s && chmod 3770 %s", path,
            path, path);
    else if (!(st.st_mode & 01000))
        doctor_note(doctor, FINDING_WARN, 0, "spool",
                    "%s: users can remove each other's plans; run: chmod 3770 %s", path, path);
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        check_target(doctor, path, targets[i], st.st_uid);
    if (before == doctor->failures + doctor->warnings)
        doctor_note(doctor, FINDING_OK, 0, "spool", "%s: group jobclone can drop plans", path);
    check_room(doctor, path);
}

static long read_number(const char *path)
{
    long number = -1;
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%ld", &number) != 1)
        number = -1;
    if (file)
        fclose(file);
    return number;
}

/* By doing it: the limits are per user and say nothing of what is used. */
static void check_inotify(struct doctor *doctor)
{
    int fd = inotify_init1(IN_CLOEXEC);
    bool watched = fd >= 0 && inotify_add_watch(fd, "/", IN_ONLYDIR | IN_MOVED_TO) >= 0;
    int error = errno;
    long instances = read_number("/proc/sys/fs/inotify/max_user_instances");
    long watches = read_number("/proc/sys/fs/inotify/max_user_watches");
    if (fd >= 0)
        close(fd);
    if (!watched)
        doctor_note(
            doctor, FINDING_WARN, 0, "inotify",
            "no watch is possible (%s): plans are then seen by the scan alone, up to a minute late; raise "
            "fs.inotify.max_user_instances (%ld) or max_user_watches (%ld) with sysctl",
            strerror(error), instances, watches);
    else
        doctor_note(doctor, FINDING_OK, 0, "inotify", "%ld instances, %ld watches a user", instances,
                    watches);
}

static void check_clock(struct doctor *doctor)
{
    struct timex state = {0};
    if (adjtimex(&state) < 0 || state.status & STA_UNSYNC)
        doctor_note(doctor, FINDING_WARN, 0, "clock",
                    "not synchronised: schedules and windows follow it; see: timedatectl");
    else
        doctor_note(doctor, FINDING_OK, 0, "clock", "synchronised");
}

static void check_daemon(struct doctor *doctor, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        doctor_note(doctor, FINDING_FAIL, CTL_INVALID, "daemon", "control.socket %s: the path is too long",
                    path);
        return;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (!error)
        doctor_note(doctor, FINDING_OK, 0, "daemon", "%s: somebody listens", path);
    else if (error == EACCES)
        doctor_note(
            doctor, FINDING_WARN, 0, "daemon",
            "%s: permission denied; only root and members of group jobclone may: usermod -aG jobclone USER",
            path);
    else
        doctor_note(doctor, FINDING_WARN, 0, "daemon", "%s: %s; start it: systemctl start jobcloned", path,
                    strerror(error));
}

void doctor_local(struct doctor *doctor)
{
    const struct settings *settings = doctor->settings;
    uid_t user = 0;
    if (settings) {
        bool known = check_state(doctor, settings->state_directory, &user);
        check_spool(doctor, settings->spool_directory, known, user);
    }
    check_inotify(doctor);
    check_clock(doctor);
    bool given = strcmp(doctor->ctl->socket, CTL_SOCKET_DEFAULT) != 0 || !settings;
    check_daemon(doctor, given ? doctor->ctl->socket : settings->control_socket);
}
