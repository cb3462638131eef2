/*
 * store.h - transactions bound to one tenant, statements written once, group commit
 *
 *   store_run(scope, work):  queued -> run by the tenant's leader, with all that wait
 *                            -> one commit, one fsync -> every caller returns; one that
 *                            fails undoes itself alone
 *
 * On SQLite every organization has a file of its own under <data>/tenants/ and control.db holds
 * what exists before a tenant is known; on PostgreSQL the same tables carry organization_id first
 * in every key. $1 in every tenant statement is the organization: the store binds it from the
 * scope, so a caller cannot name another. Callers' values begin at $2. (Control statements begin at
 * $1.)
 *
 * The work may run more than once, also after it returned ST_OK: it touches nothing but the
 * transaction and its own argument, and it sets its outputs anew each time. No HTTP, no stream, no
 * model call: it queues a job instead. After a statement failed the work gives up and returns that
 * status: PostgreSQL runs nothing more in it. What may well conflict says ON CONFLICT.
 * ST_OK from store_run means durable; whatever a durable work's outcome tells of others' works
 * ("it is known already") is on disk as well before it returns. A work does not call store_run: it
 * would wait for itself. Threads: shared. Blocks: every function but store_submit. Crash: what was
 * committed is there, nothing else.
 */
#ifndef PARLEY_STORE_STORE_H
#define PARLEY_STORE_STORE_H

#include "base/arena.h"
#include "base/clock.h"
#include "store/tenant_scope.h"

struct store;
struct store_tx;
struct store_rows;

struct store_config {
    const char *data_folder;     /* made when missing, mode 0700; not used with a server */
    const char *database_url;    /* of a PostgreSQL server; NULL or "": SQLite in data_folder */
    unsigned pool_size;          /* connections to it, default 16 */
    int statement_timeout_ms;    /* default 30000 */
    int connect_timeout_ms;      /* default 5000 */
    unsigned max_open_tenants;   /* files kept open, default 128 */
    unsigned readers_per_tenant; /* read connections, default 4 */
    bool allow_newer_schema;     /* even one that says it is not for us: never in production */
    /* No other process may have it open, now or until it is closed: ST_CONFLICT, and theirs are
     * told ST_UNAVAILABLE. A data folder is always open alone. */
    bool alone;
    bool allow_unfinished_move; /* what a move has not filled to its end is else ST_CONFLICT */
};

/* Takes a lock on the data folder: ST_CONFLICT when another process serves it. Migrates control.db;
 * a tenant's file is migrated when it is first opened. A server is served by many processes, and
 * must have been migrated: ST_CONFLICT; a schema that a newer build migrated is fine as long as it
 * says that older ones can work with it. ST_CONFLICT also when a move into it did not come to its
 * end. ST_DENIED: its role could see every organization. */
MUST_USE enum status store_open(const struct store_config *config, struct store **store_out,
                                struct err *err);
void store_close(struct store **store);

/* "control 1": called for each step that was applied. */
typedef void (*store_on_migration)(const char *step, void *context);

/* Brings a server's schema to this build's version and lets the role of config's database_url use
 * it. migration_url is of the tables' owner. Waits for another migration; safe while processes of
 * an older build serve. */
MUST_USE enum status store_migrate_server(const struct store_config *config,
                                          const char *migration_url, store_on_migration on_step,
                                          void *context, struct err *err);
/* The time that all processes of this store agree on: the server's, or this machine's. For what is
 * compared with times in rows. As long as the store. */
struct clock *store_clock(const struct store *store);
/* What a layer above keeps beside the store, for works that are given their transaction alone: set
 * once, before the first of them runs. NULL: none. */
void store_set_companion(struct store *store, void *companion);
void *store_companion(const struct store *store);
/* All organizations are on a server, together with what other processes do. */
bool store_is_shared(const struct store *store);

/* --- statements --- */

/* Static const, in a file named *_sql.h or *_sql.c. text is the dialect that SQLite >= 3.40 and
 * PostgreSQL >= 15 share; where they must differ text is NULL and the two stand side by side. */
struct store_sql {
    const char *name; /* in logs and metrics: "message_insert" */
    const char *text;
    const char *sqlite;
    const char *pgsql;
    /* Instead of pgsql, for store_ask: what was asked together runs as one statement. $1 stays, the
     * values from $2 on are arrays with an element for each ask, cast to their types. The first
     * column, of type bigint, is the number of the ask, from 1 (unnest ... WITH ORDINALITY), and is
     * not the caller's; the others are what one ask gives. No more than a row for each ask, and
     * what is done is what one after the other would do, in their order. */
    const char *pgsql_many;
    /* A tenant statement that has no place for $1 (control of a full-text table); any other tenant
     * statement that does not name $1 is refused. Callers' values begin at $2 here, too. */
    bool without_organization;
};

