/*
 * engine_private.h - what sync.c and ask.c say to the engine (drivers/qdrant.c)
 *
 * Every function takes the scope, and whatever it sends is bound to that organization in one place
 * (qdrant_filter_begin).
 */
#ifndef PARLEY_INDEX_ENGINE_PRIVATE_H
#define PARLEY_INDEX_ENGINE_PRIVATE_H

#include "index/engine.h"
#include "index/index_private.h"

/* States of a source that a collection has as it is: its name and one of these. Nothing sorts
 * between them. */
#define SYNC_VECTORS "/vectors" /* every passage with a vector */
#define SYNC_WORDS "/words"

struct engine_point {
    const struct index_chunk *chunk; /* with its code, if it has one */
    struct str audience;
    double mean_length; /* of passages in its language, in terms, as they are now */
};

/* One question of several that travel together. */
struct engine_search {
    const float *vector; /* NULL: by words */
    const uint32_t *words;
    const float *weights;
    size_t word_count; /* at least 1 */
    /* Only these may be seen. */
    const int64_t *partitions;
    size_t partition_count;
    const struct str *audiences; /* of them, each once */
    size_t audience_count;
    /* And of them, when by_source, only passages of these documents. */
    bool by_source;
    const struct str *sources;
    size_t source_count; /* at least 1 */
    size_t limit;
};

struct engine_hit {
    int64_t chunk_id;
    double score;
};
struct engine_hits {
    struct engine_hit *hits; /* best first */
    size_t count;
};

struct store *engine_store(const struct index_engine *engine);
struct clock *engine_clock(const struct index_engine *engine);
struct str engine_encoder(const struct index_engine *engine); /* "": none */
unsigned engine_dimension(const struct index_engine *engine);

/* A term as the engine knows it. */
uint32_t engine_word(struct str term);

/* Answers in the order of the searches, in the arena. ST_UNAVAILABLE: it is away; ST_BUSY: it was
 * just now, and is left alone for a while; ST_NOT_FOUND: it has no collection. */
MUST_USE enum status engine_find(struct index_engine *engine, const struct tenant_scope *scope,
                                 const struct engine_search *searches, size_t count,
                                 struct arena *arena, struct engine_hits *hits_out,
                                 struct err *err);

/* Durable when it returns; the same points again change nothing. All are of one source; change:
 * index_sync's. */
MUST_USE enum status engine_put(struct index_engine *engine, const struct tenant_scope *scope,
                                const struct engine_point *points, size_t count, int64_t change,
                                struct err *err);
/* Removes a source's points but those that were put with this change; 0: all. */
MUST_USE enum status engine_remove(struct index_engine *engine, const struct tenant_scope *scope,
                                   struct source_id source_id, int64_t but_change, struct err *err);
/* Points of the organization. */
MUST_USE enum status engine_count(struct index_engine *engine, const struct tenant_scope *scope,
                                  int64_t *points_out, struct err *err);

#endif
