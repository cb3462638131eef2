/*
 * event_endpoint_sql.h - statements of the endpoints of outgoing events; $1 is the organization
 */
#ifndef PARLEY_TENANT_EVENT_ENDPOINT_SQL_H
#define PARLEY_TENANT_EVENT_ENDPOINT_SQL_H

#include "store/store.h"

static const struct store_sql SQL_ENDPOINT_COUNT = {
    .name = "event_endpoint_count",
    .text = "SELECT count(*) FROM event_endpoint WHERE organization_id = $1"};

static const struct store_sql SQL_ENDPOINT_INSERT = {
    .name = "event_endpoint_insert",
    .text = "INSERT INTO event_endpoint (organization_id, id, url, description, kinds, "
            "include_text, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)"};

/* A NULL leaves its column as it is. What is enabled anew begins without failures. */
static const struct store_sql SQL_ENDPOINT_UPDATE = {
    .name = "event_endpoint_update",
    .text = "UPDATE event_endpoint SET url = coalesce($3, url), "
            "description = coalesce($4, description), kinds = coalesce($5, kinds), "
            "include_text = coalesce($6, include_text), status = coalesce($7, status), "
            "status_reason = CASE WHEN $7 = 'disabled' THEN 'by_staff' WHEN $7 = 'enabled' THEN '' "
            "ELSE status_reason END, failures = CASE WHEN $7 = 'enabled' THEN 0 ELSE failures END, "
            "failing_since = CASE WHEN $7 = 'enabled' THEN NULL ELSE failing_since END, "
            "paused_until = CASE WHEN $7 = 'enabled' THEN 0 ELSE paused_until END, "
            "updated_at = $8 WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_ENDPOINT_DELETE = {
    .name = "event_endpoint_delete",
    .text = "DELETE FROM event_endpoint WHERE organization_id = $1 AND id = $2"};

#define ENDPOINT_COLUMNS                                                                           \
    "id, url, description, kinds, include_text, status, status_reason, failures, failing_since, "  \
    "paused_until, created_at, updated_at "
static const struct store_sql SQL_ENDPOINT_GET = {
    .name = "event_endpoint_get",
    .text =
        "SELECT " ENDPOINT_COLUMNS "FROM event_endpoint WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_ENDPOINT_LIST = {
    .name = "event_endpoint_list",
    .text = "SELECT " ENDPOINT_COLUMNS "FROM event_endpoint WHERE organization_id = $1 ORDER BY id "
            "LIMIT $2"};

static const struct store_sql SQL_ENDPOINT_SUBSCRIPTIONS = {
    .name = "event_endpoint_subscriptions",
    .text = "SELECT id, kinds, include_text FROM event_endpoint "
            "WHERE organization_id = $1 AND status = 'enabled' ORDER BY id LIMIT $2"};

static const struct store_sql SQL_ENDPOINT_SECRET = {
    .name = "event_endpoint_secret",
    .text = "SELECT key_id, sealed FROM credential WHERE organization_id = $1 AND owner_id = $2"};

static const struct store_sql SQL_ENDPOINT_SUCCESS = {
    .name = "event_endpoint_success",
    .text = "UPDATE event_endpoint SET failures = 0, failing_since = NULL, paused_until = 0, "
            "updated_at = $3 WHERE organization_id = $1 AND id = $2 AND failures > 0"};

static const struct store_sql SQL_ENDPOINT_FAILURE = {
    .name = "event_endpoint_failure",
    .text = "UPDATE event_endpoint SET failures = failures + 1, "
            "failing_since = coalesce(failing_since, $3), "
            "paused_until = CASE WHEN paused_until < $4 THEN $4 ELSE paused_until END, "
            "status = CASE WHEN $5 <> '' THEN 'disabled' ELSE status END, "
            "status_reason = CASE WHEN $5 <> '' THEN $5 ELSE status_reason END, updated_at = $3 "
            "WHERE organization_id = $1 AND id = $2 AND status = 'enabled'"};

#endif
