/*
 * queue.h - durable jobs, one table per tenant; a transport that carries only wake-ups
 *
 *   put --> WAITING --lane free--> READY --take--> LEASED --done--> (gone)
 *              (behind another       ^                |
 *               of its lane)         |<-- expired ----|
 *                                    |<-- retry ------|--- attempts used up, or hopeless --> DEAD
 *                                    |<---------------- replay ---------------------------------'
 *
 * A lane is served in order of put and by one worker at a time; organizations are served in turn. A
 * dead job frees its lane. A job can run twice: a handler's effects and queue_lease_done belong to
 * one transaction, and a lease that expired meanwhile makes queue_lease_done fail with ST_CONFLICT,
 * which undoes them. "Later" is always a job with a due time; there is no other scheduler.
 * Threads: any worker; a lease belongs to its taker. Blocks: every function, on the store.
 * Crash: committed jobs are found again; leases of this process end with it.
 */
#ifndef PARLEY_QUEUE_QUEUE_H
#define PARLEY_QUEUE_QUEUE_H

#include "base/clock.h"
#include "store/store.h"
#include "tenant/tenant.h"

struct queue;
struct queue_transport_driver;

struct queue_config {
    struct store *store;
    struct tenants *tenants;
    struct clock *clock;
    int64_t lease_us;     /* visibility time-out, default 120 s; renewed while a handler runs */
    int64_t retention_us; /* dead letters older than this are removed, default 14 days */
    int64_t sweep_us;  /* how often lost wake-ups and expired leases are looked for, default 30 s */
    bool never_sweeps; /* another process does: this one only puts */
    int64_t max_run_us; /* a lease is renewed no longer than this, default 1 h */
    const struct queue_transport_driver *transport; /* transport_driver.h; NULL: local */
    struct str transport_addresses;                 /* where its servers are, as it reads them */
    struct str transport_ca_file;
};

/* Finds the work of all organizations; releases leases that this process's predecessor held. */
MUST_USE enum status queue_open(const struct queue_config *config, struct queue **queue_out,
                                struct err *err);
/* Puts back every job that is being worked on, before anybody may take one: of a copy of the data,
 * whose workers serve the original. */
MUST_USE enum status queue_end_leases(struct store *store, const struct tenant_scope *scope,
                                      int64_t *ended_out, struct err *err);
/* Stop workers first. */
void queue_close(struct queue **queue);

/* A new organization joins the turns (also done by the first wake-up that names it). */
void queue_add_organization(struct queue *queue, struct organization_id organization_id);
/* Its jobs are no longer taken: before it is deleted. */
void queue_remove_organization(struct queue *queue, struct organization_id organization_id);

/* --- putting --- */

struct job_spec {
    const char *topic;      /* QUEUE_TOPIC_... */
    struct str lane;        /* the conversation for FIFO; empty: free */
    struct str dedup_key;   /* empty: none */
    struct str payload;     /* JSON object: ids, never message text or secrets */
    struct user_id user_id; /* on whose behalf: the conversation's or the channel's; none */
    int64_t due_us;         /* wall; 0: now */
    /* When a job with this dedup key waits already: 0 gives ST_CONFLICT; else its due time moves to
     * due_us (to within a 32nd of the time until then), but at most this long after it was first
     * put (a burst window) and not before a back-off is over, and that is ST_OK: *id_out is that
     * job's, and its payload stays. A job that runs does not wait: the new one is queued beside or,
     * in its lane, behind it; when the running one is put back, the new one goes into it by the
     * same rule. */
    int64_t coalesce_max_us;
    unsigned max_attempts; /* 0: 8 */
};

/* Topics: at most 32 of up to 32 bytes. */
#define QUEUE_TOPIC_INTAKE "intake"     /* what was accepted and is not yet recorded */
#define QUEUE_TOPIC_INBOUND "inbound"   /* messages to answer; lane: conversation */
#define QUEUE_TOPIC_HANDOFF "handoff"   /* messages for a person; lane: conversation */
#define QUEUE_TOPIC_OUTBOUND "outbound" /* parts to deliver; lane: channel's chat */
#define QUEUE_TOPIC_MEDIA "media"       /* attachments that arrived, to be fetched; free */
#define QUEUE_TOPIC_INGEST "ingest"     /* documents */
#define QUEUE_TOPIC_CRAWL "crawl"       /* pages of sites; lane: host */
#define QUEUE_TOPIC_INDEX "index"       /* what the engine beside the database is to be told */
#define QUEUE_TOPIC_EVENTS "events"     /* events to send; lane: endpoint's */
#define QUEUE_TOPIC_EVALUATE "evaluate" /* questions with known answers; one lane */
#define QUEUE_TOPIC_UPKEEP "upkeep"     /* retention, sweeps */

/* Adds a job in the caller's transaction: it exists if and only if the caller's other changes do.
 * Wakes a worker after the commit. ST_CONFLICT: see coalesce_max_us. */
