/*
 * api_sql.h - statements of src/api/; $1 is always the organization
 */
#ifndef PARLEY_API_API_SQL_H
#define PARLEY_API_API_SQL_H

#include "store/store.h"

static const struct store_sql SQL_IDEMPOTENCY_FIND = {
    .name = "idempotency_find",
    .text = "SELECT request_hash, status, body FROM idempotency "
            "WHERE organization_id = $1 AND key = $2 AND created_at > $3"};

/* A key older than a day is free again. */
static const struct store_sql SQL_IDEMPOTENCY_RESERVE = {
    .name = "idempotency_reserve",
    .text =
        "INSERT INTO idempotency (organization_id, key, request_hash, status, content_type, "
        "body, created_at) VALUES ($1, $2, $3, 0, 'application/json', '', $4) "
        "ON CONFLICT (organization_id, key) DO UPDATE SET request_hash = excluded.request_hash, "
        "status = 0, body = '', created_at = excluded.created_at"};

static const struct store_sql SQL_IDEMPOTENCY_KEEP = {
    .name = "idempotency_keep",
    .text =
        "UPDATE idempotency SET status = $3, body = $4 WHERE organization_id = $1 AND key = $2"};

static const struct store_sql SQL_IDEMPOTENCY_FORGET = {
    .name = "idempotency_forget",
    .text = "DELETE FROM idempotency WHERE organization_id = $1 AND key = $2"};

static const struct store_sql SQL_IDEMPOTENCY_CLEAN = {
    .name = "idempotency_clean",
    .text = "DELETE FROM idempotency WHERE organization_id = $1 AND created_at <= $2"};

#endif
