/*
 * delivery.h - what became of what we sent, as providers report it afterwards
 *
 *   part:     sent --> failed --> delivered --> read      whatever the order of arrival
 *   message:  the least that holds for all of its parts; failed when one of them is
 *   window_closed: failed, because the person wrote too long ago. What follows is the gateway's to
 *             say: a template takes the place of all parts that are not known to have arrived,
 *             which are "replaced" from then on and do not count; or the message has failed.
 *
 * Only forward, so that the end does not depend on which report comes first: that somebody read a
 * message proves an earlier "failed" wrong. A provider may report before our own record of the send
 * is committed: its report is kept under the provider's id and applied with that record. Functions
 * work in the caller's transaction. Threads: any worker. Blocks: on the store only.
 */
#ifndef PARLEY_CONVERSATION_DELIVERY_H
#define PARLEY_CONVERSATION_DELIVERY_H

#include "conversation/conversation.h"
#include "live/live.h"

/* What a report changed, for those who are told of it. */
struct delivery_change {
    struct message_id message_id; /* none: nothing, or nothing that we know of */
    struct conversation_id conversation_id;
    const char *delivery; /* the whole message's state now */
    /* None, or a message of which a part has left although nobody knew: its job is to be queued
     * again, to send what follows or to record the end. */
    struct message_id resumed;
    /* None, or a message that is with nobody because the provider's window is closed. */
    struct message_id window_closed;
};

/* "delivered"; not of DELIVERY_NONE. */
struct str delivery_state_name(enum delivery_state state);

/* Keeps the event (delivery_state is not DELIVERY_NONE) and moves the message that it is about.
 * ST_CONFLICT: known already. */
MUST_USE enum status conversation_record_delivery(struct store_tx *tx,
                                                  const struct channel_record *channel,
                                                  const struct inbound *inbound, int64_t now_us,
                                                  struct delivery_change *change_out,
                                                  struct err *err);
/* A part has left under this id of the provider, and is recorded as sent: reports of it can be
 * matched from now on, and one that was here before is applied to the part. */
MUST_USE enum status delivery_note_part(struct store_tx *tx, struct channel_id channel_id,
                                        struct message_id message_id, int64_t part,
                                        struct str external_message_id, int64_t now_us,
                                        struct err *err);
/* All parts have left: the message takes over what was reported of them meanwhile. */
MUST_USE enum status delivery_settle(struct store_tx *tx, struct message_id message_id,
                                     int64_t at_us, struct delivery_change *change_out,
                                     struct err *err);
#define DELIVERY_REPLACED "replaced"
/* A part that follows those there are takes their place; the message is queued, its job is the
 * caller's. metadata: the message's, with what is sent. */
MUST_USE enum status delivery_replace(struct store_tx *tx, const struct message *message,
                                      struct str metadata, int64_t now_us, struct err *err);
/* Message and conversation have failed, also when the message had left. step: stamped in the
 * envelope. */
MUST_USE enum status delivery_fail(struct store_tx *tx, const struct message *message,
                                   const char *step, int64_t now_us, struct err *err);
/* Tells staff, as event "delivery" of the inbox: {"message_id", "conversation_id", "delivery"}.
 * Nothing when nothing changed. */
void delivery_publish(struct live_hub *hub, const struct tenant_scope *scope,
                      const struct delivery_change *change, struct arena *arena);

/* One part as it stands. */
struct delivery_part {
    int64_t part;     /* 0, 1, ... */
    struct str state; /* intent, growing, retry, uncertain, replaced, or as above */
    struct str external_message_id, reason;
    int64_t updated_at_us;
};
MUST_USE enum status delivery_list(struct store_tx *tx, struct message_id message_id,
                                   struct arena *arena, struct delivery_part **parts_out,
                                   size_t *count_out, struct err *err);

#endif
