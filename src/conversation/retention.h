/*
 * retention.h - what arrived and is not part of a conversation is not kept for ever
 *
 * Events keep their channel from taking the same one twice, so they must outlive every provider's
 * repetitions (a week); what could not be read waits for the operator; reports of messages that we
 * never sent (an account used by other programs too) wait for a message that may still be recorded.
 * Reports of our own messages stay with them.
 * Blocks: on the store. A batch is one transaction; a crash between two leaves the rest for later.
 */
#ifndef PARLEY_CONVERSATION_RETENTION_H
#define PARLEY_CONVERSATION_RETENTION_H

#include "store/store.h"

/* Wall times, microseconds: what is older goes. */
struct retention {
    int64_t events_before_us, quarantine_before_us, receipts_before_us;
};

/* Removes all of it, batch after batch. removed_out: rows, also of a run that failed half-way. */
MUST_USE enum status conversation_retention(struct store *store, const struct tenant_scope *scope,
                                            const struct retention *retention, int64_t *removed_out,
                                            struct err *err);

#endif
