/*
 * fake_driver_test_support.c - see the header
 */
#include "store/fake_driver_test_support.h"

#include "base/testing.h"

struct store_database *
fake_of(struct store_connection *connection)
{
    return (struct store_database *)((char *)connection -
                                     offsetof(struct store_database, connection));
}

static enum status
fake_take(struct store_database *fake, enum store_access access, struct store_connection **out,
          struct err *err)
{
    (void)access;
    *out = &fake->connection;
    return fake->take_fails_with == ST_OK ? ST_OK : err_set(err, fake->take_fails_with, "take");
}

static void
fake_give(struct store_database *fake, struct store_connection **connection)
{
    assert_false(fake->open);
    *connection = NULL;
}

static enum status
fake_begin(struct store_connection *connection, enum store_access access,
           const struct store_place *place, struct err *err)
{
    struct store_database *fake = fake_of(connection);

    (void)access;
    (void)place;
    assert_false(fake->open);
    if (fake->begin_fails_with != ST_OK)
        return err_set(err, fake->begin_fails_with, "begin");
    fake->begins++;
    fake->open = true;
    fake->late = connection->late = false;
    fake->row_count = 0;
    fake->asked_count = fake->answered = 0;
    return ST_OK;
}

static int64_t
fake_seen(struct store_connection *connection)
{
    const struct store_database *fake = fake_of(connection);

    return fake->tickets > atomic_load(&fake->settled) ? fake->tickets : 0;
}

static enum status
fake_commit(struct store_connection *connection, enum store_durability durability, int64_t *ticket,
            struct err *err)
{
    struct store_database *fake = fake_of(connection);

    (void)durability;
    assert_true(fake->open);
    fake->open = false;
    *ticket = 0;
    connection->late = fake->late;
    if (fake->late)
        return err_set(err, ST_CONFLICT, "late");
    if (++fake->commit_calls == fake->fail_commit_at)
        return err_set(err, fake->commit_fails_with, "commit");
    for (int i = 0; i < fake->row_count; i++)
        fake->committed[fake->committed_count++] = fake->rows[i];
    if (fake->row_count > 0)
        fake->tickets++;
    *ticket = fake_seen(connection);
    return ST_OK;
}

static void
fake_rollback(struct store_connection *connection)
{
    fake_of(connection)->open = false;
}

static bool
fake_in_transaction(struct store_connection *connection)
{
    return fake_of(connection)->open;
}

static int64_t
fake_rows_changed(struct store_connection *connection)
{
    return fake_of(connection)->changed;
}

static enum status
fake_savepoint_set(struct store_connection *connection, struct err *err)
{
    (void)err;
    fake_of(connection)->savepoints++;
    fake_of(connection)->kept = fake_of(connection)->row_count;
    return ST_OK;
}

static enum status
fake_savepoint_keep(struct store_connection *connection, struct err *err)
{
    return fake_of(connection)->late ? err_set(err, ST_CONFLICT, "late") : ST_OK;
}

static enum status
fake_savepoint_undo(struct store_connection *connection, struct err *err)
{
    (void)err;
    fake_of(connection)->row_count = fake_of(connection)->kept;
    fake_of(connection)->late = false;
    return ST_OK;
}

static enum status
fake_settle(struct store_database *fake, int64_t ticket, struct err *err)
{
    enum status st;

    pthread_mutex_lock(&fake->lock);
    fake->settles++;
    st = fake->settle_fails_with;
    if (st == ST_OK && ticket > atomic_load(&fake->settled))
        atomic_store(&fake->settled, ticket);
    pthread_mutex_unlock(&fake->lock);
    return st == ST_OK ? ST_OK : err_set(err, st, "settle");
}

/* One row: ten times what is bound. */
struct fake_statement {
    struct store_statement base;
    int64_t value;
    bool is_before;
};

static struct fake_statement *
statement_of(struct store_statement *statement)
{
    return (struct fake_statement *)statement;
}

static enum status
fake_prepare(struct store_connection *connection, const struct store_sql *sql,
             struct store_statement **statement_out, struct err *err)
{
    struct fake_statement *statement = calloc(1, sizeof(*statement));

    (void)connection;
    (void)sql;
    (void)err;
    assert_non_null(statement);
    statement->base.parameters = 1;
    *statement_out = &statement->base;
    return ST_OK;
}

static void
fake_finalize(struct store_statement **statement)
{
    free(*statement);
    *statement = NULL;
}

static enum status
fake_bind(struct store_statement *statement, unsigned first, const struct store_value *values,
          size_t count, struct err *err)
{
    (void)err;
    assert_int_equal(first, 1);
    assert_int_equal(count, 1);
    statement_of(statement)->value = values[0].integer;
    statement_of(statement)->is_before = true;
    return ST_OK;
}

static enum status
fake_step(struct store_statement *statement, bool *row_out, struct err *err)
{
    (void)err;
    assert_true(fake_of(statement->connection)->open);
    *row_out = statement_of(statement)->is_before;
    statement_of(statement)->is_before = false;
    return ST_OK;
}

static enum status
fake_ask(struct store_statement *statement, unsigned *number_out, struct err *err)
{
    struct store_database *fake = fake_of(statement->connection);

    (void)err;
    *number_out = fake->asked_count;
    fake->asked[fake->asked_count++] = statement_of(statement)->value;
    return ST_OK;
}

static enum status
fake_collect(struct store_connection *connection, struct err *err)
{
    struct store_database *fake = fake_of(connection);

    if (++fake->collects == fake->fail_collect_at) {
        fake->open = !fake->collect_drops;
        return err_set(err, ST_UNAVAILABLE, "collect");
    }
    fake->answered = fake->asked_count;
    return ST_OK;
}

static void
fake_answer(struct store_statement *statement, unsigned number)
{
    struct store_database *fake = fake_of(statement->connection);

    assert_true(number < fake->answered);
    statement_of(statement)->value = fake->asked[number];
    statement_of(statement)->is_before = true;
}

static void
fake_reset(struct store_statement *statement)
{
    statement_of(statement)->is_before = false;
}

static int64_t
fake_column_int(struct store_statement *statement, int column)
{
    assert_int_equal(column, 0);
    return 10 * statement_of(statement)->value;
}

const struct store_driver store_driver_fake = {
    .name = "fake",
    .take = fake_take,
    .give = fake_give,
    .begin = fake_begin,
    .commit = fake_commit,
    .rollback = fake_rollback,
    .seen = fake_seen,
    .in_transaction = fake_in_transaction,
    .rows_changed = fake_rows_changed,
    .savepoint_set = fake_savepoint_set,
    .savepoint_keep = fake_savepoint_keep,
    .savepoint_undo = fake_savepoint_undo,
    .settle = fake_settle,
    .prepare = fake_prepare,
    .finalize = fake_finalize,
    .bind = fake_bind,
    .step = fake_step,
    .ask = fake_ask,
    .collect = fake_collect,
    .answer = fake_answer,
    .reset = fake_reset,
    .column_int = fake_column_int,
};
