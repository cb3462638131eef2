/*
 * growing_sql.h - statements of answers that grow; $1 is always the organization
 */
#ifndef PARLEY_CONVERSATION_GROWING_SQL_H
#define PARLEY_CONVERSATION_GROWING_SQL_H

#include "store/store.h"

static const struct store_sql SQL_GROWING_GET = {
    .name = "growing_get",
    .text = "SELECT message_id, external_message_id, begun_at FROM growing "
            "WHERE organization_id = $1 AND conversation_id = $2"};

/* Of the chat, whose last conversation may have an answer that grows as well; few do at a time. */
static const struct store_sql SQL_GROWING_BEGIN = {
    .name = "growing_begin",
    .text = "INSERT INTO growing (organization_id, conversation_id, message_id, begun_at) "
            "SELECT $1, c.id, $3, $4 FROM conversation c WHERE c.organization_id = $1 "
            "AND c.id = $2 AND NOT EXISTS (SELECT 1 FROM growing g JOIN conversation o "
            "ON o.organization_id = $1 AND o.id = g.conversation_id WHERE g.organization_id = $1 "
            "AND o.channel_id = c.channel_id AND o.external_chat_id = c.external_chat_id) "
            "ON CONFLICT DO NOTHING"};

static const struct store_sql SQL_GROWING_KNOWN = {
    .name = "growing_known",
    .text = "UPDATE growing SET external_message_id = $4 "
            "WHERE organization_id = $1 AND conversation_id = $2 AND message_id = $3"};

static const struct store_sql SQL_GROWING_FINISH = {
    .name = "growing_finish",
    .text = "INSERT INTO delivery (organization_id, message_id, part, state, external_message_id, "
            "attempts, updated_at) SELECT organization_id, message_id, 0, 'growing', "
            "external_message_id, 1, begun_at FROM growing "
            "WHERE organization_id = $1 AND conversation_id = $2 AND message_id = $3"};

static const struct store_sql SQL_GROWING_FORGET = {
    .name = "growing_forget",
    .text = "DELETE FROM growing WHERE organization_id = $1 AND conversation_id = $2"};

#endif
