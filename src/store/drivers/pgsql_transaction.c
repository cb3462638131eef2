/*
 * pgsql_transaction.c - begin, commit, savepoints, and what became of a commit without an answer
 *
 * The lock of the organization makes writers of several processes come one after the other, so
 * READ COMMITTED is enough: behind the lock every statement sees all that was committed before.
 * SERIALIZABLE was rejected: its locks reach over organizations (pages of shared indexes, whole
 * tables for large batches), and whoever loses runs a whole batch again; see docs/decisions/.
 *
 * The server keeps the plan of a prepared statement, made for tables as they were: of an empty one
 * it may read the whole, and go on so until the table is analyzed. A session has its plans made
 * anew after 2, 4, 8 ... transactions, so that a flood into a new database soon has good ones.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/drivers/pgsql_private.h"
#include "store/drivers/pgsql_sql.h"

#define OUTCOME_PAUSE_MS 50
#define CLOCK_ANSWER_US (200 * US_PER_MS)

static struct pgsql_connection *
own(struct store_connection *connection)
{
    return (struct pgsql_connection *)connection;
}

/* One by one: a name that never came to be must not spoil what follows. */
static void
forget_names(struct pgsql_connection *connection)
{
    while (connection->unused != NULL) {
        struct pgsql_name *name = connection->unused;
        char text[32];
        PGresult *answer = NULL;
        struct err err;
        enum status st;

        connection->unused = name->next;
        (void)snprintf(text, sizeof(text), "DEALLOCATE %s", name->text);
        st = pgsql_ask(connection, text, 0, NULL, &answer, &err);
        (void)st; /* a lost connection shows with what is sent next */
        PQclear(answer);
        free(name);
    }
}

/* What the server said of its time is as old as the answer was under way, which may have waited for
 * a lock, or found this process standing still. */
static void
follow_clock(struct pgsql_connection *connection, const PGresult *entered, int64_t asked_us)
{
    int64_t server_us;

    if (clock_mono_us(clock_system()) - asked_us <= CLOCK_ANSWER_US &&
        str_to_i64(str_from_c(PQgetvalue(entered, 0, 2)), &server_us))
        clock_follow(connection->backend->clock, server_us);
}

/* What a transaction begins with; the number of commands. */
static unsigned
send_enter(struct pgsql_connection *connection, const struct store_place *place)
{
    const char *organization = place->organization_id.text;
    bool writes = connection->access == STORE_WRITE;
    unsigned count = 2;

    connection->state = PGSQL_OPEN; /* a failure may stand anywhere behind BEGIN */
    pgsql_send_known(connection, writes ? "begin_write" : "begin_read", 0, NULL);
    pgsql_send_known(connection, writes ? "enter_write" : "enter_read", 1, &organization);
    if (organization[0] != '\0') {
        pgsql_send_known(connection, "exists", 1, &organization);
        count++;
    }
    if (++connection->begun >= connection->replan_at) {
        connection->replan_at *= 2;
        pgsql_send(connection, PGSQL_REPLAN, 0, NULL);
        count++;
    }
    return count;
}

/* answers: to what send_enter sent. */
static enum status
check_entered(struct pgsql_connection *connection, PGresult *const *answers, bool is_control,
              int64_t asked_us, struct err *err)
{
    follow_clock(connection, answers[1], asked_us);
    if (!is_control && PQntuples(answers[2]) == 0)
        return err_set(err, ST_NOT_FOUND, "no such organization");
    return ST_OK;
}

static enum status
enter(struct pgsql_connection *connection, const struct store_place *place, struct err *err)
{
    PGresult *answers[PGSQL_ENTER_MAX] = {NULL};
    unsigned count;
    int64_t asked_us;
    enum status st;

    forget_names(connection);
    asked_us = clock_mono_us(clock_system());
    count = send_enter(connection, place);
    st = pgsql_answers(connection, "begin", answers, count, err);
    if (st == ST_OK)
        st = check_entered(connection, answers, place->organization_id.text[0] == '\0', asked_us,
                           err);
    for (unsigned i = 0; i < count; i++)
        PQclear(answers[i]);
    if (st != ST_OK) {
        bool rerun = connection->common.rerun;

        pgsql_rollback(&connection->common);
        connection->common.rerun = rerun && connection->pg != NULL;
    }
    return st;
}

static void
forget_last(struct pgsql_connection *connection, enum store_access access)
{
    connection->common.rerun = false;
    connection->common.late = false;
    connection->access = access;
    connection->wrote = false;
    pgsql_forget_asked(connection);
    connection->transaction_id[0] = '\0';
}

enum status
pgsql_begin(struct store_connection *common, enum store_access access,
            const struct store_place *place, struct err *err)
{
    struct pgsql_connection *connection = own(common);
    unsigned opened = connection->opened;
    enum status st;

    forget_last(connection, access);
    st = pgsql_ready(connection, err);
    if (st == ST_OK)
        st = enter(connection, place, err);
    /* A session that rested may be gone without a sign of it: nothing was done in it. */
    if (st == ST_UNAVAILABLE && connection->pg == NULL && connection->opened == opened) {
        st = pgsql_ready(connection, err);
        if (st == ST_OK)
            st = enter(connection, place, err);
    }
    return st;
}

