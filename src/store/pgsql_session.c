/*
 * pgsql_session.c - connecting, a pipeline of prepared statements, notifications
 *
 * Behind each statement goes a sync, so that one which fails undoes nobody else's.
 */
#include "store/pgsql_session.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/back_off.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/drivers/pgsql_private.h"

#define CONNECT_S 2 /* libpq's least */
#define SET_UP_US (2 * US_PER_S)

/* Process-wide: metrics. */
static struct metric connected_metric = {.name = "parley_pgsql_sessions_count",
                                         .help = "Open sessions on PostgreSQL beside the pool",
                                         .kind = METRIC_GAUGE,
                                         .labels = {"use"}};
static struct metric connects_metric = {.name = "parley_pgsql_connects_total",
                                        .help = "Sessions on PostgreSQL beside the pool that were "
                                                "made",
                                        .kind = METRIC_COUNTER,
                                        .labels = {"use"}};
static struct metric failures_metric = {
    .name = "parley_pgsql_failures_total",
    .help = "Sessions on PostgreSQL beside the pool that were lost or could not be made",
    .kind = METRIC_COUNTER,
    .labels = {"use"}};

struct pgsql_session {
    char *url;
    const char *use, *set_up;
    int wake_fd;
    _Atomic bool stopped;

    PGconn *pg;       /* NULL: closed */
    PGresult *answer; /* of the oldest statement, whose end is still to come */
    unsigned due;
    struct back_off back_off;
    bool told_down; /* the log knows */
};

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

/* ---------------------------------------------------------------- opening */

enum status
pgsql_session_open(const struct pgsql_session_config *config, struct pgsql_session **session_out,
                   struct err *err)
{
    struct pgsql_session *session = calloc(1, sizeof(*session));
    char *why = NULL;
    PQconninfoOption *options;
    enum status st = ST_OK;

    *session_out = NULL;
    if (session == NULL || (session->url = str_dup(config->url)) == NULL)
        abort();
    session->use = config->use;
    session->set_up = config->set_up;
    session->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (session->wake_fd < 0)
        st = err_set_detail(err, ST_UNAVAILABLE, "eventfd: %s", strerrordesc_np(errno));
    options = PQconninfoParse(session->url, &why);
    if (options == NULL && st == ST_OK) /* why may hold the password */
        st = err_set(err, ST_INVALID, "database.url is no URL of a PostgreSQL server");
    PQfreemem(why);
    PQconninfoFree(options);
    if (st != ST_OK) {
        pgsql_session_close(&session);
        return st;
    }
    metric_register(&connected_metric);
    metric_register(&connects_metric);
    metric_register(&failures_metric);
    *session_out = session;
    return ST_OK;
}

static void
disconnect(struct pgsql_session *session)
{
    if (session->pg == NULL)
        return;
    PQclear(session->answer);
    session->answer = NULL;
    session->due = 0;
    PQfinish(session->pg);
    session->pg = NULL;
    back_off_closed(&session->back_off);
    metric_add(&connected_metric, -1, str_from_c(session->use), STR_EMPTY, STR_EMPTY);
}

void
pgsql_session_close(struct pgsql_session **session_ref)
{
    struct pgsql_session *session = *session_ref;

    if (session == NULL)
        return;
    *session_ref = NULL;
    disconnect(session);
    if (session->wake_fd >= 0)
        (void)close(session->wake_fd);
    explicit_bzero(session->url, strlen(session->url));
    free(session->url);
    free(session);
}

bool
pgsql_session_is_connected(const struct pgsql_session *session)
{
    return session->pg != NULL;
}

void
pgsql_session_give_up(struct pgsql_session *session)
{
    disconnect(session);
    METRIC_INC(&failures_metric, str_from_c(session->use));
    back_off_failed(&session->back_off);
}

static enum status
lose(struct pgsql_session *session, struct err *err, const char *why)
{
    enum status st = err_set_detail(err, ST_UNAVAILABLE, "the database server: %.*s",
                                    (int)strcspn(why, "\n"), why);

    pgsql_session_give_up(session);
    return st;
}

/* ---------------------------------------------------------------- waiting */

void
pgsql_session_wake(struct pgsql_session *session)
{
    const uint64_t one = 1;

    /* Full means that it is readable already. */
    if (write(session->wake_fd, &one, sizeof(one)) < 0)
        return;
}

