/*
 * redis.c - wake-ups between processes through Redis streams: opening, publishing
 *
 * publish puts a copy into a bounded list; one thread sends what is in it, many at a time, and
 * forgets an entry when Redis has confirmed it: after a lost connection what is not confirmed is
 * sent again. While there is no connection this process's own workers are told directly, so that a
 * single process goes on as if there were no Redis.
 */
#include "queue/transports/redis_transport.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"

#define MAX_PENDING 20000
#define BATCH 256
#define REPLY_MS 2000
#define MAX_ENTRIES STR_INIT("10000") /* a stream's length, about */
#define MAX_LANE_BYTES 256

/* Process-wide: metrics. */
static struct metric published_metric = {.name = "parley_queue_wakeups_published_total",
                                         .help = "Wake-ups that the transport's server took",
                                         .kind = METRIC_COUNTER};
static struct metric dropped_metric = {
    .name = "parley_queue_wakeups_dropped_total",
    .help = "Wake-ups that could not be sent: sweeps find their jobs",
    .kind = METRIC_COUNTER};

const struct str redis_field_names[REDIS_FIELDS] = {
    STR_INIT("organization_id"), STR_INIT("user_id"), STR_INIT("topic"), STR_INIT("lane"),
    STR_INIT("job_id"),          STR_INIT("due_us"),
};

struct pending_wakeup {
    struct pending_wakeup *next;
    struct organization_id organization_id;
    struct user_id user_id;
    struct job_id job_id;
    char due_us[24];
    bool later;
    char topic[TURNS_MAX_TOPIC_BYTES + 1];
    size_t lane_len;
    char lane[];
};

/* ---------------------------------------------------------------- publishing */

static struct pending_wakeup *
pack(const struct queue_wakeup *wakeup, int64_t now_us)
{
    struct pending_wakeup *packed = calloc(1, sizeof(*packed) + wakeup->lane.len);

    if (packed == NULL)
        abort();
    packed->organization_id = wakeup->organization_id;
    packed->user_id = wakeup->user_id;
    packed->job_id = wakeup->job_id;
    packed->later = wakeup->due_us > now_us;
    (void)snprintf(packed->due_us, sizeof(packed->due_us), "%" PRId64, wakeup->due_us);
    (void)snprintf(packed->topic, sizeof(packed->topic), "%.*s", STR_ARG(wakeup->topic));
    packed->lane_len = wakeup->lane.len;
    if (wakeup->lane.len > 0)
        memcpy(packed->lane, wakeup->lane.ptr, wakeup->lane.len);
    return packed;
}

static void
redis_publish(struct queue_transport *base, const struct queue_wakeup *wakeup)
{
    struct redis_transport *transport = (struct redis_transport *)base;
    struct pending_wakeup *packed = NULL;

    if (wakeup->topic.len <= TURNS_MAX_TOPIC_BYTES && wakeup->lane.len <= MAX_LANE_BYTES)
        packed = pack(wakeup, clock_wall_us(base->clock));
    pthread_mutex_lock(&transport->lock);
    if (packed != NULL && transport->pending < MAX_PENDING) {
        if (transport->last != NULL)
            transport->last->next = packed;
        else
            transport->first = packed;
        transport->last = packed;
        transport->pending++;
        packed = NULL;
        pthread_cond_signal(&transport->filled);
    } else {
        METRIC_INC(&dropped_metric);
    }
    pthread_mutex_unlock(&transport->lock);
    free(packed);
    if (!atomic_load(&transport->connected) && redis_transport_serves(transport, wakeup->topic))
        base->on_wakeup(wakeup, base->context);
}

/* ---------------------------------------------------------------- sending */

/* Waits for something to send. The list's beginning, up to BATCH entries, is the sender's until it
 * forgets them: publishers only append. NULL: stop. */
static struct pending_wakeup *
wait_for_batch(struct redis_transport *transport, size_t *count_out)
{
    struct pending_wakeup *first = NULL;

    pthread_mutex_lock(&transport->lock);
    while (transport->pending == 0 && !transport->stopping)
        pthread_cond_wait(&transport->filled, &transport->lock);
    if (!transport->stopping)
        first = transport->first;
    *count_out = transport->pending < BATCH ? transport->pending : BATCH;
    pthread_mutex_unlock(&transport->lock);
    return first;
}

static void
forget_first(struct redis_transport *transport)
{
    struct pending_wakeup *gone;

    pthread_mutex_lock(&transport->lock);
    gone = transport->first;
    transport->first = gone->next;
    if (transport->first == NULL)
        transport->last = NULL;
    transport->pending--;
    pthread_mutex_unlock(&transport->lock);
    free(gone);
}