enum status
pgsql_begin_ahead(struct store_connection *common, const struct store_place *place, struct err *err)
{
    struct pgsql_connection *connection = own(common);
    enum status st;

    forget_last(connection, STORE_WRITE);
    st = pgsql_ready(connection, err);
    if (st != ST_OK)
        return st;
    forget_names(connection);
    connection->entering_at_us = clock_mono_us(clock_system());
    connection->entering = send_enter(connection, place);
    return ST_OK;
}

/* Nothing that was done in a transaction without an organization may stay. */
enum status
pgsql_entered(struct pgsql_connection *connection, struct err *err)
{
    enum status st = check_entered(connection, connection->entered, connection->common.is_control,
                                   connection->entering_at_us, err);

    if (st != ST_OK) {
        connection
            ->changed++; /* so that the front does not take the work for one that only looked */
        connection->state = PGSQL_FAILED;
    }
    return st;
}

void
pgsql_rollback(struct store_connection *common)
{
    struct pgsql_connection *connection = own(common);
    PGresult *answer = NULL;
    struct err err;
    enum status st;

    pgsql_drop_gathered(connection);
    if (connection->state == PGSQL_IDLE)
        return;
    /* Behind one that failed in the same flight ROLLBACK would not run. */
    st = pgsql_catch_up(connection, &err);
    (void)st;
    if (connection->state == PGSQL_IDLE)
        return;
    connection->state = PGSQL_IDLE;
    connection->pending_count = 0;
    if (connection->pg != NULL &&
        pgsql_ask(connection, "ROLLBACK", 0, NULL, &answer, &err) != ST_OK)
        pgsql_disconnect(connection);
    PQclear(answer);
}

bool
pgsql_in_transaction(struct store_connection *connection)
{
    return own(connection)->state != PGSQL_IDLE;
}

int64_t
pgsql_rows_changed(struct store_connection *connection)
{
    return own(connection)->changed;
}

enum status
pgsql_catch_up_with_id(struct pgsql_connection *connection, struct err *err)
{
    PGresult *answer = NULL;
    enum status st;

    if (connection->state != PGSQL_OPEN || !connection->wrote ||
        connection->transaction_id[0] != '\0')
        return pgsql_catch_up(connection, err);
    pgsql_send_known(connection, "transaction_id", 0, NULL);
    st = pgsql_answers(connection, "write", &answer, 1, err);
    if (st == ST_OK && !PQgetisnull(answer, 0, 0))
        (void)snprintf(connection->transaction_id, sizeof(connection->transaction_id), "%s",
                       PQgetvalue(answer, 0, 0));
    PQclear(answer);
    return st;
}

/* --- commit --- */

enum fate { FATE_UNKNOWN, FATE_COMMITTED, FATE_ABORTED, FATE_RUNS };

/* Asks once, on a new connection that takes the place of the lost one. */
static enum fate
ask_fate(struct pgsql_connection *connection, const char *id, const char *pid, const char *life,
         struct err *err)
{
    const char *values[] = {id, pid};
    PGresult *answer = NULL;
    enum fate fate = FATE_RUNS;

    if ((connection->pg == NULL && pgsql_connect(connection, err) != ST_OK) ||
        pgsql_ask(connection, PGSQL_OUTCOME, 2, values, &answer, err) != ST_OK) {
        /* The id means nothing to this server: not a later life of the same one. */
        if (err->code == ST_INTERNAL)
            fate = FATE_UNKNOWN;
    } else if (strcmp(PQgetvalue(answer, 0, 2), life) != 0) {
        fate = FATE_UNKNOWN;
    } else if (strcmp(PQgetvalue(answer, 0, 0), "committed") == 0) {
        fate = FATE_COMMITTED;
    } else if (strcmp(PQgetvalue(answer, 0, 0), "aborted") == 0) {
        fate = FATE_ABORTED;
    } else if (PQgetisnull(answer, 0, 0)) {
        fate = FATE_UNKNOWN;
    }
    PQclear(answer);
    return fate;
}

/* The server was sent the commit and has not answered. */
static enum status
find_fate(struct pgsql_connection *connection, const char *pid, const char *life, struct err *err)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + connection->backend->outcome_wait_us;
    struct err last = *err;
    enum fate fate;

    for (;;) {
        fate = ask_fate(connection, connection->transaction_id, pid, life, &last);
        if (fate != FATE_RUNS || clock_mono_us(clock_system()) >= deadline_us)
            break;
        (void)poll(NULL, 0, OUTCOME_PAUSE_MS);
    }
    if (fate == FATE_COMMITTED)
        return ST_OK;
    if (fate == FATE_ABORTED) {
        connection->common.rerun = true;
        return err_set_detail(err, ST_UNAVAILABLE, "the server was lost before it committed");
    }
    return err_set_detail(err, ST_UNCERTAIN, "the commit's answer was lost: %s",
                          fate == FATE_RUNS ? last.detail : "the server has begun a new life");
}

