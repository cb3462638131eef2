/*
 * gateway.h - webhook in, durable message; queued message out, delivered
 *
 *   bytes -> channel found -> verified -> rate limits -> parsed -> one commit per item: dedup mark,
 *   message and job together -> 2xx          (nothing slow happens before the answer)
 *                '-- a flood: kept as they are -> 2xx -> recorded, in order
 *
 *   outbound job -> intent committed -> provider called -> outcome committed
 *                        '-- killed here: uncertain, resolved by the channel's policy, counted
 *
 * Threads: shared. Blocks: receive on the store; workers also on providers. Crash: an answered
 * webhook is durable; an unanswered one may be, and its repetition has no effect.
 */
#ifndef PARLEY_GATEWAY_GATEWAY_H
#define PARLEY_GATEWAY_GATEWAY_H

#include "blob/blob.h"
#include "channel/channel.h"
#include "conversation/conversation.h"
#include "live/live.h"
#include "net/http_server.h"
#include "queue/queue.h"
#include "tenant/instance.h"

struct gateway;

struct gateway_config {
    struct store *store;
    struct tenants *tenants;
    struct queue *queue;
    struct channel_registry *channels;
    struct live_hub *live;
    struct clock *clock;
    unsigned organization_per_minute, channel_per_minute, sender_per_minute; /* 0: no limit */
    /* So many webhooks at a time are recorded before they are answered; what comes on top is kept,
     * answered, and recorded as soon as there is time: conversation/intake.h. */
    unsigned record_at_once;
    unsigned recorders; /* organizations whose intake may be recorded at a time; 0: others do */
    unsigned senders;   /* worker threads that call providers; 0: another process sends */
    unsigned pollers;   /* channels that may be polled at once */
    bool poll;          /* this process asks providers for what came: see channel_is_polled */
    /* Where attachments that arrive are kept; NULL: they are not fetched. */
    struct blob_store *blobs;
    uint64_t media_max_bytes;
    struct str media_types;   /* kept ones, with commas; a star ends a prefix; "": all */
    struct str media_scanner; /* address of a clamd: virus_scan.h; "": none */
    struct str
        public_url; /* from where providers fetch files, without a slash at its end; "": none */
};

MUST_USE enum status gateway_open(const struct gateway_config *config, struct gateway **gateway_out,
                                  struct err *err);
/* Starts senders and pollers. instance: polls only those channels that no other process polls; may
 * be NULL without pollers. */
MUST_USE enum status gateway_start(struct gateway *gateway, struct instance *instance,
                                   struct err *err);
void gateway_stop(struct gateway *gateway, int64_t deadline_ms);
void gateway_close(struct gateway **gateway);
/* Removes messages that came after their deletion (conversation/deletion.h), of all that are kept.
 * What several processes take at the same time is looked for a moment later without it. */
MUST_USE enum status gateway_apply_deletions(struct gateway *gateway,
                                             const struct tenant_scope *scope, struct err *err);
/* Removes files and webhooks that were kept for messages that are not there, when they are older
 * than age_us; adds their number to *removed. */
MUST_USE enum status gateway_upkeep(struct gateway *gateway, const struct tenant_scope *scope,
                                    int64_t age_us, unsigned *removed, struct err *err);

/* POST /webhooks/<source>/{channel_id} */
void gateway_handle_webhook(struct gateway *gateway, struct str source, struct http_request *req,
                            struct http_response *resp);
/* POST /webhook/telegram?account=...: the channel is found by the addressed account; without one,
 * by the accounts that the webhook itself names (channel_sort). Each is proven by its own channel.
 */
void gateway_handle_shared(struct gateway *gateway, struct str source, struct http_request *req,
                           struct http_response *resp);

struct gateway_result {
    unsigned messages, events, duplicates;  /* not what waits in the intake */
    struct message_id message_id;           /* of the last message, also when it was a duplicate's
                                               conversation we could not learn: then none */
    struct conversation_id conversation_id; /* likewise */
};
/* Takes verified bytes: rate limits, parse, commit. in_turn: it may be put into the intake, and is
 * when others wait there; false: the caller needs the ids. ST_BUSY: too many (retry_after_ms).
 * ST_INVALID: not readable, kept in quarantine. ST_UNAVAILABLE: disk full. */
MUST_USE enum status gateway_receive(struct gateway *gateway, const struct tenant_scope *scope,
                                     const struct channel_record *record,
                                     const struct webhook *webhook, bool in_turn,
                                     struct str trace_id, struct arena *arena,
                                     struct gateway_result *result_out, struct err *err);

/* The key under which the file of that number (from 0) of a message is kept. In the arena. */
struct str gateway_media_key(struct message_id id, size_t number, struct arena *arena);

/* Queues what was added with delivery "queued", in the same transaction as the message. */
MUST_USE enum status gateway_queue_outbound(struct gateway *gateway, struct store_tx *tx,
                                            struct message_id message_id,
                                            struct channel_id channel_id,
                                            struct str external_chat_id, struct err *err);
/* A held uncertain or failed message is sent again: a person decided so. ST_CONFLICT: it is
 * neither. */
MUST_USE enum status gateway_resend(struct gateway *gateway, struct store_tx *tx,
                                    struct message_id message_id, struct err *err);

/* Whether the channel's provider is being left alone, by whichever process sends. */
struct channel_breaker {
    const char *state; /* "closed", "open"; "half_open": the next send is the trial */
    int64_t until_us;  /* wall; 0: closed */
    struct str reason; /* for a person, in the arena */
};
MUST_USE enum status channel_breaker_get(struct store_tx *tx, struct channel_id id, int64_t now_us,
                                         struct arena *arena, struct channel_breaker *breaker_out,
                                         struct err *err);

#endif
