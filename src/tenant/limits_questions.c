/*
 * limits_questions.c - see the header
 */
#include "tenant/limits_questions.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

#define DEFAULT_DEADLINE_MS 5
#define DEFAULT_PAUSE_MS 3000
#define MAX_ASKED 4096

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

void
limits_questions_init(struct limits_questions *questions, const struct limits_config *config)
{
    int deadline_ms = config->deadline_ms == 0 ? DEFAULT_DEADLINE_MS : config->deadline_ms;
    int pause_ms = config->pause_ms == 0 ? DEFAULT_PAUSE_MS : config->pause_ms;

    questions->deadline_us = deadline_ms * US_PER_MS;
    questions->pause_us = pause_ms * US_PER_MS;
    atomic_store(&questions->instances, 1);
    pthread_mutex_init(&questions->lock, NULL);
    cond_init(&questions->asked);
    cond_init(&questions->answered);
}

void
limits_questions_deinit(struct limits_questions *questions)
{
    pthread_cond_destroy(&questions->answered);
    pthread_cond_destroy(&questions->asked);
    pthread_mutex_destroy(&questions->lock);
}

void
limits_questions_stop(struct limits_questions *questions)
{
    pthread_mutex_lock(&questions->lock);
    questions->stopping = true;
    pthread_cond_broadcast(&questions->asked);
    pthread_mutex_unlock(&questions->lock);
}

bool
limits_questions_stopping(struct limits_questions *questions)
{
    bool stopping;

    pthread_mutex_lock(&questions->lock);
    stopping = questions->stopping;
    pthread_mutex_unlock(&questions->lock);
    return stopping;
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

enum status
limits_ask(struct limits_questions *questions, struct str key, unsigned per_minute, unsigned burst,
           struct err *err)
{
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

struct question *
limits_questions_take(struct limits_questions *questions, int64_t mono_deadline_us)
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

struct question *
limits_answer(struct limits_questions *questions, struct question *question, enum status st,
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

void
limits_refuse_all(struct limits_questions *questions)
{
    struct question *question;

    atomic_store(&questions->paused_until_us, now_us() + questions->pause_us);
    question = limits_questions_take(questions, 0);
    while (question != NULL)
        question = limits_answer(questions, question, ST_UNAVAILABLE, 0);
}
