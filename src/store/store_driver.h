/*
 * store_driver.h - what a database engine offers; knows nothing about entities
 *
 *   front (store.c, group_commit.c, migrate.c)        driver (drivers/)
 *   who may write when, batches, caches, the scope    databases, connections, statements,
 * durability
 *
 * A driver gives one constant struct store_driver with every function set. The front takes at most
 * one writing connection of a database at a time, and uses a connection on one thread at a time
 * between take and give. Engines where one server holds every organization bind a connection to
 * the organization in begin, from a pool behind take and give.
 */
#ifndef PARLEY_STORE_STORE_DRIVER_H
#define PARLEY_STORE_STORE_DRIVER_H

#include "store/store.h"

struct store_backend;  /* the driver's: a data folder, or a server */
struct store_database; /* the driver's: control data, or one organization's */

enum store_access { STORE_WRITE, STORE_READ };

/* --- statements kept prepared, per connection; store_statement.c --- */

#define STATEMENT_BUCKETS 64
#define STATEMENT_MAX_KEPT 128

/* First member of the driver's own struct. */
struct store_statement {
    const struct store_sql *sql;  /* the key: its address */
    struct store_statement *next; /* of the same bucket */
    uint64_t used_at;             /* the cache's clock: the least is given up first */
    unsigned parameters;          /* $1 .. $n, without gaps: set by prepare */
    bool names_organization;      /* $1 is there and the transaction is a tenant's */
    bool in_use;
    /* While it is a cursor: */
    bool at_end;
    struct store_connection *connection;
    struct err *failure; /* of a step; heap, NULL: none */
};

struct statement_cache {
    struct store_statement *buckets[STATEMENT_BUCKETS];
    uint64_t clock;
    unsigned count;
    unsigned in_use;
};

/* First member of the driver's own struct. */
struct store_connection {
    const struct store_driver *driver;
    struct statement_cache statements;
    bool is_control; /* no $1 bound by the store */
    /* The engine ended the last transaction through no fault of the work that ran: it can be run
     * again. Cleared by begin. */
    bool rerun;
    /* Commit failed because of a statement before it, see exec, and nothing was done. */
    bool late;
};

/* Finalizes every statement; none may be in use. For disconnecting, and to give memory back. */
void statement_cache_clear(struct store_connection *connection);

/* Names one of the engine's databases. */
struct store_place {
    struct id_text organization_id; /* "" is the control database */
};

#define STORE_UNFINISHED_MOVE                                                                      \
    "a move into this database did not come to its end: give `parley move` the same words again, " \
    "which goes on"
#define STORE_MARK_SIZE 65 /* letters and digits, and a NUL */

typedef enum status (*store_place_visit)(const struct store_place *place, void *arg,
                                         struct err *err);

struct store_driver {
    const char *name; /* config key and log field */
    /* All organizations share their tables, which a command migrates: opening only checks them. */
    bool migrated_apart;

    /* --- the whole. close accepts NULL and what a failed open left. */
    enum status (*open)(const struct store_config *config, struct store_backend **backend_out,
                        struct err *err);
    void (*close)(struct store_backend **backend);
    /* With config->alone: ST_CONFLICT when others may have it open by now, or had meanwhile. */
    enum status (*alone_check)(struct store_backend *backend, struct err *err);
    /* The mark of a move into it that is not finished; "": none. What is set is durable. open tells
     * ST_CONFLICT when there is one, unless config->allow_unfinished_move. */
    enum status (*mark_get)(struct store_backend *backend, char mark_out[STORE_MARK_SIZE],
                            struct err *err);
    enum status (*mark_set)(struct store_backend *backend, const char *mark, struct err *err);
    /* Bytes free for writing and bytes in use; -1: not known. */
    void (*measure)(struct store_backend *backend, int64_t *free_bytes_out,
                    int64_t *data_bytes_out);
    /* What store_clock gives. */
    struct clock *(*clock)(struct store_backend *backend);

    /* --- databases. ST_NOT_FOUND from open: there is none and create is false. */
    enum status (*database_open)(struct store_backend *backend, const struct store_place *place,
                                 bool create, struct store_database **database_out,
                                 struct err *err);
    void (*database_close)(struct store_database **database);
    /* Nobody uses it for now: gives back memory that can be had again. */
    void (*database_trim)(struct store_database *database);
    /* Nobody has it open. None there: ST_OK. */
    enum status (*database_delete)(struct store_backend *backend, const struct store_place *place,
                                   struct err *err);
    /* Every organization's database, in no order. */
    enum status (*database_list)(struct store_backend *backend, store_place_visit visit, void *arg,
                                 struct err *err);
    /* A consistent copy into a new file while others write, of this process or of another: the
     * database need not be open. ST_NOT_FOUND: there is none. */
    enum status (*database_copy)(struct store_backend *backend, const struct store_place *place,
                                 const char *path,
                                 void (*on_pages)(unsigned done, unsigned total, void *arg),
                                 void *arg, struct err *err);

