/*
 * workers.c - threads that take turns, run handlers and decide what becomes of a job
 */
#include "queue/queue_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/thread.h"

#define LEASE_ARENA_BYTES ((size_t)64 * 1024 * 1024)
#define BACK_OFF_FIRST_US US_PER_S
#define BACK_OFF_MAX_US (600 * US_PER_S)
#define LOOK_AGAIN_US US_PER_S /* after a look that failed */
#define MAX_THREADS 256

/* Process-wide: metrics. */
static struct metric jobs_metric = {.name = "parley_queue_jobs_total",
                                    .help = "Jobs that a worker ran, by what became of them",
                                    .kind = METRIC_COUNTER,
                                    .labels = {"topic", "result"},
                                    .max_series = TURNS_MAX_TOPICS * 5};
static struct metric wait_metric = {.name = "parley_queue_wait_seconds",
                                    .help = "From a job's due time to its start",
                                    .kind = METRIC_HISTOGRAM,
                                    .labels = {"topic"}};
static struct metric run_metric = {.name = "parley_queue_run_seconds",
                                   .help = "Duration of a job's handler",
                                   .kind = METRIC_HISTOGRAM,
                                   .labels = {"topic"}};

struct queue_workers {
    struct queue *queue;
    struct turns_topic *topic;
    char topic_name[TURNS_MAX_TOPIC_BYTES + 1];
    queue_handler handler;
    queue_on_dead on_dead;
    void *context;
    bool stop; /* guarded by the turns' lock */

    pthread_mutex_t lock; /* guards running */
    pthread_cond_t ended;
    unsigned running;

    unsigned started;
    pthread_t threads[];
};

/* ---------------------------------------------------------------- what becomes of a job */

/* 1 s doubled up to 10 min, then a random point of its upper half: jobs that failed together do not
 * come back together. */
static int64_t
back_off_us(unsigned attempts, const struct err *err)
{
    int64_t wait_us = BACK_OFF_FIRST_US;
    int64_t asked_us = (int64_t)err->retry_after_ms * US_PER_MS;

    for (unsigned i = 1; i < attempts && wait_us < BACK_OFF_MAX_US; i++)
        wait_us *= 2;
    if (wait_us > BACK_OFF_MAX_US)
        wait_us = BACK_OFF_MAX_US;
    wait_us -= random_below((uint32_t)(wait_us / 2));
    return wait_us > asked_us ? wait_us : asked_us;
}

static bool
runs_again(enum status st)
{
    return st == ST_BUSY || st == ST_UNAVAILABLE || st == ST_UNCERTAIN || st == ST_INTERNAL;
}

static const char *
bury(struct queue_workers *workers, struct lease *lease, const struct err *cause)
{
    struct err err;
    enum status st =
        lease_bury(lease, workers->on_dead, workers->context, str_from_c(cause->detail), &err);

    if (st == ST_CONFLICT)
        return "lost";
    LOG_ERR(LOG_ERROR, "job.dead", cause, log_str("topic", lease->job.topic),
            log_str("job_id", ID_STR(lease->job.id)), log_int("attempts", lease->job.attempts));
    if (st != ST_OK) /* stays leased until that expires, then is run again */
        LOG_ERR(LOG_ERROR, "job.not_buried", &err, log_str("job_id", ID_STR(lease->job.id)));
    return "dead";
}

static const char *
retry(struct lease *lease, const struct err *cause)
{
    int64_t wait_us = back_off_us(lease->job.attempts, cause);
    struct err err;
    enum status st =
        lease_put_back(lease, "queue_retry", clock_wall_us(lease->queue->config.clock) + wait_us,
                       lease->job.attempts, str_from_c(cause->detail), &err);

    if (st == ST_CONFLICT)
        return "lost";
    LOG_ERR(LOG_WARN, "job.retried", cause, log_str("topic", lease->job.topic),
            log_str("job_id", ID_STR(lease->job.id)), log_int("attempts", lease->job.attempts),
            log_int("wait_ms", wait_us / US_PER_MS));
    if (st != ST_OK)
        LOG_ERR(LOG_ERROR, "job.not_put_back", &err, log_str("job_id", ID_STR(lease->job.id)));
    return "retried";
}

