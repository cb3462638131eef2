/*
 * limits.c - sharded maps of token buckets; tokens are counted when somebody asks
 */
#include "tenant/limits.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"

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

struct limits {
    struct clock *clock;
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

void
limits_destroy(struct limits **limits_ref)
{
    struct limits *limits = *limits_ref;

    if (limits == NULL)
        return;
    *limits_ref = NULL;
    for (int i = 0; i < SHARDS; i++) {
        struct map_entry *entry;

        MAP_FOREACH (&limits->shards[i].buckets, entry)
            free(entry->value);
        map_deinit(&limits->shards[i].buckets);
        pthread_mutex_destroy(&limits->shards[i].lock);
    }
    free(limits);
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
limits_take(struct limits *limits, struct str key, unsigned per_minute, unsigned burst,
            struct err *err)
{
    double per_us = (double)per_minute / (60.0 * (double)US_PER_S);
    struct shard *shard = &limits->shards[(str_hash(key) >> 32) % SHARDS];
    int64_t now_us = clock_mono_us(limits->clock);
    struct bucket *bucket;
    double missing;

    if (per_minute == 0)
        return ST_OK;
    if (burst == 0)
        burst = 1;
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
    if (missing <= 0)
        return ST_OK;
    (void)err_set(err, ST_BUSY, "too many requests");
    err->retry_after_ms = (int)fmin(ceil(missing / per_us / (double)US_PER_MS - 1e-6), 3600e3);
    return ST_BUSY;
}
