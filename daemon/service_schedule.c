/* Plans with a schedule, as operators see them. */
#include "io/control.h"
#include "service_control_parts.h"

void service_op_schedules(struct control_request *request, void *data)
{
    (void)data;
    control_reply_schedules(request, NULL, 0);
}

void service_op_run_schedule(struct control_request *request, const char *name, void *data)
{
    (void)data;
    control_reply_error(request, CONTROL_E_NOT_FOUND, "there is no plan \"%s\" with a schedule", name);
}
