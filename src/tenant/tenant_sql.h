/*
 * tenant_sql.h - statements of src/tenant/; control statements begin at $1, tenant statements have
 * the organization there
 */
#ifndef PARLEY_TENANT_TENANT_SQL_H
#define PARLEY_TENANT_TENANT_SQL_H

#include "store/store.h"

/* --- control: organizations and users --- */

#define ORGANIZATION_COLUMNS "id, name, slug, status, created_at "

static const struct store_sql SQL_ORGANIZATION_INSERT = {
    .name = "organization_insert",
    .text = "INSERT INTO organization (id, name, slug, status, created_at) "
            "VALUES ($1, $2, $3, 'creating', $4)"};

static const struct store_sql SQL_ORGANIZATION_SET_STATUS = {
    .name = "organization_set_status", .text = "UPDATE organization SET status = $2 WHERE id = $1"};

static const struct store_sql SQL_ORGANIZATION_DELETE = {
    .name = "organization_delete", .text = "DELETE FROM organization WHERE id = $1"};

static const struct store_sql SQL_ORGANIZATION_BY_ID = {
    .name = "organization_by_id",
    .text = "SELECT " ORGANIZATION_COLUMNS "FROM organization "
            "WHERE id = $1 AND status IN ('active', 'suspended')"};

static const struct store_sql SQL_ORGANIZATION_BY_SLUG = {
    .name = "organization_by_slug",
    .text = "SELECT " ORGANIZATION_COLUMNS "FROM organization "
            "WHERE slug = $1 AND status IN ('active', 'suspended')"};

static const struct store_sql SQL_ORGANIZATION_LIST = {
    .name = "organization_list",
    .text = "SELECT " ORGANIZATION_COLUMNS "FROM organization "
            "WHERE id > $1 AND status IN ('active', 'suspended') ORDER BY id LIMIT $2"};

static const struct store_sql SQL_ORGANIZATION_UNFINISHED = {
    .name = "organization_unfinished",
    .text = "SELECT id, status FROM organization WHERE status = 'deleting' "
            "OR (status = 'creating' AND created_at <= $1) ORDER BY id LIMIT 1"};

static const struct store_sql SQL_USER_INSERT = {
    .name = "user_insert",
    .text = "INSERT INTO user_account (organization_id, id, email, display_name, role, created_at) "
            "VALUES ($1, $2, $3, $4, 'owner', $5)"};

static const struct store_sql SQL_USER_LIST = {
    .name = "user_list",
    .text = "SELECT id, email, display_name, role, created_at FROM user_account "
            "WHERE organization_id = $1 ORDER BY id"};

static const struct store_sql SQL_USER_OWNER = {
    .name = "user_owner",
    .text = "SELECT id FROM user_account WHERE organization_id = $1 AND role = 'owner' "
            "ORDER BY id LIMIT 1"};

static const struct store_sql SQL_USER_FIND = {
    .name = "user_find",
    .text = "SELECT id FROM user_account WHERE organization_id = $1 AND id = $2"};

/* --- control: channel directory --- */

static const struct store_sql SQL_DIRECTORY_INSERT = {
    .name = "directory_insert",
    .text = "INSERT INTO channel_directory (channel_id, organization_id, source, account) "
            "VALUES ($1, $2, $3, $4)"};

static const struct store_sql SQL_DIRECTORY_HOLDER = {
    .name = "directory_holder",
    .text = "SELECT channel_id, organization_id FROM channel_directory "
            "WHERE source = $1 AND account = $2"};

static const struct store_sql SQL_DIRECTORY_UPDATE = {
    .name = "directory_update",
    .text = "UPDATE channel_directory SET account = coalesce($3, account), revision = revision + 1 "
            "WHERE organization_id = $1 AND channel_id = $2"};

static const struct store_sql SQL_DIRECTORY_DELETE = {
    .name = "directory_delete",
    .text = "DELETE FROM channel_directory WHERE organization_id = $1 AND channel_id = $2"};

static const struct store_sql SQL_DIRECTORY_CLEAR = {
    .name = "directory_clear", .text = "DELETE FROM channel_directory WHERE organization_id = $1"};

static const struct store_sql SQL_DIRECTORY_LIST = {
    .name = "directory_list",
    .text = "SELECT d.channel_id, d.organization_id FROM channel_directory d "
            "JOIN organization o ON o.id = d.organization_id "
            "WHERE d.source = $1 AND o.status = 'active' ORDER BY d.channel_id"};

static const struct store_sql SQL_DIRECTORY_BY_CHANNEL = {
    .name = "directory_by_channel",
    .text = "SELECT d.channel_id, d.organization_id FROM channel_directory d "
            "JOIN organization o ON o.id = d.organization_id AND o.status = 'active' "
            "WHERE d.source = $1 AND d.channel_id = $2"};

static const struct store_sql SQL_DIRECTORY_BY_ACCOUNT = {
    .name = "directory_by_account",
    .text = "SELECT d.channel_id, d.organization_id FROM channel_directory d "
            "JOIN organization o ON o.id = d.organization_id AND o.status = 'active' "
            "WHERE d.source = $1 AND d.account = $2"};

/* --- control: API keys --- */

static const struct store_sql SQL_KEY_INSERT = {
    .name = "api_key_insert",
    .text = "INSERT INTO api_key (organization_id, id, prefix, secret_hash, name, scopes, user_id, "
            "created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"};

static const struct store_sql SQL_KEY_LIST = {
    .name = "api_key_list",
    .text = "SELECT id, name, prefix, scopes, user_id, created_at, expires_at, revoked_at, "
            "last_used_at FROM api_key WHERE organization_id = $1 ORDER BY id"};

