/*
 * pgsql_connection.c - sessions, exchanges with a deadline, and what PostgreSQL's codes mean here
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/drivers/pgsql_private.h"
#include "store/drivers/pgsql_sql.h"

/* The server ends a statement that takes too long; a server that does not even say so is given up
 * this much later. */
#define ANSWER_GRACE_US (5 * US_PER_S)
/* Between two statements of a work: it waits for nothing, so somebody stopped the process, and
 * until the server ends its transaction all who write to that organization wait. A work that is
 * only slow is undone and run again. */
#define IDLE_IN_TRANSACTION_MS "2000"

struct known {
    const char *name, *text;
};

static const struct known known[] = {
    {"begin_write", PGSQL_BEGIN_WRITE},
    {"begin_read", PGSQL_BEGIN_READ},
    {"enter_write", PGSQL_ENTER_WRITE},
    {"enter_read", PGSQL_ENTER_READ},
    {"exists", PGSQL_EXISTS},
    {"transaction_id", PGSQL_TRANSACTION_ID},
    {"flush", PGSQL_FLUSH},
};

struct meaning {
    const char *code; /* a class has two characters */
    enum status status;
};

/* The first that fits. */
static const struct meaning meanings[] = {
    {"23505", ST_CONFLICT},    /* unique_violation */
    {"40001", ST_BUSY},        /* serialization_failure */
    {"40P01", ST_BUSY},        /* deadlock_detected */
    {"55P03", ST_BUSY},        /* lock_not_available: after lock_timeout */
    {"57014", ST_UNAVAILABLE}, /* query_canceled: after statement_timeout */
    {"25P03", ST_UNAVAILABLE}, /* idle_in_transaction_session_timeout */
    {"25006", ST_UNAVAILABLE}, /* read_only_sql_transaction: became a standby; see failed() */
    {"22021", ST_INVALID},     /* character_not_in_repertoire */
    {"08", ST_UNAVAILABLE},    /* connection exception */
    {"53", ST_UNAVAILABLE},    /* disk full, memory, too many connections */
    {"57", ST_UNAVAILABLE},    /* shutdown, starting up */
    {"58", ST_UNAVAILABLE},    /* the system's errors */
    {"54", ST_TOO_LARGE},      /* a limit of the program */
};

enum status
pgsql_status_of(const char *code)
{
    for (size_t i = 0; code != NULL && i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (strncmp(code, meanings[i].code, strlen(meanings[i].code)) == 0)
            return meanings[i].status;
    }
    return ST_INTERNAL;
}

static bool
is(const char *code, const char *wanted)
{
    return code != NULL && strcmp(code, wanted) == 0;
}

static void
no_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

/* One line without the server's trailing newline. */
static int
line_len(const char *text)
{
    return (int)strcspn(text, "\n");
}

void
pgsql_forget_asked(struct pgsql_connection *connection)
{
    for (unsigned i = 0; i < connection->asked_count; i++) {
        if (!connection->asked[i].shares)
            PQclear(connection->asked[i].answer);
    }
    pgsql_drop_gathered(connection);
    connection->asked_count = connection->asked_read = 0;
}

static void
forget_entered(struct pgsql_connection *connection)
{
    for (unsigned i = 0; i < PGSQL_ENTER_MAX; i++) {
        PQclear(connection->entered[i]);
        connection->entered[i] = NULL;
    }
}

void
pgsql_disconnect(struct pgsql_connection *connection)
{
    if (connection->pg != NULL)
        PQfinish(connection->pg);
    connection->pg = NULL;
    connection->common.rerun = connection->state != PGSQL_IDLE;
    connection->state = PGSQL_IDLE;
    connection->pending_count = 0;
    connection->commands = 0;
    connection->entering = 0;
    forget_entered(connection);
    pgsql_forget_asked(connection);
    while (connection->unused != NULL) {
        struct pgsql_name *name = connection->unused;

        connection->unused = name->next;
        free(name);
    }
}

static enum status
lost(struct pgsql_connection *connection, const char *what, const char *why, struct err *err)
{
    enum status st = err_set_detail(err, ST_UNAVAILABLE, "%s: the database server: %.*s", what,
                                    line_len(why), why);

    pgsql_disconnect(connection);
    return st;
}

void
pgsql_put_off(struct pgsql_connection *connection, const char *command)
{
    assert(connection->pending_count < PGSQL_PENDING_MAX);
    connection->pending[connection->pending_count++] = command;
}

/* That sending fails means that the connection is broken, which reading the answers tells. */
static void
send(struct pgsql_connection *connection, const char *text, unsigned count,
     const char *const *values)
{
    if (connection->pg != NULL &&
        PQsendQueryParams(connection->pg, text, (int)count, NULL, values, NULL, NULL, 0) == 1)
        connection->commands++;
}

