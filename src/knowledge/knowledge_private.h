/*
 * knowledge_private.h - what the files of src/knowledge/ share
 */
#ifndef PARLEY_KNOWLEDGE_KNOWLEDGE_PRIVATE_H
#define PARLEY_KNOWLEDGE_KNOWLEDGE_PRIVATE_H

#include <pthread.h>

#include "knowledge/extractor.h"
#include "knowledge/knowledge.h"

/* Raw document, answer, text, sentences and passages of the largest document, several times over.
 */
#define DOCUMENT_ARENA_MAX_BYTES ((size_t)3 * 1024 * 1024 * 1024)

struct knowledge {
    struct store *store;
    struct queue *queue;
    struct live_hub *live;
    struct clock *clock;
    struct extractor *extractor;
    size_t max_document_bytes;

    pthread_mutex_t lock; /* guards finished */
    pthread_cond_t changed;
    uint64_t finished; /* ingestions that ended in this process */
};

/* What the job carries. */
struct ingest_payload {
    struct ingestion_id ingestion_id;
    struct source_id source_id;
    int64_t version;
    struct str audience; /* to be set when the version becomes searched; empty: as it is */
};

/* JSON, in the arena. */
struct str ingest_payload_format(const struct ingest_payload *payload, struct arena *arena);
/* Texts in the arena. ST_INTERNAL: not what ingest_payload_format makes. */
MUST_USE enum status ingest_payload_parse(struct str json, struct arena *arena,
                                          struct ingest_payload *payload_out, struct err *err);

/* Passages and index rows of all versions, in the caller's transaction. */
MUST_USE enum status passages_delete(struct store_tx *tx, struct source_id id, struct err *err);

/* Whoever waits for an ingestion looks again. */
void knowledge_tell_finished(struct knowledge *knowledge);

#endif
