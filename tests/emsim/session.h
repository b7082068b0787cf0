/* Logon sessions and their tasks. */
#pragma once

#include "world.h"

/* Checks "Basic ..." and opens a session. 0 with its index, -EACCES, or -ENOMEM. */
int session_logon(struct world *world, const char *authorization, uint32_t *ret_session);

/* The open session of a token, its idle time begun anew, or WORLD_NONE. */
uint32_t session_of_token(struct world *world, const char *token);

/* The open session with that id, or WORLD_NONE. */
uint32_t session_of_id(const struct world *world, const char *id);

/* Ends a session; its tasks are gone, its work goes on. */
void session_close(struct world *world, uint32_t session);
void session_close_all(struct world *world);
void session_expire_idle(struct world *world);

/* Makes the work a task of the session. Returns 0 and its number, or -ENOMEM. */
int session_add_task(struct world *world, uint32_t session, uint32_t work, uint64_t *ret_number);

/* The work of "task-N" in that session, or WORLD_NONE. */
uint32_t session_task(const struct world *world, uint32_t session, const char *task_id);
/* Removes it from the session; false when there is none. */
bool session_remove_task(struct world *world, uint32_t session, const char *task_id);
