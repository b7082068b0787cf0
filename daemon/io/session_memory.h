/* A logon session that outlives a restart of the daemon: its token lies in a
 * sealed memory file in systemd's file descriptor store (FileDescriptorStoreMax=)
 * and never touches a disk. Without the store everything here does nothing, and
 * a restart logs on anew. */
#pragma once

#include <stdbool.h>

struct server_settings;

struct session_memory {
    char *token;      /* wiped when freed */
    char *session_id; /* by which it is deleted; tasks are known by it */
};

void session_memory_done(struct session_memory *memory);

/* Is there a store? */
bool session_memory_possible(void);

/* What the predecessor left for this server: 0, or -ENOENT when there is nothing, or only
 * something of another URL or user. It stays in the store. */
int session_memory_read(const struct server_settings *server, struct session_memory *ret);

/* Replaces what is kept for this server. 0, -EOPNOTSUPP without a store, or another negative errno. */
int session_memory_write(const struct server_settings *server, const struct session_memory *memory);

/* Forgets what is kept for this server: the session was ended. */
void session_memory_forget(const struct server_settings *server);
