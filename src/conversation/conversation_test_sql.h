/*
 * conversation_test_sql.h - what tests count and change behind the code's back; $1 is always the
 * organization
 */
#ifndef PARLEY_CONVERSATION_CONVERSATION_TEST_SQL_H
#define PARLEY_CONVERSATION_CONVERSATION_TEST_SQL_H

#include "store/store.h"

static const struct store_sql SQL_TEST_COUNTS = {
    .name = "test_counts",
    .text = "SELECT (SELECT count(*) FROM contact WHERE organization_id = $1), "
            "(SELECT count(*) FROM identity WHERE organization_id = $1), "
            "(SELECT count(*) FROM chat WHERE organization_id = $1), "
            "(SELECT count(*) FROM conversation WHERE organization_id = $1), "
            "(SELECT count(*) FROM message WHERE organization_id = $1), "
            "(SELECT count(*) FROM channel_event WHERE organization_id = $1), "
            "(SELECT count(*) FROM quarantine WHERE organization_id = $1), "
            "(SELECT count(*) FROM escalation WHERE organization_id = $1)"};

static const struct store_sql SQL_TEST_WITH_WORDS = {
    .name = "test_with_words",
    .text = "SELECT count(*) FROM message WHERE organization_id = $1 AND body <> ''"};

static const struct store_sql SQL_TEST_QUOTING = {
    .name = "test_quoting",
    .text = "SELECT count(*) FROM message WHERE organization_id = $1 "
            "AND metadata LIKE '%secret%'"};

static const struct store_sql SQL_TEST_LAST_SEEN = {
    .name = "test_last_seen",
    .text = "SELECT p.last_seen_at FROM identity i JOIN contact p "
            "ON p.organization_id = $1 AND p.id = i.contact_id "
            "WHERE i.organization_id = $1 AND i.external_user_id = $2"};

static const struct store_sql SQL_TEST_REACHABLE = {
    .name = "test_reachable",
    .text = "SELECT reachable FROM identity "
            "WHERE organization_id = $1 AND channel_id = $2 AND external_user_id = $3"};

static const struct store_sql SQL_TEST_DELIVERIES = {
    .name = "test_deliveries",
    .text = "SELECT part, state, attempts, external_message_id FROM delivery "
            "WHERE organization_id = $1 AND message_id = $2 ORDER BY part"};

static const struct store_sql SQL_TEST_RECEIPTS = {
    .name = "test_receipts", .text = "SELECT count(*) FROM receipt WHERE organization_id = $1"};

/* A part as a process left it that was killed. */
static const struct store_sql SQL_TEST_DELIVERY_PUT = {
    .name = "test_delivery_put",
    .text = "INSERT INTO delivery (organization_id, message_id, part, state, attempts, updated_at) "
            "VALUES ($1, $2, $3, $4, 1, 0)"};

/* A brand whose persona was damaged. */
static const struct store_sql SQL_TEST_PERSONA = {
    .name = "test_persona", .text = "UPDATE brand SET persona = $2 WHERE organization_id = $1"};

#endif