    /* --- connections. take waits a bounded time for a reader: ST_BUSY. give ends nothing: the
     * transaction was ended before. */
    enum status (*take)(struct store_database *database, enum store_access access,
                        struct store_connection **connection_out, struct err *err);
    void (*give)(struct store_database *database, struct store_connection **connection);

    /* --- transactions. After begin failed there is none. */
    enum status (*begin)(struct store_connection *connection, enum store_access access,
                         const struct store_place *place, struct err *err);
    /* NULL: begin is as good. Begins a transaction that writes, and does not wait to hear of it:
     * that it could not begin shows as a failure of its first statement, or of its commit. */
    enum status (*begin_ahead)(struct store_connection *connection, const struct store_place *place,
                               struct err *err);
    /* ST_OK: visible to others; *ticket_out is what settle waits for so that this transaction and
     * all that it could see bear a loss of power, 0: they do. ST_UNCERTAIN: the outcome cannot be
     * learned. Else nothing was done. All end the transaction. */
    enum status (*commit)(struct store_connection *connection, enum store_durability durability,
                          int64_t *ticket_out, struct err *err);
    void (*rollback)(struct store_connection *connection);
    /* Before a rollback: the ticket of what the transaction could see. */
    int64_t (*seen)(struct store_connection *connection);
    /* False after the engine ended the transaction by itself: everything in it is undone. */
    bool (*in_transaction)(struct store_connection *connection);
    /* Grows whenever a statement of this connection changes a row; -1: not known, and a work that
     * failed is undone by a savepoint or not at all. */
    int64_t (*rows_changed)(struct store_connection *connection);
    /* One level deep: set, then either kept or undone. */
    enum status (*savepoint_set)(struct store_connection *connection, struct err *err);
    enum status (*savepoint_keep)(struct store_connection *connection, struct err *err);
    enum status (*savepoint_undo)(struct store_connection *connection, struct err *err);
    /* Waits until the commit with this ticket, and all before it, bear a loss of power. Many
     * threads may call it while the next transaction runs. ST_UNCERTAIN. */
    enum status (*settle)(struct store_database *database, int64_t ticket, struct err *err);

    /* --- schema, inside a writing transaction */
    enum status (*version_get)(struct store_connection *connection, int *version_out,
                               struct err *err);
    enum status (*version_set)(struct store_connection *connection, int version, struct err *err);
    enum status (*script)(struct store_connection *connection, struct str text, struct err *err);

    /* --- statements. prepare allocates; finalize frees. */
    enum status (*prepare)(struct store_connection *connection, const struct store_sql *sql,
                           struct store_statement **statement_out, struct err *err);
    void (*finalize)(struct store_statement **statement);
    /* Values for $first and on; borrowed until reset. */
    enum status (*bind)(struct store_statement *statement, unsigned first,
                        const struct store_value *values, size_t count, struct err *err);
    enum status (*step)(struct store_statement *statement, bool *row_out, struct err *err);
    /* Instead of step, when nobody asks for rows or changes. Where statements travel it may return
     * before the outcome is known, several of one statement may be run as one: any later call of
     * the transaction tells a failure then, savepoint_keep, or commit, at the latest. */
    enum status (*exec)(struct store_statement *statement, struct err *err);
    /* NULL: the engine is not far away, step is as good. Runs a bound statement whose rows are
     * wanted after collect; *number_out names them until the transaction ends. */
    enum status (*ask)(struct store_statement *statement, unsigned *number_out, struct err *err);
    /* Waits for the answers to all that was asked. */
    enum status (*collect)(struct store_connection *connection, struct err *err);
    /* The statement stands before the first of those rows, as if it had run. */
    void (*answer)(struct store_statement *statement, unsigned number);
    /* Rows that the statement, now at its end, inserted, changed or deleted. */
    int64_t (*changes)(struct store_statement *statement);
    void (*reset)(struct store_statement *statement);
    int64_t (*column_int)(struct store_statement *statement, int column);
    double (*column_real)(struct store_statement *statement, int column);
    struct str (*column_text)(struct store_statement *statement, int column);
    struct str (*column_blob)(struct store_statement *statement, int column);
    bool (*column_is_null)(struct store_statement *statement, int column);
};

extern const struct store_driver store_driver_sqlite;
extern const struct store_driver store_driver_pgsql;

#endif
