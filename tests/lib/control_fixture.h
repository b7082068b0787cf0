/* For the tests of the control socket: a fake service in a thread of its own, and clients that
 * block. Everything lies in a folder of its own. */
#pragma once

#include <pthread.h>

#include "base/buf.h"
#include "fake_control.h"

struct fixture {
    char folder[64], path[96];
    uv_loop_t loop;
    uv_async_t async;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    void (*call)(struct fake *fake); /* to be called in the thread */
    bool stopping, running;
    struct fake fake;
};

/* Starts; fails the test when it cannot. Defaults: plan_bytes 64 KiB, delay 1 ms. */
void fixture_start(struct fixture *f, const struct fake_options *options);

/* Calls fn in the service's thread and waits until it has. */
void fixture_call(struct fixture *f, void (*fn)(struct fake *fake));

/* Ends the service, and proves that the loop is empty. */
void fixture_stop(struct fixture *f);

/* A connected socket; reads give up after 20 s. */
int client_connect(const struct fixture *f);

/* Sends all of it. False when the other end has closed. */
bool client_send(int fd, const char *text);

/* Reads until the end of the stream, or until the text is there; "" when nothing came. */
const char *client_read(int fd, struct buf *into, const char *until);

/* A whole exchange with Connection: close; the answer with its head. */
const char *client_ask(const struct fixture *f, struct buf *into, const char *method, const char *path,
                       const char *headers, const char *body);
