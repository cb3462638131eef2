/*
 * local_sql.h - statements of the index in the organization's own database
 */
#ifndef PARLEY_INDEX_DRIVERS_LOCAL_SQL_H
#define PARLEY_INDEX_DRIVERS_LOCAL_SQL_H

#include "store/store.h"

static const struct store_sql SQL_PARTITION_LIST = {
    .name = "index_partition_list",
    .text = "SELECT id, brand_id, audience, language, chunk_count, term_count"
            " FROM index_partition WHERE organization_id = $1 AND chunk_count > 0 ORDER BY id",
};

static const struct store_sql SQL_PARTITION_ADD = {
    .name = "index_partition_add",
    .text = "INSERT INTO index_partition"
            " (organization_id, id, brand_id, audience, language, chunk_count, term_count)"
            " VALUES ($1, (SELECT coalesce(max(id), 0) + 1 FROM index_partition"
            " WHERE organization_id = $1), $2, $3, $4, $5, $6)"
            " ON CONFLICT (organization_id, brand_id, audience, language) DO UPDATE SET"
            " chunk_count = index_partition.chunk_count + excluded.chunk_count,"
            " term_count = index_partition.term_count + excluded.term_count"
            " RETURNING id",
};

static const struct store_sql SQL_PARTITION_COUNT = {
    .name = "index_partition_count",
    .text =
        "UPDATE index_partition SET chunk_count = chunk_count + $3, term_count = term_count + $4"
        " WHERE organization_id = $1 AND id = $2",
};

static const struct store_sql SQL_POSTING_LIST = {
    .name = "index_posting_list",
    .text = "SELECT block, chunk_count, postings FROM index_posting"
            " WHERE organization_id = $1 AND partition_id = $2 AND term = $3 ORDER BY block",
};

static const struct store_sql SQL_POSTING_COUNT = {
    .name = "index_posting_count",
    .text = "SELECT coalesce(sum(chunk_count), 0) FROM index_posting"
            " WHERE organization_id = $1 AND partition_id = $2 AND term = $3",
};

static const struct store_sql SQL_POSTING_GET = {
    .name = "index_posting_get",
    .text = "SELECT postings FROM index_posting"
            " WHERE organization_id = $1 AND partition_id = $2 AND term = $3 AND block = $4",
};

static const struct store_sql SQL_POSTING_SET = {
    .name = "index_posting_set",
    .text = "INSERT INTO index_posting"
            " (organization_id, partition_id, term, block, chunk_count, postings)"
            " VALUES ($1, $2, $3, $4, $5, $6)"
            " ON CONFLICT (organization_id, partition_id, term, block) DO UPDATE SET"
            " chunk_count = excluded.chunk_count, postings = excluded.postings",
};

static const struct store_sql SQL_POSTING_REMOVE = {
    .name = "index_posting_remove",
    .text = "DELETE FROM index_posting"
            " WHERE organization_id = $1 AND partition_id = $2 AND term = $3 AND block = $4",
};

static const struct store_sql SQL_TERM_LIST = {
    .name = "index_term_list",
    .text = "SELECT DISTINCT term FROM index_posting"
            " WHERE organization_id = $1 AND partition_id = $2 AND term >= $3 AND term < $4"
            " ORDER BY term LIMIT $5",
};

#define TERM_FIND(terms)                                                                           \
    "SELECT DISTINCT term FROM index_posting"                                                      \
    " WHERE organization_id = $1 AND partition_id = $2 AND term " terms

/* $3: the terms, a JSON array. */
static const struct store_sql SQL_TERM_FIND = {
    .name = "index_term_find",
    .sqlite = TERM_FIND("IN (SELECT value FROM json_each($3))"),
    .pgsql = TERM_FIND("= ANY (ARRAY(SELECT json_array_elements_text($3::text::json)))"),
};

static const struct store_sql SQL_CHUNK_ADD = {
    .name = "index_chunk_add",
    .text = "INSERT INTO index_chunk (organization_id, chunk_id, partition_id, source_id, version,"
            " title, term_count, terms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
};

#define CHUNK_COLUMNS                                                                              \
    "SELECT chunk_id, partition_id, source_id, version, title, term_count, terms FROM index_chunk"