void
pgsql_send(struct pgsql_connection *connection, const char *text, unsigned count,
           const char *const *values)
{
    for (unsigned i = 0; i < connection->pending_count; i++)
        send(connection, connection->pending[i], 0, NULL);
    connection->pending_count = 0;
    if (text != NULL)
        send(connection, text, count, values);
}

void
pgsql_send_known(struct pgsql_connection *connection, const char *name, unsigned count,
                 const char *const *values)
{
    if (connection->pg != NULL &&
        PQsendQueryPrepared(connection->pg, name, (int)count, values, NULL, NULL, 0) == 1)
        connection->commands++;
}

static bool
wait_for_answer(PGconn *pg, int64_t deadline_us, const char **why_out)
{
    for (;;) {
        int flushed = PQflush(pg);
        struct pollfd fd = {.fd = PQsocket(pg), .events = POLLIN};
        int64_t left_us = deadline_us - clock_mono_us(clock_system());
        int ready;

        if (flushed >= 0 && PQisBusy(pg) == 0)
            return true;
        if (left_us <= 0) {
            *why_out = "does not answer";
            return false;
        }
        if (flushed > 0)
            fd.events |= POLLOUT;
        ready = poll(&fd, 1, (int)(left_us / US_PER_MS) + 1);
        if ((ready < 0 && errno != EINTR) ||
            ((fd.revents & (POLLIN | POLLERR | POLLHUP)) != 0 && PQconsumeInput(pg) == 0)) {
            *why_out = PQerrorMessage(pg);
            return false;
        }
    }
}

/* After one: the engine wants it run again, the connection is of no use any more, or the
 * transaction stays, in which nothing more will run. */
static enum status
failed(struct pgsql_connection *connection, const char *what, const PGresult *result,
       struct err *err)
{
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    bool again = is(code, "40001") || is(code, "40P01");
    bool reads = is(code, "25006") && connection->access == STORE_READ;
    enum status st = reads ? ST_INTERNAL : pgsql_status_of(code);

    (void)err_set_detail(err, st, "%s: %s (%s)", what, text != NULL ? text : "no words",
                         code != NULL ? code : "no code");
    if (PQstatus(connection->pg) == CONNECTION_BAD || is(code, "25P03") ||
        (is(code, "25006") && !reads) || (code != NULL && strncmp(code, "57P", 3) == 0)) {
        pgsql_disconnect(connection);
        return st;
    }
    connection->changed++; /* so that the front does not take the work for one that only looked */
    if (connection->state == PGSQL_OPEN)
        connection->state = PGSQL_FAILED;
    if (again && connection->state == PGSQL_FAILED) {
        pgsql_rollback(&connection->common);
        connection->common.rerun = true;
    }
    return st;
}

/* The next command's answer, without the end that follows it; NULL at the sync, and when the
 * connection is broken. */
static PGresult *
next_answer(struct pgsql_connection *connection, int64_t deadline_us, const char **why_out)
{
    PGresult *result = NULL;

    if (!wait_for_answer(connection->pg, deadline_us, why_out))
        return NULL;
    result = PQgetResult(connection->pg);
    if (result == NULL) /* the end of the one before */
        return wait_for_answer(connection->pg, deadline_us, why_out) ? PQgetResult(connection->pg)
                                                                     : NULL;
    return result;
}

/* Whether this command's answer was asked for, to be read later; by many, when it is theirs. */
static bool
keep_asked(struct pgsql_connection *connection, unsigned command, PGresult *answer)
{
    struct pgsql_asked *asked;
    unsigned count = 0;

    if (connection->asked_read == connection->asked_count)
        return false;
    asked = &connection->asked[connection->asked_read];
    while (connection->asked_read < connection->asked_count && asked[count].command == command) {
        asked[count].answer = answer;
        asked[count].shares = count > 0;
        connection->asked_read++;
        count++;
    }
    if (count > 0 && asked->many)
        pgsql_share_rows(asked, count);
    return count > 0;
}

static enum status
read_answers(struct pgsql_connection *connection, const char *what, PGresult **answers,
             unsigned count, PGresult **failure_out, struct err *err)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + ANSWER_GRACE_US +
                          connection->backend->statement_timeout_ms * US_PER_MS;
    unsigned expected = connection->commands;
    unsigned got = 0;
    bool synced = false;

    while (!synced) {
        const char *why = "closed the connection";
        PGresult *result = next_answer(connection, deadline_us, &why);
        ExecStatusType status = result != NULL ? PQresultStatus(result) : PGRES_FATAL_ERROR;

        synced = status == PGRES_PIPELINE_SYNC;
        if (result == NULL ||
            (status == PGRES_FATAL_ERROR && PQstatus(connection->pg) == CONNECTION_BAD)) {
            enum status st = result != NULL ? failed(connection, what, result, err)
                                            : lost(connection, what, why, err);

            PQclear(result);
            return st;
        }
        if (status == PGRES_FATAL_ERROR && *failure_out == NULL) {
            *failure_out = result;
        } else if (got < connection->entering) {
            connection->entered[got] = result;
        } else if (!synced && keep_asked(connection, got, result)) {
            /* it is the asker's */
        } else if (!synced && status != PGRES_PIPELINE_ABORTED && got + count >= expected &&
                   got < expected) {
            answers[got + count - expected] = result;
        } else {
            PQclear(result);
        }
        got++;
    }
    connection->commands = 0;
    connection->answered_us = clock_mono_us(clock_system());
    return ST_OK;
}

