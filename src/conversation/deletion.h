/*
 * deletion.h - a person deletes at the provider what they had written
 *
 *   message  --deletion-->  its row: ids, times, seq, deleted_at; body "", of metadata what says
 * how it came
 *
 * With its words go former ones (edits), quotations of them in the same chat, the title
 * that was made of them, what other events about the message brought, and the copy for outgoing
 * events, which are told "message.deleted". Nothing is answered any more that was deleted before
 * its turn. What it carried are objects: the caller's to remove. A later edit does not bring the
 * words back. The event itself keeps ids alone, for providers send the deleted words along.
 *
 * In WhatsApp and Instagram nobody deletes what another person wrote, so a deletion that says so is
 * kept as an event about nothing. Elsewhere administrators may.
 *
 * A deletion may come before its message, when a provider brings that a second time: it is kept,
 * and deletion_apply_early finds it. Threads: any worker. Blocks: on the store only.
 */
#ifndef PARLEY_CONVERSATION_DELETION_H
#define PARLEY_CONVERSATION_DELETION_H

#include "conversation/conversation.h"
#include "live/live.h"

struct deletion {
    struct message_id message_id; /* none: no message of a person that we have and was there */
    struct conversation_id conversation_id;
    bool is_refused; /* it is somebody else's message */
    bool had_media;  /* attachments: some may be kept as objects, or are being fetched */
};

/* Keeps the event (event_kind "deletion") and removes the message that it is about. ST_CONFLICT:
 * known already. */
MUST_USE enum status conversation_record_deletion(struct store_tx *tx,
                                                  const struct channel_record *channel,
                                                  const struct inbound *inbound, int64_t now_us,
                                                  struct deletion *deletion_out, struct err *err);
#define DELETIONS_AT_ONCE 100
/* Removes messages that came after their deletion, of those that were told since then, at most
 * DELETIONS_AT_ONCE: deletions_out has room for as many. */
MUST_USE enum status deletion_apply_early(struct store_tx *tx, int64_t since_us,
                                          struct deletion *deletions_out, size_t *count_out,
                                          struct err *err);
/* Tells staff, as event "deletion" of the inbox: {"message_id", "conversation_id"}. Nothing when
 * nothing was removed. */
void deletion_publish(struct live_hub *hub, const struct tenant_scope *scope,
                      const struct deletion *deletion, struct arena *arena);

#endif
