/*
 * task_pool.c - a linked queue and threads that sleep on it
 *
 * The thread that went to sleep last is woken first: its stack and its share of the allocator are
 * warm, and the others' memory stays untouched.
 */
#include "base/task_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/thread.h"

/* On the stack of a thread that sleeps. */
struct sleeper {
    struct sleeper *below;
    bool called; /* and taken off the pool's stack */
    pthread_cond_t wake;
};

struct task_pool {
    pthread_mutex_t lock; /* guards the fields down to stopping */
    struct pool_task *first;
    struct pool_task **last;
    unsigned queued;
    struct sleeper *sleepers; /* a stack */
    unsigned running;         /* busy with a task */
    bool stopping;
    unsigned max_queued;
    unsigned thread_count;
    unsigned started;
    pthread_t *threads;
};

/* With the lock held, which the woken thread takes next. */
static void
wake_one(struct task_pool *pool)
{
    struct sleeper *top = pool->sleepers;

    if (top == NULL)
        return;
    pool->sleepers = top->below;
    top->called = true;
    pthread_cond_signal(&top->wake);
}

static void
sleep_until_called(struct task_pool *pool)
{
    struct sleeper self = {.below = pool->sleepers};

    pthread_cond_init(&self.wake, NULL);
    /* cppcheck-suppress autoVariables ; off the stack of sleepers before this returns */
    pool->sleepers = &self;
    while (!self.called)
        pthread_cond_wait(&self.wake, &pool->lock);
    pthread_cond_destroy(&self.wake);
}

static struct pool_task *
take(struct task_pool *pool, bool has_run)
{
    struct pool_task *task;

    pthread_mutex_lock(&pool->lock);
    pool->running -= has_run;
    while (pool->first == NULL && !pool->stopping)
        sleep_until_called(pool);
    task = pool->first;
    if (task != NULL) {
        pool->first = task->next;
        if (pool->first == NULL)
            pool->last = &pool->first;
        else
            wake_one(pool);
        pool->queued--;
        pool->running++;
    }
    pthread_mutex_unlock(&pool->lock);
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
    bool taken;

    pthread_mutex_lock(&pool->lock);
    /* What an idle thread is about to take does not wait. */
    taken = must_queue || pool->queued < pool->max_queued + (pool->thread_count - pool->running);
    if (taken) {
        task->next = NULL;
        /* When tasks wait already, a thread is awake or on its way, and will wake the next. */
        if (pool->first == NULL)
            wake_one(pool);
        *pool->last = task;
        pool->last = &task->next;
        pool->queued++;
    }
    pthread_mutex_unlock(&pool->lock);
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
    while (pool->sleepers != NULL)
        wake_one(pool);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++)
        (void)pthread_join(pool->threads[i], NULL);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
    *pool_ref = NULL;
}
