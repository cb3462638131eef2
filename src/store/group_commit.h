/*
 * group_commit.h - many threads' works in one transaction, one wait for the disk
 *
 *   waiting --(led by the first)--> in a batch: BEGIN, works, COMMIT --> on disk --> done
 *      ^                                                        |           |
 *      '-- leadership goes to the first of those that came -----'-----------'
 *          meanwhile: as soon as the batch is committed when they are as many as it, so that they
 *          run while it reaches the disk; else when it is there, so that batches do not shrink
 *
 * A leader serves one bounded batch, in which its own work is the first. A work that fails undoes
 * itself alone: a batch begins without savepoints, and when a work fails that has written, it is
 * undone and runs again with a savepoint for each, as the next ones do. When the engine drops the
 * whole transaction, or its commit fails, the works that had no fault are run again one by one; the
 * one at fault, too, a bounded number of times, when the engine asks for it (serialization,
 * deadlock, a connection that was lost).
 * A work may say with store_ask that it needs a row to go on. On an engine far away the others of
 * the batch come next; when all have run, all rows are waited for, and those works run again.
 * There works of one name run one behind the other, in the order in which they came; whose order
 * matters otherwise waits for the one before, or says so with store_await_lane.
 * Only works that asked for it wait for the disk; the first of them waits for all. A work that
 * wrote nothing waits as well, and one that failed by what it saw: others' commits, of which its
 * outcome tells, may not be there yet. What a work saw in a transaction that was not kept is no
 * outcome: it runs again.
 *
 * A submitted work has no thread that waits. When the next to lead is one, a thread of the pool
 * leads instead, and serves batch after batch while anybody waits; it also waits for the disk.
 * Threads: shared. Blocks: run, until the work's outcome is known; submit does not.
 */
#ifndef PARLEY_STORE_GROUP_COMMIT_H
#define PARLEY_STORE_GROUP_COMMIT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/task_pool.h"
#include "store/store_driver.h"

#define COMMIT_BATCH_MAX 128
#define COMMIT_HOOK_INLINE_BYTES 512

/* Hooks of one work, on its caller's stack; what does not fit goes to the heap. */
struct commit_hooks {
    size_t used;
    struct commit_hook_more *more;
    _Alignas(16) char bytes[COMMIT_HOOK_INLINE_BYTES];
};

void commit_hooks_add(struct commit_hooks *hooks, store_commit_hook hook, void *context,
                      struct str payload);

/* What a work has asked for in this transaction; see store_ask. */
struct store_asks {
    unsigned count, answered;
    unsigned numbers[STORE_ASKS_MAX];
};

struct commit_work;
/* The group may be gone when it is called. */
typedef void (*commit_done)(struct commit_work *work);

struct commit_work {
    struct store *store;
    const struct tenant_scope *scope; /* NULL: control */
    const char *name;
    store_work work;
    void *arg;
    enum store_durability durability;
    struct err *err;
    commit_done done;   /* NULL: a thread waits for the outcome */
    enum status status; /* the outcome */
    /* Private to group_commit.c. */
    struct commit_work *next;
    bool final; /* status is the answer; else it is to be run again */
    bool saw;   /* final, by what it saw in the batch's transaction */
    struct store_asks asks;
    uint64_t lane; /* see store_await_lane */
    unsigned step;
    bool behind; /* it has to wait for one of its lane, and has done nothing */
    /* Of the first of those who wait for the disk: until when, and whether the next batch runs. */
    int64_t ticket;
    bool handed;
    _Atomic uint32_t turn;
    struct commit_group *group; /* of a submitted work that settles */
    struct pool_task settle;
    struct commit_hooks hooks;
};

/* Of all databases of a store. */
struct commit_counters {
    _Atomic int64_t works, commits, settles;
    _Atomic bool refused; /* the last commit could not be written */
};

struct commit_group {
    const struct store_driver *driver; /* frozen, like all down to counters */
    struct store_database *database;
    struct store_place place;
    struct commit_counters *counters;
    struct task_pool *committers;

    pthread_mutex_t lock; /* guards the fields down to led */
    struct commit_work *first, *last;
    unsigned waiting;
    bool led;

    /* The leader's. */
    struct arena *arena; /* memory of the work it runs */
    unsigned careful;    /* batches to run with savepoints */
    struct pool_task lead;
};

void commit_group_init(struct commit_group *group, const struct store_driver *driver,
                       struct store_database *database, const struct store_place *place,
                       struct commit_counters *counters, struct task_pool *committers);
void commit_group_deinit(struct commit_group *group); /* nobody waits in it */

/* Random, longer each time. */
void commit_pause_before_rerun(unsigned reruns);

/* Runs work, or has it run, and its hooks when it is durable. */
MUST_USE enum status commit_group_run(struct commit_group *group, struct commit_work *work);
/* Returns at once. Its hooks and then work->done are called on some thread, which they must not
 * block. */
/* store_await_lane, for a run of a work that asks. */
MUST_USE enum status commit_await_lane(struct commit_work *work, struct commit_work *const *batch,
                                       uint64_t lane, unsigned step, struct err *err);
void commit_group_submit(struct commit_group *group, struct commit_work *work);

#endif
