/* The number of unfinished tasks that a backup server bears best is found: a model server that runs so many
 * at once, and on which more than twice as many slow each other; its tasks are looked at every tenth of a
 * second or so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/crowd.h"
#include "places.h"

#define TASKS_MAX 4000
#define POLL_MS 100

struct server {
    unsigned n_places; /* 0: all run side by side */
    bool crowds;
    uint64_t task_ms, spread_ms; /* a task takes task_ms, and up to spread_ms more */
    struct rng rng;
    uint64_t now_ms, seen_ms;
    unsigned fixed; /* bound instead of the crowd's; 0: none */
    struct {
        uint64_t accepted_ms, end_ms;
    } tasks[TASKS_MAX];
    unsigned n, ended, low;
    unsigned left; /* tasks to be accepted, in all */
    struct places places;
};

static void accept_one(struct server *s, struct crowd *crowd)
{
    uint64_t takes = s->task_ms + rng_below(&s->rng, s->spread_ms + 1), end = s->now_ms + takes;
    if (s->n_places) {
        takes = places_crowded(&s->places, s->crowds ? 2 * s->n_places : 0, takes);
        places_take(&s->places, s->n_places, UINT32_MAX, s->now_ms, takes, &end);
    }
    s->tasks[s->n].accepted_ms = s->now_ms;
    s->tasks[s->n++].end_ms = end;
    s->left--;
    crowd_accepted(crowd, s->now_ms, s->n);
}

static void look(struct server *s, struct crowd *crowd)
{
    for (unsigned i = 0; i < s->n;) {
        if (s->tasks[i].end_ms > s->now_ms) {
            i++;
            continue;
        }
        crowd_ended(crowd, s->tasks[i].accepted_ms, s->seen_ms, s->now_ms, s->n);
        if (s->n_places)
            places_leave(&s->places);
        s->tasks[i] = s->tasks[--s->n];
        s->ended++;
    }
    s->seen_ms = s->now_ms;
}

/* Up to two requests are accepted every 4 ms. */
static void run(struct server *s, struct crowd *crowd, uint64_t for_ms)
{
    for (uint64_t end = s->now_ms + for_ms; s->now_ms < end; s->now_ms += 4) {
        if (s->now_ms - s->seen_ms >= POLL_MS)
            look(s, crowd);
        unsigned bound = s->fixed ? s->fixed : crowd_now(crowd);
        for (int i = 0; i < 2 && s->n < bound && s->left; i++)
            accept_one(s, crowd);
        s->low = crowd_now(crowd) < s->low ? crowd_now(crowd) : s->low;
    }
}

static struct server *server_new(unsigned places, bool crowds, uint64_t task_ms, uint64_t spread_ms)
{
    struct server *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->n_places = places;
    s->crowds = crowds;
    s->task_ms = task_ms;
    s->spread_ms = spread_ms;
    s->rng.state = places * 7 + 1;
    s->now_ms = 1000;
    s->low = s->left = UINT32_MAX;
    return s;
}

/* Ends within so long, after so long. */
static unsigned measure(struct server *s, struct crowd *crowd, uint64_t skip_ms, uint64_t for_ms)
{
    run(s, crowd, skip_ms);
    unsigned before = s->ended;
    run(s, crowd, for_ms);
    return s->ended - before;
}

#define MINUTES(n) ((uint64_t)(n)*60000)

static unsigned fixed_ends(unsigned places, bool crowds, unsigned bound, uint64_t for_ms)
{
    struct crowd crowd;
    struct server *s = server_new(places, crowds, 800, 400);
    s->fixed = bound;
    crowd_init(&crowd, 200);
    unsigned ends = measure(s, &crowd, MINUTES(1), for_ms);
    free(s);
    return ends;
}

static unsigned best_fixed(unsigned places, bool crowds, uint64_t for_ms)
{
    unsigned best = 0;
    for (unsigned quarters = 4; quarters <= 8; quarters++) {
        unsigned ends = fixed_ends(places, crowds, places * quarters / 4 + 1, for_ms);
        best = ends > best ? ends : best;
    }
    return best;
}

/* In the end within a tenth of the best fixed bound; where many slow each other, from long queues on too. */
static void finds_what_the_server_bears(void **state)
{
    static const unsigned places[] = {1, 2, 5, 8, 20, 50};
    (void)state;
    for (size_t i = 0; i < 12; i++) {
        unsigned k = places[i / 2], max = i % 2 && k < 5 ? 40 : 200;
        bool crowds = i % 2;
        struct crowd crowd;
        struct server *s = server_new(k, crowds, 800, 400);
        crowd_init(&crowd, max);
        unsigned ends = measure(s, &crowd, MINUTES(30), MINUTES(20));
        unsigned best = best_fixed(k, crowds, MINUTES(20));
        print_message("%u places%s: a bound of %u, %u ends in 20 minutes; at best %u, under %u: %u\n", k,
                      crowds ? ", crowded" : "", crowd_now(&crowd), ends, best, max,
                      fixed_ends(k, crowds, max, MINUTES(20)));
        assert_true(ends * 10 >= best * 9);
        assert_true(crowd_now(&crowd) <= 3 * k + 2);
        free(s);
    }
}