static enum status
send_one(struct redis *redis, const struct pending_wakeup *wakeup, struct err *err)
{
    char key[sizeof(REDIS_WAKEUP_KEY) + TURNS_MAX_TOPIC_BYTES];

    (void)snprintf(key, sizeof(key), "%s%s", REDIS_WAKEUP_KEY, wakeup->topic);
    return redis_send(
        redis,
        REDIS_ARGS(STR("XADD"), wakeup->later ? (struct str)REDIS_LATER_KEY : str_from_c(key),
                   STR("MAXLEN"), STR("~"), MAX_ENTRIES, STR("*"),
                   redis_field_names[FIELD_ORGANIZATION], ID_STR(wakeup->organization_id),
                   redis_field_names[FIELD_USER], ID_STR(wakeup->user_id),
                   redis_field_names[FIELD_TOPIC], str_from_c(wakeup->topic),
                   redis_field_names[FIELD_LANE], str_of(wakeup->lane, wakeup->lane_len),
                   redis_field_names[FIELD_JOB], ID_STR(wakeup->job_id),
                   redis_field_names[FIELD_DUE], str_from_c(wakeup->due_us)),
        err);
}

/* One reply for each entry. What the server refuses is dropped: it would refuse it again. */
static enum status
take_replies(struct redis_transport *transport, size_t count, struct err *err)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + REPLY_MS * US_PER_MS;
    enum status st = ST_OK;

    for (size_t i = 0; i < count && st == ST_OK; i++) {
        struct redis_reply *reply;

        st = redis_receive(transport->sending, deadline_us, &reply, err);
        if (st != ST_OK)
            break;
        st = redis_check(transport->sending, reply, err);
        redis_reply_free(&reply);
        if (st == ST_UNAVAILABLE)
            break;
        if (st == ST_OK)
            METRIC_INC(&published_metric);
        else
            METRIC_INC(&dropped_metric);
        if (st != ST_OK)
            LOG_ERR(LOG_ERROR, "queue.wakeup_refused", err);
        forget_first(transport);
        st = ST_OK;
    }
    return st;
}

static void *
run_sender(void *arg)
{
    struct redis_transport *transport = arg;
    struct pending_wakeup *wakeup;
    size_t count;

    while (!redis_is_stopped(transport->sending)) {
        struct err err;
        size_t sent = 0;
        enum status st = redis_connect(transport->sending, &err);

        atomic_store(&transport->connected, st == ST_OK);
        if (st != ST_OK)
            continue;
        wakeup = wait_for_batch(transport, &count);
        /* Publishers may append behind the batch's last entry, whose next is not read. */
        while (wakeup != NULL && sent < count && st == ST_OK) {
            st = send_one(transport->sending, wakeup, &err);
            if (st == ST_OK && ++sent < count)
                wakeup = wakeup->next;
        }
        if (st == ST_OK || st == ST_TOO_LARGE)
            st = take_replies(transport, sent, &err);
        if (st != ST_OK) {
            atomic_store(&transport->connected, false);
            if (redis_is_connected(transport->sending))
                redis_give_up(transport->sending);
            /* Our own workers need not wait for what is kept until it can be sent. */
            transport->base.on_gap(transport->base.context);
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- opening */

static enum status
start(struct redis_transport *transport, const char *name, void *(*run)(void *), struct err *err)
{
    enum status st =
        thread_start(name, run, transport, &transport->threads[transport->started], err);

    if (st == ST_OK)
        transport->started++;
    return st;
}

static enum status
redis_transport_open(struct queue_transport *base, struct err *err)
{
    struct redis_transport *transport = (struct redis_transport *)base;
    struct redis_config config = {
        .addresses = base->addresses, .ca_file = base->ca_file, .use = "queue"};
    enum status st;

    transport->consumer = id_new();
    pthread_mutex_init(&transport->lock, NULL);
    cond_init(&transport->filled);
    metric_register(&published_metric);
    metric_register(&dropped_metric);
    st = redis_open(&config, &transport->sending, err);
    if (st == ST_OK)
        st = redis_open(&config, &transport->sharing, err);
    if (st == ST_OK)
        st = redis_open(&config, &transport->hearing, err);
    if (st == ST_OK)
        st = start(transport, "wakeup-send", run_sender, err);
    if (st == ST_OK)
        st = start(transport, "wakeup-share", redis_transport_share, err);
    if (st == ST_OK)
        st = start(transport, "wakeup-hear", redis_transport_hear, err);
    base->addresses = base->ca_file = STR_EMPTY;
    return st == ST_OK ? ST_OK : err_wrap(err, "open the Redis transport");
}

static void
redis_transport_close(struct queue_transport *base)
{
    struct redis_transport *transport = (struct redis_transport *)base;
    struct redis *const connections[] = {transport->sending, transport->sharing,
                                         transport->hearing};

    for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
        if (connections[i] != NULL)
            redis_stop(connections[i]);
    }
    pthread_mutex_lock(&transport->lock);
    transport->stopping = true;
    pthread_cond_broadcast(&transport->filled);
    pthread_mutex_unlock(&transport->lock);
    for (unsigned i = 0; i < transport->started; i++)
        pthread_join(transport->threads[i], NULL);
    transport->started = 0;
    while (transport->pending > 0)
        forget_first(transport);
    redis_close(&transport->sending);
    redis_close(&transport->sharing);
    redis_close(&transport->hearing);
    pthread_cond_destroy(&transport->filled);
    pthread_mutex_destroy(&transport->lock);
}

const struct queue_transport_driver queue_transport_redis = {
    .name = "redis",
    .size = sizeof(struct redis_transport),
    .open = redis_transport_open,
    .close = redis_transport_close,
    .publish = redis_publish,
};
