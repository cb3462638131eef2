/*
 * queue_private.h - inside of the queue; only for src/queue/
 *
 * queue.c puts and finds work, lease.c takes and settles jobs, workers.c runs handlers, upkeep.c
 * has the two background threads (renewal, sweep), dead.c looks and repairs.
 */
#ifndef PARLEY_QUEUE_QUEUE_PRIVATE_H
#define PARLEY_QUEUE_QUEUE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/metrics.h"
#include "queue/queue.h"
#include "queue/transports/transport_driver.h"
#include "queue/turns.h"

#define QUEUE_HOLDER_BYTES 64 /* process's id, '/', number, NUL */

/* A process that ends takes all that runs with it, so a job is suspected of having ended it only
 * when it was there this many times more often than it may fail. */
#define QUEUE_ENDINGS_FORGIVEN 16

struct queue {
    struct queue_config config;
    struct id_text holder; /* this process, in lease_holder */
    _Atomic uint64_t last_lease;
    struct turns *turns;
    struct queue_transport *transport;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t unpinned;
    pthread_cond_t wake_renewal, wake_sweep;
    struct lease *leases; /* whose handlers run */
    bool stopping;
    bool sweep_wanted; /* before its time: wake-ups may have been lost */
    unsigned threads;  /* started of: renewal, sweep */
    pthread_t renewal, sweep;
};

enum lease_outcome {
    LEASE_OPEN,      /* nothing committed yet */
    LEASE_DONE,      /* committed */
    LEASE_POSTPONED, /* committed */
    LEASE_LOST       /* seen not to be ours any more */
};

struct lease {
    struct queue *queue;
    struct queue_workers *workers; /* whose thread took it */
    struct job job;
    struct str dedup_key;
    int64_t due_us;
    char holder[QUEUE_HOLDER_BYTES];
    const struct tenant_scope *scope;
    struct arena *arena;
    enum lease_outcome outcome; /* the taker's thread alone */

    /* Guarded by queue->lock. */
    struct lease *prev, *next;
    unsigned pins;                      /* another thread reads what stands above outcome */
    int64_t renew_at_us, give_up_at_us; /* monotonic */
    int64_t ours_until_us;              /* monotonic: before that nobody else takes the job */
};

/* --- queue.c --- */

/* To be called in a transaction: after its commit the topic's workers know of the job. */
void queue_wake_on_commit(struct queue *queue, struct store_tx *tx,
                          const struct queue_wakeup *wakeup);
void queue_publish(struct queue *queue, const struct queue_wakeup *wakeup);
/* Where a job enters its lane: its place there, and whether it is the head. */
MUST_USE enum status queue_lane_enter(struct store_tx *tx, struct str topic, struct str lane,
                                      int64_t *place_out, bool *head_out, struct err *err);
/* The view for a column that is NULL when empty. */
struct store_value queue_sv_optional(struct str text);
MUST_USE enum status queue_admit(struct queue *queue, struct organization_id organization_id,
                                 struct arena *arena, const struct tenant_scope **scope_out,
                                 struct err *err);
/* Calls visit for every organization. Stops at the first error of the listing. */
typedef void (*queue_visit)(struct queue *queue, struct organization_id organization_id,
                            void *context);
MUST_USE enum status queue_each_organization(struct queue *queue, queue_visit visit, void *context,
                                             struct err *err);

/* --- lease.c --- */

/* What the table must know of a leased job to release it. */
struct held_job {
    struct job_id id;
    struct user_id user_id;
    struct str topic, dedup_key, holder;
    int64_t due_us;
    int64_t attempts;  /* as they shall be */
    struct str reason; /* may be empty */
};
/* Leased -> ready. A younger job with the same dedup key goes into it: there is one of a key.
 * ST_CONFLICT: not leased by that holder. */
MUST_USE enum status queue_put_back(struct queue *queue, struct store_tx *tx,
                                    const struct held_job *held, struct err *err);

/* One look at an organization: a lease (its strings in arena), or NULL when nothing is due; and
 * when its next job of the topic is due. */
MUST_USE enum status queue_take(struct queue *queue, struct organization_id organization_id,
                                struct str topic, struct arena *arena, struct lease *lease_out,
                                bool *taken_out, int64_t *next_due_us_out, struct err *err);
MUST_USE enum status lease_put_back(struct lease *lease, const char *name, int64_t due_us,
                                    int64_t attempts, struct str reason, struct err *err);
MUST_USE enum status lease_bury(struct lease *lease, queue_on_dead on_dead, void *context,
                                struct str reason, struct err *err);
/* ST_CONFLICT: not ours any more. */
MUST_USE enum status lease_renew(struct lease *lease, struct err *err);
/* From begin to end the background renews it; end waits until nobody else reads it. */
void lease_begin(struct lease *lease);
void lease_end(struct lease *lease);
/* Hands back what these workers hold. */
void queue_hand_back(struct queue *queue, struct queue_workers *workers);

/* --- upkeep.c --- */

MUST_USE enum status queue_upkeep_start(struct queue *queue, struct err *err);
void queue_upkeep_stop(struct queue *queue);
/* A sweep as soon as the running one is over. Never blocks. */
void queue_sweep_soon(struct queue *queue);
/* Every lease whose time to be renewed has come. */
void queue_renew_due(struct queue *queue);
/* Puts back what an organization has leased until until_us at the latest. */
MUST_USE enum status queue_release_expired(struct queue *queue, const struct tenant_scope *scope,
                                           int64_t until_us, int64_t *released_out,
                                           struct err *err);

#endif
