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
struct openid;

enum channel_caps {
    CHANNEL_CAN_TYPE = 1,        /* typing indicator */
    CHANNEL_GROWS = 2,           /* an answer is shown while it is made, as a message that grows */
    CHANNEL_CAN_POLL = 4,        /* can be asked for what came: see channel_is_polled */
    CHANNEL_CAN_REGISTER = 8,    /* sets its own webhook at the provider */
    CHANNEL_STREAMS = 16,        /* tokens reach the customer while the answer is made */
    CHANNEL_LOCAL = 32,          /* delivery is the commit itself: never uncertain, no provider */
    CHANNEL_HAS_MEDIA = 64,      /* attachments that arrive can be fetched */
    CHANNEL_SENDS_MEDIA = 128,   /* outbound metadata.attachments */
    CHANNEL_SENDS_BUTTONS = 256, /* outbound metadata.buttons; without it they become a list */
    CHANNEL_SENDS_TEMPLATES = 512,   /* outbound metadata.template */
    CHANNEL_REPORTS_DELIVERY = 1024, /* events of kind "delivery" follow what was sent */
    CHANNEL_HAS_WINDOW = 2048, /* nothing but a template may be sent once 24 hours have passed since
                                  the person wrote last */
    CHANNEL_REPLY_ONLY = 4096, /* answers only those who were written to first */
    CHANNEL_CARRIES_MEDIA = 8192, /* attachments come within the webhook itself, which has to be
                                     kept until they are read from it */
    CHANNEL_SHOWS_DRAFTS = 16384, /* shows an answer as far as it is made, until it is sent */
    CHANNEL_FINDS = 32768,        /* can be asked whether a message of ours has arrived */
    CHANNEL_ENCLOSES = 65536,     /* sends the bytes of files (outbound.files) */
    CHANNEL_ECHOES = 131072       /* tells what people of the business write in the provider's own
                                     app: events of kind "echo" */
};

/* Of all files of a message together; what is beyond is sent as addresses. In base64 they and the
 * words stay below 10 MB, the least that common mail services take. */
#define CHANNEL_ENCLOSED_MAX_BYTES ((uint64_t)7 * 1000 * 1000)

/* What drivers may use; outlives every channel. */
struct channel_env {
    struct http_client *http;
    struct clock *clock;
    struct str public_url; /* http.public_url without a slash at its end, for providers that sign
                              the address they call; "" when none is set */
    struct openid *openid; /* whose tokens are proven by keys that are fetched; NULL: no driver here
                              needs it */
    const _Atomic bool *stopping; /* may be NULL; long polls give up when it becomes true (it goes
                                     into http_call.cancel) */
};

/* --- inbound --- */

/* A webhook request, or one polled update put into the same form. */
struct webhook {
    struct str body;
    const struct http_request *request; /* headers and query; NULL for polled updates */
};

/* What answers the request by which a provider tests an address. */
struct webhook_reply {
    unsigned status;
    const char *content_type; /* a literal */
    struct str body;          /* in the arena, or the request's own */
};