static const struct store_sql SQL_CHUNK_GET = {
    .name = "index_chunk_get",
    .text = CHUNK_COLUMNS " WHERE organization_id = $1 AND chunk_id = $2",
};

static const struct store_sql SQL_CHUNK_GET_CODE = {
    .name = "index_chunk_get_code",
    .text = "SELECT c.chunk_id, c.partition_id, c.source_id, c.version, c.title, c.term_count,"
            " c.terms, v.vector FROM index_chunk c LEFT JOIN index_vector v"
            " ON v.organization_id = $1 AND v.chunk_id = c.chunk_id AND v.encoder = $3"
            " WHERE c.organization_id = $1 AND c.chunk_id = $2",
};

static const struct store_sql SQL_CHUNK_LIST = {
    .name = "index_chunk_list",
    .text = CHUNK_COLUMNS " WHERE organization_id = $1 AND source_id = $2"
                          " AND ($3 = 0 OR version = $3) ORDER BY chunk_id",
};

static const struct store_sql SQL_CHUNK_MOVE = {
    .name = "index_chunk_move",
    .text = "UPDATE index_chunk SET partition_id = $3 WHERE organization_id = $1 AND chunk_id = $2",
};

static const struct store_sql SQL_CODE_MOVE = {
    .name = "index_vector_move",
    .text =
        "UPDATE index_vector SET partition_id = $3 WHERE organization_id = $1 AND chunk_id = $2",
};

static const struct store_sql SQL_CHUNK_LIST_CODES = {
    .name = "index_chunk_list_codes",
    .text = "SELECT c.chunk_id, c.partition_id, c.source_id, c.version, c.title, c.term_count,"
            " c.terms, v.vector FROM index_chunk c LEFT JOIN index_vector v"
            " ON v.organization_id = $1 AND v.chunk_id = c.chunk_id AND v.encoder = $4"
            " WHERE c.organization_id = $1 AND c.source_id = $2 AND ($3 = 0 OR c.version = $3)"
            " ORDER BY c.chunk_id",
};

static const struct store_sql SQL_CHUNK_REMOVE = {
    .name = "index_chunk_remove",
    .text = "DELETE FROM index_chunk WHERE organization_id = $1 AND source_id = $2"
            " AND ($3 = 0 OR version = $3)",
};

/* --- vectors --- */

static const struct store_sql SQL_GENERATION_GET = {
    .name = "index_generation_get",
    .text = "SELECT generation FROM index_vector_state WHERE organization_id = $1 AND id = 1",
};

static const struct store_sql SQL_GENERATION_NEXT = {
    .name = "index_generation_next",
    .text = "INSERT INTO index_vector_state (organization_id, id, generation) VALUES ($1, 1, 1)"
            " ON CONFLICT (organization_id, id) DO UPDATE SET"
            " generation = index_vector_state.generation + 1 RETURNING generation",
};

static const struct store_sql SQL_BATCH_ADD = {
    .name = "index_batch_add",
    .text = "INSERT INTO index_vector_batch"
            " (organization_id, batch, encoder, source_id, version, chunk_count)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
};

static const struct store_sql SQL_BATCH_LIST = {
    .name = "index_batch_list",
    .text = "SELECT batch, chunk_count FROM index_vector_batch"
            " WHERE organization_id = $1 AND encoder = $2 ORDER BY batch",
};

static const struct store_sql SQL_BATCH_LIST_OF = {
    .name = "index_batch_list_of",
    .text = "SELECT batch, chunk_count FROM index_vector_batch"
            " WHERE organization_id = $1 AND source_id = $2 ORDER BY batch",
};

static const struct store_sql SQL_BATCH_RENUMBER = {
    .name = "index_batch_renumber",
    .text = "UPDATE index_vector_batch SET batch = $3 WHERE organization_id = $1 AND batch = $2",
};

static const struct store_sql SQL_CODE_RENUMBER = {
    .name = "index_vector_renumber",
    .text = "UPDATE index_vector SET batch = $3 WHERE organization_id = $1 AND batch = $2",
};

static const struct store_sql SQL_BATCH_SUM = {
    .name = "index_batch_sum",
    .text = "SELECT coalesce(sum(chunk_count), 0) FROM index_vector_batch"
            " WHERE organization_id = $1 AND encoder = $2",
};

