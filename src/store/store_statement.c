/*
 * store_statement.c - what a work may call: statements, kept prepared per connection, and cursors
 *
 * A cursor is the statement itself, marked as in use, so that running one allocates nothing.
 * Opening the same text again inside its own cursor prepares a second statement beside the first.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_private.h"
#include "store/tenant_scope_driver.h"

/* What callers see: the driver's statement, of which the front knows the first member. */
struct store_rows {
    struct store_statement statement;
};

static unsigned
bucket_of(const struct store_sql *sql)
{
    /* Statement tables are static: their addresses differ, in steps of their size. */
    return (unsigned)((((uintptr_t)sql >> 3) * UINT64_C(0x9E3779B97F4A7C15)) >> 58) %
           STATEMENT_BUCKETS;
}

static void
give_up_oldest(struct store_connection *connection)
{
    struct statement_cache *cache = &connection->statements;
    struct store_statement **oldest = NULL;
    struct store_statement *statement;

    for (unsigned i = 0; i < STATEMENT_BUCKETS; i++) {
        for (struct store_statement **at = &cache->buckets[i]; *at != NULL; at = &(*at)->next) {
            if (!(*at)->in_use && (oldest == NULL || (*at)->used_at < (*oldest)->used_at))
                oldest = at;
        }
    }
    if (oldest == NULL)
        return;
    statement = *oldest;
    *oldest = statement->next;
    cache->count--;
    connection->driver->finalize(&statement);
}

void
statement_cache_clear(struct store_connection *connection)
{
    struct statement_cache *cache = &connection->statements;

    assert(cache->in_use == 0);
    for (unsigned i = 0; i < STATEMENT_BUCKETS; i++) {
        while (cache->buckets[i] != NULL) {
            struct store_statement *statement = cache->buckets[i];

            cache->buckets[i] = statement->next;
            connection->driver->finalize(&statement);
        }
    }
    cache->count = 0;
}

static enum status
prepare(struct store_connection *connection, const struct store_sql *sql,
        struct store_statement **statement_out, struct err *err)
{
    struct statement_cache *cache = &connection->statements;
    struct store_statement *statement = NULL;
    unsigned bucket = bucket_of(sql);
    enum status st;

    if (cache->count >= STATEMENT_MAX_KEPT)
        give_up_oldest(connection);
    st = connection->driver->prepare(connection, sql, &statement, err);
    if (st != ST_OK)
        return err_wrap(err, "prepare %s", sql->name);
    if (!connection->is_control && !statement->names_organization && !sql->without_organization) {
        connection->driver->finalize(&statement);
        return err_set_detail(err, ST_INTERNAL, "%s does not name its organization as $1",
                              sql->name);
    }
    statement->sql = sql;
    statement->connection = connection;
    statement->next = cache->buckets[bucket];
    cache->buckets[bucket] = statement;
    cache->count++;
    *statement_out = statement;
    return ST_OK;
}

static enum status
find_statement(struct store_connection *connection, const struct store_sql *sql,
               struct store_statement **statement_out, struct err *err)
{
    struct store_statement *statement = connection->statements.buckets[bucket_of(sql)];
    enum status st = ST_OK;

    while (statement != NULL && (statement->sql != sql || statement->in_use))
        statement = statement->next;
    if (statement == NULL)
        st = prepare(connection, sql, &statement, err);
    if (st != ST_OK)
        return st;
    assert(statement != NULL);
    statement->used_at = ++connection->statements.clock;
    *statement_out = statement;
    return ST_OK;
}

static void
hold_statement(struct store_statement *statement)
{
    statement->in_use = true;
    statement->at_end = false;
    statement->connection->statements.in_use++;
}

