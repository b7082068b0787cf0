/* The limit finds what a server bears: a model server with K places, where more than K requests wait for each
 * other, and beyond 4 K are refused. Compared with the best fixed number of requests, which is K. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/limit.h"
#include "places.h"

#define SERVICE_MS 100
#define MINUTES(n) ((uint64_t)(n)*60000)
#define FLIGHTS_MAX 256

struct server {
    unsigned n_places;
    struct rng rng;
    uint64_t now_ms;
    struct {
        uint64_t sent_ms, done_ms;
        bool bad;
    } flights[FLIGHTS_MAX];
    unsigned n;
    struct places places;
    unsigned good, bad;
};

static void send_one(struct server *s)
{
    uint64_t done, takes = SERVICE_MS * 3 / 4 + rng_below(&s->rng, SERVICE_MS / 2);
    bool good = places_take(&s->places, s->n_places, 4 * s->n_places, s->now_ms, takes, &done);
    s->flights[s->n].sent_ms = s->now_ms;
    s->flights[s->n].done_ms = good ? done : s->now_ms + 5;
    s->flights[s->n++].bad = !good;
}

static void end_some(struct server *s, struct limit *limit)
{
    for (unsigned i = 0; i < s->n;) {
        if (s->flights[i].done_ms > s->now_ms) {
            i++;
            continue;
        }
        if (s->flights[i].bad) {
            s->bad++;
            limit_bad(limit, s->now_ms);
        } else {
            s->good++;
            places_leave(&s->places);
            limit_good(limit, s->now_ms - s->flights[i].sent_ms, s->n);
        }
        s->flights[i] = s->flights[--s->n];
    }
}

static void run(struct server *s, struct limit *limit, uint64_t for_ms)
{
    for (uint64_t end = s->now_ms + for_ms; s->now_ms < end; s->now_ms++) {
        end_some(s, limit);
        while (s->n < limit_now(limit) && s->n < FLIGHTS_MAX)
            send_one(s);
    }
}

static void finds_what_the_server_bears(void **state)
{
    static const unsigned places[] = {2, 8, 40};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct server s = {.n_places = places[i], .rng = {i + 1}, .now_ms = 1000};
        struct limit limit;
        limit_init(&limit, 8, 200);
        run(&s, &limit, MINUTES(1)); /* the first seconds, and some more */
        s.good = s.bad = 0;
        run(&s, &limit, MINUTES(10));
        unsigned best = (unsigned)(MINUTES(10) / SERVICE_MS) * places[i];
        print_message("K %u: limit %u, %u of %u answers, %u refused\n", places[i], limit_now(&limit), s.good,
                      best, s.bad);
        assert_true(s.good * 10 >= best * 9);
        assert_true(s.bad * 100 <= s.good);
    }
}

static void takes_a_slower_server_for_what_it_is(void **state)
{
    struct limit limit;
    (void)state;
    limit_init(&limit, 8, 64);
    for (int i = 0; i < 4000; i++)
        limit_good(&limit, 50, 64);
    assert_int_equal(limit_now(&limit), 64);
    for (int i = 0; i < 40000; i++) /* three times as slow, however few there are */
        limit_good(&limit, 150, 64);
    assert_true(limit_now(&limit) > 32);
}

static void chance_is_no_waiting(void **state)
{
    struct rng rng = {9};
    struct limit limit;
    (void)state;
    limit_init(&limit, 4, 16);
    for (int i = 0; i < 20000; i++) {
        limit_good(&limit, 10 + rng_below(&rng, 700), 16);
        assert_true(limit_now(&limit) >= 4);
    }
    assert_int_equal(limit_now(&limit), 16);
}

static void an_error_halves_once_a_second(void **state)
{
    struct limit limit;
    (void)state;
    limit_init(&limit, 16, 64);
    limit_bad(&limit, 5000);
    limit_bad(&limit, 5500);
    assert_int_equal(limit_now(&limit), 8);
    limit_bad(&limit, 6100);
    assert_int_equal(limit_now(&limit), 4);
    for (uint64_t i = 0; i < 10; i++)
        limit_bad(&limit, 10000 + i * 2000);
    assert_int_equal(limit_now(&limit), 1);
    for (int i = 0; i < 400; i++)
        limit_good(&limit, 10, 64);
    assert_in_range(limit_now(&limit), 15, 20); /* near where the trouble began it goes on with care */
}

static void what_is_not_used_does_not_grow(void **state)
{
    struct limit limit;
    (void)state;
    limit_init(&limit, 8, 64);
    for (int i = 0; i < 1000; i++)
        limit_good(&limit, 10, 1);
    assert_int_equal(limit_now(&limit), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_the_server_bears),
        cmocka_unit_test(takes_a_slower_server_for_what_it_is),
        cmocka_unit_test(chance_is_no_waiting),
        cmocka_unit_test(an_error_halves_once_a_second),
        cmocka_unit_test(what_is_not_used_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
