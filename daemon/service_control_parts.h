/* What the files behind the control socket share. */
#pragma once

#include "model/control.h"
#include "service_parts.h"

/* ---- service_view.c: values for operators ---- */

/* The state as it is now, also while it is over and its end is not stored yet. */
enum run_state service_run_state(const struct service_run *run);

/* Strings are borrowed until the next turn. */
void service_view_run(const struct service_run *run, struct control_run *ret);
void service_view_row(const struct store_run *row, struct control_run *ret);

/* What is wrong with a server and what to do about it, a sentence; NULL when it is well. Borrowed until the
 * next turn. */
const char *service_server_trouble(const struct service *service, const char *name);

void service_op_status(struct control_request *request, void *data);
void service_op_list(struct control_request *request, size_t limit, void *data);
void service_op_schedules(struct control_request *request, void *data);
void service_op_run_schedule(struct control_request *request, const char *name, void *data);

/* ---- service_control.c ---- */

void service_reply_run(struct control_request *request, const struct service_run *run);
/* To a plan that was offered: the run, or why it could not be stored. */
void service_reply_accepted(struct control_request *request, int error, const struct service_run *run);

/* ---- service_submit.c: plans over the socket ---- */

void service_op_submit(struct control_request *request, struct plan_files *files, void *data);
void service_op_preview(struct control_request *request, struct plan_files *files, void *data);

/* Previews that are ready are answered. */
void service_previews_turn(struct service *service);
/* Those under way are answered: the daemon stops. */
void service_previews_stop(struct service *service);
