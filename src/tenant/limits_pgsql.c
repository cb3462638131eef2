/*
 * limits_pgsql.c - buckets in an unlogged table of PostgreSQL, one statement a token
 *
 * The bucket's row is locked for one update, so processes take turns; statements are sent together
 * and each is a transaction of its own.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "store/pgsql_session.h"
#include "tenant/limits_pgsql_sql.h"
#include "tenant/limits_questions.h"

struct pgsql_limits {
    struct limits_questions questions;
    struct pgsql_session *session; /* of the thread */
};

static struct pgsql_session *
session_of(const struct limits_questions *questions)
{
    return ((const struct pgsql_limits *)questions)->session;
}

/* ---------------------------------------------------------------- the server */

static bool
is_connected(const struct limits_questions *questions)
{
    return pgsql_session_is_connected(session_of(questions));
}

static enum status
connect_session(struct limits_questions *questions, struct err *err)
{
    return pgsql_session_connect(session_of(questions), err);
}

static enum status
see(struct limits_questions *questions, int64_t silent_us, int64_t *instances_out, struct err *err)
{
    char silent[24];
    const char *values[] = {questions->instance.text, silent};
    PGresult *result = NULL;
    enum status st;

    (void)snprintf(silent, sizeof(silent), "%" PRId64, silent_us);
    st = pgsql_session_call(session_of(questions), LIMITS_REPLY_MS, "limit_seen", 2, values,
                            &result, err);
    if (st != ST_OK || !str_to_i64(str_from_c(PQgetvalue(result, 0, 0)), instances_out))
        *instances_out = 0;
    PQclear(result);
    return st;
}

static void
leave(struct limits_questions *questions)
{
    const char *values[] = {questions->instance.text};
    struct err err;

    if (pgsql_session_call(session_of(questions), LIMITS_LEAVE_MS, "limit_goodbye", 1, values, NULL,
                           &err) != ST_OK)
        LOG_ERR(LOG_DEBUG, "limits.no_goodbye", &err);
}

static enum status
send_question(struct limits_questions *questions, const struct question *question, struct err *err)
{
    char per_minute[16], burst[16];
    const char *values[] = {question->hash, per_minute, burst};

    (void)snprintf(per_minute, sizeof(per_minute), "%u", question->per_minute);
    (void)snprintf(burst, sizeof(burst), "%u", question->burst);
    return pgsql_session_send(session_of(questions), "limit_take", 3, values, err);
}

/* Milliseconds to wait, 0 when a token was taken. Another wake-up than an answer does not come:
 * nobody wakes this session but who stops it. */
static enum status
receive(struct limits_questions *questions, int64_t deadline_us, enum status *taken_out,
        double *wait_ms_out, struct err *err)
{
    PGresult *result = NULL;
    enum status st = pgsql_session_receive(session_of(questions), deadline_us, &result, err);

    *taken_out = ST_UNAVAILABLE;
    if (st == ST_OK && str_to_double(str_from_c(PQgetvalue(result, 0, 0)), wait_ms_out))
        *taken_out = *wait_ms_out > 0 ? ST_BUSY : ST_OK;
    PQclear(result);
    return st;
}

static void
give_up(struct limits_questions *questions)
{
    pgsql_session_give_up(session_of(questions));
}

static void
stop(struct limits_questions *questions)
{
    pgsql_session_stop(session_of(questions));
}

static const struct limits_server server = {
    .is_connected = is_connected,
    .connect = connect_session,
    .see = see,
    .leave = leave,
    .send = send_question,
    .receive = receive,
    .give_up = give_up,
    .stop = stop,
};

/* ---------------------------------------------------------------- opening */

static enum status
pgsql_limits_open(struct limits_shared *base, const struct limits_config *config, struct err *err)
{
    struct pgsql_limits *limits = (struct pgsql_limits *)base;
    struct pgsql_session_config session = {
        .url = config->addresses, .use = "limits", .set_up = PGSQL_LIMITS_SET_UP};
    enum status st;

    limits_questions_init(&limits->questions, config, &server);
    st = pgsql_session_open(&session, &limits->session, err);
    if (st == ST_OK)
        st = limits_questions_start(&limits->questions, err);
    return st == ST_OK ? ST_OK : err_wrap(err, "open shared limits");
}

static void
pgsql_limits_close(struct limits_shared *base)
{
    struct pgsql_limits *limits = (struct pgsql_limits *)base;

    limits_questions_stop(&limits->questions);
    pgsql_session_close(&limits->session);
    limits_questions_deinit(&limits->questions);
}

const struct limits_driver limits_pgsql = {
    .name = "pgsql",
    .size = sizeof(struct pgsql_limits),
    .open = pgsql_limits_open,
    .close = pgsql_limits_close,
    .take = limits_questions_take,
    .instances = limits_questions_instances,
};
