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

#include "base/log.h"

#define BATCH 256
#define REPLY_MS 2000
#define MAX_ENTRIES STR_INIT("10000") /* a stream's length, about */

const struct str redis_field_names[REDIS_FIELDS] = {
    STR_INIT("organization_id"), STR_INIT("user_id"), STR_INIT("topic"), STR_INIT("lane"),
    STR_INIT("job_id"),          STR_INIT("due_us"),
};

/* ---------------------------------------------------------------- publishing */

static void
redis_publish(struct queue_transport *base, const struct queue_wakeup *wakeup)
{
    struct redis_transport *transport = (struct redis_transport *)base;

    (void)wakeup_list_add(&transport->list, wakeup, clock_wall_us(base->clock));
    if (!atomic_load(&transport->connected) && wakeup_is_served(base, wakeup->topic))
        base->on_wakeup(wakeup, base->context);
}

/* ---------------------------------------------------------------- sending */

static enum status
send_one(struct redis *redis, const struct pending_wakeup *wakeup, struct err *err)
{
    char key[sizeof(REDIS_WAKEUP_KEY) + TURNS_MAX_TOPIC_BYTES];
    char due[24];

    (void)snprintf(due, sizeof(due), "%" PRId64, wakeup->due_us);
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
                   redis_field_names[FIELD_DUE], str_from_c(due)),
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
        if (st != ST_OK)
            LOG_ERR(LOG_ERROR, "queue.wakeup_refused", err);
        wakeup_list_forget(&transport->list, 1, st == ST_OK);
        st = ST_OK;
    }
    return st;
}

static void *
run_sender(void *arg)
{
    struct redis_transport *transport = arg;
    const struct pending_wakeup *wakeup;
    size_t count = 0;

    while (!redis_is_stopped(transport->sending)) {
        struct err err;
        size_t sent = 0;
        enum status st = redis_connect(transport->sending, &err);

        atomic_store(&transport->connected, st == ST_OK);
        if (st != ST_OK)
            continue;
        wakeup = wakeup_list_wait(&transport->list, BATCH, &count);
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
    wakeup_list_init(&transport->list);
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
    wakeup_list_stop(&transport->list);
    for (unsigned i = 0; i < transport->started; i++)
        pthread_join(transport->threads[i], NULL);
    transport->started = 0;
    redis_close(&transport->sending);
    redis_close(&transport->sharing);
    redis_close(&transport->hearing);
    wakeup_list_deinit(&transport->list);
}

const struct queue_transport_driver queue_transport_redis = {
    .name = "redis",
    .size = sizeof(struct redis_transport),
    .open = redis_transport_open,
    .close = redis_transport_close,
    .publish = redis_publish,
};
