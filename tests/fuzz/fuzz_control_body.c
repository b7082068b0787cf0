/* Bodies of requests on the control socket. */
#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/buf.h"
#include "codec/control_json.h"

#define PLAN_BYTES 4096

/* What is refused says why; what is taken is within its limits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes body = {(const char *)data, size};
    struct buf error = BUF_INIT(64 * 1024);
    struct control_plan plan;
    bool stop_tasks;
    int r = control_json_decode_plan(body, PLAN_BYTES, &plan, &error);
    if ((r < 0) != (error.len > 0) || plan.bytes.len > PLAN_BYTES)
        abort();
    for (size_t i = 0; r == 0 && i < plan.n_csv; i++)
        if (plan.csv[i].bytes.len > PLAN_BYTES || !plan.csv[i].path[0])
            abort();
    control_plan_done(&plan);
    buf_reset(&error);
    if ((control_json_decode_cancel(body, &stop_tasks, &error) < 0) != (error.len > 0))
        abort();
    buf_done(&error);
    return 0;
}
