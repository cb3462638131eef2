/*
 * record_cache.c - a map and a list from the most to the least recently used
 */
#include "tenant/record_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

struct entry {
    struct shared_record *record;
    struct entry *newer, *older;
    size_t key_len;
    char key[];
};

struct record_cache {
    pthread_mutex_t lock; /* guards all below */
    struct map map;
    struct entry *newest, *oldest;
    uint64_t generation;
};

void
shared_record_init(struct shared_record *record, void (*destroy)(struct shared_record *record))
{
    atomic_init(&record->references, 1);
    record->destroy = destroy;
}

void
shared_record_ref(struct shared_record *record)
{
    atomic_fetch_add_explicit(&record->references, 1, memory_order_relaxed);
}

void
shared_record_unref(struct shared_record *record)
{
    if (record != NULL &&
        atomic_fetch_sub_explicit(&record->references, 1, memory_order_acq_rel) == 1)
        record->destroy(record);
}

struct record_cache *
record_cache_create(size_t max_records)
{
    struct record_cache *cache = calloc(1, sizeof(*cache));

    if (cache == NULL)
        abort();
    pthread_mutex_init(&cache->lock, NULL);
    map_init(&cache->map, max_records);
    return cache;
}

static void
list_remove(struct record_cache *cache, struct entry *entry)
{
    if (entry->newer == NULL)
        cache->newest = entry->older;
    else
        entry->newer->older = entry->older;
    if (entry->older == NULL)
        cache->oldest = entry->newer;
    else
        entry->older->newer = entry->newer;
}

static void
list_add(struct record_cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    if (cache->newest == NULL)
        cache->oldest = entry;
    else
        cache->newest->newer = entry;
    cache->newest = entry;
}

/* With the lock held; the caller drops the reference that comes back after it is released. */
static struct shared_record *
take_out(struct record_cache *cache, struct entry *entry)
{
    struct shared_record *record = entry->record;

    (void)map_remove(&cache->map, str_of(entry->key, entry->key_len));
    list_remove(cache, entry);
    free(entry);
    return record;
}

struct shared_record *
record_cache_find(struct record_cache *cache, struct str key)
{
    struct shared_record *record = NULL;
    struct entry *entry;

    pthread_mutex_lock(&cache->lock);
    entry = map_find(&cache->map, key);
    if (entry != NULL) {
        record = entry->record;
        shared_record_ref(record);
        if (cache->newest != entry) {
            list_remove(cache, entry);
            list_add(cache, entry);
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return record;
}

uint64_t
record_cache_generation(struct record_cache *cache)
{
    uint64_t generation;

    pthread_mutex_lock(&cache->lock);
    generation = cache->generation;
    pthread_mutex_unlock(&cache->lock);
    return generation;
}

void
record_cache_offer(struct record_cache *cache, struct str key, struct shared_record *record,
                   uint64_t generation)
{
    struct shared_record *dropped = NULL;
    struct entry *entry = malloc(sizeof(*entry) + key.len);
    struct err err;
    void *replaced;

    if (entry == NULL)
        abort();
    entry->key_len = key.len;
    memcpy(entry->key, key.ptr, key.len);
    entry->record = record;
    pthread_mutex_lock(&cache->lock);
    if (cache->generation != generation || map_find(&cache->map, key) != NULL) {
        free(entry);
    } else {
        if (cache->map.count == cache->map.max_count)
            dropped = take_out(cache, cache->oldest);
        if (map_put(&cache->map, key, entry, &replaced, &err) != ST_OK)
            abort(); /* room was made */
        list_add(cache, entry);
        shared_record_ref(record);
    }
    pthread_mutex_unlock(&cache->lock);
    shared_record_unref(dropped);
}

void
record_cache_forget(struct record_cache *cache, struct str key)
{
    struct shared_record *dropped = NULL;
    struct entry *entry;

    pthread_mutex_lock(&cache->lock);
    cache->generation++;
    entry = map_find(&cache->map, key);
    if (entry != NULL)
        dropped = take_out(cache, entry);
    pthread_mutex_unlock(&cache->lock);
    shared_record_unref(dropped);
}

void
record_cache_forget_all(struct record_cache *cache)
{
    bool more = true;

    while (more) {
        struct shared_record *dropped = NULL;

        pthread_mutex_lock(&cache->lock);
        cache->generation++;
        if (cache->oldest != NULL)
            dropped = take_out(cache, cache->oldest);
        more = cache->oldest != NULL;
        pthread_mutex_unlock(&cache->lock);
        shared_record_unref(dropped);
    }
}

void
record_cache_destroy(struct record_cache **cache_ref)
{
    struct record_cache *cache = *cache_ref;

    if (cache == NULL)
        return;
    *cache_ref = NULL;
    record_cache_forget_all(cache);
    map_deinit(&cache->map);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}
