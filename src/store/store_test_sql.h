/*
 * store_test_sql.h - statements of the store's tests, over tables that have no keys to others
 */
#ifndef PARLEY_STORE_STORE_TEST_SQL_H
#define PARLEY_STORE_STORE_TEST_SQL_H

#include "store/store.h"

/* A note is a row of channel_state: channel, name, value. */
static const struct store_sql TEST_NOTE_INSERT = {
    .name = "test_note_insert",
    .text = "INSERT INTO channel_state (organization_id, channel_id, name, value, updated_at) "
            "VALUES ($1, $2, $3, $4, 0)"};

static const struct store_sql TEST_NOTE_COUNT_UP = {
    .name = "test_note_count_up",
    .text = "INSERT INTO channel_state (organization_id, channel_id, name, value, updated_at) "
            "VALUES ($1, $2, 'counter', '1', 1) ON CONFLICT (organization_id, channel_id, name) "
            "DO UPDATE SET updated_at = channel_state.updated_at + 1 RETURNING updated_at"};

static const struct store_sql TEST_NOTE_GET = {
    .name = "test_note_get",
    .text = "SELECT value, updated_at FROM channel_state "
            "WHERE organization_id = $1 AND channel_id = $2 AND name = $3"};

static const struct store_sql TEST_NOTE_LIST = {
    .name = "test_note_list",
    .text = "SELECT name, value FROM channel_state WHERE organization_id = $1 AND channel_id = $2 "
            "ORDER BY name"};

static const struct store_sql TEST_NOTE_COUNT = {
    .name = "test_note_count",
    .text = "SELECT count(*) FROM channel_state WHERE organization_id = $1 AND channel_id = $2"};

static const struct store_sql TEST_NOTE_DELETE = {
    .name = "test_note_delete",
    .text = "DELETE FROM channel_state WHERE organization_id = $1 AND channel_id = $2"};

static const struct store_sql TEST_NOTE_OUT_OF_ORDER = {
    .name = "test_note_out_of_order",
    .text = "SELECT name FROM channel_state WHERE name = $3 AND channel_id = $2 "
            "AND (organization_id = $1 OR organization_id = $1)"};

static const struct store_sql TEST_NO_ORGANIZATION = {
    .name = "test_no_organization",
    .text = "SELECT count(*) FROM channel_state WHERE channel_id = $2"};

static const struct store_sql TEST_NO_ORGANIZATION_ALLOWED = {
    .name = "test_no_organization_allowed",
    .text = "SELECT count(*) FROM channel_state WHERE channel_id = $2",
    .without_organization = true};

static const struct store_sql TEST_GAP = {
    .name = "test_gap",
    .text = "SELECT 1 FROM channel_state WHERE organization_id = $1 AND name = $3"};

static const struct store_sql TEST_BROKEN = {
    .name = "test_broken", .text = "SELECT nothing FROM nowhere WHERE organization_id = $1"};

static const struct store_sql TEST_QUARANTINE_INSERT = {
    .name = "test_quarantine_insert",
    .text = "INSERT INTO quarantine (organization_id, id, channel_id, reason, body, created_at) "
            "VALUES ($1, $2, $2, $3, $4, $5)"};

static const struct store_sql TEST_QUARANTINE_GET = {
    .name = "test_quarantine_get",
    .text =
        "SELECT reason, body, created_at FROM quarantine WHERE organization_id = $1 AND id = $2"};

static const struct store_sql TEST_INGESTION_INSERT = {
    .name = "test_ingestion_insert",
    .text =
        "INSERT INTO ingestion (organization_id, id, source_id, version, status, progress, error, "
        "created_at, updated_at) VALUES ($1, $2, $2, 1, 'queued', $3, $4, 0, 0)"};

static const struct store_sql TEST_INGESTION_GET = {
    .name = "test_ingestion_get",
    .text = "SELECT progress, error, id FROM ingestion WHERE organization_id = $1 AND id = $2"};

/* SQLite ends the whole transaction when this conflicts. */
static const struct store_sql TEST_SQLITE_KILL = {
    .name = "test_sqlite_kill",
    .sqlite = "INSERT OR ROLLBACK INTO channel_state (organization_id, channel_id, name, value, "
              "updated_at) VALUES ($1, $2, 'killer', '', 0)"};

/* What a statement table must never hold: $1 is named, and no row is chosen by it. */
static const struct store_sql TEST_FORGOTTEN_COUNT = {
    .name = "test_forgotten_count", .text = "SELECT count(*) FROM channel_state WHERE $1 = $1"};
static const struct store_sql TEST_FORGOTTEN_UPDATE = {
    .name = "test_forgotten_update",
    .text = "UPDATE channel_state SET value = 'stolen' WHERE $1 = $1"};
static const struct store_sql TEST_FORGOTTEN_DELETE = {
    .name = "test_forgotten_delete", .text = "DELETE FROM channel_state WHERE $1 = $1"};
static const struct store_sql TEST_FOREIGN_INSERT = {
    .name = "test_foreign_insert",
    .text = "INSERT INTO channel_state (organization_id, channel_id, name, value, updated_at) "
            "SELECT $2, 'c', 'n', $1, 0"};

static const struct store_sql TEST_NOTE_SET = {
    .name = "test_note_set",
    .text = "UPDATE channel_state SET updated_at = $4 "
            "WHERE organization_id = $1 AND channel_id = $2 AND name = $3"};
/* Of functions that the tests of faults make. */
static const struct store_sql TEST_PGSQL_FAIL_SOME = {
    .name = "test_pgsql_fail_some", .pgsql = "SELECT test_fail_some() WHERE $1 <> ''"};
static const struct store_sql TEST_PGSQL_SLEEP = {.name = "test_pgsql_sleep",
                                                  .pgsql = "SELECT pg_sleep(60) WHERE $1 <> ''"};

/* PostgreSQL ends a transaction as a whole only together with its session. */
static const struct store_sql TEST_PGSQL_KILL = {
    .name = "test_pgsql_kill",
    .pgsql = "WITH added AS (INSERT INTO channel_state (organization_id, channel_id, name, value, "
             "updated_at) VALUES ($1, $2, 'killer', '', 0) ON CONFLICT DO NOTHING RETURNING 1) "
             "SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM added) "
             "THEN pg_terminate_backend(pg_backend_pid()) END"};

#endif