static const struct store_sql SQL_BATCH_REMOVE = {
    .name = "index_batch_remove",
    .text = "DELETE FROM index_vector_batch WHERE organization_id = $1 AND source_id = $2"
            " AND ($3 = 0 OR version = $3)",
};

static const struct store_sql SQL_BATCH_REMOVE_OTHERS = {
    .name = "index_batch_remove_others",
    .text = "DELETE FROM index_vector_batch WHERE organization_id = $1 AND encoder <> $2",
};

static const struct store_sql SQL_CODE_ADD = {
    .name = "index_vector_add",
    .text = "INSERT INTO index_vector"
            " (organization_id, chunk_id, encoder, batch, partition_id, vector)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
};

static const struct store_sql SQL_CODE_LIST = {
    .name = "index_vector_list",
    .text = "SELECT chunk_id, partition_id, vector FROM index_vector"
            " WHERE organization_id = $1 AND batch = $2 ORDER BY chunk_id",
};

static const struct store_sql SQL_CODE_REMOVE = {
    .name = "index_vector_remove",
    .text = "DELETE FROM index_vector WHERE organization_id = $1 AND chunk_id IN"
            " (SELECT chunk_id FROM index_chunk WHERE organization_id = $1 AND source_id = $2"
            " AND ($3 = 0 OR version = $3))",
};

static const struct store_sql SQL_CODE_REMOVE_OTHERS = {
    .name = "index_vector_remove_others",
    .text = "DELETE FROM index_vector WHERE organization_id = $1 AND encoder <> $2",
};

static const struct store_sql SQL_CODE_MISSING = {
    .name = "index_vector_missing",
    .text = "SELECT c.chunk_id, c.source_id, c.version, c.title, k.heading_path, k.text"
            " FROM index_chunk c JOIN chunk k ON k.organization_id = $1 AND k.id = c.chunk_id"
            " WHERE c.organization_id = $1 AND c.chunk_id > $3 AND NOT EXISTS"
            " (SELECT 1 FROM index_vector v WHERE v.organization_id = $1"
            " AND v.chunk_id = c.chunk_id AND v.encoder = $2)"
            " ORDER BY c.chunk_id LIMIT $4",
};

/* --- what an engine beside the database has --- */

static const struct store_sql SQL_SYNC_MARK = {
    .name = "index_sync_mark",
    .text = "INSERT INTO index_sync (organization_id, source_id, state, change, known)"
            " VALUES ($1, $2, '', 1, 0) ON CONFLICT (organization_id, source_id) DO UPDATE SET"
            " state = '', change = index_sync.change + 1",
};

static const struct store_sql SQL_SYNC_TIDY = {
    .name = "index_sync_tidy",
    .text = "DELETE FROM index_sync WHERE organization_id = $1 AND source_id = $2 AND known = 0"
            " AND NOT EXISTS (SELECT 1 FROM index_chunk c WHERE c.organization_id = $1"
            " AND c.source_id = $2)",
};

static const struct store_sql SQL_SYNC_MARK_ALL = {
    .name = "index_sync_mark_all",
    .text = "UPDATE index_sync SET state = '', change = change + 1 WHERE organization_id = $1",
};

static const struct store_sql SQL_SYNC_RANGE = {
    .name = "index_sync_range",
    .text = "SELECT coalesce((SELECT min(state) FROM index_sync WHERE organization_id = $1), ''),"
            " coalesce((SELECT max(state) FROM index_sync WHERE organization_id = $1), '')",
};

static const struct store_sql SQL_SYNC_BEHIND = {
    .name = "index_sync_behind",
    .text = "SELECT count(*) FROM index_sync WHERE organization_id = $1"
            " AND (state < $2 OR state > $3)",
};

static const struct store_sql SQL_SYNC_NEXT = {
    .name = "index_sync_next",
    .text = "SELECT source_id, change, known FROM index_sync WHERE organization_id = $1"
            " AND (state < $2 OR state > $3) ORDER BY state, source_id LIMIT 1",
};

static const struct store_sql SQL_SYNC_KNOW = {
    .name = "index_sync_know",
    .text = "UPDATE index_sync SET known = 1 WHERE organization_id = $1 AND source_id = $2",
};

