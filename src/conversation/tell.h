/*
 * tell.h - what happens in conversations, as outgoing events; for src/conversation/ alone
 *
 * Each is called in the transaction of what happened, after it. What is told is read back only when
 * an endpoint hears of that kind; else none of them runs a statement. Blocks: on the store.
 */
#ifndef PARLEY_CONVERSATION_TELL_H
#define PARLEY_CONVERSATION_TELL_H

#include "conversation/conversation.h"
#include "events/events.h"

MUST_USE enum status tell_message(struct store_tx *tx, enum event_kind kind, struct message_id id,
                                  struct err *err);
/* The kind of a delivery state; EVENT_KINDS, which nobody hears of: none. */
enum event_kind tell_delivery_kind(struct str state);
/* A conversation's status is told each time that it is set, also to what it was. */
MUST_USE enum status tell_conversation(struct store_tx *tx, enum event_kind kind,
                                       struct conversation_id id, struct err *err);
MUST_USE enum status tell_escalation(struct store_tx *tx, enum event_kind kind,
                                     struct escalation_id id, struct err *err);
/* other: none when they are apart; how: NULL then. */
MUST_USE enum status tell_contacts(struct store_tx *tx, enum event_kind kind, struct contact_id id,
                                   struct contact_id other, const char *how, struct err *err);

#endif
