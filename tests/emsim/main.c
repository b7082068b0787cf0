#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "inventory.h"
#include "server.h"
#include "tls.h"

struct options {
    const char *inventory, *listen, *cert, *key, *self_signed, *log;
};

static const char HELP[] =
    "usage: emsim --inventory FILE [--listen 127.0.0.1:9398]\n"
    "             [--tls-cert FILE --tls-key FILE | --tls-self-signed DIR] [--log FILE]\n"
    "             [--BEHAVIOUR VALUE]...\n"
    "A simulated Enterprise Manager. Behaviours (--task-ms 500, --lag 15m, --lose-answer-percent 5 ...)\n"
    "are told in the man page, emsim(1); POST /sim/behaviour changes them, GET /sim/truth shows what was\n"
    "made. --version shows the version, --help this help.\n";

/* The place of one of the plain options, or NULL. */
static const char **option_slot(struct options *options, const char *name)
{
    const struct {
        const char *name, **slot;
    } SLOTS[] = {{"inventory", &options->inventory},
                 {"listen", &options->listen},
                 {"tls-cert", &options->cert},
                 {"tls-key", &options->key},
                 {"tls-self-signed", &options->self_signed},
                 {"log", &options->log}};
    for (size_t i = 0; i < ARRAY_SIZE(SLOTS); i++)
        if (strcmp(SLOTS[i].name, name) == 0)
            return SLOTS[i].slot;
    return NULL;
}

static int set_behaviour(struct world *world, const char *name, const char *value)
{
    char key[64];
    snprintf(key, sizeof(key), "%s", name);
    for (char *p = key; *p; p++)
        if (*p == '-')
            *p = '_';
    if (strcmp(key, "seed") == 0) {
        world->rng.state = strtoull(value, NULL, 10);
        return 0;
    }
    return behaviour_set(&world->behaviour, key, value);
}

/* 0, 1 when nothing is left to do, or -EINVAL after a message. */
static int parse(int argc, char **argv, struct options *ret, struct world *world)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "--version") == 0) {
            fputs(argv[i][2] == 'h' ? HELP : "emsim " JOBCLONE_VERSION "\n", stdout);
            return 1;
        }
        char *equals = strchr(argv[i], '=');
        const char *value = equals ? equals + 1 : i + 1 < argc ? argv[i + 1] : NULL;
        if (strncmp(argv[i], "--", 2) != 0 || !value) {
            fprintf(stderr, "emsim: %s: not an option, or its value is missing; see emsim --help\n", argv[i]);
            return -EINVAL;
        }
        if (equals)
            *equals = 0;
        const char *name = argv[i] + 2, **slot = option_slot(ret, name);
        int r = slot ? 0 : set_behaviour(world, name, value);
        if (slot)
            *slot = value;
        if (r < 0) {
            fprintf(stderr, "emsim: --%s: %s; see emsim --help\n", name,
                    r == -ENOENT ? "unknown option" : "bad value");
            return -EINVAL;
        }
        i += !equals;
    }
    return 0;
}

static int parse_address(const char *text, struct sockaddr_in *ret)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    char *end = NULL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    bool good = colon[1] && !*end && port <= 65535 && inet_pton(AF_INET, host, &ret->sin_addr) == 1;
    return good ? 0 : -EINVAL;
}

/* What the options lack, or NULL. */
static const char *options_lack(const struct options *options, struct sockaddr_in *ret_address)
{
    if (!options->inventory)
        return "--inventory FILE is missing: it says what the server has";
    if (!options->self_signed && (!options->cert || !options->key))
        return "a certificate is missing: give --tls-self-signed DIR, or --tls-cert FILE and --tls-key FILE";
    if (parse_address(options->listen, ret_address) < 0)
        return "--listen takes an IPv4 address and a port, as in 127.0.0.1:9398";
    return NULL;
}

