/*
 * intake_sql.h - statements of what waits to be recorded; $1 is always the organization
 */
#ifndef PARLEY_CONVERSATION_INTAKE_SQL_H
#define PARLEY_CONVERSATION_INTAKE_SQL_H

#include "store/store.h"

/* On PostgreSQL one statement for all of a batch, which answers its first alone, and only when none
 * waited before. seq: one writer an organization (decision 0007), so the highest is known; where
 * there is none they begin with the time, behind those that were removed: the index keeps these for
 * a while, and whoever looks for the highest would pass them all. */
static const struct store_sql SQL_INTAKE_PUT = {
    .name = "intake_put",
    .sqlite = "INSERT INTO intake (organization_id, id, channel_id, envelope, item, accepted_at) "
              "VALUES ($1, $2, $3, $4, $5, $6)",
    .pgsql_many =
        "WITH last AS MATERIALIZED (SELECT (SELECT seq FROM intake WHERE organization_id = $1 "
        "ORDER BY seq DESC LIMIT 1) AS seq), put AS (INSERT INTO intake (organization_id, seq, id, "
        "channel_id, envelope, item, accepted_at) SELECT $1, coalesce(last.seq, "
        "($6::bigint[])[1]) + a.n, a.id, a.channel_id, a.envelope, a.item, a.accepted_at "
        "FROM last CROSS JOIN unnest($2::text[], $3::text[], $4::text[], $5::bytea[], "
        "$6::bigint[]) WITH ORDINALITY AS a (id, channel_id, envelope, item, accepted_at, n)) "
        "SELECT 1::bigint FROM last WHERE last.seq IS NULL"};

/* Of the row that was just put. */
static const struct store_sql SQL_INTAKE_SEQ = {
    .name = "intake_seq", .sqlite = "SELECT last_insert_rowid()", .without_organization = true};

static const struct store_sql SQL_INTAKE_ANY = {
    .name = "intake_any", .text = "SELECT 1 FROM intake WHERE organization_id = $1 LIMIT 1"};

static const struct store_sql SQL_INTAKE_LIST = {
    .name = "intake_list",
    .text = "SELECT seq, id, channel_id, envelope, item, accepted_at FROM intake "
            "WHERE organization_id = $1 ORDER BY seq LIMIT $2"};

static const struct store_sql SQL_INTAKE_REMOVE = {
    .name = "intake_remove",
    .sqlite = "DELETE FROM intake WHERE organization_id = $1 AND seq = $2",
    .pgsql_many = "DELETE FROM intake WHERE organization_id = $1 AND seq = ANY ($2::bigint[])"};

#endif
