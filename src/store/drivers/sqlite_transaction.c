/*
 * sqlite_transaction.c - begin, commit, savepoints, and waiting for the disk
 *
 * Why the log is synced here and not by SQLite inside COMMIT: the next transaction can run
 * meanwhile, and relaxed commits need not wait. A commit is visible a moment before it bears a loss
 * of power; whatever is written about it is committed behind it in the same log, and so never
 * survives without it, and a durable work that tells what it saw waits like the one that wrote it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/drivers/sqlite_private.h"

static const char *const command_texts[SQLITE_CMD_COUNT] = {
    [SQLITE_CMD_BEGIN_READ] = "BEGIN",
    [SQLITE_CMD_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQLITE_CMD_COMMIT] = "COMMIT",
    [SQLITE_CMD_ROLLBACK] = "ROLLBACK",
    [SQLITE_CMD_SAVEPOINT] = "SAVEPOINT work",
    [SQLITE_CMD_KEEP] = "RELEASE work",
    [SQLITE_CMD_UNDO] = "ROLLBACK TO work",
};

static struct sqlite_connection *
own(struct store_connection *connection)
{
    return (struct sqlite_connection *)connection;
}

static enum status
command(struct sqlite_connection *connection, enum sqlite_command which, struct err *err)
{
    sqlite3_stmt **statement = &connection->commands[which];
    const char *text = command_texts[which];
    int code = SQLITE_OK;

    if (*statement == NULL)
        code = sqlite3_prepare_v3(connection->db, text, -1, SQLITE_PREPARE_PERSISTENT, statement,
                                  NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(*statement);
    if (code == SQLITE_DONE) {
        (void)sqlite3_reset(*statement);
        return ST_OK;
    }
    (void)sqlite_failed(connection->db, code, text, err);
    (void)sqlite3_reset(*statement);
    return err->code;
}

/* After a failed sync the system may have dropped bytes of the log that later syncs say nothing
 * about. A complete checkpoint brings all of it into the database file, synced, and begins a new
 * log. */
