/*
 * transport_bench.c - a wake-up's way through the transport of a server, beside a bare client's
 *
 *   transport_bench redis://:password@127.0.0.1:6379
 *   transport_bench postgresql://role@127.0.0.1/database
 *
 * The yardstick is the bare client library doing the same in two threads: XADD on one connection,
 * XREADGROUP BLOCK and XACK on another; pg_notify of the same bytes on one session, which waits for
 * no disk either and listens to itself as a process does, LISTEN on another. Both take turns in
 * blocks, each wake-up after the one before was received. Prints JSON lines as queue_bench does.
 */
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "net/redis_address.h"
#include "queue/transports/transport_driver.h"

#define BENCH_SET_UP                                                                               \
    "SET synchronous_commit = off; PREPARE bench (text) AS SELECT pg_notify('bench', $1)"
#define BENCH_LISTEN "LISTEN bench"

enum { BLOCKS = 10, ROUNDS = 300, ALL = BLOCKS * ROUNDS };

struct bench {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    int64_t received, received_us;
    unsigned gaps;
};

struct bare;

struct place {
    const struct queue_transport_driver *driver;
    unsigned readers; /* connections that the transport reads from */
    const char *client;
    /* The bare client: connections, a thread that notes ALL wake-ups, one publication. */
    void (*open)(struct bare *bare, const char *url);
    void *(*read)(void *bare);
    void (*publish)(struct bare *bare);
    void (*close)(struct bare *bare);
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
open_transport(struct bench *bench, const struct place *place, const char *url, queue_served served)
{
    struct queue_transport *transport = calloc(1, place->driver->size);
    struct err err;

    must(transport != NULL, "no memory");
    *transport = (struct queue_transport){.driver = place->driver,
                                          .addresses = str_from_c(url),
                                          .clock = clock_system(),
                                          .on_wakeup = on_wakeup,
                                          .on_gap = on_gap,
                                          .served = served,
                                          .context = bench};
    must(transport->driver->open(transport, &err) == ST_OK, err.detail);
    pthread_mutex_lock(&bench->lock);
    while (bench->gaps < place->readers)
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

#define AN_ID "01890000-0000-7000-8000-000000000000"

struct bare {
    struct bench bench;
    redisContext *adding, *reading;
    PGconn *notifying, *listening;
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
redis_read(void *arg)
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
redis_open_bare(struct bare *bare, const char *url)
{
    struct redis_addresses addresses;
    struct err err;

    must(redis_addresses_parse(str_from_c(url), &addresses, &err) == ST_OK, err.detail);
    bare->adding = connect_bare(&addresses.list[0]);
    bare->reading = connect_bare(&addresses.list[0]);
    check(redisCommand(bare->adding, "XGROUP CREATE bench g 0 MKSTREAM"), "XGROUP");
}

static void
redis_publish_bare(struct bare *bare)
{
    check(redisCommand(bare->adding,
                       "XADD bench MAXLEN ~ 10000 * organization_id %s user_id %s topic bench"
                       " lane %s job_id %s due_us 0",
                       AN_ID, AN_ID, AN_ID, AN_ID),
          "XADD");
}

static void
redis_close_bare(struct bare *bare)
{
    redisFree(bare->adding);
    redisFree(bare->reading);
}

static void
must_run(PGconn *pg, const char *text)
{
    PGresult *result = PQexec(pg, text);

    must(PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK,
         PQerrorMessage(pg));
    PQclear(result);
}

static void
pgsql_open_bare(struct bare *bare, const char *url)
{
    bare->notifying = PQconnectdb(url);
    bare->listening = PQconnectdb(url);
    must_run(bare->notifying, BENCH_SET_UP);
    must_run(bare->notifying, BENCH_LISTEN); /* as every process does */
    must_run(bare->listening, BENCH_LISTEN);
}

static void *
pgsql_read(void *arg)
{
    struct bare *bare = arg;

    for (int i = 0; i < ALL; i++) {
        struct pollfd fd = {.fd = PQsocket(bare->listening), .events = POLLIN};
        PGnotify *notify;

        while ((notify = PQnotifies(bare->listening)) == NULL)
            must(poll(&fd, 1, -1) == 1 && PQconsumeInput(bare->listening) == 1, "listen");
        note_received(&bare->bench);
        PQfreemem(notify);
    }
    return NULL;
}

static void
pgsql_publish_bare(struct bare *bare)
{
    const char *payload = AN_ID " " AN_ID " bench " AN_ID " " AN_ID " 0\n";
    PGresult *result = PQexecPrepared(bare->notifying, "bench", 1, &payload, NULL, NULL, 0);

    must(PQresultStatus(result) == PGRES_TUPLES_OK, PQerrorMessage(bare->notifying));
    PQclear(result);
    for (PGnotify *own; (own = PQnotifies(bare->notifying)) != NULL;)
        PQfreemem(own);
}

static void
pgsql_close_bare(struct bare *bare)
{
    PQfinish(bare->notifying);
    PQfinish(bare->listening);
}

static const struct place on_redis = {&queue_transport_redis, 2,          "hiredis",
                                      redis_open_bare,        redis_read, redis_publish_bare,
                                      redis_close_bare};
static const struct place on_pgsql = {&queue_transport_pgsql, 1,          "libpq",
                                      pgsql_open_bare,        pgsql_read, pgsql_publish_bare,
                                      pgsql_close_bare};

static void
measure_bare(struct bare *bare, const struct place *place, int64_t first, int64_t *latencies)
{
    for (int i = 0; i < ROUNDS; i++) {
        int64_t begun_us = now_us();

        place->publish(bare);
        latencies[i] = wait_received(&bare->bench, first + i + 1) - begun_us;
    }
}

static void
print(const struct place *place, const char *percentile, int64_t value, int64_t yardstick_value)
{
    (void)printf(
        "{\"name\":\"%s_wakeup_%s\",\"value\":%lld,\"unit\":\"us\",\"yardstick\":\"bare %s %s\","
        "\"yardstick_value\":%lld,\"ratio\":%.3f,\"note\":\"publish to received, two "
        "transports, one server\"}\n",
        place->driver->name, percentile, (long long)value, place->client, percentile,
        (long long)yardstick_value, (double)value / (double)yardstick_value);
}

int
main(int argc, char **argv)
{
    static int64_t through[ALL], bare_times[ALL];
    static struct bench bench = {.lock = PTHREAD_MUTEX_INITIALIZER};
    static struct bare bare = {.bench = {.lock = PTHREAD_MUTEX_INITIALIZER}};
    const struct place *place;
    struct queue_transport *publisher, *worker;
    pthread_t reader;
    struct err err;

    must(argc == 2, "usage: transport_bench ADDRESS");
    log_init(2, LOG_WARN);
    cond_init(&bench.changed);
    cond_init(&bare.bench.changed);
    place = strncmp(argv[1], "postgres", 8) == 0 ? &on_pgsql : &on_redis;
    worker = open_transport(&bench, place, argv[1], serve);
    publisher = open_transport(&bench, place, argv[1], serve_nothing);
    place->open(&bare, argv[1]);
    must(thread_start("bare", place->read, &bare, &reader, &err) == ST_OK, err.detail);
    for (int i = 0; i < BLOCKS; i++) {
        measure_bare(&bare, place, (int64_t)i * ROUNDS, bare_times + (ptrdiff_t)i * ROUNDS);
        measure_transport(&bench, publisher, through + (ptrdiff_t)i * ROUNDS);
    }
    pthread_join(reader, NULL);
    qsort(through, ALL, sizeof(through[0]), compare);
    qsort(bare_times, ALL, sizeof(bare_times[0]), compare);
    print(place, "p50", through[ALL / 2], bare_times[ALL / 2]);
    print(place, "p99", through[ALL * 99 / 100], bare_times[ALL * 99 / 100]);
    place->close(&bare);
    publisher->driver->close(publisher);
    worker->driver->close(worker);
    free(publisher);
    free(worker);
    return 0;
}
