/*
 * twilio.h - private to the two Twilio drivers' files: the open channel and what they share
 *
 *   twilio.c        tables, settings, addresses, verification
 *   twilio_parse.c  forms to inbound items         twilio_text.c  segments, parts
 *   twilio_call.c   one call, its errors sorted    twilio_send.c  what the product calls
 *
 * SMS and WhatsApp differ in the prefix of addresses, in how text is written and counted, and in
 * what Twilio offers. Ids outside: "<account sid>:<message sid>" names a message; a chat is the
 * person's address without the prefix, "+15551230000". Protocol: Twilio's API 2010-04-01 and
 * "Messaging webhooks". Threads: a channel is shared; the last messages have a lock inside, the
 * rest is frozen after open.
 */
#ifndef PARLEY_CHANNEL_DRIVERS_TWILIO_H
#define PARLEY_CHANNEL_DRIVERS_TWILIO_H

#include <pthread.h>

#include "base/map.h"
#include "channel/channel_driver.h"
#include "channel/form.h"

#define TWILIO_BODY_MAX_UNITS 1600
#define TWILIO_SEGMENTS_MAX 10 /* ten of GSM-7 fit into TWILIO_BODY_MAX_UNITS */

struct twilio_kind {
    const char *prefix; /* of addresses at Twilio */
    bool is_whatsapp;
};

struct twilio_channel {
    struct channel base;
    const struct twilio_kind *kind;
    /* All borrowed from the record. */
    struct str account_sid;
    struct str user, password;           /* of calls: the account and its token, or an API key */
    struct str from;                     /* "" when only a service is set */
    struct str service_sid;              /* "" for none */
    struct str api_base, messaging_base; /* without a slash at the end */
    size_t max_segments;
    char *authorization, *token_authorization; /* header values; owned */
    /* WhatsApp's typing indicator is an answer to a message: the last one of each chat. Lossy. */
    pthread_mutex_t last_lock; /* guards last_messages */
    struct map last_messages;  /* chat -> char *sid, owned */
};

static inline struct twilio_channel *
twilio_of(struct channel *channel)
{
    return (struct twilio_channel *)channel;
}

/* The channel's webhook address as it stands at Twilio, without query and fragment; "" when
 * neither the channel nor the server knows its public address. */
struct str twilio_webhook_url(const struct channel_record *record, const struct channel_env *env,
                              struct arena *arena);

/* In the query of a StatusCallback: channel_reference of the message that it tells of. */
#define TWILIO_REFERENCE "reference"

/* What Twilio signs (HMAC-SHA1, base64): the address, then each field's name and value, sorted by
 * name; equal ones once. form NULL: the address alone. pieces_out: in the arena. */
size_t twilio_signed_pieces(struct str url, const struct form *form, struct arena *arena,
                            struct str **pieces_out);
/* The same address with the port that it leaves out, and without its port: Twilio does not say
 * which of them it signs. */
struct str twilio_url_with_port(struct str url, struct arena *arena);
struct str twilio_url_without_port(struct str url, struct arena *arena);

enum status twilio_parse(struct channel *channel, const struct webhook *webhook,
                         struct inbound_batch *batch, struct err *err);
/* Remembers, and finds, the last message of a chat. Empty: none is known. */
void twilio_last_message_put(struct twilio_channel *twilio, struct str chat, struct str sid);
struct str twilio_last_message_copy(struct twilio_channel *twilio, struct str chat,
                                    struct arena *arena);
/* For people: what the code of a failed delivery means, or "". status_out: as of a refused call. */
const char *twilio_code_words(int64_t code, enum status *status_out);

/* --- text of SMS --- */

/* How many septets the text takes in the GSM 7-bit alphabet, after Twilio's smart encoding; false
 * when it does not fit into that alphabet and goes as UCS-2. */
bool twilio_gsm7_len(struct str text, size_t *septets_out);
/* How many segments the text takes. */
size_t twilio_segments(struct str text);
size_t twilio_sms_split(struct channel *channel, struct str text, struct arena *arena,
                        struct str **parts_out);
size_t twilio_whatsapp_split(struct channel *channel, struct str text, struct arena *arena,
                             struct str **parts_out);

/* --- calls --- */

enum twilio_credentials {
    TWILIO_BY_KEY,  /* the API key where there is one */
    TWILIO_BY_TOKEN /* the account's own token */
};
/* On ST_OK *answer_out is the caller's. Errors are sorted as channel_send promises; form empty: a
 * GET. */
MUST_USE enum status twilio_call(struct twilio_channel *twilio, struct str url,
                                 enum twilio_credentials credentials, struct str form,
                                 unsigned deadline_ms, struct arena *arena, json_t **answer_out,
                                 struct err *err);
/* Sorts one complete HTTP answer: the part of twilio_call that needs no network. */
MUST_USE enum status twilio_sort_answer(int http_status, struct str body, int retry_after_ms,
                                        json_t **answer_out, struct err *err);

enum status twilio_send(struct channel *channel, const struct outbound *outbound,
                        struct arena *arena, struct delivery *delivery_out, struct err *err);
void twilio_typing(struct channel *channel, struct str external_chat_id);
enum status twilio_probe(struct channel *channel, struct arena *arena, struct str *account_out,
                         struct err *err);
enum status twilio_registered(struct channel *channel, struct arena *arena, struct str *url_out,
                              struct str *trouble_out, struct err *err);
enum status twilio_register(struct channel *channel, struct str url, struct err *err);
enum status twilio_fetch_media(struct channel *channel, const json_t *attachment,
                               const struct media_sink *sink, struct arena *arena,
                               struct str *mime_type_out, struct err *err);

#endif
