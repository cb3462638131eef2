/*
 * gateway_sql.h - statements of the send ledger; $1 is always the organization
 */
#ifndef PARLEY_GATEWAY_GATEWAY_SQL_H
#define PARLEY_GATEWAY_GATEWAY_SQL_H

#include "store/store.h"

static const struct store_sql SQL_DELIVERY_LIST = {
    .name = "delivery_list",
    .text = "SELECT part, state, external_message_id, updated_at FROM delivery "
            "WHERE organization_id = $1 AND message_id = $2 ORDER BY part"};

/* An outcome is recorded over its intent; an intent over a try that is known to have failed. */
static const struct store_sql SQL_DELIVERY_PUT = {
    .name = "delivery_put",
    .text = "INSERT INTO delivery (organization_id, message_id, part, state, external_message_id, "
            "reason, attempts, updated_at) VALUES ($1, $2, $3, $4, $5, $6, 1, $7) "
            "ON CONFLICT (organization_id, message_id, part) DO UPDATE SET state = excluded.state, "
            "external_message_id = excluded.external_message_id, reason = excluded.reason, "
            "attempts = delivery.attempts + CASE WHEN excluded.state = 'intent' THEN 1 ELSE 0 END, "
            "updated_at = excluded.updated_at"};

static const struct store_sql SQL_DELIVERY_RELEASE = {
    .name = "delivery_release",
    .text = "UPDATE delivery SET state = 'retry', updated_at = $3 "
            "WHERE organization_id = $1 AND message_id = $2 AND state IN ('uncertain', 'failed', "
            "'window_closed', 'replaced')"};

/* Of the template that took the text's place, before the text is tried again. */
static const struct store_sql SQL_DELIVERY_REMOVE = {
    .name = "delivery_remove",
    .text = "DELETE FROM delivery WHERE organization_id = $1 AND message_id = $2 AND part >= $3"};

static const struct store_sql SQL_MESSAGE_METADATA = {
    .name = "gateway_message_metadata",
    .text = "UPDATE message SET metadata = $3 WHERE organization_id = $1 AND id = $2"};

/* Something of the message may have arrived: a call was begun, and its outcome is not known. */
static const struct store_sql SQL_DELIVERY_IN_FLIGHT = {
    .name = "delivery_in_flight",
    .text = "SELECT 1 FROM delivery WHERE organization_id = $1 AND message_id = $2 "
            "AND state IN ('intent', 'uncertain') LIMIT 1"};

/* The provider told of a part while nobody knew that it has it. */
static const struct store_sql SQL_DELIVERY_KNOWN = {
    .name = "delivery_known",
    .text = "SELECT external_message_id FROM delivery WHERE organization_id = $1 "
            "AND message_id = $2 AND part = $3 AND external_message_id <> '' "
            "AND state IN ('intent', 'sent', 'delivered', 'read')"};

/* A person has the conversation who answered after that in the provider's own app. */
static const struct store_sql SQL_MESSAGE_OVERTAKEN = {
    .name = "gateway_message_overtaken",
    .text = "SELECT 1 FROM message WHERE organization_id = $1 AND conversation_id = $2 "
            "AND seq > $3 AND role = 'agent' AND external_message_id IS NOT NULL "
            "AND (SELECT hand_off_to_human FROM conversation WHERE organization_id = $1 "
            "AND id = $2) = 1 LIMIT 1"};

/* On whose behalf a message is sent. */
static const struct store_sql SQL_MESSAGE_USER = {
    .name = "gateway_message_user",
    .text = "SELECT c.user_id FROM message m JOIN conversation c"
            " ON c.organization_id = m.organization_id AND c.id = m.conversation_id"
            " WHERE m.organization_id = $1 AND m.id = $2"};

/* When the person wrote last; the newest first, so that one seek finds it. */
static const struct store_sql SQL_LAST_HEARD = {
    .name = "gateway_last_heard",
    .text = "SELECT coalesce(provider_at, created_at) FROM message "
            "WHERE organization_id = $1 AND conversation_id = $2 AND role = 'user' "
            "ORDER BY seq DESC LIMIT 1"};

/* Whether a person or the assistant ever wrote to whom this conversation is with, on its channel.
 */
static const struct store_sql SQL_WRITTEN_TO = {
    .name = "gateway_written_to",
    .text = "SELECT 1 FROM conversation o JOIN conversation c"
            " ON c.organization_id = o.organization_id AND c.contact_id = o.contact_id"
            " JOIN message m ON m.organization_id = c.organization_id"
            " AND m.conversation_id = c.id AND m.channel_id = o.channel_id"
            " WHERE o.organization_id = $1 AND o.id = $2 AND m.role IN ('assistant', 'agent')"
            " LIMIT 1"};

static const struct store_sql SQL_TOLD_SINCE = {
    .name = "gateway_told_since",
    .text = "SELECT 1 FROM conversation o JOIN conversation c"
            " ON c.organization_id = o.organization_id AND c.contact_id = o.contact_id"
            " JOIN message m ON m.organization_id = c.organization_id"
            " AND m.conversation_id = c.id AND m.channel_id = o.channel_id"
            " WHERE o.organization_id = $1 AND o.id = $2 AND m.role = 'system'"
            " AND m.metadata = $3 AND m.created_at > $4 LIMIT 1"};

#endif
