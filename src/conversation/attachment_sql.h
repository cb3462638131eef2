/*
 * attachment_sql.h - statements of a message's metadata; $1 is always the organization
 */
#ifndef PARLEY_CONVERSATION_ATTACHMENT_SQL_H
#define PARLEY_CONVERSATION_ATTACHMENT_SQL_H

#include "store/store.h"

#define MESSAGE_METADATA "SELECT metadata FROM message WHERE organization_id = $1 AND id = $2"
static const struct store_sql SQL_MESSAGE_METADATA = {.name = "message_metadata",
                                                      .sqlite = MESSAGE_METADATA,
                                                      .pgsql = MESSAGE_METADATA " FOR UPDATE"};

static const struct store_sql SQL_MESSAGE_SET_METADATA = {
    .name = "message_set_metadata",
    .text = "UPDATE message SET metadata = $3 WHERE organization_id = $1 AND id = $2"};

#endif
