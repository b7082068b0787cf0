/* The spool when things go wrong: who may not, no room, a folder that goes and comes back, files that
 * are changed or replaced while they are taken. */
#include "spool_fixture.h"

static bool logged(const struct spool_world *world, const char *text)
{
    return strstr(buf_str(&world->log), text) != NULL;
}

static void waits_rejected(struct spool_world *world, const char *name, const char *reason)
{
    char errors[64];
    snprintf(errors, sizeof(errors), "rejected/%.*s.errors.txt", (int)strcspn(name, "."), name);
    TURN_UNTIL(world, there(world, errors) && !there(world, name));
    if (strstr(content(world, errors), reason) == NULL)
        fail_msg("%s: %s", errors, content(world, errors));
}

static void rules_decide_by_the_owner(void **state)
{
    struct spool_world *world = *state;
    static char root[] = "root", nobody[] = "nobody", nosuch[] = "no-such-user", prod[] = "prod", t[] = "T",
                urn[] = "urn:veeam:Job:0A837355-2fe0-4297-9a08-84052c58cef4";
    static char *servers[] = {prod, NULL}, *sources[] = {t, urn, NULL};
    if (getuid() != 0)
        skip(); /* only root can give files away */
    world->settings.allow_given = true;
    world->settings.n_allow = 3;
    world->allow[0] = (struct spool_allow){.user = nosuch};
    world->allow[1] =
        (struct spool_allow){.group = nobody, .sources = sources, .servers = servers, .items = 2};
    world->allow[2] = (struct spool_allow){.user = root};
    struct stat st;
    start(world);
    drop(world, "mine.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 1);
    /* there is no group of that name on Debian: its entry fits nobody */
    char aside[128];
    snprintf(aside, sizeof(aside), "%s/aside", world->root);
    put(aside, GOOD_PLAN);
    assert_int_equal(chown(aside, 4711, 4712), 0);
    assert_int_equal(rename(aside, at(world, "strange.yaml")), 0);
    waits_rejected(world, "strange.yaml", "neither its owner (uid 4711) nor its group (gid 4712)");
    static char group[] = "nogroup";
    world->allow[1].group = group;
    assert_int_equal(spool_set_settings(world->spool, &world->settings), 0);
    const char *const plans[][3] = {
        {"server.yaml", "server: lab", "server \"lab\" is not allowed for group nogroup"},
        {"items.yaml", "server: prod", "3 clones are more than the 2"},
        {"source.yaml", "server: prod", "source.yaml:7:5: source \"U\" is not allowed for group nogroup"},
        {"id.yaml", "server: prod", "source \"1a837355-2fe0-4297-9a08-84052c58cef4\" is not allowed"}};
    const char *const clones[] = {"  - {name: a, source: T}\n",
                                  "  - {name: a}\n  - {name: b}\n  - {name: c}\n",
                                  "  - {name: a}\n  - {name: b, source: U}\n",
                                  "  - {name: a, source: {id: 1a837355-2fe0-4297-9a08-84052c58cef4}}\n"};
    for (size_t i = 0; i < 4; i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "version: 1\nname: n\n%s\ndefaults: {source: T, repository: R}\nclones:\n%s", plans[i][1],
                 clones[i]);
        put(aside, text);
        assert_int_equal(chown(aside, 0, 65534), 0); /* the first entry that fits decides: the group's */
        assert_int_equal(rename(aside, at(world, plans[i][0])), 0);
        waits_rejected(world, plans[i][0], plans[i][2]);
    }
    put(aside, "version: 1\nname: n\nserver: prod\ndefaults: {source: T, repository: R}\nclones:\n"
               "  - {name: a}\n  - {name: b, source: {id: 0a837355-2fe0-4297-9a08-84052c58cef4}}\n");
    assert_int_equal(chown(aside, 4711, 65534), 0);
    assert_int_equal(rename(aside, at(world, "fine.yaml")), 0);
    TURN_UNTIL(world, world->n_filed == 2);
    assert_int_equal(world->runs[1].owner, 4711);
    assert_int_equal(stat(at(world, "accepted/fine.yaml"), &st), 0);
    assert_int_equal(st.st_uid, geteuid()); /* a new file, with the bytes that were parsed */
}

static void what_cannot_be_stored_is_tried_again(void **state)
{
    struct spool_world *world = *state;
    start(world);
    world->accept_error = -ENOSPC;
    drop(world, "a.yaml", GOOD_PLAN);
    TURN_UNTIL(world, logged(world, "a.yaml cannot be taken: No space left on device; tried again"));
    assert_true(there(world, "a.yaml"));
    size_t len = world->log.len;
    turn_for(world, 3000); /* tried again, but not told of again */
    assert_int_equal(world->log.len, len);
    assert_int_equal(world->n_runs, 0);
    world->accept_error = 0;
    world->file_error = -ENOSPC;
    TURN_UNTIL(world, world->n_runs == 1 && there(world, "accepted/a.yaml"));
    turn_for(world, 500);
    assert_int_equal(world->n_filed, 0);
    drop(world, "b.yaml", GOOD_PLAN); /* nothing new meanwhile */
    turn_for(world, 500);
    assert_true(there(world, "b.yaml"));
    world->file_error = 0;
    TURN_UNTIL(world, world->n_filed == 2);
    assert_int_equal(world->n_runs, 2);
    assert_string_equal(world->runs[0].filed, "accepted/a.yaml");
}

