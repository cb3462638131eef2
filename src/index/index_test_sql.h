/*
 * index_test_sql.h - statements of the index's test: passages, and what deleting leaves behind
 */
#ifndef PARLEY_INDEX_INDEX_TEST_SQL_H
#define PARLEY_INDEX_INDEX_TEST_SQL_H

#include "store/store.h"

static const struct store_sql SQL_TEST_CHUNK_INSERT = {
    .name = "test_chunk_insert",
    .text = "INSERT INTO chunk (organization_id, id, source_id, version, ordinal, heading_path,"
            " text, start_char, end_char, language)"
            " VALUES ($1, $2, $3, $4, $2, $5, $6, 100, 200, $7)",
};

static const struct store_sql SQL_TEST_SOURCE_INSERT = {
    .name = "test_source_insert",
    .text = "INSERT INTO source (organization_id, id, parent_id, name, kind, category, tone,"
            " dated_at, current_version, created_at, updated_at)"
            " VALUES ($1, $2, $3, $2, $4, $5, $6, $7, 1, 0, 0)",
};

static const struct store_sql SQL_TEST_VERSION_INSERT = {
    .name = "test_version_insert",
    .text = "INSERT INTO source_version (organization_id, source_id, version, content_type,"
            " content_hash, size_bytes, created_at, content) VALUES ($1, $2, 1, $3, '', 0, 0, $4)",
};

static const struct store_sql SQL_TEST_LEFT = {
    .name = "test_left",
    .text = "SELECT (SELECT count(*) FROM index_posting WHERE organization_id = $1),"
            " (SELECT count(*) FROM index_chunk WHERE organization_id = $1),"
            " (SELECT coalesce(sum(chunk_count), 0) + coalesce(sum(term_count), 0)"
            " FROM index_partition WHERE organization_id = $1)",
};

static const struct store_sql SQL_TEST_VECTORS_LEFT = {
    .name = "test_vectors_left",
    .text = "SELECT (SELECT count(*) FROM index_vector WHERE organization_id = $1)"
            " + (SELECT count(*) FROM index_vector_batch WHERE organization_id = $1)",
};

#endif
