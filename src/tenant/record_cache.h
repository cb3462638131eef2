/*
 * record_cache.h - a bounded cache of counted records, least recently used given up first
 *
 * A loader notes the generation before it reads the database and hands it in with what it read: if
 * anything was forgotten in between, the record might be older than that change and is not kept.
 * Threads: shared; the lock is held for a lookup, never while a record is destroyed.
 */
#ifndef PARLEY_TENANT_RECORD_CACHE_H
#define PARLEY_TENANT_RECORD_CACHE_H

#include <stdatomic.h>

#include "base/str.h"

/* First member of what is cached. */
struct shared_record {
    _Atomic unsigned references;
    void (*destroy)(struct shared_record *record);
};

void shared_record_init(struct shared_record *record,
                        void (*destroy)(struct shared_record *record));
void shared_record_ref(struct shared_record *record);
/* Accepts NULL. */
void shared_record_unref(struct shared_record *record);

struct record_cache;

struct record_cache *record_cache_create(size_t max_records);
void record_cache_destroy(struct record_cache **cache);
/* A reference of the caller's, or NULL. */
struct shared_record *record_cache_find(struct record_cache *cache, struct str key);
uint64_t record_cache_generation(struct record_cache *cache);
/* The cache takes a reference of its own, or none. */
void record_cache_offer(struct record_cache *cache, struct str key, struct shared_record *record,
                        uint64_t generation);
void record_cache_forget(struct record_cache *cache, struct str key);
void record_cache_forget_all(struct record_cache *cache);

#endif
