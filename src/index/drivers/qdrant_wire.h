/*
 * qdrant_wire.h - Qdrant's REST API as JSON: bodies that are sent, answers that are read
 *
 * Source: Qdrant 1.19's OpenAPI. A point is named by its organization and passage, so that putting
 * it twice is putting it once; it carries "dense", a vector of the encoder, and "bm25", its terms
 * as 32-bit numbers with BM25's part that is not rarity, tf (k1 + 1) / (tf + k1 (1 - b + b length /
 * mean length)): the collection's modifier "idf" multiplies with rarity at the time of the
 * question. Answers are bytes from outside: what is not as it should be is ST_UNAVAILABLE.
 */
#ifndef PARLEY_INDEX_DRIVERS_QDRANT_WIRE_H
#define PARLEY_INDEX_DRIVERS_QDRANT_WIRE_H

#include "index/engine_private.h"
#include "text/json.h"

/* --- what the collection is --- */

struct qdrant_shape {
    struct str name;
    unsigned dimension; /* 0: no vectors of sentences */
    bool quantized;
};
json_t *qdrant_collection_json(const struct qdrant_shape *shape);
/* Fields that are filtered by, NULL at the end, and how each is indexed. */
struct qdrant_field {
    const char *name, *type;
    bool is_tenant;
};
extern const struct qdrant_field qdrant_fields[];
json_t *qdrant_field_json(const struct qdrant_field *field);
/* The answer to GET /collections/{name}. ST_CONFLICT: it is another shape; detail says what to do.
 * has_out[i]: qdrant_fields[i] is indexed. */
#define QDRANT_FIELDS 5
MUST_USE enum status qdrant_read_collection(struct str body, const struct qdrant_shape *shape,
                                            bool has_out[QDRANT_FIELDS], struct err *err);
/* The answer to GET /: major * 1000 + minor. */
MUST_USE enum status qdrant_read_version(struct str body, unsigned *version_out, struct err *err);

/* --- points --- */

/* The one place where anything is bound to an organization: every filter begins here. */
json_t *qdrant_filter_begin(const struct tenant_scope *scope);
/* Of the source, but for points of that change; 0: all. */
json_t *qdrant_source_filter(const struct tenant_scope *scope, struct source_id source_id,
                             int64_t but_change);
/* ST_INTERNAL: a damaged vector or damaged terms. */
MUST_USE enum status qdrant_points_json(const struct tenant_scope *scope,
                                        const struct engine_point *points, size_t count,
                                        unsigned dimension, int64_t change, json_t **json_out,
                                        struct err *err);
json_t *qdrant_searches_json(const struct tenant_scope *scope, const struct engine_search *searches,
                             size_t count, unsigned dimension, bool with_corpus);

/* --- answers --- */

/* Everything was applied. */
MUST_USE enum status qdrant_read_write(struct str body, struct err *err);
MUST_USE enum status qdrant_read_count(struct str body, int64_t *count_out, struct err *err);
/* One list a search, each of at most as many as it asked for. */
MUST_USE enum status qdrant_read_hits(struct str body, const struct engine_search *searches,
                                      size_t count, struct arena *arena,
                                      struct engine_hits *hits_out, struct err *err);
/* What it says about a request that failed; in the arena, at most 200 bytes, "" for nothing. */
struct str qdrant_read_error(struct str body, struct arena *arena);

#endif
