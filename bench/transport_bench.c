/*
 * transport_bench.c - a wake-up's way through the Redis transport, beside a bare client's
 *
 *   transport_bench redis://:password@127.0.0.1:6379
 *
 * The yardstick is hiredis alone doing the same: XADD on one connection, XREADGROUP BLOCK and XACK
 * on another, in two threads. Both take turns in blocks, each wake-up after the one before was
 * received. Prints JSON lines as queue_bench does.
 */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "net/redis_address.h"
#include "queue/transports/transport_driver.h"

enum { BLOCKS = 10, ROUNDS = 300, ALL = BLOCKS * ROUNDS };

struct bench {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    int64_t received, received_us;
    unsigned gaps;
};

static void
must(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "transport_bench: %s\n", what);
    exit(1);
}

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

static int
compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static void
note_received(struct bench *bench)
{
    int64_t at_us = now_us();

    pthread_mutex_lock(&bench->lock);
    bench->received++;
    bench->received_us = at_us;
    pthread_cond_signal(&bench->changed);
    pthread_mutex_unlock(&bench->lock);
}

static int64_t
wait_received(struct bench *bench, int64_t count)
{
    int64_t at_us;

    pthread_mutex_lock(&bench->lock);
    while (bench->received < count)
        pthread_cond_wait(&bench->changed, &bench->lock);
    at_us = bench->received_us;
    pthread_mutex_unlock(&bench->lock);
    return at_us;
}

/* ---------------------------------------------------------------- through the transport */

static void
on_wakeup(const struct queue_wakeup *wakeup, void *context)
{
    (void)wakeup;
    note_received(context);
}

static void
on_gap(void *context)
{
    struct bench *bench = context;

    pthread_mutex_lock(&bench->lock);
    bench->gaps++;
    pthread_cond_signal(&bench->changed);
    pthread_mutex_unlock(&bench->lock);
}

static size_t
serve(struct queue_served_topic topics[TURNS_MAX_TOPICS], void *context)
{
    (void)context;
    topics[0] = (struct queue_served_topic){"bench", 8};
    return 1;
}

static size_t
serve_nothing(struct queue_served_topic topics[TURNS_MAX_TOPICS], void *context)
{
    (void)topics;
    (void)context;
    return 0;
}

static struct queue_transport *
open_transport(struct bench *bench, const char *url, queue_served served)
{
    struct queue_transport *transport = calloc(1, queue_transport_redis.size);
    struct err err;

    must(transport != NULL, "no memory");
    *transport = (struct queue_transport){.driver = &queue_transport_redis,
                                          .addresses = str_from_c(url),
                                          .clock = clock_system(),
                                          .on_wakeup = on_wakeup,
                                          .on_gap = on_gap,
                                          .served = served,
                                          .context = bench};
    must(transport->driver->open(transport, &err) == ST_OK, err.detail);
    pthread_mutex_lock(&bench->lock);
    while (bench->gaps < 2) /* both of its reading connections */
        pthread_cond_wait(&bench->changed, &bench->lock);
    bench->gaps = 0;
    pthread_mutex_unlock(&bench->lock);
    return transport;
}

static void
measure_transport(struct bench *bench, struct queue_transport *publisher, int64_t *latencies)
{
    struct queue_wakeup wakeup = {.organization_id = ID_NEW(organization_id),
                                  .user_id = ID_NEW(user_id),
                                  .topic = STR("bench"),
                                  .lane = STR("01890000-0000-7000-8000-000000000000"),
                                  .job_id = ID_NEW(job_id)};

    for (int i = 0; i < ROUNDS; i++) {
        int64_t begun_us = now_us();
        int64_t count;

        pthread_mutex_lock(&bench->lock);
        count = bench->received + 1;
        pthread_mutex_unlock(&bench->lock);
        publisher->driver->publish(publisher, &wakeup);
        latencies[i] = wait_received(bench, count) - begun_us;
    }
}

/* ---------------------------------------------------------------- the bare client */

struct bare {
    struct bench bench;
    redisContext *adding, *reading;
    struct redis_address address;
};

static void
check(redisReply *reply, const char *what)
{
    must(reply != NULL && reply->type != REDIS_REPLY_ERROR, what);
    freeReplyObject(reply);
}

