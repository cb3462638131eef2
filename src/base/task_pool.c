/*
 * task_pool.c - a linked queue and threads that sleep on it
 */
#include "base/task_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/thread.h"

struct task_pool {
    pthread_mutex_t lock; /* guards the fields down to stopping */
    struct pool_task *first;
    struct pool_task **last;
    unsigned queued;
    unsigned sleeping; /* waiting, less those that a signal is on its way to */
    unsigned running;  /* busy with a task */
    bool stopping;
    pthread_cond_t work_or_stop;
    unsigned max_queued;
    unsigned thread_count;
    unsigned started;
    pthread_t *threads;
};

static struct pool_task *
take(struct task_pool *pool, bool has_run)
{
    struct pool_task *task;
    bool wake = false;

    pthread_mutex_lock(&pool->lock);
    pool->running -= has_run;
    while (pool->first == NULL && !pool->stopping) {
        pool->sleeping++;
        pthread_cond_wait(&pool->work_or_stop, &pool->lock);
        /* Whoever signalled took one off the count. A spurious return finds the queue empty and
         * counts itself again, which can only lead to a needless signal, never to a missing one. */
    }
    task = pool->first;
    if (task != NULL) {
        pool->first = task->next;
        if (pool->first == NULL)
            pool->last = &pool->first;
        pool->queued--;
        pool->running++;
        wake = pool->first != NULL && pool->sleeping > 0;
        if (wake)
            pool->sleeping--;
    }
    pthread_mutex_unlock(&pool->lock);
    if (wake)
        pthread_cond_signal(&pool->work_or_stop);
    return task;
}

static void *
run_tasks(void *arg)
{
    struct task_pool *pool = arg;
    struct pool_task *task = take(pool, false);

    while (task != NULL) {
        task->run(task);
        task = take(pool, true);
    }
    return NULL;
}

enum status
task_pool_create(const char *name, unsigned threads, unsigned max_queued,
                 struct task_pool **pool_out, struct err *err)
{
    struct task_pool *pool = calloc(1, sizeof(*pool));
    enum status st = ST_OK;

    *pool_out = NULL;
    if (pool == NULL)
        abort();
    pool->threads = calloc(threads, sizeof(pool->threads[0]));
    if (pool->threads == NULL)
        abort();
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work_or_stop, NULL);
    pool->last = &pool->first;
    pool->max_queued = max_queued;
    pool->thread_count = threads;
    while (st == ST_OK && pool->started < threads) {
        st = thread_start(name, run_tasks, pool, &pool->threads[pool->started], err);
        pool->started += st == ST_OK;
    }
    if (st != ST_OK) {
        task_pool_destroy(&pool);
        return st;
    }
    *pool_out = pool;
    return ST_OK;
}

bool
task_pool_submit(struct task_pool *pool, struct pool_task *task, bool must_queue)
{
    bool wake = false;
    bool taken;

    pthread_mutex_lock(&pool->lock);
    /* What an idle thread is about to take does not wait. */
    taken = must_queue || pool->queued < pool->max_queued + (pool->thread_count - pool->running);
    if (taken) {
        task->next = NULL;
        /* When tasks wait already, a thread is awake or on its way, and will wake the next. */
        wake = pool->first == NULL && pool->sleeping > 0;
        if (wake)
            pool->sleeping--;
        *pool->last = task;
        pool->last = &task->next;
        pool->queued++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (wake)
        pthread_cond_signal(&pool->work_or_stop);
    return taken;
}

void
task_pool_destroy(struct task_pool **pool_ref)
{
    struct task_pool *pool = *pool_ref;

    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_broadcast(&pool->work_or_stop);
    for (unsigned i = 0; i < pool->started; i++)
        (void)pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->work_or_stop);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
    *pool_ref = NULL;
}
