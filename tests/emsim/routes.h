/* What each request answers. All run under the lock and fill call->status and
 * call->out. */
#pragma once

#include "call.h"
#include "filter.h"

/* Checks headers and session, then calls the route. */
void routes_serve(struct call *call);

void route_base(struct call *call);
void route_logon(struct call *call);
void route_logons(struct call *call);
void route_logoff(struct call *call);

void route_clone(struct call *call);
void route_jobs(struct call *call);
void route_job(struct call *call);
void route_job_delete(struct call *call);
void route_repositories(struct call *call);
void route_repository(struct call *call);
void route_servers(struct call *call);
void route_server(struct call *call);
void route_collect(struct call *call);

void route_tasks(struct call *call);
void route_task(struct call *call);
void route_task_delete(struct call *call);
/* One Task; as the document's root or inside a list. */
void task_write(struct call *call, uint32_t work, uint64_t number, bool root);

void route_query(struct call *call);
void route_sim(struct call *call);
/* Writes /sim/truth. */
void truth_write(struct call *call);

/* Things of which there are lists. */
enum thing { THING_JOB, THING_REPOSITORY, THING_SERVER, THING_TASK };

/* One Ref, or one whole object; `root`: it is the document. */
void thing_write_ref(struct call *call, enum thing thing, uint32_t index, bool root);
void thing_write_entity(struct call *call, enum thing thing, uint32_t index, bool root);
size_t thing_count(const struct call *call, enum thing thing);
bool thing_visible(const struct call *call, enum thing thing, uint32_t index);
const char *thing_name(const struct call *call, enum thing thing, uint32_t index);
