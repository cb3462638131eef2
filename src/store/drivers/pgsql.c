/*
 * pgsql.c - the PostgreSQL driver: every organization in the same tables, kept apart by row-level
 * security
 *
 * Which organizations there are stands in tenant_database, where SQLite has files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "store/drivers/pgsql_private.h"
#include "store/drivers/pgsql_sql.h"

#define POOL_SIZE 16
#define STATEMENT_TIMEOUT_MS 30000
#define CONNECT_TIMEOUT_MS 5000
/* The server looks at every file to measure a database. */
#define MEASURE_EVERY_US (30 * US_PER_S)

void
pgsql_backend_close(struct store_backend **backend_ref)
{
    struct store_backend *backend = *backend_ref;

    if (backend == NULL)
        return;
    *backend_ref = NULL;
    pgsql_connection_destroy(&backend->guard);
    pgsql_connection_destroy(&backend->flush.connection);
    while (backend->idle != NULL) {
        struct pgsql_connection *connection = backend->idle;

        backend->idle = connection->next_idle;
        pgsql_connection_destroy(&connection);
    }
    pthread_mutex_destroy(&backend->lock);
    pthread_cond_destroy(&backend->given);
    pthread_mutex_destroy(&backend->flush.lock);
    pthread_cond_destroy(&backend->flush.ended);
    clock_destroy(&backend->clock);
    free(backend->url);
    free(backend);
}

static struct clock *
backend_clock(struct store_backend *backend)
{
    return backend->clock;
}

struct store_backend *
pgsql_backend_create(const struct store_config *config, const char *url)
{
    struct store_backend *backend = calloc(1, sizeof(*backend));
    int connect_ms =
        config->connect_timeout_ms > 0 ? config->connect_timeout_ms : CONNECT_TIMEOUT_MS;

    if (backend == NULL || (backend->url = strdup(url)) == NULL)
        abort();
    backend->clock = clock_create_following();
    backend->bare = true;
    backend->pool_size = config->pool_size > 0 ? config->pool_size : POOL_SIZE;
    backend->statement_timeout_ms =
        config->statement_timeout_ms > 0 ? config->statement_timeout_ms : STATEMENT_TIMEOUT_MS;
    backend->connect_timeout_s = connect_ms < 2000 ? 2 : connect_ms / 1000; /* libpq's least */
    backend->outcome_wait_us = 2 * US_PER_S * backend->connect_timeout_s;
    pthread_mutex_init(&backend->lock, NULL);
    cond_init(&backend->given);
    pthread_mutex_init(&backend->flush.lock, NULL);
    cond_init(&backend->flush.ended);
    return backend;
}

/* Of the session that was opened first, and lives as long as the backend. */
static enum status
be_alone(struct pgsql_connection *guard, struct err *err)
{
    PGresult *answer = NULL;
    enum status st = pgsql_ask(guard, PGSQL_ALONE_SOON, 0, NULL, &answer, err);

    PQclear(answer);
    answer = NULL;
    if (st == ST_OK)
        st = pgsql_ask(guard, PGSQL_ALONE, 0, NULL, &answer, err);
    if (st == ST_BUSY)
        st = err_set(err, ST_CONFLICT,
                     "other Parley processes use this database: stop them, on every host");
    PQclear(answer);
    return st;
}

static enum status
alone_check(struct store_backend *backend, struct err *err)
{
    PGresult *answer = NULL;
    enum status st = pgsql_ask(backend->guard, PGSQL_ALONE_CHECK, 0, NULL, &answer, err);

    if (st != ST_OK || PQntuples(answer) == 0)
        st = err_set(err, ST_CONFLICT,
                     "the session that kept other processes out of the database was lost");
    PQclear(answer);
    return st;
}

static enum status
backend_open(const struct store_config *config, struct store_backend **backend_out, struct err *err)
{
    struct store_backend *backend = pgsql_backend_create(config, config->database_url);
    struct pgsql_connection *connection = pgsql_connection_create(backend);
    enum status st;

    backend->shares = !config->alone;
    st = pgsql_connect(connection, err);
    if (st == ST_OK && config->alone)
        st = be_alone(connection, err);
    if (st == ST_OK)
        st = pgsql_check(connection, config, err);
    backend->bare = false;
    if (st == ST_OK && !config->alone)
        st = pgsql_prepare_known(connection, err);
    if (st != ST_OK) {
        pgsql_connection_destroy(&connection);
        pgsql_backend_close(&backend);
    } else if (config->alone) {
        backend->guard = connection;
    } else {
        backend->idle = connection; /* the pool's first: from now on nobody else can be alone */
        backend->count = 1;
    }
    *backend_out = backend;
    return st;
}

