/*
 * whatsapp.h - private to the WhatsApp driver's files: the open channel and what they share
 *
 *   whatsapp.c          table, settings, ids       whatsapp_parse.c    webhooks to inbound items
 *   whatsapp_content.c  what a message contains    whatsapp_send.c     what the product calls
 *   whatsapp_compose.c  one outbound part as the messages that the API takes
 *
 * WhatsApp Business Cloud API, Graph v25.0: business numbers only, never a personal account.
 * Ids outside: "<phone number id>:<wamid>" names a message; a person is the business-scoped user id
 * ("US.1349...") because phone numbers may be absent since usernames, else the phone's digits; a
 * chat is the person, or "group:<id>". Threads: a channel is shared; the table of heard messages
 * has a lock inside, the rest is frozen after open.
 */
#ifndef PARLEY_CHANNEL_DRIVERS_WHATSAPP_H
#define PARLEY_CHANNEL_DRIVERS_WHATSAPP_H

#include <pthread.h>

#include "base/map.h"
#include "channel/meta.h"

#define WHATSAPP_TEXT_MAX_UNITS 4096 /* of messages */
#define WHATSAPP_BODY_MAX_UNITS 1024 /* of captions, and of text above buttons */

enum whatsapp_group_policy {
    WHATSAPP_GROUP_ADDRESSED, /* answer what replies to us or names our number */
    WHATSAPP_GROUP_ALL,
    WHATSAPP_GROUP_NEVER
};

/* The last message of each chat: the typing indicator hangs on it. Forgotten when it is full. */
struct whatsapp_heard {
    pthread_mutex_t lock; /* guards the map */
    struct map last;      /* chat -> wamid, a C string of its own */
};
void whatsapp_heard_put(struct whatsapp_heard *heard, struct str chat, struct str wamid);
/* In the arena; empty: none is known. */
struct str whatsapp_heard_get(struct whatsapp_heard *heard, struct str chat, struct arena *arena);

struct whatsapp_channel {
    struct channel base;
    struct meta_account account;
    struct str number_id; /* of the business's phone number; borrowed from the record */
    enum whatsapp_group_policy group_policy;
    bool marks_read;
    struct str list_label; /* on the button that opens a list; borrowed */
    struct whatsapp_heard heard;
};

static inline struct whatsapp_channel *
whatsapp_of(struct channel *channel)
{
    return (struct whatsapp_channel *)channel;
}

/* --- ids --- */

struct whatsapp_chat {
    struct str user_id, phone, group_id; /* one is set; borrowed */
};
/* ST_INVALID. */
MUST_USE enum status whatsapp_chat_parse(struct str external_chat_id,
                                         struct whatsapp_chat *chat_out, struct err *err);
/* "US.1349..." or "US.ENT.1181...": what Meta calls a BSUID. */
bool whatsapp_is_user_id(struct str s);
bool whatsapp_is_phone(struct str s); /* digits only, country code first */
bool whatsapp_is_group_id(struct str s);
/* Within an external message id of this number; empty when it is of none. */
struct str whatsapp_wamid_of(const struct whatsapp_channel *whatsapp,
                             struct str external_message_id);

/* --- inbound --- */

enum status whatsapp_parse(struct channel *channel, const struct webhook *webhook,
                           struct inbound_batch *batch, struct err *err);

struct whatsapp_content {
    struct str raw_kind; /* empty: nothing we know */
    struct str text;     /* borrowed from message */
};
/* Reads what message contains; attachments, location, interactive, ... are set in metadata. */
void whatsapp_content_read(const json_t *message, json_t *metadata,
                           struct whatsapp_content *content_out);

/* --- outbound --- */

#define WHATSAPP_MESSAGES_MAX 12
/* The requests that one part becomes, in order; owned. */
struct whatsapp_messages {
    json_t *items[WHATSAPP_MESSAGES_MAX];
    size_t count;
};
MUST_USE enum status whatsapp_compose(const struct whatsapp_channel *whatsapp,
                                      const struct outbound *outbound, struct arena *arena,
                                      struct whatsapp_messages *messages_out, struct err *err);
void whatsapp_messages_deinit(struct whatsapp_messages *messages);

size_t whatsapp_split(struct channel *channel, struct str text, struct arena *arena,
                      struct str **parts_out);
enum status whatsapp_send(struct channel *channel, const struct outbound *outbound,
                          struct arena *arena, struct delivery *delivery_out, struct err *err);
void whatsapp_typing(struct channel *channel, struct str external_chat_id);
void whatsapp_acknowledge(struct channel *channel, struct str acknowledge);
enum status whatsapp_probe(struct channel *channel, struct arena *arena, struct str *account_out,
                           struct err *err);
enum status whatsapp_registered(struct channel *channel, struct arena *arena, struct str *url_out,
                                struct str *trouble_out, struct err *err);
enum status whatsapp_template_state(struct channel *channel, const json_t *template,
                                    struct arena *arena, struct str *words_out, struct err *err);
enum status whatsapp_register(struct channel *channel, struct str url, struct err *err);
enum status whatsapp_fetch_media(struct channel *channel, const json_t *attachment,
                                 const struct media_sink *sink, struct arena *arena,
                                 struct str *mime_type_out, struct err *err);

#endif
