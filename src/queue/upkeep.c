/*
 * upkeep.c - two background threads: one renews leases, one sweeps
 *
 * They are two because a sweep opens every organization in turn and may take long, while a lease
 * must be renewed in time.
 */
#include "queue/queue_private.h"

#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "queue/queue_sql.h"

#define SWEEP_ARENA_BYTES ((size_t)1024 * 1024)
#define EXPIRED_AT_ONCE 100 /* in one transaction */
#define RENEWALS_A_LEASE 12 /* looks at the list of leases in a lease's time */

/* Process-wide: metrics. */
static struct metric depth_metric = {.name = "parley_queue_depth",
                                     .help = "Jobs in the tables, at the last sweep",
                                     .kind = METRIC_GAUGE,
                                     .labels = {"topic", "state"},
                                     .max_series = TURNS_MAX_TOPICS * 5};

/* ---------------------------------------------------------------- expired leases */

struct release {
    struct queue *queue;
    int64_t until_us;
    int64_t released;
};

/* Reads the lease that expired first. ST_NOT_FOUND: none. */
static enum status
read_expired(struct store_tx *tx, int64_t until_us, struct held_job *held_out, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_EXPIRED, ARGS(sv_int(until_us)), &rows, err);

    if (st != ST_OK)
        return st;
    *held_out = (struct held_job){.id = STORE_COL_ID(rows, 0, job_id),
                                  .topic = arena_str(arena, store_col_text(rows, 1)),
                                  .dedup_key = arena_str(arena, store_col_text(rows, 2)),
                                  .due_us = store_col_int(rows, 3),
                                  .attempts = store_col_int(rows, 4),
                                  .holder = arena_str(arena, store_col_text(rows, 5)),
                                  .reason = arena_str(arena, store_col_text(rows, 6)),
                                  .user_id = STORE_COL_ID(rows, 7, user_id)};
    return store_rows_close(&rows, err);
}

/* The attempt stays counted: a job that ends its process each time must die in the end. */
static enum status
release_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct release *release = arg;
    enum status st = ST_OK;

    release->released = 0;
    while (st == ST_OK && release->released < EXPIRED_AT_ONCE) {
        struct held_job held;

        st = read_expired(tx, release->until_us, &held, err);
        if (st == ST_OK)
            st = queue_put_back(release->queue, tx, &held, err);
        if (st == ST_OK)
            release->released++;
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status
has_expired_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct release *release = arg;
    struct held_job held;
    enum status st = read_expired(tx, release->until_us, &held, err);

    release->released = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status
queue_release_expired(struct queue *queue, const struct tenant_scope *scope, int64_t until_us,
                      int64_t *released_out, struct err *err)
{
    struct store *store = queue->config.store;
    struct release release = {.queue = queue, .until_us = until_us};
    /* Read first: at nearly every look there is nothing, and the writer is left alone. */
    enum status st = store_read(store, scope, "queue_expired", has_expired_work, &release, err);

    *released_out = 0;
    if (st != ST_OK || release.released == 0)
        return st;
    do {
        st = store_run(store, scope, "queue_release", STORE_RELAXED, release_work, &release, err);
        if (st == ST_OK)
            *released_out += release.released;
    } while (st == ST_OK && release.released == EXPIRED_AT_ONCE);
    return st;
}

/* ---------------------------------------------------------------- sweep */

struct topic_look {
    char name[TURNS_MAX_TOPIC_BYTES + 1];
    int64_t next_due_us;
    double ready, delayed, waiting, leased, dead; /* over all organizations */
};

struct sweep {
    size_t topic_count;
    struct topic_look topics[TURNS_MAX_TOPICS];
};

struct look {
    struct queue *queue;
    struct sweep *sweep;
    struct queue_counts counts[TURNS_MAX_TOPICS];
    int64_t oldest_dead_us; /* 0: none */
};

static enum status
read_time(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
          size_t arg_count, int64_t none_us, int64_t *time_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, sql, args, arg_count, &rows, err);

    *time_out = none_us;
    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st != ST_OK)
        return st;
    *time_out = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

