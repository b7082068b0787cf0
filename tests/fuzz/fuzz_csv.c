/* CSV files, read through a plan that uses two columns. */
#include "fuzz.h"

#include "base/diag.h"
#include "codec/plan_yaml.h"
#include "model/plan.h"

static const char plan_text[] = "version: 1\nname: csv\nserver: prod\nclones:\n"
                                "  - for_each: {csv: rows.csv}\n    source: Template\n"
                                "    name: '${name} ${index:03}'\n    repository: Repo A\n"
                                "    description: '${note}'\n";

static int read_csv(const char *path, struct buf *ret, void *data)
{
    (void)path;
    const struct bytes *input = data;
    return buf_add(ret, input->data, input->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bytes input = {(const char *)data, len};
    struct diag diag = DIAG_INIT;
    struct plan *plan = NULL;
    struct plan_yaml_options options = {.file = "plan.yaml",
                                        .plan_bytes = 1024 * 1024,
                                        .plan_items = 1000,
                                        .accepted_ms = 1795442400000,
                                        .read_csv = read_csv,
                                        .data = &input};
    if (plan_yaml_decode((struct bytes){plan_text, sizeof(plan_text) - 1}, &options, &plan, &diag) < 0)
        plan = NULL;
    plan_free(plan);
    diag_done(&diag);
    return 0;
}