/* The word for the metric. */
static const char *
settle(struct queue_workers *workers, struct lease *lease, enum status st, struct err *err)
{
    const char *result;

    if (st != ST_OK)
        err->code = st;
    if (lease->outcome == LEASE_DONE || lease->outcome == LEASE_POSTPONED) {
        if (st != ST_OK) /* too late to matter, but somebody should know */
            LOG_ERR(LOG_WARN, "job.failed_after_commit", err,
                    log_str("job_id", ID_STR(lease->job.id)));
        return lease->outcome == LEASE_DONE ? "done" : "postponed";
    }
    if (lease->outcome == LEASE_LOST) {
        result = "lost";
    } else if (st == ST_OK) {
        (void)err_set_detail(err, ST_INTERNAL, "the handler returned without finishing the job");
        result = bury(workers, lease, err);
    } else if (runs_again(st) && lease->job.attempts < lease->job.max_attempts) {
        result = retry(lease, err);
    } else {
        result = bury(workers, lease, err);
    }
    if (strcmp(result, "lost") == 0)
        LOG(LOG_WARN, "job.lease_lost", log_str("topic", lease->job.topic),
            log_str("job_id", ID_STR(lease->job.id)));
    return result;
}

/* ---------------------------------------------------------------- running */

static void
run(struct queue_workers *workers, struct lease *lease)
{
    struct clock *clock = workers->queue->config.clock;
    struct str topic = lease->job.topic;
    int64_t begun_us = clock_mono_us(clock);
    double waited = (double)(clock_wall_us(clock) - lease->due_us) / (double)US_PER_S;
    struct err err = {0};
    const char *result;
    enum status st;

    metric_observe(&wait_metric, waited > 0 ? waited : 0, topic, STR_EMPTY, STR_EMPTY);
    lease->workers = workers;
    lease_begin(lease);
    FAILPOINT("queue.leased");
    if (lease->job.attempts > lease->job.max_attempts + QUEUE_ENDINGS_FORGIVEN)
        st = err_set_detail(&err, ST_INVALID, "its worker ended %u times without a result",
                            lease->job.attempts - 1);
    else
        st = workers->handler(lease, workers->context, &err);
    FAILPOINT("queue.handled");
    lease_end(lease);
    result = settle(workers, lease, st, &err);
    metric_observe(&run_metric, (double)(clock_mono_us(clock) - begun_us) / (double)US_PER_S, topic,
                   STR_EMPTY, STR_EMPTY);
    METRIC_INC(&jobs_metric, topic, str_from_c(result));
}

/* When to look at an organization again whose look failed. */
static int64_t
after_failed_look(struct queue *queue, const struct turn *turn, enum status st,
                  const struct err *err)
{
    /* Deleted or suspended; the sweep sees when it comes back. */
    if (st == ST_NOT_FOUND || st == ST_DENIED)
        return TURNS_NEVER;
    LOG_ERR(LOG_ERROR, "queue.take_failed", err,
            log_str("organization_id", ID_STR(turn->organization_id)));
    return clock_wall_us(queue->config.clock) + LOOK_AGAIN_US;
}

static void
serve_turn(struct queue_workers *workers, const struct turn *turn, struct arena *arena)
{
    struct queue *queue = workers->queue;
    struct lease lease;
    int64_t next_due_us;
    bool taken;
    struct err err;
    char trace_id[33];
    enum status st;

    arena_reset(arena);
    id_trace(trace_id);
    log_context_set(str_of(trace_id, sizeof(trace_id) - 1), ID_STR(turn->organization_id));
    st = queue_take(queue, turn->organization_id, str_from_c(workers->topic_name), arena, &lease,
                    &taken, &next_due_us, &err);
    if (st != ST_OK)
        next_due_us = after_failed_look(queue, turn, st, &err);
    turns_finish(queue->turns, turn, next_due_us);
    if (taken)
        run(workers, &lease);
    turns_end(queue->turns, workers->topic);
    log_context_clear();
}

