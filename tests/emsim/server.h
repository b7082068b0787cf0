/* The HTTP side: connections, bodies, faults on the wire. */
#pragma once

#include <netinet/in.h>
#include <stdio.h>

#include "world.h"

struct server_config {
    struct sockaddr_in address;
    const char *cert, *key; /* PEM texts */
    FILE *log;              /* NULL: none */
};

struct http_server;

/* Starts serving in threads of its own; the world is theirs from now on, except
 * before the first request. 0 or a negative errno. */
int http_server_start(struct world *world, const struct server_config *config,
                      struct http_server **ret_server);

/* The port that is listened on. */
unsigned http_server_port(const struct http_server *server);

/* Stops, wakes what sleeps, closes all connections, frees. */
void http_server_stop(struct http_server *server);