/* The store has room, the spool has none. */
static void a_full_disk_is_survived(void **state)
{
    struct spool_world *world = *state;
    struct rlimit before, none;
    start(world);
    drop(world, "good.yaml", GOOD_PLAN);
    drop(world, "bad.yaml", "bad");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    TURN_UNTIL(world, logged(world, "cannot be taken: File too large"));
    turn_for(world, 500);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(there(world, "bad.yaml"));
    assert_int_equal(world->n_filed, 0);
    assert_int_equal(count_names(world, "accepted"), 0);
    TURN_UNTIL(world, world->n_filed == 1 && !there(world, "bad.yaml"));
    assert_int_equal(world->n_runs, 1);
    assert_string_equal(content(world, "accepted/good.yaml"), GOOD_PLAN);
    assert_string_equal(content(world, "rejected/bad.yaml"), "bad");
}

static void a_folder_that_goes_is_awaited(void **state)
{
    struct spool_world *world = *state;
    char away[128];
    start(world);
    snprintf(away, sizeof(away), "%s/away", world->root);
    assert_int_equal(rename(world->directory, away), 0);
    TURN_UNTIL(world, logged(world, "nothing is taken until it is there again"));
    size_t len = world->log.len;
    turn_for(world, 300);
    assert_int_equal(mkdir(world->directory, 0755), 0);
    put(at(world, "a.yaml"), GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 1);
    assert_true(there(world, "accepted/a.yaml"));
    assert_int_equal(world->log.len, len); /* the return is no warning */
    /* one of the folders in it */
    assert_int_equal(unlink(at(world, "accepted/a.yaml")), 0);
    assert_int_equal(rmdir(at(world, "accepted")), 0);
    drop(world, "b.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 2);
    assert_true(there(world, "accepted/b.yaml"));
    remove_tree(away);
}

/* What the next three do while the plan is being stored. */
static void replace_it(struct spool_world *world, const struct spool_drop *dropped)
{
    (void)dropped;
    world->on_accept = NULL;
    drop(world, "a.yaml",
         "version: 1\nname: second\nserver: prod\nclones: [{name: b, source: T, repository: R}]\n");
}

static void a_newer_file_of_the_name_is_another_run(void **state)
{
    struct spool_world *world = *state;
    start(world);
    world->on_accept = replace_it;
    drop(world, "a.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 2);
    assert_string_equal(world->runs[0].plan, "good");
    assert_string_equal(world->runs[1].plan, "second");
    assert_string_equal(content(world, "accepted/a.yaml"), GOOD_PLAN);
    assert_int_equal(count_names(world, ""), 4);
}

static void replace_by_link(struct spool_world *world, const struct spool_drop *dropped)
{
    (void)dropped;
    world->on_accept = NULL;
    assert_int_equal(unlink(at(world, "a.yaml")), 0);
    assert_int_equal(symlink("/etc/passwd", at(world, "a.yaml")), 0);
}

static void a_link_put_in_its_place_stays(void **state)
{
    struct spool_world *world = *state;
    start(world);
    world->on_accept = replace_by_link;
    drop(world, "a.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 1);
    TURN_UNTIL(world, there(world, "rejected/a.errors.txt"));
    assert_true(there(world, "a.yaml"));
    assert_string_equal(content(world, "accepted/a.yaml"), GOOD_PLAN);
}

static void write_more(struct spool_world *world, const struct spool_drop *dropped)
{
    (void)dropped;
    world->on_accept = NULL;
    int fd = open(at(world, "a.yaml"), O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "  - {name: c}\n", 14), 14);
    close(fd);
}

static void a_file_written_to_again_is_another_run(void **state)
{
    struct spool_world *world = *state;
    start(world);
    world->on_accept = write_more;
    drop(world, "a.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 2);
    assert_int_equal(world->runs[0].n_items, 2);
    assert_int_equal(world->runs[1].n_items, 3);
}

static void remove_it(struct spool_world *world, const struct spool_drop *dropped)
{
    (void)dropped;
    assert_int_equal(unlink(at(world, "a.yaml")), 0);
}

static void a_file_that_vanishes_is_no_trouble(void **state)
{
    struct spool_world *world = *state;
    start(world);
    for (unsigned i = 0; i < 50; i++) { /* before it is read, mostly */
        char name[32];
        snprintf(name, sizeof(name), "v%u.yaml", i);
        drop(world, name, "never read");
        assert_int_equal(unlink(at(world, name)), 0);
    }
    turn_for(world, 300);
    world->on_accept = remove_it; /* once it is accepted it runs */
    drop(world, "a.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_filed == 1);
    assert_string_equal(content(world, "accepted/a.yaml"), GOOD_PLAN);
    assert_string_equal(buf_str(&world->log), "");
}

/* As an earlier process may have left it. */
static void unfiled_runs_are_filed_first(void **state)
{
    struct spool_world *world = *state;
    start(world);
    world->file_error = -EIO;
    drop(world, "a.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_runs == 1 && there(world, "accepted/a.yaml") && !there(world, "a.yaml"));
    spool_shut(world);
    world->file_error = 0;
    /* a copy of the same bytes is another drop */
    put(at(world, "a.yaml"), GOOD_PLAN);
    start(world);
    assert_int_equal(world->n_filed, 1);
    assert_string_equal(world->runs[0].filed, "accepted/a.yaml");
    TURN_UNTIL(world, world->n_filed == 2);
    assert_string_equal(world->runs[1].filed, "accepted/a.01KB0000000000000000000002.yaml");
}

/* systemd would end a daemon that is not ready in time, again and again until there is room. */
static void ready_though_nothing_can_be_filed(void **state)
{
    struct spool_world *world = *state;
    start(world);
    world->file_error = -ENOSPC;
    drop(world, "a.yaml", GOOD_PLAN);
    TURN_UNTIL(world, world->n_runs == 1 && there(world, "accepted/a.yaml") && !there(world, "a.yaml"));
    spool_shut(world);
    start(world);
    assert_int_equal(world->n_filed, 0);
    world->file_error = 0;
    TURN_UNTIL(world, world->n_filed == 1);
    assert_int_equal(world->n_runs, 1);
}

static void what_was_on_its_way_comes_back(void **state)
{
    struct spool_world *world = *state;
    start(world);
    spool_shut(world);
    put(at(world, ".taking/01KB0000000000000000000009.c.yaml"), GOOD_PLAN);
    put(at(world, "accepted/.01KB0000000000000000000009-0.tmp"), "half");
    start(world);
    TURN_UNTIL(world, world->n_filed == 1);
    assert_string_equal(world->runs[0].file, "c.yaml");
    assert_false(there(world, "accepted/.01KB0000000000000000000009-0.tmp"));
}

/* As a daemon that is not root. */
static void what_is_not_readable_waits_until_it_is(void **state)
{
    struct spool_world *world = *state;
    struct buf error = BUF_INIT(4096);
    if (getuid() != 0)
        skip(); /* only root can be somebody else */
    assert_int_equal(mkdir(world->directory, 03770), 0);
    assert_int_equal(chmod(world->directory, 03777), 0);
    assert_int_equal(chmod(world->root, 0755), 0);
    assert_int_equal(seteuid(65534), 0);
    int r = spool_new(&world->loop, &world->settings, &spool_world_ops, world, &world->spool, &error);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(r, -EPERM);
    assert_non_null(strstr(buf_str(&error), "it belongs to another user"));
    buf_done(&error);
    assert_int_equal(chown(world->directory, 65534, 65534), 0);
    put(at(world, ".aside"), GOOD_PLAN);
    assert_int_equal(chmod(at(world, ".aside"), 0600), 0);
    assert_int_equal(seteuid(65534), 0);
    start(world);
    assert_int_equal(rename(at(world, ".aside"), at(world, "secret.yaml")), 0);
    TURN_UNTIL(world,
               logged(world, "secret.yaml is left untouched: it cannot be read: permission is denied"));
    assert_non_null(strstr(content(world, "rejected/secret.errors.txt"), "chmod g+r"));
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(at(world, "secret.yaml"), 0644), 0);
    assert_int_equal(seteuid(65534), 0);
    TURN_UNTIL(world, world->n_filed == 1);
    assert_int_equal(world->runs[0].owner, 0);
    assert_false(there(world, "rejected/secret.errors.txt"));
    spool_shut(world);
    assert_int_equal(seteuid(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SPOOL(rules_decide_by_the_owner),
        IN_SPOOL(what_cannot_be_stored_is_tried_again),
        IN_SPOOL(a_full_disk_is_survived),
        IN_SPOOL(a_folder_that_goes_is_awaited),
        IN_SPOOL(a_newer_file_of_the_name_is_another_run),
        IN_SPOOL(a_link_put_in_its_place_stays),
        IN_SPOOL(a_file_written_to_again_is_another_run),
        IN_SPOOL(a_file_that_vanishes_is_no_trouble),
        IN_SPOOL(unfiled_runs_are_filed_first),
        IN_SPOOL(ready_though_nothing_can_be_filed),
        IN_SPOOL(what_was_on_its_way_comes_back),
        IN_SPOOL(what_is_not_readable_waits_until_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
