/*
 * store.c - opening a data folder, and running works in the database of a scope
 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "store/store_private.h"
#include "store/tenant_scope_driver.h"

#define MAX_OPEN_TENANTS 128
#define READERS_PER_TENANT 4
#define TRIM_AFTER_US (30 * US_PER_S)
/* Each runs batches or waits for the disk: as many organizations can do so at once. */
#define COMMITTERS 8
#define READ_RERUNS_MAX 3

static struct metric seconds_metric = {
    .name = "parley_store_seconds",
    .help = "Time of a transaction, waiting included, by its name",
    .kind = METRIC_HISTOGRAM,
    .labels = {"name"},
    .max_series = 256,
};

static struct metric failures_metric = {
    .name = "parley_store_failures_total",
    .help = "Transactions that did not commit, by name and status",
    .kind = METRIC_COUNTER,
    .labels = {"name", "status"},
    .max_series = 512,
};

static struct metric works_metric = {
    .name = "parley_store_works",
    .help = "Works run since start; with parley_store_commits the size of a group",
    .kind = METRIC_GAUGE,
    .max_series = 1,
};

static struct metric commits_metric = {
    .name = "parley_store_commits",
    .help = "Commits since start",
    .kind = METRIC_GAUGE,
    .max_series = 1,
};

static struct metric open_metric = {
    .name = "parley_store_open_databases",
    .help = "Databases open now",
    .kind = METRIC_GAUGE,
    .max_series = 1,
};

static enum status
lock_folder(struct store *store, struct err *err)
{
    char path[4096];
    int len;

    if (mkdir(store->data_folder, 0700) != 0 && errno != EEXIST)
        return err_set_detail(err, ST_UNAVAILABLE, "make folder %s: %s", store->data_folder,
                              strerrordesc_np(errno));
    len = snprintf(path, sizeof(path), "%s/parley.lock", store->data_folder);
    if (len < 0 || (size_t)len >= sizeof(path))
        return err_set(err, ST_INVALID, "the data folder's path is too long");
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return err_set_detail(err, ST_UNAVAILABLE, "open %s: %s", path, strerrordesc_np(errno));
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ST_CONFLICT,
                       "a running Parley serves this folder: use its API or stop it");
    return ST_OK;
}

