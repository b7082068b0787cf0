/* Ended runs in done/ and failed/, whatever lies there and however often it is done. */
#include "spool_fixture.h"

#include <signal.h>

#define RUN_1 "01KB0000000000000000000001"
#define RUN_2 "01KB0000000000000000000002"

struct ended {
    struct spool_world *world;
    const char *id;
    int result_error;
    char result_path[600];
};

static int write_text(spool_write *write, void *sink, const char *text)
{
    return write(text, strlen(text), sink);
}

static int produce_result(spool_write *write, void *sink, void *user)
{
    const struct ended *ended = user;
    char text[128];
    snprintf(text, sizeof(text), "{\"version\":1,\"run\":\"%s\",\"plan\":\"p\"}\n", ended->id);
    int r = write_text(write, sink, text);
    return r < 0 ? r : ended->result_error;
}

static int produce_report(spool_write *write, void *sink, const char *result_path, void *user)
{
    struct ended *ended = user;
    snprintf(ended->result_path, sizeof(ended->result_path), "%s", result_path);
    return write_text(write, sink, ended->id);
}

/* Files the end; *filed goes from where the plan lay to where it lies. */
static int finish(struct spool_world *world, const char *id, const char *file, char filed[320], bool well)
{
    struct ended ended = {.world = world, .id = id};
    struct spool_end end = {world->directory, id, file, filed, well, produce_result, produce_report, &ended};
    struct buf error = BUF_INIT(4096);
    char *now = NULL;
    int r = spool_finish(&end, &now, &error);
    if (r == 0) {
        assert_string_equal(buf_str(&error), "");
        assert_non_null(strstr(ended.result_path, ".result.json"));
        snprintf(filed, 320, "%s", now);
    }
    free(now);
    buf_done(&error);
    return r;
}

static void accepted(struct spool_world *world, const char *name, const char *text, char filed[320])
{
    snprintf(filed, 320, "accepted/%s", name);
    put(at(world, filed), text);
}

static void assert_result(struct spool_world *world, const char *name, const char *id)
{
    assert_non_null(strstr(content(world, name), id));
}

static void a_run_ends_where_it_belongs(void **state)
{
    struct spool_world *world = *state;
    char filed[320];
    struct stat st;
    start(world);
    accepted(world, "onboard.yaml", "one", filed);
    assert_int_equal(finish(world, RUN_1, "onboard.yaml", filed, true), 0);
    assert_string_equal(filed, "done/onboard.yaml");
    assert_string_equal(content(world, "done/onboard.yaml"), "one");
    assert_result(world, "done/onboard.result.json", RUN_1);
    assert_string_equal(content(world, "done/onboard.report.txt"), RUN_1);
    assert_int_equal(count_names(world, "accepted"), 0);
    assert_int_equal(stat(at(world, "done/onboard.result.json"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    /* a second one of the name, and one with the other ending */
    accepted(world, "onboard.yaml", "two", filed);
    assert_int_equal(finish(world, RUN_2, "onboard.yaml", filed, true), 0);
    assert_string_equal(filed, "done/onboard." RUN_2 ".yaml");
    assert_result(world, "done/onboard." RUN_2 ".result.json", RUN_2);
    assert_result(world, "done/onboard.result.json", RUN_1);
    accepted(world, "onboard.yml", "three", filed);
    assert_int_equal(finish(world, "01KB0000000000000000000003", "onboard.yml", filed, false), 0);
    assert_string_equal(filed, "failed/onboard.yml");
}

static void an_end_may_be_repeated(void **state)
{
    struct spool_world *world = *state;
    char filed[320], again[320];
    start(world);
    accepted(world, "a.yaml", "one", filed);
    snprintf(again, sizeof(again), "%s", filed);
    assert_int_equal(finish(world, RUN_1, "a.yaml", filed, true), 0);
    /* the crash came before the new place was stored */
    assert_int_equal(finish(world, RUN_1, "a.yaml", again, true), 0);
    assert_string_equal(again, "done/a.yaml");
    assert_int_equal(count_names(world, "done"), 3);
    /* retry: failed after all, then well again */
    assert_int_equal(finish(world, RUN_1, "a.yaml", filed, false), 0);
    assert_string_equal(filed, "failed/a.yaml");
    assert_int_equal(count_names(world, "done"), 0);
    assert_int_equal(count_names(world, "failed"), 3);
    accepted(world, "a.yaml", "two", again);
    assert_int_equal(finish(world, RUN_2, "a.yaml", again, true), 0);
    assert_int_equal(finish(world, RUN_1, "a.yaml", filed, true), 0);
    assert_string_equal(filed, "done/a." RUN_1 ".yaml");
    assert_string_equal(content(world, filed), "one");
    assert_int_equal(count_names(world, "failed"), 0);
    assert_int_equal(count_names(world, "done"), 6);
    assert_result(world, "done/a.result.json", RUN_2);
}

static void a_plan_that_was_removed_is_not_missed(void **state)
{
    struct spool_world *world = *state;
    char filed[320] = "accepted/gone.yaml";
    start(world);
    assert_int_equal(finish(world, RUN_1, "gone.yaml", filed, true), 0);
    assert_string_equal(filed, "done/gone.yaml");
    assert_result(world, "done/gone.result.json", RUN_1);
}

static void an_end_that_cannot_be_written_changes_nothing(void **state)
{
    struct spool_world *world = *state;
    char filed[320];
    start(world);
    accepted(world, "a.yaml", "one", filed);
    struct ended ended = {.world = world, .id = RUN_1, .result_error = -EIO};
    struct spool_end end = {world->directory, RUN_1,          "a.yaml", filed, true,
                            produce_result,   produce_report, &ended};
    struct buf error = BUF_INIT(4096);
    char *now = NULL;
    assert_int_equal(spool_finish(&end, &now, &error), -EIO);
    assert_null(now);
    assert_non_null(strstr(buf_str(&error), "done/a.result.json cannot be written"));
    assert_string_equal(content(world, filed), "one");
    assert_int_equal(count_names(world, "done"), 0);
    spool_shut(world);
    remove_tree(world->directory);
    buf_reset(&error);
    assert_int_equal(spool_finish(&end, &now, &error), -ENOENT);
    assert_non_null(strstr(buf_str(&error), "No such file or directory"));
    buf_done(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SPOOL(a_run_ends_where_it_belongs),
        IN_SPOOL(an_end_may_be_repeated),
        IN_SPOOL(a_plan_that_was_removed_is_not_missed),
        IN_SPOOL(an_end_that_cannot_be_written_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
