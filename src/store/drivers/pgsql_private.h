/*
 * pgsql_private.h - what the files of the PostgreSQL driver share
 *
 *   take --> begin --> statements --> commit --> give          one connection, from the pool
 *              ^          |              |
 *              |          +- lost -------+--> what became of the commit is asked on a new one
 *              '-- opened anew when it was lost, or fails its check
 *
 * One pool of connections serves all organizations: begin binds a transaction to one, by a setting
 * that the policies of row-level security read. A transaction that writes takes a lock of its
 * organization first, so that writers of several processes come one after the other, as they do in
 * a file of SQLite; different organizations never wait for each other.
 *
 * Every exchange with the server is a pipeline: commands are sent together, answers are read
 * together, within a deadline. A begin travels with the first statement where the caller does not
 * have to know, as for a batch of works. Savepoints are only noted, and sent in front of what comes
 * next. Writes whose outcome nobody asks for are sent and not waited for: the next exchange reads
 * their answers, that of savepoint_keep or commit at the latest. Asks and writes of a statement
 * with a form for many are gathered, and sent as one run in front of whatever comes next.
 *
 * COMMIT does not wait for the disk, so that the next writer of the organization has its lock:
 * settle does, see pgsql_flush.c.
 */
#ifndef PARLEY_STORE_DRIVERS_PGSQL_PRIVATE_H
#define PARLEY_STORE_DRIVERS_PGSQL_PRIVATE_H

#include <libpq-fe.h>
#include <limits.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/clock.h"
#include "store/store_driver.h"

#define PGSQL_ANSWERS_MAX 8
#define PGSQL_PENDING_MAX 4
#define PGSQL_ENTER_MAX 4
#define PGSQL_ASKED_MAX 512
#define PGSQL_PARAMETERS_MAX 32
#define PGSQL_LIFE_SIZE 64
#define PGSQL_VERSION_MIN 150000

enum pgsql_state {
    PGSQL_IDLE,   /* no transaction */
    PGSQL_OPEN,   /* in one */
    PGSQL_FAILED, /* in one in which a statement failed: the server runs nothing more in it */
};

struct pgsql_statement;

struct pgsql_connection {
    struct store_connection common; /* first */
    struct store_backend *backend;
    PGconn *pg; /* NULL: to be opened */
    struct pgsql_connection *next_idle;
    enum pgsql_state state;
    enum store_access access;
    int64_t changed;            /* for rows_changed */
    int64_t answered_us;        /* when the server last answered */
    bool wrote;                 /* this transaction; or it has tried to */
    char transaction_id[24];    /* "": not known yet, or it has written nothing */
    char life[PGSQL_LIFE_SIZE]; /* of the server, see PGSQL_OUTCOME */
    unsigned entering; /* commands of a begin that was not waited for: the first since the sync */
    int64_t entering_at_us;
    PGresult *entered[PGSQL_ENTER_MAX];     /* their answers */
    const char *pending[PGSQL_PENDING_MAX]; /* commands to send in front of the next */
    unsigned pending_count;
    unsigned commands;         /* sent since the last sync */
    struct pgsql_asked *asked; /* PGSQL_ASKED_MAX, by ask in this transaction; NULL: none ever */
    unsigned asked_count, asked_read;
    struct pgsql_statement *gathering; /* all that is gathered is of it; NULL: nothing */
    unsigned opened;                   /* how often: statements of an earlier time are gone */
    uint64_t begun, replan_at;         /* transactions of this session; see pgsql_transaction.c */
    unsigned names;                    /* of statements, ever prepared */
    struct pgsql_name *unused;         /* prepared statements that the server may forget */
};

/* What a transaction asked for: its answer comes with that of the command, counted from the last
 * sync. */
struct pgsql_asked {
    unsigned command; /* PGSQL_NOT_SENT */
    PGresult *answer;
    bool many, shares; /* its answer has those of other asks, too; the first of them has it */
    unsigned element;  /* of many: its place in the arrays, from 1 */
    int row;           /* of many: its row, or -1 */
};
#define PGSQL_NOT_SENT UINT_MAX

/* Asks and writes of one statement on their way into one run: an array for each of its parameters.
 */
struct pgsql_gathered {
    unsigned count;       /* elements */
    unsigned first, asks; /* the number of the first; they follow each other */
    struct buf columns[PGSQL_PARAMETERS_MAX];
    Oid types[PGSQL_PARAMETERS_MAX]; /* of elements; 0: only NULLs yet */
    bool nulls[PGSQL_PARAMETERS_MAX];
};

