/*
 * retention_sql.h - statements that remove what is old; $1 is always the organization
 *
 * A batch each. Ids are made in order of time, so the oldest stand at the table's beginning.
 */
#ifndef PARLEY_CONVERSATION_RETENTION_SQL_H
#define PARLEY_CONVERSATION_RETENTION_SQL_H

#include "store/store.h"

#define REMOVE_OLDEST(table)                                                                       \
    "DELETE FROM " table " WHERE organization_id = $1 AND id IN (SELECT id FROM "                  \
    "(SELECT id, created_at FROM " table " WHERE organization_id = $1 ORDER BY id LIMIT 500) old " \
    "WHERE created_at < $2)"

static const struct store_sql SQL_EVENTS_REMOVE_OLD = {.name = "events_remove_old",
                                                       .text = REMOVE_OLDEST("channel_event")};

static const struct store_sql SQL_QUARANTINE_REMOVE_OLD = {.name = "quarantine_remove_old",
                                                           .text = REMOVE_OLDEST("quarantine")};

static const struct store_sql SQL_RECEIPTS_REMOVE_OLD = {
    .name = "receipts_remove_old",
    .text = "DELETE FROM receipt WHERE organization_id = $1 AND message_id IS NULL AND "
            "(external_message_id, channel_id) IN (SELECT external_message_id, channel_id "
            "FROM receipt WHERE organization_id = $1 AND message_id IS NULL AND updated_at < $2 "
            "LIMIT 500)"};

#endif
