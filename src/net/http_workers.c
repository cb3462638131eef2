/*
 * http_workers.c - a linked queue and threads that sleep on it
 */
#include "net/http_workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/thread.h"

struct http_workers {
    pthread_mutex_t lock; /* guards the fields down to stopping */
    struct http_work *first;
    struct http_work **last;
    unsigned queued;
    unsigned sleeping; /* waiting, less those that a signal is on its way to */
    unsigned running;  /* busy with a piece of work */
    bool stopping;
    pthread_cond_t work_or_stop;
    unsigned max_queued;
    unsigned thread_count;
    unsigned started;
    pthread_t *threads;
};

static struct http_work *
take(struct http_workers *workers, bool has_run)
{
    struct http_work *work;
    bool wake = false;

    pthread_mutex_lock(&workers->lock);
    workers->running -= has_run;
    while (workers->first == NULL && !workers->stopping) {
        workers->sleeping++;
        pthread_cond_wait(&workers->work_or_stop, &workers->lock);
        /* Whoever signalled took one off the count. A spurious return finds the queue empty and
         * counts itself again, which can only lead to a needless signal, never to a missing one. */
    }
    work = workers->first;
    if (work != NULL) {
        workers->first = work->next;
        if (workers->first == NULL)
            workers->last = &workers->first;
        workers->queued--;
        workers->running++;
        wake = workers->first != NULL && workers->sleeping > 0;
        if (wake)
            workers->sleeping--;
    }
    pthread_mutex_unlock(&workers->lock);
    if (wake)
        pthread_cond_signal(&workers->work_or_stop);
    return work;
}

static void *
run_worker(void *arg)
{
    struct http_workers *workers = arg;
    struct http_work *work = take(workers, false);

    while (work != NULL) {
        work->run(work);
        work = take(workers, true);
    }
    return NULL;
}

enum status
http_workers_create(unsigned threads, unsigned max_queued, struct http_workers **workers_out,
                    struct err *err)
{
    struct http_workers *workers = calloc(1, sizeof(*workers));
    enum status st = ST_OK;

    *workers_out = NULL;
    if (workers == NULL)
        abort();
    workers->threads = calloc(threads, sizeof(workers->threads[0]));
    if (workers->threads == NULL)
        abort();
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->work_or_stop, NULL);
    workers->last = &workers->first;
    workers->max_queued = max_queued;
    workers->thread_count = threads;
    while (st == ST_OK && workers->started < threads) {
        st = thread_start("http-worker", run_worker, workers, &workers->threads[workers->started],
                          err);
        workers->started += st == ST_OK;
    }
    if (st != ST_OK) {
        http_workers_destroy(&workers);
        return st;
    }
    *workers_out = workers;
    return ST_OK;
}

bool
http_workers_submit(struct http_workers *workers, struct http_work *work, bool must_queue)
{
    bool wake = false;
    bool taken;

    pthread_mutex_lock(&workers->lock);
    /* What an idle worker is about to take does not wait. */
    taken = must_queue ||
            workers->queued < workers->max_queued + (workers->thread_count - workers->running);
    if (taken) {
        work->next = NULL;
        /* When work waits already, a worker is awake or on its way, and will wake the next. */
        wake = workers->first == NULL && workers->sleeping > 0;
        if (wake)
            workers->sleeping--;
        *workers->last = work;
        workers->last = &work->next;
        workers->queued++;
    }
    pthread_mutex_unlock(&workers->lock);
    if (wake)
        pthread_cond_signal(&workers->work_or_stop);
    return taken;
}

void
http_workers_destroy(struct http_workers **workers)
{
    struct http_workers *w = *workers;

    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_mutex_unlock(&w->lock);
    pthread_cond_broadcast(&w->work_or_stop);
    for (unsigned i = 0; i < w->started; i++)
        (void)pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->work_or_stop);
    pthread_mutex_destroy(&w->lock);
    free(w->threads);
    free(w);
    *workers = NULL;
}
