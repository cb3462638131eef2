/*
 * lease.c - taking a job, renewing its lease, and the four ways it ends
 *
 * Whoever changes a leased row names the lease's holder, which is never used twice. So after an
 * expiry and a retake the first taker's statement changes nothing, and says so.
 */
#include "queue/queue_private.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "queue/queue_sql.h"

/* A lease is renewed when a third of its time is over, and tried again soon when that fails. */
#define RENEW_PART 3
#define RENEW_AGAIN_PART 12

/* ---------------------------------------------------------------- for handlers */

const struct job *
lease_job(const struct lease *lease)
{
    return &lease->job;
}

const struct tenant_scope *
lease_scope(const struct lease *lease)
{
    return lease->scope;
}

struct arena *
lease_arena(struct lease *lease)
{
    return lease->arena;
}

/* ---------------------------------------------------------------- shared steps */

static enum status
lost(struct err *err)
{
    return err_set_detail(err, ST_CONFLICT, "the job's lease is no longer ours");
}

/* The lane's head is gone: the next one may be taken. */
static enum status
promote(struct queue *queue, struct store_tx *tx, struct str topic, struct str lane,
        struct err *err)
{
    struct queue_wakeup wakeup = {.topic = topic, .lane = lane};
    struct store_rows *rows;
    enum status st;

    if (lane.len == 0)
        return ST_OK;
    st = store_query_one(tx, &SQL_PROMOTE, ARGS(sv_text(topic), sv_text(lane)), &rows, err);
    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st != ST_OK)
        return st;
    wakeup.job_id = STORE_COL_ID(rows, 0, job_id);
    wakeup.due_us = store_col_int(rows, 1);
    wakeup.user_id = STORE_COL_ID(rows, 2, user_id);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        queue_wake_on_commit(queue, tx, &wakeup);
    return st;
}

/* Removes the younger job with the dedup key of one that is being put back, and says when it was
 * due: 0 when there was none. It was put while the other ran, and asks for the same. */
static enum status
merge_younger(struct queue *queue, struct store_tx *tx, const struct held_job *held,
              int64_t *due_us_out, struct err *err)
{
    struct str free_lane = STR_EMPTY;
    struct store_rows *rows;
    enum status st;

    *due_us_out = 0;
    if (held->dedup_key.len == 0)
        return ST_OK;
    st = store_query_one(tx, &SQL_MERGE, ARGS(sv_text(held->topic), sv_text(held->dedup_key)),
                         &rows, err);
    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st != ST_OK)
        return st;
    /* As the head of another lane it leaves that lane to the next. */
    if (str_eq_c(store_col_text(rows, 0), "ready"))
        free_lane = arena_str(store_tx_arena(tx), store_col_text(rows, 1));
    *due_us_out = store_col_int(rows, 2);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = promote(queue, tx, held->topic, free_lane, err);
    return st;
}

enum status
queue_put_back(struct queue *queue, struct store_tx *tx, const struct held_job *held,
               struct err *err)
{
    int64_t due_us = held->due_us;
    int64_t younger_due_us;
    int64_t changed = 0;
    enum status st = merge_younger(queue, tx, held, &younger_due_us, err);

    /* The rule of queue_put for a key that is queued: the younger job's time, but no earlier than a
     * back-off allows. */
    if (younger_due_us != 0 && (held->attempts == 0 || younger_due_us > due_us))
        due_us = younger_due_us;
    if (st == ST_OK)
        st = store_exec(tx, &SQL_PUT_BACK,
                        ARGS(sv_id(held->id), sv_text(held->holder), sv_int(due_us),
                             sv_int(held->attempts), queue_sv_optional(held->reason),
                             sv_int(clock_wall_us(queue->config.clock))),
                        &changed, err);
    if (st != ST_OK)
        return st;
    if (changed == 0)
        return lost(err);
    queue_wake_on_commit(
        queue, tx,
        &(struct queue_wakeup){
            .user_id = held->user_id, .topic = held->topic, .job_id = held->id, .due_us = due_us});
    return ST_OK;
}

/* ---------------------------------------------------------------- taking */

struct take {
    struct queue *queue;
    struct str topic;
    struct lease *lease;
    int64_t now_us;
    bool taken;
    int64_t next_due_us;
};

static enum status
read_next_due(struct store_tx *tx, struct str topic, int64_t *next_due_us_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_NEXT_DUE, ARGS(sv_text(topic)), &rows, err);

    *next_due_us_out = TURNS_NEVER;
    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st != ST_OK)
        return st;
    *next_due_us_out = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

