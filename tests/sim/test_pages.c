/* Pages of jobs that shift while the look that is to prove absence reads them: jobs that are made or deleted
 * meanwhile move the clone in doubt from a page that is still to be read to one that was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/parts.h"
#include "world.h"

#define PAGE 4

/* The clone of the only item, and others around it; its own comes to light in that look alone. */
struct list {
    struct world *world;
    struct em *em;
    const struct sweep *sweep;
    size_t victim, at; /* the next one to be deleted; the clone */
};

static const struct item *first(const struct list *list)
{
    return &list->world->runs[0].rows[0];
}

static void add_others(struct list *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        em_add_job(list->em, "other", "Backup", 0);
}

/* So many jobs are listed before the clone. */
static unsigned before(const struct list *list)
{
    const struct em *em = list->em;
    size_t from = em->newest_first ? list->at + 1 : 0, to = em->newest_first ? em->n_jobs : list->at;
    unsigned n = 0;
    for (size_t i = from; i < to; i++)
        n += job_visible(em, &em->jobs[i]);
    return n;
}

/* The first item's request is lost; the first clone's job stands behind `n` others, and `more` follow it. */
static struct list listed(bool newest_first, bool links, unsigned n, unsigned more)
{
    struct list list = {.world = scene_quiet(1)};
    struct world *world = list.world;
    struct em *em = list.em = &world->ems[0];
    em->page_size = PAGE;
    em->newest_first = newest_first;
    em->links = links;
    em->settings.in_flight_initial = em->settings.in_flight_max = 1;
    world->scripts[0] =
        (struct sim_script){.kind = REQUEST_CLONE, .spoil = spoil_by_name("request-lost"), .count = 1};
    scene_begin(world);
    while (!world->runs[0].stored[0] || first(&list)->state != ITEM_IN_DOUBT)
        assert_true(scene_step(world));
    list.sweep = &world->engine->servers->sweep;
    list.victim = em->n_jobs;
    for (list.at = em->n_jobs; !newest_first && before(&list) < n; list.at = em->n_jobs)
        add_others(&list, 1);
    struct sim_job *job = em_add_job(em, "Clone A 0", "Backup", 0);
    snprintf(job->description, sizeof(job->description), "[jobclone:%s/0]", world->runs[0].id);
    job->made_by_clone = true;
    if (newest_first)
        list.victim = em->n_jobs;
    add_others(&list, newest_first ? n : more);
    return list;
}

static void delete_one(struct list *list)
{
    list->em->jobs[list->victim++].deleted = true;
}

/* The page that is under way in a look that is to prove; 0: none is. */
static unsigned page_under_way(const struct list *list)
{
    for (const struct exchange *e = list->world->engine->servers->exchanges; e; e = e->next)
        if (e->kind == EXCHANGE_SWEEP && list->sweep->active && list->sweep->kind == SWEEP_PROVE)
            return e->number;
    return 0;
}

/* Lets the doubt end, with `shift` before each step. */
static void ends_well(struct list *list, void (*shift)(struct list *list, unsigned page, unsigned *moved),
                      unsigned moves)
{
    struct world *world = list->world;
    unsigned moved = 0;
    while (first(list)->state == ITEM_IN_DOUBT && !world->failure[0]) {
        list->em->jobs[list->at].deleted = !(list->sweep->active && list->sweep->kind == SWEEP_PROVE);
        unsigned page = page_under_way(list);
        if (page)
            shift(list, page, &moved);
        scene_step(world);
    }
    assert_string_equal(world->failure, "");
    assert_int_equal(moved, moves);
    assert_int_equal(first(list)->state, ITEM_SUCCEEDED);
    assert_int_equal(world->sends, 1);
    scene_free(world);
}

/* In each pass somebody makes some just before the page with the clone is read. */
static void to_the_next_page(struct list *list, unsigned page, unsigned *moved)
{
    while (*moved < list->sweep->pass && before(list) / PAGE + 1 == page) {
        add_others(list, 1);
        *moved += before(list) % PAGE == 0;
    }
}

static void test_jobs_are_made(void **state)
{
    (void)state;
    struct list list = listed(true, false, 7, 0);
    ends_well(&list, to_the_next_page, 2);
}

/* The same with jobs that are deleted; others are made, so that there are as many pages as before. */
static void to_the_page_before(struct list *list, unsigned page, unsigned *moved)
{
    while (*moved < list->sweep->pass && before(list) / PAGE + 1 == page) {
        delete_one(list);
        add_others(list, 1);
        *moved += before(list) % PAGE == PAGE - 1;
    }
}

static void test_jobs_are_deleted(void **state)
{
    (void)state;
    struct list list = listed(false, false, 24, 9);
    ends_well(&list, to_the_page_before, 2);
}

/* How many pages there are is not told: they are followed upwards, and then read downwards. */
static void test_links_alone(void **state)
{
    (void)state;
    struct list list = listed(false, true, 24, 9);
    ends_well(&list, to_the_page_before, 2);
}

/* The first page was read to learn how many there are; by the time of the second one, the last of the pass
 * downwards, the clone has moved to it. */
static void about_the_first_page(struct list *list, unsigned page, unsigned *moved)
{
    bool up = list->sweep->pass == 2;
    if ((*moved == 0 && !up && page == 3) || (*moved == 2 && up && page == 2)) {
        delete_one(list);
        ++*moved;
    } else if (*moved == 1 && up && page == 1) {
        add_others(list, 1);
        ++*moved;
    }
}

static void test_first_page(void **state)
{
    (void)state;
    struct list list = listed(true, false, PAGE, 0);
    ends_well(&list, about_the_first_page, 3);
}

static void drop(enum log_level level, const char *line, const struct log_fields *fields, void *data)
{
    (void)level, (void)line, (void)fields, (void)data;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_are_made),
        cmocka_unit_test(test_jobs_are_deleted),
        cmocka_unit_test(test_links_alone),
        cmocka_unit_test(test_first_page),
    };
    log_set_sink(drop, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