static enum status
look_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct look *look = arg;
    int64_t now_us = clock_wall_us(look->queue->config.clock);
    enum status st = read_time(tx, &SQL_OLDEST_DEAD, NO_ARGS, 0, &look->oldest_dead_us, err);

    for (size_t i = 0; st == ST_OK && i < look->sweep->topic_count; i++) {
        struct topic_look *topic = &look->sweep->topics[i];

        st = queue_count(tx, topic->name, now_us, &look->counts[i], err);
        if (st == ST_OK)
            st = read_time(tx, &SQL_NEXT_DUE, ARGS(sv_text(str_from_c(topic->name))), TURNS_NEVER,
                           &topic->next_due_us, err);
    }
    return st;
}

static enum status
remove_old_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct release *release = arg;

    return store_exec(tx, &SQL_REMOVE_OLD_DEAD, ARGS(sv_int(release->until_us)), &release->released,
                      err);
}

static enum status
remove_old_dead(struct queue *queue, const struct tenant_scope *scope, int64_t until_us,
                struct err *err)
{
    struct organization_id organization_id = tenant_scope_organization(scope);
    struct release release = {.queue = queue, .until_us = until_us};
    int64_t removed = 0;
    enum status st;

    do {
        st = store_run(queue->config.store, scope, "queue_retention", STORE_RELAXED,
                       remove_old_work, &release, err);
        if (st == ST_OK)
            removed += release.released;
    } while (st == ST_OK && release.released > 0);
    if (removed > 0)
        LOG(LOG_INFO, "queue.dead_letters_removed", log_int("jobs", removed),
            log_str("organization_id", ID_STR(organization_id)));
    return st;
}

static enum status
sweep_scope(struct queue *queue, const struct tenant_scope *scope, struct sweep *sweep,
            struct err *err)
{
    struct organization_id organization_id = tenant_scope_organization(scope);
    struct look look = {.queue = queue, .sweep = sweep};
    int64_t now_us = clock_wall_us(queue->config.clock);
    int64_t released;
    enum status st = queue_release_expired(queue, scope, now_us, &released, err);

    if (st == ST_OK && released > 0)
        LOG(LOG_WARN, "queue.leases_expired", log_int("jobs", released),
            log_str("organization_id", ID_STR(organization_id)));
    if (st == ST_OK)
        st = store_read(queue->config.store, scope, "queue_sweep", look_work, &look, err);
    if (st != ST_OK)
        return st;
    for (size_t i = 0; i < sweep->topic_count; i++) {
        struct topic_look *topic = &sweep->topics[i];

        topic->ready += (double)look.counts[i].ready;
        topic->delayed += (double)look.counts[i].delayed;
        topic->waiting += (double)look.counts[i].waiting;
        topic->leased += (double)look.counts[i].leased;
        topic->dead += (double)look.counts[i].dead;
        if (topic->next_due_us != TURNS_NEVER)
            turns_wake(queue->turns, organization_id, str_from_c(topic->name), topic->next_due_us);
    }
    if (look.oldest_dead_us != 0 && look.oldest_dead_us < now_us - queue->config.retention_us)
        st = remove_old_dead(queue, scope, now_us - queue->config.retention_us, err);
    return st;
}

static void
sweep_organization(struct queue *queue, struct organization_id organization_id, void *context)
{
    struct arena *arena = arena_create(SWEEP_ARENA_BYTES);
    const struct tenant_scope *scope;
    struct err err;
    enum status st = queue_admit(queue, organization_id, arena, &scope, &err);

    if (st == ST_OK)
        st = sweep_scope(queue, scope, context, &err);
    /* Not found: deleted since it was listed. Denied: suspended. */
    if (st != ST_OK && st != ST_NOT_FOUND && st != ST_DENIED)
        LOG_ERR(LOG_ERROR, "queue.sweep_failed", &err,
                log_str("organization_id", ID_STR(organization_id)));
    turns_see_organization(queue->turns, organization_id);
    arena_destroy(&arena);
}

