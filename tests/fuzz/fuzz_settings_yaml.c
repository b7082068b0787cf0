/* Settings: the input as main file, and as a drop-in over a good one. */
#include "fuzz.h"

#include "base/diag.h"
#include "codec/settings_yaml.h"
#include "model/settings.h"

static void decode(const struct settings_source *sources, size_t n)
{
    struct diag diag = DIAG_INIT;
    struct settings *settings = NULL;
    if (settings_yaml_decode(sources, n, &settings, &diag) == 0)
        settings_free(settings);
    diag_done(&diag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char good[] = "version: 1\nservers:\n  prod:\n    url: https://127.0.0.1:9398\n"
                               "    username: u\n    password: {file: p}\n";
    const struct settings_source sources[] = {
        {"/etc/jobclone/jobcloned.yaml", {good, sizeof(good) - 1}},
        {"/etc/jobclone/jobcloned.yaml.d/10.yaml", {(const char *)data, len}},
    };
    decode(sources, 2);
    decode(sources + 1, 1);
    return 0;
}
