/*
 * knowledge_sql.h - statements of src/knowledge/; $1 is always the organization
 *
 * source_version is never read with SELECT *: its last columns hold whole documents.
 */
#ifndef PARLEY_KNOWLEDGE_KNOWLEDGE_SQL_H
#define PARLEY_KNOWLEDGE_KNOWLEDGE_SQL_H

#include "store/store.h"

#define INGESTION_COLUMNS                                                                          \
    "id, source_id, version, status, stage, progress, chunk_count, error, created_at, updated_at "

/* The newest version always exists; the searched one need not. */
#define SOURCE_SELECT                                                                              \
    "SELECT s.id, s.brand_id, s.name, s.kind, s.uri, s.audience, s.language, c.title, "            \
    "n.content_type, s.current_version, s.last_version, n.size_bytes, "                            \
    "(SELECT count(*) FROM chunk k WHERE k.organization_id = $1 AND k.source_id = s.id), "         \
    "(SELECT i.status FROM ingestion i WHERE i.organization_id = $1 AND i.source_id = s.id "       \
    "ORDER BY i.id DESC LIMIT 1), "                                                                \
    "(SELECT i.error FROM ingestion i WHERE i.organization_id = $1 AND i.source_id = s.id "        \
    "ORDER BY i.id DESC LIMIT 1), s.created_at, s.updated_at, "                                    \
    "coalesce(s.category, s.own_category), coalesce(s.tone, s.own_tone), "                         \
    "coalesce(s.dated_at, s.own_dated_at), s.parent_id, s.category, s.tone, s.dated_at "           \
    "FROM source s JOIN source_version n ON n.organization_id = $1 AND n.source_id = s.id "        \
    "AND n.version = s.last_version "                                                              \
    "LEFT JOIN source_version c ON c.organization_id = $1 AND c.source_id = s.id "                 \
    "AND c.version = s.current_version "                                                           \
    "WHERE s.organization_id = $1 "

/* --- writing --- */

static const struct store_sql SQL_SOURCE_FIND_BY_NAME = {
    .name = "source_find_by_name",
    .text =
        "SELECT id, audience, language, current_version, last_version FROM source "
        "WHERE organization_id = $1 AND coalesce(brand_id, '') = $2 AND kind = $3 AND name = $4 "
        "AND coalesce(parent_id, '') = $5"};

static const struct store_sql SQL_SOURCE_FIND = {
    .name = "source_find",
    .text = "SELECT brand_id, audience, language, current_version, last_version FROM source "
            "WHERE organization_id = $1 AND id = $2"};

/* What a draft stands for. */
static const struct store_sql SQL_DRAFT_TARGET = {
    .name = "draft_target",
    .text = "SELECT kind, uri, audience FROM source WHERE organization_id = $1 "
            "AND coalesce(brand_id, '') = $2 AND name = $3 AND kind IN ('upload', 'folder') "
            "AND parent_id IS NULL ORDER BY kind DESC LIMIT 1"};

/* What publishing takes over, or goes by. */
static const struct store_sql SQL_DRAFT_GET = {
    .name = "draft_get",
    .text = "SELECT brand_id, audience, language, last_version, uri, category, tone, dated_at "
            "FROM source WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_SOURCE_INSERT = {
    .name = "source_insert",
    .text =
        "INSERT INTO source (organization_id, id, brand_id, name, kind, uri, audience, language, "
        "last_version, created_at, updated_at, parent_id) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9, $10)"};

static const struct store_sql SQL_SOURCE_UPDATE = {
    .name = "source_update",
    .text = "UPDATE source SET uri = $3, audience = $4, language = $5, last_version = $6, "
            "updated_at = $7 WHERE organization_id = $1 AND id = $2"};

/* NULL: as it is; $7 to $9: whether it is no longer said. */
static const struct store_sql SQL_SOURCE_LABEL = {
    .name = "source_label",
    .text = "UPDATE source SET "
            "category = CASE WHEN $7 = 1 THEN NULL ELSE coalesce($3, category) END, "
            "tone = CASE WHEN $8 = 1 THEN NULL ELSE coalesce($4, tone) END, "
            "dated_at = CASE WHEN $9 = 1 THEN NULL ELSE coalesce($5, dated_at) END, "
            "updated_at = $6 WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_SOURCE_LABEL_OWN = {
    .name = "source_label_own",
    .text = "UPDATE source SET own_category = $3, own_tone = $4, own_dated_at = $5 "
            "WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_SOURCE_ACCESS = {
    .name = "source_access",
    .text =
        "UPDATE source SET brand_id = $3, audience = $4 WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_SOURCE_SEARCHED = {
    .name = "source_searched",
    .text = "UPDATE source SET current_version = $3, audience = $4, updated_at = $5 "
            "WHERE organization_id = $1 AND id = $2"};

