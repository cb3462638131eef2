/*
 * engine.h - an engine beside the database that finds candidates: a Qdrant server
 *
 *   put, delete --one commit--> rows, index_sync marked, job --index_sync_job--> points
 *   index_ask:  statistics of words (database) -> nearest and best by words (engine)
 *               -> ranked, and read (database)
 *
 * The database stays the truth. The engine has a point a passage: its vector, its words as a sparse
 * vector, and whom it belongs to; never its text. It may be away, empty or behind: what it names is
 * read in the database by whoever asks before it counts, so that nothing stale and nothing of
 * others is ever a hit. While documents are behind, words are looked up in the database as well;
 * while the engine is away, words alone find. Its points are made again from the database by
 * index_sync_mark_all and a job; docs/decisions/0018 has the whole.
 * Threads: shared. Blocks: on the store, and on the engine up to question_ms or, in jobs, a minute
 * a call. Crash: what the engine has not taken is still marked.
 */
#ifndef PARLEY_INDEX_ENGINE_H
#define PARLEY_INDEX_ENGINE_H

#include "base/clock.h"
#include "index/index.h"
#include "net/http_client.h"
#include "queue/queue.h"

struct index_engine;

struct index_engine_config {
    struct store *store;
    struct http_client *http;
    struct clock *clock;
    struct str url;        /* "https://host:6333" */
    struct str api_key;    /* "": none */
    struct str collection; /* its name's beginning; what the encoder is follows */
    struct str encoder;    /* "": words alone */
    unsigned dimension;
    bool quantized;               /* vectors as bytes in the engine's memory */
    unsigned question_ms;         /* how long a question waits for it */
    bool allow_private;           /* it may be on this machine or in a private network */
    const _Atomic bool *stopping; /* calls end soon after it is true; may be NULL */
};

/* Asks nothing yet. ST_INVALID: no such address, key or name. */
MUST_USE enum status index_engine_open(const struct index_engine_config *config,
                                       struct index_engine **engine_out, struct err *err);
void index_engine_close(struct index_engine **engine); /* accepts NULL; nobody may use it */

/* Makes the collection, or looks whether it is as it would make it. ST_CONFLICT: it is not, or the
 * server is too old; detail says what to do. ST_DENIED: the key. ST_UNAVAILABLE: it is away. */
MUST_USE enum status index_engine_check(struct index_engine *engine, struct err *err);
/* Name of the collection, and points of all organizations in it. After index_engine_check. */
struct str index_engine_collection(const struct index_engine *engine);
MUST_USE enum status index_engine_count(struct index_engine *engine, int64_t *points_out,
                                        struct err *err);

/* index_search in a read of its own, with candidates from the engine; NULL: from the database. An
 * engine that fails costs its part of the answer, not the answer: result->by_vectors is false. */
MUST_USE enum status index_ask(struct index_engine *engine, struct store *store,
                               const struct tenant_scope *scope, const struct index_query *query,
                               struct arena *arena, struct index_result *result_out,
                               struct err *err);

/* --- keeping it in step --- */

/* The job for what this transaction put or deleted; one that waits already is enough. */
MUST_USE enum status index_sync_queue(struct queue *queue, struct store_tx *tx, struct err *err);
/* For queue_workers_start on QUEUE_TOPIC_INDEX; context is the struct index_engine. Brings the
 * organization's documents into step, then counts: what does not agree is made again. */
enum status index_sync_job(struct lease *lease, void *engine, struct err *err);
/* The same on the caller's thread, to the end: where no worker has the job. */
MUST_USE enum status index_sync_now(struct index_engine *engine, const struct tenant_scope *scope,
                                    struct err *err);
/* All of the organization's documents are to be put again. */
MUST_USE enum status index_sync_mark_all(struct store_tx *tx, struct err *err);
/* Documents that the engine does not have as they are. */
MUST_USE enum status index_sync_behind(const struct index_engine *engine, struct store_tx *tx,
                                       int64_t *sources_out, struct err *err);
/* Everything of an organization goes, as when it is deleted. */
MUST_USE enum status index_engine_forget(struct index_engine *engine,
                                         const struct tenant_scope *scope, struct err *err);

#endif
