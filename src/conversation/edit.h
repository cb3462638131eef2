/*
 * edit.h - a message whose words were changed where it was written
 *
 * Within the caller's transaction, on its thread.
 */
#ifndef PARLEY_CONVERSATION_EDIT_H
#define PARLEY_CONVERSATION_EDIT_H

#include "conversation/conversation.h"

/* The text of an event "edit" replaces the body of the message that it names, on its own channel;
 * the words it had are kept under metadata.edits. What a person wrote they alone edit, what the
 * organization did is edited in its own chat; a deleted message stays as it is. *message_out is set
 * when the event is about a message that it may edit. */
MUST_USE enum status message_apply_edit(struct store_tx *tx, const struct channel_record *channel,
                                        const struct inbound *inbound, int64_t now_us,
                                        struct message_id *message_out, struct err *err);

#endif