static enum status
take_statement(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
               size_t arg_count, struct store_statement **statement_out, struct err *err)
{
    const struct store_driver *driver = tx->connection->driver;
    struct store_statement *statement = NULL;
    unsigned first = tx->scope == NULL ? 1 : 2;
    enum status st = find_statement(tx->connection, sql, &statement, err);

    if (st != ST_OK)
        return st;
    assert(statement != NULL);
    if (arg_count + first - 1 != statement->parameters &&
        !(sql->without_organization && arg_count == 0 && statement->parameters == 0))
        return err_set_detail(err, ST_INTERNAL, "%s: %zu values for parameters $%u to $%u",
                              sql->name, arg_count, first, statement->parameters);
    if (tx->scope != NULL && statement->names_organization) {
        struct store_value organization = sv_id(tx->scope->organization_id);

        st = driver->bind(statement, 1, &organization, 1, err);
    }
    if (st == ST_OK && arg_count > 0)
        st = driver->bind(statement, first, args, arg_count, err);
    if (st != ST_OK) {
        driver->reset(statement);
        return err_wrap(err, "%s", sql->name);
    }
    hold_statement(statement);
    *statement_out = statement;
    return ST_OK;
}

static void
give_statement(struct store_statement *statement)
{
    struct store_connection *connection;

    assert(statement != NULL);
    connection = statement->connection;
    connection->driver->reset(statement);
    statement->in_use = false;
    connection->statements.in_use--;
}

enum status
store_exec(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
           size_t arg_count, int64_t *changed_out, struct err *err)
{
    struct store_statement *statement = NULL;
    bool row = true;
    enum status st = take_statement(tx, sql, args, arg_count, &statement, err);

    tx->ran = true;
    if (st != ST_OK)
        return st;
    if (changed_out == NULL)
        st = tx->connection->driver->exec(statement, err);
    while (changed_out != NULL && st == ST_OK && row)
        st = tx->connection->driver->step(statement, &row, err);
    if (st == ST_OK && changed_out != NULL)
        *changed_out = tx->connection->driver->changes(statement);
    give_statement(statement);
    return st == ST_OK ? ST_OK : err_wrap(err, "%s", sql->name);
}

enum status
store_query(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
            size_t arg_count, struct store_rows **rows_out, struct err *err)
{
    struct store_statement *statement = NULL;
    enum status st = take_statement(tx, sql, args, arg_count, &statement, err);

    tx->ran = true;
    *rows_out = (struct store_rows *)statement;
    return st;
}

bool
store_rows_next(struct store_rows *rows)
{
    struct store_statement *statement = &rows->statement;
    bool row = false;
    struct err err;

    assert(rows != NULL);
    if (statement->at_end)
        return false;
    if (statement->connection->driver->step(statement, &row, &err) != ST_OK) {
        statement->failure = malloc(sizeof(err));
        if (statement->failure == NULL)
            abort();
        *statement->failure = err;
        row = false;
    }
    statement->at_end = !row;
    return row;
}

enum status
store_rows_close(struct store_rows **rows, struct err *err)
{
    struct store_statement *statement = (struct store_statement *)*rows;
    enum status st = ST_OK;

    if (statement == NULL)
        return ST_OK;
    *rows = NULL;
    if (statement->failure != NULL) {
        *err = *statement->failure;
        st = err_wrap(err, "%s", statement->sql->name);
        free(statement->failure);
        statement->failure = NULL;
    }
    give_statement(statement);
    return st;
}

void
store_rows_drop(struct store_rows **rows)
{
    struct err ignored;
    enum status st = store_rows_close(rows, &ignored);

    (void)st;
}

/* Of rows just opened: ST_NOT_FOUND closes them. */
static enum status
first_row(struct store_rows **rows, struct err *err)
{
    enum status st;

    if (store_rows_next(*rows))
        return ST_OK;
    st = store_rows_close(rows, err);
    return st == ST_OK ? err_set(err, ST_NOT_FOUND, "not found") : st;
}

enum status
store_query_one(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
                size_t arg_count, struct store_rows **rows_out, struct err *err)
{
    enum status st = store_query(tx, sql, args, arg_count, rows_out, err);

    return st == ST_OK ? first_row(rows_out, err) : st;
}

static enum status
ask(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
    size_t arg_count, struct err *err)
{
    struct store_statement *statement = NULL;
    unsigned number;
    enum status st = take_statement(tx, sql, args, arg_count, &statement, err);

    if (st != ST_OK)
        return st;
    assert(statement != NULL);
    st = tx->connection->driver->ask(statement, &number, err);
    give_statement(statement);
    if (st != ST_OK)
        return err_wrap(err, "%s", sql->name);
    tx->asks->numbers[tx->asks->count++] = number;
    return err_set_detail(err, ST_BUSY, "%s is asked", sql->name);
}