void
pgsql_session_stop(struct pgsql_session *session)
{
    atomic_store(&session->stopped, true);
    pgsql_session_wake(session);
}

bool
pgsql_session_is_stopped(const struct pgsql_session *session)
{
    return atomic_load(&session->stopped);
}

/* Sends what can be sent and reads what has come. ST_BUSY: nothing until the deadline, or woken. */
static enum status
move_bytes(struct pgsql_session *session, int64_t deadline_us, struct err *err)
{
    int flushed = PQflush(session->pg);
    struct pollfd fds[2] = {
        {.fd = PQsocket(session->pg), .events = (short)(flushed > 0 ? POLLIN | POLLOUT : POLLIN)},
        {.fd = session->wake_fd, .events = POLLIN}};
    int64_t left_us = deadline_us - now_us();
    uint64_t woken;

    if (pgsql_session_is_stopped(session))
        return err_set_detail(err, ST_UNAVAILABLE, "stopping");
    if (poll(fds, 2, left_us > 0 ? (int)((left_us + US_PER_MS - 1) / US_PER_MS) : 0) < 0 &&
        errno != EINTR)
        return lose(session, err, strerrordesc_np(errno));
    if (fds[0].revents != 0 && PQconsumeInput(session->pg) == 0)
        return lose(session, err, PQerrorMessage(session->pg));
    if (fds[0].revents != 0)
        return ST_OK;
    if (fds[1].revents != 0 && read(session->wake_fd, &woken, sizeof(woken)) > 0)
        return err_set_detail(err, ST_BUSY, "woken");
    return left_us > 0 ? ST_OK : err_set_detail(err, ST_BUSY, "nothing came within the time");
}

/* ---------------------------------------------------------------- connecting */

static void
wait_back_off(struct pgsql_session *session)
{
    int64_t left_us;

    while (!pgsql_session_is_stopped(session) &&
           (left_us = session->back_off.retry_at_us - now_us()) > 0) {
        struct pollfd fd = {.fd = session->wake_fd, .events = POLLIN};
        uint64_t woken;

        if (poll(&fd, 1, (int)(left_us / US_PER_MS) + 1) > 0 &&
            read(session->wake_fd, &woken, sizeof(woken)) < 0)
            continue;
    }
}

/* What the result says, and whether the session is of use after that. */
static enum status
check(struct pgsql_session *session, const PGresult *result, struct err *err)
{
    ExecStatusType status = PQresultStatus(result);
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    enum status st;

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return ST_OK;
    if (PQstatus(session->pg) == CONNECTION_BAD)
        return lose(session, err, PQerrorMessage(session->pg));
    st = pgsql_status_of(code);
    (void)err_set_detail(err, st, "the database server: %s (%s)", text != NULL ? text : "no words",
                         code != NULL ? code : "no code");
    if (st == ST_UNAVAILABLE)
        pgsql_session_give_up(session);
    return st;
}

static enum status
set_up(struct pgsql_session *session, struct err *err)
{
    int64_t deadline_us = now_us() + SET_UP_US;
    PGresult *result;
    enum status st = ST_OK;

    if (PQsetnonblocking(session->pg, 1) != 0 || PQsendQuery(session->pg, session->set_up) != 1)
        return lose(session, err, PQerrorMessage(session->pg));
    do {
        while (st == ST_OK && PQisBusy(session->pg) != 0) {
            st = move_bytes(session, deadline_us, err);
            if (st == ST_BUSY && now_us() < deadline_us)
                st = ST_OK;
        }
        if (st == ST_BUSY)
            return lose(session, err, "no answer within the time");
        if (st != ST_OK)
            return st;
        result = PQgetResult(session->pg);
        if (result != NULL)
            st = check(session, result, err);
        PQclear(result);
    } while (result != NULL && st == ST_OK);
    if (st == ST_OK && PQenterPipelineMode(session->pg) != 1)
        return lose(session, err, PQerrorMessage(session->pg));
    return st;
}

static enum status
connect_once(struct pgsql_session *session, struct err *err)
{
    enum status st;

    session->pg = pgsql_dial(session->url, CONNECT_S);
    back_off_opened(&session->back_off);
    metric_add(&connected_metric, 1, str_from_c(session->use), STR_EMPTY, STR_EMPTY);
    if (PQstatus(session->pg) != CONNECTION_OK)
        return lose(session, err, PQerrorMessage(session->pg));
    st = set_up(session, err);
    if (st != ST_OK && session->pg != NULL)
        pgsql_session_give_up(session);
    return st;
}

