/*
 * gateway_private.h - inside of the gateway; for src/gateway/ alone
 */
#ifndef PARLEY_GATEWAY_GATEWAY_PRIVATE_H
#define PARLEY_GATEWAY_GATEWAY_PRIVATE_H

#include "base/metrics.h"
#include "base/thread.h"
#include "conversation/deletion.h"
#include "gateway/gateway.h"

struct breakers;
struct poller;
struct slots;

/* While a provider holds all the senders, or fetchers, that it may. */
#define SLOT_WAIT_US US_PER_S

/* Frozen after gateway_open, but for receiving and flooded_at_us, and for workers and poller, which
 * gateway_start sets. */
struct gateway {
    struct gateway_config config;
    _Atomic unsigned receiving;    /* webhooks that are not yet answered */
    _Atomic int64_t flooded_at_us; /* monotonic; 0: never */
    struct queue_workers *senders, *fetchers, *recorders, *sweepers;
    struct thread_pool *acknowledgers; /* tells providers what they want to know at once; lossy */
    struct poller *poller;
    struct breakers *breakers;
    struct slots *slots;       /* of the senders */
    struct slots *fetch_slots; /* of the fetchers */
};

/* More webhooks at a time than are recorded at once. */
bool gateway_is_flooded(const struct gateway *gateway);
/* A webhook is being put aside because of it. */
void gateway_note_flood(struct gateway *gateway);
/* A flood is under way, though it may draw breath. */
bool gateway_was_just_flooded(const struct gateway *gateway);

/* sender.c */
enum status sender_deliver(struct lease *lease, void *gateway, struct err *err);
/* A part has left of which nobody knew. */
void sender_note_reconciled(struct str source, struct message_id message_id);

/* outbound.c */
/* A part of the message has left although nobody knew: sends what follows, or records the end. */
MUST_USE enum status sender_resume(struct gateway *gateway, struct store_tx *tx,
                                   struct message_id message_id, struct err *err);
enum status sender_on_dead(struct store_tx *tx, const struct job *job, struct str reason,
                           void *gateway, struct err *err);

/* gateway.c: stores credentials in place of those of a record, and says the revision that has them.
 * ST_CONFLICT: somebody changed the channel meanwhile, and theirs count. */
MUST_USE enum status gateway_store_credentials(struct gateway *gateway,
                                               const struct tenant_scope *scope,
                                               const struct channel_record *used,
                                               const json_t *credentials, int64_t *revision_out,
                                               struct err *err);
/* Stores what the provider replaced while the channel was used. */
void gateway_keep_credentials(struct gateway *gateway, const struct tenant_scope *scope,
                              struct channel *channel);

/* media.c */
enum status media_fetch(struct lease *lease, void *gateway, struct err *err);
enum status media_on_dead(struct store_tx *tx, const struct job *job, struct str reason,
                          void *gateway, struct err *err);
/* Whether the message has attachments that are to be fetched: then media_keep before the
 * transaction that adds it, and in it media_queue, which puts the job. */
bool media_is_wanted(const struct gateway *gateway, const struct channel *channel,
                     const struct inbound *item);
/* Where attachments come within the webhook, its body is kept until they are read from it;
 * media_forget when the message was a duplicate. */
enum status media_keep(struct gateway *gateway, const struct tenant_scope *scope,
                       const struct channel *channel, struct message_id id, struct str body,
                       struct err *err);
void media_forget(struct gateway *gateway, const struct tenant_scope *scope,
                  const struct channel *channel, struct message_id id);
/* content_type: of the webhook; "" of what was polled. */
enum status media_queue(struct gateway *gateway, struct store_tx *tx, struct message_id id,
                        struct user_id user_id, struct str content_type, struct err *err);
/* In the transaction that removed the message: puts the job that removes what it carried. */
enum status media_queue_removal(struct gateway *gateway, struct store_tx *tx,
                                const struct deletion *deletion, struct err *err);
/* Of the attachments of an outbound message that are objects of ours: the bytes for a channel that
 * encloses them (*files_out, as outbound.files), else the "url" from which its provider, or the
 * person, fetches it. ST_INVALID: there is no public address, or the object is no longer kept. */
enum status media_attach(struct gateway *gateway, const struct tenant_scope *scope,
                         const struct channel *channel, json_t *metadata, struct arena *arena,
                         const struct str **files_out, struct err *err);
/* Whether receiving may have to write to the object store, which an epoll thread must not. */
bool media_may_block(const struct gateway *gateway, struct str source);

/* reply_only.c: after the message was recorded, where nobody has the conversation. stranger_out:
 * nothing is to answer it; what there is to say has been queued. */
enum status reply_only_receive(struct gateway *gateway, struct store_tx *tx,
                               const struct channel_record *record, const struct inbound *item,
                               const struct inbound_result *result, int64_t now_us,
                               bool *stranger_out, struct err *err);

/* recording.c */
enum status deletions_sweep(struct lease *lease, void *gateway, struct err *err);

/* intake.c */
enum status intake_record(struct lease *lease, void *gateway, struct err *err);

/* poller.c */
enum status poller_start(struct gateway *gateway, struct instance *instance,
                         struct poller **poller_out, struct err *err);
void poller_stop(struct poller **poller);

#endif