static redisContext *
connect_bare(const struct redis_address *address)
{
    redisContext *context = redisConnect(address->host, (int)address->port);

    must(context != NULL && context->err == 0, "the bare client cannot connect");
    check(redisCommand(context, "AUTH %s", address->password), "AUTH");
    return context;
}

static void *
read_bare(void *arg)
{
    struct bare *bare = arg;

    for (int i = 0; i < ALL; i++) {
        redisReply *reply =
            redisCommand(bare->reading, "XREADGROUP GROUP g c COUNT 16 BLOCK 0 STREAMS bench >");

        must(reply != NULL && reply->type == REDIS_REPLY_ARRAY, "XREADGROUP");
        note_received(&bare->bench);
        check(redisCommand(bare->reading, "XACK bench g %s",
                           reply->element[0]->element[1]->element[0]->element[0]->str),
              "XACK");
        freeReplyObject(reply);
    }
    return NULL;
}

static void
measure_bare(struct bare *bare, int64_t first, int64_t *latencies)
{
    for (int i = 0; i < ROUNDS; i++) {
        int64_t begun_us = now_us();

        check(redisCommand(
                  bare->adding,
                  "XADD bench MAXLEN ~ 10000 * organization_id %s user_id %s topic bench"
                  " lane %s job_id %s due_us 0",
                  "01890000-0000-7000-8000-000000000000", "01890000-0000-7000-8000-000000000000",
                  "01890000-0000-7000-8000-000000000000", "01890000-0000-7000-8000-000000000000"),
              "XADD");
        latencies[i] = wait_received(&bare->bench, first + i + 1) - begun_us;
    }
}

static void
print(const char *name, int64_t value, const char *yardstick, int64_t yardstick_value)
{
    (void)printf("{\"name\":\"%s\",\"value\":%lld,\"unit\":\"us\",\"yardstick\":\"%s\","
                 "\"yardstick_value\":%lld,\"ratio\":%.3f,\"note\":\"publish to received, two "
                 "transports, one server\"}\n",
                 name, (long long)value, yardstick, (long long)yardstick_value,
                 (double)value / (double)yardstick_value);
}

int
main(int argc, char **argv)
{
    static int64_t through[ALL], bare_times[ALL];
    static struct bench bench = {.lock = PTHREAD_MUTEX_INITIALIZER};
    static struct bare bare = {.bench = {.lock = PTHREAD_MUTEX_INITIALIZER}};
    struct redis_addresses addresses;
    struct queue_transport *publisher, *worker;
    pthread_t reader;
    struct err err;

    must(argc == 2, "usage: transport_bench ADDRESS");
    log_init(2, LOG_WARN);
    cond_init(&bench.changed);
    cond_init(&bare.bench.changed);
    must(redis_addresses_parse(str_from_c(argv[1]), &addresses, &err) == ST_OK, err.detail);
    worker = open_transport(&bench, argv[1], serve);
    publisher = open_transport(&bench, argv[1], serve_nothing);
    bare.adding = connect_bare(&addresses.list[0]);
    bare.reading = connect_bare(&addresses.list[0]);
    check(redisCommand(bare.adding, "XGROUP CREATE bench g 0 MKSTREAM"), "XGROUP");
    must(thread_start("bare", read_bare, &bare, &reader, &err) == ST_OK, err.detail);
    for (int i = 0; i < BLOCKS; i++) {
        measure_bare(&bare, (int64_t)i * ROUNDS, bare_times + (ptrdiff_t)i * ROUNDS);
        measure_transport(&bench, publisher, through + (ptrdiff_t)i * ROUNDS);
    }
    pthread_join(reader, NULL);
    qsort(through, ALL, sizeof(through[0]), compare);
    qsort(bare_times, ALL, sizeof(bare_times[0]), compare);
    print("redis_wakeup_p50", through[ALL / 2], "bare hiredis p50", bare_times[ALL / 2]);
    print("redis_wakeup_p99", through[ALL * 99 / 100], "bare hiredis p99",
          bare_times[ALL * 99 / 100]);
    redisFree(bare.adding);
    redisFree(bare.reading);
    publisher->driver->close(publisher);
    worker->driver->close(worker);
    free(publisher);
    free(worker);
    return 0;
}
