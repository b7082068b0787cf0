/* Who owns a file, also where the kernel does not tell.
 *
 * Under PrivateUsers= the daemon sees only root and itself; all other owners look
 * like nobody. A helper without that wall (and without a network, a home, or any
 * right) is asked then: it gets the open file over a socket that the daemon alone
 * may use, and answers with the numbers that it sees. Without a wall nobody is asked. */
#pragma once

#include <sys/types.h>

struct stat;

#define FILE_OWNER_SOCKET "/run/jobclone/owners.sock"

/* As fstat, but st_uid and st_gid are those outside. 0, or a negative errno; -EHOSTDOWN when the helper is
 * needed and does not answer within seconds. May be called in any thread. */
int file_owner_stat(int fd, struct stat *ret);

/* Asks the helper at that socket. 0 or -EHOSTDOWN. */
int file_owner_ask(const char *socket_path, int fd, uid_t *ret_uid, gid_t *ret_gid);

/* The helper: answers on a listening socket (its type SOCK_SEQPACKET) until nobody has asked for
 * idle_ms. 0 or a negative errno. */
int file_owner_serve(int listen_fd, int idle_ms);

/* The helper as systemd starts it, with its socket: -ENOTCONN without one. */
int file_owner_main(void);
