/*
 * growing.h - answers that are shown while they are made, as a message that grows
 *
 *   begin --provider called--> known --> grows --> finish, with the answer: the sender makes it
 * whole
 *     '- - - - refused, or withdrawn since there is no answer - - - -> forget
 *
 * What is known of such a message is durable before the provider is called, and its id before its
 * text grows: whoever makes the answer after a crash finds it, and the one message is made whole.
 * Functions work in the caller's transaction. Threads: any worker. Blocks: on the store only.
 */
#ifndef PARLEY_CONVERSATION_GROWING_H
#define PARLEY_CONVERSATION_GROWING_H

#include "conversation/conversation.h"

struct growing {
    struct message_id message_id;   /* of the answer */
    struct str external_message_id; /* "" while it is not known; in the arena */
    int64_t begun_at_us;
};

/* ST_NOT_FOUND: the conversation has none. */
MUST_USE enum status growing_get(struct store_tx *tx, struct conversation_id conversation_id,
                                 struct arena *arena, struct growing *growing_out, struct err *err);
/* ST_CONFLICT: one grows in its chat, be it of the conversation before. The caller sees to it that
 * nothing is still to be sent to the chat: it would be read below. */
MUST_USE enum status growing_begin(struct store_tx *tx, struct conversation_id conversation_id,
                                   struct message_id message_id, int64_t now_us, struct err *err);
/* The provider calls it so. */
MUST_USE enum status growing_known(struct store_tx *tx, struct message_id message_id,
                                   struct conversation_id conversation_id,
                                   struct str external_message_id, struct err *err);
/* The answer is added in the same transaction: its first part takes over what was begun for it.
 * Nothing when nothing was. */
MUST_USE enum status growing_finish(struct store_tx *tx, struct conversation_id conversation_id,
                                    struct message_id message_id, struct err *err);
MUST_USE enum status growing_forget(struct store_tx *tx, struct conversation_id conversation_id,
                                    struct err *err);

#endif
