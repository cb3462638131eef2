/*
 * intake.h - what was accepted in a busy moment and waits to be recorded, in order
 *
 *   busy, or others wait already --> intake_put --> (row) --> recorded and removed in one
 * transaction
 *
 * A row costs a tenth of what recording costs, so a flood is accepted sooner than it is recorded.
 * While any row waits, what arrives by a webhook waits behind it: the order of a chat's messages is
 * that of their acceptance. All functions work in the caller's transaction. Threads: any worker.
 * Blocks: on the store only.
 */
#ifndef PARLEY_CONVERSATION_INTAKE_H
#define PARLEY_CONVERSATION_INTAKE_H

#include "conversation/conversation.h"

struct intake_item {
    int64_t seq;          /* of the row; given by intake_put, in the order of commits */
    struct message_id id; /* that the message will have */
    struct channel_id channel_id;
    struct str envelope; /* as conversation_record_inbound takes it; "" for an event */
    struct str item;     /* inbound_bytes.h */
    int64_t accepted_at_us;
};

/* first_out: none waited before, so the job that records them has to be put; otherwise it is there,
 * for it ends only in a transaction that finds none. */
MUST_USE enum status intake_put(struct store_tx *tx, const struct intake_item *item,
                                bool *first_out, struct err *err);
/* Whether any waits. */
MUST_USE enum status intake_any(struct store_tx *tx, bool *any_out, struct err *err);
/* The first ones, in order; who has recorded and removed them asks again. Texts in the arena. */
MUST_USE enum status intake_list(struct store_tx *tx, size_t limit, struct arena *arena,
                                 struct intake_item **items_out, size_t *count_out,
                                 struct err *err);
/* It need not be there. */
MUST_USE enum status intake_remove(struct store_tx *tx, int64_t seq, struct err *err);

#endif
