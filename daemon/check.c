#include "check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "host.h"
#include "model/settings.h"

#define EXIT_INVALID 2

static bool is_good(const struct server_settings *server,
                    int (*try)(const struct server_settings *settings, struct buf *ret_error))
{
    struct buf error = BUF_INIT(4096);
    bool good = try(server, &error) >= 0;
    if (!good)
        fprintf(stderr, "%s\n", buf_str(&error));
    buf_done(&error);
    return good;
}

/* systemd hands a credential to the service alone: a person who checks the settings has none, which is no
 * mistake in them. */
static bool password_good(const struct server_settings *server)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!server->password_credential || (folder && *folder))
        return is_good(server, host_try_password);
    fprintf(
        stderr,
        "server %s: the credential %s is not looked at: systemd hands it to the service alone; to have it "
        "judged too: systemd-run --pipe --wait -p LoadCredential=%s:FILE jobcloned --check\n",
        server->name, server->password_credential, server->password_credential);
    return true;
}

int check_run(const char *config, const struct settings *settings)
{
    bool good = true;
    for (size_t i = 0; i < settings->n_servers; i++) {
        good = password_good(&settings->servers[i]) && good;
        good = is_good(&settings->servers[i], host_try_server) && good;
    }
    if (good)
        printf("%s: %zu server%s: ok\n", config, settings->n_servers, settings->n_servers == 1 ? "" : "s");
    return good ? 0 : EXIT_INVALID;
}