enum status
pgsql_answers(struct pgsql_connection *connection, const char *what, PGresult **answers,
              unsigned count, struct err *err)
{
    PGresult *failure = NULL;
    bool entering;
    enum status st;

    for (unsigned i = 0; i < count; i++)
        answers[i] = NULL;
    if (connection->pg == NULL)
        return err_set_detail(err, ST_UNAVAILABLE, "%s: the connection is lost", what);
    if (PQpipelineSync(connection->pg) != 1 || connection->commands < count)
        return lost(connection, what, PQerrorMessage(connection->pg), err);
    st = read_answers(connection, what, answers, count, &failure, err);
    entering = connection->entering > 0;
    connection->entering = 0;
    if (st == ST_OK && failure != NULL)
        st = failed(connection, what, failure, err);
    else if (st == ST_OK && entering)
        st = pgsql_entered(connection, err);
    forget_entered(connection);
    PQclear(failure);
    return st;
}

enum status
pgsql_catch_up(struct pgsql_connection *connection, struct err *err)
{
    if (connection->commands == 0)
        return ST_OK;
    return pgsql_answers(connection, "write", NULL, 0, err);
}

enum status
pgsql_ask(struct pgsql_connection *connection, const char *text, unsigned count,
          const char *const *values, PGresult **answer_out, struct err *err)
{
    pgsql_send(connection, text, count, values);
    return pgsql_answers(connection, "ask", answer_out, 1, err);
}

static enum status
set_up(struct pgsql_connection *connection, struct err *err)
{
    char timeout[16];
    const char *values[] = {timeout, timeout, IDLE_IN_TRANSACTION_MS,
                            connection->backend->shares ? "share" : ""};
    PGresult *answer = NULL;
    enum status st;

    (void)snprintf(timeout, sizeof(timeout), "%d", connection->backend->statement_timeout_ms);
    st = pgsql_ask(connection, PGSQL_SET_UP, 4, values, &answer, err);
    if (st == ST_OK) {
        int columns = PQnfields(answer);

        (void)snprintf(connection->life, sizeof(connection->life), "%s",
                       PQgetvalue(answer, 0, columns - 1));
        if (PQgetvalue(answer, 0, columns - 2)[0] != 't')
            st = err_set(err, ST_UNAVAILABLE,
                         "`parley move` has the database for itself; try again when it is done");
    }
    PQclear(answer);
    return st;
}

/* Statements that every transaction begins with. Before the schema is there they cannot be
 * prepared: whoever migrates does without. */
enum status
pgsql_prepare_known(struct pgsql_connection *connection, struct err *err)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (PQsendPrepare(connection->pg, known[i].name, known[i].text, 0, NULL) == 1)
            connection->commands++;
    }
    return pgsql_answers(connection, "prepare", NULL, 0, err);
}

PGconn *
pgsql_dial(const char *url, int connect_timeout_s)
{
    char timeout[16];
    /* What the URL says stands above what stands before it, and below what stands after it. */
    const char *const keys[] = {
        "connect_timeout",  "keepalives_idle",           "keepalives_interval",
        "keepalives_count", "tcp_user_timeout",          "dbname",
        "client_encoding",  "fallback_application_name", NULL};
    const char *const values[] = {timeout, "20", "5", "3", "30000", url, "UTF8", "parley", NULL};
    PGconn *pg;

    (void)snprintf(timeout, sizeof(timeout), "%d", connect_timeout_s);
    pg = PQconnectdbParams(keys, values, 1);
    if (pg == NULL)
        abort();
    (void)PQsetNoticeReceiver(pg, no_notice, NULL);
    return pg;
}

enum status
pgsql_connect(struct pgsql_connection *connection, struct err *err)
{
    struct store_backend *backend = connection->backend;
    enum status st = ST_OK;

    pgsql_disconnect(connection);
    connection->common.rerun = false;
    connection->pg = pgsql_dial(backend->url, backend->connect_timeout_s);
    if (PQstatus(connection->pg) != CONNECTION_OK)
        return lost(connection, "connect", PQerrorMessage(connection->pg), err);
    connection->opened++;
    connection->begun = 0;
    connection->replan_at = 2;
    if (PQsetnonblocking(connection->pg, 1) != 0 || PQenterPipelineMode(connection->pg) != 1)
        return lost(connection, "connect", PQerrorMessage(connection->pg), err);
    st = set_up(connection, err);
    if (st == ST_OK && !backend->bare)
        st = pgsql_prepare_known(connection, err);
    if (st != ST_OK)
        pgsql_disconnect(connection);
    return st;
}
