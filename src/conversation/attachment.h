/*
 * attachment.h - what became of the attachments of a message
 *
 * metadata.attachments of a message describes them as the channel's driver found them. What is
 * fetched gets "object" (its key in src/blob/), size_bytes, sha256 and mime_type; what is kept away
 * gets "refused", a word that says why: too_large | type | infected | gone | denied | unavailable,
 * and "signature" when a virus scanner named one. Threads: any worker. Blocks: on the store.
 */
#ifndef PARLEY_CONVERSATION_ATTACHMENT_H
#define PARLEY_CONVERSATION_ATTACHMENT_H

#include "conversation/conversation.h"

/* Adds facts, an object, to the attachment of that number (from 0), in the caller's transaction.
 * ST_NOT_FOUND: the message is gone, or has no such attachment. */
MUST_USE enum status attachment_note(struct store_tx *tx, struct message_id id, size_t index,
                                     const json_t *facts, struct err *err);
/* Whether it is settled: fetched or refused. */
bool attachment_is_settled(const json_t *attachment);

#endif