static void
set_depth(const struct topic_look *topic)
{
    struct str name = str_from_c(topic->name);

    metric_set(&depth_metric, topic->ready, name, STR("ready"), STR_EMPTY);
    metric_set(&depth_metric, topic->delayed, name, STR("delayed"), STR_EMPTY);
    metric_set(&depth_metric, topic->waiting, name, STR("waiting"), STR_EMPTY);
    metric_set(&depth_metric, topic->leased, name, STR("leased"), STR_EMPTY);
    metric_set(&depth_metric, topic->dead, name, STR("dead"), STR_EMPTY);
}

enum status
queue_sweep(struct queue *queue, struct err *err)
{
    char names[TURNS_MAX_TOPICS][TURNS_MAX_TOPIC_BYTES + 1];
    struct sweep sweep = {.topic_count = turns_topics(queue->turns, names)};
    enum status st;

    for (size_t i = 0; i < sweep.topic_count; i++)
        memcpy(sweep.topics[i].name, names[i], sizeof(names[i]));
    st = queue_each_organization(queue, sweep_organization, &sweep, err);
    for (size_t i = 0; st == ST_OK && i < sweep.topic_count; i++)
        set_depth(&sweep.topics[i]);
    turns_wake_all(queue->turns);
    return st == ST_OK ? ST_OK : err_wrap(err, "sweep the queue");
}

/* ---------------------------------------------------------------- threads */

/* Waits for the time, or until the sweep is wanted before it; true when the queue goes on. */
static bool
sleep_for(struct queue *queue, pthread_cond_t *cond, int64_t wait_us)
{
    bool sweep = cond == &queue->wake_sweep;
    int64_t deadline_us = clock_mono_us(clock_system()) + wait_us;
    bool in_time = true;
    bool stopping;

    pthread_mutex_lock(&queue->lock);
    while (!queue->stopping && in_time && !(sweep && queue->sweep_wanted))
        in_time = cond_wait_until(cond, &queue->lock, deadline_us);
    stopping = queue->stopping;
    if (sweep)
        queue->sweep_wanted = false;
    pthread_mutex_unlock(&queue->lock);
    return !stopping;
}

static void *
run_renewal(void *arg)
{
    struct queue *queue = arg;

    while (sleep_for(queue, &queue->wake_renewal, queue->config.lease_us / RENEWALS_A_LEASE))
        queue_renew_due(queue);
    return NULL;
}

static void *
run_sweep(void *arg)
{
    struct queue *queue = arg;

    while (sleep_for(queue, &queue->wake_sweep, queue->config.sweep_us)) {
        struct err err;

        if (queue_sweep(queue, &err) != ST_OK)
            LOG_ERR(LOG_ERROR, "queue.sweep_failed", &err);
    }
    return NULL;
}

void
queue_sweep_soon(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->sweep_wanted = true;
    pthread_cond_signal(&queue->wake_sweep);
    pthread_mutex_unlock(&queue->lock);
}

enum status
queue_upkeep_start(struct queue *queue, struct err *err)
{
    enum status st;

    metric_register(&depth_metric);
    st = thread_start("queue-renewal", run_renewal, queue, &queue->renewal, err);
    if (st == ST_OK) {
        queue->threads++;
        if (queue->config.never_sweeps)
            return ST_OK;
        st = thread_start("queue-sweep", run_sweep, queue, &queue->sweep, err);
    }
    if (st == ST_OK)
        queue->threads++;
    return st;
}

void
queue_upkeep_stop(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->stopping = true;
    pthread_cond_broadcast(&queue->wake_renewal);
    pthread_cond_broadcast(&queue->wake_sweep);
    pthread_mutex_unlock(&queue->lock);
    if (queue->threads > 0)
        pthread_join(queue->renewal, NULL);
    if (queue->threads > 1)
        pthread_join(queue->sweep, NULL);
    queue->threads = 0;
}
