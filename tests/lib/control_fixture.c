#include "control_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_MS 20000

static void on_async(uv_async_t *async)
{
    struct fixture *f = async->data;
    pthread_mutex_lock(&f->lock);
    if (f->call)
        f->call(&f->fake);
    f->call = NULL;
    if (f->stopping) {
        fake_stop(&f->fake);
        uv_close((uv_handle_t *)async, NULL);
        f->stopping = false;
    }
    pthread_cond_signal(&f->cond);
    pthread_mutex_unlock(&f->lock);
}

static void *run_loop(void *data)
{
    struct fixture *f = data;
    uv_run(&f->loop, UV_RUN_DEFAULT);
    return NULL;
}

void fixture_start(struct fixture *f, const struct fake_options *options)
{
    struct buf error = BUF_INIT(4096);
    *f = (struct fixture){.running = true};
    strcpy(f->folder, "/tmp/control-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/run/s.sock", f->folder);
    struct fake_options o = *options;
    o.path = f->path;
    o.plan_bytes = o.plan_bytes ? o.plan_bytes : 65536;
    o.delay_ms = o.delay_ms ? o.delay_ms : 1;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->cond, NULL);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(uv_async_init(&f->loop, &f->async, on_async), 0);
    f->async.data = f;
    if (fake_start(&f->fake, &f->loop, &o, &error) < 0)
        fail_msg("%s", buf_str(&error));
    assert_int_equal(pthread_create(&f->thread, NULL, run_loop, f), 0);
}

void fixture_call(struct fixture *f, void (*fn)(struct fake *fake))
{
    pthread_mutex_lock(&f->lock);
    f->call = fn;
    uv_async_send(&f->async);
    while (f->call)
        pthread_cond_wait(&f->cond, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

void fixture_stop(struct fixture *f)
{
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_mutex_unlock(&f->lock);
    uv_async_send(&f->async);
    pthread_join(f->thread, NULL);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(access(f->path, F_OK), -1); /* it has removed its socket */
    *strrchr(f->path, '/') = '\0';
    rmdir(f->path);
    assert_int_equal(rmdir(f->folder), 0);
}

int client_connect(const struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

bool client_send(int fd, const char *text)
{
    for (size_t len = strlen(text); len > 0;) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

const char *client_read(int fd, struct buf *into, const char *until)
{
    char chunk[16384];
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    while (!until || !strstr(buf_str(into), until)) {
        if (poll(&poller, 1, READ_MS) <= 0)
            fail_msg("nothing came for %d ms; until then: %s", READ_MS, buf_str(into));
        ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
        if (n <= 0)
            break;
        assert_int_equal(buf_add(into, chunk, (size_t)n), 0);
    }
    return buf_str(into);
}

const char *client_ask(const struct fixture *f, struct buf *into, const char *method, const char *path,
                       const char *headers, const char *body)
{
    struct buf request = BUF_INIT(1 << 20);
    buf_reset(into);
    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: j\r\nConnection: close\r\n%s", method, path, headers);
    if (body)
        buf_printf(&request, "Content-Length: %zu\r\n", strlen(body));
    buf_printf(&request, "\r\n%s", body ? body : "");
    int fd = client_connect(f);
    client_send(fd, buf_str(&request));
    client_read(fd, into, NULL);
    close(fd);
    buf_done(&request);
    return buf_str(into);
}