/* A statement's name on the server. */
struct pgsql_name {
    struct pgsql_name *next;
    char text[16];
};

/* See pgsql_flush.c. */
struct pgsql_flush {
    pthread_mutex_t lock; /* guards the fields down to flushing */
    pthread_cond_t ended;
    char life[PGSQL_LIFE_SIZE]; /* of the server that gave the last ticket's commit */
    int64_t given;              /* tickets, the last one's number */
    int64_t flushed, lost;      /* up to this one; lost is stronger */
    bool flushing;
    struct pgsql_connection *connection; /* of whoever set flushing; NULL: none yet */
};

struct store_backend {
    char *url;           /* frozen, like all down to the time-outs */
    struct clock *clock; /* follows the server's */
    unsigned pool_size;
    bool bare;   /* the schema may not be there: sessions can look and migrate, not begin */
    bool shares; /* its sessions keep others from being alone */
    struct pgsql_connection *guard; /* of a backend that is alone; NULL: it is not */
    int statement_timeout_ms, connect_timeout_s;
    int64_t outcome_wait_us; /* how long the outcome of a commit without an answer is asked for */

    pthread_mutex_t lock; /* guards the fields down to measured_bytes */
    pthread_cond_t given;
    struct pgsql_connection *idle;
    unsigned count;
    int64_t down_until_us; /* a connection could not be made: nobody tries before */
    int64_t measured_at_us, measured_bytes;

    struct pgsql_flush flush;
};

struct store_database {
    struct store_backend *backend;
    bool is_control;
};

/* pgsql_connection.c */

/* A connection made or failed, as PQstatus tells; PQfinish it. */
PGconn *pgsql_dial(const char *url, int connect_timeout_s);
/* What an SQLSTATE asks of the caller. */
enum status pgsql_status_of(const char *code);

/* A new session in place of the one there was, if any. */
MUST_USE enum status pgsql_connect(struct pgsql_connection *connection, struct err *err);
/* What every transaction begins with; pgsql_connect does it, too, unless the backend is bare. */
MUST_USE enum status pgsql_prepare_known(struct pgsql_connection *connection, struct err *err);
/* The session is over; in a transaction nothing of it was done. */
void pgsql_disconnect(struct pgsql_connection *connection);
/* Sends a command without parameters, or with count texts. Failures show in pgsql_answers. */
void pgsql_send(struct pgsql_connection *connection, const char *text, unsigned count,
                const char *const *values);
/* The same for one that pgsql_connect prepared under this name. */
void pgsql_send_known(struct pgsql_connection *connection, const char *name, unsigned count,
                      const char *const *values);
/* Waits for the answers to all that was sent, the last count of which are the caller's then, also
 * after a failure: PQclear each, NULL or not. The first failure is told. */
MUST_USE enum status pgsql_answers(struct pgsql_connection *connection, const char *what,
                                   PGresult **answers, unsigned count, struct err *err);
/* One command, its answer in text. */
MUST_USE enum status pgsql_ask(struct pgsql_connection *connection, const char *text,
                               unsigned count, const char *const *values, PGresult **answer_out,
                               struct err *err);
/* Reads the answers to what was sent and not waited for. */
MUST_USE enum status pgsql_catch_up(struct pgsql_connection *connection, struct err *err);
/* The same; and asks for the transaction's id when it has written and its id is not known. */
MUST_USE enum status pgsql_catch_up_with_id(struct pgsql_connection *connection, struct err *err);
void pgsql_forget_asked(struct pgsql_connection *connection);
/* To be sent in front of the next. */
void pgsql_put_off(struct pgsql_connection *connection, const char *command);

/* pgsql_pool.c */
enum status pgsql_take(struct store_database *database, enum store_access access,
                       struct store_connection **connection_out, struct err *err);
void pgsql_give(struct store_database *database, struct store_connection **connection);
/* Opens it unless it is open and answers; at once ST_UNAVAILABLE shortly after a failure. */
MUST_USE enum status pgsql_ready(struct pgsql_connection *connection, struct err *err);
struct pgsql_connection *pgsql_connection_create(struct store_backend *backend);
void pgsql_connection_destroy(struct pgsql_connection **connection);

/* pgsql_transaction.c */
enum status pgsql_begin(struct store_connection *connection, enum store_access access,
                        const struct store_place *place, struct err *err);
enum status pgsql_begin_ahead(struct store_connection *connection, const struct store_place *place,
                              struct err *err);
