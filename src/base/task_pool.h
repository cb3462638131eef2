/*
 * task_pool.h - threads that run tasks which are links in their owners' structs
 *
 * Unlike thread_pool, a hand-over allocates nothing, and waking is frugal: a submit wakes a thread
 * only when one sleeps and none is on its way; a thread that leaves tasks behind wakes the next.
 * A task may be submitted again as soon as its run has begun. Threads: submit from any.
 */
#ifndef PARLEY_BASE_TASK_POOL_H
#define PARLEY_BASE_TASK_POOL_H

#include "base/err.h"
#include "base/str.h"

struct task_pool;

struct pool_task {
    struct pool_task *next; /* private to the pool */
    void (*run)(struct pool_task *task);
};

/* name of the threads: at most 15 characters, a literal. */
MUST_USE enum status task_pool_create(const char *name, unsigned threads, unsigned max_queued,
                                      struct task_pool **pool_out, struct err *err);
/* False when all threads run and max_queued tasks wait already. must_queue: goes in whatever the
 * length. */
bool task_pool_submit(struct task_pool *pool, struct pool_task *task, bool must_queue);
/* Runs what is queued, then joins. Accepts NULL. */
void task_pool_destroy(struct task_pool **pool);

#endif
