/*
 * telegram.h - private to the Telegram driver's files: the open channel and what they share
 *
 *   telegram.c          table, settings, verification
 *   telegram_parse.c    updates to inbound items     telegram_content.c  what a message contains
 *   telegram_call.c     one call, its errors sorted  telegram_send.c     what the product calls
 *   telegram_pace.c     Telegram's limits, kept here
 *
 * Ids outside: "<bot>:<chat>:<message>" names a message, "<bot>:cb:<callback query>" a pressed
 * button, "<chat>" or "<chat>:<topic>" a chat. Protocol: Bot API 10.1. Threads: a channel is
 * shared; the pace and the learned name have locks inside, the rest is frozen after open.
 */
#ifndef PARLEY_CHANNEL_DRIVERS_TELEGRAM_H
#define PARLEY_CHANNEL_DRIVERS_TELEGRAM_H

#include <pthread.h>

#include "base/map.h"
#include "channel/channel_driver.h"

#define TELEGRAM_TEXT_MAX_UNITS 4096
#define TELEGRAM_NAME_MAX 64

enum telegram_group_policy {
    TELEGRAM_GROUP_ADDRESSED, /* answer what speaks to us */
    TELEGRAM_GROUP_ALL,
    TELEGRAM_GROUP_NEVER
};

/*
 * Pacing: generic cell rate. Each bucket is one time: when the next message fits without a burst.
 * Buckets of chats that are at rest carry nothing and are thrown away when the table is full.
 */
struct telegram_pace_limits {
    int64_t bot_per_second;
    int64_t chat_per_minute;
    int64_t group_per_minute;
};
struct telegram_pace {
    pthread_mutex_t lock; /* guards all below */
    struct telegram_pace_limits limits;
    struct map chats; /* chat -> struct pace_chat */
    int64_t bot_free_us, bot_paused_until_us;
    int64_t bot_promised_us; /* the latest time at which somebody was told to come back */
};
void telegram_pace_init(struct telegram_pace *pace, const struct telegram_pace_limits *limits);
void telegram_pace_deinit(struct telegram_pace *pace);
/* 0: send now, and it is counted. Else milliseconds to wait, and nothing is counted. */
int telegram_pace_take(struct telegram_pace *pace, int64_t chat_id, int64_t now_us);
/* What the bot as a whole has used up goes on counting in its reopened channel. */
void telegram_pace_inherit(struct telegram_pace *pace, struct telegram_pace *former);
/* Telegram said 429: the chat rests; when a second chat is told so meanwhile, the whole bot does.
 */
void telegram_pace_rest(struct telegram_pace *pace, int64_t chat_id, int64_t now_us, int wait_ms);

struct telegram_channel {
    struct channel base;
    int64_t bot_id;
    struct str bot_id_text; /* borrowed from the record */
    struct str token;       /* borrowed from the record */
    struct str api_base;    /* without a slash at the end; borrowed */
    enum telegram_group_policy group_policy;
    struct telegram_pace pace;
    _Atomic bool refuses_drafts;      /* as servers before drafts do: not tried again */
    pthread_mutex_t name_lock;        /* guards the name */
    char name[TELEGRAM_NAME_MAX + 1]; /* our @name without @; "" until Telegram told it */
};

static inline struct telegram_channel *
telegram_of(struct channel *channel)
{
    return (struct telegram_channel *)channel;
}

/* Remembers the bot's name when user is this bot. Mentions are recognised from then on. */
void telegram_learn_name(struct telegram_channel *telegram, const json_t *user);
/* Whether name (without @, any case) is ours. */
bool telegram_name_is_ours(struct telegram_channel *telegram, struct str name);

/* --- ids --- */

/* "<chat>" or "<chat>:<topic>"; topic 0 when there is none. ST_INVALID. */
MUST_USE enum status telegram_chat_id_parse(struct str external_chat_id, int64_t *chat_out,
                                            int64_t *topic_out, struct err *err);
struct str telegram_chat_id_format(struct arena *arena, int64_t chat_id, int64_t topic_id);
struct str telegram_message_id_format(struct arena *arena, struct str bot_id, int64_t chat_id,
                                      int64_t message_id);
/* Of a message in an account of a business: its chat may have the number of a chat with the bot,
 * and its messages the numbers of messages there. */
struct str telegram_business_message_id_format(struct arena *arena, struct str bot_id,
                                               int64_t chat_id, int64_t message_id,
                                               struct str connection_id);
/* False for ids that name no message of a chat with the bot (a pressed button). */
bool telegram_message_id_parse(struct str external_message_id, int64_t *chat_out,
                               int64_t *message_out);

/* --- inbound --- */

/* The bytes of one update. bot_id_text, policy and name come from the channel. */
enum status telegram_parse(struct channel *channel, const struct webhook *webhook,
                           struct inbound_batch *batch, struct err *err);

struct telegram_content {
    const char *raw_kind;   /* "text", "photo", ... ; NULL: nothing we know */
    bool is_service;        /* a notice of the chat, not something said */
    struct str text;        /* text or caption; borrowed from message or in the arena */
    const json_t *entities; /* of text; NULL for none */
};
/* Reads what message contains; attachments, location, contact, ... are set in metadata. */
void telegram_content_read(const json_t *message, json_t *metadata, struct arena *arena,
                           struct telegram_content *content_out);

/* --- outbound --- */

/* One call of a method. On ST_OK *result_out is the caller's. Errors are sorted as channel_send
 * promises. */
struct telegram_answer {
    json_t *result;      /* of ST_OK; the caller's */
    int64_t migrated_to; /* of ST_CONFLICT: the chat lives on under this id; else 0 */
    bool cannot_parse;   /* of ST_INVALID: the markup was refused */
    bool webhook_is_set; /* of ST_CONFLICT: polling is refused because of it */
};
MUST_USE enum status telegram_call(struct telegram_channel *telegram, const char *method,
                                   const json_t *parameters, unsigned deadline_ms,
                                   struct arena *arena, struct telegram_answer *answer_out,
                                   struct err *err);
/* Sorts one complete HTTP answer: the part of telegram_call that needs no network. */
MUST_USE enum status telegram_sort_answer(int http_status, struct str body, int retry_after_ms,
                                          struct telegram_answer *answer_out, struct err *err);

enum status telegram_send(struct channel *channel, const struct outbound *outbound,
                          struct arena *arena, struct delivery *delivery_out, struct err *err);
void telegram_typing(struct channel *channel, struct str external_chat_id);
void telegram_draft(struct channel *channel, struct str external_chat_id, int64_t draft_id,
                    struct str text);
void telegram_acknowledge(struct channel *channel, struct str acknowledge);
enum status telegram_probe(struct channel *channel, struct arena *arena, struct str *account_out,
                           struct err *err);
enum status telegram_register(struct channel *channel, struct str url, struct err *err);
enum status telegram_registered(struct channel *channel, struct arena *arena, struct str *url_out,
                                struct str *trouble_out, struct err *err);
enum status telegram_poll(struct channel *channel, struct str cursor, unsigned wait_ms,
                          struct arena *arena, struct channel_poll *poll_out, struct err *err);
enum status telegram_fetch_media(struct channel *channel, const json_t *attachment,
                                 const struct media_sink *sink, struct arena *arena,
                                 struct str *mime_type_out, struct err *err);

#endif
