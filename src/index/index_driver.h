/*
 * index_driver.h - what a database offers to the index: rows, no ranking
 *
 *   front (put.c, search.c, rank.c, confidence.c)   driver (drivers/)
 *   terms, postings' bytes, scores, confidence      where partitions, chunks and postings are kept
 *
 * Every function is always set. All are called inside the transaction they are given, and see what
 * it has written. Lists come in the arena.
 */
#ifndef PARLEY_INDEX_INDEX_DRIVER_H
#define PARLEY_INDEX_INDEX_DRIVER_H

#include "index/index.h"

struct index_partition {
    int64_t id;
    struct str brand_id; /* "": every brand */
    struct str audience, language;
    int64_t chunk_count, term_count;
};

struct index_block {
    int64_t block;
    int64_t chunk_count;
    struct str postings;
};

struct index_place {
    int64_t chunk_id, partition_id;
};

struct index_batch {
    int64_t batch;
    int64_t chunk_count;
};

struct index_code {
    int64_t chunk_id, partition_id;
    struct str code; /* scan.h */
};

struct index_chunk {
    int64_t chunk_id;
    int64_t partition_id;
    struct source_id source_id;
    int64_t version;
    struct str title;
    int64_t term_count;
    struct str terms;
    struct str code; /* of the encoder that was asked for; "": none */
};

struct index_passage {
    struct str heading_path, text;
    int64_t start_char, end_char;
    int64_t page;           /* on which the range begins; 0: none */
    struct str page_starts; /* "120:2 340:3": bytes from start_char where later pages begin */
};

/* A source as an engine beside the database sees it. */
struct index_sync {
    struct source_id source_id;
    int64_t change; /* one more with every change of its passages or vectors */
    bool known;     /* the engine may have some of it */
};

struct index_driver {
    const char *name;

    enum status (*partition_list)(struct store_tx *tx, struct arena *arena,
                                  struct index_partition **partitions_out, size_t *count_out,
                                  struct err *err);
    /* Adds to the counts of a partition; makes it when there is none (id is set). */
    enum status (*partition_add)(struct store_tx *tx, const struct index_partition *what,
                                 int64_t chunks, int64_t terms, int64_t *id_out, struct err *err);
    /* Adds to the counts of a partition that is there; one without chunks may go. */
    enum status (*partition_count)(struct store_tx *tx, int64_t id, int64_t chunks, int64_t terms,
                                   struct err *err);

    /* Ascending by block. */
    enum status (*posting_list)(struct store_tx *tx, int64_t partition_id, struct str term,
                                struct arena *arena, struct index_block **blocks_out,
                                size_t *count_out, struct err *err);
    /* Chunks of the partition that have the term, without their postings. */
    enum status (*posting_count)(struct store_tx *tx, int64_t partition_id, struct str term,
                                 int64_t *chunks_out, struct err *err);
    /* No such row: empty postings. */
    enum status (*posting_get)(struct store_tx *tx, int64_t partition_id, struct str term,
                               int64_t block, struct arena *arena, struct str *postings_out,
                               struct err *err);
    /* chunk_count 0 removes the row. */
    enum status (*posting_set)(struct store_tx *tx, int64_t partition_id, struct str term,
                               const struct index_block *block, struct err *err);
    /* Terms of the partition that begin with prefix, in no order, at most limit, each once. */
    enum status (*term_list)(struct store_tx *tx, int64_t partition_id, struct str prefix,
                             size_t limit, struct arena *arena, struct str **terms_out,
                             size_t *count_out, struct err *err);

    /* Which of these the partition has; sets found[] beside them, never to false. */
    enum status (*term_find)(struct store_tx *tx, int64_t partition_id, const struct str *terms,
                             size_t count, struct arena *arena, bool *found, struct err *err);

    /* ST_CONFLICT: it is there. */
    enum status (*chunk_add)(struct store_tx *tx, const struct index_chunk *chunk, struct err *err);
    /* encoder "": without code. ST_NOT_FOUND. */
    enum status (*chunk_get)(struct store_tx *tx, int64_t chunk_id, struct str encoder,
                             struct arena *arena, struct index_chunk *chunk_out, struct err *err);
    /* version 0: all versions; encoder "": without codes. Ascending by chunk. */
    enum status (*chunk_list)(struct store_tx *tx, struct source_id source_id, int64_t version,
                              struct str encoder, struct arena *arena,
                              struct index_chunk **chunks_out, size_t *count_out, struct err *err);
    /* With its vectors. */
    enum status (*chunk_move)(struct store_tx *tx, int64_t chunk_id, int64_t partition_id,
                              struct err *err);
    enum status (*chunk_remove)(struct store_tx *tx, struct source_id source_id, int64_t version,
                                struct err *err);