MUST_USE enum status queue_put(struct queue *queue, struct store_tx *tx,
                               const struct job_spec *spec, struct job_id *id_out, struct err *err);

/* --- serving --- */

struct lease; /* a job, its scope and its arena; the taker's until its handler returns */

struct job {
    struct job_id id;
    struct user_id user_id; /* may be none */
    struct str topic, lane, payload;
    unsigned attempts; /* 1 at the first run */
    unsigned max_attempts;
    int64_t created_at_us;
};
const struct job *lease_job(const struct lease *lease);
const struct tenant_scope *lease_scope(const struct lease *lease);
struct arena *lease_arena(struct lease *lease);

/* Removes the job, frees its lane, in the handler's own transaction. ST_CONFLICT: the lease is not
 * ours any more; let the transaction fail. */
MUST_USE enum status queue_lease_done(struct store_tx *tx, struct lease *lease, struct err *err);
/* Puts the job back, due later, without counting an attempt: "not yet" is not a failure. */
MUST_USE enum status queue_lease_postpone(struct store_tx *tx, struct lease *lease, int64_t due_us,
                                          struct err *err);

/* For a step that does not end the job: ST_CONFLICT: the lease is not ours any more; let the
 * transaction fail. */
MUST_USE enum status queue_lease_check(struct store_tx *tx, struct lease *lease, struct err *err);
/* Before what no transaction can undo. Asks the store only when this process stood still so long
 * that the lease may have expired; then renews it. ST_CONFLICT: another has the job. */
MUST_USE enum status queue_lease_hold(struct lease *lease, struct err *err);

/* ST_OK: queue_lease_done (or postpone) was committed; not having done so is a bug and kills the
 * job. ST_BUSY, ST_UNAVAILABLE, ST_UNCERTAIN, ST_INTERNAL: run again after exponential back-off
 * with jitter (1 s doubled up to 10 min), not before err->retry_after_ms; dead after max_attempts.
 * Anything else: dead at once. The runner logs the error. */
typedef enum status (*queue_handler)(struct lease *lease, void *context, struct err *err);

struct queue_workers;
/* Runs a topic's jobs on threads of its own. The lease is renewed in the background while a handler
 * runs. on_dead (may be NULL) is called in the transaction that buries a job, so that its
 * conversation is told. */
typedef enum status (*queue_on_dead)(struct store_tx *tx, const struct job *job, struct str reason,
                                     void *context, struct err *err);
MUST_USE enum status queue_workers_start(struct queue *queue, const char *topic, unsigned threads,
                                         queue_handler handler, queue_on_dead on_dead,
                                         void *context, struct queue_workers **workers_out,
                                         struct err *err);
/* No new leases; waits for running handlers up to deadline_ms from now, then hands their leases
 * back, so that whoever ends the process then loses nothing. Returns when the last handler has
 * returned: a thread cannot be taken from its handler, whose calls have deadlines of their own. */
void queue_workers_stop(struct queue_workers **workers, int64_t deadline_ms);
/* No worker of any topic takes another lease: the first step of stopping them one by one. */
void queue_stop_taking(struct queue *queue);

/* --- looking and repairing --- */

struct queue_counts {
    int64_t ready, delayed, waiting, leased, dead;
    int64_t oldest_ready_age_us; /* of due jobs; 0 when none */
};
/* topic NULL: all. Inside a read of the organization. */
MUST_USE enum status queue_count(struct store_tx *tx, const char *topic, int64_t now_us,
                                 struct queue_counts *counts_out, struct err *err);

/* Whether jobs of that topic are in the lane, due or not. */
MUST_USE enum status queue_lane_is_busy(struct store_tx *tx, const char *topic, struct str lane,
                                        bool *busy_out, struct err *err);

struct dead_letter {
    struct job job;
    struct str reason;
    int64_t died_at_us;
};
/* Pages by job id, newest first: pass the last id seen, or none. */
MUST_USE enum status queue_dead_list(struct store_tx *tx, struct job_id before, size_t limit,
                                     struct arena *arena, struct dead_letter **letters_out,
                                     size_t *count_out, struct err *err);
/* Back to the end of its lane, attempts from zero. ST_NOT_FOUND. */
MUST_USE enum status queue_dead_replay(struct queue *queue, struct store_tx *tx, struct job_id id,
                                       struct err *err);
MUST_USE enum status queue_dead_discard(struct store_tx *tx, struct job_id id, struct err *err);

/* Looks at once, on the caller's thread, for expired leases, lost wake-ups and dead letters past
 * their retention; the background does it every sweep_us. For tests and `doctor`. */
MUST_USE enum status queue_sweep(struct queue *queue, struct err *err);

/* For tests and `doctor`: returns when no job of any organization is due or leased, or deadline_ms
 * from now (ST_BUSY). */
MUST_USE enum status queue_wait_idle(struct queue *queue, int64_t deadline_ms, struct err *err);

#endif