/* How it was cut into passages. */
static const struct store_sql SQL_SOURCE_CUT = {
    .name = "source_cut",
    .text = "UPDATE source SET passage_words = $3, passage_overlap = $4 "
            "WHERE organization_id = $1 AND id = $2"};

/* The same of an archive, which has no passages of its own. */
static const struct store_sql SQL_SOURCE_CUT_EMPTY = {
    .name = "source_cut_empty",
    .text = "UPDATE source SET passage_words = $3, passage_overlap = $4 "
            "WHERE organization_id = $1 AND id = $2 AND NOT EXISTS (SELECT 1 FROM chunk k "
            "WHERE k.organization_id = $1 AND k.source_id = $2)"};

static const struct store_sql SQL_SOURCE_DELETE = {
    .name = "source_delete", .text = "DELETE FROM source WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_VERSION_INSERT = {
    .name = "source_version_insert",
    .text = "INSERT INTO source_version (organization_id, source_id, version, content_type, "
            "content_hash, size_bytes, content, object, created_at, charset) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"};

static const struct store_sql SQL_VERSION_HASH = {
    .name = "source_version_hash",
    .text = "SELECT content_hash, content_type, charset FROM source_version "
            "WHERE organization_id = $1 AND source_id = $2 AND version = $3"};

static const struct store_sql SQL_VERSION_SET_TEXT = {
    .name = "source_version_set_text",
    .text = "UPDATE source_version SET title = $4, text = $5 "
            "WHERE organization_id = $1 AND source_id = $2 AND version = $3"};

static const struct store_sql SQL_VERSION_DELETE_ALL = {
    .name = "source_version_delete_all",
    .text = "DELETE FROM source_version WHERE organization_id = $1 AND source_id = $2"};

static const struct store_sql SQL_INGESTION_INSERT = {
    .name = "ingestion_insert",
    .text = "INSERT INTO ingestion (organization_id, id, source_id, version, status, created_at, "
            "updated_at) VALUES ($1, $2, $3, $4, 'queued', $5, $5)"};

static const struct store_sql SQL_INGESTION_NEWEST = {
    .name = "ingestion_newest",
    .text = "SELECT status FROM ingestion WHERE organization_id = $1 AND source_id = $2 "
            "ORDER BY id DESC LIMIT 1"};

/* error: why it failed; of what is done, what could not be read of it.
 * Also from failed: a dead job that is replayed runs again. */
static const struct store_sql SQL_INGESTION_RUNNING = {
    .name = "ingestion_running",
    .text = "UPDATE ingestion SET status = 'running', stage = $3, progress = $4, error = NULL, "
            "updated_at = $5 WHERE organization_id = $1 AND id = $2 AND status <> 'done'"};

static const struct store_sql SQL_INGESTION_DONE = {
    .name = "ingestion_done",
    .text = "UPDATE ingestion SET status = 'done', stage = '', progress = 1, error = $5, "
            "chunk_count = $3, updated_at = $4 WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_INGESTION_FAILED = {
    .name = "ingestion_failed",
    .text = "UPDATE ingestion SET status = 'failed', error = $3, updated_at = $4 "
            "WHERE organization_id = $1 AND id = $2 AND status <> 'done'"};

static const struct store_sql SQL_INGESTION_DELETE_ALL = {
    .name = "ingestion_delete_all",
    .text = "DELETE FROM ingestion WHERE organization_id = $1 AND source_id = $2"};

/* The id counts within the organization: on SQLite it is the row's, and the file's own affair. */
static const struct store_sql SQL_CHUNK_INSERT = {
    .name = "chunk_insert",
    .sqlite = "INSERT INTO chunk (organization_id, source_id, version, ordinal, heading_path, "
              "text, start_char, end_char, language, page, page_starts) "
              "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
              "RETURNING id",
    .pgsql = "INSERT INTO chunk (organization_id, id, source_id, version, ordinal, heading_path, "
             "text, start_char, end_char, language, page, page_starts) "
             "SELECT $1, coalesce(max(id), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 "
             "FROM chunk WHERE organization_id = $1 RETURNING id"};

static const struct store_sql SQL_CHUNK_DELETE_ALL = {
    .name = "chunk_delete_all",
    .text = "DELETE FROM chunk WHERE organization_id = $1 AND source_id = $2"};

/* --- reading --- */

static const struct store_sql SQL_AUDIENCE_LIST = {
    .name = "audience_list",
    .text = "SELECT DISTINCT audience FROM source WHERE organization_id = $1"};

/* Searched documents that were cut otherwise than wanted: $2, $3 are the server's words and
 * overlap, $4, $5 those that are wanted. */
#define SOURCE_IS_CUT_OTHERWISE                                                                    \
    "s.organization_id = $1 AND s.current_version > 0 AND "                                        \
    "(coalesce(s.passage_words, $2) <> $4 OR coalesce(s.passage_overlap, $3) <> $5) "