static enum status
commit_written(struct pgsql_connection *connection, PGresult **answer_out, struct err *err)
{
    char pid[16];
    char life[sizeof(connection->life)];
    bool was_open = connection->state == PGSQL_OPEN;
    enum status st;

    (void)snprintf(pid, sizeof(pid), "%d", PQbackendPID(connection->pg));
    memcpy(life, connection->life, sizeof(life));
    pgsql_send(connection, "COMMIT", 0, NULL);
    connection->state = PGSQL_IDLE; /* whatever comes */
    st = pgsql_answers(connection, "commit", answer_out, 1, err);
    if (st == ST_UNAVAILABLE && connection->pg == NULL && was_open &&
        connection->transaction_id[0] != '\0')
        return find_fate(connection, pid, life, err);
    if (st == ST_OK)
        return ST_OK;
    if (connection->pg != NULL && PQtransactionStatus(connection->pg) == PQTRANS_INERROR) {
        /* A statement before it failed. */
        connection->common.late = st != ST_BUSY;
        connection->state = PGSQL_FAILED;
        pgsql_rollback(&connection->common);
    }
    connection->common.rerun = connection->common.rerun || st == ST_BUSY || connection->pg == NULL;
    return st;
}

/* Ready to be committed: its id is known, which tells its fate later. What was sent and not waited
 * for may stay so then: behind a statement that failed the server does not run COMMIT. */
static enum status
before_commit(struct pgsql_connection *connection, struct err *err)
{
    enum status st = pgsql_send_gathered(connection, err);

    if (st != ST_OK || (connection->state == PGSQL_OPEN && connection->transaction_id[0] != '\0'))
        return st;
    return pgsql_catch_up_with_id(connection, err);
}

enum status
pgsql_commit(struct store_connection *common, enum store_durability durability, int64_t *ticket_out,
             struct err *err)
{
    struct pgsql_connection *connection = own(common);
    PGresult *answer = NULL;
    enum status st;

    (void)durability; /* who asked for it waits in settle */
    *ticket_out = 0;
    if (connection->pg == NULL || connection->state == PGSQL_IDLE)
        return err_set_detail(err, ST_UNAVAILABLE, "the transaction is lost");
    st = before_commit(connection, err);
    if (st != ST_OK) {
        common->late = connection->state != PGSQL_IDLE;
        pgsql_rollback(common);
        return st;
    }
    st = commit_written(connection, &answer, err);
    /* A transaction in which a statement failed is rolled back by COMMIT, which is no error. */
    if (st == ST_OK && answer != NULL && strcmp(PQcmdStatus(answer), "COMMIT") != 0)
        st = err_set_detail(err, ST_INTERNAL, "a work went on after a failed statement");
    if (st == ST_OK)
        *ticket_out = pgsql_seen(common);
    PQclear(answer);
    return st;
}

/* --- savepoints: sent with the statement that follows --- */

enum status
pgsql_savepoint_set(struct store_connection *connection, struct err *err)
{
    if (own(connection)->state != PGSQL_OPEN)
        return err_set_detail(err, ST_UNAVAILABLE, "the transaction is lost");
    pgsql_put_off(own(connection), "SAVEPOINT work");
    return ST_OK;
}

/* Not sent yet: nothing was done behind it. */
static bool
take_back(struct pgsql_connection *connection)
{
    unsigned count = connection->pending_count;

    if (count == 0 || strcmp(connection->pending[count - 1], "SAVEPOINT work") != 0)
        return false;
    connection->pending_count--;
    return true;
}

enum status
pgsql_savepoint_keep(struct store_connection *connection, struct err *err)
{
    enum status st = pgsql_send_gathered(own(connection), err);

    if (st == ST_OK)
        st = pgsql_catch_up(own(connection), err);
    if (st != ST_OK)
        return st;
    if (own(connection)->state != PGSQL_OPEN)
        return err_set_detail(err, ST_INTERNAL, "a work went on after a failed statement");
    if (!take_back(own(connection)))
        pgsql_put_off(own(connection), "RELEASE work");
    return ST_OK;
}

enum status
pgsql_savepoint_undo(struct store_connection *common, struct err *err)
{
    struct pgsql_connection *connection = own(common);
    PGresult *answer = NULL;
    enum status st;

    pgsql_drop_gathered(connection);
    if (take_back(connection))
        return ST_OK;
    st = pgsql_catch_up(connection, err);
    if (connection->state == PGSQL_IDLE)
        return st != ST_OK ? st : err_set_detail(err, ST_UNAVAILABLE, "the transaction is lost");
    st = pgsql_ask(connection, "ROLLBACK TO work", 0, NULL, &answer, err);
    PQclear(answer);
    if (st == ST_OK) {
        connection->state = PGSQL_OPEN;
        pgsql_put_off(connection, "RELEASE work");
    }
    return st;
}
