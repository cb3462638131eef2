/*
 * channel.h - one connected account of one provider, seen the same way for all
 *
 *   webhook bytes --verify--> proven --parse--> struct inbound items --> gateway
 *   struct outbound --split--> parts --send--> provider's message id, or a sorted error
 *
 * Verification needs only the record and the bytes and never blocks. Parsing never blocks either.
 * Everything that calls the provider blocks, with a deadline, and runs on workers.
 * Threads: an opened channel is shared; drivers lock inside where they must.
 */
#ifndef PARLEY_CHANNEL_CHANNEL_H
#define PARLEY_CHANNEL_CHANNEL_H

#include <jansson.h>

#include "base/clock.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "tenant/tenant.h"

struct channel;
struct channel_driver;

enum channel_caps {
    CHANNEL_CAN_TYPE = 1, /* typing indicator */
    CHANNEL_CAN_EDIT = 2,
    CHANNEL_CAN_POLL = 4,     /* long polling where no public address is set */
    CHANNEL_CAN_REGISTER = 8, /* sets its own webhook at the provider */
    CHANNEL_STREAMS = 16,     /* tokens reach the customer while the answer is made */
    CHANNEL_LOCAL = 32        /* delivery is the commit itself: never uncertain, no provider */
};

/* What drivers may use; outlives every channel. */
struct channel_env {
    struct http_client *http;
    struct clock *clock;
    const _Atomic bool *stopping; /* may be NULL; long polls give up when it becomes true (it goes
                                     into http_call.cancel) */
};

/* --- inbound --- */

/* A webhook request, or one polled update put into the same form. */
struct webhook {
    struct str body;
    const struct http_request *request; /* headers and query; NULL for polled updates */
};

enum inbound_kind {
    INBOUND_MESSAGE, /* something a person said: gets a message row */
    INBOUND_EVENT    /* everything else that is kept: gets a channel_event row */
};

struct inbound {
    enum inbound_kind kind;
    /* Of messages; SPEC §3, to the letter. */
    struct str external_message_id; /* unique within the source, also across accounts */
    struct str external_user_id;
    struct str external_chat_id; /* where an answer goes; never empty for messages */
    struct str text;
    int64_t timestamp_us; /* the provider's */
    json_t *metadata;     /* object, owned by the batch: attachments, reply_to, locale,
                             interactive, raw_kind, addressed, thread */
    struct str display_name, locale;
    bool wants_answer; /* false: a group message that was not addressed to us */
    /* The person asked for it ("/new"): this message is the first of a new conversation; an event
     * of kind "new_conversation" ends the open one without saying anything. */
    bool starts_new_conversation;
    /* Of events. */
    struct str event_kind;        /* edit (text is the new text: compare) | reaction | delivery |
                                     blocked | unblocked | migrated | callback | membership |
                                     service | bot | new_conversation | unknown | ... */
    struct str external_event_id; /* dedup within the channel */
    struct str about_external_message_id; /* "" when it is about no message */
    struct str raw;                       /* JSON as it came */
    struct str new_external_chat_id;      /* of migrated */
    /* Both: something the provider wants to be told at once, after the commit, lossy (a pressed
     * button stops spinning). Driver's own text; empty: nothing. */
    struct str acknowledge;
};

struct inbound_batch {
    struct arena *arena;
    struct inbound *items;
    size_t count;
};

/* --- outbound --- */

struct outbound {
    struct message_id message_id;
    struct str external_chat_id;
    struct str reply_to_external_id; /* "" for none */
    struct str text;
    const json_t *metadata;    /* citations, buttons; may be NULL */
    unsigned part, part_count; /* text is this part already */
};

struct delivery {
    struct str external_message_id; /* in the arena */
    /* Where the message went in the end, when the provider moved the chat (a group became a
     * supergroup): later messages go there too. In the arena; empty: it did not move. */
    struct str new_external_chat_id;
};

/* --- registry: open channels by id, reopened when the record's revision changes --- */

struct channel_registry;

/* The providers' drivers, ended by NULL: for channel_registry_create. */
extern const struct channel_driver *const channel_drivers_built_in[];

MUST_USE enum status channel_registry_create(const struct channel_env *env, struct tenants *tenants,
                                             const struct channel_driver *const *drivers,
                                             struct channel_registry **registry_out,
                                             struct err *err);
