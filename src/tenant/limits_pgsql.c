/*
 * limits_pgsql.c - buckets in an unlogged table of PostgreSQL, one statement a token
 *
 * The bucket's row is locked for one update, so processes take turns; statements are sent together
 * and each is a transaction of its own.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/id.h"
#include "base/log.h"
#include "base/thread.h"
#include "store/pgsql_session.h"
#include "tenant/limits_pgsql_sql.h"
#include "tenant/limits_questions.h"

#define REPLY_MS 1000
#define GOODBYE_MS 200
#define HEARTBEAT_US (5 * US_PER_S)
#define DEAD_AFTER_US (20 * US_PER_S)

struct pgsql_limits {
    struct limits_shared base;
    struct pgsql_session *session; /* of the thread */
    struct id_text instance;
    pthread_t thread;
    bool started;
    int64_t heartbeat_us; /* of the thread */
    struct limits_questions questions;
};

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

static enum status
pgsql_limits_take(struct limits_shared *base, struct str key, unsigned per_minute, unsigned burst,
                  struct err *err)
{
    struct pgsql_limits *limits = (struct pgsql_limits *)base;

    return limits_ask(&limits->questions, key, per_minute, burst, err);
}

static unsigned
pgsql_limits_instances(struct limits_shared *base)
{
    struct pgsql_limits *limits = (struct pgsql_limits *)base;

    return atomic_load(&limits->questions.instances);
}

/* ---------------------------------------------------------------- the thread */

static enum status
send_question(struct pgsql_limits *limits, const struct question *question, struct err *err)
{
    char per_minute[16], burst[16];
    const char *values[] = {question->hash, per_minute, burst};

    (void)snprintf(per_minute, sizeof(per_minute), "%u", question->per_minute);
    (void)snprintf(burst, sizeof(burst), "%u", question->burst);
    return pgsql_session_send(limits->session, "limit_take", 3, values, err);
}

/* One answer: milliseconds to wait, 0 when a token was taken. Another wake-up than an answer does
 * not come: nobody wakes this session but who stops it. */
static enum status
take_answer(struct pgsql_limits *limits, int64_t deadline_us, enum status *taken_out,
            double *wait_ms_out, struct err *err)
{
    PGresult *result = NULL;
    enum status st = pgsql_session_receive(limits->session, deadline_us, &result, err);

    *taken_out = ST_UNAVAILABLE;
    if (st == ST_OK && str_to_double(str_from_c(PQgetvalue(result, 0, 0)), wait_ms_out))
        *taken_out = *wait_ms_out > 0 ? ST_BUSY : ST_OK;
    PQclear(result);
    return st;
}

static enum status
ask_all(struct pgsql_limits *limits, struct question *first, struct err *err)
{
    int64_t deadline_us = now_us() + REPLY_MS * US_PER_MS;
    enum status st = ST_OK;

    for (struct question *q = first; q != NULL && st == ST_OK; q = q->next)
        st = send_question(limits, q, err);
    while (first != NULL) {
        enum status taken = ST_UNAVAILABLE;
        double wait_ms = 0;

        if (st == ST_OK)
            st = take_answer(limits, deadline_us, &taken, &wait_ms, err);
        first = limits_answer(&limits->questions, first, taken, wait_ms);
    }
    return st;
}

static enum status
heartbeat(struct pgsql_limits *limits, struct err *err)
{
    char dead_after[24];
    const char *values[] = {limits->instance.text, dead_after};
    PGresult *result = NULL;
    int64_t instances = 0;
    enum status st;

    if (now_us() < limits->heartbeat_us)
        return ST_OK;
    limits->heartbeat_us = now_us() + HEARTBEAT_US;
    (void)snprintf(dead_after, sizeof(dead_after), "%" PRId64, DEAD_AFTER_US);
    st = pgsql_session_call(limits->session, REPLY_MS, "limit_seen", 2, values, &result, err);
    if (st == ST_OK && str_to_i64(str_from_c(PQgetvalue(result, 0, 0)), &instances) &&
        instances > 0)
        atomic_store(&limits->questions.instances, (unsigned)instances);
    PQclear(result);
    return st;
}

/* The others' shares grow at once, not only when this process counts as dead. */
static void
say_goodbye(struct pgsql_limits *limits)
{
    const char *values[] = {limits->instance.text};
    struct err err;

    if (pgsql_session_is_connected(limits->session) &&
        pgsql_session_call(limits->session, GOODBYE_MS, "limit_goodbye", 1, values, NULL, &err) !=
            ST_OK)
        LOG_ERR(LOG_DEBUG, "limits.no_goodbye", &err);
}

static void *
run(void *arg)
{
    struct pgsql_limits *limits = arg;
    struct limits_questions *questions = &limits->questions;

    while (!limits_questions_stopping(questions)) {
        bool fresh = !pgsql_session_is_connected(limits->session);
        struct err err;
        enum status st = pgsql_session_connect(limits->session, &err);

        if (st == ST_OK && fresh)
            limits->heartbeat_us = 0;
        if (st == ST_OK)
            st = heartbeat(limits, &err);
        atomic_store(&questions->connected, st == ST_OK);
        if (st == ST_OK)
            st = ask_all(limits, limits_questions_take(questions, limits->heartbeat_us), &err);
        if (st == ST_OK)
            continue;
        atomic_store(&questions->connected, false);
        limits_refuse_all(questions);
        if (st != ST_UNAVAILABLE && st != ST_BUSY)
            LOG_ERR(LOG_ERROR, "limits.refused", &err);
        if (pgsql_session_is_connected(limits->session))
            pgsql_session_give_up(limits->session);
    }
    say_goodbye(limits);
    limits_refuse_all(questions);
    return NULL;
}

/* ---------------------------------------------------------------- opening */

static enum status
pgsql_limits_open(struct limits_shared *base, const struct limits_config *config, struct err *err)
{
    struct pgsql_limits *limits = (struct pgsql_limits *)base;
    struct pgsql_session_config session = {
        .url = config->addresses, .use = "limits", .set_up = PGSQL_LIMITS_SET_UP};
    enum status st;

    limits->instance = id_new();
    limits_questions_init(&limits->questions, config);
    st = pgsql_session_open(&session, &limits->session, err);
    if (st == ST_OK)
        st = thread_start("limits", run, limits, &limits->thread, err);
    limits->started = st == ST_OK;
    return st == ST_OK ? ST_OK : err_wrap(err, "open shared limits");
}

static void
pgsql_limits_close(struct limits_shared *base)
{
    struct pgsql_limits *limits = (struct pgsql_limits *)base;

    if (limits->started) {
        limits_questions_stop(&limits->questions);
        if (!atomic_load(&limits->questions.connected)) /* else it ends in its own time, soon */
            pgsql_session_stop(limits->session);
        pthread_join(limits->thread, NULL);
    }
    pgsql_session_close(&limits->session);
    limits_questions_deinit(&limits->questions);
}

const struct limits_driver limits_pgsql = {
    .name = "pgsql",
    .size = sizeof(struct pgsql_limits),
    .open = pgsql_limits_open,
    .close = pgsql_limits_close,
    .take = pgsql_limits_take,
    .instances = pgsql_limits_instances,
};
