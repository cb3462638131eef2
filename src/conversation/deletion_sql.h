/*
 * deletion_sql.h - statements that remove what a person deleted; $1 is always the organization
 */
#ifndef PARLEY_CONVERSATION_DELETION_SQL_H
#define PARLEY_CONVERSATION_DELETION_SQL_H

#include "store/store.h"

#define DELETION_FIND                                                                              \
    "SELECT id, conversation_id, seq, metadata, role, external_user_id, contact_id "               \
    "FROM message WHERE organization_id = $1 "                                                     \
    "AND source = $2 AND external_message_id = $3 AND channel_id = $4 "                            \
    "AND deleted_at IS NULL"
static const struct store_sql SQL_DELETION_FIND = {
    .name = "deletion_find", .sqlite = DELETION_FIND, .pgsql = DELETION_FIND " FOR UPDATE"};

static const struct store_sql SQL_DELETION_MESSAGE = {
    .name = "deletion_message",
    .text = "UPDATE message SET body = '', metadata = $3, deleted_at = $4 "
            "WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_DELETION_TITLE = {
    .name = "deletion_title",
    .text = "UPDATE conversation SET title = '' WHERE organization_id = $1 AND id = $2"};

/* The deletion's own, too, where it is known already. */
static const struct store_sql SQL_DELETION_EVENTS = {
    .name = "deletion_events",
    .text = "UPDATE channel_event SET payload = '{}' WHERE organization_id = $1 "
            "AND channel_id = $2 AND about = $3 AND kind <> 'deletion'"};

/* Conversations of the same chat as $2, itself among them, one by one: the first behind $3. */
static const struct store_sql SQL_DELETION_CONVERSATION = {
    .name = "deletion_conversation",
    .text = "SELECT s.id FROM conversation o JOIN conversation s ON s.organization_id = $1 "
            "AND s.channel_id = o.channel_id AND s.external_chat_id = o.external_chat_id "
            "WHERE o.organization_id = $1 AND o.id = $2 AND s.id > $3 ORDER BY s.id LIMIT 1"};

/* $3: the deleted message's id at the provider, as JSON text; those behind seq $4. */
static const struct store_sql SQL_DELETION_QUOTING = {
    .name = "deletion_quoting",
    .text = "SELECT id, metadata, seq FROM message WHERE organization_id = $1 "
            "AND conversation_id = $2 AND seq > $4 AND replace(metadata, $3, '') <> metadata "
            "ORDER BY seq LIMIT 100"};

static const struct store_sql SQL_DELETION_EARLY = {
    .name = "deletion_early",
    .text = "SELECT e.id, e.channel_id, h.source, e.about, e.created_at, e.payload "
            "FROM channel_event e "
            "JOIN channel h ON h.organization_id = $1 AND h.id = e.channel_id "
            "JOIN message m ON m.organization_id = $1 AND m.source = h.source "
            "AND m.external_message_id = e.about AND m.channel_id = e.channel_id "
            "AND m.deleted_at IS NULL "
            "WHERE e.organization_id = $1 AND e.kind = 'deletion' AND e.message_id IS NULL "
            "AND e.created_at >= $3 LIMIT $2"};

static const struct store_sql SQL_DELETION_APPLIED = {
    .name = "deletion_applied",
    .text = "UPDATE channel_event SET message_id = $3 WHERE organization_id = $1 AND id = $2"};

/* Of somebody else's message: it is about none. */
static const struct store_sql SQL_DELETION_REFUSED = {
    .name = "deletion_refused",
    .text = "UPDATE channel_event SET about = NULL WHERE organization_id = $1 AND id = $2"};

#endif