/* Only ever forward: see message delivery in docs. NONE: the event tells of none. */
enum delivery_state {
    DELIVERY_NONE,
    DELIVERY_SENT,
    DELIVERY_DELIVERED,
    DELIVERY_READ,
    DELIVERY_FAILED,
    DELIVERY_WINDOW_CLOSED /* failed, because the person wrote too long ago: CHANNEL_HAS_WINDOW */
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
                             interactive, raw_kind, addressed, thread; phone (digits): the
                             person's, told by a provider that may name them by an id instead.
                             attachments: [{kind: image|audio|voice|video|document|sticker|...,
                             file_id or url, and where known mime_type, file_name, size_bytes,
                             sha256 (hex)}]: what fetch_media needs to fetch each */
    struct str display_name, locale;
    bool wants_answer; /* false: a group message that was not addressed to us, or as the group's
                          policy says; or the provider has answered */
    /* The person asked for it ("/new"): this message is the first of a new conversation; an event
     * of kind "new_conversation" ends the open one without saying anything. */
    bool starts_new_conversation;
    /* Of events. */
    struct str event_kind;        /* edit (text is the new text: compare) | deletion (of what was
                                     said) | reaction | delivery | echo (about a message to the
                                     chat that somebody, or we, sent) | blocked | unblocked |
                                     migrated | callback | membership | service | bot |
                                     new_conversation | unknown | ... */
    struct str external_event_id; /* dedup within the channel */
    struct str about_external_message_id; /* "" when it is about no message */
    struct str raw;                       /* JSON as it came */
    struct str new_external_chat_id;      /* of migrated */
    /* Of event_kind "delivery", about a message that we sent. */
    enum delivery_state delivery_state;
    struct str delivery_reason; /* of FAILED and WINDOW_CLOSED, for a person: code and words */
    struct str reference; /* channel_reference of the send, given back by the provider; "" if not */
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
    struct str reply_to_external_id; /* quoted in a group; "" for none */
    /* The message that this one answers, for providers that thread: "" and NULL for none. */
    struct str answers_external_id;
    const json_t *answers_metadata;
    struct str text; /* light markup: see markup.h */
    /* May be NULL. citations; attachments [{kind, url, mime_type, file_name}];
     * buttons [{title, id or url}]; template {name, language, parameters: [text, ...]}, which takes
     * the whole text's place (as one part, whatever its number). Drivers put buttons and
     * attachments under the last part. */
    const json_t *metadata;
    /* CHANNEL_ENCLOSES: of attachments[i] the bytes; "" of one that has a url. NULL: all have. */
    const struct str *files;
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
/* The same of a channel_record_draft: nobody else gets that channel. */
MUST_USE enum status channel_open_draft(const struct channel_registry *registry,
                                        const struct channel_record *draft,
                                        struct channel **channel_out, struct err *err);

/* --- what a channel does --- */

unsigned channel_caps(const struct channel *channel);
const struct channel_record *channel_record(const struct channel *channel);
/* Milliseconds within which messages are answered together: settings.burst_window_ms, else the
 * driver's default. */
int64_t channel_burst_window_ms(const struct channel *channel);
bool
channel_resends_uncertain(const struct channel *channel); /* settings.on_uncertain = "resend" */

/* settings.on_person_echo: whether who answers in the provider's own app takes the conversation. */
bool channel_is_taken_by_echo(const struct channel_record *record);

/* CHANNEL_REPLY_ONLY or settings.reply_only: strangers are told so (settings.reply_only_text). */
bool channel_is_reply_only(const struct channel *channel);
/* What a stranger is told; name: theirs, may be empty. In the arena or the record. */
struct str channel_reply_only_text(const struct channel_record *record, struct str name,
                                   struct arena *arena);

/* For tenant_admit_webhook: arg is the struct channel_verification. ST_DENIED unless proven.
 * ST_BUSY, only while the request may not block: the proof has to be fetched (a provider's keys),
 * come again on a worker. */
struct channel_verification {
    const struct channel_registry *registry;
    const struct webhook *webhook;
    /* Given: tests of the address are answered, and no other GET is let through. May be NULL. */
    struct arena *arena;
    /* Set when the request was the provider's own test of the address: proven, and nothing to
     * parse; reply is the answer. */
    bool is_handshake;
    struct webhook_reply reply;
};
MUST_USE enum status channel_verify(const struct channel_record *record, void *arg,
                                    struct err *err);
/* What one account is to read of a webhook at an address that several share. Nothing of it is
 * proven before channel_verify said so of the whole webhook and that account's channel. */
struct channel_share {
    struct str account, body; /* in the arena or the webhook's own */
};
/* None: the webhook names no account, or the provider's never do. ST_INVALID: it cannot be read.
 * Does not block. */
MUST_USE enum status channel_sort(const struct channel_registry *registry, struct str source,
                                  const struct webhook *webhook, struct arena *arena,
                                  struct channel_share **shares_out, size_t *count_out,
                                  struct err *err);

/* ST_INVALID: cannot be read; the caller keeps the bytes aside. metadata of items: the batch's. */
MUST_USE enum status channel_parse(struct channel *channel, const struct webhook *webhook,
                                   struct arena *arena, struct inbound_batch *batch_out,
                                   struct err *err);
void inbound_batch_deinit(struct inbound_batch *batch);
/* What the 200 of an accepted webhook carries. */
struct webhook_reply channel_accepted(const struct channel *channel);

/* "image", "audio", "video", else "document": the kind of an attachment by its MIME type. */
const char *channel_attachment_kind(struct str mime_type);

/* Where fetched bytes go as they come. */
struct media_sink {
    size_t max_bytes;                               /* of the whole: more is ST_TOO_LARGE */
    bool (*write)(struct str bytes, void *context); /* false: give up, ST_INVALID */
    void *context;
};
/* Fetches one of the attachments that parsing put into metadata (CHANNEL_HAS_MEDIA), with the
 * channel's credentials. mime_type_out: as the provider says, in the arena; may be empty. Errors as
 * of channel_send; ST_NOT_FOUND: the provider has it no longer. Never ST_UNCERTAIN. */
MUST_USE enum status channel_fetch_media(struct channel *channel, const json_t *attachment,
                                         const struct media_sink *sink, struct arena *arena,
                                         struct str *mime_type_out, struct err *err);

/* Reads the attachments that parsing described in metadata, in that order, from the same webhook
 * (CHANNEL_CARRIES_MEDIA): its body, and its Content-Type; "" of what was polled. Views into body
 * or the arena, which gets at most about twice the body. Does not block. ST_INVALID.
 * ST_TOO_LARGE. */
MUST_USE enum status channel_read_carried(struct channel *channel, struct str content_type,
                                          struct str body, struct arena *arena,
                                          struct str **files_out, size_t *count_out,
                                          struct err *err);

/* Parts under the provider's limit, at sentence borders; at least one for non-empty text. */
size_t channel_split(struct channel *channel, struct str text, struct arena *arena,
                     struct str **parts_out);
/* ST_BUSY, ST_UNAVAILABLE: later (err->retry_after_ms). ST_UNCERTAIN: the provider may have it.
 * ST_DENIED: the account's credentials are refused: the channel is broken. ST_NOT_FOUND: the
 * recipient cannot be reached (blocked, gone). Other: permanent for this message. */
MUST_USE enum status channel_send(struct channel *channel, const struct outbound *outbound,
                                  struct arena *arena, struct delivery *delivery_out,
                                  struct err *err);
/* "<message id>:<part>": for providers that give back, with reports of a message, what its send
 * carried. By it a send is known to have arrived whose answer was lost. In the arena. */
struct str channel_reference(const struct outbound *outbound, struct arena *arena);
/* text with metadata.buttons as a numbered list under it, for drivers without buttons and for what
 * exceeds a provider's number of them; text itself when there are none. */
struct str channel_list_buttons(struct str text, const json_t *metadata, struct arena *arena);
/* Lossy; repeat at channel_typing_interval_ms while the answer is made. */
void channel_typing(struct channel *channel, struct str external_chat_id);
unsigned channel_typing_interval_ms(const struct channel *channel);
/* Lossy: shows text, what there is of an answer that is being made (CHANNEL_SHOWS_DRAFTS). It goes
 * away by itself, at the latest when the answer comes. draft_id: not 0, one for an answer. At most
 * once in channel_draft_interval_ms for a chat. */
void channel_draft(struct channel *channel, struct str external_chat_id, int64_t draft_id,
                   struct str text);
unsigned channel_draft_interval_ms(const struct channel *channel);
/* An answer that is shown while it is made (CHANNEL_GROWS), as one message:
 *   channel_begin --> channel_grow ... --> channel_edit, whole; or channel_withdraw, gone
 * What channel_begin shows stays only where channel_find finds it: a lost id leaves nothing behind.
 * Whether the chat is one where that can be done: */
bool channel_grows_in(const struct channel *channel, struct str external_chat_id);
/* text: its first words. Soon over. Errors as of channel_send. */
MUST_USE enum status channel_begin(struct channel *channel, const struct outbound *outbound,
                                   struct arena *arena, struct delivery *delivery_out,
                                   struct err *err);
/* text: all there is of it by now. Lossy; at most once in channel_draft_interval_ms for a chat.
 * step: 1, 2, ... */
void channel_grow(struct channel *channel, const struct outbound *outbound,
                  struct str external_message_id, unsigned step);
/* The message is outbound from now on. May be repeated. Errors as of channel_send, but never
 * ST_UNCERTAIN; ST_CONFLICT: it is not there any more, or cannot be changed. */
MUST_USE enum status channel_edit(struct channel *channel, const struct outbound *outbound,
                                  struct str external_message_id, struct err *err);
/* ST_OK also when it is gone already. Errors as of channel_edit. */
MUST_USE enum status channel_withdraw(struct channel *channel, struct str external_chat_id,
                                      struct str external_message_id, struct err *err);
/* So long after a call, what it sent can be found or is not there. */
#define CHANNEL_SETTLES_US (10 * US_PER_S)
/* Looks for what became of a send or begin of outbound (CHANNEL_FINDS): chat, message_id, part. It
 * was called at sent_us (wall) or later. ST_NOT_FOUND: it is not there. Passing errors: ask later.
 * Others: the provider does not let us look. */
MUST_USE enum status channel_find(struct channel *channel, const struct outbound *outbound,
                                  int64_t sent_us, struct arena *arena,
                                  struct delivery *delivery_out, struct err *err);
/* Lossy: see inbound.acknowledge. */
void channel_acknowledge(struct channel *channel, struct str acknowledge);
/* Whether channel_refresh may have something to do. */
bool channel_is_refreshed(const struct channel_registry *registry,
                          const struct channel_record *record);
/* Asks the provider for fresh ones of credentials that end by themselves. credentials_out: the keys
 * that changed, the caller's. ST_NOT_FOUND: these do not end. Errors as of channel_probe. */
MUST_USE enum status channel_refresh(struct channel *channel, struct arena *arena,
                                     json_t **credentials_out, int64_t *lasts_us_out,
                                     struct err *err);
/* Asks the provider whether the credentials work; account_out names it for a person. */
MUST_USE enum status channel_probe(struct channel *channel, struct arena *arena,
                                   struct str *account_out, struct err *err);
/* Credentials that the provider replaced in the course of a call (a refresh token), all of them, to
 * be stored in place of the record's; the caller's. NULL: they are as they were. */
json_t *channel_new_credentials(struct channel *channel);
/* Registers url as webhook (CHANNEL_CAN_REGISTER). */
MUST_USE enum status channel_register(struct channel *channel, struct str url, struct err *err);
/* Waits up to wait_ms for updates after the cursor; each update's bytes become a struct webhook.
 * cursor_out replaces the cursor once all of them are committed. */
struct channel_poll {
    struct webhook *updates;
    size_t count;
    struct str cursor; /* in the arena */
};
/* Whether some of the driver's channels are to be polled, and whether this one is: by settings, or
 * because no public address is set under which the provider could deliver. Neither blocks. */
bool channel_driver_is_polled(const struct channel_registry *registry,
                              const struct channel_driver *driver);
bool channel_is_polled(const struct channel_registry *registry,
                       const struct channel_record *record);
MUST_USE enum status channel_poll(struct channel *channel, struct str cursor, unsigned wait_ms,
                                  struct arena *arena, struct channel_poll *poll_out,
                                  struct err *err);

#endif
