/* Opening, locking and the engine's batches. Happy path of a batch: it becomes a job
 * of the queue (store_jobs.h), which writes it in one transaction (synced), and
 * on_done follows on the loop thread. When a statement fails everything is taken
 * back and on_done gets the error; the connection stays good, so the same batch
 * can be tried again when there is room. */
#include "io/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "io/loop.h"
#include "io/store_internal.h"
#include "io/store_rows.h"
#include "io/store_schema.h"
#include "model/item.h"

int store_begin(struct store_sqlite *store)
{
    return store_exec(store->db, "BEGIN IMMEDIATE");
}

int store_end(struct store_sqlite *store, int error)
{
    if (error == 0)
        error = store_exec(store->db, "COMMIT");
    /* SQLite has already rolled back after some errors, and not after others */
    if (!sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return error;
}

static int write_batch(struct store_sqlite *store, void *data)
{
    (void)data;
    int64_t now = loop_now().wall_ms;
    int r = 0;
    for (size_t i = 0; i < store->n_changes && r == 0; i++) {
        const struct store_change *change = &store->changes[i];
        r = change->item != NULL ? store_write_item(store, change, now)
                                 : store_write_run(store, change->run_id, change->run_state, change->run_wish,
                                                   change->started_ms, change->finished_ms);
    }
    return r;
}

static void on_committed(int error, void *data)
{
    struct store_sqlite *store = data;
    store->committing = false;
    store->suspect = error < 0;
    store->changes = NULL;
    store->on_done(error, store->data); /* may begin the next batch */
}

static void commit(struct store *port, const struct store_change *changes, size_t n,
                   void (*on_done)(int error, void *data), void *data)
{
    struct store_sqlite *store = (struct store_sqlite *)port;
    /* Two batches under way, and the order of the engine's values would no longer be its own: a
     * broken caller, and a wrong clone is worse than a restart. */
    if (store->committing)
        abort();
    store->committing = true;
    store->changes = changes;
    store->n_changes = n;
    store->on_done = on_done;
    store->data = data;
    store->commit_job =
        (struct store_job){.write = true, .work = write_batch, .on_done = on_committed, .data = store};
    store_jobs_add(store, &store->commit_job);
}

struct store *store_sqlite_port(struct store_sqlite *store)
{
    return &store->port;
}

static void explain_directory(const char *directory, const char *what, int error, struct buf *ret_error)
{
    const char *remedy = "look at the path and the disk, or name another with --state or state.directory";
    if (error == -EACCES || error == -EPERM)
        remedy = "give the directory to this user (chown), or name another with --state or state.directory";
    else if (error == -ENOENT)
        remedy = "make the folder in which it is to lie, or name another with --state or state.directory";
    else if (error == -ENOTDIR || error == -EISDIR || error == -ELOOP)
        remedy = "move what is in the way, or name another with --state or state.directory";
    else if (error == -EROFS)
        remedy = "its file system is read-only: mount it to be written, or name another with --state or "
                 "state.directory";
    else if (error == -ENOSPC || error == -EDQUOT)
        remedy = "make room on that disk";
    buf_printf(ret_error, "state directory %s: %s: %s; %s", directory, what, strerror(-error), remedy);
}

/* Its name must be as durable as what will lie in it. A parent that may not be read is left alone. */
static int sync_parent(int fd)
{
    int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return errno == EACCES ? 0 : -errno;
    int r = fsync(parent) < 0 ? -errno : 0;
    close(parent);
    return r;
}

/* Opens the state directory, making it when it is missing (its parent must be
 * there). Returns a descriptor or negative errno. */
static int open_directory(const char *directory, struct buf *ret_error)
{
    bool made = mkdir(directory, 0710) == 0;
    if (!made && errno != EEXIST) {
        int r = -errno;
        explain_directory(directory, "cannot be created", r, ret_error);
        return r;
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (made && fchmod(fd, 0710) < 0)) { /* the mask may have taken the group's x */
        int r = -errno;
        explain_directory(directory, "cannot be opened", r, ret_error);
        if (fd >= 0)
            close(fd);
        return r;
    }
    int r = sync_parent(fd);
    if (r < 0) {
        explain_directory(directory, "the folder in which it lies cannot be synced", r, ret_error);
        close(fd);
        return r;
    }
    return fd;
}

static int take_lock(int dir, const char *directory, struct buf *ret_error)
{
    int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        int r = -errno;
        explain_directory(directory, "its file `lock` cannot be opened", r, ret_error);
        return r;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int r = errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (r == -EBUSY)
        buf_printf(
            ret_error,
            "state directory %s is in use by another process, which holds %s/lock: stop that jobcloned, or "
            "name another state directory",
            directory, directory);
    else
        explain_directory(directory, "its file `lock` cannot be locked", r, ret_error);
    close(fd);
    return r;
}

/* Makes the empty file before SQLite does, so that nobody else can ever read it;
 * the write-ahead log gets the same mode from it. */
static int prepare_file(int dir, const char *directory, struct buf *ret_error)
{
    int fd = openat(dir, "jobclone.db", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = fd < 0 || fchmod(fd, 0600) < 0 ? -errno : 0;
    if (r == 0 && fsync(dir) < 0)
        r = -errno;
    if (fd >= 0)
        close(fd); /* before SQLite takes its locks, which this would release */
    if (r < 0)
        explain_directory(directory, "its file `jobclone.db` cannot be opened", r, ret_error);
    return r;
}

static int configure(sqlite3 *db)
{
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    /* exclusive comes first: then the log needs no shared memory */
    return store_exec(db, "PRAGMA locking_mode = EXCLUSIVE;"
                          "PRAGMA journal_mode = WAL;"
                          "PRAGMA synchronous = FULL;"
                          "PRAGMA foreign_keys = ON;"
                          "PRAGMA temp_store = MEMORY;"
                          "PRAGMA cache_size = -8192;"
                          "PRAGMA journal_size_limit = 67108864");
}

static int prepare_all(struct store_sqlite *store)
{
    const struct {
        const char *sql;
        sqlite3_stmt **stmt;
    } all[] = {{store_item_sql, &store->put_item},         {store_step_sql, &store->put_step},
               {store_history_sql, &store->put_history},   {store_run_sql, &store->put_run},
               {store_totals_sql, &store->put_totals},     {store_due_state_sql, &store->put_due_state},
               {store_insert_run_sql, &store->insert_run}, {store_insert_file_sql, &store->insert_file},
               {store_filed_sql, &store->put_filed}};
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(all) && r == 0; i++)
        r = store_prepare(store->db, all[i].sql, all[i].stmt);
    return r;
}

static int open_database(struct store_sqlite *store, const char *path, struct buf *ret_error)
{
    /* One thread at a time has it (store_jobs.h). */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOMUTEX;
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* a lock for each allocation; refused once it is in use */
    int rc = sqlite3_open_v2(path, &store->db, flags, NULL);
    int r = rc == SQLITE_OK ? configure(store->db) : store->db == NULL ? -ENOMEM : store_errno(store->db, rc);
    if (r < 0) {
        store_explain(store->db, r, path, ret_error);
        return r;
    }
    r = store_schema_apply(store->db, path, ret_error);
    if (r < 0)
        return r;
    r = prepare_all(store);
    if (r < 0)
        store_explain(store->db, r, path, ret_error);
    return r;
}

static int open_locked(struct store_sqlite *store, int dir, const char *directory, struct buf *ret_error)
{
    store->lock = take_lock(dir, directory, ret_error);
    if (store->lock < 0)
        return store->lock;
    int r = prepare_file(dir, directory, ret_error);
    if (r < 0)
        return r;
    struct buf path = BUF_INIT(64 * 1024);
    r = buf_printf(&path, "%s/jobclone.db", directory);
    if (r == 0)
        r = open_database(store, buf_str(&path), ret_error);
    buf_done(&path);
    return r;
}

int store_sqlite_open(uv_loop_t *loop, const char *directory, struct store_sqlite **ret,
                      struct buf *ret_error)
{
    struct store_sqlite *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return -ENOMEM;
    *store = (struct store_sqlite){.port = {.commit = commit}, .loop = loop, .lock = -1};
    int dir = open_directory(directory, ret_error);
    int r = dir < 0 ? dir : open_locked(store, dir, directory, ret_error);
    if (dir >= 0)
        close(dir);
    if (r < 0) {
        store_sqlite_close(store);
        return r;
    }
    *ret = store;
    return 0;
}

bool store_sqlite_idle(const struct store_sqlite *store)
{
    return store->jobs.under_way == NULL && store->jobs.first == NULL;
}

struct store_sqlite *store_sqlite_close(struct store_sqlite *store)
{
    if (store == NULL)
        return NULL;
    if (!store_sqlite_idle(store))
        abort(); /* the worker would go on with freed memory */
    sqlite3_stmt *const all[] = {store->put_item,   store->put_step,    store->put_history,
                                 store->put_run,    store->put_totals,  store->put_due_state,
                                 store->insert_run, store->insert_file, store->put_filed};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        sqlite3_finalize(all[i]);
    sqlite3_close(store->db);
    if (store->lock >= 0)
        close(store->lock);
    free(store);
    return NULL;
}
