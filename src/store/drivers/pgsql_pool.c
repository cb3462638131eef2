/*
 * pgsql_pool.c - connections that are lent: a bounded number, the one used last first
 *
 * A place in the pool outlives its session: it is opened when it is first needed, and anew when
 * the old one is gone. One that rested is looked at before it is used: a server that went away has
 * closed its end, which costs no round trip to see.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/thread.h"
#include "store/drivers/pgsql_private.h"

#define TAKE_WAIT_US (10 * US_PER_S)
/* After a connection could not be made nobody tries for so long: a thousand webhooks a second do
 * not each wait for a server that is gone. */
#define DOWN_US (250 * US_PER_MS)

struct pgsql_connection *
pgsql_connection_create(struct store_backend *backend)
{
    struct pgsql_connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL)
        abort();
    connection->common.driver = &store_driver_pgsql;
    connection->backend = backend;
    return connection;
}

void
pgsql_connection_destroy(struct pgsql_connection **connection_ref)
{
    struct pgsql_connection *connection = *connection_ref;

    if (connection == NULL)
        return;
    *connection_ref = NULL;
    statement_cache_clear(&connection->common);
    pgsql_disconnect(connection);
    free(connection->asked);
    free(connection);
}

enum status
pgsql_take(struct store_database *database, enum store_access access,
           struct store_connection **connection_out, struct err *err)
{
    struct store_backend *backend = database->backend;
    struct pgsql_connection *connection = NULL;
    int64_t deadline_us = 0;
    enum status st = ST_OK;

    (void)access; /* begin says it to the server */
    pthread_mutex_lock(&backend->lock);
    while (backend->idle == NULL && backend->count >= backend->pool_size && st == ST_OK) {
        if (deadline_us == 0)
            deadline_us = clock_mono_us(clock_system()) + TAKE_WAIT_US;
        if (!cond_wait_until(&backend->given, &backend->lock, deadline_us))
            st = err_set_detail(err, ST_BUSY, "every connection to the database is in use");
    }
    if (st == ST_OK && backend->idle != NULL) {
        connection = backend->idle;
        backend->idle = connection->next_idle;
    } else if (st == ST_OK) {
        backend->count++;
    }
    pthread_mutex_unlock(&backend->lock);
    if (st == ST_OK && connection == NULL)
        connection = pgsql_connection_create(backend);
    if (connection != NULL)
        connection->common.is_control = database->is_control;
    *connection_out = connection != NULL ? &connection->common : NULL;
    return st;
}

void
pgsql_give(struct store_database *database, struct store_connection **connection_ref)
{
    struct store_backend *backend = database->backend;
    struct pgsql_connection *connection = (struct pgsql_connection *)*connection_ref;

    *connection_ref = NULL;
    assert(connection->state == PGSQL_IDLE);
    pthread_mutex_lock(&backend->lock);
    connection->next_idle = backend->idle;
    backend->idle = connection;
    pthread_mutex_unlock(&backend->lock);
    pthread_cond_signal(&backend->given);
}

/* Between transactions the server says nothing, unless a setting changed or it says good-bye. */
static bool
is_quiet(PGconn *pg)
{
    char byte;
    ssize_t got = recv(PQsocket(pg), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK;
    return got > 0 && PQconsumeInput(pg) == 1 && PQstatus(pg) == CONNECTION_OK;
}

enum status
pgsql_ready(struct pgsql_connection *connection, struct err *err)
{
    struct store_backend *backend = connection->backend;
    int64_t now_us = clock_mono_us(clock_system());
    bool down;
    enum status st;

    if (connection->pg != NULL && PQstatus(connection->pg) == CONNECTION_OK &&
        is_quiet(connection->pg))
        return ST_OK;
    pthread_mutex_lock(&backend->lock);
    down = backend->down_until_us > now_us;
    pthread_mutex_unlock(&backend->lock);
    if (down) {
        pgsql_disconnect(connection);
        return err_set_detail(err, ST_UNAVAILABLE, "the database server cannot be reached");
    }
    st = pgsql_connect(connection, err);
    pthread_mutex_lock(&backend->lock);
    backend->down_until_us = st == ST_OK ? 0 : clock_mono_us(clock_system()) + DOWN_US;
    pthread_mutex_unlock(&backend->lock);
    return st;
}
