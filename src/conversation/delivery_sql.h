/*
 * delivery_sql.h - statements of delivery reports; $1 is always the organization
 */
#ifndef PARLEY_CONVERSATION_DELIVERY_SQL_H
#define PARLEY_CONVERSATION_DELIVERY_SQL_H

#include "store/store.h"

#define DELIVERY_RANK(state)                                                                       \
    "CASE " state " WHEN 'sent' THEN 1 WHEN 'failed' THEN 2 WHEN 'window_closed' THEN 2 "          \
    "WHEN 'delivered' THEN 3 WHEN 'read' THEN 4 ELSE 9 END"

/* The row of one id of the provider's is written by both sides, the report and our record of the
 * send: whoever comes second waits for the first and sees it. */
static const struct store_sql SQL_RECEIPT_REPORT = {
    .name = "receipt_report",
    .text =
        "INSERT INTO receipt (organization_id, channel_id, external_message_id, state, reason, "
        "updated_at) VALUES ($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT (organization_id, channel_id, external_message_id) DO UPDATE SET "
        "state = CASE WHEN " DELIVERY_RANK("excluded.state") " > " DELIVERY_RANK(
            "receipt.state") " THEN excluded.state ELSE receipt.state END, "
                             "reason = CASE WHEN " DELIVERY_RANK(
                                 "excluded.state") " > " DELIVERY_RANK("receipt.state") " THEN "
                                                                                        "excluded."
                                                                                        "reason "
                                                                                        "ELSE "
                                                                                        "receipt."
                                                                                        "reason "
                                                                                        "END, "
                                                                                        "updated_"
                                                                                        "at = "
                                                                                        "excluded."
                                                                                        "updated_"
                                                                                        "at "
                                                                                        "RETURNING "
                                                                                        "message_"
                                                                                        "id, part"};

static const struct store_sql SQL_RECEIPT_KNOWN = {
    .name = "receipt_known",
    .text = "INSERT INTO receipt (organization_id, channel_id, external_message_id, message_id, "
            "part, state, updated_at) VALUES ($1, $2, $3, $4, $5, 'sent', $6) "
            "ON CONFLICT (organization_id, channel_id, external_message_id) DO UPDATE SET "
            "message_id = excluded.message_id, part = excluded.part "
            "RETURNING state, reason, updated_at"};

/* The provider has a part of which we did not know it. One whose sender is at work, or died over
 * it, only learns its id: that sender, or the one after it, records the outcome. $5: of this
 * channel. */
static const struct store_sql SQL_DELIVERY_RECONCILE = {
    .name = "delivery_reconcile",
    .text = "UPDATE delivery SET external_message_id = $4, updated_at = $6, "
            "state = CASE state WHEN 'intent' THEN state ELSE 'sent' END "
            "WHERE organization_id = $1 AND message_id = $2 AND part = $3 "
            "AND state IN ('intent', 'retry', 'uncertain') AND EXISTS (SELECT 1 FROM message m "
            "WHERE m.organization_id = $1 AND m.id = $2 AND m.channel_id = $5) RETURNING state"};

/* A part that is on its way again is not moved by what is said of its first try. */
static const struct store_sql SQL_DELIVERY_REPORTED = {
    .name = "delivery_reported",
    .text = "UPDATE delivery SET state = $4, reason = $5, updated_at = $6 "
            "WHERE organization_id = $1 AND message_id = $2 AND part = $3 "
            "AND " DELIVERY_RANK("state") " < $7"};

/* Locked before the parts are read: of two that change parts at once, the later one sees both. */
#define DELIVERY_MESSAGE                                                                           \
    "SELECT conversation_id, delivery, envelope FROM message "                                     \
    "WHERE organization_id = $1 AND id = $2"
static const struct store_sql SQL_DELIVERY_MESSAGE = {.name = "delivery_message",
                                                      .sqlite = DELIVERY_MESSAGE,
                                                      .pgsql = DELIVERY_MESSAGE " FOR UPDATE"};

static const struct store_sql SQL_DELIVERY_PARTS = {
    .name = "delivery_parts",
    .text = "SELECT part, state, external_message_id, reason, updated_at FROM delivery "
            "WHERE organization_id = $1 AND message_id = $2 ORDER BY part"};

static const struct store_sql SQL_MESSAGE_REPORTED = {
    .name = "message_reported",
    .text = "UPDATE message SET delivery = $3, envelope = coalesce($4, envelope) "
            "WHERE organization_id = $1 AND id = $2"};

/* A template takes the place of what is not known to have arrived. What is still said of that moves
 * nothing, because it ranks above all reports. */
static const struct store_sql SQL_DELIVERY_REPLACE = {
    .name = "delivery_replace",
    .text =
        "UPDATE delivery SET state = 'replaced', updated_at = $3 "
        "WHERE organization_id = $1 AND message_id = $2 AND state NOT IN ('delivered', 'read')"};

static const struct store_sql SQL_MESSAGE_REPLACE = {
    .name = "message_replace",
    .text = "UPDATE message SET delivery = 'queued', metadata = $3, envelope = coalesce($4, "
            "envelope) WHERE organization_id = $1 AND id = $2"};

#endif