/* One question outside of any transaction, on a connection from the pool. */
static enum status
ask(struct store_backend *backend, const char *text, unsigned count, const char *const *values,
    PGresult **answer_out, struct err *err)
{
    struct store_database control = {backend, true};
    struct store_connection *taken = NULL;
    enum status st = pgsql_take(&control, STORE_READ, &taken, err);

    *answer_out = NULL;
    if (st != ST_OK)
        return st;
    st = pgsql_ready((struct pgsql_connection *)taken, err);
    /* Again after a session that rested and was gone: what is asked here can be asked twice. */
    for (int i = 0; st == ST_OK && i < 2 && *answer_out == NULL; i++) {
        st = pgsql_ask((struct pgsql_connection *)taken, text, count, values, answer_out, err);
        if (st == ST_UNAVAILABLE && i == 0)
            st = pgsql_ready((struct pgsql_connection *)taken, err);
    }
    pgsql_give(&control, &taken);
    return st;
}

/* The server's disk is not ours to look at: its free bytes are not known. Asks each time, so that
 * whoever asks learns whether the server is there. */
static void
backend_measure(struct store_backend *backend, int64_t *free_bytes_out, int64_t *data_bytes_out)
{
    int64_t now_us = clock_mono_us(clock_system());
    PGresult *answer = NULL;
    int64_t bytes = 0;
    bool due;
    bool there;
    struct err err;

    pthread_mutex_lock(&backend->lock);
    due = backend->measured_at_us == 0 || backend->measured_at_us + MEASURE_EVERY_US < now_us;
    pthread_mutex_unlock(&backend->lock);
    there = ask(backend, due ? PGSQL_SIZE : PGSQL_PING, 0, NULL, &answer, &err) == ST_OK &&
            str_to_i64(str_from_c(PQgetvalue(answer, 0, 0)), &bytes);
    PQclear(answer);
    pthread_mutex_lock(&backend->lock);
    if (there && due) {
        backend->measured_at_us = now_us;
        backend->measured_bytes = bytes;
    }
    *data_bytes_out = there ? backend->measured_bytes : -1;
    pthread_mutex_unlock(&backend->lock);
    *free_bytes_out = -1;
}

static enum status
mark_get(struct store_backend *backend, char mark_out[STORE_MARK_SIZE], struct err *err)
{
    PGresult *answer = NULL;
    enum status st = ask(backend, PGSQL_MARK, 0, NULL, &answer, err);

    (void)snprintf(mark_out, STORE_MARK_SIZE, "%s",
                   st == ST_OK && PQntuples(answer) > 0 ? PQgetvalue(answer, 0, 0) : "");
    PQclear(answer);
    return st;
}

/* A statement of its own, and so durable: sessions do not put off commits. */
static enum status
mark_set(struct store_backend *backend, const char *mark, struct err *err)
{
    PGresult *answer = NULL;
    enum status st = mark[0] == '\0' ? ask(backend, PGSQL_MARK_CLEAR, 0, NULL, &answer, err)
                                     : ask(backend, PGSQL_MARK_SET, 1, &mark, &answer, err);

    PQclear(answer);
    return st;
}

static enum status
find_database(struct store_backend *backend, const struct store_place *place, bool create,
              struct err *err)
{
    const char *organization = place->organization_id.text;
    PGresult *answer = NULL;
    enum status st =
        ask(backend, create ? PGSQL_CREATE : PGSQL_EXISTS, 1, &organization, &answer, err);

    if (st == ST_OK && !create && PQntuples(answer) == 0)
        st = err_set(err, ST_NOT_FOUND, "no such organization");
    PQclear(answer);
    return st;
}

static enum status
database_open(struct store_backend *backend, const struct store_place *place, bool create,
              struct store_database **database_out, struct err *err)
{
    struct store_database *database;
    bool is_control = id_is_none(&place->organization_id);
    enum status st = is_control ? ST_OK : find_database(backend, place, create, err);

    *database_out = NULL;
    if (st != ST_OK)
        return st;
    database = calloc(1, sizeof(*database));
    if (database == NULL)
        abort();
    database->backend = backend;
    database->is_control = is_control;
    *database_out = database;
    return ST_OK;
}

static void
database_close(struct store_database **database)
{
    free(*database);
    *database = NULL;
}

static void
database_trim(struct store_database *database)
{
    (void)database;
}