/* Channels still held outside live on; they must not be used after env has ended. */
void channel_registry_destroy(struct channel_registry **registry);
/* How many unused channels stay open at most, 1..4096 (the default). */
void channel_registry_limit(struct channel_registry *registry, size_t cached_max);
/* ST_NOT_FOUND: no driver of that name. */
const struct channel_driver *channel_driver_find(const struct channel_registry *registry,
                                                 struct str source);
unsigned channel_driver_caps(const struct channel_driver *driver);
const char *channel_driver_source(const struct channel_driver *driver);
/* The registry's drivers one after the other: index 0, 1, ... NULL after the last. */
const struct channel_driver *channel_driver_at(const struct channel_registry *registry,
                                               size_t index);
/* Settings and credentials as a person gave them, before they are stored: ST_INVALID says what to
 * change. Also derives the account. Does not call the provider. For an update give the whole of
 * both, not the change alone. On ST_OK settings and credentials are fresh objects, completed by
 * what the driver makes itself (a webhook secret), and the caller's: channel_spec_deinit. On
 * failure spec is as it was. */
MUST_USE enum status channel_check_spec(const struct channel_registry *registry,
                                        struct channel_spec *spec, struct arena *arena,
                                        struct err *err);
/* Only for a spec that channel_check_spec accepted. */
void channel_spec_deinit(struct channel_spec *spec);
/* Opened channel with a reference; give it back with channel_release. */
MUST_USE enum status channel_acquire(struct channel_registry *registry,
                                     const struct channel_record *record,
                                     struct channel **channel_out, struct err *err);
void channel_release(struct channel **channel);

/* --- what a channel does --- */

unsigned channel_caps(const struct channel *channel);
const struct channel_record *channel_record(const struct channel *channel);
/* Milliseconds within which messages are answered together: settings.burst_window_ms, else the
 * driver's default. */
int64_t channel_burst_window_ms(const struct channel *channel);
bool
channel_resends_uncertain(const struct channel *channel); /* settings.on_uncertain = "resend" */

/* For tenant_admit_webhook: arg is the struct channel_verification. ST_DENIED unless proven. */
struct channel_verification {
    const struct channel_registry *registry;
    const struct webhook *webhook;
};
MUST_USE enum status channel_verify(const struct channel_record *record, void *arg,
                                    struct err *err);
/* ST_INVALID: cannot be read; the caller keeps the bytes aside. metadata of items: the batch's. */
MUST_USE enum status channel_parse(struct channel *channel, const struct webhook *webhook,
                                   struct arena *arena, struct inbound_batch *batch_out,
                                   struct err *err);
void inbound_batch_deinit(struct inbound_batch *batch);

/* Parts under the provider's limit, at sentence borders; at least one for non-empty text. */
size_t channel_split(struct channel *channel, struct str text, struct arena *arena,
                     struct str **parts_out);
/* ST_BUSY, ST_UNAVAILABLE: later (err->retry_after_ms). ST_UNCERTAIN: the provider may have it.
 * ST_DENIED: the account's credentials are refused: the channel is broken. ST_NOT_FOUND: the
 * recipient cannot be reached (blocked, gone). Other: permanent for this message. */
MUST_USE enum status channel_send(struct channel *channel, const struct outbound *outbound,
                                  struct arena *arena, struct delivery *delivery_out,
                                  struct err *err);
/* Lossy; repeat at channel_typing_interval_ms while the answer is made. */
void channel_typing(struct channel *channel, struct str external_chat_id);
unsigned channel_typing_interval_ms(const struct channel *channel);
/* Lossy: see inbound.acknowledge. */
void channel_acknowledge(struct channel *channel, struct str acknowledge);
MUST_USE enum status channel_edit(struct channel *channel, const struct outbound *outbound,
                                  struct str external_message_id, struct err *err);
/* Asks the provider whether the credentials work; account_out names it for a person. */
MUST_USE enum status channel_probe(struct channel *channel, struct arena *arena,
                                   struct str *account_out, struct err *err);
/* Registers url as webhook (CHANNEL_CAN_REGISTER). */
MUST_USE enum status channel_register(struct channel *channel, struct str url, struct err *err);
/* Waits up to wait_ms for updates after the cursor; each update's bytes become a struct webhook.
 * cursor_out replaces the cursor once all of them are committed. */
struct channel_poll {
    struct webhook *updates;
    size_t count;
    struct str cursor; /* in the arena */
};
MUST_USE enum status channel_poll(struct channel *channel, struct str cursor, unsigned wait_ms,
                                  struct arena *arena, struct channel_poll *poll_out,
                                  struct err *err);

#endif