/* Tasks that do not wait for each other all run at once, however differently long they take. */
static void leaves_alone_what_runs_side_by_side(void **state)
{
    static const struct {
        uint64_t task_ms, spread_ms;
        unsigned max;
    } cases[] = {{1000, 0, 200}, {1000, 0, 2000},  {500, 1000, 200},
                 {20, 30, 200},  {100, 3000, 200}, {60000, 60000, 1000}};
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct crowd crowd;
        struct server *s = server_new(0, false, cases[i].task_ms, cases[i].spread_ms);
        crowd_init(&crowd, cases[i].max);
        run(s, &crowd, MINUTES(20));
        print_message("%u to %u ms: never below %u of %u, %u ends\n", (unsigned)cases[i].task_ms,
                      (unsigned)(cases[i].task_ms + cases[i].spread_ms), s->low, cases[i].max, s->ended);
        assert_int_equal(s->low, cases[i].max);
        free(s);
    }
}

static void all_at_once(void **state)
{
    struct crowd crowd;
    struct server *s = server_new(0, false, 1000, 0);
    (void)state;
    s->left = 2000;
    crowd_init(&crowd, 2000);
    run(s, &crowd, MINUTES(1));
    assert_int_equal(s->ended, 2000);
    assert_int_equal(s->low, 2000);
    free(s);
}

/* It takes three times as long by itself: a trial shows that fewer are worse. */
static void takes_a_slower_server_for_what_it_is(void **state)
{
    struct crowd crowd;
    struct server *s = server_new(0, false, 1000, 200);
    (void)state;
    crowd_init(&crowd, 200);
    s->left = 40;
    run(s, &crowd, MINUTES(1));
    s->left = UINT32_MAX;
    s->task_ms = 3000;
    run(s, &crowd, MINUTES(2));
    print_message("at least %u\n", s->low);
    assert_in_range(s->low, 1, 199); /* it was tried */
    assert_int_equal(crowd_now(&crowd), 200);
    s->low = 200;
    run(s, &crowd, MINUTES(30));
    assert_int_equal(s->low, 200);
    free(s);
}

/* A bound that was found is left again when the server bears more. */
static void follows_a_server_that_changes(void **state)
{
    struct crowd crowd;
    struct server *s = server_new(5, true, 800, 400);
    (void)state;
    crowd_init(&crowd, 200);
    run(s, &crowd, MINUTES(30));
    assert_in_range(crowd_now(&crowd), 4, 12);
    s->n_places = 20;
    run(s, &crowd, MINUTES(30));
    print_message("%u with 20 places\n", crowd_now(&crowd));
    assert_in_range(crowd_now(&crowd), 17, 60);
    s->n_places = 5;
    run(s, &crowd, MINUTES(60));
    print_message("%u with 5 places again\n", crowd_now(&crowd));
    assert_in_range(crowd_now(&crowd), 4, 15);
    free(s);
}

/* Where the bound is not what holds it back, nothing is concluded. */
static void what_is_not_used_says_nothing(void **state)
{
    struct crowd crowd;
    struct server *s = server_new(5, false, 800, 400);
    (void)state;
    crowd_init(&crowd, 200);
    run(s, &crowd, MINUTES(20));
    unsigned found = crowd_now(&crowd);
    s->left = 0;
    for (int i = 0; i < 5000; i++) { /* now and then one */
        s->left = 1;
        run(s, &crowd, 2000);
    }
    assert_int_equal(crowd_now(&crowd), found);
    free(s);
}

static void settings_rule(void **state)
{
    struct crowd crowd;
    (void)state;
    crowd_init(&crowd, 200);
    crowd_set_max(&crowd, 30);
    assert_int_equal(crowd_now(&crowd), 30);
    crowd_set_max(&crowd, 300);
    assert_int_equal(crowd_now(&crowd), 300);
    struct server *s = server_new(5, false, 800, 400);
    run(s, &crowd, MINUTES(20));
    unsigned found = crowd_now(&crowd);
    assert_in_range(found, 4, 15);
    crowd_set_max(&crowd, 400);
    assert_int_equal(crowd_now(&crowd), found);
    crowd_set_max(&crowd, 2);
    assert_int_equal(crowd_now(&crowd), 2);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_the_server_bears),
        cmocka_unit_test(leaves_alone_what_runs_side_by_side),
        cmocka_unit_test(all_at_once),
        cmocka_unit_test(takes_a_slower_server_for_what_it_is),
        cmocka_unit_test(follows_a_server_that_changes),
        cmocka_unit_test(what_is_not_used_says_nothing),
        cmocka_unit_test(settings_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
