/* A spool in a folder of its own, whose owner is a list in memory. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "io/loop.h"
#include "io/plan_files.h"
#include "io/spool.h"
#include "model/settings.h"

#define RUNS_MAX 64
#define GOOD_PLAN                                                                             \
    "version: 1\nname: good\nserver: prod\ndefaults: {source: T, repository: R}\nclones:\n  " \
    "- {name: a}\n  - {name: b}\n"

struct spool_run {
    char id[ULID_LEN + 1], file[300], filed[320], plan[64], server[64];
    struct buf bytes;
    char hash[PLAN_FILES_HASH_LEN + 1];
    size_t n_items, n_csv;
    uid_t owner;
    struct spool_identity identity;
    int64_t accepted_ms;
};

struct spool_world {
    char root[64], directory[80];
    uv_loop_t loop;
    uv_timer_t timer;
    struct settings settings;
    struct server_settings servers[2];
    struct spool_allow allow[4];
    struct spool *spool;
    struct spool_run runs[RUNS_MAX];
    size_t n_runs, n_filed;
    int accept_error, file_error; /* given instead of storing */
    void (*on_accept)(struct spool_world *world, const struct spool_drop *drop);
    bool ready, closed;
    struct buf log;
};

static inline void spool_sink(enum log_level level, const char *line, const struct log_fields *fields,
                              void *data)
{
    struct spool_world *world = data;
    (void)fields;
    if (level <= LOG_LEVEL_WARNING)
        buf_printf(&world->log, "%s\n", line);
}

/* ---- the owner ---- */

static inline void spool_accept(const struct spool_drop *drop, char ret_run_id[ULID_LEN + 1],
                                spool_on_done *on_done, void *data, void *user)
{
    struct spool_world *world = user;
    if (world->on_accept != NULL)
        world->on_accept(world, drop);
    if (world->accept_error < 0) {
        on_done(world->accept_error, data);
        return;
    }
    assert_true(world->n_runs < RUNS_MAX);
    struct spool_run *run = &world->runs[world->n_runs++];
    *run = (struct spool_run){.bytes = BUF_INIT(1 << 20),
                              .n_items = drop->n_items,
                              .n_csv = drop->files->n_csv,
                              .owner = drop->owner,
                              .identity = drop->identity,
                              .accepted_ms = drop->accepted_ms};
    snprintf(run->id, sizeof(run->id), "01KB0000000000000000000%03zu", world->n_runs);
    snprintf(run->file, sizeof(run->file), "%s", drop->file);
    snprintf(run->plan, sizeof(run->plan), "%s", drop->plan);
    snprintf(run->server, sizeof(run->server), "%s", drop->server);
    snprintf(run->hash, sizeof(run->hash), "%s", drop->files->hash);
    assert_int_equal(buf_add(&run->bytes, buf_str(&drop->files->bytes), drop->files->bytes.len), 0);
    memcpy(ret_run_id, run->id, sizeof(run->id));
    on_done(0, data);
}

static inline void spool_file(const char *run_id, const char *filed, spool_on_done *on_done, void *data,
                              void *user)
{
    struct spool_world *world = user;
    for (size_t i = 0; i < world->n_runs && world->file_error == 0; i++)
        if (strcmp(world->runs[i].id, run_id) == 0) {
            snprintf(world->runs[i].filed, sizeof(world->runs[i].filed), "%s", filed);
            world->n_filed++;
        }
    on_done(world->file_error, data);
}

static inline void spool_is_ready(void *user)
{
    ((struct spool_world *)user)->ready = true;
}

static const struct spool_ops spool_world_ops = {spool_accept, spool_file, spool_is_ready};

/* ---- the world ---- */

static inline int spool_setup(void **state)
{
    static char prod[] = "prod", lab[] = "lab";
    struct spool_world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    snprintf(world->root, sizeof(world->root), "/tmp/test-spool-XXXXXX");
    assert_non_null(mkdtemp(world->root));
    snprintf(world->directory, sizeof(world->directory), "%s/spool", world->root);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    uv_timer_init(&world->loop, &world->timer);
    world->servers[0].name = prod;
    world->servers[1].name = lab;
    world->settings = (struct settings){.servers = world->servers,
                                        .n_servers = 2,
                                        .spool_directory = world->directory,
                                        .allow = world->allow,
                                        .plan_bytes = 64 * 1024,
                                        .plan_items = 1000};
    world->log = BUF_INIT(1 << 20);
    log_set_sink(spool_sink, world);
    *state = world;
    return 0;
}

