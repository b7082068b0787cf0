#include "tls_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls_server_cert.h"

#define CONNECTIONS_MAX 512
#define SLOW_US 500000

struct connection {
    struct tls_server *server;
    pthread_t thread;
    int fd;
    bool open; /* fd may be shut down; under the lock */
};

struct tls_server {
    SSL_CTX *ctx;
    int fd, port;
    char ca_file[64], pin[64];
    pthread_t thread;
    pthread_mutex_t lock;
    struct connection connections[CONNECTIONS_MAX];
    unsigned n_connections; /* accepted; the acceptor's */
    struct tls_counts counts;
};

/* ---- one request ---- */

static size_t body_length(const char *head)
{
    const char *line = strcasestr(head, "\r\nContent-Length:");
    return line ? strtoul(line + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

/* A whole request as a string, and in how many records it came; false when the connection ended before. */
static bool read_request(SSL *ssl, char *text, size_t size, unsigned *ret_records)
{
    size_t len = 0;
    *ret_records = 0;
    while (len + 1 < size) {
        int n = SSL_read(ssl, text + len, (int)(size - len - 1));
        if (n <= 0)
            return false;
        ++*ret_records; /* no more than one is read at a time */
        len += (size_t)n;
        text[len] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        if (end && len >= (size_t)(end + 4 - text) + body_length(text))
            return true;
    }
    return false;
}

static void count_request(struct tls_server *s, const char *text, unsigned records, bool kept)
{
    pthread_mutex_lock(&s->lock);
    s->counts.requests++;
    s->counts.records += records;
    s->counts.kept += kept;
    s->counts.posts += strncmp(text, "POST ", 5) == 0;
    s->counts.authorized += strcasestr(text, "\r\nAuthorization:") != NULL;
    snprintf(s->counts.last, sizeof(s->counts.last), "%s", text);
    pthread_mutex_unlock(&s->lock);
}

static bool say(SSL *ssl, const char *text)
{
    return SSL_write(ssl, text, (int)strlen(text)) > 0;
}

static bool asks_for(const char *text, const char *path)
{
    const char *at = strchr(text, ' ');
    return at && strncmp(at + 1, path, strlen(path)) == 0 && at[1 + strlen(path)] == ' ';
}

/* Until the peer or the end of the server cuts it. */
static void say_forever(SSL *ssl, const char *first, const char *again)
{
    bool on = say(ssl, first);
    while (on)
        on = say(ssl, again);
}

/* True when the connection goes on. */
static bool answer(SSL *ssl, int fd, const char *text)
{
    char byte;
    struct linger hard = {1, 0};
    if (asks_for(text, "/api/die"))
        return false;
    if (asks_for(text, "/api/hang"))
        return SSL_read(ssl, &byte, 1) > 0;
    if (asks_for(text, "/api/reset"))
        return setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) > 0;
    if (asks_for(text, "/api/truncate"))
        return say(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789") && false;
    if (asks_for(text, "/api/flood"))
        say_forever(ssl, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
                    "0123456789012345678901234567890123456789");
    if (asks_for(text, "/api/headers"))
        say_forever(ssl, "HTTP/1.1 200 OK\r\n", "X-More: 01234567890123456789012345678901234567890123\r\n");
    if (asks_for(text, "/api/slow"))
        usleep(SLOW_US);
    if (asks_for(text, "/api/redirect"))
        return say(ssl, "HTTP/1.1 302 Found\r\nLocation: /api/ok\r\nContent-Length: 0\r\n\r\n");
    if (asks_for(text, "/api/busy"))
        return say(ssl, "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
    return say(ssl, "HTTP/1.1 200 OK\r\nx-restsvcsessionid: token-1\r\nContent-Length: 2\r\n\r\nok");
}

/* ---- connections ---- */

static void *serve(void *data)
{
    struct connection *c = data;
    char text[32768];
    SSL *ssl = SSL_new(c->server->ctx);
    bool on = ssl && SSL_set_fd(ssl, c->fd) == 1 && SSL_accept(ssl) == 1;
    pthread_mutex_lock(&c->server->lock);
    c->server->counts.connections += on;
    c->server->counts.resumed += on && SSL_session_reused(ssl) == 1;
    pthread_mutex_unlock(&c->server->lock);
    unsigned records;
    for (bool kept = false; on && read_request(ssl, text, sizeof(text), &records); kept = true) {
        count_request(c->server, text, records, kept);
        on = answer(ssl, c->fd, text);
    }
    SSL_free(ssl);
    pthread_mutex_lock(&c->server->lock);
    c->open = false;
    close(c->fd);
    pthread_mutex_unlock(&c->server->lock);
    return NULL;
}

static void *accept_all(void *data)
{
    struct tls_server *s = data;
    int fd;
    while (s->n_connections < CONNECTIONS_MAX && (fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct connection *c = &s->connections[s->n_connections];
        *c = (struct connection){.server = s, .fd = fd, .open = true};
        if (pthread_create(&c->thread, NULL, serve, c) == 0)
            s->n_connections++;
        else
            close(fd);
    }
    return NULL;
}

/* ---- life ---- */

static int listen_local(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 256) == 0 &&
        getsockname(fd, (struct sockaddr *)&a, &len) == 0) {
        *ret_port = ntohs(a.sin_port);
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static void server_free(struct tls_server *s)
{
    if (s->fd >= 0)
        close(s->fd);
    unlink(s->ca_file);
    SSL_CTX_free(s->ctx);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct tls_server *tls_server_start(enum tls_cert cert)
{
    struct tls_server *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    signal(SIGPIPE, SIG_IGN);
    pthread_mutex_init(&s->lock, NULL);
    strcpy(s->ca_file, "/tmp/test-ca-XXXXXX");
    int ca = mkstemp(s->ca_file);
    if (ca >= 0)
        close(ca);
    s->fd = listen_local(&s->port);
    s->ctx = SSL_CTX_new(TLS_server_method());
    if (ca < 0 || s->fd < 0 || !s->ctx || tls_server_certify(s->ctx, cert, s->ca_file, s->pin) < 0 ||
        pthread_create(&s->thread, NULL, accept_all, s) != 0) {
        server_free(s);
        return NULL;
    }
    return s;
}

void tls_server_stop(struct tls_server *s)
{
    shutdown(s->fd, SHUT_RDWR); /* ends accept */
    pthread_join(s->thread, NULL);
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->n_connections; i++)
        if (s->connections[i].open)
            shutdown(s->connections[i].fd, SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < s->n_connections; i++)
        pthread_join(s->connections[i].thread, NULL);
    server_free(s);
}

int tls_server_port(const struct tls_server *s)
{
    return s->port;
}

const char *tls_server_ca_file(const struct tls_server *s)
{
    return s->ca_file;
}

const char *tls_server_pin(const struct tls_server *s)
{
    return s->pin;
}

struct tls_counts tls_server_counts(struct tls_server *s)
{
    pthread_mutex_lock(&s->lock);
    struct tls_counts counts = s->counts;
    pthread_mutex_unlock(&s->lock);
    return counts;
}