static const struct store_sql SQL_SYNC_SET = {
    .name = "index_sync_set",
    .text = "UPDATE index_sync SET state = $4 WHERE organization_id = $1 AND source_id = $2"
            " AND change = $3",
};

static const struct store_sql SQL_SYNC_REMOVE = {
    .name = "index_sync_remove",
    .text = "DELETE FROM index_sync WHERE organization_id = $1 AND source_id = $2 AND change = $3",
};

/* $2 stands between values, $3 to $10 are what is wanted ("": any; $8: whether dates count), $11:
 * whether drafts take the place of what has one that was read: a document of one's own, or all that
 * lies in an archive. Then a draft is also what it is to replace, as if it were published. */
#define FILTER_IS_IN(list, value)                                                                  \
    "(" list " = '' OR replace(" list ", $2 || " value " || $2, '') <> " list ") "
/* t is what a draft d stands for (SQL_DRAFT_TARGET of src/knowledge): of its brand and name the
 * uploaded document, or else the folder's. */
#define FILTER_IS_TARGET                                                                           \
    "d.organization_id = $1 AND d.kind = 'draft' AND t.organization_id = $1 AND t.name = d.name "  \
    "AND coalesce(t.brand_id, '') = coalesce(d.brand_id, '') "                                     \
    "AND (t.kind = 'upload' OR (t.kind = 'folder' "                                                \
    "AND NOT EXISTS (SELECT 1 FROM source u WHERE u.organization_id = $1 AND u.name = t.name "     \
    "AND u.kind = 'upload' AND coalesce(u.brand_id, '') = coalesce(t.brand_id, '')))) "
/* Of an archive's draft also by the document of the archive that has the same name. */
#define FILTER_BY_SOURCE                                                                           \
    "AND (" FILTER_IS_IN("$3", "s.id") "OR " FILTER_IS_IN(                                         \
        "$3", "coalesce(s.parent_id, '')") "OR ($11 = 1 AND EXISTS (SELECT 1 FROM source d "       \
                                           "JOIN source t ON " FILTER_IS_TARGET                    \
                                           "LEFT JOIN source m ON m.organization_id = $1 "         \
                                           "AND m.parent_id = t.id AND m.name = s.name "           \
                                           "WHERE d.organization_id = $1 "                         \
                                           "AND d.id = coalesce(s.parent_id, s.id) "               \
                                           "AND (" FILTER_IS_IN("$3", "t.id") "OR " FILTER_IS_IN(  \
                                               "$3", "coalesce(m.id, '')") ")))) "
/* As knowledge_publish chooses it. */
#define FILTER_PUBLISHED_KIND                                                                      \
    "coalesce((SELECT t.kind FROM source t JOIN source d ON " FILTER_IS_TARGET                     \
    "WHERE t.organization_id = $1 AND d.id = s.id), "                                              \
    "CASE WHEN s.uri LIKE 'file://%' THEN 'folder' ELSE 'upload' END)"
#define FILTER_BY_KIND                                                                             \
    "AND (" FILTER_IS_IN("$4", "s.kind") "OR ($11 = 1 AND s.kind = 'draft' AND " FILTER_IS_IN(     \
        "$4", FILTER_PUBLISHED_KIND) ")) "
/* Of a draft as publishing it will leave it (src/knowledge: draft.c, members.c): as was said of the
 * draft, else of what it stands for; within an archive that of the archive, then what was said of
 * the document of its name there. What was said of a draft's document within it goes with it. */
#define FILTER_DRAFT_LABEL(column)                                                                 \
    "(SELECT coalesce(d." column ", t." column ", m." column ", s.own_" column ") FROM source d "  \
    "LEFT JOIN source t ON " FILTER_IS_TARGET                                                      \
    "LEFT JOIN source m ON m.organization_id = $1 AND m.parent_id = t.id AND m.name = s.name "     \
    "AND s.parent_id IS NOT NULL "                                                                 \
    "WHERE $11 = 1 AND d.organization_id = $1 AND d.kind = 'draft' "                               \
    "AND d.id = coalesce(s.parent_id, s.id))"