enum store_value_kind { STORE_NULL, STORE_INT, STORE_TEXT, STORE_BLOB, STORE_REAL };

struct store_value {
    enum store_value_kind kind;
    int64_t integer;
    double real;
    struct str bytes; /* borrowed until the call returns */
};

static inline struct store_value
sv_int(int64_t integer)
{
    return (struct store_value){.kind = STORE_INT, .integer = integer};
}
/* A view without pointer is NULL; an empty one with a pointer is ''. */
static inline struct store_value
sv_text(struct str text)
{
    return (struct store_value){.kind = text.ptr == NULL ? STORE_NULL : STORE_TEXT, .bytes = text};
}
static inline struct store_value
sv_blob(struct str bytes)
{
    return (struct store_value){.kind = bytes.ptr == NULL ? STORE_NULL : STORE_BLOB,
                                .bytes = bytes};
}
static inline struct store_value
sv_real(double real)
{
    return (struct store_value){.kind = STORE_REAL, .real = real};
}
static inline struct store_value
sv_null(void)
{
    return (struct store_value){.kind = STORE_NULL};
}
/* None is NULL. The id must outlive the call: pass a variable, not a temporary. */
#define sv_id(id_struct)                                                                           \
    ((id_struct).id.text[0] == '\0' ? sv_null() : sv_text(id_str(&(id_struct).id)))

/* The caller's values, $2 and on: store_exec(tx, &SQL, ARGS(sv_id(id), sv_int(3)), &n, err) */
#define ARGS(...)                                                                                  \
    (const struct store_value[]){__VA_ARGS__},                                                     \
        sizeof((const struct store_value[]){__VA_ARGS__}) / sizeof(struct store_value)
#define NO_ARGS NULL, 0

/* Runs a statement without result rows. changed_out: rows inserted, changed, deleted.
 * ST_CONFLICT: a unique key exists already. With NULL nobody waits for the outcome where statements
 * travel to a server: a failure may be told by any later call of the work, or by store_run alone.
 */
MUST_USE enum status store_exec(struct store_tx *tx, const struct store_sql *sql,
                                const struct store_value *args, size_t arg_count,
                                int64_t *changed_out, struct err *err);

/* Opens a cursor; close it before the work returns. Works for SELECT and for ... RETURNING. */
MUST_USE enum status store_query(struct store_tx *tx, const struct store_sql *sql,
                                 const struct store_value *args, size_t arg_count,
                                 struct store_rows **rows_out, struct err *err);
/* True: the row's columns can be read. False: end or error; store_rows_close tells which. */
bool store_rows_next(struct store_rows *rows);
/* Columns count from 0; texts are borrowed until the next row. NULL reads as 0 or a view without
 * pointer. */
int64_t store_col_int(struct store_rows *rows, int column);
double store_col_real(struct store_rows *rows, int column);
struct str store_col_text(struct store_rows *rows, int column);
struct str store_col_blob(struct store_rows *rows, int column);
bool store_col_is_null(struct store_rows *rows, int column);
/* Copies an id column; none for NULL. */
struct id_text store_col_id(struct store_rows *rows, int column);
#define STORE_COL_ID(rows, column, kind) ((struct kind){store_col_id((rows), (column))})
/* Accepts NULL. What went wrong while stepping, or ST_OK. */
MUST_USE enum status store_rows_close(struct store_rows **rows, struct err *err);
/* The same when another failure is already on its way up, and is the one to tell. */
void store_rows_drop(struct store_rows **rows);

/* For statements that give at most one row: opens, steps once. ST_NOT_FOUND: no row, and *rows_out
 * is NULL. Otherwise read the columns, then close. */
MUST_USE enum status store_query_one(struct store_tx *tx, const struct store_sql *sql,
                                     const struct store_value *args, size_t arg_count,
                                     struct store_rows **rows_out, struct err *err);

/* The same for a statement that stands for itself: whatever the works beside it do, it does all
 * that it is to do, and its row stays true until this work ends. While a work has run nothing else,
 * works that share a commit on a server are asked together: ST_BUSY then, to be returned like any
 * failure, and the work is run again when the row is there, with the same calls up to this one. At
 * most STORE_ASKS_MAX of them come together, in turn. */
#define STORE_ASKS_MAX 4
MUST_USE enum status store_ask(struct store_tx *tx, const struct store_sql *sql,
                               const struct store_value *args, size_t arg_count,
                               struct store_rows **rows_out, struct err *err);

/* For a work whose effects must not come before those of works of its lane that came before it:
 * called before anything else. ST_BUSY: one of them waits for what it asked; to be returned, and
 * the work is run again. Those of one step do not wait for each other: the first thing that they do
 * is to ask one statement, which serves them in turn. lane: a hash, 0 for none; step: 0, it waits
 * for any. */
