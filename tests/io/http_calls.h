/* Requests to the server of http_fixture.h, each with what became of it. */
#pragma once

#include "http_fixture.h"
/* cmocka comes with it */
#include <string.h>

#define MANY 100 /* requests in flight */

struct call {
    struct http_request request;
    struct bench *bench;
    struct http_reply reply;
    char session[64], error[256];
    size_t received;
    unsigned replies;
    bool abort_in_body;
};

static inline int on_body(const char *data, size_t len, void *user)
{
    struct call *c = user;
    assert_non_null(data);
    c->received += len;
    if (c->abort_in_body)
        c->bench->port->abort(c->bench->port, &c->request);
    return 0;
}

static inline void on_reply(struct http_request *request, const struct http_reply *reply, void *user)
{
    struct call *c = user;
    assert_ptr_equal(request, &c->request);
    assert_false(c->bench->starting);
    c->replies++;
    c->reply = *reply;
    snprintf(c->session, sizeof(c->session), "%s", reply->session ? reply->session : "");
    snprintf(c->error, sizeof(c->error), "%s", reply->error);
    c->bench->left--;
}

static inline void begin(struct bench *b, struct call *c)
{
    c->bench = b;
    c->request.on_body = on_body;
    c->request.on_reply = on_reply;
    c->request.user = c;
    if (!c->request.body_max)
        c->request.body_max = 1000;
    b->left++;
    b->starting = true;
    assert_int_equal(b->port->start(b->port, &c->request), 0);
    b->starting = false;
}

static inline struct call get(struct bench *b, const char *path)
{
    struct call c = {.request = {.method = HTTP_GET, .path = path, .session = "abc"}};
    begin(b, &c);
    bench_run(b);
    assert_int_equal(c.replies, 1);
    return c;
}

static inline struct call post(struct bench *b, const char *path, const char *body, bool once)
{
    struct call c = {.request = {.method = HTTP_POST, .path = path, .session = "abc", .once = once}};
    c.request.body = (struct bytes){body, body ? strlen(body) : 0};
    begin(b, &c);
    bench_run(b);
    assert_int_equal(c.replies, 1);
    return c;
}
