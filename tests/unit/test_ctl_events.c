/* Server-sent events, however the stream is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/events.h"

static void note(const char *event, const char *data, size_t len, void *user)
{
    struct buf *seen = user;
    assert_int_equal(strlen(data), len);
    buf_printf(seen, "%s=%s;", event, data);
}

static const char stream[] = ": hello\n\n"
                             "event: run\nid: a-1\ndata: {\"x\":1}\n\n"
                             "event: failure\r\nid: a-2\r\ndata:first\r\ndata: second\r\n\r\n"
                             "event: nothing\n\n"
                             "data: plain\n\n"
                             "event: half\ndata: way";

static void events_come_whole_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step <= strlen(stream); step++) {
        _cleanup_(buf_done) struct buf seen = BUF_INIT(4096);
        struct events events;
        events_init(&events, note, &seen);
        for (size_t at = 0; at < strlen(stream); at += step) {
            size_t n = strlen(stream) - at < step ? strlen(stream) - at : step;
            assert_int_equal(events_feed(&events, stream + at, n), 0);
        }
        assert_string_equal(buf_str(&seen), "run={\"x\":1};failure=first\nsecond;message=plain;");
        assert_string_equal(events.id, "a-2");
        events_done(&events);
    }
}

static void a_new_stream_begins_anew(void **state)
{
    (void)state;
    _cleanup_(buf_done) struct buf seen = BUF_INIT(4096);
    struct events events;
    events_init(&events, note, &seen);
    assert_int_equal(events_feed(&events, stream, strlen(stream)), 0);
    buf_reset(&seen);
    events_restart(&events);
    assert_int_equal(events_feed(&events, "\ndata: new\n\n", 12), 0);
    assert_string_equal(buf_str(&seen), "message=new;");
    assert_string_equal(events.id, "a-2");
    events_done(&events);
}

static void a_line_without_end_is_refused(void **state)
{
    (void)state;
    static char much[4096];
    struct events events;
    int r = 0;
    memset(much, 'x', sizeof(much));
    events_init(&events, note, NULL);
    for (int i = 0; i < 1000 && r == 0; i++)
        r = events_feed(&events, much, sizeof(much));
    assert_int_equal(r, -ENOBUFS);
    events_done(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_whole_however_they_are_cut),
        cmocka_unit_test(a_new_stream_begins_anew),
        cmocka_unit_test(a_line_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