enum status
store_ask(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
          size_t arg_count, struct store_rows **rows_out, struct err *err)
{
    struct store_statement *statement = NULL;
    unsigned turn = tx->asked;
    enum status st;

    *rows_out = NULL;
    if (tx->ran || tx->asks == NULL || turn >= STORE_ASKS_MAX)
        return store_query_one(tx, sql, args, arg_count, rows_out, err);
    tx->asked++;
    if (turn >= tx->asks->answered)
        return ask(tx, sql, args, arg_count, err);
    st = find_statement(tx->connection, sql, &statement, err);
    if (st != ST_OK)
        return st;
    assert(statement != NULL);
    tx->connection->driver->answer(statement, tx->asks->numbers[turn]);
    hold_statement(statement);
    *rows_out = (struct store_rows *)statement;
    return first_row(rows_out, err);
}

enum status
store_await_lane(struct store_tx *tx, uint64_t lane, unsigned step, struct err *err)
{
    assert(!tx->ran && (tx->asks == NULL || tx->asked == 0));
    if (tx->asks == NULL || lane == 0)
        return ST_OK;
    return commit_await_lane(tx->work, tx->batch, lane, step, err);
}

int64_t
store_col_int(struct store_rows *rows, int column)
{
    return rows->statement.connection->driver->column_int(&rows->statement, column);
}

double
store_col_real(struct store_rows *rows, int column)
{
    return rows->statement.connection->driver->column_real(&rows->statement, column);
}

struct str
store_col_text(struct store_rows *rows, int column)
{
    return rows->statement.connection->driver->column_text(&rows->statement, column);
}

struct str
store_col_blob(struct store_rows *rows, int column)
{
    return rows->statement.connection->driver->column_blob(&rows->statement, column);
}

bool
store_col_is_null(struct store_rows *rows, int column)
{
    return rows->statement.connection->driver->column_is_null(&rows->statement, column);
}

/* Ids in the database were made by us: one of another length is damage. */
struct id_text
store_col_id(struct store_rows *rows, int column)
{
    struct str text = store_col_text(rows, column);
    struct id_text id = {""};

    if (text.ptr == NULL)
        return id;
    assert(text.len <= ID_TEXT_LEN);
    memcpy(id.text, text.ptr, text.len);
    return id;
}

const struct tenant_scope *
store_tx_scope(struct store_tx *tx)
{
    assert(tx->scope != NULL);
    return tx->scope;
}

struct store *
store_tx_store(struct store_tx *tx)
{
    return tx->store;
}

struct arena *
store_tx_arena(struct store_tx *tx)
{
    if (*tx->arena_ref == NULL)
        *tx->arena_ref = arena_create(TX_ARENA_MAX_BYTES);
    return *tx->arena_ref;
}

void
store_tx_on_commit(struct store_tx *tx, store_commit_hook hook, void *context, struct str payload)
{
    assert(tx->hooks != NULL); /* a reading transaction changes nothing to tell about */
    commit_hooks_add(tx->hooks, hook, context, payload);
}

static void
check_cursors(struct store_tx *tx)
{
    struct statement_cache *cache = &tx->connection->statements;

    if (cache->in_use == 0)
        return;
    for (unsigned i = 0; i < STATEMENT_BUCKETS; i++) {
        for (struct store_statement *at = cache->buckets[i]; at != NULL; at = at->next) {
            if (at->in_use)
                (void)fprintf(stderr, "store: %s left a cursor of %s open\n", tx->name,
                              at->sql->name);
        }
    }
    abort();
}

enum status
store_tx_run(struct store_tx *tx, store_work work, void *arg, struct err *err)
{
    enum status st;

    if (*tx->arena_ref != NULL)
        arena_reset(*tx->arena_ref);
    st = work(tx, arg, err);
    check_cursors(tx);
    return st;
}
