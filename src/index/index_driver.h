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

struct index_chunk {
    int64_t chunk_id;
    int64_t partition_id;
    struct source_id source_id;
    int64_t version;
    struct str title;
    int64_t term_count;
    struct str terms;
};

struct index_passage {
    struct str heading_path, text;
    int64_t start_char, end_char;
    int64_t page; /* 0: none */
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

    /* ST_CONFLICT: it is there. */
    enum status (*chunk_add)(struct store_tx *tx, const struct index_chunk *chunk, struct err *err);
    /* ST_NOT_FOUND. */
    enum status (*chunk_get)(struct store_tx *tx, int64_t chunk_id, struct arena *arena,
                             struct index_chunk *chunk_out, struct err *err);
    /* version 0: all versions. */
    enum status (*chunk_list)(struct store_tx *tx, struct source_id source_id, int64_t version,
                              struct arena *arena, struct index_chunk **chunks_out,
                              size_t *count_out, struct err *err);
    enum status (*chunk_remove)(struct store_tx *tx, struct source_id source_id, int64_t version,
                                struct err *err);

    /* The words themselves, from the table chunk. ST_NOT_FOUND. */
    enum status (*passage_get)(struct store_tx *tx, int64_t chunk_id, struct arena *arena,
                               struct index_passage *passage_out, struct err *err);

    enum status (*health)(struct store_tx *tx, struct index_health *health_out, struct err *err);
};

extern const struct index_driver index_driver_local;

#endif
