/*
 * ingest_private.h - a document on its way to being searched: what ingest.c and put_passages.c
 * share
 *
 * Threads: the worker that holds the lease.
 */
#ifndef PARLEY_KNOWLEDGE_INGEST_PRIVATE_H
#define PARLEY_KNOWLEDGE_INGEST_PRIVATE_H

#include "knowledge/knowledge_private.h"

struct ingest {
    struct knowledge *knowledge;
    struct lease *lease;
    struct arena *arena;
    struct ingest_payload payload; /* without an ingestion: what is searched is cut anew */

    /* Read before the work. */
    struct original original;
    struct brand_id brand_id;
    struct str declared_language, usual_language;
    struct chunk_settings settings;

    /* Made by the work. */
    struct extracted extracted;
    struct plain_document document;
    struct chunk *chunks;
    size_t chunk_count;
    float *vectors;       /* of chunks; NULL: none */
    bool vectors_missing; /* they could not be made now: a job does it later */
    float *old_vectors;   /* of the encoder before, where its vectors serve; NULL: none */
    int64_t old_count;    /* passages that have one */

    const char *stage; /* that it is in; NULL: none yet */
    int64_t stage_us;  /* since when */

    /* Set by a transaction. */
    bool gone; /* the source or version was deleted */
    struct str failure;
};

/* Its passages and index rows instead of those of whatever version there were, its text, and what
 * it says of itself, in the commit's transaction. */
MUST_USE enum status replace_passages(struct ingest *ingest, struct store_tx *tx,
                                      struct str audience, struct err *err);

#endif
