/*
 * limits_questions.c - see the header
 */
#include "tenant/limits_questions.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"

#define DEFAULT_DEADLINE_MS 5
#define DEFAULT_PAUSE_MS 3000
#define MAX_ASKED 4096
#define HEARTBEAT_US (5 * US_PER_S)
#define DEAD_AFTER_US (20 * US_PER_S)

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

void
limits_questions_init(struct limits_questions *questions, const struct limits_config *config,
                      const struct limits_server *server)
{
    int deadline_ms = config->deadline_ms == 0 ? DEFAULT_DEADLINE_MS : config->deadline_ms;
    int pause_ms = config->pause_ms == 0 ? DEFAULT_PAUSE_MS : config->pause_ms;

    questions->server = server;
    questions->instance = id_new();
    questions->deadline_us = deadline_ms * US_PER_MS;
    questions->pause_us = pause_ms * US_PER_MS;
    atomic_store(&questions->instances, 1);
    pthread_mutex_init(&questions->lock, NULL);
    cond_init(&questions->asked);
    cond_init(&questions->answered);
    questions->opened = true;
}

void
limits_questions_deinit(struct limits_questions *questions)
{
    if (!questions->opened)
        return;
    pthread_cond_destroy(&questions->answered);
    pthread_cond_destroy(&questions->asked);
    pthread_mutex_destroy(&questions->lock);
    questions->opened = false;
}

/* ---------------------------------------------------------------- asking */

static struct question *
question_create(struct str key, unsigned per_minute, unsigned burst)
{
    struct question *question = calloc(1, sizeof(*question));
    unsigned char hash[LIMITS_HASH_BYTES];

    if (question == NULL)
        abort();
    (void)crypto_generichash(hash, sizeof(hash), (const unsigned char *)key.ptr, key.len, NULL, 0);
    (void)sodium_bin2hex(question->hash, sizeof(question->hash), hash, sizeof(hash));
    question->per_minute = per_minute;
    question->burst = burst;
    return question;
}

static enum status
undecided(struct err *err)
{
    return err_set_detail(err, ST_UNAVAILABLE, "limits: no shared decision in time");
}

unsigned
limits_questions_instances(struct limits_shared *shared)
{
    return atomic_load(&((struct limits_questions *)shared)->instances);
}

enum status
limits_questions_take(struct limits_shared *shared, struct str key, unsigned per_minute,
                      unsigned burst, struct err *err)
{
    struct limits_questions *questions = (struct limits_questions *)shared;
    int64_t deadline_us = now_us() + questions->deadline_us;
    struct question *question;
    bool in_time = true;
    double wait_ms;
    enum status st;

    if (!atomic_load(&questions->connected) || now_us() < atomic_load(&questions->paused_until_us))
        return undecided(err);
    question = question_create(key, per_minute, burst);
    pthread_mutex_lock(&questions->lock);
    if (questions->count == MAX_ASKED) {
        pthread_mutex_unlock(&questions->lock);
        free(question);
        return undecided(err);
    }
    if (questions->last != NULL)
        questions->last->next = question;
    else
        questions->first = question;
    questions->last = question;
    questions->count++;
    pthread_cond_signal(&questions->asked);
    while (question->state == QUESTION_ASKED && in_time)
        in_time = cond_wait_until(&questions->answered, &questions->lock, deadline_us);
    if (question->state == QUESTION_ASKED) { /* the thread has it */
        question->state = QUESTION_ABANDONED;
        pthread_mutex_unlock(&questions->lock);
        atomic_store(&questions->paused_until_us, now_us() + questions->pause_us);
        return undecided(err);
    }
    st = question->st;
    wait_ms = question->wait_ms;
    pthread_mutex_unlock(&questions->lock);
    free(question);
    if (st == ST_BUSY)
        return limits_refuse(wait_ms, err);
    return st == ST_OK ? ST_OK : undecided(err);
}

/* ---------------------------------------------------------------- the thread */

static bool
is_stopping(struct limits_questions *questions)
{
    bool stopping;

    pthread_mutex_lock(&questions->lock);
    stopping = questions->stopping;
    pthread_mutex_unlock(&questions->lock);
    return stopping;
}

