/* An HTTPS server on this machine, a loop, and the HTTP port on it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <uv.h>

#include "base/buf.h"
#include "io/http_curl.h"
#include "model/settings.h"
#include "tls_server.h"

struct bench {
    struct tls_server *server;
    struct server_settings settings;
    char url[64], user[8];
    uv_loop_t loop;
    struct http_curl *http;
    struct http *port;
    unsigned left; /* requests not given back */
    bool starting, closed;
};

/* The server; the settings may be changed before bench_ready. */
static inline void bench_open(struct bench *b, enum tls_cert cert, unsigned in_flight_max)
{
    *b = (struct bench){.user = "user", .server = tls_server_start(cert)};
    assert_non_null(b->server);
    snprintf(b->url, sizeof(b->url), "https://127.0.0.1:%d", tls_server_port(b->server));
    b->settings = (struct server_settings){.url = b->url,
                                           .username = b->user,
                                           .ca_file = (char *)tls_server_ca_file(b->server),
                                           .verify = true,
                                           .in_flight_max = in_flight_max,
                                           .connect_ms = 10000,
                                           .request_ms = 20000};
    assert_int_equal(uv_loop_init(&b->loop), 0);
}

static inline void bench_ready(struct bench *b)
{
    struct buf error = BUF_INIT(4096);
    assert_int_equal(http_curl_new(&b->loop, &b->settings, "secret", "application/xml", &b->http, &error), 0);
    b->port = http_curl_port(b->http);
}

static inline void bench_start(struct bench *b, enum tls_cert cert, unsigned in_flight_max)
{
    bench_open(b, cert, in_flight_max);
    bench_ready(b);
}

/* Until each request has been given back. */
static inline void bench_run(struct bench *b)
{
    while (b->left)
        uv_run(&b->loop, UV_RUN_ONCE);
}

static inline void bench_on_closed(void *data)
{
    ((struct bench *)data)->closed = true;
}

static inline void bench_close(struct bench *b)
{
    http_curl_close(b->http, bench_on_closed, b);
    assert_false(b->closed);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_true(b->closed);
    assert_int_equal(b->left, 0);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    tls_server_stop(b->server);
}
