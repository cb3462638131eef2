/*
 * pgsql_flush.c - what was committed, on the server's disk
 *
 * A transaction commits without waiting (synchronous_commit is off in it), so that the next writer
 * of the organization has its lock. Behind it a session of its own flushes the server's log, for
 * all that this process has committed by then, whatever the organization.
 *
 * A ticket is a number that grows. A flush counts for the life of the server in which its tickets'
 * commits were made: one that crashed, or another that took its place, may not have them. Then, and
 * when the server stays away, all tickets that were given out count as lost, though some may have
 * been flushed: they are uncertain.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "store/drivers/pgsql_private.h"

#define FLUSH_PAUSE_MS 50

/* When it was answered, or before: what the connection's transaction wrote or could see is before
 * any flush that begins later. */
int64_t
pgsql_seen(struct store_connection *common)
{
    const struct pgsql_connection *connection = (const struct pgsql_connection *)common;
    struct pgsql_flush *flush = &connection->backend->flush;
    int64_t ticket;

    pthread_mutex_lock(&flush->lock);
    if (strcmp(flush->life, connection->life) != 0) {
        memcpy(flush->life, connection->life, sizeof(flush->life));
        flush->lost = flush->given;
    }
    ticket = ++flush->given;
    pthread_mutex_unlock(&flush->lock);
    return ticket;
}

static enum status
flush_once(struct pgsql_connection *connection, const char *life, struct err *err)
{
    PGresult *answer = NULL;
    enum status st = pgsql_ready(connection, err);

    if (st != ST_OK)
        return st;
    if (strcmp(connection->life, life) != 0)
        return err_set_detail(err, ST_UNCERTAIN,
                              "the server has begun a new life before a commit was on its disk");
    pgsql_send_known(connection, "flush", 0, NULL);
    st = pgsql_answers(connection, "flush", &answer, 1, err);
    PQclear(answer);
    return st;
}

/* Tried again while it is the same life: flushing twice is as good as once. */
static enum status
flush_log(struct store_backend *backend, const char *life, struct err *err)
{
    struct pgsql_connection **connection = &backend->flush.connection;
    int64_t deadline_us = 0;
    enum status st;

    if (*connection == NULL)
        *connection = pgsql_connection_create(backend);
    for (;;) {
        int64_t now_us;

        st = flush_once(*connection, life, err);
        if (st == ST_OK || st == ST_UNCERTAIN)
            return st;
        now_us = clock_mono_us(clock_system());
        if (deadline_us == 0)
            deadline_us = now_us + backend->outcome_wait_us;
        if (now_us >= deadline_us)
            return st;
        (void)poll(NULL, 0, FLUSH_PAUSE_MS);
    }
}

/* One flushes for all that have committed by then; who comes later waits for the next turn. */
enum status
pgsql_settle(struct store_database *database, int64_t ticket, struct err *err)
{
    struct store_backend *backend = database->backend;
    struct pgsql_flush *flush = &backend->flush;
    struct err why = {.detail = "another thread's flush failed"};
    bool lost;

    pthread_mutex_lock(&flush->lock);
    while (flush->flushed < ticket && flush->lost < ticket) {
        char life[sizeof(flush->life)];
        int64_t target;
        enum status st;

        if (flush->flushing) {
            pthread_cond_wait(&flush->ended, &flush->lock);
            continue;
        }
        flush->flushing = true;
        target = flush->given;
        memcpy(life, flush->life, sizeof(life));
        pthread_mutex_unlock(&flush->lock);
        st = flush_log(backend, life, &why);
        pthread_mutex_lock(&flush->lock);
        flush->flushing = false;
        if (st == ST_OK && target > flush->flushed)
            flush->flushed = target;
        else if (st != ST_OK && target > flush->lost)
            flush->lost = target;
        pthread_cond_broadcast(&flush->ended);
    }
    lost = flush->lost >= ticket; /* asked first: a later flush says nothing of it */
    pthread_mutex_unlock(&flush->lock);
    if (lost)
        return err_set_detail(err, ST_UNCERTAIN, "a commit may not be on the disk: %s", why.detail);
    return ST_OK;
}