/* All that were asked, waited for until the deadline (0: not at all). */
static struct question *
take_all(struct limits_questions *questions, int64_t mono_deadline_us)
{
    struct question *first;
    bool in_time = mono_deadline_us > 0;

    pthread_mutex_lock(&questions->lock);
    while (questions->first == NULL && !questions->stopping && in_time)
        in_time = cond_wait_until(&questions->asked, &questions->lock, mono_deadline_us);
    first = questions->first;
    questions->first = questions->last = NULL;
    questions->count = 0;
    pthread_mutex_unlock(&questions->lock);
    return first;
}

/* Hands an answer out, and gives the next question. */
static struct question *
answer(struct limits_questions *questions, struct question *question, enum status st,
       double wait_ms)
{
    struct question *next = question->next;
    bool abandoned;

    pthread_mutex_lock(&questions->lock);
    abandoned = question->state == QUESTION_ABANDONED;
    question->st = st;
    question->wait_ms = wait_ms;
    question->state = QUESTION_ANSWERED;
    pthread_cond_broadcast(&questions->answered);
    pthread_mutex_unlock(&questions->lock);
    if (abandoned)
        free(question);
    return next;
}

/* Nobody can be asked: whoever waits decides alone, and for a while nobody asks. */
static void
refuse_all(struct limits_questions *questions)
{
    struct question *question;

    atomic_store(&questions->paused_until_us, now_us() + questions->pause_us);
    question = take_all(questions, 0);
    while (question != NULL)
        question = answer(questions, question, ST_UNAVAILABLE, 0);
}

static enum status
ask_all(struct limits_questions *questions, struct question *first, struct err *err)
{
    int64_t deadline_us = now_us() + LIMITS_REPLY_MS * US_PER_MS;
    enum status st = ST_OK;

    for (struct question *q = first; q != NULL && st == ST_OK; q = q->next)
        st = questions->server->send(questions, q, err);
    while (first != NULL) {
        enum status taken = ST_UNAVAILABLE;
        double wait_ms = 0;

        if (st == ST_OK)
            st = questions->server->receive(questions, deadline_us, &taken, &wait_ms, err);
        first = answer(questions, first, taken, wait_ms);
    }
    return st;
}

static enum status
heartbeat(struct limits_questions *questions, struct err *err)
{
    int64_t instances = 0;
    enum status st;

    if (now_us() < questions->heartbeat_us)
        return ST_OK;
    questions->heartbeat_us = now_us() + HEARTBEAT_US;
    st = questions->server->see(questions, DEAD_AFTER_US, &instances, err);
    if (st == ST_OK && instances > 0)
        atomic_store(&questions->instances, (unsigned)instances);
    return st;
}

static void *
run(void *arg)
{
    struct limits_questions *questions = arg;
    const struct limits_server *server = questions->server;

    while (!is_stopping(questions)) {
        struct err err;
        enum status st;

        if (!server->is_connected(questions))
            questions->heartbeat_us = 0;
        st = server->connect(questions, &err);
        if (st == ST_OK)
            st = heartbeat(questions, &err);
        atomic_store(&questions->connected, st == ST_OK);
        if (st == ST_OK)
            st = ask_all(questions, take_all(questions, questions->heartbeat_us), &err);
        if (st == ST_OK)
            continue;
        atomic_store(&questions->connected, false);
        refuse_all(questions);
        if (st != ST_UNAVAILABLE && st != ST_BUSY && st != ST_NOT_FOUND)
            LOG_ERR(LOG_ERROR, "limits.refused", &err);
        if (server->is_connected(questions))
            server->give_up(questions);
    }
    if (server->is_connected(questions))
        server->leave(questions);
    refuse_all(questions);
    return NULL;
}

enum status
limits_questions_start(struct limits_questions *questions, struct err *err)
{
    enum status st = thread_start("limits", run, questions, &questions->thread, err);

    questions->started = st == ST_OK;
    return st;
}

void
limits_questions_stop(struct limits_questions *questions)
{
    if (!questions->started)
        return;
    pthread_mutex_lock(&questions->lock);
    questions->stopping = true;
    pthread_cond_broadcast(&questions->asked);
    pthread_mutex_unlock(&questions->lock);
    if (!atomic_load(&questions->connected)) /* else it ends in its own time, soon */
        questions->server->stop(questions);
    pthread_join(questions->thread, NULL);
    questions->started = false;
}