/* Of a begin that was not waited for, once the answers are there. */
MUST_USE enum status pgsql_entered(struct pgsql_connection *connection, struct err *err);
enum status pgsql_commit(struct store_connection *connection, enum store_durability durability,
                         int64_t *ticket_out, struct err *err);
void pgsql_rollback(struct store_connection *connection);
int64_t pgsql_seen(struct store_connection *connection);
bool pgsql_in_transaction(struct store_connection *connection);
int64_t pgsql_rows_changed(struct store_connection *connection);
enum status pgsql_savepoint_set(struct store_connection *connection, struct err *err);
enum status pgsql_savepoint_keep(struct store_connection *connection, struct err *err);
enum status pgsql_savepoint_undo(struct store_connection *connection, struct err *err);

/* pgsql_flush.c */
int64_t pgsql_seen(struct store_connection *connection);
enum status pgsql_settle(struct store_database *database, int64_t ticket, struct err *err);

/* pgsql_statement.c */
enum status pgsql_prepare(struct store_connection *connection, const struct store_sql *sql,
                          struct store_statement **statement_out, struct err *err);
void pgsql_finalize(struct store_statement **statement);
enum status pgsql_bind(struct store_statement *statement, unsigned first,
                       const struct store_value *values, size_t count, struct err *err);
enum status pgsql_step(struct store_statement *statement, bool *row_out, struct err *err);
enum status pgsql_exec(struct store_statement *statement, struct err *err);
enum status pgsql_ask_ahead(struct store_statement *statement, unsigned *number_out,
                            struct err *err);
enum status pgsql_collect(struct store_connection *connection, struct err *err);
void pgsql_answer(struct store_statement *statement, unsigned number);
int64_t pgsql_changes(struct store_statement *statement);
void pgsql_reset(struct store_statement *statement);
int64_t pgsql_column_int(struct store_statement *statement, int column);
double pgsql_column_real(struct store_statement *statement, int column);
struct str pgsql_column_text(struct store_statement *statement, int column);
bool pgsql_column_is_null(struct store_statement *statement, int column);

/* Sends what was gathered: before anything else, so that all happens in its order. */
MUST_USE enum status pgsql_send_gathered(struct pgsql_connection *connection, struct err *err);
void pgsql_drop_gathered(struct pgsql_connection *connection);

/* pgsql_many.c */
struct pgsql_gathered *pgsql_gathered_create(void);
void pgsql_gathered_destroy(struct pgsql_gathered **gathered);
void pgsql_gathered_clear(struct pgsql_gathered *gathered);
/* Of the types of those that are there. */
bool pgsql_gathered_fits(const struct pgsql_gathered *gathered, const struct store_value *values,
                         unsigned count);
/* Values are copied, as elements of the parameters 0 to count - 1; they fit. */
void pgsql_gathered_add(struct pgsql_gathered *gathered, const struct store_value *values,
                        unsigned count);
/* The array in binary, until the next call; ready once its type is known. */
struct str pgsql_gathered_array(struct pgsql_gathered *gathered, unsigned parameter,
                                Oid array_type);
/* 0: of NULLs. */
Oid pgsql_gathered_type(const struct pgsql_gathered *gathered, unsigned parameter);
Oid pgsql_type_of(const struct store_value *value); /* 0: of NULL */
/* Says which row is whose: asked are those that shared the answer. */
void pgsql_share_rows(struct pgsql_asked *asked, unsigned count);

/* pgsql_column.c */

/* Of an answer in binary. NULL gives 0, or the view without pointer. */
int64_t pgsql_value_int(const PGresult *result, int row, int column);
double pgsql_value_real(const PGresult *result, int row, int column);
/* Numbers are written into number. */
struct str pgsql_value_text(const PGresult *result, int row, int column, char number[32]);

/* pgsql_schema.c */
enum status pgsql_version_get(struct store_connection *connection, int *version_out,
                              struct err *err);
enum status pgsql_version_set(struct store_connection *connection, int version, struct err *err);
enum status pgsql_script(struct store_connection *connection, struct str text, struct err *err);
/* The server, the role and the schema are what serving needs. */
MUST_USE enum status pgsql_check(struct pgsql_connection *connection,
                                 const struct store_config *config, struct err *err);

/* pgsql.c */
struct store_backend *pgsql_backend_create(const struct store_config *config, const char *url);
void pgsql_backend_close(struct store_backend **backend);

#endif