static enum status
take_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct take *take = arg;
    struct lease *lease = take->lease;
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_TAKE,
                                     ARGS(sv_text(take->topic), sv_int(take->now_us),
                                          sv_text(str_from_c(lease->holder)),
                                          sv_int(take->now_us + take->queue->config.lease_us)),
                                     &rows, err);

    take->taken = st == ST_OK;
    if (st == ST_OK) {
        lease->job = (struct job){
            .id = STORE_COL_ID(rows, 0, job_id),
            .user_id = STORE_COL_ID(rows, 8, user_id),
            .topic = take->topic,
            .lane = arena_str(lease->arena, store_col_text(rows, 1)),
            .payload = arena_str(lease->arena, store_col_text(rows, 3)),
            .attempts = (unsigned)store_col_int(rows, 4),
            .max_attempts = (unsigned)store_col_int(rows, 5),
            .created_at_us = store_col_int(rows, 7),
        };
        lease->dedup_key = arena_str(lease->arena, store_col_text(rows, 2));
        lease->due_us = store_col_int(rows, 6);
        st = store_rows_close(&rows, err);
    }
    if (st == ST_OK || st == ST_NOT_FOUND)
        st = read_next_due(tx, take->topic, &take->next_due_us, err);
    return st;
}

enum status
queue_take(struct queue *queue, struct organization_id organization_id, struct str topic,
           struct arena *arena, struct lease *lease_out, bool *taken_out, int64_t *next_due_us_out,
           struct err *err)
{
    struct take take = {.queue = queue,
                        .topic = topic,
                        .lease = lease_out,
                        .now_us = clock_wall_us(queue->config.clock),
                        .next_due_us = TURNS_NEVER};
    enum status st;

    *lease_out = (struct lease){.queue = queue, .arena = arena};
    lease_out->ours_until_us = clock_mono_us(queue->config.clock) + queue->config.lease_us;
    (void)snprintf(lease_out->holder, sizeof(lease_out->holder), "%s/%" PRIu64, queue->holder.text,
                   atomic_fetch_add(&queue->last_lease, 1) + 1);
    st = queue_admit(queue, organization_id, arena, &lease_out->scope, err);
    /* Relaxed: a lease that a power cut undoes is a job that is ready again. */
    if (st == ST_OK)
        st = store_run(queue->config.store, lease_out->scope, "queue_take", STORE_RELAXED,
                       take_work, &take, err);
    *taken_out = st == ST_OK && take.taken;
    *next_due_us_out = take.next_due_us;
    return st;
}

/* ---------------------------------------------------------------- settling, by the handler */

static void
note_done(const struct tenant_scope *scope, struct str payload, void *context)
{
    struct lease *lease = context;

    (void)scope;
    (void)payload;
    lease->outcome = LEASE_DONE;
}

static void
note_postponed(const struct tenant_scope *scope, struct str payload, void *context)
{
    struct lease *lease = context;

    (void)scope;
    (void)payload;
    lease->outcome = LEASE_POSTPONED;
}

/* Finds out in the transaction that the lease is lost. Told to the runner at once: nothing that
 * follows can make it ours again. */
static enum status
note_lost(struct lease *lease, struct err *err)
{
    lease->outcome = LEASE_LOST;
    return lost(err);
}

enum status
queue_lease_done(struct store_tx *tx, struct lease *lease, struct err *err)
{
    int64_t changed = 0;
    enum status st =
        store_exec(tx, &SQL_FINISH, ARGS(sv_id(lease->job.id), sv_text(str_from_c(lease->holder))),
                   &changed, err);

    if (st == ST_OK && changed == 0)
        return note_lost(lease, err);
    if (st == ST_OK)
        st = promote(lease->queue, tx, lease->job.topic, lease->job.lane, err);
    if (st == ST_OK)
        store_tx_on_commit(tx, note_done, lease, STR_EMPTY);
    return st == ST_OK ? ST_OK : err_wrap(err, "finish job");
}