static const struct store_sql SQL_KEY_REVOKE = {
    .name = "api_key_revoke",
    .text = "UPDATE api_key SET revoked_at = coalesce(revoked_at, $3) "
            "WHERE organization_id = $1 AND id = $2 RETURNING prefix"};

static const struct store_sql SQL_KEY_REVOKE_ALL = {
    .name = "api_key_revoke_all",
    .text = "UPDATE api_key SET revoked_at = coalesce(revoked_at, $2) WHERE organization_id = $1"};

static const struct store_sql SQL_KEY_BY_PREFIX = {
    .name = "api_key_by_prefix",
    .text = "SELECT k.organization_id, k.id, k.secret_hash, k.scopes, k.user_id, k.expires_at, "
            "k.last_used_at FROM api_key k "
            "JOIN organization o ON o.id = k.organization_id AND o.status = 'active' "
            "WHERE k.prefix = $1 AND k.revoked_at IS NULL"};

static const struct store_sql SQL_KEY_USED = {
    .name = "api_key_used",
    .text = "UPDATE api_key SET last_used_at = $3 WHERE organization_id = $1 AND id = $2"};

/* --- tenant: brands --- */

static const struct store_sql SQL_BRAND_INSERT = {
    .name = "brand_insert",
    .text = "INSERT INTO brand (organization_id, id, name, is_default, created_at) "
            "VALUES ($1, $2, $3, 1, $4)"};

static const struct store_sql SQL_BRAND_GET = {
    .name = "brand_get",
    .text = "SELECT id, name, persona, passage_words, passage_overlap FROM brand "
            "WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_BRAND_DEFAULT = {
    .name = "brand_default",
    .text = "SELECT id, name, persona, passage_words, passage_overlap FROM brand "
            "WHERE organization_id = $1 AND is_default = 1"};

static const struct store_sql SQL_BRAND_UPDATE = {
    .name = "brand_update",
    .text = "UPDATE brand SET name = $3, persona = $4, passage_words = $5, passage_overlap = $6 "
            "WHERE organization_id = $1 AND id = $2"};

/* --- tenant: channels --- */

static const struct store_sql SQL_CHANNEL_INSERT = {
    .name = "channel_insert",
    .text = "INSERT INTO channel (organization_id, id, source, name, brand_id, user_id, account, "
            "settings, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)"};

/* A NULL leaves its column as it is. */
static const struct store_sql SQL_CHANNEL_UPDATE = {
    .name = "channel_update",
    .text = "UPDATE channel SET name = coalesce($3, name), account = coalesce($4, account), "
            "brand_id = coalesce($5, brand_id), user_id = coalesce($6, user_id), "
            "settings = coalesce($7, settings), revision = revision + 1, updated_at = $8 "
            "WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_CHANNEL_SET_STATUS = {
    .name = "channel_set_status",
    .text = "UPDATE channel SET status = $3, status_reason = $4, revision = revision + 1, "
            "updated_at = $5 WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_CHANNEL_DELETE = {
    .name = "channel_delete", .text = "DELETE FROM channel WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_CHANNEL_STATE_CLEAR = {
    .name = "channel_state_clear",
    .text = "DELETE FROM channel_state WHERE organization_id = $1 AND channel_id = $2"};

static const struct store_sql SQL_CHANNEL_GET = {
    .name = "channel_get",
    .text =
        "SELECT c.id, c.source, c.name, c.brand_id, c.user_id, c.account, c.settings, c.status, "
        "c.status_reason, c.revision, k.id, k.key_id, k.sealed FROM channel c "
        "LEFT JOIN credential k ON k.organization_id = $1 AND k.owner_id = c.id "
        "WHERE c.organization_id = $1 AND c.id = $2"};

static const struct store_sql SQL_CHANNEL_LIST = {
    .name = "channel_list",
    .text = "SELECT id FROM channel WHERE organization_id = $1 ORDER BY id"};

static const struct store_sql SQL_CHANNEL_EXISTS = {
    .name = "channel_exists",
    .text = "SELECT source, account FROM channel WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_CHANNEL_STATE_GET = {
    .name = "channel_state_get",
    .text = "SELECT value FROM channel_state "
            "WHERE organization_id = $1 AND channel_id = $2 AND name = $3"};

static const struct store_sql SQL_CHANNEL_STATE_PUT = {
    .name = "channel_state_put",
    .text = "INSERT INTO channel_state (organization_id, channel_id, name, value, updated_at) "
            "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id, channel_id, name) "
            "DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"};

/* --- tenant: credentials --- */

static const struct store_sql SQL_CREDENTIAL_PUT = {
    .name = "credential_put",
    .text = "INSERT INTO credential (organization_id, id, owner_id, key_id, sealed, created_at) "
            "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (organization_id, owner_id) "
            "DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed"};

static const struct store_sql SQL_CREDENTIAL_DELETE = {
    .name = "credential_delete",
    .text = "DELETE FROM credential WHERE organization_id = $1 AND owner_id = $2"};

static const struct store_sql SQL_CREDENTIAL_OLD = {
    .name = "credential_old",
    .text = "SELECT id, owner_id, key_id, sealed FROM credential "
            "WHERE organization_id = $1 AND key_id <> $2 ORDER BY id LIMIT 1"};

static const struct store_sql SQL_CREDENTIAL_RESEAL = {
    .name = "credential_reseal",
    .text =
        "UPDATE credential SET key_id = $3, sealed = $4 WHERE organization_id = $1 AND id = $2"};

#endif
