/*
 * retrieval_quality_sql.h - passages without documents, as only a measurement has them
 */
#ifndef PARLEY_BENCH_RETRIEVAL_QUALITY_SQL_H
#define PARLEY_BENCH_RETRIEVAL_QUALITY_SQL_H

#include "store/store.h"

static const struct store_sql SQL_BENCH_CHUNK_INSERT = {
    .name = "bench_chunk_insert",
    .text = "INSERT INTO chunk (organization_id, id, source_id, version, ordinal, heading_path,"
            " text, start_char, end_char, language)"
            " VALUES ($1, $2, $3, 1, $4, '', $5, 0, $6, $7)",
};

#endif
