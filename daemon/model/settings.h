/* The settings of jobcloned.yaml as values (product contract 2). All times in
 * milliseconds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum settings_format { SETTINGS_FORMAT_XML, SETTINGS_FORMAT_JSON };

struct server_settings {
    char *name; /* key under `servers` */
    char *url;  /* https://HOST[:PORT], no path, no trailing slash */
    char *username;
    char *password_credential; /* a file of that name in $CREDENTIALS_DIRECTORY, or NULL */
    char *password_file;       /* absolute path, or NULL; exactly one of the two is set */
    char *ca_file;             /* absolute path, or NULL: the system's store */
    char *pin;                 /* "sha256//BASE64[;sha256//...]" or NULL */
    bool verify;
    char *api_version; /* "latest", "v1_5", ... */
    enum settings_format format;
    bool http2; /* one connection for all requests, where the server offers it; else HTTP/1.1 */
    unsigned in_flight_initial, in_flight_max;
    unsigned in_flight_per_source; /* 0: no limit */
    uint64_t connect_ms, request_ms, unreachable_ms;
    unsigned tasks_max;
    uint64_t poll_interval_ms, poll_max_ms;
    uint64_t settle_ms;
    uint64_t keepalive_ms;
    unsigned line; /* where the server begins in its file */
};

struct spool_allow {
    char *user, *group; /* exactly one is set */
    char **servers;     /* NULL-ended, or NULL: any */
    char **sources;     /* NULL-ended, or NULL: any */
    unsigned items;     /* 0: no limit */
};

struct settings {
    struct server_settings *servers;
    size_t n_servers;
    char *spool_directory;
    struct spool_allow *allow;
    size_t n_allow;
    bool allow_given;
    char *plans_directory;
    char *state_directory;
    bool state_given; /* else $STATE_DIRECTORY goes before the default */
    uint64_t keep_ms;
    char *control_socket;
    unsigned runs_max;
    size_t plan_bytes;
    unsigned plan_items;
};

struct settings *settings_free(struct settings *settings); /* takes NULL; returns NULL */

/* The server of that name, or NULL. Borrowed. */
const struct server_settings *settings_server(const struct settings *settings, const char *name);

/* Are the entries of spool.allow the same? */
bool settings_same_allow(const struct settings *a, const struct settings *b);