enum status
queue_lease_check(struct store_tx *tx, struct lease *lease, struct err *err)
{
    struct store_rows *rows;
    enum status st =
        store_query_one(tx, &SQL_IS_HELD,
                        ARGS(sv_id(lease->job.id), sv_text(str_from_c(lease->holder))), &rows, err);

    if (st == ST_NOT_FOUND)
        return note_lost(lease, err);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
queue_lease_hold(struct lease *lease, struct err *err)
{
    struct queue *queue = lease->queue;
    bool ours;
    enum status st;

    pthread_mutex_lock(&queue->lock);
    ours = clock_mono_us(queue->config.clock) < lease->ours_until_us;
    pthread_mutex_unlock(&queue->lock);
    if (ours)
        return ST_OK;
    st = lease_renew(lease, err);
    return st == ST_CONFLICT ? note_lost(lease, err) : st;
}

/* The job as it shall be put back. */
static struct held_job
held_of(const struct lease *lease, int64_t due_us, int64_t attempts, struct str reason)
{
    return (struct held_job){.id = lease->job.id,
                             .user_id = lease->job.user_id,
                             .topic = lease->job.topic,
                             .dedup_key = lease->dedup_key,
                             .holder = str_from_c(lease->holder),
                             .due_us = due_us,
                             .attempts = attempts,
                             .reason = reason};
}

enum status
queue_lease_postpone(struct store_tx *tx, struct lease *lease, int64_t due_us, struct err *err)
{
    struct held_job held = held_of(lease, due_us, (int64_t)lease->job.attempts - 1, STR_EMPTY);
    enum status st = queue_put_back(lease->queue, tx, &held, err);

    if (st == ST_CONFLICT)
        return note_lost(lease, err);
    if (st == ST_OK)
        store_tx_on_commit(tx, note_postponed, lease, STR_EMPTY);
    return st == ST_OK ? ST_OK : err_wrap(err, "postpone job");
}

/* ---------------------------------------------------------------- settling, by the queue */

struct put_back {
    struct queue *queue;
    struct held_job held;
};

static enum status
put_back_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct put_back *put_back = arg;

    return queue_put_back(put_back->queue, tx, &put_back->held, err);
}

/* Durable unlike the claim: the reason and the back-off are worth an fsync. */
enum status
lease_put_back(struct lease *lease, const char *name, int64_t due_us, int64_t attempts,
               struct str reason, struct err *err)
{
    struct put_back put_back = {lease->queue, held_of(lease, due_us, attempts, reason)};

    return store_run(lease->queue->config.store, lease->scope, name, STORE_DURABLE, put_back_work,
                     &put_back, err);
}

struct burial {
    struct lease *lease;
    queue_on_dead on_dead;
    void *context;
    struct str reason;
};

static enum status
bury_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct burial *burial = arg;
    struct lease *lease = burial->lease;
    int64_t changed = 0;
    enum status st =
        store_exec(tx, &SQL_BURY,
                   ARGS(sv_id(lease->job.id), sv_text(str_from_c(lease->holder)),
                        sv_text(burial->reason), sv_int(clock_wall_us(lease->queue->config.clock))),
                   &changed, err);

    if (st == ST_OK && changed == 0)
        return lost(err);
    if (st == ST_OK)
        st = promote(lease->queue, tx, lease->job.topic, lease->job.lane, err);
    if (st == ST_OK && burial->on_dead != NULL)
        st = burial->on_dead(tx, &lease->job, burial->reason, burial->context, err);
    return st;
}

enum status
lease_bury(struct lease *lease, queue_on_dead on_dead, void *context, struct str reason,
           struct err *err)
{
    struct burial burial = {lease, on_dead, context, reason};

    return store_run(lease->queue->config.store, lease->scope, "queue_bury", STORE_DURABLE,
                     bury_work, &burial, err);
}

static enum status
renew_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct lease *lease = arg;
    struct queue *queue = lease->queue;
    int64_t until_us = clock_wall_us(queue->config.clock) + queue->config.lease_us;
    int64_t changed = 0;
    enum status st =
        store_exec(tx, &SQL_RENEW,
                   ARGS(sv_id(lease->job.id), sv_text(str_from_c(lease->holder)), sv_int(until_us)),
                   &changed, err);

    return st == ST_OK && changed == 0 ? lost(err) : st;
}

enum status
lease_renew(struct lease *lease, struct err *err)
{
    struct queue *queue = lease->queue;
    int64_t until_us = clock_mono_us(queue->config.clock) + queue->config.lease_us;
    enum status st = store_run(queue->config.store, lease->scope, "queue_renew", STORE_RELAXED,
                               renew_work, lease, err);

    pthread_mutex_lock(&queue->lock);
    if (st == ST_OK)
        lease->ours_until_us = until_us;
    pthread_mutex_unlock(&queue->lock);
    return st;
}