static enum status
clear(struct pgsql_connection *connection, const struct store_place *place, int64_t *ticket_out,
      struct err *err)
{
    const char *organization = place->organization_id.text;
    PGresult *answers[3] = {NULL};
    enum status st;

    pgsql_send(connection, PGSQL_CLEAR, 0, NULL);
    pgsql_send(connection, PGSQL_FORGET, 1, &organization);
    pgsql_send(connection, PGSQL_TRANSACTION_ID, 0, NULL);
    st = pgsql_answers(connection, "delete", answers, 3, err);
    if (st == ST_OK)
        (void)snprintf(connection->transaction_id, sizeof(connection->transaction_id), "%s",
                       PQgetvalue(answers[2], 0, 0));
    for (int i = 0; i < 3; i++)
        PQclear(answers[i]);
    if (st == ST_OK)
        return pgsql_commit(&connection->common, STORE_DURABLE, ticket_out, err);
    pgsql_rollback(&connection->common);
    return st;
}

static enum status
database_delete(struct store_backend *backend, const struct store_place *place, struct err *err)
{
    struct store_database database = {backend, false};
    struct store_connection *connection = NULL;
    int64_t ticket = 0;
    enum status st = pgsql_take(&database, STORE_WRITE, &connection, err);

    if (st != ST_OK)
        return st;
    st = pgsql_begin(connection, STORE_WRITE, place, err);
    if (st == ST_OK)
        st = clear((struct pgsql_connection *)connection, place, &ticket, err);
    else if (st == ST_NOT_FOUND)
        st = ST_OK;
    pgsql_give(&database, &connection);
    return st == ST_OK && ticket != 0 ? pgsql_settle(&database, ticket, err) : st;
}

static enum status
database_list(struct store_backend *backend, store_place_visit visit, void *arg, struct err *err)
{
    struct store_place place = {{""}};
    enum status st = ST_OK;
    bool more = true;

    while (st == ST_OK && more) {
        const char *after = place.organization_id.text;
        PGresult *answer = NULL;

        st = ask(backend, PGSQL_LIST, 1, &after, &answer, err);
        more = st == ST_OK && PQntuples(answer) > 0;
        for (int row = 0; st == ST_OK && row < PQntuples(answer); row++) {
            st = id_parse(str_from_c(PQgetvalue(answer, row, 0)), &place.organization_id, err);
            if (st == ST_OK)
                st = visit(&place, arg, err);
        }
        PQclear(answer);
    }
    return st;
}

static enum status
database_copy(struct store_backend *backend, const struct store_place *place, const char *path,
              void (*on_pages)(unsigned done, unsigned total, void *arg), void *arg,
              struct err *err)
{
    (void)backend;
    (void)place;
    (void)path;
    (void)on_pages;
    (void)arg;
    return err_set(err, ST_INVALID, "a PostgreSQL database is saved with pg_dump");
}

const struct store_driver store_driver_pgsql = {
    .name = "pgsql",
    .migrated_apart = true,
    .open = backend_open,
    .close = pgsql_backend_close,
    .alone_check = alone_check,
    .mark_get = mark_get,
    .mark_set = mark_set,
    .measure = backend_measure,
    .clock = backend_clock,
    .database_open = database_open,
    .database_close = database_close,
    .database_trim = database_trim,
    .database_delete = database_delete,
    .database_list = database_list,
    .database_copy = database_copy,
    .take = pgsql_take,
    .give = pgsql_give,
    .begin = pgsql_begin,
    .begin_ahead = pgsql_begin_ahead,
    .commit = pgsql_commit,
    .rollback = pgsql_rollback,
    .seen = pgsql_seen,
    .in_transaction = pgsql_in_transaction,
    .rows_changed = pgsql_rows_changed,
    .savepoint_set = pgsql_savepoint_set,
    .savepoint_keep = pgsql_savepoint_keep,
    .savepoint_undo = pgsql_savepoint_undo,
    .settle = pgsql_settle,
    .version_get = pgsql_version_get,
    .version_set = pgsql_version_set,
    .script = pgsql_script,
    .prepare = pgsql_prepare,
    .finalize = pgsql_finalize,
    .bind = pgsql_bind,
    .step = pgsql_step,
    .exec = pgsql_exec,
    .ask = pgsql_ask_ahead,
    .collect = pgsql_collect,
    .answer = pgsql_answer,
    .changes = pgsql_changes,
    .reset = pgsql_reset,
    .column_int = pgsql_column_int,
    .column_real = pgsql_column_real,
    .column_text = pgsql_column_text,
    .column_blob = pgsql_column_text,
    .column_is_null = pgsql_column_is_null,
};
