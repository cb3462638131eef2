/*
 * thread.h - a bounded pool of worker threads
 *
 * Workers run plain blocking code. A full queue refuses (ST_BUSY) instead of waiting, so that the
 * caller can answer 503 at once. Stopping: no new work, queued work runs, workers are joined.
 * Threads: submit from any; create, stop and destroy from one.
 */
#ifndef PARLEY_BASE_THREAD_H
#define PARLEY_BASE_THREAD_H

#include <pthread.h>

#include "base/err.h"
#include "base/str.h"

struct thread_pool;

struct thread_pool_config {
    const char *name;    /* of the threads, at most 12 characters */
    unsigned threads;    /* started at once */
    unsigned max_queued; /* tasks that may wait */
};

typedef void (*thread_task)(void *arg);

MUST_USE enum status thread_pool_create(const struct thread_pool_config *config,
                                        struct thread_pool **pool_out, struct err *err);
/* ST_BUSY when max_queued tasks wait already or the pool is stopping. */
MUST_USE enum status thread_pool_submit(struct thread_pool *pool, thread_task task, void *arg,
                                        struct err *err);
unsigned thread_pool_queued(struct thread_pool *pool);
/* Blocks until what was queued has run, then joins. */
void thread_pool_destroy(struct thread_pool **pool);

/* A joinable thread with a name and a 512 kB stack (the process's default for all our threads).
 * Signals are blocked in it: they are for the main thread. ST_BUSY when the system gives none. */
MUST_USE enum status thread_start(const char *name, void *(*run)(void *), void *arg,
                                  pthread_t *thread_out, struct err *err);

/* Condition variables on the monotonic clock. Returns false when the deadline passed. */
void cond_init(pthread_cond_t *cond);
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t mono_deadline_us);

#endif
