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

/* A good answer after so long, soon after the troubles of a test (5 to 10 s). */
static void good(struct limit *limit, uint64_t latency_ms, unsigned in_flight)
{
    limit_good(limit, 12000 - latency_ms, 12000, in_flight);
}

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
            limit_bad(limit, s->flights[i].sent_ms, s->now_ms);
        } else {
            s->good++;
            places_leave(&s->places);
            limit_good(limit, s->flights[i].sent_ms, s->now_ms, s->n);
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

/* From the fifth second on: at least 97% of what its places can do, and less than 1 of 100 is refused. */
static void finds_what_the_server_bears(void **state)
{
    static const unsigned places[] = {1, 2, 3, 4, 8, 16, 40}, initial[] = {1, 8, 20};
    (void)state;
    for (size_t i = 0; i < 21; i++) {
        struct server s = {.n_places = places[i / 3], .rng = {i + 1}, .now_ms = 1000};
        struct limit limit;
        limit_init(&limit, initial[i % 3], 200);
        run(&s, &limit, 5000);
        unsigned at_first = s.bad;
        s.good = s.bad = 0;
        run(&s, &limit, MINUTES(10));
        unsigned best = (unsigned)(MINUTES(10) / SERVICE_MS) * places[i / 3];
        print_message("K %u from %u: limit %u, %u of %u answers, %u refused, %u of them at first\n",
                      places[i / 3], initial[i % 3], limit_now(&limit), s.good, best, s.bad + at_first,
                      at_first);
        assert_true(s.good * 100 >= best * 97);
        assert_true(s.bad * 100 <= s.good);
    }
}

/* Far below what the server bears it doubles: one more per round would take 36 rounds. */
static void is_there_soon(void **state)
{
    struct server s = {.n_places = 40, .rng = {5}, .now_ms = 1000};
    struct limit limit;
    (void)state;
    limit_init(&limit, 4, 200);
    run(&s, &limit, 20 * SERVICE_MS);
    assert_in_range(limit_now(&limit), 40, 80);
    assert_int_equal(s.bad, 0);
}

static void takes_a_slower_server_for_what_it_is(void **state)
{
    struct limit limit;
    (void)state;
    limit_init(&limit, 8, 64);
    for (int i = 0; i < 4000; i++)
        good(&limit, 50, 64);
    assert_int_equal(limit_now(&limit), 64);
    for (int i = 0; i < 40000; i++) /* three times as slow, however few there are */
        good(&limit, 150, 64);
    assert_true(limit_now(&limit) > 32);
}

static void chance_is_no_waiting(void **state)
{
    struct rng rng = {9};
    struct limit limit;
    (void)state;
    limit_init(&limit, 4, 16);
    for (int i = 0; i < 20000; i++) {
        good(&limit, 10 + rng_below(&rng, 700), 16);
        assert_true(limit_now(&limit) >= 4);
    }
    assert_int_equal(limit_now(&limit), 16);
}

static void an_error_halves_once_a_round(void **state)
{
    struct limit limit;
    (void)state;
    limit_init(&limit, 16, 64);
    limit_bad(&limit, 4900, 5000);
    limit_bad(&limit, 4950, 5050); /* sent under the limit that is halved already */
    limit_bad(&limit, 5000, 5100);
    assert_int_equal(limit_now(&limit), 8);
    limit_bad(&limit, 5010, 5110);
    assert_int_equal(limit_now(&limit), 4);
    for (uint64_t i = 0; i < 10; i++)
        limit_bad(&limit, 10000 + i * 20, 10010 + i * 20);
    assert_int_equal(limit_now(&limit), 1);
    for (int i = 0; i < 8; i++)
        good(&limit, 10, 64);
    assert_int_equal(limit_now(&limit), 8); /* to half of where the trouble began it comes back at once */
    for (int i = 0; i < 400; i++)
        good(&limit, 10, 64);
    assert_in_range(limit_now(&limit), 12, 16); /* and near it goes on with care */
}

/* Trouble at a limit that it has grown to since is news: it is not so bold again. */
static void where_it_is_refused_is_learned_anew(void **state)
{
    struct limit limit;
    (void)state;
    limit_init(&limit, 32, 64);
    limit_bad(&limit, 4990, 5000);
    for (int i = 0; i < 60; i++)
        good(&limit, 10, 64);
    unsigned grown = limit_now(&limit);
    assert_in_range(grown, 17, 20);
    limit_bad(&limit, 5500, 5510);
    for (int i = 0; i < 500; i++)
        good(&limit, 10, 64);
    assert_in_range(limit_now(&limit), 3 * grown / 4, grown);
}

/* Near where it was refused one more takes fifty rounds, whether the limit is low or high. */
static void care_is_the_same_everywhere(void **state)
{
    (void)state;
    for (unsigned max = 4; max <= 200; max *= 7) {
        struct limit limit;
        limit_init(&limit, max, 1000);
        limit_bad(&limit, 10000, 10000);
        unsigned near = max - max / 4, answers = 0;
        while (limit_now(&limit) < near)
            good(&limit, 10, max);
        while (limit_now(&limit) == near) {
            good(&limit, 10, max);
            answers++;
        }
        print_message("from %u to %u: %u answers\n", near, near + 1, answers);
        assert_in_range(answers, near * 45, near * 55 + 25);
    }
}

/* Half a minute after the trouble it may be over. */
static void care_ends(void **state)
{
    struct limit limit;
    (void)state;
    limit_init(&limit, 32, 64);
    limit_bad(&limit, 4990, 5000);
    for (int i = 0; i < 300; i++)
        good(&limit, 10, 64);
    assert_in_range(limit_now(&limit), 24, 28);
    for (int i = 0; i < 1000; i++)
        limit_good(&limit, 40000, 40010, 64);
    assert_in_range(limit_now(&limit), 45, 64);
}

static void what_is_not_used_does_not_grow(void **state)
{
    struct limit limit;
    (void)state;
    limit_init(&limit, 8, 64);
    for (int i = 0; i < 1000; i++)
        good(&limit, 10, 1);
    assert_int_equal(limit_now(&limit), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_the_server_bears),
        cmocka_unit_test(is_there_soon),
        cmocka_unit_test(takes_a_slower_server_for_what_it_is),
        cmocka_unit_test(chance_is_no_waiting),
        cmocka_unit_test(an_error_halves_once_a_round),
        cmocka_unit_test(where_it_is_refused_is_learned_anew),
        cmocka_unit_test(care_is_the_same_everywhere),
        cmocka_unit_test(care_ends),
        cmocka_unit_test(what_is_not_used_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