enum status
pgsql_session_connect(struct pgsql_session *session, struct err *err)
{
    enum status st;

    if (session->pg != NULL)
        return ST_OK;
    wait_back_off(session);
    if (pgsql_session_is_stopped(session))
        return err_set_detail(err, ST_UNAVAILABLE, "stopping");
    st = connect_once(session, err);
    if (st != ST_OK) {
        if (!session->told_down && !pgsql_session_is_stopped(session))
            LOG_ERR(LOG_ERROR, "pgsql.unavailable", err, log_str("use", str_from_c(session->use)));
        session->told_down = true;
        err->code = ST_UNAVAILABLE;
        return ST_UNAVAILABLE;
    }
    if (session->told_down || session->back_off.failures > 0)
        LOG(LOG_INFO, "pgsql.reconnected", log_str("use", str_from_c(session->use)));
    session->told_down = false;
    METRIC_INC(&connects_metric, str_from_c(session->use));
    return ST_OK;
}

/* ---------------------------------------------------------------- statements */

enum status
pgsql_session_send(struct pgsql_session *session, const char *name, unsigned count,
                   const char *const *values, struct err *err)
{
    if (session->pg == NULL)
        return err_set_detail(err, ST_UNAVAILABLE, "not connected");
    if (PQsendQueryPrepared(session->pg, name, (int)count, values, NULL, NULL, 0) != 1 ||
        PQpipelineSync(session->pg) != 1)
        return lose(session, err, PQerrorMessage(session->pg));
    session->due++;
    return ST_OK;
}

unsigned
pgsql_session_due(const struct pgsql_session *session)
{
    return session->due;
}

enum status
pgsql_session_receive(struct pgsql_session *session, int64_t deadline_us, PGresult **result_out,
                      struct err *err)
{
    bool ended = false;
    enum status st = ST_OK;

    *result_out = NULL;
    if (session->pg == NULL)
        return err_set_detail(err, ST_UNAVAILABLE, "not connected");
    while (!ended) {
        PGresult *result;

        while (PQisBusy(session->pg) != 0) {
            st = move_bytes(session, deadline_us, err);
            if (st != ST_OK)
                return st;
        }
        result = PQgetResult(session->pg);
        ended = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        if (ended || session->answer != NULL || result == NULL)
            PQclear(result);
        else
            session->answer = result;
        if (result == NULL && PQstatus(session->pg) == CONNECTION_BAD)
            return lose(session, err, PQerrorMessage(session->pg));
    }
    session->due--;
    *result_out = session->answer;
    session->answer = NULL;
    st = check(session, *result_out, err);
    if (st != ST_OK) {
        PQclear(*result_out);
        *result_out = NULL;
    }
    return st;
}

enum status
pgsql_session_call(struct pgsql_session *session, int timeout_ms, const char *name, unsigned count,
                   const char *const *values, PGresult **result_out, struct err *err)
{
    int64_t deadline_us = now_us() + timeout_ms * US_PER_MS;
    PGresult *result = NULL;
    enum status st = pgsql_session_send(session, name, count, values, err);

    if (result_out != NULL)
        *result_out = NULL;
    if (st == ST_OK)
        st = pgsql_session_receive(session, deadline_us, &result, err);
    while (st == ST_BUSY && session->due > 0 && now_us() < deadline_us) /* woken */
        st = pgsql_session_receive(session, deadline_us, &result, err);
    if (st == ST_BUSY && session->due > 0)
        return lose(session, err, "no answer within the time");
    if (st == ST_OK && result_out != NULL)
        *result_out = result;
    else
        PQclear(result);
    return st;
}

/* ---------------------------------------------------------------- notifications */

PGnotify *
pgsql_session_heard(struct pgsql_session *session)
{
    return session->pg != NULL ? PQnotifies(session->pg) : NULL;
}

enum status
pgsql_session_hear(struct pgsql_session *session, int64_t deadline_us, PGnotify **notify_out,
                   struct err *err)
{
    enum status st = ST_OK;

    *notify_out = NULL;
    if (session->pg == NULL)
        return err_set_detail(err, ST_UNAVAILABLE, "not connected");
    while (st == ST_OK && (*notify_out = PQnotifies(session->pg)) == NULL)
        st = move_bytes(session, deadline_us, err);
    return st;
}
