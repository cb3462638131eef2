/*
 * site_sql.h - statements of sites and their pages; $1 is always the organization
 */
#ifndef PARLEY_KNOWLEDGE_SITE_SQL_H
#define PARLEY_KNOWLEDGE_SITE_SQL_H

#include "store/store.h"

/* --- writing --- */

static const struct store_sql SQL_SITE_SOURCE_INSERT = {
    .name = "site_source_insert",
    .text =
        "INSERT INTO source (organization_id, id, brand_id, name, kind, uri, audience, language, "
        "last_version, created_at, updated_at) VALUES ($1, $2, $3, $4, 'site', $4, $5, $6, 0, $7, "
        "$7)"};

static const struct store_sql SQL_SITE_SOURCE_LANGUAGE = {
    .name = "site_source_language",
    .text = "UPDATE source SET language = $3 WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_SITE_PUT = {
    .name = "site_put",
    .text = "INSERT INTO site (organization_id, id, kind, url, depth, max_pages, hosts, "
            "recrawl_hours, round, status, started_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 'running', $9) "
            "ON CONFLICT (organization_id, id) DO UPDATE SET kind = excluded.kind, "
            "depth = excluded.depth, max_pages = excluded.max_pages, hosts = excluded.hosts, "
            "recrawl_hours = excluded.recrawl_hours"};

static const struct store_sql SQL_SITE_BEGIN = {
    .name = "site_begin",
    .text = "UPDATE site SET round = round + 1, status = 'running', error = NULL, "
            "started_at = $3, finished_at = NULL WHERE organization_id = $1 AND id = $2 "
            "RETURNING round, url, kind"};

static const struct store_sql SQL_SITE_END = {
    .name = "site_end",
    .text = "UPDATE site SET status = $4, error = $5, finished_at = $6 "
            "WHERE organization_id = $1 AND id = $2 AND round = $3 AND status = 'running'"};

/* Once a round: what was found in it already stays as it is. */
static const struct store_sql SQL_SITE_PAGE_FIND = {
    .name = "site_page_find",
    .text = "INSERT INTO site_page (organization_id, site_id, url, kind, round, ordinal, depth, "
            "hops, status) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending') "
            "ON CONFLICT (organization_id, site_id, url) DO UPDATE SET kind = excluded.kind, "
            "round = excluded.round, ordinal = excluded.ordinal, depth = excluded.depth, "
            "hops = excluded.hops, status = 'pending', reason = NULL "
            "WHERE site_page.round < excluded.round"};

static const struct store_sql SQL_SITE_PAGE_SET = {
    .name = "site_page_set",
    .text = "UPDATE site_page SET status = $4, reason = $5, source_id = $6, etag = $7, "
            "last_modified = $8, fetched_at = $9 "
            "WHERE organization_id = $1 AND site_id = $2 AND url = $3"};

static const struct store_sql SQL_SITE_PAGE_DELETE_OLD = {
    .name = "site_page_delete_old",
    .text = "DELETE FROM site_page WHERE organization_id = $1 AND site_id = $2 AND round < $3"};

static const struct store_sql SQL_SITE_DELETE = {
    .name = "site_delete", .text = "DELETE FROM site WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_SITE_PAGE_DELETE_ALL = {
    .name = "site_page_delete_all",
    .text = "DELETE FROM site_page WHERE organization_id = $1 AND site_id = $2"};

/* --- reading --- */

#define SITE_SELECT                                                                                \
    "SELECT w.id, s.brand_id, w.url, w.kind, s.audience, s.language, s.category, s.tone, "         \
    "s.dated_at, w.hosts, w.depth, w.max_pages, w.recrawl_hours, w.round, w.status, w.error, "     \
    "w.started_at, w.finished_at FROM site w "                                                     \
    "JOIN source s ON s.organization_id = $1 AND s.id = w.id WHERE w.organization_id = $1 "

static const struct store_sql SQL_SITE_GET = {.name = "site_get",
                                              .text = SITE_SELECT "AND w.id = $2"};

/* $4: as of SQL_SOURCE_LIST. */
static const struct store_sql SQL_SITE_LIST = {
    .name = "site_list",
    .text = SITE_SELECT "AND w.id < coalesce($2, 'z') AND "
                        "($4 = '' OR replace($4, '|' || s.audience || '|', '') <> $4) "
                        "ORDER BY w.id DESC LIMIT $3"};

static const struct store_sql SQL_SITE_COUNTS = {
    .name = "site_counts",
    .text = "SELECT status, count(*) FROM site_page WHERE organization_id = $1 AND site_id = $2 "
            "AND round = $3 AND kind = 'page' GROUP BY status"};

/* Pages and sitemaps of a round. */
static const struct store_sql SQL_SITE_FOUND = {
    .name = "site_found",
    .text = "SELECT coalesce(sum(CASE WHEN kind = 'page' THEN 1 ELSE 0 END), 0), "
            "coalesce(sum(CASE WHEN kind = 'sitemap' THEN 1 ELSE 0 END), 0) FROM site_page "
            "WHERE organization_id = $1 AND site_id = $2 AND round = $3"};

/* has_document: that a version of it was kept, so that asking whether it changed makes sense. */
static const struct store_sql SQL_SITE_PAGE_NEXT = {
    .name = "site_page_next",
    .text = "SELECT p.url, p.kind, p.depth, p.hops, p.source_id, p.etag, p.last_modified, "
            "CASE WHEN s.id IS NULL THEN 0 ELSE 1 END "
            "FROM site_page p LEFT JOIN source s ON s.organization_id = $1 AND s.id = p.source_id "
            "WHERE p.organization_id = $1 AND p.site_id = $2 AND p.round = $3 "
            "AND p.status = 'pending' ORDER BY p.ordinal LIMIT 1"};

/* What might have named further pages, and could not be read. $4: of pages, those that are less
 * deep. */
static const struct store_sql SQL_SITE_BLIND = {
    .name = "site_blind",
    .text = "SELECT count(*) FROM site_page WHERE organization_id = $1 AND site_id = $2 "
            "AND round = $3 AND status = 'failed' AND (kind = 'sitemap' OR depth < $4)"};

static const struct store_sql SQL_SITE_PAGE_OLD = {
    .name = "site_page_old",
    .text = "SELECT p.source_id FROM site_page p "
            "JOIN source s ON s.organization_id = $1 AND s.id = p.source_id "
            "WHERE p.organization_id = $1 AND p.site_id = $2 AND p.round < $3 ORDER BY p.url"};

static const struct store_sql SQL_SITE_PAGE_LIST = {
    .name = "site_page_list",
    .text = "SELECT p.url, p.kind, p.status, p.reason, s.id, "
            "(SELECT i.status FROM ingestion i WHERE i.organization_id = $1 "
            "AND i.source_id = s.id ORDER BY i.id DESC LIMIT 1), "
            "(SELECT i.error FROM ingestion i WHERE i.organization_id = $1 "
            "AND i.source_id = s.id ORDER BY i.id DESC LIMIT 1), "
            "p.round, p.ordinal, p.depth, p.fetched_at "
            "FROM site_page p LEFT JOIN source s ON s.organization_id = $1 AND s.id = p.source_id "
            "WHERE p.organization_id = $1 AND p.site_id = $2 AND p.url > $3 "
            "ORDER BY p.url LIMIT $4"};

#endif