static const struct store_sql SQL_UNCUT_COUNT = {
    .name = "source_uncut_count",
    .text = "SELECT count(*) FROM source s WHERE " SOURCE_IS_CUT_OTHERWISE};

/* The next one, and its passages: an archive has none of its own. */
static const struct store_sql SQL_UNCUT_NEXT = {
    .name = "source_uncut_next",
    .text = "SELECT s.id, (SELECT count(*) FROM chunk k WHERE k.organization_id = $1 "
            "AND k.source_id = s.id) FROM source s WHERE " SOURCE_IS_CUT_OTHERWISE
            "AND s.id > $6 ORDER BY s.id LIMIT 1"};

/* Of a list like "||customer||staff|"; "": any. */
#define AUDIENCE_IS_IN(list)                                                                       \
    "(" list " = '' OR replace(" list ", '|' || s.audience || '|', '') <> " list ") "

static const struct store_sql SQL_SOURCE_GET = {.name = "source_get",
                                                .text = SOURCE_SELECT "AND s.id = $2"};

static const struct store_sql SQL_SOURCE_LIST = {
    .name = "source_list",
    .text = SOURCE_SELECT
    "AND s.id < coalesce($2, 'z') AND " AUDIENCE_IS_IN("$4") "ORDER BY s.id DESC LIMIT $3"};

/* Of one folder: what an earlier run took from it. */
static const struct store_sql SQL_SOURCE_LIST_FOLDER = {
    .name = "source_list_folder",
    .text =
        "SELECT id, name FROM source WHERE organization_id = $1 AND coalesce(brand_id, '') = $2 "
        "AND kind = 'folder' AND uri = $3 ORDER BY id"};

/* What lies within a document, with the newest ingestion of each. */
static const struct store_sql SQL_MEMBER_LIST = {
    .name = "member_list",
    .text = "SELECT s.id, s.name, (SELECT i.id FROM ingestion i WHERE i.organization_id = $1 "
            "AND i.source_id = s.id ORDER BY i.id DESC LIMIT 1) FROM source s "
            "WHERE s.organization_id = $1 AND s.parent_id = $2 ORDER BY s.id"};

static const struct store_sql SQL_VERSION_LIST = {
    .name = "source_version_list",
    .text = "SELECT version, content_type, content_hash, title, size_bytes, created_at "
            "FROM source_version WHERE organization_id = $1 AND source_id = $2 AND version < $3 "
            "ORDER BY version DESC LIMIT $4"};

static const struct store_sql SQL_VERSION_CONTENT = {
    .name = "source_version_content",
    .text = "SELECT content_type, content, object, charset FROM source_version "
            "WHERE organization_id = $1 AND source_id = $2 AND version = $3"};

/* An object that no version names is left over. */
static const struct store_sql SQL_VERSION_BY_OBJECT = {
    .name = "source_version_by_object",
    .text = "SELECT version FROM source_version "
            "WHERE organization_id = $1 AND source_id = $2 AND object = $3"};

/* A version from before objects: its bytes move out of the row. */
static const struct store_sql SQL_VERSION_SET_OBJECT = {
    .name = "source_version_set_object",
    .text = "UPDATE source_version SET object = $4, content = $5 "
            "WHERE organization_id = $1 AND source_id = $2 AND version = $3 AND object = ''"};

static const struct store_sql SQL_VERSION_TEXT = {
    .name = "source_version_text",
    .text = "SELECT text FROM source_version "
            "WHERE organization_id = $1 AND source_id = $2 AND version = $3"};

static const struct store_sql SQL_INGESTION_GET = {
    .name = "ingestion_get",
    .text = "SELECT " INGESTION_COLUMNS "FROM ingestion WHERE organization_id = $1 AND id = $2"};

#define INGESTION_IS_READABLE                                                                      \
    "EXISTS (SELECT 1 FROM source s WHERE s.organization_id = $1 AND s.id = source_id "            \
    "AND " AUDIENCE_IS_IN("$4") ") "

static const struct store_sql SQL_INGESTION_LIST = {
    .name = "ingestion_list",
    .text = "SELECT " INGESTION_COLUMNS "FROM ingestion WHERE organization_id = $1 "
            "AND id < coalesce($2, 'z') AND " INGESTION_IS_READABLE "ORDER BY id DESC LIMIT $3"};

static const struct store_sql SQL_INGESTION_LIST_SOURCE = {
    .name = "ingestion_list_source",
    .text = "SELECT " INGESTION_COLUMNS "FROM ingestion WHERE organization_id = $1 "
            "AND source_id = $5 AND id < coalesce($2, 'z') AND " INGESTION_IS_READABLE
            "ORDER BY id DESC LIMIT $3"};

#endif