static inline void spool_open(struct spool_world *world)
{
    struct buf error = BUF_INIT(4096);
    int r = spool_new(&world->loop, &world->settings, &spool_world_ops, world, &world->spool, &error);
    assert_string_equal(buf_str(&error), "");
    assert_int_equal(r, 0);
    buf_done(&error);
}

static inline void spool_on_timer(uv_timer_t *timer)
{
    (void)timer; /* only so that the loop wakes up */
}

/* Turns until it holds; fails after some time that no slow machine needs. */
#define TURN_UNTIL(world, condition)                                                  \
    do {                                                                              \
        uint64_t end_ = loop_now().mono_ms + 60000;                                   \
        uv_timer_start(&(world)->timer, spool_on_timer, 20, 20);                      \
        while (!(condition) && loop_now().mono_ms < end_)                             \
            uv_run(&(world)->loop, UV_RUN_ONCE);                                      \
        uv_timer_stop(&(world)->timer);                                               \
        if (!(condition))                                                             \
            fail_msg("not in time: %s; log: %s", #condition, buf_str(&(world)->log)); \
    } while (0)

static inline void turn_for(struct spool_world *world, uint64_t ms)
{
    uint64_t end = loop_now().mono_ms + ms;
    TURN_UNTIL(world, loop_now().mono_ms >= end);
}

static inline void spool_on_closed(void *data)
{
    ((struct spool_world *)data)->closed = true;
}

static inline void spool_shut(struct spool_world *world)
{
    if (world->spool == NULL)
        return;
    world->closed = false;
    spool_close(world->spool, spool_on_closed, world);
    TURN_UNTIL(world, world->closed);
    world->spool = NULL;
}

static inline void start(struct spool_world *world)
{
    world->ready = false;
    spool_open(world);
    for (size_t i = 0; i < world->n_runs; i++) {
        struct spool_run *run = &world->runs[i];
        struct spool_known known = {run->id, run->file, run->filed[0] != '\0' ? run->filed : NULL,
                                    run->identity, &run->bytes};
        assert_int_equal(spool_know(world->spool, &known), 0);
    }
    spool_start(world->spool);
    TURN_UNTIL(world, world->ready);
}

static inline void remove_tree(const char *path)
{
    char inner[600];
    struct stat st;
    if (lstat(path, &st) < 0)
        return;
    if (S_ISDIR(st.st_mode)) {
        DIR *dir = opendir(path);
        for (const struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL;
             entry = readdir(dir)) {
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
            remove_tree(inner);
        }
        if (dir != NULL)
            closedir(dir);
        rmdir(path);
    } else {
        unlink(path);
    }
}

static inline int spool_teardown(void **state)
{
    struct spool_world *world = *state;
    spool_shut(world);
    uv_close((uv_handle_t *)&world->timer, NULL);
    assert_int_equal(uv_run(&world->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    for (size_t i = 0; i < world->n_runs; i++)
        buf_done(&world->runs[i].bytes);
    log_set_sink(NULL, NULL);
    buf_done(&world->log);
    remove_tree(world->root);
    free(world);
    return 0;
}

/* ---- files ---- */

static inline const char *at(const struct spool_world *world, const char *name)
{
    static char paths[4][600];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", world->directory, name);
    return path;
}

static inline void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

/* As it should be done: written elsewhere, renamed in. */
static inline void drop(const struct spool_world *world, const char *name, const char *text)
{
    char aside[128];
    snprintf(aside, sizeof(aside), "%s/aside", world->root);
    put(aside, text);
    assert_int_equal(rename(aside, at(world, name)), 0);
}

static inline bool there(const struct spool_world *world, const char *name)
{
    struct stat st;
    return lstat(at(world, name), &st) == 0;
}

static inline char *content(const struct spool_world *world, const char *name)
{
    static char text[64 * 1024];
    FILE *file = fopen(at(world, name), "r");
    if (file == NULL)
        fail_msg("%s is not there; log: %s", name, buf_str(&world->log));
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[n] = '\0';
    return text;
}

/* How many names the folder has, but for those that begin with a dot. */
static inline size_t count_names(const struct spool_world *world, const char *folder)
{
    size_t n = 0;
    DIR *dir = opendir(at(world, folder));
    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

#define IN_SPOOL(test) cmocka_unit_test_setup_teardown(test, spool_setup, spool_teardown)