enum status
store_hold_folder(const char *data_folder, bool alone, int *fd_out, struct err *err)
{
    int fd = open(data_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    *fd_out = -1;
    if (fd < 0)
        return err_set_detail(err, errno == ENOENT ? ST_NOT_FOUND : ST_UNAVAILABLE, "open %s: %s",
                              data_folder, strerrordesc_np(errno));
    if (flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        (void)close(fd);
        return err_set(err, ST_BUSY, "a backup is being made; try again when it is done");
    }
    *fd_out = fd;
    return ST_OK;
}

enum status
store_open(const struct store_config *config, struct store **store_out, struct err *err)
{
    struct store *store = calloc(1, sizeof(*store));
    bool shared = config->database_url != NULL && config->database_url[0] != '\0';
    struct store_config complete = *config;
    const struct store_place control = {{""}};
    enum status st;

    *store_out = NULL;
    if (store == NULL || (store->data_folder = strdup(shared ? "" : config->data_folder)) == NULL)
        abort();
    if (complete.max_open_tenants == 0)
        complete.max_open_tenants = MAX_OPEN_TENANTS;
    if (complete.readers_per_tenant == 0)
        complete.readers_per_tenant = READERS_PER_TENANT;
    store->driver = shared ? &store_driver_pgsql : &store_driver_sqlite;
    store->lock_fd = -1;
    st = shared ? ST_OK : lock_folder(store, err);
    if (st == ST_OK)
        st = store->driver->open(&complete, &store->backend, err);
    if (st == ST_OK)
        st = task_pool_create("committer", COMMITTERS, 0, &store->committers, err);
    if (st == ST_OK) {
        struct open_databases_config databases = {
            .driver = store->driver,
            .backend = store->backend,
            .counters = &store->counters,
            .committers = store->committers,
            .max_open = complete.max_open_tenants + 1, /* and control.db, which is always in use */
            .trim_after_us = TRIM_AFTER_US,
            .allow_newer_schema = complete.allow_newer_schema,
        };

        store->databases = open_databases_create(&databases);
        st = open_database_ref(store->databases, &control, true, &store->control, err);
    }
    if (st != ST_OK) {
        store_close(&store);
        return err_wrap(err, "open store %s", shared ? "on the server" : config->data_folder);
    }
    *store_out = store;
    return ST_OK;
}

void
store_close(struct store **store_ref)
{
    struct store *store = *store_ref;

    if (store == NULL)
        return;
    *store_ref = NULL;
    task_pool_destroy(&store->committers);
    if (store->control != NULL)
        open_database_unref(store->databases, &store->control);
    open_databases_destroy(&store->databases);
    if (store->backend != NULL)
        store->driver->close(&store->backend);
    if (store->lock_fd >= 0)
        (void)close(store->lock_fd);
    free(store->data_folder);
    free(store);
}

struct clock *
store_clock(const struct store *store)
{
    return store->driver->clock(store->backend);
}

void
store_set_companion(struct store *store, void *companion)
{
    store->companion = companion;
}

void *
store_companion(const struct store *store)
{
    return store->companion;
}

bool
store_is_shared(const struct store *store)
{
    return store->driver->migrated_apart;
}

static enum status
observed(const char *name, int64_t began_us, enum status st)
{
    struct str label = str_from_c(name);

    metric_observe(&seconds_metric,
                   (double)(clock_mono_us(clock_system()) - began_us) / (double)US_PER_S, label,
                   STR_EMPTY, STR_EMPTY);
    if (st != ST_OK)
        METRIC_INC(&failures_metric, label, str_from_c(status_name(st)));
    return st;
}

static struct store_place
place_of(const struct tenant_scope *scope)
{
    assert(!id_is_none(&scope->organization_id.id)); /* "" would be the control database */
    return (struct store_place){scope->organization_id.id};
}

static enum status
run_in(struct store *store, struct open_database *database, const struct tenant_scope *scope,
       const char *name, enum store_durability durability, store_work work, void *arg,
       struct err *err)
{
    struct commit_work queued = {
        .store = store,
        .scope = scope,
        .name = name,
        .work = work,
        .arg = arg,
        .durability = durability,
        .err = err,
    };
    int64_t began_us = clock_mono_us(clock_system());

    return observed(name, began_us, commit_group_run(&database->group, &queued));
}

enum status
store_run(struct store *store, const struct tenant_scope *scope, const char *name,
          enum store_durability durability, store_work work, void *arg, struct err *err)
{
    struct store_place place = place_of(scope);
    struct open_database *database = NULL;
    enum status st = open_database_ref(store->databases, &place, false, &database, err);

    if (st == ST_OK)
        st = run_in(store, database, scope, name, durability, work, arg, err);
    open_database_unref(store->databases, &database);
    return st;
}

struct submission {
    struct commit_work work; /* first: the group hands this back */
    struct pool_task open;
    struct open_database *database;
    int64_t began_us;
    struct err err;
    store_done done;
    void *context;
};

static void
submission_done(struct commit_work *work)
{
    struct submission *submission = (struct submission *)work;
    enum status st = observed(work->name, submission->began_us, work->status);

    open_database_unref(work->store->databases, &submission->database);
    submission->done(st, &submission->err, submission->context);
}

static void
open_and_submit(struct pool_task *task)
{
    struct submission *submission =
        (struct submission *)((char *)task - offsetof(struct submission, open));
    struct commit_work *work = &submission->work;
    struct store_place place = place_of(work->scope);

    work->status = open_database_ref(work->store->databases, &place, false, &submission->database,
                                     &submission->err);
    if (work->status == ST_OK)
        commit_group_submit(&submission->database->group, work);
    else
        submission_done(work);
}

void
store_submit(struct store *store, const struct tenant_scope *scope, const char *name,
             enum store_durability durability, store_work work, void *arg, struct arena *arena,
             store_done done, void *context)
{
    struct store_place place = place_of(scope);
    struct submission *submission = ARENA_NEW(arena, struct submission);

    submission->work.store = store;
    submission->work.scope = scope;
    submission->work.name = name;
    submission->work.work = work;
    submission->work.arg = arg;
    submission->work.durability = durability;
    submission->work.err = &submission->err;
    submission->work.done = submission_done;
    submission->began_us = clock_mono_us(clock_system());
    submission->done = done;
    submission->context = context;
    submission->database = open_database_find(store->databases, &place);
    if (submission->database != NULL) {
        commit_group_submit(&submission->database->group, &submission->work);
    } else {
        submission->open.run = open_and_submit; /* opening a file blocks */
        (void)task_pool_submit(store->committers, &submission->open, true);
    }
}

enum status
store_control_run(struct store *store, const char *name, store_work work, void *arg,
                  struct err *err)
{
    return run_in(store, store->control, NULL, name, STORE_DURABLE, work, arg, err);
}

enum status
store_control_note(struct store *store, const char *name, store_work work, void *arg,
                   struct err *err)
{
    return run_in(store, store->control, NULL, name, STORE_RELAXED, work, arg, err);
}

/* A reader's end is a rollback: there is nothing to keep. */
static enum status
read_once(struct open_database *database, struct store_connection *connection, struct store_tx *tx,
          store_work work, void *arg, struct err *err)
{
    enum status st = connection->driver->begin(connection, STORE_READ, &database->place, err);

    if (st != ST_OK)
        return st;
    st = store_tx_run(tx, work, arg, err);
    connection->driver->rollback(connection);
    return st;
}

static enum status
read_in(struct store *store, struct open_database *database, const struct tenant_scope *scope,
        const char *name, store_work work, void *arg, struct err *err)
{
    const struct store_driver *driver = store->driver;
    struct store_connection *connection = NULL;
    struct arena *arena = NULL;
    int64_t began_us = clock_mono_us(clock_system());
    enum status st = driver->take(database->inner, STORE_READ, &connection, err);

    if (st == ST_OK) {
        struct store_tx tx = {
            .store = store,
            .connection = connection,
            .scope = scope,
            .arena_ref = &arena,
            .name = name,
        };

        st = read_once(database, connection, &tx, work, arg, err);
        for (unsigned reruns = 0; st != ST_OK && connection->rerun && reruns < READ_RERUNS_MAX;
             reruns++) {
            commit_pause_before_rerun(reruns);
            st = read_once(database, connection, &tx, work, arg, err);
        }
        driver->give(database->inner, &connection);
    }
    arena_destroy(&arena);
    return observed(name, began_us, st);
}

enum status
store_read(struct store *store, const struct tenant_scope *scope, const char *name, store_work work,
           void *arg, struct err *err)
{
    struct store_place place = place_of(scope);
    struct open_database *database = NULL;
    enum status st = open_database_ref(store->databases, &place, false, &database, err);

    if (st == ST_OK)
        st = read_in(store, database, scope, name, work, arg, err);
    open_database_unref(store->databases, &database);
    return st;
}

enum status
store_control_read(struct store *store, const char *name, store_work work, void *arg,
                   struct err *err)
{
    return read_in(store, store->control, NULL, name, work, arg, err);
}

enum status
store_tenant_create(struct store *store, const struct tenant_scope *scope, struct err *err)
{
    struct store_place place = place_of(scope);
    struct open_database *database = NULL;
    enum status st = open_database_ref(store->databases, &place, true, &database, err);

    open_database_unref(store->databases, &database);
    return st;
}

enum status
store_tenant_delete(struct store *store, const struct tenant_scope *scope, struct err *err)
{
    struct store_place place = place_of(scope);
    int held = -1;
    enum status st = ST_OK;

    if (!store_is_shared(store))
        st = store_hold_folder(store->data_folder, false, &held, err);
    if (st == ST_OK)
        st = open_databases_delete(store->databases, &place, err);
    if (held >= 0)
        (void)close(held);
    return st;
}

void
store_get_health(struct store *store, struct store_health *health_out)
{
    struct commit_counters *counters = &store->counters;

    memset(health_out, 0, sizeof(*health_out));
    store->driver->measure(store->backend, &health_out->free_disk_bytes, &health_out->data_bytes);
    /* A server that does not answer takes no writes either. */
    health_out->writable = !atomic_load(&counters->refused) &&
                           (!store_is_shared(store) || health_out->data_bytes >= 0);
    health_out->open_tenants = open_databases_count(store->databases) - 1;
    health_out->works = atomic_load(&counters->works);
    health_out->commits = atomic_load(&counters->commits);
    health_out->fsyncs = atomic_load(&counters->settles);
    metric_set(&works_metric, (double)health_out->works, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    metric_set(&commits_metric, (double)health_out->commits, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    metric_set(&open_metric, (double)health_out->open_tenants, STR_EMPTY, STR_EMPTY, STR_EMPTY);
}
