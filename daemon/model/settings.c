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

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_texts(char **a, char **b)
{
    if (!a || !b)
        return a == b;
    for (; *a && *b; a++, b++)
        if (strcmp(*a, *b) != 0)
            return false;
    return *a == *b;
}

static bool same_entry(const struct spool_allow *a, const struct spool_allow *b)
{
    return same_text(a->user, b->user) && same_text(a->group, b->group) &&
           same_texts(a->servers, b->servers) && same_texts(a->sources, b->sources) && a->items == b->items;
}

bool settings_same_allow(const struct settings *a, const struct settings *b)
{
    if (a->allow_given != b->allow_given || a->n_allow != b->n_allow)
        return false;
    for (size_t i = 0; i < a->n_allow; i++)
        if (!same_entry(&a->allow[i], &b->allow[i]))
            return false;
    return true;
}