/* 0, or a negative errno after a message. */
static int read_tls_file(const char *path, char **ret_text)
{
    int r = tls_read_file(path, ret_text);
    if (r < 0)
        fprintf(stderr, "emsim: %s: %s\n", path, strerror(-r));
    return r;
}

/* 0, or a negative errno after a message. */
static int load_tls(const struct options *options, char **ret_cert, char **ret_key)
{
    _cleanup_free_ char *cert = NULL, *key = NULL;
    const char *dir = options->self_signed;
    int r = dir ? tls_self_signed(dir) : 0;
    if (r < 0) {
        fprintf(stderr, "emsim: a certificate cannot be made in %s: %s\n", dir, strerror(-r));
        return r;
    }
    if (asprintf(&cert, dir ? "%s/cert.pem" : "%s", dir ? dir : options->cert) < 0) {
        cert = NULL;
        return -ENOMEM;
    }
    if (asprintf(&key, dir ? "%s/key.pem" : "%s", dir ? dir : options->key) < 0) {
        key = NULL;
        return -ENOMEM;
    }
    r = read_tls_file(cert, ret_cert);
    return r < 0 ? r : read_tls_file(key, ret_key);
}

static int set_base_url(struct world *world, const struct sockaddr_in *address, unsigned port)
{
    char host[INET_ADDRSTRLEN] = "127.0.0.1", url[80];
    inet_ntop(AF_INET, &address->sin_addr, host, sizeof(host));
    snprintf(url, sizeof(url), "https://%s:%u/api", host, port);
    world->base_url = arena_str(world->arena, url);
    printf("emsim: listening on https://%s:%u\n", host, port);
    return fflush(stdout) == 0 && world->base_url ? 0 : -EIO;
}

/* Serves until SIGTERM or SIGINT, which are blocked in all threads. */
static int serve(struct world *world, const struct server_config *config)
{
    struct http_server *server = NULL;
    sigset_t signals;
    int got = 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    world->base_url = "/api";
    int r = http_server_start(world, config, &server);
    if (r < 0) {
        char host[INET_ADDRSTRLEN] = "";
        inet_ntop(AF_INET, &config->address.sin_addr, host, sizeof(host));
        fprintf(stderr, "emsim: cannot listen on %s:%u: %s (another address: --listen)\n", host,
                ntohs(config->address.sin_port), strerror(-r));
        return r;
    }
    r = set_base_url(world, &config->address, http_server_port(server));
    if (r == 0)
        sigwait(&signals, &got);
    http_server_stop(server);
    return r;
}

static int load_inventory(struct world *world, const char *path)
{
    struct diag diag = DIAG_INIT;
    int r = inventory_load(world, path, &diag);
    diag_print(&diag, stderr);
    if (r < 0 && !diag.count)
        fprintf(stderr, "emsim: %s: %s\n", path, strerror(-r));
    diag_done(&diag);
    return r;
}

static int run(struct world *world, const struct options *options)
{
    _cleanup_free_ char *cert = NULL, *key = NULL;
    struct server_config config = {0};
    const char *lack = options_lack(options, &config.address);
    if (lack) {
        fprintf(stderr, "emsim: %s; see emsim --help\n", lack);
        return 2;
    }
    if (load_inventory(world, options->inventory) < 0 || load_tls(options, &cert, &key) < 0)
        return 1;
    config.cert = cert;
    config.key = key;
    config.log = options->log ? fopen(options->log, "ae") : NULL;
    if (options->log && !config.log) {
        fprintf(stderr, "emsim: %s: %s\n", options->log, strerror(errno));
        return 1;
    }
    int r = serve(world, &config);
    if (config.log)
        fclose(config.log);
    return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct world world;
    struct options options = {.listen = "127.0.0.1:9398"};
    if (world_init(&world) < 0)
        return 1;
    int r = parse(argc, argv, &options, &world);
    int status = r > 0 ? 0 : r < 0 ? 2 : run(&world, &options);
    world_done(&world);
    return status;
}
