/*
 * open_databases.c - the map of open databases and the list of idle ones
 */
#include "store/open_databases.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/thread.h"
#include "store/migrate.h"

#define DELETE_WAIT_US (10 * US_PER_S)
/* What can be in use beyond max_open: far more threads than a process has. */
#define EXCESS_MAX 65536

enum state { STATE_OPENING, STATE_OPEN, STATE_TRIMMING, STATE_CLOSING };

struct open_databases {
    struct open_databases_config config; /* frozen */
    pthread_mutex_t lock;                /* guards all below, and state, users and links of each */
    pthread_cond_t changed;              /* a state changed, or a database became idle */
    struct map by_id;                    /* "" is the control database */
    struct open_database *oldest, *newest;
    unsigned deletes_waiting;
    int64_t next_trim_us;
};

struct open_databases *
open_databases_create(const struct open_databases_config *config)
{
    struct open_databases *databases = calloc(1, sizeof(*databases));

    if (databases == NULL)
        abort();
    databases->config = *config;
    pthread_mutex_init(&databases->lock, NULL);
    cond_init(&databases->changed);
    map_init(&databases->by_id, (size_t)config->max_open + EXCESS_MAX);
    return databases;
}

static void
idle_add(struct open_databases *databases, struct open_database *database)
{
    database->newer = NULL;
    database->older = databases->newest;
    if (databases->newest == NULL)
        databases->oldest = database;
    else
        databases->newest->newer = database;
    databases->newest = database;
}

static void
idle_add_oldest(struct open_databases *databases, struct open_database *database)
{
    database->older = NULL;
    database->newer = databases->oldest;
    if (databases->oldest == NULL)
        databases->newest = database;
    else
        databases->oldest->older = database;
    databases->oldest = database;
}

static void
idle_remove(struct open_databases *databases, struct open_database *database)
{
    if (database->older == NULL)
        databases->oldest = database->newer;
    else
        database->older->newer = database->newer;
    if (database->newer == NULL)
        databases->newest = database->older;
    else
        database->newer->older = database->older;
    database->older = database->newer = NULL;
}

/* With the lock held, which is given up while the file is closed. */
static void
close_idle(struct open_databases *databases, struct open_database *database)
{
    assert(database->state == STATE_OPEN && database->users == 0);
    idle_remove(databases, database);
    database->state = STATE_CLOSING;
    pthread_mutex_unlock(&databases->lock);
    commit_group_deinit(&database->group);
    databases->config.driver->database_close(&database->inner);
    pthread_mutex_lock(&databases->lock);
}

/* After it, the place may be opened again. */
static void
forget(struct open_databases *databases, struct open_database *database)
{
    (void)map_remove(&databases->by_id, id_str(&database->place.organization_id));
    free(database);
    pthread_cond_broadcast(&databases->changed);
}

static void
close_surplus(struct open_databases *databases)
{
    while (databases->by_id.count > databases->config.max_open && databases->oldest != NULL) {
        struct open_database *oldest = databases->oldest;

        close_idle(databases, oldest);
        forget(databases, oldest);
    }
}

/* One at a time, on the way of whoever gives one back. Those trimmed already stand first in the
 * list. */
static void
trim_one(struct open_databases *databases, int64_t now_us)
{
    struct open_database *database = databases->oldest;

    if (now_us < databases->next_trim_us)
        return;
    databases->next_trim_us = now_us + databases->config.trim_after_us / 300;
    while (database != NULL && database->trimmed)
        database = database->newer;
    if (database == NULL || database->idle_since_us + databases->config.trim_after_us > now_us)
        return;
    idle_remove(databases, database);
    database->trimmed = true;
    database->state = STATE_TRIMMING;
    pthread_mutex_unlock(&databases->lock);
    databases->config.driver->database_trim(database->inner);
    pthread_mutex_lock(&databases->lock);
    database->state = STATE_OPEN;
    idle_add_oldest(databases, database);
    pthread_cond_broadcast(&databases->changed);
}

static enum status
open_and_migrate(struct open_databases *databases, struct open_database *database, bool create,
                 struct err *err)
{
    const struct open_databases_config *config = &databases->config;
    enum status st = config->driver->database_open(config->backend, &database->place, create,
                                                   &database->inner, err);

    if (st == ST_OK && !config->driver->migrated_apart)
        st = store_migrate(config->driver, database->inner, &database->place,
                           config->allow_newer_schema, err);
    if (st == ST_OK)
        commit_group_init(&database->group, config->driver, database->inner, &database->place,
                          config->counters, config->committers);
    else
        config->driver->database_close(&database->inner);
    return st;
}

/* With the lock held, which is given up meanwhile. */
static enum status
open_new(struct open_databases *databases, const struct store_place *place, bool create,
         struct open_database **database_out, struct err *err)
{
    struct open_database *database = calloc(1, sizeof(*database));
    void *replaced;
    enum status st;