MUST_USE enum status store_await_lane(struct store_tx *tx, uint64_t lane, unsigned step,
                                      struct err *err);

/* --- transactions --- */

typedef enum status (*store_work)(struct store_tx *tx, void *arg, struct err *err);

enum store_durability {
    STORE_DURABLE, /* fsynced before the call returns */
    STORE_RELAXED  /* may be lost with the machine's power, never with the process: leases, marks */
};

/* Runs work in one transaction of the scope's organization; any status but ST_OK undoes what this
 * work did, and only that. name is a literal; it appears in logs and metrics.
 * ST_UNAVAILABLE: disk full, store closing; nothing was done. ST_UNCERTAIN: the commit's outcome
 * could not be learned. */
MUST_USE enum status store_run(struct store *store, const struct tenant_scope *scope,
                               const char *name, enum store_durability durability, store_work work,
                               void *arg, struct err *err);

typedef void (*store_done)(enum status status, struct err *err, void *context);

/* The same without waiting: done is called once, after the transaction's hooks, with what store_run
 * would have returned, on a thread that it must not block; it may submit again. scope, arg and
 * arena live until then; nobody else uses the arena meanwhile. */
void store_submit(struct store *store, const struct tenant_scope *scope, const char *name,
                  enum store_durability durability, store_work work, void *arg, struct arena *arena,
                  store_done done, void *context);

/* The same as store_run on a consistent snapshot, beside the writer, for reading only. */
MUST_USE enum status store_read(struct store *store, const struct tenant_scope *scope,
                                const char *name, store_work work, void *arg, struct err *err);

/* The control database: organizations, channel directory, logins, keys. Only src/tenant/ uses it.
 */
MUST_USE enum status store_control_run(struct store *store, const char *name, store_work work,
                                       void *arg, struct err *err);
/* The same without waiting for the disk: marks that may be lost with the machine's power. */
MUST_USE enum status store_control_note(struct store *store, const char *name, store_work work,
                                        void *arg, struct err *err);
MUST_USE enum status store_control_read(struct store *store, const char *name, store_work work,
                                        void *arg, struct err *err);

/* Called once after the transaction is durable, on the thread that called store_run, or on the one
 * that calls done; never when it was undone. For wake-ups: must not block and must bear being lost.
 * payload is copied. */
typedef void (*store_commit_hook)(const struct tenant_scope *scope, struct str payload,
                                  void *context);
void store_tx_on_commit(struct store_tx *tx, store_commit_hook hook, void *context,
                        struct str payload);

/* The scope of a tenant transaction; aborts on a control transaction. */
const struct tenant_scope *store_tx_scope(struct store_tx *tx);
struct store *store_tx_store(struct store_tx *tx);
/* Memory that ends with the transaction. */
struct arena *store_tx_arena(struct store_tx *tx);

/* --- tenants as files --- */

/* Makes and migrates the database of a new organization; doing it again is ST_OK. */
MUST_USE enum status store_tenant_create(struct store *store, const struct tenant_scope *scope,
                                         struct err *err);
/* Removes it with everything in it. */
MUST_USE enum status store_tenant_delete(struct store *store, const struct tenant_scope *scope,
                                         struct err *err);

struct store_progress {
    const char *what; /* "control.db", or an organization's id */
    unsigned done, total;
};
typedef void (*store_on_progress)(const struct store_progress *progress, void *context);

/* A consistent copy of every database while running, by the online backup interface, into a new
 * folder; a manifest with checksums is written last. ST_CONFLICT: the folder exists. */
MUST_USE enum status store_backup(struct store *store, const char *folder,
                                  store_on_progress on_progress, void *context, struct err *err);
/* The same without an open store: another process may serve the folder meanwhile, or none.
 * objects_folder (may be NULL, and need not exist): files that never change once they have their
 * name, copied as blobs/ after the databases, so that every object that a row names is there;
 * whoever deletes some respects its .hold, which is locked meanwhile. ST_NOT_FOUND: that is no data
 * folder. */
MUST_USE enum status store_backup_folder(const char *data_folder, const char *objects_folder,
                                         const char *folder, store_on_progress on_progress,
                                         void *context, struct err *err);
/* Checks the manifest and puts the copy in place as data_folder, which must not exist or be empty.
 * No store may be open on it. */
MUST_USE enum status store_restore(const char *folder, const char *data_folder,
                                   store_on_progress on_progress, void *context, struct err *err);

struct store_health {
    bool writable;
    int64_t free_disk_bytes; /* -1: not known */
    int64_t data_bytes;      /* all databases with their logs; -1: not known */
    unsigned open_tenants;
    int64_t commits, works, fsyncs; /* since start: works / commits is the group's size */
};
void store_get_health(struct store *store, struct store_health *health_out);

#endif
