/*
 * sqlite_connection.c - opening connections, lending readers, and what SQLite's codes mean here
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "store/drivers/sqlite_private.h"

#define READER_WAIT_US (10 * US_PER_S)

static enum status
status_of(int code)
{
    if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
        code == SQLITE_CONSTRAINT_ROWID)
        return ST_CONFLICT;
    switch (code & 0xff) {
    case SQLITE_OK:
        return ST_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ST_BUSY;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_NOMEM:
    case SQLITE_INTERRUPT:
        return ST_UNAVAILABLE;
    case SQLITE_TOOBIG:
        return ST_TOO_LARGE;
    default:
        return ST_INTERNAL;
    }
}

/* The public text is the code's general sentence: SQLite's words name tables and files. */
enum status
sqlite_failed(sqlite3 *db, int code, const char *what, struct err *err)
{
    int extended = db != NULL ? sqlite3_extended_errcode(db) : code;

    /* The connection's last error may be of another call: only its detail of this code is used. */
    if ((extended & 0xff) != (code & 0xff))
        return err_set_detail(err, status_of(code), "%s: %s", what, sqlite3_errstr(code));
    return err_set_detail(err, status_of(extended), "%s: %s (%d)", what,
                          db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code), extended);
}

static enum status
run(sqlite3 *db, const char *text, struct err *err)
{
    int code = sqlite3_exec(db, text, NULL, NULL, NULL);

    return code == SQLITE_OK ? ST_OK : sqlite_failed(db, code, text, err);
}

/* Each connection is used by one thread at a time, which the front's locks see to. */
enum status
sqlite_open_file(const char *path, int flags, sqlite3 **db_out, struct err *err)
{
    int code = sqlite3_open_v2(path, db_out, flags | SQLITE_OPEN_NOMUTEX, SQLITE_LOG_FILE_SYSTEM);
    enum status st;

    if (code != SQLITE_OK) {
        st = sqlite_failed(*db_out, code, path, err);
        (void)sqlite3_close(*db_out);
        *db_out = NULL;
        return st;
    }
    (void)sqlite3_extended_result_codes(*db_out, 1);
    (void)sqlite3_busy_timeout(*db_out, SQLITE_BUSY_TIMEOUT_MS);
    return ST_OK;
}

static int
note_log_pages(void *connection, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((struct sqlite_connection *)connection)->log_pages = pages;
    return SQLITE_OK;
}

static enum status
set_up(struct sqlite_connection *connection, enum store_access access, struct err *err)
{
    sqlite3 *db = connection->db;
    enum status st;

    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    st = sqlite_add_functions(db, err);
    if (st != ST_OK)
        return st;
    if (access == STORE_READ)
        return run(db,
                   "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;"
                   "PRAGMA cache_size = -1024;",
                   err);
    /* Replaces the checkpoints SQLite would make inside of a commit. */
    (void)sqlite3_wal_hook(db, note_log_pages, connection);
    st = run(db, "PRAGMA journal_mode = WAL;", err);
    if (st == ST_OK)
        st = run(db,
                 "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                 "PRAGMA secure_delete = FAST; PRAGMA temp_store = MEMORY;"
                 "PRAGMA cache_size = -8192; PRAGMA journal_size_limit = 67108864;",
                 err);
    return st;
}

void
sqlite_disconnect(struct sqlite_connection **connection_ref)
{
    struct sqlite_connection *connection = *connection_ref;

    if (connection == NULL)
        return;
    *connection_ref = NULL;
    statement_cache_clear(&connection->common);
    for (int i = 0; i < SQLITE_CMD_COUNT; i++)
        (void)sqlite3_finalize(connection->commands[i]);
    if (connection->db != NULL && sqlite3_close(connection->db) != SQLITE_OK)
        abort(); /* a statement outlived its cache */
    free(connection);
}

enum status
sqlite_connect(struct store_database *database, enum store_access access,
               struct sqlite_connection **connection_out, struct err *err)
{
    struct sqlite_connection *connection = calloc(1, sizeof(*connection));
    enum status st;

    if (connection == NULL)
        abort();
    connection->common.driver = &store_driver_sqlite;
    connection->common.is_control = database->is_control;
    connection->database = database;
    st = sqlite_open_file(database->path, SQLITE_OPEN_READWRITE, &connection->db, err);
    if (st == ST_OK)
        st = set_up(connection, access, err);
    if (st != ST_OK)
        sqlite_disconnect(&connection);
    *connection_out = connection;
    return st;
}

static enum status
take_reader(struct store_database *database, struct sqlite_connection **reader_out, struct err *err)
{
    unsigned max = database->backend->readers_per_database;
    int64_t deadline_us = 0;
    enum status st = ST_OK;

    *reader_out = NULL;
    pthread_mutex_lock(&database->readers_lock);
    while (database->idle_readers == NULL && database->reader_count >= max && st == ST_OK) {
        if (deadline_us == 0)
            deadline_us = clock_mono_us(clock_system()) + READER_WAIT_US;
        if (!cond_wait_until(&database->reader_given, &database->readers_lock, deadline_us))
            st = err_set(err, ST_BUSY, "too many reads at once; try again later");
    }
    if (st == ST_OK && database->idle_readers != NULL) {
        *reader_out = database->idle_readers;
        database->idle_readers = (*reader_out)->next_idle;
    } else if (st == ST_OK) {
        database->reader_count++;
    }
    pthread_mutex_unlock(&database->readers_lock);
    if (st != ST_OK || *reader_out != NULL)
        return st;
    st = sqlite_connect(database, STORE_READ, reader_out, err);
    if (st != ST_OK) {
        pthread_mutex_lock(&database->readers_lock);
        database->reader_count--;
        pthread_mutex_unlock(&database->readers_lock);
        pthread_cond_signal(&database->reader_given);
    }
    return st;
}

enum status
sqlite_take(struct store_database *database, enum store_access access,
            struct store_connection **connection_out, struct err *err)
{
    struct sqlite_connection *reader = NULL;
    enum status st;

    if (access == STORE_WRITE) {
        *connection_out = &database->writer->common;
        return ST_OK;
    }
    st = take_reader(database, &reader, err);
    *connection_out = reader != NULL ? &reader->common : NULL;
    return st;
}

void
sqlite_give(struct store_database *database, struct store_connection **connection_ref)
{
    struct sqlite_connection *connection = (struct sqlite_connection *)*connection_ref;

    *connection_ref = NULL;
    assert(sqlite3_get_autocommit(connection->db));
    if (connection == database->writer)
        return;
    pthread_mutex_lock(&database->readers_lock);
    connection->next_idle = database->idle_readers;
    database->idle_readers = connection;
    pthread_mutex_unlock(&database->readers_lock);
    pthread_cond_signal(&database->reader_given);
}