/* What stays in an archive, because its successor cannot be read, is labelled with the others. */
#define FILTER_STAYING_LABEL(column)                                                               \
    "(SELECT coalesce(d." column ", t." column ") FROM source t JOIN source d "                    \
    "ON " FILTER_IS_TARGET "AND d.current_version > 0 "                                            \
    "WHERE $11 = 1 AND t.organization_id = $1 AND t.id = s.parent_id)"
/* Else as somebody said, or as the document says itself. */
#define FILTER_LABEL(column)                                                                       \
    "coalesce(" FILTER_DRAFT_LABEL(column) ", " FILTER_STAYING_LABEL(column) ", s." column         \
                                                                             ", s.own_" column ")"
#define FILTER_CATEGORY FILTER_LABEL("category")
#define FILTER_TONE FILTER_LABEL("tone")
#define FILTER_DATE FILTER_LABEL("dated_at")
#define FILTER_BY_LABELS                                                                           \
    "AND " FILTER_IS_IN("$5", FILTER_CATEGORY) "AND " FILTER_IS_IN("$6", FILTER_TONE)
#define FILTER_BY_TYPE                                                                             \
    "AND ($7 = '' OR EXISTS (SELECT 1 FROM source_version n WHERE n.organization_id = $1 "         \
    "AND n.source_id = s.id AND n.version = s.current_version "                                    \
    "AND " FILTER_IS_IN("$7", "n.content_type") ")) "
#define FILTER_BY_DATE "AND ($8 = 0 OR nullif(" FILTER_DATE ", 0) BETWEEN $9 AND $10) "
/* What lies in an archive gives way when that of its name in the draft was read; where the draft
 * has none of its name, when all that lies in it was read, or could not be. */
#define FILTER_MEMBER_OF_DRAFT                                                                     \
    "SELECT 1 FROM source m WHERE m.organization_id = $1 AND m.parent_id = d.id "
#define FILTER_GIVES_WAY                                                                           \
    "(s.parent_id IS NULL "                                                                        \
    "OR EXISTS (" FILTER_MEMBER_OF_DRAFT "AND m.name = s.name AND m.current_version > 0) "         \
    "OR NOT EXISTS (" FILTER_MEMBER_OF_DRAFT "AND (m.name = s.name OR (m.current_version = 0 "     \
    "AND (SELECT i.status FROM ingestion i WHERE i.organization_id = $1 AND i.source_id = m.id "   \
    "ORDER BY i.id DESC LIMIT 1) IN ('queued', 'running'))))) "
#define FILTER_BY_DRAFTS                                                                           \
    "AND ($11 = 0 OR NOT EXISTS (SELECT 1 FROM source t JOIN source d ON " FILTER_IS_TARGET        \
    "AND d.current_version > 0 WHERE t.organization_id = $1 "                                      \
    "AND t.id = coalesce(s.parent_id, s.id) AND " FILTER_GIVES_WAY ")) "
#define FILTER_SOURCES                                                                             \
    " WHERE s.organization_id = $1 " FILTER_BY_SOURCE FILTER_BY_KIND FILTER_BY_LABELS              \
        FILTER_BY_TYPE FILTER_BY_DATE FILTER_BY_DRAFTS

static const struct store_sql SQL_FILTER_CHUNKS = {
    .name = "index_filter_chunks",
    .text = "SELECT c.chunk_id, c.partition_id FROM source s JOIN index_chunk c"
            " ON c.organization_id = $1 AND c.source_id = s.id" FILTER_SOURCES,
};

static const struct store_sql SQL_FILTER_SOURCES = {
    .name = "index_filter_sources",
    .text = "SELECT s.id FROM source s" FILTER_SOURCES "LIMIT $12",
};

static const struct store_sql SQL_PASSAGE_GET = {
    .name = "index_passage_get",
    .text = "SELECT heading_path, text, start_char, end_char, coalesce(page, 0),"
            " page_starts FROM chunk"
            " WHERE organization_id = $1 AND id = $2",
};

static const struct store_sql SQL_HEALTH = {
    .name = "index_health",
    .text = "SELECT (SELECT coalesce(sum(chunk_count), 0) FROM index_partition"
            " WHERE organization_id = $1),"
            " (SELECT count(*) FROM index_partition WHERE organization_id = $1),"
            " count(*), count(DISTINCT term), coalesce(sum(length(postings)), 0)"
            " FROM index_posting WHERE organization_id = $1",
};

#endif
