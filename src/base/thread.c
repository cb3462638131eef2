/*
 * thread.c - worker threads over a ring of waiting tasks
 */
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Sanitizers make stack frames several times as large. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES ((size_t)4 * 1024 * 1024)
#elif defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_BYTES ((size_t)4 * 1024 * 1024)
#endif
#endif
#ifndef STACK_BYTES
#define STACK_BYTES ((size_t)512 * 1024)
#endif

#define THREAD_NAME_BYTES 16 /* what the kernel keeps */

struct task {
    thread_task run;
    void *arg;
};

struct thread_pool {
    pthread_mutex_t lock; /* guards the fields down to stopping */
    struct task *ring;
    unsigned first;
    unsigned queued;
    bool stopping;
    pthread_cond_t work_or_stop;
    unsigned max_queued;
    unsigned started; /* threads to join */
    pthread_t *threads;
};

enum status
thread_start(const char *name, void *(*run)(void *), void *arg, pthread_t *thread_out,
             struct err *err)
{
    char short_name[THREAD_NAME_BYTES];
    pthread_attr_t attr;
    sigset_t all;
    sigset_t before;
    int failed;

    if (pthread_attr_init(&attr) != 0 || pthread_attr_setstacksize(&attr, STACK_BYTES) != 0)
        abort();
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(thread_out, &attr, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    if (failed != 0)
        return err_set_detail(err, ST_BUSY, "start thread %s: %s", name, strerrordesc_np(failed));
    (void)snprintf(short_name, sizeof(short_name), "%s", name);
    (void)pthread_setname_np(*thread_out, short_name);
    return ST_OK;
}

static bool
take_task(struct thread_pool *pool, struct task *task_out)
{
    bool taken;

    pthread_mutex_lock(&pool->lock);
    while (pool->queued == 0 && !pool->stopping)
        pthread_cond_wait(&pool->work_or_stop, &pool->lock);
    taken = pool->queued > 0;
    if (taken) {
        *task_out = pool->ring[pool->first];
        pool->first = (pool->first + 1) % pool->max_queued;
        pool->queued--;
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

static void *
work(void *arg)
{
    struct thread_pool *pool = arg;
    struct task task;

    while (take_task(pool, &task))
        task.run(task.arg);
    return NULL;
}

enum status
thread_pool_create(const struct thread_pool_config *config, struct thread_pool **pool_out,
                   struct err *err)
{
    struct thread_pool *pool = calloc(1, sizeof(*pool));
    enum status st = ST_OK;

    assert(config->threads > 0 && config->max_queued > 0);
    *pool_out = NULL;
    if (pool == NULL)
        abort();
    pool->max_queued = config->max_queued;
    pool->ring = calloc(config->max_queued, sizeof(*pool->ring));
    pool->threads = calloc(config->threads, sizeof(*pool->threads));
    if (pool->ring == NULL || pool->threads == NULL)
        abort();
    pthread_mutex_init(&pool->lock, NULL);
    cond_init(&pool->work_or_stop);
    while (st == ST_OK && pool->started < config->threads) {
        char name[THREAD_NAME_BYTES + 16];

        (void)snprintf(name, sizeof(name), "%.12s-%u", config->name, pool->started);
        st = thread_start(name, work, pool, &pool->threads[pool->started], err);
        if (st == ST_OK)
            pool->started++;
    }
    if (st != ST_OK)
        thread_pool_destroy(&pool);
    *pool_out = pool;
    return st;
}

enum status
thread_pool_submit(struct thread_pool *pool, thread_task task, void *arg, struct err *err)
{
    bool accepted;

    pthread_mutex_lock(&pool->lock);
    accepted = !pool->stopping && pool->queued < pool->max_queued;
    if (accepted) {
        pool->ring[(pool->first + pool->queued) % pool->max_queued] = (struct task){task, arg};
        pool->queued++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!accepted)
        return err_set(err, ST_BUSY, "too much is going on; try again later");
    pthread_cond_signal(&pool->work_or_stop);
    return ST_OK;
}

unsigned
thread_pool_queued(struct thread_pool *pool)
{
    unsigned queued;

    pthread_mutex_lock(&pool->lock);
    queued = pool->queued;
    pthread_mutex_unlock(&pool->lock);
    return queued;
}

void
thread_pool_destroy(struct thread_pool **pool_ref)
{
    struct thread_pool *pool = *pool_ref;

    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_broadcast(&pool->work_or_stop);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->work_or_stop);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool->ring);
    free(pool);
    *pool_ref = NULL;
}

void
cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    if (pthread_condattr_init(&attr) != 0 ||
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(cond, &attr) != 0)
        abort();
    (void)pthread_condattr_destroy(&attr);
}

bool
cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t mono_deadline_us)
{
    struct timespec deadline;
    int failed;

    if (mono_deadline_us < 0)
        mono_deadline_us = 0;
    deadline.tv_sec = (time_t)(mono_deadline_us / US_PER_S);
    deadline.tv_nsec = (long)(mono_deadline_us % US_PER_S) * 1000;
    failed = pthread_cond_timedwait(cond, mutex, &deadline);
    assert(failed == 0 || failed == ETIMEDOUT);
    return failed == 0;
}