static enum status
repair(struct store_database *database, struct sqlite_connection *connection, struct err *err)
{
    int code =
        sqlite3_wal_checkpoint_v2(connection->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

    if (code != SQLITE_OK)
        return err_set_detail(err, ST_UNAVAILABLE, "%s: after a failed sync: %s", database->path,
                              sqlite3_errmsg(connection->db));
    pthread_mutex_lock(&database->sync_lock);
    database->synced = atomic_load(&database->committed);
    pthread_mutex_unlock(&database->sync_lock);
    atomic_store(&database->damaged, false);
    return ST_OK;
}

enum status
sqlite_begin(struct store_connection *connection, enum store_access access,
             const struct store_place *place, struct err *err)
{
    struct store_database *database = own(connection)->database;
    enum status st;

    (void)place; /* the file is the organization's */
    if (access == STORE_READ)
        return command(own(connection), SQLITE_CMD_BEGIN_READ, err);
    if (atomic_load_explicit(&database->damaged, memory_order_relaxed)) {
        st = repair(database, own(connection), err);
        if (st != ST_OK)
            return st;
    }
    st = command(own(connection), SQLITE_CMD_BEGIN_WRITE, err);
    if (st == ST_OK && own(connection)->log == NULL)
        own(connection)->log = sqlite_log_file_gather(own(connection)->db);
    return st;
}

enum status
sqlite_commit(struct store_connection *connection, enum store_durability durability,
              int64_t *ticket_out, struct err *err)
{
    struct sqlite_connection *writer = own(connection);
    enum status st;

    (void)durability; /* who asked for it waits in settle */
    *ticket_out = 0;
    writer->log_pages = 0;
    if (writer->log != NULL)
        sqlite_log_file_leave_unsynced(writer->log, true);
    st = command(writer, SQLITE_CMD_COMMIT, err);
    if (writer->log != NULL)
        sqlite_log_file_leave_unsynced(writer->log, false);
    if (st != ST_OK) {
        sqlite_rollback(connection);
        return st;
    }
    if (writer->log_pages > 0)
        (void)atomic_fetch_add(&writer->database->committed, 1);
    *ticket_out = sqlite_seen(connection);
    if (writer->log_pages > 0)
        sqlite_checkpoint_after(writer);
    return ST_OK;
}

int64_t
sqlite_seen(struct store_connection *connection)
{
    struct store_database *database = own(connection)->database;
    int64_t committed = atomic_load(&database->committed);
    bool synced;

    pthread_mutex_lock(&database->sync_lock);
    synced = database->synced >= committed;
    pthread_mutex_unlock(&database->sync_lock);
    return synced ? 0 : committed;
}

/* SQLite may have ended the transaction by itself. That a rollback fails would mean that the
 * connection cannot be used again, and every later call would say so. */
void
sqlite_rollback(struct store_connection *connection)
{
    struct err err;

    if (sqlite_in_transaction(connection) &&
        command(own(connection), SQLITE_CMD_ROLLBACK, &err) != ST_OK)
        LOG_ERR(LOG_ERROR, "store.rollback_failed", &err);
}

bool
sqlite_in_transaction(struct store_connection *connection)
{
    return !sqlite3_get_autocommit(own(connection)->db);
}

int64_t
sqlite_rows_changed(struct store_connection *connection)
{
    return sqlite3_total_changes64(own(connection)->db);
}

enum status
sqlite_savepoint_set(struct store_connection *connection, struct err *err)
{
    return command(own(connection), SQLITE_CMD_SAVEPOINT, err);
}

enum status
sqlite_savepoint_keep(struct store_connection *connection, struct err *err)
{
    return command(own(connection), SQLITE_CMD_KEEP, err);
}

enum status
sqlite_savepoint_undo(struct store_connection *connection, struct err *err)
{
    enum status st = command(own(connection), SQLITE_CMD_UNDO, err);

    return st == ST_OK ? command(own(connection), SQLITE_CMD_KEEP, err) : st;
}

/* --- waiting for the disk --- */

/* The log exists since the first commit and lives as long as the writer: it is emptied, never
 * replaced. Its name has to bear the loss of power, too. */
static int
open_log(struct store_database *database)
{
    struct store_backend *backend = database->backend;
    char *path = NULL;
    int folder;
    int fd;
    bool named;

    if (asprintf(&path, "%s-wal", database->path) < 0)
        abort();
    fd = open(path, O_RDWR | O_CLOEXEC);
    free(path);
    if (fd < 0)
        return -1;
    folder = open(database->is_control ? backend->folder : backend->tenants_folder,
                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    named = folder >= 0 && fsync(folder) == 0;
    if (folder >= 0)
        (void)close(folder);
    if (!named) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool
sync_log(struct store_database *database)
{
    if (database->log_fd < 0)
        database->log_fd = open_log(database);
    return database->log_fd >= 0 && fdatasync(database->log_fd) == 0;
}

/* One syncs for all that have committed by then; who comes later waits for the next turn. */
enum status
sqlite_settle(struct store_database *database, int64_t ticket, struct err *err)
{
    bool failed = false;

    pthread_mutex_lock(&database->sync_lock);
    while (database->synced < ticket && !failed) {
        int64_t target;
        int error = 0;

        if (database->syncing) {
            pthread_cond_wait(&database->synced_more, &database->sync_lock);
            failed = atomic_load(&database->damaged);
            continue;
        }
        database->syncing = true;
        target = atomic_load(&database->committed);
        pthread_mutex_unlock(&database->sync_lock);
        if (atomic_load(&database->damaged) || !sync_log(database)) {
            error = errno;
            failed = true;
            atomic_store(&database->damaged, true);
        }
        pthread_mutex_lock(&database->sync_lock);
        database->syncing = false;
        if (!failed && target > database->synced)
            database->synced = target;
        pthread_cond_broadcast(&database->synced_more);
        if (failed)
            (void)err_set_detail(err, ST_UNCERTAIN, "sync the log of %s: %s", database->path,
                                 strerrordesc_np(error));
    }
    failed = database->synced < ticket;
    pthread_mutex_unlock(&database->sync_lock);
    if (failed)
        return err_set_detail(err, ST_UNCERTAIN, "the log of %s could not be synced",
                              database->path);
    return ST_OK;
}

/* --- schema --- */

enum status
sqlite_version_get(struct store_connection *connection, int *version_out, struct err *err)
{
    sqlite3 *db = own(connection)->db;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL);
    enum status st = ST_OK;

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *version_out = sqlite3_column_int(statement, 0);
    else
        st = sqlite_failed(db, code, "read schema version", err);
    (void)sqlite3_finalize(statement);
    return st;
}

enum status
sqlite_version_set(struct store_connection *connection, int version, struct err *err)
{
    char text[64];

    /* A pragma takes no parameters; the number is ours. */
    (void)snprintf(text, sizeof(text), "PRAGMA user_version = %d", version);
    return sqlite_script(connection, str_from_c(text), err);
}

enum status
sqlite_script(struct store_connection *connection, struct str text, struct err *err)
{
    sqlite3 *db = own(connection)->db;
    char *copy = str_dup(text);
    int code;

    if (copy == NULL)
        abort();
    code = sqlite3_exec(db, copy, NULL, NULL, NULL);
    free(copy);
    return code == SQLITE_OK ? ST_OK : sqlite_failed(db, code, "schema script", err);
}