    if (database == NULL)
        abort();
    database->place = *place;
    database->state = STATE_OPENING;
    st = map_put(&databases->by_id, id_str(&place->organization_id), database, &replaced, err);
    if (st != ST_OK) {
        free(database);
        return st;
    }
    close_surplus(databases);
    pthread_mutex_unlock(&databases->lock);
    st = open_and_migrate(databases, database, create, err);
    pthread_mutex_lock(&databases->lock);
    if (st != ST_OK) {
        forget(databases, database);
        return st;
    }
    database->state = STATE_OPEN;
    database->users = 1;
    pthread_cond_broadcast(&databases->changed);
    *database_out = database;
    return ST_OK;
}

enum status
open_database_ref(struct open_databases *databases, const struct store_place *place, bool create,
                  struct open_database **database_out, struct err *err)
{
    struct open_database *database;
    enum status st = ST_OK;

    *database_out = NULL;
    pthread_mutex_lock(&databases->lock);
    for (;;) {
        database = map_find(&databases->by_id, id_str(&place->organization_id));
        if (database == NULL || database->state == STATE_OPEN)
            break;
        pthread_cond_wait(&databases->changed, &databases->lock);
    }
    if (database == NULL) {
        st = open_new(databases, place, create, database_out, err);
    } else {
        if (database->users++ == 0)
            idle_remove(databases, database);
        *database_out = database;
    }
    pthread_mutex_unlock(&databases->lock);
    return st;
}

struct open_database *
open_database_find(struct open_databases *databases, const struct store_place *place)
{
    struct open_database *database;

    pthread_mutex_lock(&databases->lock);
    database = map_find(&databases->by_id, id_str(&place->organization_id));
    if (database != NULL && database->state != STATE_OPEN)
        database = NULL;
    if (database != NULL && database->users++ == 0)
        idle_remove(databases, database);
    pthread_mutex_unlock(&databases->lock);
    return database;
}

void
open_database_unref(struct open_databases *databases, struct open_database **database_ref)
{
    struct open_database *database = *database_ref;
    int64_t now_us = clock_mono_us(clock_system());

    if (database == NULL)
        return;
    *database_ref = NULL;
    pthread_mutex_lock(&databases->lock);
    assert(database->users > 0);
    if (--database->users == 0) {
        database->trimmed = false;
        database->idle_since_us = now_us;
        idle_add(databases, database);
        if (databases->deletes_waiting > 0)
            pthread_cond_broadcast(&databases->changed);
        close_surplus(databases);
        trim_one(databases, now_us);
    }
    pthread_mutex_unlock(&databases->lock);
}

/* With the lock held: gives the place's entry, CLOSING, so that whoever asks for it waits. NULL: it
 * is still in use at the deadline. */
static struct open_database *
reserve(struct open_databases *databases, const struct store_place *place, int64_t deadline_us,
        struct err *err)
{
    struct str id = id_str(&place->organization_id);
    struct open_database *database;
    void *replaced;

    while ((database = map_find(&databases->by_id, id)) != NULL) {
        if (database->state == STATE_OPEN && database->users == 0) {
            close_idle(databases, database);
            return database;
        }
        if (!cond_wait_until(&databases->changed, &databases->lock, deadline_us)) {
            (void)err_set_detail(err, ST_BUSY, "the organization's database is in use");
            return NULL;
        }
    }
    database = calloc(1, sizeof(*database));
    if (database == NULL)
        abort();
    database->place = *place;
    database->state = STATE_CLOSING;
    if (map_put(&databases->by_id, id, database, &replaced, err) != ST_OK) {
        free(database);
        return NULL;
    }
    return database;
}

/* The entry stays until the files are gone, also when there was none to close: a database opened
 * meanwhile would lose its files under its connections. */
enum status
open_databases_delete(struct open_databases *databases, const struct store_place *place,
                      struct err *err)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + DELETE_WAIT_US;
    struct open_database *database;
    enum status st;

    pthread_mutex_lock(&databases->lock);
    databases->deletes_waiting++;
    database = reserve(databases, place, deadline_us, err);
    databases->deletes_waiting--;
    pthread_mutex_unlock(&databases->lock);
    if (database == NULL)
        return err->code;
    st = databases->config.driver->database_delete(databases->config.backend, place, err);
    pthread_mutex_lock(&databases->lock);
    forget(databases, database);
    pthread_mutex_unlock(&databases->lock);
    return st;
}

unsigned
open_databases_count(struct open_databases *databases)
{
    unsigned count;

    pthread_mutex_lock(&databases->lock);
    count = (unsigned)databases->by_id.count;
    pthread_mutex_unlock(&databases->lock);
    return count;
}

void
open_databases_destroy(struct open_databases **databases_ref)
{
    struct open_databases *databases = *databases_ref;

    if (databases == NULL)
        return;
    *databases_ref = NULL;
    pthread_mutex_lock(&databases->lock);
    while (databases->oldest != NULL) {
        struct open_database *oldest = databases->oldest;

        close_idle(databases, oldest);
        forget(databases, oldest);
    }
    assert(databases->by_id.count == 0); /* somebody is still inside */
    pthread_mutex_unlock(&databases->lock);
    map_deinit(&databases->by_id);
    pthread_cond_destroy(&databases->changed);
    pthread_mutex_destroy(&databases->lock);
    free(databases);
}
