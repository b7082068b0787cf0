#include "model/settings.h"

#include <stdlib.h>
#include <string.h>

static void server_settings_done(struct server_settings *server)
{
    free(server->name);
    free(server->url);
    free(server->username);
    free(server->password_credential);
    free(server->password_file);
    free(server->ca_file);
    free(server->pin);
    free(server->api_version);
}

static void strings_free(char **strings)
{
    for (char **s = strings; s && *s; s++)
        free(*s);
    free(strings);
}

struct settings *settings_free(struct settings *settings)
{
    if (!settings)
        return NULL;
    for (size_t i = 0; i < settings->n_servers; i++)
        server_settings_done(&settings->servers[i]);
    free(settings->servers);
    for (size_t i = 0; i < settings->n_allow; i++) {
        free(settings->allow[i].user);
        free(settings->allow[i].group);
        strings_free(settings->allow[i].servers);
        strings_free(settings->allow[i].sources);
    }
    free(settings->allow);
    free(settings->spool_directory);
    free(settings->plans_directory);
    free(settings->state_directory);
    free(settings->control_socket);
    free(settings);
    return NULL;
}

const struct server_settings *settings_server(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->n_servers; i++)
        if (strcmp(settings->servers[i].name, name) == 0)
            return &settings->servers[i];
    return NULL;
}
