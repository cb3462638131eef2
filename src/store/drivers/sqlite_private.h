/*
 * sqlite_private.h - what the files of the SQLite driver share
 *
 * A database is a file with one writing connection, up to readers_per_tenant reading ones, opened
 * when they are first needed, and one for checkpoints. Commits write the log without waiting for
 * the disk (synchronous=NORMAL); settle syncs the log by a descriptor of its own, while the next
 * transaction already runs. Everything before a synced commit in the log is synced with it.
 */
#ifndef PARLEY_STORE_DRIVERS_SQLITE_PRIVATE_H
#define PARLEY_STORE_DRIVERS_SQLITE_PRIVATE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "store/drivers/sqlite_log_file.h"
#include "store/store_driver.h"

#define SQLITE_BUSY_TIMEOUT_MS 5000

/* Pages of 4 kB in the log: from here on the background copies them into the file ... */
#define SQLITE_CHECKPOINT_PAGES 4000
/* ... and when this few are left, the writer copies the rest, so that the log begins anew. */
#define SQLITE_TAIL_PAGES 256

enum sqlite_command {
    SQLITE_CMD_BEGIN_READ,
    SQLITE_CMD_BEGIN_WRITE,
    SQLITE_CMD_COMMIT,
    SQLITE_CMD_ROLLBACK,
    SQLITE_CMD_SAVEPOINT,
    SQLITE_CMD_KEEP,
    SQLITE_CMD_UNDO,
    SQLITE_CMD_COUNT
};

struct sqlite_connection {
    struct store_connection common; /* first */
    struct store_database *database;
    sqlite3 *db;
    sqlite3_stmt *commands[SQLITE_CMD_COUNT]; /* prepared when first used */
    struct sqlite_connection *next_idle;
    struct log_file *log; /* the writer's, once it was opened */
    int log_pages;        /* after the last commit that wrote; 0: it wrote nothing */
};

struct sqlite_checkpointer;

struct store_backend {
    char *folder, *tenants_folder; /* frozen, like all here */
    unsigned readers_per_database;
    struct sqlite_checkpointer *checkpointer;
};

struct store_database {
    struct store_backend *backend; /* frozen, like path and is_control */
    char *path;
    bool is_control;
    struct sqlite_connection *writer; /* used by the front's leader alone */
    int checkpoint_at;                /* pages; the writer's */

    pthread_mutex_t readers_lock; /* guards the fields down to reader_count */
    pthread_cond_t reader_given;
    struct sqlite_connection *idle_readers;
    unsigned reader_count;

    _Atomic int64_t committed; /* tickets handed out, one for what was in the log before */
    _Atomic bool damaged;      /* a sync failed: the log is not to be trusted until it is copied */
    pthread_mutex_t sync_lock; /* guards the fields down to syncing */
    pthread_cond_t synced_more;
    int64_t synced;
    bool syncing;
    int log_fd; /* of whoever set syncing; -1: not open yet */

    /* Guarded by the checkpointer's lock. */
    struct store_database *next_checkpoint;
    bool checkpoint_queued, checkpoint_running;
    _Atomic bool tail_ready; /* the writer should copy the rest */
    sqlite3 *checkpoint_db;  /* the checkpointer's thread's */
};

/* sqlite_connection.c */

/* Fills err from the connection's (or, without one, the code's) last failure. */
enum status sqlite_failed(sqlite3 *db, int code, const char *what, struct err *err);
/* What statements may call beside SQLite's own functions. */
enum status sqlite_add_functions(sqlite3 *db, struct err *err);
MUST_USE enum status sqlite_open_file(const char *path, int flags, sqlite3 **db_out,
                                      struct err *err);
MUST_USE enum status sqlite_connect(struct store_database *database, enum store_access access,
                                    struct sqlite_connection **connection_out, struct err *err);
void sqlite_disconnect(struct sqlite_connection **connection);
enum status sqlite_take(struct store_database *database, enum store_access access,
                        struct store_connection **connection_out, struct err *err);
void sqlite_give(struct store_database *database, struct store_connection **connection);

/* sqlite_transaction.c */
enum status sqlite_begin(struct store_connection *connection, enum store_access access,
                         const struct store_place *place, struct err *err);
enum status sqlite_commit(struct store_connection *connection, enum store_durability durability,
                          int64_t *ticket_out, struct err *err);
void sqlite_rollback(struct store_connection *connection);
int64_t sqlite_seen(struct store_connection *connection);
bool sqlite_in_transaction(struct store_connection *connection);
int64_t sqlite_rows_changed(struct store_connection *connection);
enum status sqlite_savepoint_set(struct store_connection *connection, struct err *err);
enum status sqlite_savepoint_keep(struct store_connection *connection, struct err *err);
enum status sqlite_savepoint_undo(struct store_connection *connection, struct err *err);
enum status sqlite_settle(struct store_database *database, int64_t ticket, struct err *err);
enum status sqlite_version_get(struct store_connection *connection, int *version_out,
                               struct err *err);
enum status sqlite_version_set(struct store_connection *connection, int version, struct err *err);
enum status sqlite_script(struct store_connection *connection, struct str text, struct err *err);

/* sqlite_statement.c */
enum status sqlite_prepare(struct store_connection *connection, const struct store_sql *sql,
                           struct store_statement **statement_out, struct err *err);
void sqlite_finalize(struct store_statement **statement);
enum status sqlite_bind(struct store_statement *statement, unsigned first,
                        const struct store_value *values, size_t count, struct err *err);
enum status sqlite_step(struct store_statement *statement, bool *row_out, struct err *err);
enum status sqlite_exec(struct store_statement *statement, struct err *err);
int64_t sqlite_changes(struct store_statement *statement);
void sqlite_reset(struct store_statement *statement);
int64_t sqlite_column_int(struct store_statement *statement, int column);
double sqlite_column_real(struct store_statement *statement, int column);
struct str sqlite_column_text(struct store_statement *statement, int column);
struct str sqlite_column_blob(struct store_statement *statement, int column);
bool sqlite_column_is_null(struct store_statement *statement, int column);

/* sqlite_checkpoint.c */
MUST_USE enum status sqlite_checkpointer_create(struct sqlite_checkpointer **checkpointer_out,
                                                struct err *err);
void sqlite_checkpointer_destroy(struct sqlite_checkpointer **checkpointer);
/* After a commit: sees to it that the log does not grow without end. Writer only. */
void sqlite_checkpoint_after(struct sqlite_connection *writer);
/* No checkpoint of it runs or is queued afterwards. */
void sqlite_checkpoint_leave(struct store_database *database);

/* sqlite_copy.c */
enum status sqlite_copy_file(const char *from_path, const char *path,
                             void (*on_pages)(unsigned done, unsigned total, void *arg), void *arg,
                             struct err *err);
#endif
