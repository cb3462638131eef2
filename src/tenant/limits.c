/*
 * limits.c - sharded maps of token buckets; tokens are counted when somebody asks; who decides
 */
#include "tenant/limits.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/metrics.h"
#include "tenant/limits_driver.h"

#define SHARDS 16

struct bucket {
    double tokens;
    int64_t at_us;   /* when tokens was right */
    int64_t full_us; /* when it is full again if nobody takes */
};

struct shard {
    pthread_mutex_t lock; /* guards buckets */
    struct map buckets;
};

/* Process-wide: metrics. */
static struct metric alone_metric = {
    .name = "parley_limits_alone_total",
    .help = "Decisions about rates that a process made alone because the server was late or away",
    .kind = METRIC_COUNTER};

struct limits {
    struct clock *clock;
    struct limits_shared *shared; /* NULL: only in memory */
    struct shard shards[SHARDS];
};

struct limits *
limits_create(struct clock *clock, size_t max_buckets)
{
    struct limits *limits = calloc(1, sizeof(*limits));

    if (limits == NULL)
        abort();
    limits->clock = clock;
    for (int i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&limits->shards[i].lock, NULL);
        map_init(&limits->shards[i].buckets, max_buckets / SHARDS + 1);
    }
    return limits;
}

enum status
limits_open(const struct limits_config *config, struct limits **limits_out, struct err *err)
{
    struct limits *limits = limits_create(config->clock, config->max_buckets);
    const struct limits_driver *driver = config->driver;
    enum status st = ST_OK;

    if (driver != NULL) {
        assert(driver->open != NULL && driver->close != NULL && driver->take != NULL &&
               driver->instances != NULL && driver->size >= sizeof(struct limits_shared));
        metric_register(&alone_metric);
        limits->shared = calloc(1, driver->size);
        if (limits->shared == NULL)
            abort();
        limits->shared->driver = driver;
        st = driver->open(limits->shared, config, err);
    }
    if (st != ST_OK)
        limits_destroy(&limits);
    *limits_out = limits;
    return st;
}

void
limits_destroy(struct limits **limits_ref)
{
    struct limits *limits = *limits_ref;

    if (limits == NULL)
        return;
    *limits_ref = NULL;
    if (limits->shared != NULL)
        limits->shared->driver->close(limits->shared);
    free(limits->shared);
    for (int i = 0; i < SHARDS; i++) {
        struct map_entry *entry;

        MAP_FOREACH (&limits->shards[i].buckets, entry)
            free(entry->value);
        map_deinit(&limits->shards[i].buckets);
        pthread_mutex_destroy(&limits->shards[i].lock);
    }
    free(limits);
}

const struct limits_driver *
limits_driver_find(struct str name)
{
    static const struct limits_driver *const drivers[] = {&limits_redis, &limits_pgsql};

    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        if (str_eq_c(name, drivers[i]->name))
            return drivers[i];
    }
    return NULL;
}

bool
limits_may_block(const struct limits *limits)
{
    return limits->shared != NULL;
}

/* A new map with those that are kept: a map must not change while it is walked. Dropping every
 * eighth when all are busy makes the walk rare, whatever keys are sent. */
static void
make_room(struct map *buckets, int64_t now_us)
{
    struct map kept;
    struct map_entry *entry;
    size_t full = 0;
    size_t at = 0;

    MAP_FOREACH (buckets, entry)
        full += ((struct bucket *)entry->value)->full_us <= now_us;
    map_init(&kept, buckets->max_count);
    MAP_FOREACH (buckets, entry) {
        struct bucket *bucket = entry->value;
        bool drop = bucket->full_us <= now_us || (full <= buckets->count / 8 && at++ % 8 == 0);
        struct err err;
        void *replaced;

        if (drop)
            free(bucket);
        else if (map_put(&kept, entry->key, bucket, &replaced, &err) != ST_OK)
            abort(); /* no more than were there */
    }
    map_deinit(buckets);
    *buckets = kept;
}

static struct bucket *
find_or_add(struct map *buckets, struct str key, unsigned burst, int64_t now_us)
{
    struct bucket *bucket = map_find(buckets, key);
    struct err err;
    void *replaced;

    if (bucket != NULL)
        return bucket;
    if (buckets->count == buckets->max_count)
        make_room(buckets, now_us);
    bucket = malloc(sizeof(*bucket));
    if (bucket == NULL)
        abort();
    *bucket = (struct bucket){burst, now_us, now_us};
    if (map_put(buckets, key, bucket, &replaced, &err) != ST_OK)
        abort(); /* room was made */
    return bucket;
}

enum status
limits_refuse(double wait_ms, struct err *err)
{
    (void)err_set(err, ST_BUSY, "too many requests");
    err->retry_after_ms = (int)fmin(ceil(wait_ms - 1e-6), 3600e3);
    return ST_BUSY;
}

static enum status
take_in_memory(struct limits *limits, struct str key, double per_minute, unsigned burst,
               struct err *err)
{
    double per_us = per_minute / (60.0 * (double)US_PER_S);
    struct shard *shard = &limits->shards[(str_hash(key) >> 32) % SHARDS];
    int64_t now_us = clock_mono_us(limits->clock);
    struct bucket *bucket;
    double missing;

    pthread_mutex_lock(&shard->lock);
    bucket = find_or_add(&shard->buckets, key, burst, now_us);
    bucket->tokens =
        fmin((double)burst, bucket->tokens + (double)(now_us - bucket->at_us) * per_us);
    bucket->at_us = now_us;
    missing = 1.0 - bucket->tokens;
    if (missing <= 0)
        bucket->tokens -= 1.0;
    bucket->full_us = now_us + (int64_t)(((double)burst - bucket->tokens) / per_us);
    pthread_mutex_unlock(&shard->lock);
    return missing <= 0 ? ST_OK : limits_refuse(missing / per_us / (double)US_PER_MS, err);
}

enum status
limits_take(struct limits *limits, struct str key, unsigned per_minute, unsigned burst,
            struct err *err)
{
    unsigned instances = 1;

    if (per_minute == 0)
        return ST_OK;
    if (burst == 0)
        burst = 1;
    if (limits->shared != NULL) {
        enum status st = limits->shared->driver->take(limits->shared, key, per_minute, burst, err);

        if (st != ST_UNAVAILABLE)
            return st;
        METRIC_INC(&alone_metric);
        instances = limits->shared->driver->instances(limits->shared);
        assert(instances > 0);
    }
    return take_in_memory(limits, key, (double)per_minute / instances,
                          burst > instances ? burst / instances : 1, err);
}
