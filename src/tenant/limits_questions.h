/*
 * limits_questions.h - questions about buckets that a server keeps; only for the drivers of limits
 *
 * Callers put their questions into a list and wait, but no longer than the deadline; one thread
 * sends what is in it, all together, and hands the answers out. Who waited in vain leaves the
 * question to the thread, and for a while nobody asks. Threads: shared, down to the thread's part.
 */
#ifndef PARLEY_TENANT_LIMITS_QUESTIONS_H
#define PARLEY_TENANT_LIMITS_QUESTIONS_H

#include <pthread.h>
#include <stdatomic.h>

#include "tenant/limits_driver.h"

#define LIMITS_HASH_BYTES 16

enum question_state { QUESTION_ASKED, QUESTION_ANSWERED, QUESTION_ABANDONED };

struct question {
    struct question *next;
    enum question_state state;
    char hash[2 * LIMITS_HASH_BYTES + 1]; /* of the key, which holds senders' ids */
    unsigned per_minute, burst;
    enum status st; /* the answer */
    double wait_ms;
};

struct limits_questions {
    int64_t deadline_us, pause_us; /* frozen */
    pthread_mutex_t lock;          /* guards what follows, and questions */
    pthread_cond_t asked, answered;
    struct question *first, *last;
    size_t count;
    bool stopping;
    _Atomic bool connected; /* set by the thread */
    _Atomic int64_t paused_until_us;
    _Atomic unsigned instances; /* set by the thread */
};

void limits_questions_init(struct limits_questions *questions, const struct limits_config *config);
void limits_questions_deinit(struct limits_questions *questions);
/* As limits_driver's take. */
enum status limits_ask(struct limits_questions *questions, struct str key, unsigned per_minute,
                       unsigned burst, struct err *err);
void limits_questions_stop(struct limits_questions *questions);
bool limits_questions_stopping(struct limits_questions *questions);

/* --- the thread's --- */

/* All questions, waited for until the deadline (0: not at all). */
struct question *limits_questions_take(struct limits_questions *questions,
                                       int64_t mono_deadline_us);
/* Hands an answer out, and gives the next question. */
struct question *limits_answer(struct limits_questions *questions, struct question *question,
                               enum status st, double wait_ms);
/* Nobody can be asked: whoever waits decides alone, and for a while nobody asks. */
void limits_refuse_all(struct limits_questions *questions);

#endif
