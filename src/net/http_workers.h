/*
 * http_workers.h - the hand-over from epoll threads to workers
 *
 * Unlike thread_pool, tasks are links inside the caller's struct, so that a hand-over allocates
 * nothing, and waking is frugal: a submit wakes a worker only when one sleeps and none is on its
 * way; a worker that leaves work behind wakes the next. Threads: submit from any.
 */
#ifndef PARLEY_NET_HTTP_WORKERS_H
#define PARLEY_NET_HTTP_WORKERS_H

#include "base/err.h"
#include "base/str.h"

struct http_workers;

struct http_work {
    struct http_work *next; /* private to the queue */
    void (*run)(struct http_work *work);
};

MUST_USE enum status http_workers_create(unsigned threads, unsigned max_queued,
                                         struct http_workers **workers_out, struct err *err);
/* False when all workers run and max_queued wait already. must_queue: goes in whatever the length.
 */
bool http_workers_submit(struct http_workers *workers, struct http_work *work, bool must_queue);
/* Runs what is queued, then joins. */
void http_workers_destroy(struct http_workers **workers);

#endif