/* ---------------------------------------------------------------- leases whose handlers run */

void
lease_begin(struct lease *lease)
{
    struct queue *queue = lease->queue;
    int64_t now_us = clock_mono_us(queue->config.clock);

    lease->renew_at_us = now_us + queue->config.lease_us / RENEW_PART;
    lease->give_up_at_us = now_us + queue->config.max_run_us;
    pthread_mutex_lock(&queue->lock);
    lease->next = queue->leases;
    if (lease->next != NULL)
        lease->next->prev = lease;
    queue->leases = lease;
    pthread_mutex_unlock(&queue->lock);
}

void
lease_end(struct lease *lease)
{
    struct queue *queue = lease->queue;

    pthread_mutex_lock(&queue->lock);
    if (lease->prev != NULL)
        lease->prev->next = lease->next;
    else
        queue->leases = lease->next;
    if (lease->next != NULL)
        lease->next->prev = lease->prev;
    lease->prev = lease->next = NULL;
    while (lease->pins > 0)
        pthread_cond_wait(&queue->unpinned, &queue->lock);
    pthread_mutex_unlock(&queue->lock);
}

/* Under the lock. */
static void
unpin(struct lease *lease)
{
    if (--lease->pins == 0)
        pthread_cond_broadcast(&lease->queue->unpinned);
}

/* Under the lock: the first running lease whose time has come, its next time set. */
static struct lease *
pin_due(struct queue *queue, int64_t now_us)
{
    struct lease *lease = queue->leases;

    while (lease != NULL && (lease->renew_at_us > now_us || lease->give_up_at_us <= now_us))
        lease = lease->next;
    if (lease != NULL) {
        lease->renew_at_us = now_us + queue->config.lease_us / RENEW_PART;
        lease->pins++;
    }
    return lease;
}

void
queue_renew_due(struct queue *queue)
{
    int64_t now_us = clock_mono_us(queue->config.clock);
    struct lease *lease;

    pthread_mutex_lock(&queue->lock);
    while ((lease = pin_due(queue, now_us)) != NULL) {
        struct err err;
        enum status st;

        pthread_mutex_unlock(&queue->lock);
        st = lease_renew(lease, &err);
        if (st != ST_OK && st != ST_CONFLICT)
            LOG_ERR(LOG_WARN, "queue.renewal_failed", &err, log_str("topic", lease->job.topic),
                    log_str("job_id", ID_STR(lease->job.id)));
        pthread_mutex_lock(&queue->lock);
        if (st == ST_CONFLICT) /* its handler finds out when it finishes */
            lease->renew_at_us = INT64_MAX;
        else if (st != ST_OK)
            lease->renew_at_us = now_us + queue->config.lease_us / RENEW_AGAIN_PART;
        unpin(lease);
    }
    pthread_mutex_unlock(&queue->lock);
}

/* Under the lock. Each is handed back once: renew_at_us then says that nothing is left to renew. */
static struct lease *
pin_of_workers(struct queue *queue, const struct queue_workers *workers)
{
    struct lease *lease = queue->leases;

    while (lease != NULL && (lease->workers != workers || lease->renew_at_us == INT64_MAX))
        lease = lease->next;
    if (lease != NULL) {
        lease->renew_at_us = INT64_MAX;
        lease->pins++;
    }
    return lease;
}

void
queue_hand_back(struct queue *queue, struct queue_workers *workers)
{
    struct lease *lease;

    pthread_mutex_lock(&queue->lock);
    while ((lease = pin_of_workers(queue, workers)) != NULL) {
        struct err err;
        enum status st;

        pthread_mutex_unlock(&queue->lock);
        st = lease_put_back(lease, "queue_hand_back", lease->due_us,
                            (int64_t)lease->job.attempts - 1, STR_EMPTY, &err);
        if (st == ST_OK)
            LOG(LOG_WARN, "queue.handed_back", log_str("topic", lease->job.topic),
                log_str("job_id", ID_STR(lease->job.id)));
        else if (st != ST_CONFLICT) /* done meanwhile, else */
            LOG_ERR(LOG_ERROR, "queue.hand_back_failed", &err,
                    log_str("job_id", ID_STR(lease->job.id)));
        pthread_mutex_lock(&queue->lock);
        unpin(lease);
    }
    pthread_mutex_unlock(&queue->lock);
}