static void *
work(void *arg)
{
    struct queue_workers *workers = arg;
    struct queue *queue = workers->queue;
    struct arena *arena = arena_create(LEASE_ARENA_BYTES);
    struct turn turn;

    while (turns_take(queue->turns, workers->topic, &workers->stop, &turn))
        serve_turn(workers, &turn, arena);
    arena_destroy(&arena);
    turns_leave(queue->turns, workers->topic);
    pthread_mutex_lock(&workers->lock);
    if (--workers->running == 0)
        pthread_cond_broadcast(&workers->ended);
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

enum status
queue_workers_start(struct queue *queue, const char *topic, unsigned threads, queue_handler handler,
                    queue_on_dead on_dead, void *context, struct queue_workers **workers_out,
                    struct err *err)
{
    struct queue_workers *workers;
    enum status st = ST_OK;

    *workers_out = NULL;
    if (threads == 0 || threads > MAX_THREADS || strlen(topic) > TURNS_MAX_TOPIC_BYTES)
        return err_set_detail(err, ST_INVALID, "queue: 1 to %d threads a topic", MAX_THREADS);
    workers = calloc(1, sizeof(*workers) + threads * sizeof(workers->threads[0]));
    if (workers == NULL)
        abort();
    workers->queue = queue;
    workers->handler = handler;
    workers->on_dead = on_dead;
    workers->context = context;
    (void)snprintf(workers->topic_name, sizeof(workers->topic_name), "%s", topic);
    pthread_mutex_init(&workers->lock, NULL);
    cond_init(&workers->ended);
    metric_register(&jobs_metric);
    workers->topic = turns_get_topic(queue->turns, str_from_c(topic));
    if (workers->topic == NULL)
        st = err_set_detail(err, ST_TOO_LARGE, "queue: over %d topics", TURNS_MAX_TOPICS);
    while (st == ST_OK && workers->started < threads) {
        char name[32];

        (void)snprintf(name, sizeof(name), "q-%.9s-%u", topic, workers->started);
        turns_enter(queue->turns, workers->topic);
        pthread_mutex_lock(&workers->lock);
        workers->running++;
        pthread_mutex_unlock(&workers->lock);
        st = thread_start(name, work, workers, &workers->threads[workers->started], err);
        if (st == ST_OK) {
            workers->started++;
        } else {
            turns_leave(queue->turns, workers->topic);
            pthread_mutex_lock(&workers->lock);
            workers->running--;
            pthread_mutex_unlock(&workers->lock);
        }
    }
    if (st != ST_OK)
        queue_workers_stop(&workers, 0);
    *workers_out = workers;
    return st;
}

void
queue_stop_taking(struct queue *queue)
{
    turns_stop_all(queue->turns);
}

void
queue_workers_stop(struct queue_workers **workers_ref, int64_t deadline_ms)
{
    struct queue_workers *workers = *workers_ref;
    int64_t deadline_us = clock_mono_us(clock_system()) + deadline_ms * US_PER_MS;
    bool in_time = true;
    bool all_ended;

    if (workers == NULL)
        return;
    if (workers->topic != NULL)
        turns_stop(workers->queue->turns, workers->topic, &workers->stop);
    pthread_mutex_lock(&workers->lock);
    while (workers->running > 0 && in_time)
        in_time = cond_wait_until(&workers->ended, &workers->lock, deadline_us);
    all_ended = workers->running == 0;
    pthread_mutex_unlock(&workers->lock);
    if (!all_ended)
        queue_hand_back(workers->queue, workers);
    for (unsigned i = 0; i < workers->started; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->ended);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
    *workers_ref = NULL;
}
