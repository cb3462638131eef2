/*
 * instance_sql.h - statements about processes, duties and revisions, in the control database
 *
 * The time is the database's, in microseconds, so the dialects stand side by side.
 */
#ifndef PARLEY_TENANT_INSTANCE_SQL_H
#define PARLEY_TENANT_INSTANCE_SQL_H

#include "store/store.h"

#define NOW_SQLITE "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"
#define NOW_PGSQL "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"

/* $6: how long it holds. */
#define BEAT(NOW)                                                                                  \
    "INSERT INTO instance (id, host, pid, roles, version, started_at, heartbeat_at, expires_at) "  \
    "VALUES ($1, $2, $3, $4, $5, " NOW ", " NOW ", " NOW " + $6) ON CONFLICT (id) "                \
    "DO UPDATE SET heartbeat_at = excluded.heartbeat_at, expires_at = excluded.expires_at"
static const struct store_sql SQL_INSTANCE_BEAT = {
    .name = "instance_beat", .sqlite = BEAT(NOW_SQLITE), .pgsql = BEAT(NOW_PGSQL)};

static const struct store_sql SQL_INSTANCE_DELETE = {.name = "instance_delete",
                                                     .text = "DELETE FROM instance WHERE id = $1"};
static const struct store_sql SQL_DUTY_DELETE_OF = {
    .name = "duty_delete_of", .text = "DELETE FROM duty WHERE instance_id = $1"};

/* $1: for how long they have been gone. */
static const struct store_sql SQL_INSTANCE_FORGET = {
    .name = "instance_forget",
    .sqlite = "DELETE FROM instance WHERE expires_at <= " NOW_SQLITE " - $1",
    .pgsql = "DELETE FROM instance WHERE expires_at <= " NOW_PGSQL " - $1"};
static const struct store_sql SQL_DUTY_FORGET = {
    .name = "duty_forget",
    .text = "DELETE FROM duty WHERE NOT EXISTS "
            "(SELECT 1 FROM instance i WHERE i.id = duty.instance_id)"};
/* No other process can serve the folder: whatever is there has ended. */
static const struct store_sql SQL_INSTANCE_CLEAR = {.name = "instance_clear",
                                                    .text = "DELETE FROM instance"};

#define LIST(NOW)                                                                                  \
    "SELECT i.id, i.host, i.pid, i.roles, i.version, i.started_at, i.heartbeat_at, "               \
    "CASE WHEN i.expires_at <= " NOW " THEN 1 ELSE 0 END, "                                        \
    "(SELECT count(*) FROM duty d WHERE d.instance_id = i.id) "                                    \
    "FROM instance i ORDER BY i.started_at, i.id LIMIT $1"
static const struct store_sql SQL_INSTANCE_LIST = {
    .name = "instance_list", .sqlite = LIST(NOW_SQLITE), .pgsql = LIST(NOW_PGSQL)};

/* A living process has it, and it is not $2. */
#define HELD(NOW)                                                                                  \
    "SELECT 1 FROM duty d JOIN instance i ON i.id = d.instance_id "                                \
    "WHERE d.name = $1 AND d.instance_id <> $2 AND i.expires_at > " NOW
static const struct store_sql SQL_DUTY_HELD = {
    .name = "duty_held", .sqlite = HELD(NOW_SQLITE), .pgsql = HELD(NOW_PGSQL)};

/* Changes no row when another living process has it, or when we are not living ourselves. */
#define TAKE(NOW)                                                                                  \
    "INSERT INTO duty (name, instance_id, taken_at) SELECT $1, i.id, " NOW " FROM instance i "     \
    "WHERE i.id = $2 AND i.expires_at > " NOW " ON CONFLICT (name) DO UPDATE SET "                 \
    "instance_id = excluded.instance_id, taken_at = excluded.taken_at "                            \
    "WHERE duty.instance_id = excluded.instance_id OR NOT EXISTS (SELECT 1 FROM instance h "       \
    "WHERE h.id = duty.instance_id AND h.expires_at > " NOW ")"
static const struct store_sql SQL_DUTY_TAKE = {
    .name = "duty_take", .sqlite = TAKE(NOW_SQLITE), .pgsql = TAKE(NOW_PGSQL)};

static const struct store_sql SQL_DUTY_GIVE = {
    .name = "duty_give", .text = "DELETE FROM duty WHERE name = $1 AND instance_id = $2"};

/* --- what is kept in memory --- */

static const struct store_sql SQL_REVISIONS = {
    .name = "record_revisions", .text = "SELECT kind, revision FROM record_revision"};
static const struct store_sql SQL_REVISION_RAISE = {
    .name = "record_revision_raise",
    .text = "UPDATE record_revision SET revision = revision + 1 WHERE kind = $1"};
/* In an organization's transaction, which PostgreSQL lets reach this table, too. */
static const struct store_sql SQL_REVISION_RAISE_BESIDE = {
    .name = "record_revision_raise_beside",
    .text = "UPDATE record_revision SET revision = revision + 1 WHERE kind = $2 AND $1 <> ''"};

#endif
