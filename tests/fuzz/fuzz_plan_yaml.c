/* Plans; the CSV that one may name is always the same. */
#include "fuzz.h"

#include "base/diag.h"
#include "codec/plan_yaml.h"
#include "model/plan.h"

static int read_csv(const char *path, struct buf *ret, void *data)
{
    (void)path, (void)data;
    return buf_add_str(ret, "tenant,code\nAlder & Sons,t001\n\"Elm, Oak\",t002\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct diag diag = DIAG_INIT;
    struct plan *plan = NULL;
    struct plan_yaml_options options = {.file = "plan.yaml",
                                        .plan_bytes = 1024 * 1024,
                                        .plan_items = 1000,
                                        .accepted_ms = 1795442400000,
                                        .scheduled = len % 2 == 0,
                                        .read_csv = read_csv};
    if (plan_yaml_decode((struct bytes){(const char *)data, len}, &options, &plan, &diag) < 0)
        plan = NULL;
    plan_free(plan);
    diag_done(&diag);
    return 0;
}