    /* Every change of vectors makes the generation one more; 0 before the first. */
    enum status (*generation_get)(struct store_tx *tx, int64_t *generation_out, struct err *err);
    enum status (*generation_next)(struct store_tx *tx, int64_t *generation_out, struct err *err);
    /* What is put at once, of one version of one source; batch is the generation. */
    enum status (*batch_add)(struct store_tx *tx, int64_t batch, struct str encoder,
                             struct source_id source_id, int64_t version, int64_t chunk_count,
                             struct err *err);
    /* The encoder's, ascending. */
    enum status (*batch_list)(struct store_tx *tx, struct str encoder, struct arena *arena,
                              struct index_batch **batches_out, size_t *count_out, struct err *err);
    /* Of all encoders and versions. */
    enum status (*batch_list_of)(struct store_tx *tx, struct source_id source_id,
                                 struct arena *arena, struct index_batch **batches_out,
                                 size_t *count_out, struct err *err);
    /* With its vectors. */
    enum status (*batch_renumber)(struct store_tx *tx, int64_t batch, int64_t number,
                                  struct err *err);
    /* Chunks of all its batches. */
    enum status (*batch_sum)(struct store_tx *tx, struct str encoder, int64_t *chunks_out,
                             struct err *err);
    /* ST_CONFLICT: the chunk has a vector of the encoder. */
    enum status (*code_add)(struct store_tx *tx, struct str encoder, int64_t batch,
                            const struct index_code *code, struct err *err);
    /* Ascending by chunk. */
    enum status (*code_list)(struct store_tx *tx, int64_t batch, struct arena *arena,
                             struct index_code **codes_out, size_t *count_out, struct err *err);
    /* Of chunks that are still there, of all encoders; version 0: all versions. */
    enum status (*code_remove)(struct store_tx *tx, struct source_id source_id, int64_t version,
                               int64_t *removed_out, struct err *err);
    /* Of all encoders but this one. */
    enum status (*code_remove_others)(struct store_tx *tx, struct str encoder, int64_t *removed_out,
                                      struct err *err);
    /* Chunks after one that have no vector of the encoder, ascending, with their words. */
    enum status (*code_missing)(struct store_tx *tx, struct str encoder, int64_t after,
                                size_t limit, struct arena *arena,
                                struct index_missing **missing_out, size_t *count_out,
                                struct err *err);

    /* What an engine beside the database has of a source (sync.c): marks it, or every source that
     * is marked anywhere, as changed. */
    enum status (*sync_mark)(struct store_tx *tx, struct source_id source_id, struct err *err);
    /* The row goes if the source has no passages and was never put into the engine. */
    enum status (*sync_tidy)(struct store_tx *tx, struct source_id source_id, struct err *err);
    enum status (*sync_mark_all)(struct store_tx *tx, struct err *err);
    /* The least and the greatest state of all sources; both "" without any, or in the arena. */
    enum status (*sync_range)(struct store_tx *tx, struct arena *arena, struct str *least_out,
                              struct str *greatest_out, struct err *err);
    /* Sources whose state is outside. */
    enum status (*sync_behind)(struct store_tx *tx, struct str least, struct str greatest,
                               int64_t *sources_out, struct err *err);
    /* One of them. ST_NOT_FOUND: there is none. */
    enum status (*sync_next)(struct store_tx *tx, struct str least, struct str greatest,
                             struct index_sync *sync_out, struct err *err);
    /* From now on the engine may have some of it. */
    enum status (*sync_know)(struct store_tx *tx, struct source_id source_id, struct err *err);
    /* state "": the row goes. Nothing, if the source was changed since. */
    enum status (*sync_set)(struct store_tx *tx, const struct index_sync *sync, struct str state,
                            struct err *err);

    /* Passages of the documents that the filter wants by what is said of them; what partitions are
     * keys of (brand, audience, language) is not looked at. In no order. */
    enum status (*filter_chunks)(struct store_tx *tx, const struct index_filter *filter,
                                 struct arena *arena, struct index_place **places_out,
                                 size_t *count_out, struct err *err);
    /* The same documents; more than limit: count is limit + 1. */
    enum status (*filter_sources)(struct store_tx *tx, const struct index_filter *filter,
                                  size_t limit, struct arena *arena, struct str **ids_out,
                                  size_t *count_out, struct err *err);

    /* The words themselves, from the table chunk. ST_NOT_FOUND. */
    enum status (*passage_get)(struct store_tx *tx, int64_t chunk_id, struct arena *arena,
                               struct index_passage *passage_out, struct err *err);

    enum status (*health)(struct store_tx *tx, struct index_health *health_out, struct err *err);
};

extern const struct index_driver index_driver_local;

#endif
